/* Steps of a conformance run: each environment call and each piece of memory as a line that a test can compare.

       = NAME a7=... a0=... a1=... changed=x11,...     a call; what it changed besides a0: registers, CSRs
       : NAME 00112233...                              bytes of memory; more lines of one name follow each other
       # NAME type=TT calls=N refused=N                a sweep; calls that were not refused come before it as steps
   Numbers are hexadecimal but for the counts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall.h"

#define UNTOUCHED 0xee /* what memory holds before a call shall write to it */

/* Makes the call with the first arguments in a0...; registers that are no arguments hold values of their own. */
int64_t step(const char *name, uint64_t number, uint64_t a6, const uint64_t *arguments, unsigned count);
#define LIST(...) (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)
/* Hypercall: a6 is the seventh argument, and the arguments before it come by value or as pointers. */
#define CALL(name, number, ...) step(name, number, 0xc0de100000000010ul, LIST(__VA_ARGS__))
#define CALL7(name, number, a6, ...) step(name, number, (uint64_t)(a6), LIST(__VA_ARGS__))
#define SBI(name, extension, function, ...) step(name, extension, function, LIST(__VA_ARGS__))
#define AT(pointer) ((uint64_t)(pointer))

void show_bytes(const char *name, const void *data, size_t count);
/* Calls first..last of a type; every one of them is to be refused with -1. */
void sweep(const char *name, uint64_t type, uint64_t first, uint64_t last);

/* What `run` knows. */
void run_vms(void);
void run_messages(void);
void run_config(void);
void run_upload(void);
void run_lifecycle(void);
void run_mediated(void);
void run_pointers(void);
void run_numbers(void);
void run_sbi(void);
void run_harts(void);
void run_refused(void);
