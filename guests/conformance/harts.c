/* Harts other than the boot hart: started, asked to make a hypercall of their own, stopped, started once more. */
#include "csr.h"
#include "hart.h"
#include "print.h"
#include "sbi.h"
#include "steps.h"

enum { A0 = 10, A7 = 17 };
enum { STARTED = 0, STOPPED = 1 };

static struct environment_call calls[MAX_HARTS];
static uint64_t ids[MAX_HARTS];

static void ask_for_id(struct hart *hart)
{
    struct environment_call *call = &calls[hart->id];
    call_prepare(call);
    call->before[A0] = AT(&ids[hart->id]);
    call->before[A7] = VM_GET_ID;
    call_make(call);
}

static bool idle(void *hart)
{
    return !((struct hart *)hart)->work;
}

static bool never(void *unused)
{
    (void)unused;
    return false;
}

/* HSM has no interrupt for a change of state: it is asked again every millisecond, half a second at most. */
static void wait_for_state(uint64_t id, uint64_t wanted)
{
    for (int i = 0; i < 500 && sbi_hart_status(id).value != wanted; i++)
        wait_for(never, NULL, time_now() + milliseconds(1));
}

static void start(uint64_t id, const char *how)
{
    char name[32];
    printf("# start %lu%s error=%lu\n", id, how, (uint64_t)-hart_start(id));
    wait_for_state(id, STARTED);
    format_to(name, sizeof name, "started %lu%s", id, how);
    SBI(name, SBI_HSM, 2, id);
    format_to(name, sizeof name, "start %lu again", id);
    SBI(name, SBI_HSM, 0, id, machine.memory[0].base, 0);
    hart_run(id, ask_for_id);
    wait_for(idle, &harts[id], time_now() + milliseconds(500));
    printf("= id on %lu ", id);
    call_print(&calls[id]);
    show_bytes("id", &ids[id], sizeof ids[id]);
}

static void stop(uint64_t id)
{
    char name[32];
    harts[id].stop_asked = true;
    sbi_send_ipi(id);
    wait_for_state(id, STOPPED);
    format_to(name, sizeof name, "stopped %lu", id);
    SBI(name, SBI_HSM, 2, id);
}

void run_harts(void)
{
    for (unsigned i = 0; i < machine.hart_count; i++) {
        uint64_t id = machine.harts[i].id;
        if (id == this_hart()->id || id >= MAX_HARTS)
            continue;
        ids[id] = UINT64_MAX;
        start(id, "");
        stop(id);
        start(id, " after stop");
        stop(id);
    }
}
