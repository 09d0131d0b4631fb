#include "vm_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "log.h"

static const char *const vm_types[] = {"VM_T_LINUX", "VM_T_BARE_MATEL_APP", "VM_T_FREERTOS"};
static const char *const emulated_types[] = {
    "EMU_DEVICE_T_CONSOLE",     "EMU_DEVICE_T_GICD",           "EMU_DEVICE_T_GPPT",   "EMU_DEVICE_T_VIRTIO_BLK",
    "EMU_DEVICE_T_VIRTIO_NET",  "EMU_DEVICE_T_VIRTIO_CONSOLE", "EMU_DEVICE_T_SHYPER", "EMU_DEVICE_T_VIRTIO_BLK_MEDIATED",
    "EMU_DEVICE_T_IOMMU",       "EMU_DEVICE_T_SRE",            "EMU_DEVICE_T_SGIR",   "EMU_DEVICE_T_GICR",
    "EMU_DEVICE_T_META",        "EMU_DEVICE_T_PLIC",           "EMU_DEVICE_T_APLIC",
};
static const char *const dtb_types[] = {
    "DTB_DEVICE_T_CONSOLE", "DTB_DEVICE_T_GICD", "DTB_DEVICE_T_GICC",
    "DTB_DEVICE_T_GICR",    "DTB_DEVICE_T_PLIC", "DTB_DEVICE_T_APLIC",
};
#define WORDS(list) ((struct words){list, sizeof(list) / sizeof *(list)})

static const char *const counts[] = {"num", NULL}; /* the lists know their lengths */
static const char *const nothing[] = {NULL};
static const char *const top[] = {"id", "$schema", NULL};

/* The room for the next entry of the list at `key`; one that is full gives its last entry again, after one finding. */
#define NEXT(fields, key, list, count, most)                                                                      \
    (count == most ? (too_many(fields, key, most), &list[most - 1]) : &list[count++])

static void too_many(struct fields *fields, const char *key, unsigned most)
{
    size_t where = fields_offset(fields, key);
    for (unsigned i = 0; i < fields->report->count; i++)
        if (fields->report->found[i].offset == where)
            return;
    report_error(fields->report, where, "too-many", "The %s has more than %u entries. Remove some.", key, most);
}

static void name_form(struct fields *fields, const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,._+@-";
    size_t where = fields_offset(fields, "name");
    if (strlen(name) > MAX_NAME)
        report_error(fields->report, where, "name-too-long", "The device name has %zu bytes; the hypervisor holds %d. Shorten it.",
                     strlen(name), MAX_NAME);
    if (!*name || name[strspn(name, letters)])
        report_error(fields->report, where, "bad-name",
                     "\"%s\" cannot be the name of a device tree node. Use letters, digits and , . _ + - @ only.",
                     shortened(name));
}

static struct image_file image_file(struct fields *fields, const char *name_key, const char *ipa_key)
{
    struct image_file file = {.name = fields_string(fields, name_key, true, "file-missing")};
    file.offset = fields_offset(fields, name_key);
    file.ipa = fields_hex(fields, ipa_key);
    return file;
}

static void read_image(struct vm_config *config, struct fields fields)
{
    config->kernel = image_file(&fields, "kernel_filename", "kernel_load_ipa");
    fields_unused_hex(&fields, "kernel_entry_point");
    config->tree = image_file(&fields, "device_tree_filename", "device_tree_load_ipa");
    config->ramdisk = image_file(&fields, "ramdisk_filename", "ramdisk_load_ipa");
    if (!strcmp(config->tree.name, "-")) /* as configurations for other machines have it */
        config->tree.name = "";
    if (!strcmp(config->ramdisk.name, "-"))
        config->ramdisk.name = "";
    if (fields.object && !*config->kernel.name && fields_find(&fields, "kernel_filename"))
        report_error(fields.report, config->kernel.offset, "file-missing", "No kernel is named. Give the path of a kernel file.");
    const struct json *load = fields_find(&fields, "kernel_load_ipa");
    if (load && load->kind == JSON_STRING && !strcmp(load->text, "0"))
        report_error(fields.report, load->offset, "no-address",
                     "The kernel has no load address. Give an address within the memory regions.");
    fields_done(&fields, nothing);
}

/* `0-13,14,32-63`: decimal, inclusive ranges. */
static bool read_colors(struct vm_config *config, const char *text)
{
    for (;; text++) {
        char *end;
        if (*text < '0' || *text > '9')
            return false;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (end - text > 9)
            return false;
        if (*end == '-') {
            text = end + 1;
            if (*text < '0' || *text > '9')
                return false;
            last = strtoul(text, &end, 10);
            if (end - text > 9 || last < first)
                return false;
        }
        for (unsigned long color = first; color <= last && config->color_count < MAX_COLORS; color++)
            config->colors[config->color_count++] = color;
        if (!*end)
            return true;
        if (*end != ',')
            return false;
        text = end;
    }
}

static void read_memory(struct vm_config *config, struct fields fields)
{
    for (struct json *item = fields_items(&fields, "region", true); item; item = item->next) {
        struct fields entry = fields_of(item, "memory.region", fields.report);
        if (!entry.object)
            continue;
        struct region *region = NEXT(&fields, "region", config->regions, config->region_count, MAX_REGIONS);
        region->ipa_start = fields_hex(&entry, "ipa_start");
        region->length = fields_hex(&entry, "length");
        fields_done(&entry, nothing);
    }
    if (fields_find(&fields, "colors")) {
        const char *colors = fields_string(&fields, "colors", true, "bad-colors");
        config->has_colors = true;
        if (!read_colors(config, colors))
            report_error(fields.report, fields_offset(&fields, "colors"), "bad-colors",
                         "\"%s\" is no list of memory colours. Write numbers and ranges, for example \"0-13,14,32-63\".",
                         shortened(colors));
    }
    if (fields_find(&fields, "budget")) {
        config->has_colors = true;
        config->budget = (uint32_t)fields_number(&fields, "budget", UINT32_MAX, true);
    }
    fields_done(&fields, counts);
}

static void read_cpu(struct vm_config *config, struct fields fields)
{
    config->cpu_num = (uint32_t)fields_number(&fields, "num", UINT32_MAX, true);
    config->cpu_bitmap = fields_binary(&fields, "allocate_bitmap");
    config->cpu_master = fields_master(&fields, "master");
    fields_done(&fields, nothing);
}

static void read_emulated(struct vm_config *config, struct fields fields)
{
    for (struct json *item = fields_items(&fields, "emulated_device_list", true); item; item = item->next) {
        struct fields entry = fields_of(item, "emulated_device.emulated_device_list", fields.report);
        if (!entry.object)
            continue;
        struct emulated *device =
            NEXT(&fields, "emulated_device_list", config->emulated, config->emulated_count, MAX_EMULATED);
        device->name = fields_string(&entry, "name", true, "bad-name");
        if (fields_find(&entry, "name"))
            name_form(&entry, device->name);
        device->base_ipa = fields_hex(&entry, "base_ipa");
        device->length = fields_hex(&entry, "length");
        device->type = fields_enum(&entry, "type", WORDS(emulated_types));
        bool controller = device->type == DEVICE_PLIC || device->type == DEVICE_APLIC; /* it raises no interrupt itself */
        device->irq_id = fields_number(&entry, "irq_id", UINT64_MAX, !controller);
        fields_number(&entry, "cfg_num", UINT64_MAX, false);
        device->cfg_count = fields_numbers(&entry, "cfg_list", true, false, device->cfg, MAX_CFG);
        fields_done(&entry, nothing);
    }
    fields_done(&fields, counts);
}

static void read_passthrough(struct vm_config *config, struct fields fields)
{
    for (struct json *item = fields_items(&fields, "passthrough_device_list", true); item; item = item->next) {
        struct fields entry = fields_of(item, "passthrough_device.passthrough_device_list", fields.report);
        if (!entry.object)
            continue;
        struct passthrough *device =
            NEXT(&fields, "passthrough_device_list", config->passthrough, config->passthrough_count, MAX_PASSTHROUGH);
        fields_string(&entry, "name", false, "bad-name");
        device->base_pa = fields_hex(&entry, "base_pa");
        device->base_ipa = fields_hex(&entry, "base_ipa");
        device->length = fields_hex(&entry, "length");
        fields_number(&entry, "irq_num", UINT64_MAX, false);
        config->irq_count += fields_numbers(&entry, "irq_list", false, false, config->irqs + config->irq_count,
                                            MAX_IRQS - config->irq_count);
        if (fields_find(&entry, "smmu_id")) {
            uint64_t stream = fields_number(&entry, "smmu_id", UINT64_MAX, true);
            *NEXT(&entry, "smmu_id", config->streams, config->stream_count, MAX_STREAMS) = stream;
        }
        fields_done(&entry, nothing);
    }
    fields_done(&fields, counts);
}

static void read_dtb(struct vm_config *config, struct fields fields)
{
    for (struct json *item = fields_items(&fields, "dtb_device_list", true); item; item = item->next) {
        struct fields entry = fields_of(item, "dtb_device.dtb_device_list", fields.report);
        if (!entry.object)
            continue;
        struct dtb_device *device = NEXT(&fields, "dtb_device_list", config->dtb, config->dtb_count, MAX_DTB);
        device->name = fields_string(&entry, "name", true, "bad-name");
        if (strlen(device->name) > MAX_NAME)
            report_error(fields.report, fields_offset(&entry, "name"), "name-too-long",
                         "The device name has %zu bytes; the hypervisor holds %d. Shorten it.", strlen(device->name), MAX_NAME);
        device->type = fields_enum(&entry, "type", WORDS(dtb_types));
        device->irq_count = fields_numbers(&entry, "irq_list", false, true, device->irqs, MAX_IRQS);
        fields_number(&entry, "irq_num", UINT64_MAX, false);
        device->ipa = fields_unused_hex(&entry, "addr_region_ipa");
        device->length = fields_unused_hex(&entry, "addr_region_length");
        fields_done(&entry, nothing);
    }
    fields_done(&fields, counts);
}

static void read_names(struct vm_config *config, struct fields *fields)
{
    config->name = fields_string(fields, "name", true, "bad-name");
    config->type = fields_enum(fields, "type", WORDS(vm_types));
    config->cmdline = fields_string(fields, "cmdline", true, "bad-cmdline");
    const struct json *name = fields_find(fields, "name");
    if (name && name->kind == JSON_STRING && strlen(name->text) == name->length) {
        char *visible = formatted("%s", config->name);
        make_visible(visible);
        if (!config->name[strspn(config->name, " \t")])
            report_error(fields->report, name->offset, "bad-name", "The VM has no name. Give it one of 1 to 31 bytes.");
        else if (strcmp(visible, config->name))
            report_error(fields->report, name->offset, "bad-name",
                         "The name contains control characters. Use printable characters only.");
    }
    if (strlen(config->name) > MAX_NAME)
        report_error(fields->report, fields_offset(fields, "name"), "name-too-long",
                     "The name has %zu bytes; the hypervisor holds %d. Shorten it.", strlen(config->name), MAX_NAME);
    if (strlen(config->cmdline) > MAX_CMDLINE)
        report_error(fields->report, fields_offset(fields, "cmdline"), "cmdline-too-long",
                     "The command line has %zu bytes; the hypervisor holds %d. Shorten it.", strlen(config->cmdline),
                     MAX_CMDLINE);
}

bool vm_config_read(struct vm_config *config, struct report *report)
{
    memset(config, 0, sizeof *config);
    struct json *root = json_parse(report);
    struct fields fields = fields_of(root, "", report);
    if (!fields.object)
        return false;
    read_names(config, &fields);
    read_image(config, fields_object(&fields, "image"));
    read_memory(config, fields_object(&fields, "memory"));
    read_cpu(config, fields_object(&fields, "cpu"));
    read_emulated(config, fields_object(&fields, "emulated_device"));
    read_passthrough(config, fields_object(&fields, "passthrough_device"));
    read_dtb(config, fields_object(&fields, "dtb_device"));
    fields_done(&fields, top);
    return report->errors == 0;
}
