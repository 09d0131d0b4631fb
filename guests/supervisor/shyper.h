/* Rust-Shyper's command line, as its managing VM has it. */
#pragma once

void shyper_command(int argc, char **argv);
