#pragma once

#define FOLDER "/run/shyper" /* links to the files of VMs, and the daemon's lock */
