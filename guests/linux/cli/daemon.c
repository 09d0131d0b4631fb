/* `system daemon [CONFIG]`: serves the mediated disks of guest VMs, and uploads kernels again.
 *
 * The hypervisor's requests come as messages from the kernel module, which tells of them by poll(), or by SIGUSR1 as the
 * original's does: that one's poll() says "ready" at all times. Several signals may become one, so messages are read until
 * there are no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "configure.h"
#include "daemon_config.h"
#include "driver.h"
#include "folder.h"
#include "kernel_names.h"
#include "log.h"
#include "server.h"

#define MODULE "daemon"
#define AT_ONCE 32 /* messages before signals are looked at */
#define LOCK FOLDER "/daemon.lock"
#define PATIENCE 40 /* times 50 ms */

struct daemon {
    int driver, signals, loader;
    bool polls; /* the module tells of messages by poll() */
    struct server servers[MAX_DISKS];
    unsigned count;
};

/* Before serving */

/* One daemon at a time: they would have the same indices. The lock ends with the process; one that is ending gets time. */
static bool lock(void)
{
    folder_make();
    int file = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    pid_t holder = file < 0 ? 0 : lock_file(file, true);
    for (int tries = 0; holder && tries < PATIENCE; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        holder = lock_file(file, true);
    }
    if (holder)
        log_error("Another daemon is running: %s; end it first%s", process_name(holder),
                  holder > 0 ? formatted(": kill %d", holder) : "");
    return !holder;
}

static bool managing_vm(int driver)
{
    uint32_t vm_id = 0;
    if (driver_call(driver, OWN_VM_ID, (uintptr_t)&vm_id) < 0) {
        log_error("err: ioctl fail! " DEVICE_NODE " is not the hypervisor's: its VM id cannot be had");
        return false;
    }
    if (vm_id)
        log_error("This is VM %u; only the managing VM, VM 0, serves disks", vm_id);
    return !vm_id;
}

static void serve_disk(struct daemon *daemon, const char *path)
{
    const struct disk *others[MAX_DISKS];
    struct server *server = &daemon->servers[daemon->count];
    for (unsigned i = 0; i < daemon->count; i++)
        others[i] = &daemon->servers[i].disk;
    server->driver = daemon->driver;
    server->index = daemon->count;
    const char *problem = disk_open(&server->disk, path, others, daemon->count);
    if (!problem && !server->disk.block_device)
        log_warn("%s is not a block device, it is used as an image file", path);
    if (!problem && (problem = server_register(server)))
        disk_close(&server->disk);
    if (problem) {
        log_warn("Add mediated disk %s failed: %s", path, problem);
        return;
    }
    if (server->disk.read_only)
        log_warn("%s cannot be written, so guests get errors when they write", path);
    log_info("%s: %s, %llu sectors%s", server->name, path, (unsigned long long)server->disk.sectors,
             server->flush_requests ? "" : "; every write is stored at once, as the kernel module knows no flush");
    daemon->count++;
}

static bool start_threads(struct daemon *daemon)
{
    for (unsigned i = 0; daemon->count > 1 && i < daemon->count; i++) { /* a single disk needs no other thread */
        const char *problem = server_start(&daemon->servers[i]);
        if (problem) {
            log_error("No thread could be started: %s", problem);
            return false;
        }
    }
    return true;
}

/* Kernels */

static void load_again(int driver, uint64_t vm_id)
{
    unsigned long long shown = vm_id;
    const char *kernel, *ramdisk, *problem;
    names_get(driver, vm_id, &kernel, &ramdisk);
    if (!kernel) {
        log_error("VM [%llu] wants its kernel again, but its name is not known: remove it and configure it again", shown);
        return;
    }
    log_info("VM [%llu] wants its kernel again: %s", shown, kernel);
    problem = upload_again(driver, vm_id, kernel, ramdisk);
    if (!problem && driver_call(driver, VM_BOOT, vm_id) < 0)
        problem = "the hypervisor refused to boot it; its log says why";
    if (problem)
        log_error("VM [%llu] could not be started again: %s", shown, problem);
}

/* A thread of its own, so that no disk waits for it. */
static void *load_on_request(void *argument)
{
    const int *pipe_and_driver = argument;
    uint64_t vm_id;
    while (read(pipe_and_driver[0], &vm_id, sizeof vm_id) == sizeof vm_id)
        load_again(pipe_and_driver[1], vm_id);
    return NULL;
}

static bool start_loader(struct daemon *daemon)
{
    static int pipe_and_driver[2];
    int ends[2];
    pthread_t thread;
    if (pipe2(ends, O_CLOEXEC))
        return false;
    pipe_and_driver[0] = ends[0];
    pipe_and_driver[1] = daemon->driver;
    daemon->loader = ends[1];
    return !pthread_create(&thread, NULL, load_on_request, pipe_and_driver);
}

/* Messages */

static bool next_message(int driver, struct message *message)
{
    memset(message, 0, sizeof *message);
    return read(driver, message, sizeof *message) > 0;
}

static void act(struct daemon *daemon, const struct message *message)
{
    static const uint64_t from_disk[] = {FROM_DISK}, from_loader[] = {FROM_LOADER};
    if (message->kind == from_disk[0] && message->event == from_disk[1]) {
        struct request request = {message->disk.type, message->disk.sector, message->disk.count};
        if (message->disk.index < daemon->count)
            server_submit(&daemon->servers[message->disk.index], &request);
    } else if (message->kind == from_loader[0] && message->event == from_loader[1]) {
        if (write(daemon->loader, &message->vm_id, sizeof message->vm_id) < 0)
            log_error("VM [%llu] could not be started again: %s", (unsigned long long)message->vm_id, strerror(errno));
    }
}

/* False at the end of the daemon. */
static bool look_at_signals(struct daemon *daemon)
{
    struct signalfd_siginfo signal;
    while (read(daemon->signals, &signal, sizeof signal) == sizeof signal)
        if (signal.ssi_signo != SIGUSR1) {
            log_info("Ended by %s", signal.ssi_signo == SIGINT ? "Ctrl-C" : "SIGTERM");
            return false;
        }
    return true;
}

static void loop(struct daemon *daemon)
{
    struct pollfd wanted[] = {{daemon->signals, POLLIN, 0}, {daemon->polls ? daemon->driver : -1, POLLIN, 0}};
    struct message message;
    bool more = true; /* what has come meanwhile */
    for (;;) {
        if (poll(wanted, 2, more ? 0 : -1) < 0 && errno != EINTR)
            return;
        if (wanted[0].revents && !look_at_signals(daemon))
            return;
        unsigned count = 0;
        while (count < AT_ONCE && next_message(daemon->driver, &message)) {
            act(daemon, &message);
            count++;
        }
        more = count == AT_ONCE;
    }
}

/* What an earlier daemon has not taken is of no use: the hypervisor asks again. */
static void drain(struct daemon *daemon)
{
    struct message message;
    while (next_message(daemon->driver, &message))
        ;
    struct pollfd ready = {daemon->driver, POLLIN, 0};
    daemon->polls = poll(&ready, 1, 0) == 0;
}

/* Whoever started the daemon may not want Ctrl-C to end it: shells without job control, with `&`. */
static bool ignored(int number)
{
    struct sigaction action;
    return !sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN;
}

/* False when nobody would tell of messages. */
static bool listen_to_messages(struct daemon *daemon)
{
    sigset_t taken;
    signal(SIGHUP, SIG_IGN); /* a terminal that is closed takes no disk from a guest */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    if (!ignored(SIGINT))
        sigaddset(&taken, SIGINT);
    drain(daemon);
    if (daemon->polls)
        signal(SIGUSR1, SIG_IGN); /* poll() says it, too */
    else
        sigaddset(&taken, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &taken, NULL); /* in all threads: they are started later */
    daemon->signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    /* also where poll() is enough: it is what makes this process the one that uploads kernels again */
    if (driver_call(daemon->driver, SIGNAL_TO, (uint64_t)getpid()) >= 0)
        return true;
    log_error("err: ioctl fail! The kernel module does not tell of requests");
    return false;
}

static void stop(struct daemon *daemon)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL); /* a second signal ends it at once */
    for (unsigned i = 0; i < daemon->count; i++)
        server_stop(&daemon->servers[i]);
}

int system_daemon(const struct arguments *arguments)
{
    static struct daemon daemon;
    static struct report report;
    struct daemon_config config;
    const char *file = arguments->argument ? arguments->argument : "cli-config.json";
    bool read = report_read(&report, file) && daemon_config_read(&config, &report);
    report_show(&report, MODULE, "");
    if (!read)
        return FAILED;
    daemon.driver = driver_open();
    if (daemon.driver < 0) {
        log_error("Failed to open " DEVICE_NODE ": %s", driver_problem());
        return FAILED;
    }
    if (!managing_vm(daemon.driver) || !lock())
        return FAILED;
    if (!listen_to_messages(&daemon))
        return FAILED;
    for (unsigned i = 0; i < config.count; i++)
        serve_disk(&daemon, config.paths[i]);
    if (config.count && !daemon.count) {
        log_error("No disk of %s can be served", file);
        return FAILED;
    }
    int status = start_loader(&daemon) && start_threads(&daemon) ? 0 : FAILED;
    if (!status)
        loop(&daemon);
    stop(&daemon);
    return status;
}
