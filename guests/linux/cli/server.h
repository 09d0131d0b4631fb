/* One mediated disk at work: a thread, the cache, and the requests that the hypervisor has sent. */
#pragma once

#include <pthread.h>
#include <time.h>

#include "abi.h"
#include "buffer.h"
#include "disk.h"

#define WAITING 16 /* the hypervisor sends one request at a time, but an earlier daemon's may be repeated */

struct request {
    uint32_t type;
    uint64_t sector, count;
};

struct server {
    struct disk disk;
    struct buffer cache;
    int driver;
    unsigned index;
    char name[32];
    bool flush_requests; /* the hypervisor asks for flushes; else every write is stored for good */
    bool threaded;

    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t change;
    struct request waiting[WAITING];
    unsigned first, count;
    bool busy, stopping;

    const char *told; /* the last problem that was logged, and when: many are one line in a minute */
    time_t told_at;
    bool cannot_fail; /* the module cannot report errors, which has been logged */
};

/* Registers an open disk with the hypervisor. Gives NULL, or why it failed. */
const char *server_register(struct server *server);

/* With a thread of its own the server never lets another wait. */
const char *server_start(struct server *server);

/* A request of the hypervisor; without a thread it is done when this returns. */
void server_submit(struct server *server, const struct request *request);

/* Finishes what it is doing, and takes the registration back. */
void server_stop(struct server *server);
