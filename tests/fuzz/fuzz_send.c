/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: packets to tenants through the whole send path, with real keys, a fake wire and a fake
 * clock (tests/path_lab.h). The input is a list of deeds: bursts to a tenant, to another one who does
 * not answer and to nobody; the tenant's MTU, rate and quota, which come and go; time that passes.
 *
 * What the tenant gets was sent to him, byte by byte, in its order and once: of what is cut
 * each piece.
 *
 * Length: 300
 */
#include "../../tun/checksum.h"
#include "fuzz_lab.h"

enum { DEEDS_MAX = 24, PACKET_MAX = 1420, AT_ONCE_MAX = 64 };

static struct lab lab;
static struct input in;

/* What was sent to the tenant, by number: the IPv4 id, or the flow label. */
static uint16_t n_sent;
static uint16_t lengths[DEEDS_MAX * AT_ONCE_MAX + 1];
/* What is to come next at the earliest, of IPv4 (with its offset) and of IPv6. */
static struct { uint32_t number; size_t at; } next4, next6;

/* Byte `at` of the payload of packet `number`. */
static uint8_t byte_of(uint32_t number, size_t at)
{
	return (uint8_t)(number * 31 + at * 7 + (at >> 8));
}

static size_t write_packet(uint8_t *out, const char *dst, size_t len, bool may_cut, uint16_t number)
{
	bool ip4 = !strchr(dst, ':');
	size_t header = ip4 ? 20 : 40;

	len = lab_packet(out, ip4 ? "198.51.100.1" : "2001:db8:9::1", dst, max(len, header + 8));
	if (ip4) {
		store_be16(out + 4, number);
		out[6] = may_cut ? 0 : 0x40;
		memset(out + 10, 0, 2);
		checksum_store(out + 10, checksum_finish(checksum_add(0, out, 20)));
	} else {
		store_be16(out + 2, number);
	}
	for (size_t i = header; i < len; i++)
		out[i] = byte_of(number, i - header);
	return len;
}

/* The tenant got this: what may it be? */
static void take_one(const struct fake_packet *p)
{
	bool ip4 = p->data[0] >> 4 == 4;
	uint16_t number = load_be16(p->data + (ip4 ? 4 : 2));
	size_t header = ip4 ? 20 : 40, at = ip4 ? (load_be16(p->data + 6) & 0x1fff) * 8u : 0;
	bool more = ip4 && p->data[6] & 0x20;

	must(p->len > header && number && number <= n_sent);
	must(ip4 ? !memcmp(p->data + 16, "\x0a\0\0\x02", 4)
		 : !memcmp(p->data + 24, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02", 16));
	must(!ip4 || !checksum_finish(checksum_add(0, p->data, 20)));
	must(at + p->len - header <= lengths[number] - header);
	must(more == (at + p->len < lengths[number]));
	for (size_t i = header; i < p->len; i++)
		must(p->data[i] == byte_of(number, at + i - header));
	if (ip4) {
		must(number > next4.number || (number == next4.number && at >= next4.at));
		next4.number = number;
		next4.at = at + p->len - header;
	} else {
		must(number > next6.number);
		next6.number = number;
	}
}

static void take_all(void)
{
	struct fake_packet *p;

	lab_carry(&lab);
	for (; (p = wire_take(lab.home.tun)); free(p))
		take_one(p);
	/* Errors to who sends: of no interest here. */
	for (; (p = wire_take(lab.gate.tun)); free(p))
		;
}

/* Deeds */

static void send_some(void)
{
	static const char *const to[] = { "10.0.0.2", "fd00::2", "10.0.0.9", "10.0.0.77" };
	unsigned how = take_u8(&in), n = take_u8(&in) % AT_ONCE_MAX + 1;
	uint8_t packet[PACKET_MAX];

	for (unsigned i = 0; i < n; i++) {
		/* Of a kind all, or mixed. */
		unsigned kind = how & 4 ? how + i : how, which = kind & 3;
		size_t len = 28 + (how >> 3) * 45u + (how & 4 ? i * 37u % 400 : 0);
		uint16_t number = which < 2 ? ++n_sent : 0;

		len = write_packet(packet, to[which], min(len, (size_t)PACKET_MAX), kind & 8, number);
		lengths[number] = (uint16_t)len;
		wire_inject(lab.gate.tun, NULL, 0, packet, len);
	}
	take_all();
}

static void set(unsigned flags, uint16_t mtu, struct limits limits)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_UPDATE_ONLY | flags, .mtu = mtu,
			    .limits = limits };

	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
}

static void set_mtu(void)
{
	uint8_t how = take_u8(&in);

	set(PEER_HAS_MTU, how & 1 ? 0 : (uint16_t)(576 + how * 3u), (struct limits){ 0 });
}

static void set_limits(void)
{
	uint8_t rate = take_u8(&in), quota = take_u8(&in);
	struct limits limits = { .rate_down = rate & 1 ? 0 : 16000 + rate * UINT64_C(100000) };

	if (!(quota & 1))
		limits.quota = (struct quota){ .bytes = 1000 + quota * UINT64_C(5000),
					       .rate = quota & 2 ? 0 : 256000 };
	set(PEER_HAS_LIMITS, 0, limits);
	take_all();
}

static void pass_time(void)
{
	uint8_t how = take_u8(&in);

	lab_wait(&lab, (how & 63) * (how & 64 ? NSEC_PER_SEC / 4 : NSEC_PER_MSEC));
	take_all();
}

/* The gate's session is gone: what comes next waits for a handshake. */
static void forget(void)
{
	rcu_turn_begin();
	(void)peer_drop_session(lab.gate.peer);
	rcu_turn_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const deeds[])(void) = { send_some, set_mtu, set_limits, pass_time, send_some,
					       forget };
	static const uint8_t other[32] = { 9 };
	struct endpoint nowhere;

	be_silent();
	in = (struct input){ data, size };
	n_sent = 0;
	memset(&next4, 0, sizeof(next4));
	memset(&next6, 0, sizeof(next6));
	fake_clock_set(NSEC_PER_SEC);
	fake_clock_set_realtime(1700000000, 0);
	lab_start_acquainted(&lab, NULL);
	lab_connect(&lab);
	nowhere = lab.home.at4;
	nowhere.addr4.sin_port = htons(3333);
	lab_add_peer(&lab.gate, other, "other", &nowhere, "10.0.0.9", "fd00::9");
	for (unsigned i = 0; i < DEEDS_MAX && in.size; i++)
		deeds[take_u8(&in) % ARRAY_SIZE(deeds)]();
	lab_stop(&lab);
	return 0;
}
