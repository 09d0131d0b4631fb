/* `shyper vm config`: a VM's definition, sent to the hypervisor piece by piece. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* argv: NAME and KEY=VALUE...; false for wrong arguments, true when they were right, whatever the hypervisor said. */
bool vm_config(int argc, char **argv);
