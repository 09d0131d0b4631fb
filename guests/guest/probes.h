/* The guest's own commands: block device, timer, harts, faults, address translation. */
#pragma once

#include <stdint.h>

#include "shell.h"

extern const struct command guest_commands[];

void blk(int argc, char **argv);
void timer(int argc, char **argv);
void hart(int argc, char **argv);
void smp(int argc, char **argv);
void fault(int argc, char **argv);
void mmu(int argc, char **argv);
void fp(int argc, char **argv);
void spin(int argc, char **argv);

void float_fill(uint64_t seed); /* float_registers.S */
uint64_t float_differences(uint64_t seed);
