/* SPDX-License-Identifier: MIT */
/*
 * What the tests of neigh stand upon: real sockets on a real link.
 *
 *	+---------------- the test's namespace ----------------+   +- "router" -+
 *	|  neigh on up0 ============ veth ============ ask0 ...|...|.. or here  |
 *	|  02:00:00:00:00:01                 02:00:00:00:00:0a |   +------------+
 *	+------------------------------------------------------+
 *
 * On ask0 sits either a packet socket of the test, or (moved to a namespace of
 * its own) the kernel, as a provider's router would be there.
 */
#ifndef BERTH_TESTS_NEIGH_LAB_H
#define BERTH_TESTS_NEIGH_LAB_H

#include <check.h>
#include <linux/if_packet.h>
#include <poll.h>

#include "../src/base/log.h"
#include "../src/neighbor/neigh.h"
#include "../tun/nlmon.h"
#include "in_netns.h"
#include "neighbor_frames.h"

#define TENANT "2001:db8:dead:beef::1234"
#define FOREIGN "2001:db8:dead:beef::9999"
#define TENANT4 "198.51.100.77"
#define FOREIGN4 "198.51.100.78"
#define OWN_LINK_LOCAL "fe80::1"
#define OWN_GLOBAL "2001:db8:dead:beef::1"

/* RFC 2863 ifOperStatus, as the kernel numbers it; <linux/if.h> clashes with <net/if.h>. */
enum { IF_OPER_UP = 6 };

/* An event that has not come by then never comes. */
enum { DEADLINE_MS = 10000, GOT_MAX = 16 };

struct lab {
	uv_loop_t loop;
	uv_timer_t deadline;
	uv_poll_t poll;
	int ask; /* the packet socket on ask0 */
	struct neigh *neigh;
	struct frame got[GOT_MAX]; /* what came to it, advertisements and ARP only */
	unsigned int count;
	unsigned int errors; /* ICMPv6 errors that came there */
};

static inline enum neigh_owner owner_of(void *arg, int family, const uint8_t *addr)
{
	struct in6_addr foreign = frame_in6(FOREIGN);

	(void)arg;
	if (family == AF_INET)
		return memcmp(addr, "\xc6\x33\x64\x4d", 4) == 0 ? NEIGH_HERE : NEIGH_UNOWNED;
	ck_assert_int_eq(family, AF_INET6);
	return memcmp(addr, &foreign, 8) == 0 && memcmp(addr, &foreign, 16) != 0 ? NEIGH_HERE :
										   NEIGH_UNOWNED;
}

static const struct neigh_ops ops = { .owner = owner_of };

static inline void on_deadline(uv_timer_t *timer)
{
	(void)timer;
	ck_abort_msg("waited too long");
}

/* Runs the loop until it has come true. */
static inline void wait_until(struct lab *lab, bool (*true_now)(struct lab *lab))
{
	uv_timer_start(&lab->deadline, on_deadline, DEADLINE_MS, 0);
	while (!true_now(lab))
		uv_run(&lab->loop, UV_RUN_ONCE);
	uv_timer_stop(&lab->deadline);
}

static inline bool is_answer(const struct frame *f)
{
	size_t at = memcmp(f->data + 12, "\x81\x00", 2) == 0 ? 16 : 12;

	return memcmp(f->data + at, "\x08\x06", 2) == 0 ||
	       (memcmp(f->data + at, "\x86\xdd", 2) == 0 && f->data[at + 8] == 58 &&
		f->data[at + 42] == 136);
}

static inline void on_frame(uv_poll_t *poll, int status, int events)
{
	struct lab *lab = poll->data;
	struct frame *f = &lab->got[lab->count];
	ssize_t len;

	(void)events;
	if (status < 0)
		return;
	len = recv(lab->ask, f->data, sizeof(f->data), MSG_DONTWAIT);
	if (len < 14)
		return;
	f->len = (size_t)len;
	/* Errors are the types below 128: RFC 4443 §2.1. */
	if (memcmp(f->data + 12, "\x86\xdd", 2) == 0 && f->data[20] == 58 && f->data[54] < 128)
		lab->errors++;
	if (!is_answer(f))
		return;
	lab->count++;
	ck_assert_uint_lt(lab->count, GOT_MAX);
}

static inline int packet_socket(const char *ifname)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd, on = 1;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	link.sll_ifindex = (int)if_nametoindex(ifname);
	ck_assert_int_eq(setsockopt(fd, SOL_PACKET, 23 /* PACKET_IGNORE_OUTGOING */, &on,
				    sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&link, sizeof(link)), 0);
	return fd;
}

/* Addresses come without delay and only where they are given. */
static inline void quiet_ipv6(const char *prefix)
{
	sh("%s sh -c 'cd /proc/sys/net/ipv6/conf/default && echo 1 >addr_gen_mode &&"
	   " echo 0 >router_solicitations && echo 0 >router_solicitation_delay'", prefix);
}

/*
 * Until both ends can send: the kernel lets go of frames that come between "set
 * up" and its notice that the carrier is there.
 */
static inline void wait_for_carrier(void)
{
	static const struct nlmon_callbacks deaf = { 0 };
	struct pollfd pollfd = { .events = POLLIN };
	struct netlink_link up, ask;
	struct netlink *nl;
	struct nlmon *mon;

	ck_assert_int_eq(nlmon_open(&mon, -1, NLMON_LINK), 0);
	ck_assert_int_eq(netlink_open(&nl, -1), 0);
	pollfd.fd = nlmon_fd(mon);
	for (;;) {
		ck_assert_int_eq(netlink_link_get(nl, (int)if_nametoindex("up0"), &up), 0);
		ck_assert_int_eq(netlink_link_get(nl, (int)if_nametoindex("ask0"), &ask), 0);
		if (up.operstate == IF_OPER_UP && ask.operstate == IF_OPER_UP)
			break;
		ck_assert_int_eq(poll(&pollfd, 1, DEADLINE_MS), 1);
		ck_assert_int_eq(nlmon_read(mon, &deaf, NULL), 0);
	}
	netlink_close(nl);
	nlmon_close(mon);
}

static inline void make_link(const char *options)
{
	sh("ip link add up0 address 02:00:00:00:00:01 %s type veth"
	   " peer name ask0 address 02:00:00:00:00:0a", options);
	sh("ip link set up0 up && ip link set ask0 up");
	wait_for_carrier();
	sh("ip addr add " OWN_LINK_LOCAL "/64 dev up0 nodad");
	wait_for_addresses();
}

static inline void lab_open(struct lab *lab)
{
	memset(lab, 0, sizeof(*lab));
	lab->ask = -1;
	log_set_level(LOG_LEVEL_SILENT);
	quiet_ipv6("");
	make_link("");
	ck_assert_int_eq(uv_loop_init(&lab->loop), 0);
	uv_timer_init(&lab->loop, &lab->deadline);
	ck_assert_int_eq(neigh_open(&lab->neigh, &lab->loop, "up0", &ops, lab), 0);
	/* One answer to each question, however slowly a test asks again. */
	neigh_set_source(lab->neigh, NEIGHBOR_SOURCE_LINK_LOCAL);
}

static inline void lab_listen(struct lab *lab)
{
	lab->ask = packet_socket("ask0");
	uv_poll_init(&lab->loop, &lab->poll, lab->ask);
	lab->poll.data = lab;
	uv_poll_start(&lab->poll, UV_READABLE, on_frame);
}

static inline void lab_deafen(struct lab *lab)
{
	uv_close((uv_handle_t *)&lab->poll, NULL);
	uv_run(&lab->loop, UV_RUN_NOWAIT);
	close(lab->ask);
	lab->ask = -1;
}

/* Nothing may be left in the loop. */
static inline void lab_close(struct lab *lab)
{
	neigh_close(lab->neigh);
	if (lab->ask >= 0)
		lab_deafen(lab);
	uv_close((uv_handle_t *)&lab->deadline, NULL);
	uv_run(&lab->loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&lab->loop), 0);
}

static inline void ask(struct lab *lab, const struct frame *f)
{
	ck_assert_int_eq(send(lab->ask, f->data, f->len, 0), f->len);
}

static inline bool got_one(struct lab *lab)
{
	return lab->count > 0;
}

/* The one answer that came; the next ask starts afresh. */
static inline const struct frame *take(struct lab *lab)
{
	wait_until(lab, got_one);
	ck_assert_uint_eq(lab->count, 1);
	lab->count = 0;
	return &lab->got[0];
}

static inline struct frame_na take_advertisement(struct lab *lab)
{
	const struct frame *f = take(lab);
	struct frame_na na;

	ck_assert(frame_read_advertisement(f->data, f->len, &na));
	return na;
}

static const struct frame_ns multicast = {
	.source = "fe80::a", .target = TENANT, .link_address = true,
};

static inline struct frame_na ask_multicast(struct lab *lab)
{
	struct frame f;

	frame_solicitation(&f, &multicast);
	ask(lab, &f);
	return take_advertisement(lab);
}

/* Must be the answer to ask_multicast(), or to one who detects duplicates. */
static inline void check_advertisement(const struct frame_na *na, bool dad)
{
	struct in6_addr target = frame_in6(TENANT), own = frame_in6(OWN_LINK_LOCAL);
	struct in6_addr to = frame_in6(dad ? "ff02::1" : "fe80::a");

	ck_assert_mem_eq(na->link_source, FRAME_US, 6);
	ck_assert_mem_eq(na->link_destination, dad ? "\x33\x33\0\0\0\x01" : FRAME_ASKER, 6);
	ck_assert_mem_eq(&na->ip.ip6_src, &own, 16);
	ck_assert_mem_eq(&na->ip.ip6_dst, &to, 16);
	ck_assert_mem_eq(&na->msg.nd_na_target, &target, 16);
	ck_assert_uint_eq(ntohl(na->msg.nd_na_flags_reserved), dad ? 0x80000000 : 0xc0000000);
	ck_assert_mem_eq(na->option, "\x02\x01" FRAME_US, 8);
}

#endif
