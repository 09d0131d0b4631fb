/* Which files a VM was made from: for the daemon, which the hypervisor asks to upload them again, and for people.
 *
 * The module holds 31 bytes of the kernel's name, and the daemon may run in another folder. So `vm config` leaves links with
 * absolute paths in /run/shyper.
 */
#pragma once

#include <stdint.h>

/* Leaves the links of a new VM, and tells module and hypervisor the names; `ramdisk` may be NULL. Gives NULL, or why the
   module refused the kernel's. */
const char *names_set(int driver, uint64_t vm_id, const char *kernel, const char *ramdisk, const char *config);

/* The files to upload again; `ramdisk` is NULL when there was none. The kernel is NULL when nobody knows it. */
void names_get(int driver, uint64_t vm_id, const char **kernel, const char **ramdisk);
