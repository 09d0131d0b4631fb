/* What a guest can try against the hypervisor and its neighbours. Each attack is a function that is called again and
   again, on every hart of the VM; a trap ends one call and nothing else, unless the attack sees to that. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct attack {
    const char *name, *help;
    void (*round)(void);
};

/* hypercall_attacks.c */
void attack_hypercalls(void);
/* device_attacks.c */
void attack_mmio(void);
void attack_execute_devices(void);
/* ring_attacks.c */
void attack_rings(void);
void attack_dma(void);
void attack_notify(void);
void attack_net_flood(void);
void attack_console_flood(void);
/* heavy_attacks.c */
void attack_heavy_text(void);
void attack_heavy_disk(void);
void attack_heavy_frames(void);
/* page_attacks.c */
void attack_page_tables(void);
void attack_satp(void);
/* interrupt_attacks.c */
void attack_ipis(void);
void attack_vplic(void);
void attack_timers(void);
void attack_timer_stuck(void);
/* sbi_attacks.c */
void attack_sbi(void);
void attack_fences(void);
void attack_debug_console(void);
void attack_harts(void);
void attack_suspend(void);
void attack_reset(void);
void attack_power_off(void);
/* trap_attacks.c */
void attack_ecalls(void);
void attack_wfi(void);
void attack_trap_to_itself(void);
void attack_trap_to_nowhere(void);
void attack_trap_misaligned(void);
void attack_trap_to_device(void);
void attack_jump_to_nowhere(void);
/* code_attacks.c */
void attack_csrs(void);
void attack_privileged(void);
void attack_changing_code(void);
void attack_random_code(void);

/* cost_attacks.c */
void attack_fresh_code(void);
void attack_page_crossing(void);
void attack_odd_floats(void);
void attack_full_contexts(void);
void attack_own_fences(void);
void attack_tlb_misses(void);
void attack_own_traps(void);
void attack_faults(void);
void attack_busy(void);

/* random.c: a sequence of its own for each hart, the same in every run. */
uint64_t random_number(void);
uint64_t random_below(uint64_t limit);
/* Addresses worth a try: of devices, edges of RAM, machine memory that is not ours. Never our own image. */
uint64_t random_place(void);
/* An argument: often a place, a small number or all ones. */
uint64_t random_argument(void);

/* 64 KiB that an attack may have overwritten. */
extern uint8_t arena[64 << 10];

/* one_instruction.c: runs `word` with a0 = first and a1 = second; false when it trapped. It may change a0, a1 and the
   temporary registers. */
bool run_instruction(uint32_t word, uint64_t first, uint64_t second);
/* Where this hart builds its code: CODE_WORDS words. */
uint32_t *code_buffer(void);
void run_code(void); /* calls the code buffer */
#define CODE_WORDS 64
#define RETURN 0x00008067u /* jalr x0, 0(ra) */
