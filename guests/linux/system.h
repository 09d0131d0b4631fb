/* A Linux process without a C library: system calls by their numbers (Linux, asm-generic/unistd.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SYS_OPENAT 56
#define SYS_CLOSE 57
#define SYS_PIPE2 59
#define SYS_READ 63
#define SYS_WRITE 64
#define SYS_PREAD64 67
#define SYS_PWRITE64 68
#define SYS_PPOLL 73
#define SYS_FSYNC 82
#define SYS_EXIT_GROUP 94
#define SYS_NANOSLEEP 101
#define SYS_CLOCK_GETTIME 113
#define SYS_REBOOT 142
#define SYS_SOCKET 198
#define SYS_BIND 200
#define SYS_LISTEN 201
#define SYS_ACCEPT 202
#define SYS_CONNECT 203
#define SYS_SENDTO 206
#define SYS_RECVFROM 207
#define SYS_SETSOCKOPT 208
#define SYS_CLONE 220
#define SYS_WAIT4 260
#define CLOCK_MONOTONIC 1
#define SIGCHLD 17

struct timespec {
    int64_t seconds, nanoseconds;
};

static inline long call(long number, long a0, long a1, long a2, long a3, long a4, long a5)
{
    register long x10 __asm__("a0") = a0;
    register long x11 __asm__("a1") = a1;
    register long x12 __asm__("a2") = a2;
    register long x13 __asm__("a3") = a3;
    register long x14 __asm__("a4") = a4;
    register long x15 __asm__("a5") = a5;
    register long x17 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(x10) : "r"(x11), "r"(x12), "r"(x13), "r"(x14), "r"(x15), "r"(x17) : "memory");
    return x10;
}

uint64_t now(void); /* nanoseconds of CLOCK_MONOTONIC */
void print(const char *text);
void print_number(uint64_t value);
void leave(int status) __attribute__((noreturn));
long checked(long result, const char *what); /* ends the process when the call has failed */
