/* What the command says: results on standard output, log lines on standard error, in env_logger's default format. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum level { LEVEL_INFO, LEVEL_WARN, LEVEL_ERROR };

/* One log line: `[2026-12-01T04:38:05Z INFO  shyper_cli_rust::<module>] <text>`. Any thread may call it. */
void log_line(enum level level, const char *module, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_info(...) log_line(LEVEL_INFO, MODULE, __VA_ARGS__)
#define log_warn(...) log_line(LEVEL_WARN, MODULE, __VA_ARGS__)
#define log_error(...) log_line(LEVEL_ERROR, MODULE, __VA_ARGS__)

/* Text of others, such as names in files, must not steer the terminal: control and invisible characters are replaced in place. */
void make_visible(char *text);

/* A printf into memory that is never given back: for texts that live as long as the process. */
char *formatted(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Memory, or the end of the process with a message. */
void *allocate(size_t size);
