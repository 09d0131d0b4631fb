#pragma once

#include <stdint.h>

/* Uploads kernel and, if it is not NULL, ramdisk of a VM that exists. Gives NULL, or why it failed. */
const char *upload_again(int driver, uint64_t vm_id, const char *kernel, const char *ramdisk);
