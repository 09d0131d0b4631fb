/* Rust-Shyper's hypercalls: a7 = 0x0A00, type, event; arguments in a0..a6; the result in a0 alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shell.h"

#define HYPERCALL(type, event) (0x0a000000ul | (uint64_t)(type) << 8 | (uint64_t)(event))

#define SYS_REBOOT HYPERCALL(0, 0)
#define SYS_SHUTDOWN HYPERCALL(0, 1)
#define SYS_TEST HYPERCALL(0, 4)
#define VM_LIST HYPERCALL(1, 0)
#define VM_STATE HYPERCALL(1, 1)
#define VM_BOOT HYPERCALL(1, 2)
#define VM_SHUTDOWN HYPERCALL(1, 3)
#define VM_REBOOT HYPERCALL(1, 4)
#define VM_GET_ID HYPERCALL(1, 8)
#define VM_REMOVE HYPERCALL(1, 0x10)
#define MESSAGE_QUEUE HYPERCALL(2, 0)
#define SHARE_MEMORY HYPERCALL(2, 7)
#define DISK_APPEND HYPERCALL(3, 0x30)
#define DISK_DONE HYPERCALL(3, 0x31)
#define CONFIG_ADD_VM HYPERCALL(0x11, 0)
#define CONFIG_DELETE_VM HYPERCALL(0x11, 1)
#define CONFIG_CPU HYPERCALL(0x11, 2)
#define CONFIG_MEMORY HYPERCALL(0x11, 3)
#define CONFIG_DEVICE HYPERCALL(0x11, 4)
#define CONFIG_PASSTHROUGH HYPERCALL(0x11, 5)
#define CONFIG_IRQS HYPERCALL(0x11, 6)
#define CONFIG_STREAMS HYPERCALL(0x11, 7)
#define CONFIG_DTB_DEVICE HYPERCALL(0x11, 8)
#define CONFIG_KERNEL HYPERCALL(0x11, 9)
#define CONFIG_COLORS HYPERCALL(0x11, 0xa)
#define CONFIG_TREE HYPERCALL(0x11, 0xb)

/* `ecall; ret`: the arguments are where the calling convention puts them already. */
int64_t hypercall(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                  uint64_t number);

static inline int64_t hypercall1(uint64_t number, uint64_t a0)
{
    return hypercall(a0, 0, 0, 0, 0, 0, 0, number);
}

/* An environment call that shows what it did to every integer register and to the CSRs that no call may change. */
#define CALL_CSRS 7
struct environment_call {
    uint64_t before[32], after[32]; /* x0..x31 */
    uint64_t csrs_before[CALL_CSRS], csrs_after[CALL_CSRS];
};

/* Registers get values of their own, each another, so that a change shows; the caller overwrites the arguments. */
void fill_registers(uint64_t registers[32]);
void call_prepare(struct environment_call *call); /* so for `before` */
/* Interrupts are off meanwhile: sp and tp hold whatever `before` says. */
void call_make(struct environment_call *call);
bool call_changed_nothing_but_a0(const struct environment_call *call);
/* One line: number, a0, a1, and what other than a0 the call has changed.
   "a7=0a000108 a0=0000000000000000 a1=... changed=none" */
void call_print(const struct environment_call *call);

/* The ecall itself (hypercall.S): loads x1..x31 from `before`, stores them to `after`. */
void call_with_registers(const uint64_t before[32], uint64_t after[32]);

/* Commands (call_commands.c). */
void ecall_command(int argc, char **argv);
void hypercall_command(int argc, char **argv);
void dump_command(int argc, char **argv);
void store_command(int argc, char **argv);
