/* Processes and pipes on Linux, measured: prints `result NAME OPERATIONS NANOSECONDS`, the best of several batches. */
#include "system.h"

#define REBOOT_MAGIC1 0xfee1dead
#define REBOOT_MAGIC2 672274793
#define REBOOT_POWER_OFF 0x4321fedc

#define BATCHES 10

/* The id of the child, or 0 in it. */
static long fork_process(void)
{
    return checked(call(SYS_CLONE, SIGCHLD, 0, 0, 0, 0, 0), "fork");
}

static void wait_for(long child)
{
    checked(call(SYS_WAIT4, child, 0, 0, 0, 0, 0), "wait");
}

/* One byte to another process and back. */
static void ping_pong(unsigned count)
{
    int there[2], back[2];
    char byte = 0;
    checked(call(SYS_PIPE2, (long)there, 0, 0, 0, 0, 0), "pipe");
    checked(call(SYS_PIPE2, (long)back, 0, 0, 0, 0, 0), "pipe");
    long child = fork_process();
    for (unsigned i = 0; i < count; i++) {
        if (child)
            checked(call(SYS_WRITE, there[1], (long)&byte, 1, 0, 0, 0), "write");
        checked(call(SYS_READ, child ? back[0] : there[0], (long)&byte, 1, 0, 0, 0), "read");
        if (!child)
            checked(call(SYS_WRITE, back[1], (long)&byte, 1, 0, 0, 0), "write");
    }
    if (!child)
        leave(0);
    wait_for(child);
    for (int i = 0; i < 2; i++) {
        call(SYS_CLOSE, there[i], 0, 0, 0, 0, 0);
        call(SYS_CLOSE, back[i], 0, 0, 0, 0, 0);
    }
}

static void fork_and_wait(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        long child = fork_process();
        if (!child)
            leave(0);
        wait_for(child);
    }
}

static void sleep_a_millisecond(unsigned count)
{
    struct timespec millisecond = {0, 1000000};
    for (unsigned i = 0; i < count; i++)
        call(SYS_NANOSLEEP, (long)&millisecond, 0, 0, 0, 0, 0);
}

static void measure(const char *name, void (*operation)(unsigned), unsigned count)
{
    uint64_t best = UINT64_MAX;
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t started = now();
        operation(count);
        uint64_t taken = now() - started;
        best = taken < best ? taken : best;
    }
    print("result ");
    print(name);
    print(" ");
    print_number(count);
    print(" ");
    print_number(best);
    print("\n");
}

void _start(void)
{
    measure("pipe_ping_pong", ping_pong, 1000);
    measure("fork_wait", fork_and_wait, 100);
    measure("usleep_1ms", sleep_a_millisecond, 20);
    print("BENCH-DONE\n");
    call(SYS_REBOOT, (int)REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_POWER_OFF, 0, 0, 0); /* nothing is left to be written */
    leave(0);
}
