/* Rust-Shyper's hypercalls, as its managing VM uses them. */
#pragma once

#include <stdint.h>

void shyper_init(void); /* notification page and interrupt */
void shyper_command(int argc, char **argv);
