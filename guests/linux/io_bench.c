/* Disks and TCP on Linux, measured: prints `result NAME COUNT NANOSECONDS`, COUNT in bytes or round trips.

   io_bench disk DEVICE BYTES PREFIX     direct writes, reads, and single 4 KiB reads; the device's content is lost
   io_bench serve PORT                   answers the next line, for ever
   io_bench tcp ADDRESS PORT BYTES PREFIX */
#include "system.h"

#define AT_FDCWD (-100)
#define O_RDWR 2
#define O_DIRECT 040000
#define PIECE (1ul << 20)
#define PAGE 4096ul
#define ROUND_TRIPS 500
#define AF_INET 2
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define TCP_NODELAY 1

enum { TO_SERVER = 's', FROM_SERVER = 'r', ROUND_TRIP = 'p' }; /* first byte of a connection */

struct address {
    uint16_t family, port;
    uint32_t host;
    uint8_t rest[8];
};

static uint8_t buffer[PIECE] __attribute__((aligned(4096)));

static int differ(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a != *b;
}

static uint64_t number(const char *text)
{
    uint64_t value = 0;
    while (*text >= '0' && *text <= '9')
        value = value * 10 + (uint64_t)(*text++ - '0');
    return value;
}

static uint32_t host(const char *text) /* in network order */
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        value |= (uint32_t)(number(text) & 0xff) << 8 * i;
        while (*text && *text++ != '.')
            ;
    }
    return value;
}

static void result(const char *prefix, const char *name, uint64_t count, uint64_t started)
{
    uint64_t taken = now() - started;
    print("result ");
    print(prefix);
    print(name);
    print(" ");
    print_number(count);
    print(" ");
    print_number(taken);
    print("\n");
}

static void disk(const char *device, uint64_t bytes, const char *prefix)
{
    long file = checked(call(SYS_OPENAT, AT_FDCWD, (long)device, O_RDWR | O_DIRECT, 0, 0, 0), "open");
    uint64_t started = now();
    for (uint64_t at = 0; at < bytes; at += PIECE)
        checked(call(SYS_PWRITE64, file, (long)buffer, PIECE, (long)at, 0, 0), "write");
    checked(call(SYS_FSYNC, file, 0, 0, 0, 0, 0), "fsync");
    result(prefix, "_write", bytes, started);
    started = now();
    for (uint64_t at = 0; at < bytes; at += PIECE)
        checked(call(SYS_PREAD64, file, (long)buffer, PIECE, (long)at, 0, 0), "read");
    result(prefix, "_read", bytes, started);
    uint64_t place = 1;
    started = now();
    for (int i = 0; i < ROUND_TRIPS; i++) {
        place = place * 6364136223846793005u + 1442695040888963407u;
        checked(call(SYS_PREAD64, file, (long)buffer, PAGE, (long)((place >> 33) % (bytes / PAGE) * PAGE), 0, 0), "read");
    }
    result(prefix, "_round_trip", ROUND_TRIPS, started);
    call(SYS_CLOSE, file, 0, 0, 0, 0, 0);
}

static uint64_t receive_all(long socket, uint64_t bytes) /* until the other side has ended, or `bytes` */
{
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t most = bytes - done < PIECE ? bytes - done : PIECE;
        long size = call(SYS_READ, socket, (long)buffer, (long)most, 0, 0, 0);
        if (size <= 0)
            break;
        done += (uint64_t)size;
    }
    return done;
}

static void send_all(long socket, uint64_t bytes)
{
    while (bytes) {
        long size = call(SYS_WRITE, socket, (long)buffer, (long)(bytes < PIECE ? bytes : PIECE), 0, 0, 0);
        if (size <= 0)
            return;
        bytes -= (uint64_t)size;
    }
}

static long stream(void)
{
    return checked(call(SYS_SOCKET, AF_INET, SOCK_STREAM, 0, 0, 0, 0), "socket");
}

static void without_delay(long socket)
{
    int on = 1;
    call(SYS_SETSOCKOPT, socket, IPPROTO_TCP, TCP_NODELAY, (long)&on, sizeof on, 0);
}

static void answer(long socket) /* a request: what, and how many bytes (8, little-endian) */
{
    uint8_t wish[9];
    uint64_t bytes = 0;
    if (receive_all(socket, sizeof wish) != sizeof wish)
        return;
    for (unsigned i = 0; i < sizeof wish; i++)
        wish[i] = buffer[i];
    for (int i = 7; i >= 0; i--)
        bytes = bytes << 8 | wish[1 + i];
    without_delay(socket);
    if (wish[0] == TO_SERVER) {
        receive_all(socket, bytes);
        send_all(socket, 1);
    } else if (wish[0] == FROM_SERVER) {
        send_all(socket, bytes);
    } else if (wish[0] == ROUND_TRIP) {
        while (receive_all(socket, 1))
            send_all(socket, 1);
    }
}

static void serve(uint16_t port)
{
    struct address own = {AF_INET, (uint16_t)(port << 8 | port >> 8), 0, {0}};
    long socket = stream();
    checked(call(SYS_BIND, socket, (long)&own, sizeof own, 0, 0, 0), "bind");
    checked(call(SYS_LISTEN, socket, 4, 0, 0, 0, 0), "listen");
    print("io_bench serves\n");
    for (;;) {
        long peer = checked(call(SYS_ACCEPT, socket, 0, 0, 0, 0, 0), "accept");
        answer(peer);
        call(SYS_CLOSE, peer, 0, 0, 0, 0, 0);
    }
}

static long ask(const struct address *server, char what, uint64_t bytes)
{
    uint8_t wish[9] = {(uint8_t)what};
    for (int i = 0; i < 8; i++)
        wish[1 + i] = (uint8_t)(bytes >> 8 * i);
    long socket = stream();
    checked(call(SYS_CONNECT, socket, (long)server, sizeof *server, 0, 0, 0), "connect");
    without_delay(socket);
    checked(call(SYS_WRITE, socket, (long)wish, sizeof wish, 0, 0, 0), "write");
    return socket;
}

static void tcp(const char *address, uint16_t port, uint64_t bytes, const char *prefix)
{
    struct address server = {AF_INET, (uint16_t)(port << 8 | port >> 8), host(address), {0}};
    uint64_t started = now();
    long socket = ask(&server, TO_SERVER, bytes);
    send_all(socket, bytes);
    receive_all(socket, 1);
    result(prefix, "_send", bytes, started);
    call(SYS_CLOSE, socket, 0, 0, 0, 0, 0);
    started = now();
    socket = ask(&server, FROM_SERVER, bytes);
    uint64_t received = receive_all(socket, bytes);
    result(prefix, "_receive", received, started);
    call(SYS_CLOSE, socket, 0, 0, 0, 0, 0);
    socket = ask(&server, ROUND_TRIP, 0);
    started = now();
    for (int i = 0; i < ROUND_TRIPS; i++) {
        send_all(socket, 1);
        receive_all(socket, 1);
    }
    result(prefix, "_round_trip", ROUND_TRIPS, started);
    call(SYS_CLOSE, socket, 0, 0, 0, 0, 0);
}

void begin(long *stack) __attribute__((noreturn, used));
void begin(long *stack)
{
    long argc = stack[0];
    char **argv = (char **)(stack + 1);
    if (argc == 5 && !differ(argv[1], "disk"))
        disk(argv[2], number(argv[3]), argv[4]);
    else if (argc == 3 && !differ(argv[1], "serve"))
        serve((uint16_t)number(argv[2]));
    else if (argc == 6 && !differ(argv[1], "tcp"))
        tcp(argv[2], (uint16_t)number(argv[3]), number(argv[4]), argv[5]);
    else
        print("io_bench disk DEVICE BYTES PREFIX | serve PORT | tcp ADDRESS PORT BYTES PREFIX\n");
    print("IO-BENCH-DONE\n");
    leave(0);
}

__asm__(".globl _start\n_start:\n    mv a0, sp\n    andi sp, sp, -16\n    tail begin\n"); /* the arguments lie on the stack */
