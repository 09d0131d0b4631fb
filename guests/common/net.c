#include "net.h"

#include "console.h"
#include "csr.h"
#include "hart.h"
#include "print.h"
#include "string.h"
#include "virtio_net.h"

enum { ETHERTYPE_ARP = 0x0806, ETHERTYPE_IPV4 = 0x0800 };
enum { ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { PROTOCOL_ICMP = 1, ICMP_ECHO_REPLY = 0, ICMP_ECHO_REQUEST = 8 };
enum { ETHERNET = 14, IPV4 = 20, ICMP = 8, ARP = 28 };

#define PING_DATA 56
#define PING_ID 0x5359
#define ARP_ENTRIES 8

static struct {
    uint32_t address;
    uint8_t mac[6];
} arp_table[ARP_ENTRIES];
static unsigned arp_next;
static uint64_t echoes_answered;
static struct {
    uint32_t peer;
    uint16_t sequence;
    volatile uint64_t answered_at; /* 0: not yet */
} ping;

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value);
}

/* Internet checksum (RFC 1071): 0 over data that carries a right one. */
static uint32_t checksum(const uint8_t *data, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += get16(data + i);
    if (length & 1)
        sum += (uint32_t)data[length - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

uint32_t net_address(void)
{
    return 0x0a000000 | (uint8_t)(net_device_mac()[5] - 0xcf);
}

static const uint8_t *arp_lookup(uint32_t address)
{
    for (unsigned i = 0; i < ARP_ENTRIES; i++)
        if (arp_table[i].address == address)
            return arp_table[i].mac;
    return NULL;
}

static void arp_learn(uint32_t address, const uint8_t *mac)
{
    uint8_t *entry = (uint8_t *)arp_lookup(address);
    if (!entry) {
        arp_table[arp_next].address = address;
        entry = arp_table[arp_next].mac;
        arp_next = (arp_next + 1) % ARP_ENTRIES;
    }
    memcpy(entry, mac, 6);
}

static void ethernet_header(uint8_t *frame, const uint8_t *to, uint32_t type)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, net_device_mac(), 6);
    put16(frame + 12, type);
}

static void arp_send(uint32_t operation, const uint8_t *to_mac, const uint8_t *target_mac, uint32_t target)
{
    uint8_t frame[60] = {0}; /* the smallest Ethernet frame */
    uint8_t *arp = frame + ETHERNET;
    ethernet_header(frame, to_mac, ETHERTYPE_ARP);
    put16(arp, 1); /* Ethernet */
    put16(arp + 2, ETHERTYPE_IPV4);
    arp[4] = 6;
    arp[5] = 4;
    put16(arp + 6, operation);
    memcpy(arp + 8, net_device_mac(), 6);
    put32(arp + 14, net_address());
    memcpy(arp + 18, target_mac, 6);
    put32(arp + 24, target);
    net_device_send(frame, sizeof frame);
}

static void arp_received(const uint8_t *arp, size_t length)
{
    if (length < ARP || get16(arp) != 1 || get16(arp + 2) != ETHERTYPE_IPV4 || get32(arp + 24) != net_address())
        return;
    arp_learn(get32(arp + 14), arp + 8);
    if (get16(arp + 6) == ARP_REQUEST)
        arp_send(ARP_REPLY, arp + 8, arp + 8, get32(arp + 14));
}

static void icmp_received(const uint8_t *frame, size_t icmp_at, size_t icmp_length)
{
    const uint8_t *icmp = frame + icmp_at;
    uint32_t from = get32(frame + ETHERNET + 12);
    if (icmp_length < ICMP || checksum(icmp, icmp_length))
        return;
    if (icmp[0] == ICMP_ECHO_REPLY && from == ping.peer && get16(icmp + 4) == PING_ID &&
        get16(icmp + 6) == ping.sequence && !ping.answered_at) {
        ping.answered_at = time_now();
    } else if (icmp[0] == ICMP_ECHO_REQUEST) {
        static uint8_t reply[FRAME_MAX]; /* only this interrupt handler uses it */
        size_t length = icmp_at + icmp_length;
        if (length > sizeof reply)
            return;
        memcpy(reply, frame, length);
        ethernet_header(reply, frame + 6, ETHERTYPE_IPV4);
        put32(reply + ETHERNET + 12, net_address());
        put32(reply + ETHERNET + 16, from);
        reply[icmp_at] = ICMP_ECHO_REPLY;
        put16(reply + icmp_at + 2, 0);
        put16(reply + icmp_at + 2, checksum(reply + icmp_at, icmp_length));
        echoes_answered++;
        net_device_send(reply, length);
    }
}

void net_receive(const uint8_t *frame, size_t length)
{
    if (length < ETHERNET)
        return;
    const uint8_t *ip = frame + ETHERNET;
    length -= ETHERNET;
    if (get16(frame + 12) == ETHERTYPE_ARP) {
        arp_received(ip, length);
    } else if (get16(frame + 12) == ETHERTYPE_IPV4 && length >= IPV4 && ip[0] >> 4 == 4) {
        size_t header = (ip[0] & 15) * 4u, total = get16(ip + 2);
        bool fragment = get16(ip + 6) & 0x3fff;
        if (header >= IPV4 && total >= header && total <= length && !fragment && !checksum(ip, header) &&
            get32(ip + 16) == net_address() && ip[9] == PROTOCOL_ICMP)
            icmp_received(frame, ETHERNET + header, total - header);
    }
}

static void echo_send(const uint8_t *mac)
{
    uint8_t frame[ETHERNET + IPV4 + ICMP + PING_DATA] = {0};
    uint8_t *ip = frame + ETHERNET, *icmp = ip + IPV4;
    ethernet_header(frame, mac, ETHERTYPE_IPV4);
    ip[0] = 0x45;
    put16(ip + 2, IPV4 + ICMP + PING_DATA);
    put16(ip + 4, ping.sequence);
    ip[8] = 64;
    ip[9] = PROTOCOL_ICMP;
    put32(ip + 12, net_address());
    put32(ip + 16, ping.peer);
    put16(ip + 10, checksum(ip, IPV4));
    icmp[0] = ICMP_ECHO_REQUEST;
    put16(icmp + 4, PING_ID);
    put16(icmp + 6, ping.sequence);
    for (int i = 0; i < PING_DATA; i++)
        icmp[ICMP + i] = (uint8_t)i;
    put16(icmp + 2, checksum(icmp, ICMP + PING_DATA));
    net_device_send(frame, sizeof frame);
}

static bool peer_known(void *unused)
{
    (void)unused;
    return arp_lookup(ping.peer) != NULL;
}

static bool ping_answered(void *unused)
{
    (void)unused;
    return ping.answered_at != 0;
}

#define IP_FORMAT "%u.%u.%u.%u"
#define IP_PARTS(a) (a) >> 24, (a) >> 16 & 255, (a) >> 8 & 255, (a)&255

void net_ping(uint32_t peer, unsigned count)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, unknown[6];
    unsigned sent = 0, answered = 0;
    if (!net_device_present()) {
        printf("ping: no network device\n");
        return;
    }
    ping.peer = peer;
    if (peer == net_address()) {
        printf("ping: " IP_FORMAT " is this system itself\n", IP_PARTS(peer));
        return;
    }
    for (unsigned i = 0; i < 3 && !peer_known(NULL) && !console_interrupted(); i++) {
        arp_send(ARP_REQUEST, broadcast, unknown, peer);
        wait_for(peer_known, NULL, time_now() + milliseconds(1000));
    }
    if (!peer_known(NULL)) {
        printf("ping: nobody answers for " IP_FORMAT " (ARP)\n", IP_PARTS(peer));
        return;
    }
    for (; sent < count && !console_interrupted(); sent++) {
        ping.answered_at = 0;
        ping.sequence++;
        uint64_t start = time_now();
        echo_send(arp_lookup(peer));
        if (wait_for(ping_answered, NULL, start + milliseconds(1000))) {
            uint64_t microseconds = ticks_to_us(ping.answered_at - start);
            printf("64 bytes from " IP_FORMAT ": seq=%u time=%lu.%03lu ms\n", IP_PARTS(peer), sent,
                   microseconds / 1000, microseconds % 1000);
            answered++;
        } else {
            printf("no answer from " IP_FORMAT ": seq=%u\n", IP_PARTS(peer), sent);
        }
    }
    printf("%u packets transmitted, %u received\n", sent, answered);
}

void net_show(void)
{
    if (!net_device_present()) {
        printf("no network device\n");
        return;
    }
    const uint8_t *mac = net_device_mac();
    const struct net_counters *counters = net_device_counters();
    printf("mac      %02x:%02x:%02x:%02x:%02x:%02x\n", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    printf("address  " IP_FORMAT "/24\n", IP_PARTS(net_address()));
    printf("link     %s\n", net_device_link() ? "up" : "down");
    printf("frames   %lu received, %lu sent, %lu dropped\n", counters->received, counters->sent, counters->dropped);
    printf("icmp     %lu echo requests answered\n", echoes_answered);
    for (unsigned i = 0; i < ARP_ENTRIES; i++)
        if (arp_table[i].address) {
            mac = arp_table[i].mac;
            printf("arp      " IP_FORMAT " is at %02x:%02x:%02x:%02x:%02x:%02x\n", IP_PARTS(arp_table[i].address),
                   mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
        }
}
