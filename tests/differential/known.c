/* SPDX-License-Identifier: MIT */
/* The differences, each of them met by cases and asserted exactly. */
#include "known.h"

const struct known known[DIFFERENCES] = {
	[DIFF_ECN] = {
		"ecn", THEIRS,
		"congestion marked outside is not marked inside",
		"RFC 6040 §4.2, and the kernel's WireGuard: a mark must reach the receiver"
	},
	[DIFF_MSS] = {
		"mss", OURS,
		"the maximum segment size in a SYN is lowered to what the MTU carries",
		"a choice: TCP works where ICMP is thrown away (README, \"A path that fits\")"
	},
	[DIFF_NO_ROUTE] = {
		"no-route", OURS,
		"a packet to an address of no peer is answered by an ICMP error",
		"the kernel's WireGuard does the same: its sender need not wait for a timeout"
	},
	[DIFF_WRAP] = {
		"wrap", THEIRS,
		"an IPv6 payload length of 65,497 and more wraps: a stump of up to 39 bytes comes "
		"out",
		"it is longer than what was decrypted (RFC 8200 §3). With 65,496 wireguard-go ends "
		"by a panic: `differential wrap`"
	},
	[DIFF_LOW_RESPONSE] = {
		"low-response", THEIRS,
		"a response whose ephemeral key is of low order is taken",
		"RFC 7748 §6.1: both of its secrets are zero. It takes the peer's key to make one"
	},
};
