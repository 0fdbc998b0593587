/* SPDX-License-Identifier: MIT */
/* What nobody should send. Of each packet it is known why the gateway must drop it. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/icmp6.h>

#include "crowd.h"
#include "load.h"
#include "soak.h"
#include "solicit.h"

enum {
	SOCKETS = 8,
	STRANGERS = 32,
	FLOOD_MAX = 400,     /* messages at once, of those that cost little */
	HANDSHAKES_MAX = 40, /* and of those that cost scalar multiplications */
	STRANGER_NUMBER = 1 << 24
};

struct hostile {
	int fd[SOCKETS];
	struct message_initiation strangers[STRANGERS];
	struct solicit link;
	uint32_t asked; /* the number that was asked for last */
};

static struct hostile hostile;

void hostile_open(struct soak *s)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &hostile };
	struct member m;

	s->hostile = &hostile;
	for (unsigned i = 0; i < SOCKETS; i++)
		hostile.fd[i] = wire_socket(s, i % 2 ? AF_INET6 : AF_INET);
	for (unsigned i = 0; i < STRANGERS; i++) {
		crowd_member(&m, STRANGER_NUMBER + i, s->gateway_key, NULL);
		crowd_initiation(&m, 0, &hostile.strangers[i]);
	}
	solicit_open(&hostile.link, s->o.world, s->o.link, "2001:db8:beef:0:1::1");
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, hostile.link.fd, &e))
		load_die("epoll_ctl");
}

/* Inner packets of a tenant */

static size_t lay(struct soak *s, struct tenant *t, uint8_t *message, uint32_t source)
{
	struct soak_label l = { .magic = SOAK_SPOOFED, .from = t->number, .life = t->lives };
	uint8_t *inner = message + sizeof(struct message_data);
	struct in_addr from4 = soak_inner4(source), to4 = s->world_at4.sin_addr;
	struct in6_addr from6 = soak_inner6(source), to6 = s->world_at6.sin6_addr;
	size_t len = SOAK_HEADER + soak_random(s, 200);
	int family = soak_chance(s, 50) ? AF_INET : AF_INET6;

	soak_fill(inner + soak_headers(family), len, &l, s->o.seed);
	return family == AF_INET ? soak_lay(inner, AF_INET, &from4, &to4, len) :
				   soak_lay(inner, AF_INET6, &from6, &to6, len);
}

static void blame(struct soak *s, struct tenant *t, enum drop_reason reason, unsigned n)
{
	t->account.drops[reason] += n;
	t->blamed = s->now;
	t->blamed_n = n;
}

void hostile_spoof(struct soak *s, struct tenant *t)
{
	static uint8_t messages[SOAK_BURST][SOAK_MESSAGE_MAX];
	size_t lens[SOAK_BURST];
	unsigned n = 1 + (unsigned)soak_random(s, SOAK_BURST);

	for (unsigned i = 0; i < n; i++) {
		uint32_t other = 1 + (uint32_t)soak_random(s, s->o.tenants - 1);

		/* Of another tenant, be it there or not. */
		lens[i] = lay(s, t, messages[i], other == t->number ? s->o.tenants : other);
	}
	if (t->number == s->o.tenants)
		return; /* it might have got its own */
	n = wire_send(s, t, messages, lens, n);
	blame(s, t, DROP_SOURCE_NOT_ALLOWED, n);
	s->counts[SPOOFS] += n;
}

/* Authentic, and no IP packet. */
void hostile_garbage(struct soak *s, struct tenant *t)
{
	static uint8_t messages[1][SOAK_MESSAGE_MAX];
	uint8_t *inner = messages[0] + sizeof(struct message_data);
	size_t len = lay(s, t, messages[0], t->number);

	switch (soak_random(s, 3)) {
	case 0:
		inner[0] = 0x50;
		break;
	case 1:
		/* A length that wraps around where it is added up in 16 bits. */
		memset(inner, 0, 40);
		inner[0] = 0x60;
		store_be16(inner + 4, 65535);
		break;
	default:
		len = 7;
	}
	blame(s, t, DROP_INNER_MALFORMED, wire_send(s, t, messages, &len, 1));
}

/* Floods */

static bool post(struct soak *s, const void *msg, size_t len)
{
	uint8_t buf[256];
	int fd = hostile.fd[soak_random(s, SOCKETS)];

	/* Errors of datagrams before this one, and answers that nobody wants. */
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
	s->counts[FLOOD_PACKETS]++;
	for (int chance = 0; chance < 2; chance++)
		if (send(fd, msg, len, MSG_DONTWAIT) == (ssize_t)len)
			return true;
	return false;
}

static void flood_random(struct soak *s, size_t len, uint32_t type, enum drop_reason reason)
{
	uint8_t msg[1600];
	unsigned n = 1 + (unsigned)soak_random(s, FLOOD_MAX);

	while (n--) {
		randombytes_buf(msg, len);
		store_le32(msg, type);
		if (type == MESSAGE_DATA)
			store_le32(msg + 4, (uint32_t)soak_random(s, UINT64_C(1) << 32));
		if (post(s, msg, len))
			s->drops[reason]++;
	}
}

/* Good mac1: it costs the gateway scalar multiplications to find out. */
static void flood_strangers(struct soak *s, bool forged)
{
	unsigned n = 1 + (unsigned)soak_random(s, HANDSHAKES_MAX);

	while (n--) {
		struct message_initiation msg = hostile.strangers[soak_random(s, STRANGERS)];

		if (forged) {
			msg.encrypted_static[soak_random(s, NOISE_KEY_LEN)] ^= 1;
			cookie_add_macs(&s->gateway_macs, &msg, sizeof(msg), s->now);
		}
		if (post(s, &msg, sizeof(msg)))
			s->drops[forged ? DROP_BAD_HANDSHAKE : DROP_UNKNOWN_PEER]++;
	}
}

/* A packet of somebody who is there: said again, or with another tag. */
static void flood_recorded(struct soak *s, bool replay)
{
	uint8_t msg[SOAK_MESSAGE_MAX];
	struct tenant *t;
	size_t len = wire_recorded(msg, &t);
	unsigned n = 1 + (unsigned)soak_random(s, 50), sent = 0;

	/* Its first copy must have arrived, and its key must outlive this. */
	if (!len || t->paused || s->now - t->keys[0].birth < NSEC_PER_SEC ||
	    load_le32(msg + 4) != t->keys[0].s.remote_index)
		return;
	if (!replay)
		msg[len - 1] ^= 0x80;
	while (n--)
		sent += post(s, msg, len);
	blame(s, t, replay ? DROP_REPLAYED : DROP_BAD_TAG, sent);
}

void hostile_flood(struct soak *s)
{
	soak_count(s, FLOODS);
	switch (soak_random(s, 9)) {
	case 0:
		flood_random(s, sizeof(struct message_initiation), MESSAGE_INITIATION,
			     DROP_BAD_MAC1);
		break;
	case 1:
		flood_random(s, sizeof(struct message_response), MESSAGE_RESPONSE, DROP_BAD_MAC1);
		break;
	case 2:
		flood_random(s, 32 + soak_random(s, 1400), MESSAGE_DATA, DROP_UNKNOWN_INDEX);
		break;
	case 3:
		flood_random(s, 4 + soak_random(s, 27), MESSAGE_DATA, DROP_MALFORMED);
		break;
	case 4:
		flood_random(s, 4 + soak_random(s, 1400), 5 + (uint32_t)soak_random(s, 1000),
			     DROP_MALFORMED);
		break;
	case 5:
		flood_strangers(s, false);
		break;
	case 6:
		flood_strangers(s, true);
		break;
	case 7:
		flood_recorded(s, true);
		break;
	default:
		flood_recorded(s, false);
	}
}

/* Neighbours */

void hostile_ask(struct soak *s)
{
	unsigned n = 1 + (unsigned)soak_random(s, 20);

	while (n--) {
		hostile.asked = 1 + (uint32_t)soak_random(s, s->o.tenants + 100);
		hostile.link.target = soak_inner6(hostile.asked);
		s->counts[NEIGHBOURS_ASKED] += solicit_ask(&hostile.link);
	}
}

/* Nobody who is long gone may be answered for. */
void hostile_read(struct soak *s)
{
	struct nd_neighbor_advert na;
	uint32_t number;

	while (recv(hostile.link.fd, &na, sizeof(na), MSG_DONTWAIT) >= (ssize_t)sizeof(na)) {
		number = soak_owner6(&na.nd_na_target);
		if (!number)
			continue;
		soak_count(s, NEIGHBOURS_ANSWERED);
		if (number > s->o.tenants) {
			soak_fault(s, "neighbours are answered for an address of nobody (%u)", number);
			continue;
		}
		if (s->tenants[number - 1].life == ABSENT)
			soak_fault(s, "neighbours are answered for t%05u, who is gone", number);
	}
}
