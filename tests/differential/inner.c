/* SPDX-License-Identifier: MIT */
/* Peers, by number: their keys, their networks, and packets from and to them. */
#include <sodium.h>
#include <stdio.h>

#include "../../tools/bench/crowd.h"
#include "../../tun/checksum.h"
#include "play.h"

enum { PROTOCOL = 253 /* RFC 3692: for experiments */ };

static void put_address(uint8_t *at, int version, uint32_t number, unsigned host)
{
	memset(at, 0, version == IP4 ? 4 : 16);
	at[0] = version == IP4 ? 10 : 0xfd;
	at[1] = 8;
	if (version == IP4) {
		at[1] = (uint8_t)(8 + number / 256 % 240);
		at[2] = (uint8_t)number;
		at[3] = (uint8_t)host;
		return;
	}
	store_be32(at + 4, number);
	at[15] = (uint8_t)host;
}

void sum_ip4(uint8_t *packet)
{
	store_be16(packet + 10, 0);
	checksum_store(packet + 10, checksum_finish(checksum_add(0, packet, 20)));
}

static void lay_headers(int version, uint8_t *packet, size_t len)
{
	memset(packet, 0, version == IP4 ? 20 : 40);
	if (version == IP4) {
		packet[0] = 0x45;
		store_be16(packet + 2, (uint16_t)len);
		packet[8] = 64;
		packet[9] = PROTOCOL;
	} else {
		packet[0] = 0x60;
		store_be16(packet + 4, (uint16_t)(len - 40));
		packet[6] = PROTOCOL;
		packet[7] = 64;
	}
}

void lay(struct play *p, int version, unsigned host, uint8_t *packet, size_t len)
{
	size_t addr = version == IP4 ? 4 : 16, at = version == IP4 ? 12 : 8;

	dice_bytes(p, packet, len);
	lay_headers(version, packet, len);
	put_address(packet + at, version, p->peer->number, host);
	put_address(packet + at + addr, version, 250, 1);
	if (version == IP4)
		sum_ip4(packet);
}

void lay_back(struct play *p, int version, uint8_t *packet, size_t len)
{
	size_t addr = version == IP4 ? 4 : 16, at = version == IP4 ? 12 : 8;

	dice_bytes(p, packet, len);
	lay_headers(version, packet, len);
	put_address(packet + at, version, 250, 1);
	put_address(packet + at + addr, version, p->peer->number, 1);
	if (version == IP4)
		sum_ip4(packet);
}

/* Peers */

void play_keys(struct peer_keys *keys, uint32_t number)
{
	memset(keys, 0, sizeof(*keys));
	keys->number = number;
	crowd_local(number, &keys->local);
	if (number % 2) {
		memset(keys->psk, 0x77, NOISE_KEY_LEN);
		store_le32(keys->psk, number);
	}
}

void play_peer_words(const struct peer_keys *keys, uint16_t port, char out[1024])
{
	char key[65], psk[65], endpoint[64] = "";

	if (port)
		snprintf(endpoint, sizeof(endpoint), "endpoint=127.0.0.1:%u\n", port);
	snprintf(out, 1024,
		 "public_key=%s\npreshared_key=%s\n%sallowed_ip=10.%u.%u.0/24\n"
		 "allowed_ip=fd08:0:%x:%x::/64\n",
		 sodium_bin2hex(key, sizeof(key), keys->local.public_key, NOISE_KEY_LEN),
		 sodium_bin2hex(psk, sizeof(psk), keys->psk, NOISE_KEY_LEN), endpoint,
		 8 + keys->number / 256 % 240, keys->number % 256, keys->number >> 16,
		 keys->number & 0xffff);
}
