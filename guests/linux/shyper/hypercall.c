// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall.h"

#include <linux/errno.h>

#define EXTENSION 0x0a000000

long hypercall(u16 number, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    register u64 r0 asm("a0") = a0;
    register u64 r1 asm("a1") = a1;
    register u64 r2 asm("a2") = a2;
    register u64 r3 asm("a3") = a3;
    register u64 r4 asm("a4") = a4;
    register u64 r5 asm("a5") = a5;
    register u64 r6 asm("a6") = a6;
    register u64 r7 asm("a7") = EXTENSION | number;
    asm volatile("ecall"
                 : "+r"(r0), "+r"(r1)
                 : "r"(r2), "r"(r3), "r"(r4), "r"(r5), "r"(r6), "r"(r7)
                 : "memory");
    /* Rust-Shyper also has failures that are negative in the lower half alone. */
    return (int)r0 < 0 ? (int)r0 : (long)r0;
}

long hypercall_status(u16 number, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return hypercall(number, a0, a1, a2, a3, a4, a5, a6) ? -EPERM : 0;
}
