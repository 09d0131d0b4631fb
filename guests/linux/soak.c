/* Load that checks itself, for a run of many minutes: soak spin NUMBER | disk FILE | serve | net A.B.C.D | timer.

   Every ten seconds each prints `soak ARGUMENTS ok COUNT`. What must not happen is printed as `soak ... ERROR ...`. */
#include "system.h"

#define AT_FDCWD (-100)
#define O_RDWR 2
#define O_CREAT 0100
#define O_SYNC 04010000
#define O_DIRECT 040000
#define AF_INET 2
#define SOCK_DGRAM 2
#define POLLIN 1
#define PORT 7000

#define SECOND 1000000000ul
#define REPORT (10 * SECOND)
#define LOST (2 * SECOND)  /* an answer later than this, or a sleep this much too long, means a lost interrupt */
#define BLOCK 65536
#define BLOCKS 16
#define DATAGRAM 1024

struct address {
    uint16_t family, port; /* big-endian */
    uint8_t host[4], rest[8];
};

struct poll {
    int descriptor;
    int16_t events, happened;
};

static const char *name, *gap = "", *operand = "";
static uint64_t count, reported;

/* One line by one write: several processes share the console. */
static void tell(const char *what, const char *detail, uint64_t number)
{
    char line[160], digits[21], *at = line, *first = digits + sizeof digits - 1;
    const char *parts[] = {"soak ", name, gap, operand, what, detail, " ", first, "\n"};
    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while (number /= 10);
    parts[7] = first;
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (const char *from = parts[i]; *from && at < line + sizeof line; from++)
            *at++ = *from;
    call(SYS_WRITE, 1, (long)line, at - line, 0, 0, 0);
}

static void report(void)
{
    uint64_t time = now();
    if (time < reported + REPORT)
        return;
    reported = time;
    tell(" ok", "", count);
}

static void wrong(const char *what, uint64_t number)
{
    tell(" ERROR ", what, number);
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Integer and floating-point work with a result that never changes. */
static void spin(void)
{
    uint64_t expected = 0;
    double expected_sum = 0;
    for (;; count++) {
        uint64_t state = 88172645463325252u, hash = 0;
        double sum = 0;
        for (unsigned i = 0; i < 200000; i++) {
            hash += next(&state);
            sum = sum * 0.5 + (double)(hash >> 40);
        }
        if (!count) {
            expected = hash;
            expected_sum = sum;
        }
        if (hash != expected)
            wrong("integer result", hash);
        if (sum != expected_sum)
            wrong("floating-point result", count);
        report();
    }
}

static uint64_t block[BLOCK / 8] __attribute__((aligned(4096)));

static void disk(const char *file)
{
    long descriptor = checked(
        call(SYS_OPENAT, AT_FDCWD, (long)file, O_RDWR | O_CREAT | O_SYNC | O_DIRECT, 0600, 0, 0), "open");
    for (;; count++) {
        for (uint64_t i = 0; i < BLOCKS; i++) {
            uint64_t state = count * BLOCKS + i + 1;
            for (unsigned k = 0; k < BLOCK / 8; k++)
                block[k] = next(&state);
            if (call(SYS_PWRITE64, descriptor, (long)block, BLOCK, (long)(i * BLOCK), 0, 0) != BLOCK)
                wrong("write", i);
        }
        checked(call(SYS_FSYNC, descriptor, 0, 0, 0, 0, 0), "fsync");
        for (uint64_t i = 0; i < BLOCKS; i++) {
            uint64_t state = count * BLOCKS + i + 1, bad = 0;
            if (call(SYS_PREAD64, descriptor, (long)block, BLOCK, (long)(i * BLOCK), 0, 0) != BLOCK)
                wrong("read", i);
            for (unsigned k = 0; k < BLOCK / 8; k++)
                bad += block[k] != next(&state);
            if (bad)
                wrong("data", bad);
        }
        report();
    }
}

static long open_socket(uint16_t port)
{
    struct address own = {AF_INET, (uint16_t)(port << 8 | port >> 8), {0}, {0}};
    long socket = checked(call(SYS_SOCKET, AF_INET, SOCK_DGRAM, 0, 0, 0, 0), "socket");
    checked(call(SYS_BIND, socket, (long)&own, sizeof own, 0, 0, 0), "bind");
    return socket;
}

static void serve(void)
{
    static uint8_t data[2048];
    long socket = open_socket(PORT);
    for (;; count++) {
        struct address from;
        uint32_t length = sizeof from;
        long size = checked(call(SYS_RECVFROM, socket, (long)data, sizeof data, 0, (long)&from, (long)&length), "recv");
        call(SYS_SENDTO, socket, (long)data, size, 0, (long)&from, length);
        report();
    }
}

/* One datagram after the other to a peer that sends each back. */
static void net(const char *host)
{
    static uint64_t sent[DATAGRAM / 8], received[DATAGRAM / 8];
    struct address peer = {AF_INET, (uint16_t)((PORT & 0xff) << 8 | PORT >> 8), {0}, {0}};
    for (unsigned part = 0; *host; host++)
        if (*host == '.')
            part++;
        else if (part < 4)
            peer.host[part] = (uint8_t)(peer.host[part] * 10 + *host - '0');
    long socket = open_socket(0);
    for (;; count++) {
        uint64_t state = count + 1;
        sent[0] = count;
        for (unsigned k = 1; k < DATAGRAM / 8; k++)
            sent[k] = next(&state);
        checked(call(SYS_SENDTO, socket, (long)sent, DATAGRAM, 0, (long)&peer, sizeof peer), "send");
        struct poll wait = {(int)socket, POLLIN, 0};
        struct timespec limit = {LOST / SECOND, 0};
        do {
            if (call(SYS_PPOLL, (long)&wait, 1, (long)&limit, 0, 0, 0) != 1) {
                wrong("no answer to", count);
                break;
            }
            call(SYS_RECVFROM, socket, (long)received, DATAGRAM, 0, 0, 0);
        } while (received[0] != count);
        uint64_t bad = 0;
        for (unsigned k = 0; k < DATAGRAM / 8; k++)
            bad += received[k] != sent[k];
        if (bad)
            wrong("data", bad);
        report();
    }
}

static void timer(void)
{
    struct timespec pause = {0, 10000000};
    for (;; count++) {
        uint64_t started = now();
        call(SYS_NANOSLEEP, (long)&pause, 0, 0, 0, 0, 0);
        uint64_t taken = now() - started;
        if (taken < (uint64_t)pause.nanoseconds || taken > LOST)
            wrong("sleep", taken);
        report();
    }
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

void run(long *stack)
{
    long arguments = stack[0];
    char **argument = (char **)(stack + 1);
    name = arguments > 1 ? argument[1] : "";
    if (arguments > 2) {
        gap = " ";
        operand = argument[2];
    }
    reported = now();
    if (same(name, "spin"))
        spin();
    else if (same(name, "serve"))
        serve();
    else if (same(name, "timer"))
        timer();
    else if (same(name, "disk") && arguments > 2)
        disk(argument[2]);
    else if (same(name, "net") && arguments > 2)
        net(argument[2]);
    print("usage: soak spin NUMBER | disk FILE | serve | net ADDRESS | timer\n");
    leave(2);
}

__asm__(".globl _start\n_start: mv a0, sp\n andi sp, sp, -16\n call run\n");
