#include "daemon_config.h"

#include <string.h>

#include "fields.h"
#include "log.h"

bool daemon_config_read(struct daemon_config *config, struct report *report)
{
    static const char *const ignored[] = {"$schema", NULL};
    memset(config, 0, sizeof *config);
    struct json *root = json_parse(report);
    struct fields fields = fields_of(root, "", report);
    if (!fields.object)
        return false;
    unsigned count = 0;
    for (struct json *item = fields_items(&fields, "mediated", true); item; item = item->next, count++) {
        const char *path = item_string(&fields, formatted("mediated[%u]", count), item, "file-missing");
        if (count < MAX_DISKS)
            config->paths[config->count++] = path;
    }
    if (count > MAX_DISKS)
        report_error(report, fields_offset(&fields, "mediated"), "too-many", "%u disks are given; there can be %d. Remove some.",
                     count, MAX_DISKS);
    fields_done(&fields, ignored);
    return report->errors == 0;
}
