/* What the hypervisor's services cost its managing VM, measured from inside: microbenchmarks in S-mode.

   Prints `result NAME OPERATIONS NANOSECONDS` (the best of several batches) and BENCH-DONE. `mark NAME` lines tell
   whoever watches the console when something single begins and ends: the clock in here is not exact enough for it.
   Runs in machine mode, too: what needs a hypervisor is left out there. */
#include <stddef.h>
#include <stdint.h>

#define UART ((volatile uint8_t *)0x10000000)
#define PLIC_PRIORITY ((volatile uint32_t *)0x0c000004)   /* priority of source 1 */
#define EMULATED_MAGIC ((volatile uint32_t *)0x40003000)  /* the managing VM's own network device */
#define PASSED_MAGIC ((volatile uint32_t *)0x10001000)    /* the board's first virtio slot */

#define SBI_BASE 0x10
#define SBI_RFENCE 0x52464e43
#define SBI_SRST 0x53525354
#define HYPERCALL(type, event) (0x0a000000ul | (type) << 8 | (event))
#define GET_STATE HYPERCALL(1, 1)
#define BOOT HYPERCALL(1, 2)
#define GET_ID HYPERCALL(1, 8)
#define REMOVE HYPERCALL(1, 16)
#define ADD_VM HYPERCALL(0x11, 0)
#define SET_CPU HYPERCALL(0x11, 2)
#define ADD_MEMORY HYPERCALL(0x11, 3)
#define ADD_DEVICE HYPERCALL(0x11, 4)
#define UPLOAD_KERNEL HYPERCALL(0x11, 9)

#define BATCHES 12
#define OPERATIONS 1000
#define GIB (1ul << 30)
#define GUEST_RAM 0x80000000ul
#define PENDING 1
#define NANOSECONDS 100    /* of a tick */
#define MILLISECOND 10000 /* in ticks */

int64_t call(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7);
extern const char filler[], filler_end[];

static uint64_t own_id __attribute__((aligned(8)));
static const uint64_t no_settings[16];

void *memset(void *to, int value, size_t count) /* the compiler calls it */
{
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)to)[i] = (uint8_t)value;
    return to;
}

static uint64_t now(void)
{
    uint64_t ticks;
    __asm__ volatile("rdtime %0" : "=r"(ticks)::"memory");
    return ticks;
}

static void print(const char *text)
{
    while (*text)
        *UART = (uint8_t)*text++;
}

static void print_number(uint64_t value)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        *UART = (uint8_t)digits[--count];
}

static void result(const char *name, uint64_t operations, uint64_t nanoseconds)
{
    print("result ");
    print(name);
    print(" ");
    print_number(operations);
    print(" ");
    print_number(nanoseconds);
    print("\n");
}

void trapped(uint64_t cause, uint64_t pc, uint64_t value)
{
    print("trap: scause ");
    print_number(cause);
    print(" sepc ");
    print_number(pc);
    print(" stval ");
    print_number(value);
    print("\n");
}

static void get_id(void)
{
    call((uint64_t)&own_id, 0, 0, 0, 0, 0, 0, GET_ID);
}

static void base_call(void)
{
    call(0, 0, 0, 0, 0, 0, 0, SBI_BASE);
}

static void fence_self(void)
{
    call(1, 0, 0, 4096, 0, 0, 1, SBI_RFENCE); /* hart mask 1, base 0, one page: remote sfence.vma */
}

static void read_plic(void)
{
    (void)*PLIC_PRIORITY;
}

static void read_emulated(void)
{
    (void)*EMULATED_MAGIC;
}

static void read_passed(void)
{
    (void)*PASSED_MAGIC;
}

static void measure(const char *name, void (*operation)(void))
{
    uint64_t best = UINT64_MAX;
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t started = now();
        for (int i = 0; i < OPERATIONS; i++)
            operation();
        uint64_t taken = now() - started;
        best = taken < best ? taken : best;
    }
    result(name, OPERATIONS, best * NANOSECONDS);
}

static void mark(const char *name)
{
    print("mark ");
    print(name);
    print("\n");
}

static void spin(uint64_t ticks)
{
    for (uint64_t end = now() + ticks; now() < end;)
        ;
}

static int64_t configure(void)
{
    static char name[32] = "one-gib", cmdline[32] = "";
    uint64_t about[8] = {(uint64_t)name, 7, 0, (uint64_t)cmdline, 0, GUEST_RAM, 0, 0};
    int64_t id = call((uint64_t)about, 0, 0, 0, 0, 0, 0, ADD_VM);
    if (id <= 0)
        return id;
    call((uint64_t)id, GUEST_RAM, GIB, 0, 0, 0, 0, ADD_MEMORY);
    call((uint64_t)id, 3, 0xe, 1, 0, 0, 0, SET_CPU);
    static char plic[32] = "plic@c000000";
    call((uint64_t)id, (uint64_t)plic, 0x0c000000, 0x600000, 0, (uint64_t)no_settings, 13, ADD_DEVICE);
    return id;
}

/* A VM of 1 GiB: made, filled by its guest, removed while this VM works on. */
static void life_of_a_vm(void)
{
    mark("create");
    int64_t id = configure();
    uint64_t size = (uint64_t)(filler_end - filler);
    if (id <= 0 || call((uint64_t)id, size, (uint64_t)filler, 0, size, 0, 0, UPLOAD_KERNEL)) {
        print("the VM of 1 GiB could not be made\n");
        return;
    }
    mark("created");
    call((uint64_t)id, 0, 0, 0, 0, 0, 0, BOOT);
    while (call((uint64_t)id, 0, 0, 0, 0, 0, 0, GET_STATE) != PENDING)
        spin(MILLISECOND);
    mark("remove");
    call((uint64_t)id, 0, 0, 0, 0, 0, 0, REMOVE);
    mark("removed");
    spin(200 * MILLISECOND);
    mark("end");
}

void main(void)
{
    own_id = UINT64_MAX;
    measure("sbi_base", base_call);
    measure("remote_fence", fence_self);
    measure("plic_read", read_plic);
    measure("passthrough_read", read_passed);
    get_id();
    if (own_id == 0) {
        measure("hypercall", get_id);
        measure("virtio_read", read_emulated);
        for (int i = 0; i < 3; i++)
            life_of_a_vm();
    }
    print("BENCH-DONE\n");
    call(0, 0, 0, 0, 0, 0, 0, SBI_SRST);
}
