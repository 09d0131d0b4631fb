#include "upload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"
#include "files.h"
#include "log.h"

#define PIECE ((size_t)2 << 20)

volatile sig_atomic_t upload_interrupted;

const char *upload_open(struct upload_file *file, const char *name)
{
    struct stat status;
    file->descriptor = open_regular(name, O_RDONLY, false, &status);
    if (file->descriptor < 0)
        return formatted("cannot be read: %s", file_problem());
    file->size = (uint64_t)status.st_size;
    if (file->size)
        return NULL;
    upload_close(file);
    return "is empty";
}

void upload_close(struct upload_file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
}

/* `size` bytes of the file from `offset` into the buffer. */
static const char *fill(const struct upload_file *file, uint64_t offset, unsigned char *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(file->descriptor, to + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return formatted("cannot be read: %s", strerror(errno));
        if (!count)
            return "has become shorter while it was read";
        done += (size_t)count;
    }
    return NULL;
}

static const char *send(int driver, unsigned number, struct upload *piece, const struct buffer *buffer, size_t size)
{
    uint64_t start = piece->offset;
    for (size_t done = 0, length; done < size; done += length) {
        if (upload_interrupted)
            return "was interrupted";
        piece->buffer_ipa = buffer_address(buffer, done, size - done, &length);
        if (!piece->buffer_ipa)
            return "cannot be sent: where its memory is cannot be known";
        piece->offset = start + done;
        piece->size = length;
        if (driver_call(driver, number, (uintptr_t)piece) < 0)
            return formatted("was refused by the hypervisor at byte %llu; its log says why",
                             (unsigned long long)piece->offset);
    }
    return NULL;
}

const char *upload_send(int driver, unsigned number, uint64_t vm_id, const struct upload_file *file)
{
    struct buffer buffer;
    const char *problem = buffer_create(&buffer, PIECE);
    if (problem)
        return formatted("cannot be sent: %s", problem);
    for (uint64_t offset = 0; offset < file->size && !problem; offset += PIECE) {
        size_t size = file->size - offset < PIECE ? (size_t)(file->size - offset) : PIECE;
        struct upload piece = {.vm_id = vm_id, .file_size = file->size, .offset = offset};
        problem = fill(file, offset, buffer.memory, size);
        if (!problem)
            problem = send(driver, number, &piece, &buffer, size);
    }
    buffer_free(&buffer);
    return problem;
}
