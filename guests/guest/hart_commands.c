#include "console.h"
#include "csr.h"
#include "hart.h"
#include "print.h"
#include "probes.h"
#include "sbi.h"
#include "string.h"

#define SMP_ADDITIONS 100000

static uint64_t counter, additions;
static uint64_t awaited; /* bit for each hart that works */

static bool known(uint64_t id)
{
    for (unsigned i = 0; i < machine.hart_count; i++)
        if (machine.harts[i].id == id)
            return id < MAX_HARTS;
    return false;
}

static bool in_state(uint64_t id, uint64_t state)
{
    struct sbi_result status = sbi_hart_status(id);
    return !status.error && status.value == state;
}

static bool started(uint64_t id)
{
    return in_state(id, SBI_HSM_STARTED);
}

/* Whether the hart reached the state that was asked for. Asked again every millisecond: HSM has no interrupt for it. */
static bool wait_state(uint64_t id, uint64_t wanted)
{
    for (int i = 0; i < 1000 && !console_interrupted(); i++) {
        if (in_state(id, wanted))
            return true;
        uint64_t until = time_now() + milliseconds(1);
        wait_for(console_has_input, NULL, until);
    }
    return false;
}

static void start(uint64_t id)
{
    int64_t error = known(id) ? hart_start(id) : -3;
    if (error)
        printf("hart %lu: %s\n", id, sbi_error_name(error));
    else
        printf("hart %lu %s\n", id, wait_state(id, SBI_HSM_STARTED) ? "started" : "does not start");
}

static void stop(uint64_t id)
{
    if (!known(id) || id == this_hart()->id || !started(id)) {
        printf("hart %lu: %s\n", id,
               !known(id)              ? "no such hart"
               : id == this_hart()->id ? "runs this shell"
                                       : "is stopped");
        return;
    }
    harts[id].stop_asked = true;
    sbi_send_ipi(id);
    printf("hart %lu %s\n", id, wait_state(id, SBI_HSM_STOPPED) ? "stopped" : "does not stop");
}

void hart(int argc, char **argv)
{
    uint64_t id;
    bool numbered = argc == 3 && parse_number(argv[2], &id);
    if (argc < 2 || argc > 3 || (argc == 3 && !numbered)) {
        shell_usage(argv);
    } else if (!strcmp(argv[1], "start") && numbered) {
        start(id);
    } else if (!strcmp(argv[1], "stop") && numbered) {
        stop(id);
    } else if (!strcmp(argv[1], "stop")) {
        for (unsigned i = 0; i < machine.hart_count; i++)
            if (machine.harts[i].id != this_hart()->id && started(machine.harts[i].id))
                stop(machine.harts[i].id);
    } else {
        shell_usage(argv);
    }
}

static void add(struct hart *hart)
{
    uint64_t done = 0;
    for (; done < additions; done++)
        __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED); /* amoadd.d */
    hart->result = done;
    __atomic_fetch_and(&awaited, ~(1ul << hart->id), __ATOMIC_SEQ_CST);
}

static bool all_done(void *unused)
{
    (void)unused;
    return !__atomic_load_n(&awaited, __ATOMIC_SEQ_CST);
}

void smp(int argc, char **argv)
{
    uint64_t team = 0, expected = 0;
    additions = SMP_ADDITIONS;
    if (argc > 2 || (argc == 2 && !parse_number(argv[1], &additions))) {
        shell_usage(argv);
        return;
    }
    if (awaited) {
        printf("smp: harts of an earlier run (mask 0x%lx) have not come back\n", awaited);
        return;
    }
    counter = 0;
    for (unsigned i = 0; i < machine.hart_count; i++)
        if (known(machine.harts[i].id) && started(machine.harts[i].id))
            team |= 1ul << machine.harts[i].id;
    __atomic_store_n(&awaited, team, __ATOMIC_SEQ_CST);
    uint64_t start_time = time_now();
    for (uint64_t id = 0; id < MAX_HARTS; id++)
        if (team >> id & 1 && id != this_hart()->id)
            hart_run(id, add);
    add(this_hart());
    if (!wait_for(all_done, NULL, time_now() + milliseconds(10000))) {
        printf("smp: no answer from harts of mask 0x%lx\n", awaited);
        return;
    }
    uint64_t microseconds = ticks_to_us(time_now() - start_time);
    for (uint64_t id = 0; id < MAX_HARTS; id++)
        if (team >> id & 1) {
            printf("hart %lu added %lu\n", id, harts[id].result);
            expected += harts[id].result;
        }
    printf("counter %lu, expected %lu: %s (%lu us)\n", counter, expected, counter == expected ? "ok" : "LOST UPDATES",
           microseconds);
}
