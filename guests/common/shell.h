/* A shell: line editing, a table of commands, and faults of a command that end that command alone. */
#pragma once

#include <stddef.h>

#define MAX_ARGUMENTS 12

struct command {
    const char *name, *arguments, *help;
    void (*run)(int argc, char **argv); /* argv[0] is the name */
};

/* Commands of both systems (commands.c). */
extern const struct command common_commands[];

/* Tables end with an entry without name. Never returns. */
void shell_run(const char *prompt, const struct command *own_commands);

/* Says how the command is used; for `run` functions that were given wrong arguments. */
void shell_usage(char **argv);
