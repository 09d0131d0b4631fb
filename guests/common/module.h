/* What Rust-Shyper's kernel module does: the message page, the hypervisor's interrupt, power off and reboot on request.
   The managing VM has it, and every guest VM with a `shyper` device. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A message of the hypervisor; what lies behind `vm` depends on function and event. */
struct message {
    uint64_t function, event, vm;
    uint8_t rest[512 - 24];
};

/* The module's load sequence. Says on the console what went wrong; without a hypervisor it fails. */
bool module_load(void);
/* Switches the interrupt off; the hypervisor keeps the page and goes on writing to it. */
void module_unload(void);
bool module_loaded(void);

/* Who gets the messages of a function (1 manage, 3 mediated disks, 0x11 configuration); from the interrupt handler. */
void module_listen(uint64_t function, void (*listener)(const struct message *message));

void module_command(int argc, char **argv); /* insmod, rmmod, messages */
