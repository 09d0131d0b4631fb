/* Processes and pipes on Linux, measured: prints `result NAME OPERATIONS NANOSECONDS`, the best of several batches.

   Without a C library: system calls by their numbers (Linux, asm-generic/unistd.h), so that the kernel is all there is. */
#include <stddef.h>
#include <stdint.h>

#define SYS_PIPE2 59
#define SYS_READ 63
#define SYS_WRITE 64
#define SYS_CLOSE 57
#define SYS_EXIT_GROUP 94
#define SYS_NANOSLEEP 101
#define SYS_CLOCK_GETTIME 113
#define SYS_REBOOT 142
#define REBOOT_MAGIC1 0xfee1dead
#define REBOOT_MAGIC2 672274793
#define REBOOT_POWER_OFF 0x4321fedc
#define SYS_CLONE 220
#define SYS_WAIT4 260
#define CLOCK_MONOTONIC 1
#define SIGCHLD 17

#define BATCHES 10

struct timespec {
    int64_t seconds, nanoseconds;
};

static long call(long number, long a0, long a1, long a2, long a3, long a4)
{
    register long x10 __asm__("a0") = a0;
    register long x11 __asm__("a1") = a1;
    register long x12 __asm__("a2") = a2;
    register long x13 __asm__("a3") = a3;
    register long x14 __asm__("a4") = a4;
    register long x17 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(x10) : "r"(x11), "r"(x12), "r"(x13), "r"(x14), "r"(x17) : "memory");
    return x10;
}

void *memset(void *to, int value, size_t count) /* the compiler calls it */
{
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)to)[i] = (uint8_t)value;
    return to;
}

static uint64_t now(void)
{
    struct timespec time;
    call(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&time, 0, 0, 0);
    return (uint64_t)time.seconds * 1000000000u + (uint64_t)time.nanoseconds;
}

static void print(const char *text)
{
    long count = 0;
    while (text[count])
        count++;
    call(SYS_WRITE, 1, (long)text, count, 0, 0);
}

static void print_number(uint64_t value)
{
    char digits[21];
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do
        *--first = (char)('0' + value % 10);
    while (value /= 10);
    print(first);
}

static void leave(int status)
{
    call(SYS_EXIT_GROUP, status, 0, 0, 0, 0);
}

static long checked(long result, const char *what)
{
    if (result < 0) {
        print(what);
        print(" failed\n");
        leave(1);
    }
    return result;
}

/* The id of the child, or 0 in it. */
static long fork_process(void)
{
    return checked(call(SYS_CLONE, SIGCHLD, 0, 0, 0, 0), "fork");
}

static void wait_for(long child)
{
    checked(call(SYS_WAIT4, child, 0, 0, 0, 0), "wait");
}

/* One byte to another process and back. */
static void ping_pong(unsigned count)
{
    int there[2], back[2];
    char byte = 0;
    checked(call(SYS_PIPE2, (long)there, 0, 0, 0, 0), "pipe");
    checked(call(SYS_PIPE2, (long)back, 0, 0, 0, 0), "pipe");
    long child = fork_process();
    for (unsigned i = 0; i < count; i++) {
        if (child)
            checked(call(SYS_WRITE, there[1], (long)&byte, 1, 0, 0), "write");
        checked(call(SYS_READ, child ? back[0] : there[0], (long)&byte, 1, 0, 0), "read");
        if (!child)
            checked(call(SYS_WRITE, back[1], (long)&byte, 1, 0, 0), "write");
    }
    if (!child)
        leave(0);
    wait_for(child);
    for (int i = 0; i < 2; i++) {
        call(SYS_CLOSE, there[i], 0, 0, 0, 0);
        call(SYS_CLOSE, back[i], 0, 0, 0, 0);
    }
}

static void fork_and_wait(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        long child = fork_process();
        if (!child)
            leave(0);
        wait_for(child);
    }
}

static void sleep_a_millisecond(unsigned count)
{
    struct timespec millisecond = {0, 1000000};
    for (unsigned i = 0; i < count; i++)
        call(SYS_NANOSLEEP, (long)&millisecond, 0, 0, 0, 0);
}

static void measure(const char *name, void (*operation)(unsigned), unsigned count)
{
    uint64_t best = UINT64_MAX;
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t started = now();
        operation(count);
        uint64_t taken = now() - started;
        best = taken < best ? taken : best;
    }
    print("result ");
    print(name);
    print(" ");
    print_number(count);
    print(" ");
    print_number(best);
    print("\n");
}

void _start(void)
{
    measure("pipe_ping_pong", ping_pong, 1000);
    measure("fork_wait", fork_and_wait, 100);
    measure("usleep_1ms", sleep_a_millisecond, 20);
    print("BENCH-DONE\n");
    call(SYS_REBOOT, (int)REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_POWER_OFF, 0, 0); /* nothing is left to be written */
    leave(0);
}
