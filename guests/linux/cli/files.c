#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static const char *problem = "";

static int refused(mode_t mode, bool devices)
{
    if (S_ISREG(mode) || (devices && S_ISBLK(mode)))
        return 0;
    problem = S_ISDIR(mode)    ? "it is a directory"
              : S_ISFIFO(mode) ? "it is a pipe"
              : S_ISSOCK(mode) ? "it is a socket"
              : S_ISCHR(mode)  ? "it is a character device"
                               : "it is a block device";
    errno = EINVAL;
    return 1;
}

static const char *system_problem(void)
{
    int error = errno;
    char *text = formatted("%s", strerror(error));
    if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z')
        text[0] += 'a' - 'A'; /* "No such file": it ends a sentence; "I/O error" stays */
    errno = error;
    return text;
}

int open_regular(const char *path, int flags, bool devices, struct stat *status)
{
    if (stat(path, status)) { /* before it is opened: that may have an effect already */
        problem = system_problem();
        return -1;
    }
    if (refused(status->st_mode, devices))
        return -1;
    int descriptor = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0 || fstat(descriptor, status)) {
        problem = system_problem();
    } else if (!refused(status->st_mode, devices)) {
        return descriptor;
    }
    int error = errno;
    if (descriptor >= 0)
        close(descriptor);
    errno = error;
    return -1;
}

const char *file_problem(void)
{
    return problem;
}

char *absolute(const char *path)
{
    char folder[4096];
    if (path[0] == '/' || !getcwd(folder, sizeof folder))
        return formatted("%s", path);
    return formatted("%s/%s", strcmp(folder, "/") ? folder : "", path);
}
