/* ARP (RFC 826) and ICMP echo (RFC 792) over IPv4: enough to answer `ping` and to send one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

uint32_t net_address(void); /* 10.0.0.<last byte of the MAC - 0xcf> */
/* Asks for the peer's MAC if it is not known, then `count` echo requests. Prints a line for each, and the sum. */
void net_ping(uint32_t peer, unsigned count);
void net_show(void);
