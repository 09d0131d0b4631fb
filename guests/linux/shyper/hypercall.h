/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls of the hypervisor: `ecall` with a7 = 0x0a000000 | type << 8 | event. Every address is guest-physical. */
#ifndef SHYPER_HYPERCALL_H
#define SHYPER_HYPERCALL_H

#include <linux/types.h>

#define HYPERCALL_LIST 0x0100
#define HYPERCALL_VM_ID 0x0108
#define HYPERCALL_CONFIGURATION 0x0109
#define HYPERCALL_MESSAGE_RING 0x0200
#define HYPERCALL_SHARE_MEMORY 0x0207
#define HYPERCALL_DISK_APPEND 0x0330
#define HYPERCALL_DISK_DETACH 0x0335
#define HYPERCALL_DELETE_VM 0x1101
#define HYPERCALL_NAME_FILE 0x110d

/* The result in a0: 0 or more, or negative when the hypervisor refuses. Registers that the call does not use are 0. */
long hypercall(u16 number, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);

/* The same with fewer arguments, and 0 or -EPERM as result. */
long hypercall_status(u16 number, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);

#define SHYPER_CALL_8(f, number, a0, a1, a2, a3, a4, a5, a6, ...) f(number, a0, a1, a2, a3, a4, a5, a6)
/* hypercall() and hypercall_status() with 0 for the arguments that are left out. */
#define ask(...) SHYPER_CALL_8(hypercall, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define tell(...) SHYPER_CALL_8(hypercall_status, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* Messages of the hypervisor: function and event */
enum { MANAGE = 1, MANAGE_POWER_OFF = 3, MANAGE_REBOOT = 4 };
enum { MEDIATED = 3, MEDIATED_REQUEST = 0x20 }; /* the event is the one that daemons get */
enum { CONFIGURE = 0x11, CONFIGURE_UPLOAD_KERNEL = 9 };

#endif
