#include "kernel_file.h"

#include <stdbool.h>
#include <stddef.h>

#include "machine.h"
#include "string.h"

#define ALIGNMENT (2ul << 20)
#define TREE_ROOM (2ul << 20)
#define MAX_PIECES 4

/* ELF-64: file header and program header, as far as they are read here. */
struct elf_header {
    uint8_t identification[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_size, program_header_size, program_header_count;
};
struct program_header {
    uint32_t type, flags;
    uint64_t offset, virtual_address, physical_address, file_size, memory_size, alignment;
};
#define PT_LOAD 1

static struct {
    const uint8_t *data;
    uint64_t at, length; /* place in the raw file */
} pieces[MAX_PIECES];
static unsigned piece_count;
static uint64_t file_size, extended_size;

/* What an ELF file has at its physical addresses, the lowest of them first. */
static const char *open_elf(const uint8_t *file, uint64_t length)
{
    const struct elf_header *elf = (const struct elf_header *)file;
    uint64_t lowest = UINT64_MAX;
    if (elf->program_header_size != sizeof(struct program_header) || elf->program_headers > length ||
        elf->program_header_count * sizeof(struct program_header) > length - elf->program_headers)
        return "the kernel's ELF header is damaged";
    const struct program_header *headers = (const struct program_header *)(file + elf->program_headers);
    for (unsigned i = 0; i < elf->program_header_count; i++)
        if (headers[i].type == PT_LOAD && headers[i].physical_address < lowest)
            lowest = headers[i].physical_address;
    for (unsigned i = 0; i < elf->program_header_count; i++) {
        const struct program_header *header = &headers[i];
        if (header->type != PT_LOAD || !header->file_size)
            continue;
        if (piece_count == MAX_PIECES || header->offset > length || header->file_size > length - header->offset)
            return "the kernel's ELF segments are damaged, or too many";
        pieces[piece_count].data = file + header->offset;
        pieces[piece_count].at = header->physical_address - lowest;
        pieces[piece_count].length = header->file_size;
        if (file_size < header->physical_address - lowest + header->file_size)
            file_size = header->physical_address - lowest + header->file_size;
        piece_count++;
    }
    return file_size ? NULL : "the kernel is an ELF file with nothing to load";
}

const char *kernel_file_open(uint64_t buffer_size)
{
    const uint8_t *file = (const uint8_t *)machine.ramdisk_base;
    piece_count = 0;
    file_size = 0;
    if (!machine.ramdisk_length)
        return "no kernel: the boot loader gave this VM no ramdisk";
    if (!kernel_file_buffer(buffer_size))
        return "no memory for the upload buffer";
    if (machine.ramdisk_length > sizeof(struct elf_header) && !memcmp(file, "\177ELF", 4))
        return open_elf(file, machine.ramdisk_length);
    pieces[0].data = file;
    pieces[0].at = 0;
    pieces[0].length = file_size = machine.ramdisk_length;
    piece_count = 1;
    return NULL;
}

uint64_t kernel_file_size(void)
{
    return extended_size > file_size ? extended_size : file_size;
}

void kernel_file_extend(uint64_t size)
{
    extended_size = size;
}

void kernel_file_read(uint64_t offset, uint8_t *to, uint64_t count)
{
    memset(to, 0, count);
    for (unsigned i = 0; i < piece_count; i++) {
        uint64_t first = pieces[i].at > offset ? pieces[i].at : offset;
        uint64_t end = pieces[i].at + pieces[i].length < offset + count ? pieces[i].at + pieces[i].length
                                                                        : offset + count;
        if (first < end)
            memcpy(to + (first - offset), pieces[i].data + (first - pieces[i].at), end - first);
    }
}

uint8_t *kernel_file_buffer(uint64_t size)
{
    const struct {
        uint64_t base, end;
    } used[] = {
        {(uint64_t)image_start, (uint64_t)image_end},
        {(uint64_t)machine.tree, (uint64_t)machine.tree + TREE_ROOM},
        {machine.ramdisk_base, machine.ramdisk_base + machine.ramdisk_length},
    };
    for (unsigned m = 0; m < machine.memory_count; m++) {
        uint64_t at = machine.memory[m].base, end = at + machine.memory[m].length;
        for (bool moved = true; moved;) {
            moved = false;
            at = (at + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
            for (unsigned i = 0; i < sizeof used / sizeof used[0]; i++)
                if (at < used[i].end && used[i].base < at + size) {
                    at = used[i].end;
                    moved = true;
                }
        }
        if (at + size <= end)
            return (uint8_t *)at;
    }
    return NULL;
}
