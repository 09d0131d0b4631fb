/* Virtio network device (Virtual I/O Device 1.2, section 5.1), with ARP and ICMP echo on top (net.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 1514

struct net_counters {
    uint64_t received, sent, dropped;
};

bool net_device_open(uint64_t base, uint32_t irq);
bool net_device_present(void);
const uint8_t *net_device_mac(void); /* 6 bytes */
bool net_device_link(void);
const struct net_counters *net_device_counters(void);
void net_device_send(const uint8_t *frame, size_t length);

void net_receive(const uint8_t *frame, size_t length); /* net.c; from the interrupt handler */
