/* SPDX-License-Identifier: MIT */
/* uapi: tables of requests, good and bad, and the answer read back. */
#include "../src/manage/uapi.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "../src/base/encoding.h"

#define KEY_A "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define KEY_B "B0B1B2B3B4B5B6B7B8B9BABBBCBDBEBFA0A1A2A3A4A5A6A7A8A9AAABACADAEAF"
#define KEY_REST "a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define PEER "set=1\npublic_key=" KEY_A "\n"

static int parse(const char *text, struct change_list *out, struct uapi_fault *fault)
{
	*out = (struct change_list){ 0 };
	return uapi_parse_set(out, text, strlen(text), 0, fault);
}

/* One change of a device */

static const struct {
	const char *line;
	enum change_kind kind;
	uint32_t number;
} device_lines[] = {
	/* 0 */ { "listen_port=0", CHANGE_LISTEN_PORT, 0 },
	/* 1 */ { "listen_port=65535", CHANGE_LISTEN_PORT, 65535 },
	/* 2 */ { "fwmark=0", CHANGE_FWMARK, 0 },
	/* 3 */ { "fwmark=4294967295", CHANGE_FWMARK, UINT32_MAX },
	/* 4 */ { "replace_peers=true", CHANGE_REMOVE_PEERS, 0 },
	/* 5 */ { "private_key=" KEY_A, CHANGE_PRIVATE_KEY, 0 },
	/* 6 */ { "private_key=" ZERO, CHANGE_PRIVATE_KEY, 0 },
};

START_TEST(device)
{
	struct change_list changes;
	struct uapi_fault fault;
	char text[256];

	snprintf(text, sizeof(text), "set=1\n%s\n", device_lines[_i].line);
	ck_assert_int_eq(parse(text, &changes, &fault), 0);
	ck_assert_uint_eq(changes.n, 1);
	ck_assert_int_eq(changes.changes[0].kind, device_lines[_i].kind);
	ck_assert_uint_eq(changes.changes[0].number, device_lines[_i].number);
	if (_i == 5)
		ck_assert_int_eq(changes.changes[0].key[1], 0xa1);
	change_list_free(&changes);
}
END_TEST

/* One line about a peer */

static const struct {
	const char *line;
	unsigned flags;
} peer_lines[] = {
	/* 0 */ { "remove=true", PEER_REMOVE },
	/* 1 */ { "update_only=true", PEER_UPDATE_ONLY },
	/* 2 */ { "replace_allowed_ips=true", PEER_REPLACE_ALLOWED_IPS },
	/* 3 */ { "preshared_key=" KEY_B, PEER_HAS_PRESHARED_KEY },
	/* 4 */ { "preshared_key=" ZERO, PEER_HAS_PRESHARED_KEY },
	/* 5 */ { "endpoint=192.0.2.1:51820", PEER_HAS_ENDPOINT },
	/* 6 */ { "endpoint=[2001:db8::1]:1", PEER_HAS_ENDPOINT },
	/* 7 */ { "endpoint=[fe80::1%7]:65535", PEER_HAS_ENDPOINT },
	/* 8 */ { "endpoint=[fe80::1%lo]:65535", PEER_HAS_ENDPOINT },
	/* 9 */ { "persistent_keepalive_interval=0", PEER_HAS_KEEPALIVE },
	/* 10 */ { "persistent_keepalive_interval=65535", PEER_HAS_KEEPALIVE },
	/* 11 */ { "allowed_ip=10.0.0.1/8", 0 },
	/* 12 */ { "allowed_ip=::/0", 0 },
	/* 13 */ { "protocol_version=1", 0 },
};

START_TEST(peer_flags)
{
	struct change_list changes;
	struct uapi_fault fault;
	char text[256];

	snprintf(text, sizeof(text), PEER "%s\n", peer_lines[_i].line);
	ck_assert_int_eq(parse(text, &changes, &fault), 0);
	ck_assert_uint_eq(changes.n, 1);
	ck_assert_int_eq(changes.changes[0].kind, CHANGE_PEER);
	ck_assert_uint_eq(changes.changes[0].flags, peer_lines[_i].flags);
	ck_assert_int_eq(changes.changes[0].key[31], 0xbf);
	change_list_free(&changes);
}
END_TEST

START_TEST(peer_values)
{
	struct change_list changes;
	struct uapi_fault fault;
	char words[PREFIX_STRLEN];
	const struct change *c;

	ck_assert_int_eq(parse(PEER "preshared_key=" KEY_B "\nendpoint=[fe80::1%lo]:7\n"
			       "persistent_keepalive_interval=25\nallowed_ip=10.1.2.3/8\n"
			       "allowed_ip=2001:db8::1/128\n", &changes, &fault), 0);
	c = &changes.changes[0];
	ck_assert_int_eq(c->preshared_key[0], 0xb0);
	ck_assert_uint_eq(c->endpoint.addr6.sin6_scope_id, if_nametoindex("lo"));
	ck_assert_uint_eq(ntohs(c->endpoint.addr6.sin6_port), 7);
	ck_assert_uint_eq(c->keepalive, 25);
	ck_assert_uint_eq(c->n_allowed_ips, 2);
	ck_assert_str_eq(prefix_format(&c->allowed_ips[0], words), "10.0.0.0/8");
	ck_assert_str_eq(prefix_format(&c->allowed_ips[1], words), "2001:db8::1/128");
	change_list_free(&changes);
}
END_TEST

/* Addresses added and taken away, in the order of the text: one change for each turn. */
static const struct {
	const char *lines;
	const char *steps; /* "add N", "drop N", with the number of addresses */
	unsigned flags;    /* of the first */
} turns[] = {
	/* 0 */ { "allowed_ip=10.0.0.0/8\nallowed_ip=::/0", "add 2;", 0 },
	/* 1 */ { "allowed_ip=-10.0.0.0/8", "add 0;drop 1;", 0 },
	/* 2 */ { "allowed_ip=-10.0.0.0/8\nallowed_ip=-::/0\nallowed_ip=10.0.0.0/8",
		  "add 0;drop 2;add 1;", 0 },
	/* 3 */ { "allowed_ip=::/0\nallowed_ip=-::/0\nupdate_only=true", "add 1;drop 1;",
		  PEER_UPDATE_ONLY },
	/* 4 */ { "allowed_ip=-::/0\nremove=true", "add 0;drop 1;", PEER_REMOVE },
	/* 5: those that follow replace, those before are forgotten */
	{ "allowed_ip=::/0\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8", "add 1;",
	  PEER_REPLACE_ALLOWED_IPS },
	/* 6 */ { "allowed_ip=-::/0\nreplace_allowed_ips=true", "add 0;drop 0;",
		  PEER_REPLACE_ALLOWED_IPS },
};

START_TEST(turns_of_addresses)
{
	struct change_list changes = { 0 };
	struct uapi_fault fault;
	char text[256], steps[64] = "";

	snprintf(text, sizeof(text), PEER "%s\n", turns[_i].lines);
	ck_assert_int_eq(uapi_parse_set(&changes, text, strlen(text), UAPI_MAY_TAKE, &fault), 0);
	for (size_t i = 0; i < changes.n; i++) {
		const struct change *c = &changes.changes[i];
		bool drop = c->flags & PEER_DROP_ALLOWED_IPS;
		size_t at = strlen(steps);

		ck_assert_int_eq(c->kind, CHANGE_PEER);
		ck_assert_mem_eq(c->key, changes.changes[0].key, 32);
		/* What follows must not make a peer that the first has not made. */
		ck_assert_uint_eq(c->flags & ~(unsigned)PEER_DROP_ALLOWED_IPS,
				  PEER_MAY_TAKE | (i ? PEER_UPDATE_ONLY : turns[_i].flags));
		snprintf(steps + at, sizeof(steps) - at, "%s %zu;", drop ? "drop" : "add",
			 c->n_allowed_ips);
	}
	ck_assert_str_eq(steps, turns[_i].steps);
	change_list_free(&changes);
}
END_TEST

/* What wg setconf says, in the order in which it is to be done. */
START_TEST(whole)
{
	static const char text[] = "set=1\nprivate_key=" KEY_B "\nlisten_port=51820\nfwmark=7\n"
				   "replace_peers=true\n"
				   "public_key=" KEY_A "\nreplace_allowed_ips=true\n"
				   "allowed_ip=10.0.0.1/32\n"
				   "public_key=" KEY_B "\nremove=true\n"
				   "public_key=" KEY_A "\nallowed_ip=10.0.0.2/32"; /* no newline */
	static const enum change_kind kinds[] = { CHANGE_PRIVATE_KEY,  CHANGE_LISTEN_PORT,
						  CHANGE_FWMARK,       CHANGE_REMOVE_PEERS,
						  CHANGE_PEER,         CHANGE_PEER,
						  CHANGE_PEER };
	struct change_list changes = { 0 };
	struct uapi_fault fault;

	ck_assert_int_eq(uapi_parse_set(&changes, text, strlen(text), UAPI_MAY_TAKE, &fault), 0);
	ck_assert_uint_eq(changes.n, ARRAY_SIZE(kinds));
	for (size_t i = 0; i < changes.n; i++)
		ck_assert_int_eq(changes.changes[i].kind, kinds[i]);
	ck_assert_uint_eq(changes.changes[4].flags, PEER_MAY_TAKE | PEER_REPLACE_ALLOWED_IPS);
	ck_assert_uint_eq(changes.changes[5].flags, PEER_MAY_TAKE | PEER_REMOVE);
	ck_assert_mem_eq(changes.changes[4].key, changes.changes[6].key, 32);
	ck_assert_uint_eq(changes.changes[4].n_allowed_ips, 1);
	ck_assert_uint_eq(changes.changes[6].n_allowed_ips, 1);
	change_list_free(&changes);
}
END_TEST

START_TEST(nothing)
{
	struct change_list changes;
	struct uapi_fault fault;

	ck_assert_int_eq(parse("set=1", &changes, &fault), 0);
	ck_assert_uint_eq(changes.n, 0);
	ck_assert_int_eq(parse("set=1\n", &changes, &fault), 0);
	ck_assert_uint_eq(changes.n, 0);
}
END_TEST

/* What is refused, with the errno that wireguard-go gives unless the comment says why not. */
static const struct {
	const char *text;
	int err;
	unsigned line;
	const char *key;
} refused[] = {
	/* 0 */ { "set=1\nfoo=1", -EINVAL, 2, "foo" },
	/* 1 */ { "set=1\nbar", -EPROTO, 2, "" },
	/* 2 */ { "set=1\n=1", -EINVAL, 2, "" },
	/* 3 */ { "set=1\nlisten_port=", -EINVAL, 2, "listen_port" },
	/* 4 */ { "set=1\nlisten_port=65536", -EINVAL, 2, "listen_port" },
	/* 5 */ { "set=1\nlisten_port=-1", -EINVAL, 2, "listen_port" },
	/* 6 */ { "set=1\nlisten_port= 1", -EINVAL, 2, "listen_port" },
	/* 7 */ { "set=1\nlisten_port=1\r", -EINVAL, 2, "listen_port" },
	/* 8 */ { "set=1\nlisten_port=99999999999999999999", -EINVAL, 2, "listen_port" },
	/* 9 */ { "set=1\nfwmark=0x10", -EINVAL, 2, "fwmark" },
	/* 10 */ { "set=1\nfwmark=4294967296", -EINVAL, 2, "fwmark" },
	/* 11 */ { "set=1\nfwmark=off", -EINVAL, 2, "fwmark" },
	/* 12 */ { "set=1\nreplace_peers=false", -EINVAL, 2, "replace_peers" },
	/* 13 */ { "set=1\nreplace_peers=", -EINVAL, 2, "replace_peers" },
	/* 14 */ { "set=1\nprivate_key=12", -EINVAL, 2, "private_key" },
	/* 15 */ { "set=1\nprivate_key=" KEY_A "0", -EINVAL, 2, "private_key" },
	/* 16 */ { "set=1\nprivate_key=g" KEY_A, -EINVAL, 2, "private_key" },
	/* 17 */ { "set=1\nfwmark=1\npublic_key=x", -EINVAL, 3, "public_key" },
	/* 18: wireguard-go takes it for a peer that is never reached */
	{ "set=1\npublic_key=" ZERO, -EINVAL, 2, "public_key" },
	/* 19 */ { "set=1\nremove=true", -EINVAL, 2, "remove" },
	/* 20 */ { "set=1\nallowed_ip=10.0.0.0/8", -EINVAL, 2, "allowed_ip" },
	/* 21 */ { PEER "private_key=" KEY_A, -EINVAL, 3, "private_key" },
	/* 22 */ { PEER "listen_port=1", -EINVAL, 3, "listen_port" },
	/* 23 */ { PEER "replace_peers=true", -EINVAL, 3, "replace_peers" },
	/* 24 */ { PEER "remove=1", -EINVAL, 3, "remove" },
	/* 25 */ { PEER "update_only=TRUE", -EINVAL, 3, "update_only" },
	/* 26 */ { PEER "replace_allowed_ips=no", -EINVAL, 3, "replace_allowed_ips" },
	/* 27 */ { PEER "preshared_key=", -EINVAL, 3, "preshared_key" },
	/* 28 */ { PEER "endpoint=", -EINVAL, 3, "endpoint" },
	/* 29 */ { PEER "endpoint=example.com:51820", -EINVAL, 3, "endpoint" },
	/* 30 */ { PEER "endpoint=192.0.2.1", -EINVAL, 3, "endpoint" },
	/* 31 */ { PEER "endpoint=192.0.2.1:0", -EINVAL, 3, "endpoint" },
	/* 32 */ { PEER "endpoint=192.0.2.1:65536", -EINVAL, 3, "endpoint" },
	/* 33 */ { PEER "endpoint=2001:db8::1:5", -EINVAL, 3, "endpoint" },
	/* 34 */ { PEER "endpoint=[fe80::1%nosuchlink0]:5", -EINVAL, 3, "endpoint" },
	/* 35 */ { PEER "endpoint=[fe80::1%aninterfacenametoolong]:5", -EINVAL, 3, "endpoint" },
	/* 36 */ { PEER "endpoint=[fe80::1%]:5", -EINVAL, 3, "endpoint" },
	/* 37 */ { PEER "endpoint=[fe80::1%lo:5", -EINVAL, 3, "endpoint" },
	/* 38 */ { PEER "persistent_keepalive_interval=off", -EINVAL, 3,
		   "persistent_keepalive_interval" },
	/* 39 */ { PEER "persistent_keepalive_interval=65536", -EINVAL, 3,
		   "persistent_keepalive_interval" },
	/* 40 */ { PEER "allowed_ip=10.0.0.1", -EINVAL, 3, "allowed_ip" },
	/* 41 */ { PEER "allowed_ip=10.0.0.1/33", -EINVAL, 3, "allowed_ip" },
	/* 42 */ { PEER "allowed_ip=2001:db8::/129", -EINVAL, 3, "allowed_ip" },
	/* 43 */ { PEER "allowed_ip=10.0.0.0/8,10.0.0.0/9", -EINVAL, 3, "allowed_ip" },
	/* 44 */ { PEER "allowed_ip=+10.0.0.0/8", -EINVAL, 3, "allowed_ip" },
	/* 45 */ { PEER "protocol_version=2", -EINVAL, 3, "protocol_version" },
	/* 46 */ { PEER "allowed_ip=10.0.0.0/8\n\nremove=true", -EPROTO, 4, "" },
	/* 47 */ { "get=1", -EPROTO, 1, "" },
	/* 48 */ { "set=2\nfwmark=1", -EPROTO, 1, "" },
	/* 49 */ { "", -EPROTO, 1, "" },
	/* 50: base64 in the wrong place has a '=' too: nothing of it is shown */
	{ "set=1\nqOAUsG0RIYGx3cSZbyGPIKRpbtQZ7nhXYg8ZmCGBhEQ=", -EINVAL, 2, "" },
	/* 51 */ { PEER "allowed_ip=1111111111111111111111111111111111111111111111111111111111"
		   "1111111111111111111111111111111111111111111111111111111111111111111111111"
		   "1111111111111111111111111111111111111111111111111111111111/8",
		   -EPROTO, 3, "" },
	/* 52 */ { PEER "allowed_ip=-10.0.0.0", -EINVAL, 3, "allowed_ip" },
	/* 53 */ { PEER "allowed_ip=--10.0.0.0/8", -EINVAL, 3, "allowed_ip" },
	/* 54 */ { PEER "allowed_ip=-", -EINVAL, 3, "allowed_ip" },
};

START_TEST(faults)
{
	char words[UAPI_FAULT_STRLEN];
	struct change_list changes;
	struct uapi_fault fault;

	ck_assert_int_eq(parse(refused[_i].text, &changes, &fault), refused[_i].err);
	ck_assert_uint_eq(changes.n, 0);
	ck_assert_ptr_null(changes.changes);
	ck_assert_uint_eq(fault.line, refused[_i].line);
	ck_assert_str_eq(fault.key, refused[_i].key);
	uapi_fault_format(&fault, words);
	ck_assert_msg(!strstr(words, "a0a1") && !strstr(words, "qOAU"), "%s", words);
}
END_TEST

START_TEST(nul_inside)
{
	static const char text[] = "set=1\nfwmark=1\0\n";
	struct change_list changes = { 0 };
	struct uapi_fault fault;

	ck_assert_int_eq(uapi_parse_set(&changes, text, sizeof(text) - 1, 0, &fault), -EPROTO);
	ck_assert_uint_eq(fault.line, 2);
}
END_TEST

static const struct {
	const char *text;
	enum uapi_kind kind;
} kinds[] = {
	/* 0 */ { "get=1", UAPI_GET },	    /* 1 */ { "get=1\nx", UAPI_GET },
	/* 2 */ { "set=1", UAPI_SET },	    /* 3 */ { "set=1\nfwmark=1", UAPI_SET },
	/* 4 */ { "get=2", UAPI_UNKNOWN },  /* 5 */ { "set=", UAPI_UNKNOWN },
	/* 6 */ { "", UAPI_UNKNOWN },	    /* 7 */ { "\nget=1", UAPI_UNKNOWN },
	/* 8 */ { "get=11", UAPI_UNKNOWN }, /* 9 */ { "GET / HTTP/1.1", UAPI_UNKNOWN },
};

START_TEST(kind)
{
	ck_assert_int_eq(uapi_request_kind(kinds[_i].text, strlen(kinds[_i].text)),
			 kinds[_i].kind);
}
END_TEST

/* The answer to get */

static void check_text(const struct text *out, const char *want)
{
	ck_assert(!out->failed);
	ck_assert_uint_eq(out->len, strlen(want));
	ck_assert_int_eq(memcmp(out->data, want, out->len), 0);
}

START_TEST(format_device)
{
	struct device_info info = { .listen_port = 51820, .fwmark = UINT32_MAX };
	struct text out = { 0 };

	ck_assert_int_eq(key_from_hex(info.private_key, KEY_A), 0);
	uapi_format_device(&out, &info);
	uapi_format_end(&out, 0);
	check_text(&out, "private_key=" KEY_A "\nlisten_port=51820\nfwmark=4294967295\n"
			 "errno=0\n\n");
	text_free(&out);

	info = (struct device_info){ 0 };
	uapi_format_device(&out, &info);
	uapi_format_end(&out, -EINVAL);
	check_text(&out, "errno=-22\n\n");
	text_free(&out);
}
END_TEST

START_TEST(format_peer)
{
	struct prefix ranges[2];
	uint8_t key[32];
	struct device_peer peer = { .public_key = key,
				    .last_handshake = { .tv_sec = 1700000000, .tv_nsec = 5 },
				    .tx_bytes = UINT64_MAX,
				    .rx_bytes = 1,
				    .keepalive = 25,
				    .allowed_ips = ranges,
				    .n_allowed_ips = 2 };
	struct text out = { 0 };

	ck_assert_int_eq(key_from_hex(key, KEY_A), 0);
	ck_assert_int_eq(key_from_hex(peer.preshared_key, KEY_A), 0);
	ck_assert_int_eq(endpoint_parse(&peer.endpoint, "[2001:db8::1]:51820"), 0);
	ck_assert_int_eq(prefix_parse(&ranges[0], "10.0.0.0/8"), 0);
	ck_assert_int_eq(prefix_parse(&ranges[1], "::/0"), 0);
	uapi_format_peer(&out, &peer);
	check_text(&out, "public_key=" KEY_A "\npreshared_key=" KEY_A "\nprotocol_version=1\n"
			 "endpoint=[2001:db8::1]:51820\nlast_handshake_time_sec=1700000000\n"
			 "last_handshake_time_nsec=5\ntx_bytes=18446744073709551615\nrx_bytes=1\n"
			 "persistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\n"
			 "allowed_ip=::/0\n");
	text_free(&out);

	peer = (struct device_peer){ .public_key = key };
	uapi_format_peer(&out, &peer);
	check_text(&out, "public_key=" KEY_A "\nprotocol_version=1\nlast_handshake_time_sec=0\n"
			 "last_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n");
	text_free(&out);
}
END_TEST

/* A list of 100,000 peers is written and read in time that grows with its length only. */
START_TEST(many)
{
	enum { PEERS = 100000 };
	struct change_list changes = { 0 };
	struct text out = { 0 };
	struct uapi_fault fault;

	text_add_string(&out, "set=1\n");
	for (uint32_t i = 0; i < PEERS; i++) {
		char line[256];

		snprintf(line, sizeof(line), "public_key=%08x%s\nallowed_ip=10.%u.%u.%u/32\n",
			 i + 1, KEY_REST, i >> 16, i >> 8 & 255, i & 255);
		text_add_string(&out, line);
	}
	ck_assert_int_eq(uapi_parse_set(&changes, out.data, out.len, 0, &fault), 0);
	ck_assert_uint_eq(changes.n, PEERS);
	text_free(&out);
	for (size_t i = 0; i < changes.n; i++) {
		struct device_peer peer = { .public_key = changes.changes[i].key,
					    .allowed_ips = changes.changes[i].allowed_ips,
					    .n_allowed_ips = 1 };

		uapi_format_peer(&out, &peer);
	}
	ck_assert(!out.failed && out.len > (size_t)PEERS * 150);
	text_free(&out);
	change_list_free(&changes);
}
END_TEST

START_TEST(change_words)
{
	char words[UAPI_FAULT_STRLEN];
	struct change c = { .kind = CHANGE_LISTEN_PORT, .number = 51820 };

	ck_assert_str_eq(uapi_change_format(&c, words), "listen port 51820");
	c = (struct change){ .kind = CHANGE_PRIVATE_KEY, .key = { 1 } };
	ck_assert_str_eq(uapi_change_format(&c, words), "private key");
	c.kind = CHANGE_PEER;
	ck_assert_str_eq(uapi_change_format(&c, words),
			 "peer AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	c = (struct change){ .kind = CHANGE_FWMARK, .number = 255 };
	ck_assert_str_eq(uapi_change_format(&c, words), "mark 0xff");
}
END_TEST

/* Text */

START_TEST(text_numbers)
{
	static const uint64_t numbers[] = { 0, 9, 10, 1234567890, UINT64_MAX };
	char want[32];

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct text out = { 0 };

		snprintf(want, sizeof(want), "%" PRIu64, numbers[i]);
		text_add_number(&out, numbers[i]);
		check_text(&out, want);
		text_free(&out);
	}
}
END_TEST

START_TEST(text_grows_and_shrinks)
{
	struct text out = { 0 };
	char line[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "%04d\n", i);
		text_add_string(&out, line);
	}
	ck_assert_uint_eq(out.len, 5000);
	text_consume(&out, 0);
	text_consume(&out, 4990);
	check_text(&out, "0998\n0999\n");
	/* What moved away left nothing behind. */
	for (size_t i = out.len; i < 5000; i++)
		ck_assert_int_eq(out.data[i], 0);
	text_consume(&out, 10);
	ck_assert_uint_eq(out.len, 0);
	ck_assert_ptr_null(text_reserve(&out, SIZE_MAX / 2));
	ck_assert(out.failed);
	text_add_string(&out, "x");
	ck_assert_uint_eq(out.len, 0);
	text_free(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uapi");
	TCase *t = tcase_create("set");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, device, 0, ARRAY_SIZE(device_lines));
	tcase_add_loop_test(t, peer_flags, 0, ARRAY_SIZE(peer_lines));
	tcase_add_test(t, peer_values);
	tcase_add_loop_test(t, turns_of_addresses, 0, ARRAY_SIZE(turns));
	tcase_add_test(t, whole);
	tcase_add_test(t, nothing);
	tcase_add_loop_test(t, faults, 0, ARRAY_SIZE(refused));
	tcase_add_test(t, nul_inside);
	tcase_add_loop_test(t, kind, 0, ARRAY_SIZE(kinds));
	tcase_add_test(t, change_words);
	suite_add_tcase(s, t);
	t = tcase_create("get");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, format_device);
	tcase_add_test(t, format_peer);
	tcase_add_test(t, many);
	tcase_add_test(t, text_numbers);
	tcase_add_test(t, text_grows_and_shrinks);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
