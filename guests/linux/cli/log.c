#include "log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 2048

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* The rest of a character that begins with 0xe2: invisible ones, and those that turn the direction of a line. */
static bool hidden(unsigned char second, unsigned char third)
{
    return (second == 0x80 && ((third >= 0x8b && third <= 0x8f) || (third >= 0xa8 && third <= 0xae))) || /* U+200B, U+2028 */
           (second == 0x81 && third >= 0xa0 && third <= 0xaf);                                           /* U+2060 */
}

void make_visible(char *text)
{
    unsigned char *at = (unsigned char *)text;
    for (; *at; at++) {
        if (*at < 0x20 || *at == 0x7f)
            *at = '?';
        else if (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f) /* U+0080..U+009F in UTF-8 */
            at[0] = at[1] = '?';
        else if (*at == 0xe2 && hidden(at[1], at[2]))
            at[0] = at[1] = at[2] = '?';
    }
}

void log_line(enum level level, const char *module, const char *format, ...)
{
    static const char *const names[] = {"INFO ", "WARN ", "ERROR"};
    char text[LONGEST], line[LONGEST + 128], stamp[32];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_visible(text);
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    int size = snprintf(line, sizeof line, "[%s %s shyper_cli_rust::%s] %s\n", stamp, names[level], module, text);
    pthread_mutex_lock(&one_at_a_time);
    fflush(stdout); /* what was said before comes before, where both lead to one terminal */
    for (int done = 0; done < size;) {
        ssize_t count = write(STDERR_FILENO, line + done, (size_t)(size - done));
        if (count <= 0)
            break; /* a terminal that is gone: nobody reads it */
        done += (int)count;
    }
    pthread_mutex_unlock(&one_at_a_time);
}

void *allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory) {
        fputs("shyper: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

char *formatted(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = allocate((size_t)(size < 0 ? 0 : size) + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}
