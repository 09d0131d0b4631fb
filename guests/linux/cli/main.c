/* `shyper`: what Rust-Shyper's user guide types in the managing VM.
 *
 * Usage errors and help texts have the form of clap's (the original is written with it); their exit status is 2 and 0.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "log.h"

#define VM_ARGUMENT ARGUMENT_VM_ID, "VMID", "Number of the VM, as `shyper vm list` shows it"

static const struct command commands[] = {
    {"system", "reboot", "Stop all VMs and start the machine again", NO_ARGUMENT, NULL, NULL, "Do not ask the VMs", false,
     system_reboot},
    {"system", "shutdown", "Stop all VMs and turn the machine off", NO_ARGUMENT, NULL, NULL, "Do not ask the VMs", false,
     system_shutdown},
    {"system", "update", "Replace the hypervisor while it runs (this one cannot be replaced)", ARGUMENT_FILE, "IMAGE",
     "File of the new hypervisor", NULL, false, system_update},
    {"system", "test", "Make the hypervisor print a line on the machine's console", NO_ARGUMENT, NULL, NULL, NULL, false,
     system_test},
    {"system", "daemon", "Serve the mediated disks of guest VMs until SIGTERM or Ctrl-C; closed terminals do not end it",
     ARGUMENT_OPTIONAL_FILE, "CONFIG", "JSON file that lists image files and block devices [default: cli-config.json]", NULL,
     false, system_daemon},
    {"vm", "list", "List all VMs", NO_ARGUMENT, NULL, NULL, NULL, false, vm_list},
    {"vm", "boot", "Start a VM", VM_ARGUMENT, NULL, true, vm_boot},
    {"vm", "shutdown", "Ask a VM to power off; one that does not listen is stopped", VM_ARGUMENT, "Stop it at once", false,
     vm_shutdown},
    {"vm", "reboot", "Ask a VM to reboot; one that does not listen is started again", VM_ARGUMENT, "Start it again at once",
     false, vm_reboot},
    {"vm", "remove", "Stop a VM and remove it", VM_ARGUMENT, NULL, false, vm_remove},
    {"vm", "config", "Add a VM; the files that it names are uploaded", ARGUMENT_FILE, "CONFIG",
     "JSON file of the VM; comments are allowed, and file names in it are relative to the working directory", NULL, false,
     vm_configure},
    {"vm", "getvmid", "Show the number of the VM that this command runs in", NO_ARGUMENT, NULL, NULL, NULL, false, vm_getvmid},
    {"vm", "getdefconfig", "Print a VM's configuration as JSON", VM_ARGUMENT, NULL, false, vm_getdefconfig},
    {"vm", "delconfig", "Take back the configuration of a VM that does not run", VM_ARGUMENT, "Also of a VM that runs: it is stopped",
     false, vm_delconfig},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static const struct {
    const char *name, *about;
} groups[] = {
    {"system", "The machine, and the daemon for disks"},
    {"vm", "List, configure and control VMs"},
};
#define GROUPS (sizeof groups / sizeof *groups)

/* Help */

static void option_line(FILE *to, const char *option, const char *about)
{
    fprintf(to, "  %-22s %s\n", option, about);
}

static void group_help(FILE *to, const char *group)
{
    if (group) {
        for (size_t i = 0; i < GROUPS; i++)
            if (!strcmp(group, groups[i].name))
                fprintf(to, "%s\n\nUsage: shyper %s <COMMAND>\n\nCommands:\n", groups[i].about, group);
        for (size_t i = 0; i < COMMANDS; i++)
            if (!strcmp(commands[i].group, group))
                fprintf(to, "  %-13s %s\n", commands[i].name, commands[i].about);
    } else {
        fputs("Configures and controls the hypervisor's VMs, and serves their disks\n\nUsage: shyper <COMMAND>\n\nCommands:\n", to);
        for (size_t i = 0; i < GROUPS; i++)
            fprintf(to, "  %-13s %s\n", groups[i].name, groups[i].about);
    }
    fputs("  help          Print this message or the help of the given subcommand(s)\n\nOptions:\n", to);
    option_line(to, "-h, --help", "Print help");
    if (!group)
        option_line(to, "-V, --version", "Print version");
}

static void usage_line(FILE *to, const struct command *command, bool with_options)
{
    static const char *const form[] = {"", " <%s>", " <%s>", " [%s]"};
    fprintf(to, "Usage: shyper %s %s", command->group, command->name);
    if (with_options && (command->force_about || command->display))
        fputs(" [OPTIONS]", to);
    if (command->kind != NO_ARGUMENT)
        fprintf(to, form[command->kind], command->argument);
    fputs("\n", to);
}

static void command_help(const struct command *command)
{
    printf("%s\n\n", command->about);
    usage_line(stdout, command, true);
    if (command->kind != NO_ARGUMENT) {
        const char *name = formatted(command->kind == ARGUMENT_OPTIONAL_FILE ? "[%s]" : "<%s>", command->argument);
        printf("\nArguments:\n  %s  %s\n", name, command->argument_about);
    }
    puts("\nOptions:");
    if (command->force_about)
        option_line(stdout, "-f, --force", command->force_about);
    if (command->display)
        option_line(stdout, "    --display <TYPE>", "Accepted and ignored [possible values: sdl]");
    option_line(stdout, "-h, --help", "Print help");
}

/* Wrong usage */

static int wrong_usage(const struct command *command, const char *error)
{
    char *visible = formatted("%s", error), *line = visible;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) { /* lines stay lines */
        *end = '\0';
        make_visible(line);
        *end = '\n';
    }
    make_visible(line);
    fprintf(stderr, "error: %s\n\n", visible);
    if (command) {
        usage_line(stderr, command, true);
        fputs("\n", stderr);
    }
    fputs("For more information, try '--help'.\n", stderr);
    return 2;
}

static int unknown(const char *what, const char *word, const char *usage)
{
    char *visible = formatted("%s", word);
    make_visible(visible);
    fprintf(stderr, "error: unrecognized %s '%s'\n\nUsage: shyper %s<COMMAND>\n\nFor more information, try '--help'.\n", what,
            visible, usage);
    return 2;
}

/* One command */

static int check_argument(const struct command *command, struct arguments *found)
{
    const char *argument = found->argument;
    if (!argument && (command->kind == ARGUMENT_VM_ID || command->kind == ARGUMENT_FILE))
        return wrong_usage(command, formatted("the following required arguments were not provided:\n  <%s>", command->argument));
    if (command->kind == ARGUMENT_VM_ID) {
        const char *problem = !*argument                                  ? "cannot parse integer from empty string"
                              : argument[strspn(argument, "0123456789")]  ? "invalid digit found in string"
                              : strlen(argument) > 5 || atoi(argument) > 65535 ? "number too large: VMs are 0 to 7"
                                                                          : NULL;
        if (problem)
            return wrong_usage(NULL, formatted("invalid value '%s' for '<%s>': %s", argument, command->argument, problem));
        found->vm_id = (uint64_t)atoi(argument);
    }
    if (command->kind == ARGUMENT_FILE) {
        if (!*argument)
            return wrong_usage(NULL, formatted("a value is required for '<%s>' but none was supplied", command->argument));
        if (access(argument, F_OK))
            return wrong_usage(NULL, formatted("invalid value '%s' for '<%s>': File %s not exists!", argument, command->argument,
                                               argument));
    }
    return 0;
}

static int run(const struct command *command, char **words)
{
    struct arguments found = {0};
    bool options = true;
    for (; *words; words++) {
        const char *word = *words;
        if (options && !strcmp(word, "--")) {
            options = false;
        } else if (options && (!strcmp(word, "-h") || !strcmp(word, "--help"))) {
            command_help(command);
            return 0;
        } else if (options && command->force_about && (!strcmp(word, "-f") || !strcmp(word, "--force"))) {
            found.force = true;
        } else if (options && command->display && (!strcmp(word, "--display") || !strncmp(word, "--display=", 10))) {
            const char *value = word[9] ? word + 10 : words[1];
            if (!value)
                return wrong_usage(command, "a value is required for '--display <TYPE>' but none was supplied");
            if (strcmp(value, "sdl"))
                return wrong_usage(NULL, formatted("invalid value '%s' for '--display <TYPE>'\n  [possible values: sdl]", value));
            words += !word[9];
        } else if ((options && word[0] == '-' && word[1]) || found.argument || command->kind == NO_ARGUMENT) {
            return wrong_usage(command, formatted("unexpected argument '%s' found", word));
        } else {
            found.argument = word;
        }
    }
    int wrong = check_argument(command, &found);
    if (wrong)
        return wrong;
    int status = command->run(&found);
    if ((fflush(stdout) || ferror(stdout)) && !status) {
        log_line(LEVEL_ERROR, "main", "the output could not be written");
        return FAILED;
    }
    return status;
}

static int help(char **words)
{
    if (!*words) {
        group_help(stdout, NULL);
        return 0;
    }
    for (size_t i = 0; i < GROUPS; i++)
        if (!strcmp(words[0], groups[i].name) && !words[1]) {
            group_help(stdout, words[0]);
            return 0;
        }
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(words[0], commands[i].group) && words[1] && !strcmp(words[1], commands[i].name)) {
            command_help(&commands[i]);
            return 0;
        }
    return unknown("subcommand", words[1] ? words[1] : words[0], "");
}

int main(int count, char **words)
{
    if (count < 2) {
        group_help(stderr, NULL);
        return 2;
    }
    const char *group = words[1];
    if (!strcmp(group, "-h") || !strcmp(group, "--help")) {
        group_help(stdout, NULL);
        return 0;
    }
    if (!strcmp(group, "-V") || !strcmp(group, "--version")) {
        puts("shyper-cli-rust 0.1.0"); /* what the original answers: scripts may ask */
        return 0;
    }
    if (!strcmp(group, "help"))
        return help(words + 2);
    bool known = false;
    for (size_t i = 0; i < GROUPS; i++)
        known = known || !strcmp(group, groups[i].name);
    if (!known)
        return group[0] == '-' ? wrong_usage(NULL, formatted("unexpected argument '%s' found", group))
                               : unknown("subcommand", group, "");
    if (count < 3) {
        group_help(stderr, group);
        return 2;
    }
    if (!strcmp(words[2], "-h") || !strcmp(words[2], "--help") || (!strcmp(words[2], "help") && count == 3)) {
        group_help(stdout, group);
        return 0;
    }
    if (!strcmp(words[2], "help"))
        return help((char *[]){(char *)(uintptr_t)group, words[3], NULL});
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i].group, group) && !strcmp(commands[i].name, words[2]))
            return run(&commands[i], words + 3);
    return unknown("subcommand", words[2], formatted("%s ", group));
}
