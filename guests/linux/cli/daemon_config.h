/* The daemon's configuration file: the list of mediated disks. */
#pragma once

#include "report.h"

#define MAX_DISKS 16

struct daemon_config {
    unsigned count;
    const char *paths[MAX_DISKS];
};

/* Reads the file's text in `report`; false after errors, which are findings. The disks are not looked at. */
bool daemon_config_read(struct daemon_config *config, struct report *report);
