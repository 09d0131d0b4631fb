#pragma once

#define FOLDER "/run/shyper" /* links to the files of VMs, and the daemon's lock */

/* Makes it, and /run where a small system has none. */
void folder_make(void);
