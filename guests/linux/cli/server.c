#include "server.h"

#include <stdio.h>
#include <string.h>

#include "driver.h"
#include "log.h"

#define MODULE "daemon"
#define CACHE_SIZE ((size_t)2 << 20)
#define QUIET 60 /* seconds */

const char *server_register(struct server *server)
{
    struct disk_descriptor descriptor = {.sectors = server->disk.sectors, .index = (uint16_t)server->index};
    const char *path = server->disk.path;
    const char *problem = buffer_create(&server->cache, CACHE_SIZE);
    size_t length;
    if (problem)
        return problem;
    snprintf(server->name, sizeof server->name, "MEDBLK%u", server->index);
    memcpy(descriptor.name, server->name, sizeof descriptor.name);
    if (strlen(path) >= sizeof descriptor.path) /* its end tells more than its start */
        path += strlen(path) - (sizeof descriptor.path - 1);
    memcpy(descriptor.path, path, strlen(path));
    descriptor.cache_size = CACHE_SIZE;
    descriptor.transfer_sectors = CACHE_SIZE / SECTOR;
    descriptor.cache_va = (uintptr_t)server->cache.memory;
    descriptor.cache_ipa = buffer_address(&server->cache, 0, CACHE_SIZE, &length);
    /* What an earlier daemon has written is stored now: guests may have got their answer to a flush of it. */
    problem = disk_flush(&server->disk);
    if (!problem && driver_call(server->driver, DISK_APPEND, (uintptr_t)&descriptor) < 0)
        problem = "the hypervisor refused it; its log says why";
    if (problem) {
        buffer_free(&server->cache);
        return problem;
    }
    long abilities = driver_call(server->driver, DISK_ABILITIES, server->index | WANTS_FLUSH << 16);
    server->flush_requests = abilities > 0 && (abilities & WANTS_FLUSH);
    return NULL;
}

/* Requests */

static void tell(struct server *server, const struct request *request, const char *problem)
{
    static const char *const names[] = {"reading", "writing", "flushing"};
    time_t now = time(NULL);
    if (server->told && !strcmp(server->told, problem) && now - server->told_at < QUIET)
        return;
    server->told = problem;
    server->told_at = now;
    log_error("%s: %s %llu sectors at %llu of %s failed: %s", server->name,
              request->type <= REQUEST_FLUSH ? names[request->type] : "serving", (unsigned long long)request->count,
              (unsigned long long)request->sector, server->disk.path, problem);
}

static const char *perform(struct server *server, const struct request *request)
{
    unsigned char *cache = server->cache.memory;
    if (request->count > server->cache.size / SECTOR)
        return "more sectors than the cache holds";
    if (request->type == REQUEST_READ)
        return disk_read(&server->disk, request->sector, request->count, cache);
    if (request->type == REQUEST_FLUSH)
        return disk_flush(&server->disk);
    if (request->type != REQUEST_WRITE)
        return "there is no such request";
    const char *problem = disk_write(&server->disk, request->sector, request->count, cache);
    return problem || server->flush_requests ? problem : disk_flush(&server->disk);
}

static void answer_done(const struct server *server)
{
    driver_call(server->driver, DISK_DONE, server->index);
}

static void answer_failed(struct server *server, const struct request *request)
{
    if (driver_call(server->driver, DISK_FAILED, server->index) >= 0)
        return;
    if (!server->cannot_fail && !driver_has_extension(server->driver)) {
        log_error("%s: the kernel module cannot report errors, so the guest takes its request for done", server->name);
        server->cannot_fail = true;
    }
    if (request->type == REQUEST_READ) /* nothing of an earlier request */
        memset(server->cache.memory, 0, server->cache.size);
    answer_done(server);
}

static void serve(struct server *server, const struct request *request)
{
    const char *problem = perform(server, request);
    if (problem) {
        tell(server, request, problem);
        answer_failed(server, request);
    } else {
        answer_done(server);
    }
}

/* Threads */

static void *work(void *argument)
{
    struct server *server = argument;
    pthread_mutex_lock(&server->mutex);
    for (;;) {
        while (!server->count && !server->stopping)
            pthread_cond_wait(&server->change, &server->mutex);
        if (server->stopping)
            break;
        struct request request = server->waiting[server->first];
        server->first = (server->first + 1) % WAITING;
        server->count--;
        server->busy = true;
        pthread_mutex_unlock(&server->mutex);
        serve(server, &request);
        pthread_mutex_lock(&server->mutex);
        server->busy = false;
    }
    pthread_mutex_unlock(&server->mutex);
    return NULL;
}

const char *server_start(struct server *server)
{
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->change, NULL);
    int error = pthread_create(&server->thread, NULL, work, server);
    server->threaded = !error;
    return error ? strerror(error) : NULL;
}

void server_submit(struct server *server, const struct request *request)
{
    if (!server->threaded) {
        serve(server, request);
        return;
    }
    pthread_mutex_lock(&server->mutex);
    bool idle = !server->busy && !server->count;
    pthread_mutex_unlock(&server->mutex); /* only this thread adds, so an idle server stays idle */
    if (idle && request->type == REQUEST_READ && request->count <= server->cache.size / SECTOR &&
        disk_read_at_once(&server->disk, request->sector, request->count, server->cache.memory)) {
        answer_done(server); /* saves two switches of threads */
        return;
    }
    pthread_mutex_lock(&server->mutex);
    if (server->count < WAITING)
        server->waiting[(server->first + server->count++) % WAITING] = *request;
    pthread_cond_signal(&server->change);
    pthread_mutex_unlock(&server->mutex);
}

void server_stop(struct server *server)
{
    if (server->threaded) {
        pthread_mutex_lock(&server->mutex);
        server->stopping = true;
        pthread_cond_signal(&server->change);
        pthread_mutex_unlock(&server->mutex);
        pthread_join(server->thread, NULL);
    }
    driver_call(server->driver, DISK_DETACH, server->index); /* requests wait for the next daemon now */
    disk_flush(&server->disk);
    disk_close(&server->disk);
}
