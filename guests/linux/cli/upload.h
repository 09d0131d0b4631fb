/* Brings a file into a VM: kernel, ramdisk or device tree overlay. */
#pragma once

#include <signal.h>
#include <stdint.h>

#include "buffer.h"

struct upload_file {
    int descriptor;
    uint64_t size;
};

/* Opens a file that is to be uploaded. Gives NULL, or what is wrong with it, as the end of a sentence. */
const char *upload_open(struct upload_file *file, const char *name);
void upload_close(struct upload_file *file);

/* Set by a signal handler: uploads end as soon as they can, with a failure. */
extern volatile sig_atomic_t upload_interrupted;

/* In pieces with ioctl `number`, each of memory without gaps. Gives NULL, or why it failed, as the end of a sentence. */
const char *upload_send(int driver, unsigned number, uint64_t vm_id, const struct upload_file *file);
