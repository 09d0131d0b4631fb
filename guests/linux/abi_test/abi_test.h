/* A test program for /dev/shyper, in the managing VM's Linux.

   abi_test calls | refused | disks    makes calls, prints what is wrong and how many checks there were
   abi_test daemon [once|poll] [flush] [badread] [bad=SECTOR] FILE...    serves files, see daemon.c */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../shyper/abi.h"

#define DEVICE "/dev/shyper"

int open_driver(void);

/* ioctl(): its result, or a negative errno. */
long call(int driver, unsigned number, uint64_t argument);

/* Counts a check, and prints one that fails. */
void expect(const char *what, long got, long wanted);
#define expect_at(name, number, got, wanted) \
    do { \
        char text_[96]; \
        snprintf(text_, sizeof text_, "%s %#lx", name, (unsigned long)(number)); \
        expect(text_, got, wanted); \
    } while (0)

/* Prints how many checks there were; the exit status. */
int summary(const char *name);

/* Memory of whole pages that is there. */
void *fresh_memory(size_t size);

/* An address that this process does not have. */
uint64_t unmapped_address(void);

uint64_t address_of(const void *pointer);

/* Guest-physical address, from /proc/self/pagemap. */
uint64_t physical_address(const void *pointer);

struct shyper_disk disk_descriptor(unsigned index, const char *path, uint64_t sectors, void *cache, size_t size);

int test_calls(void);
int test_refused(void);
int test_disks(void);
int run_daemon(int argc, char **argv);
