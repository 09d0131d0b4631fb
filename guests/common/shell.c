#include "shell.h"

#include "console.h"
#include "hart.h"
#include "print.h"
#include "string.h"

#define LINE_MAX 512
#define HISTORY 8
#define CTRL(letter) ((letter)&31)

static const struct command *tables[2];
static char history[HISTORY][LINE_MAX];
static unsigned history_count;

struct editor {
    const char *prompt;
    char line[LINE_MAX];
    size_t length;
};

static void erase_line(struct editor *editor)
{
    printf("\r\x1b[K%s", editor->prompt);
    editor->length = 0;
}

static void recall(struct editor *editor, unsigned index)
{
    erase_line(editor);
    if (index < history_count) {
        editor->length = strlen(history[index % HISTORY]);
        memcpy(editor->line, history[index % HISTORY], editor->length);
        console_write(editor->line, editor->length);
    }
}

/* The rest of an escape sequence: cursor up and down walk the history, everything else is swallowed. */
static void escape_sequence(struct editor *editor, unsigned *position)
{
    char c = console_wait();
    if (c != '[' && c != 'O')
        return;
    do
        c = console_wait();
    while (c >= ' ' && c < '@');
    unsigned oldest = history_count > HISTORY ? history_count - HISTORY : 0;
    if (c == 'A' && *position > oldest)
        recall(editor, --*position);
    else if (c == 'B' && *position < history_count)
        recall(editor, ++*position);
}

/* Reads one line into editor->line, terminated. */
static void read_line(struct editor *editor)
{
    unsigned position = history_count;
    editor->length = 0;
    printf("%s", editor->prompt);
    for (;;) {
        char c = console_wait();
        if (c == '\r' || c == '\n') {
            printf("\n");
            editor->line[editor->length] = '\0';
            return;
        } else if (c == CTRL('c')) {
            printf("^C\n%s", editor->prompt);
            editor->length = 0;
        } else if (c == CTRL('u')) {
            erase_line(editor);
        } else if (c == '\b' || c == 0x7f) {
            if (editor->length) {
                editor->length--;
                printf("\b \b");
            }
        } else if (c == '\x1b') {
            escape_sequence(editor, &position);
        } else if (c >= ' ' && c < 0x7f && editor->length + 1 < LINE_MAX) {
            editor->line[editor->length++] = c;
            console_write(&c, 1);
        }
    }
}

static void remember(const char *line)
{
    if (history_count && !strcmp(history[(history_count - 1) % HISTORY], line))
        return;
    memcpy(history[history_count++ % HISTORY], line, strlen(line) + 1);
}

static void show_help(void)
{
    for (int t = 0; t < 2; t++)
        for (const struct command *c = tables[t]; c->name; c++) {
            char left[40];
            format_to(left, sizeof left, "%s %s", c->name, c->arguments);
            printf("  %-28s %s\n", left, c->help);
        }
    printf("  %-28s %s\n", "help", "this list");
}

static const struct command *find(const char *name)
{
    for (int t = 0; t < 2; t++)
        for (const struct command *c = tables[t]; c->name; c++)
            if (!strcmp(c->name, name))
                return c;
    return NULL;
}

void shell_usage(char **argv)
{
    const char *before = "usage:";
    for (int t = 0; t < 2; t++)
        for (const struct command *c = tables[t]; c->name; c++)
            if (!strcmp(c->name, argv[0])) { /* a command may stand in several lines, one for each form */
                printf("%s %s %s\n", before, c->name, c->arguments);
                before = "      ";
            }
}

struct call {
    const struct command *command;
    int argc;
    char **argv;
};

static void perform(void *argument)
{
    struct call *call = argument;
    call->command->run(call->argc, call->argv);
}

static void run_line(char *line)
{
    char *argv[MAX_ARGUMENTS + 1];
    int argc = 0;
    for (char *p = line; *p && argc < MAX_ARGUMENTS;) {
        while (*p == ' ')
            *p++ = '\0';
        if (*p)
            argv[argc++] = p;
        while (*p && *p != ' ')
            p++;
    }
    argv[argc] = NULL;
    if (!argc)
        return;
    const struct command *command = find(argv[0]);
    if (!strcmp(argv[0], "help")) {
        show_help();
    } else if (!command) {
        printf("%s: no such command (help lists them)\n", argv[0]);
    } else {
        struct call call = {command, argc, argv};
        console_clear_interrupt();
        if (!guarded_call(perform, &call))
            fault_show(&this_hart()->fault);
    }
}

void shell_run(const char *prompt, const struct command *own_commands)
{
    struct editor editor = {.prompt = prompt};
    tables[0] = own_commands;
    tables[1] = common_commands;
    for (;;) {
        read_line(&editor);
        if (editor.length)
            remember(editor.line);
        run_line(editor.line);
    }
}
