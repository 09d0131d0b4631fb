/* Opens files that users name: never waits, never has an effect. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

/* A descriptor of a regular file, or of a block device with `devices`; -1 with errno, see file_problem(). A FIFO waits for
   a writer, /dev/zero never ends, opening a terminal or a watchdog does something: these are refused. */
int open_regular(const char *path, int flags, bool devices, struct stat *status);

/* Why the last open_regular() failed, as the end of a sentence. */
const char *file_problem(void);

/* The path with the working directory before it, unless it is absolute. */
char *absolute(const char *path);
