/* The kinds of work of EEMBC's CoreMark, written anew: linked list, integer matrix, state machine, CRC. */
#include "bench.h"

const char program_name[] = "coremark_like";

#define ITERATIONS 11000

static NOINLINE uint16_t crc16(uint16_t value, uint16_t crc)
{
    for (int bit = 0; bit < 16; bit++, value >>= 1)
        crc = (uint16_t)((crc >> 1) ^ ((crc ^ value) & 1 ? 0xa001 : 0));
    return crc;
}

/* ---- list ---- */

#define ITEMS 240

struct item {
    struct item *next;
    int16_t key, rank;
};

static struct item items[ITEMS];

static NOINLINE struct item *list_find(struct item *list, int key)
{
    while (list && (list->key & 0xff) != key)
        list = list->next;
    return list;
}

static NOINLINE struct item *list_reverse(struct item *list)
{
    struct item *reversed = NULL;
    while (list) {
        struct item *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

static int by_key(const struct item *a, const struct item *b)
{
    return a->key - b->key;
}

static int by_rank(const struct item *a, const struct item *b)
{
    return a->rank - b->rank;
}

/* Bottom-up merge sort: runs of 1, 2, 4, … items. */
static NOINLINE struct item *list_sort(struct item *list, int (*compare)(const struct item *, const struct item *))
{
    for (int run = 1;; run *= 2) {
        struct item *rest = list, **tail = &list;
        int merges = 0;
        while (rest) {
            struct item *left = rest, *right = rest;
            int left_count = 0, right_count = run;
            while (left_count < run && right) {
                right = right->next;
                left_count++;
            }
            while (left_count || (right_count && right)) {
                struct item *smaller;
                if (!left_count || (right_count && right && compare(right, left) < 0)) {
                    smaller = right;
                    right = right->next;
                    right_count--;
                } else {
                    smaller = left;
                    left = left->next;
                    left_count--;
                }
                *tail = smaller;
                tail = &smaller->next;
            }
            rest = right;
            merges++;
        }
        *tail = NULL;
        if (merges <= 1)
            return list;
    }
}

static uint16_t list_work(struct item **list, int round, uint16_t crc)
{
    for (int i = 0; i < 12; i++) {
        struct item *found = list_find(*list, (round * 5 + i * 37) & 0xff);
        *list = list_reverse(*list);
        crc = crc16(found ? (uint16_t)found->rank : (uint16_t)i, crc);
    }
    if (round % 8 == 0) {
        *list = list_sort(*list, by_key);
        crc = crc16((uint16_t)(*list)->rank, crc);
        *list = list_sort(*list, by_rank);
    }
    return crc;
}

/* ---- matrix ---- */

#define N 22

static int16_t a[N][N], b[N][N];
static int32_t c[N][N];

static NOINLINE void matrix_multiply(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int32_t sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

static NOINLINE void matrix_add(int16_t value)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = (int16_t)(a[i][j] + value);
}

/* Sum of bit fields of the product, restarted where it passes a limit. */
static NOINLINE int32_t matrix_sum(int32_t limit)
{
    int32_t sum = 0, previous = 0, score = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int32_t value = (c[i][j] >> 2 & 15) * (c[i][j] >> 5 & 127);
            sum += value;
            if (sum > limit) {
                score += 10;
                sum = 0;
            } else {
                score += value > previous;
            }
            previous = value;
        }
    return score;
}

static uint16_t matrix_work(int round, uint16_t crc)
{
    matrix_add((int16_t)(round & 7));
    matrix_multiply();
    crc = crc16((uint16_t)matrix_sum(4000 + round % 100), crc);
    matrix_add((int16_t) - (round & 7));
    return crc16((uint16_t)c[round % N][round % 7], crc);
}

/* ---- state machine ---- */

enum state { START, SIGN, INTEGER, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };

static char text[768];
static uint32_t visits[STATES];

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* Reads one number up to a comma; *at is left behind it. */
static NOINLINE enum state scan_number(const char **at)
{
    enum state state = START;
    for (; **at; (*at)++) {
        char ch = **at;
        if (ch == ',') {
            (*at)++;
            break;
        }
        switch (state) {
        case START:
            state = is_digit(ch) ? INTEGER : ch == '+' || ch == '-' ? SIGN : ch == '.' ? FRACTION : INVALID;
            break;
        case SIGN:
            state = is_digit(ch) ? INTEGER : ch == '.' ? FRACTION : INVALID;
            break;
        case INTEGER:
            state = ch == '.' ? FRACTION : is_digit(ch) ? INTEGER : INVALID;
            break;
        case FRACTION:
            state = ch == 'e' || ch == 'E' ? EXPONENT : is_digit(ch) ? FRACTION : INVALID;
            break;
        case EXPONENT:
            state = ch == '+' || ch == '-' ? EXPONENT_SIGN : INVALID;
            break;
        case EXPONENT_SIGN:
        case SCIENTIFIC:
            state = is_digit(ch) ? SCIENTIFIC : INVALID;
            break;
        default:
            break;
        }
        visits[state]++;
    }
    return state;
}

static uint16_t state_work(int round, uint16_t crc)
{
    uint32_t finals[STATES] = {0};
    text[round % (sizeof text - 1)] ^= 1; /* damages a character, and repairs it at the end */
    for (const char *at = text; *at;)
        finals[scan_number(&at)]++;
    text[round % (sizeof text - 1)] ^= 1;
    for (int i = 0; i < STATES; i++)
        crc = crc16((uint16_t)(finals[i] + visits[i]), crc);
    return crc;
}

uint64_t program(void)
{
    static const char pattern[] = "1977,-12,+4096,3.1415926,-.577,6.02e+23,1.6e-19,+0.5e+,12a4,--7,.e-1,299792458,";
    uint64_t random = 1;
    for (int i = 0; i < ITEMS; i++) {
        items[i].key = (int16_t)next_random(&random);
        items[i].rank = (int16_t)i;
        items[i].next = i + 1 < ITEMS ? &items[i + 1] : NULL;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (int16_t)(next_random(&random) & 0x3ff);
            b[i][j] = (int16_t)(next_random(&random) & 0x3ff);
        }
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = pattern[i % (sizeof pattern - 1)];

    struct item *list = items;
    uint16_t crc = 0xffff;
    for (int round = 0; round < ITERATIONS; round++) {
        crc = list_work(&list, round, crc);
        crc = matrix_work(round, crc);
        crc = state_work(round, crc);
        crc = state_work(round + 1, crc);
    }
    return (uint64_t)visits[INTEGER] << 16 | crc;
}
