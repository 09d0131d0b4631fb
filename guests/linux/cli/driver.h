/* The kernel module, through its device node. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"

/* A descriptor of the device; -1 with errno. */
int driver_open(void);

/* Why driver_open() failed, and what to do, as the end of a sentence. */
const char *driver_problem(void);

/* One call with a value or an address; the result is negative when it is refused. */
long driver_call(int driver, unsigned number, uint64_t argument);

/* The list of all VMs; false when it cannot be had. */
bool driver_list(int driver, struct vm_page *page);

/* The VM's entry in the list; NULL when there is none. */
const struct vm_entry *driver_vm(int driver, struct vm_page *page, uint64_t vm_id);

/* Whether the module is one that knows this project's extension. */
bool driver_has_extension(int driver);
