/* The kernel module's and the daemon's part in mediated disks: RAM disks that the hypervisor's guests may use. */
#pragma once

#include <stdbool.h>

/* `shyper system daemon ...`, argv from the word after `daemon` on. False for arguments that mean nothing. */
bool daemon_command(int argc, char **argv);
