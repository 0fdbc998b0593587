/* SPDX-License-Identifier: MIT */
/*
 * An address stays on its queue (tun/steer.c): real packets into a real TUN device with
 * several queues. The kernel's own choice is looked at too, so that it is known that
 * this test sees a flow that moves.
 */
#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "../tun/steer.h"
#include "../tun/tun.h"
#include "in_netns.h"

enum { QUEUES = 4, FLOWS = 64, RINGS = 3 };

static struct tun_queue queues[QUEUES];
static unsigned n_queues;
/* Where packets come out: as the kernel numbers them. */
static struct pollfd rings[QUEUES * RINGS];
static unsigned n_rings;

static void open_device(unsigned n, unsigned rings_each)
{
	char name[IFNAMSIZ];

	ck_assert_int_eq(tun_open("steer0", n, rings_each, false, queues, name), 0);
	ck_assert(queues[0].steered);
	n_queues = n;
	n_rings = 0;
	for (unsigned ring = 0; ring < rings_each; ring++) {
		for (unsigned i = 0; i < n; i++) {
			ck_assert_uint_eq(queues[i].n_rings, rings_each);
			rings[n_rings++] = (struct pollfd){ .fd = tun_ring(&queues[i], ring),
							    .events = POLLIN };
		}
	}
	sh("ip link set steer0 mtu 1400 up");
	sh("ip addr add 10.9.0.1/16 dev steer0 && ip addr add fd09::1/32 dev steer0 nodad");
	wait_for_addresses();
	/* Nothing but what the test sends. */
	sh("sysctl -qw net.ipv6.conf.steer0.router_solicitations=0");
}

static void setup(void)
{
	in_netns_setup();
	open_device(QUEUES, 1);
}

static void teardown(void)
{
	tun_close(queues, n_queues);
}

struct flow {
	int fd;
	struct sockaddr_storage from, to;
	socklen_t len;
};

static void flow_open(struct flow *f, int family, const char *to, unsigned port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&f->to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&f->to;

	*f = (struct flow){ .fd = socket(family, SOCK_DGRAM, 0) };
	ck_assert_int_ge(f->fd, 0);
	f->to.ss_family = (sa_family_t)family;
	in->sin_port = htons((uint16_t)port); /* both have it at the same place */
	ck_assert_int_eq(inet_pton(family, to, family == AF_INET ? (void *)&in->sin_addr
								  : (void *)&in6->sin6_addr), 1);
	f->len = family == AF_INET ? sizeof(*in) : sizeof(*in6);
	ck_assert_int_eq(connect(f->fd, (struct sockaddr *)&f->to, f->len), 0);
	f->len = sizeof(f->from);
	ck_assert_int_eq(getsockname(f->fd, (struct sockaddr *)&f->from, &f->len), 0);
}

/* The ring (of a queue with one, the queue) at which the next UDP packet of the flow, or a part of one, comes out. */
static int next_queue(uint8_t *packet, size_t room, ssize_t *len)
{
	for (;;) {
		ck_assert_msg(poll(rings, n_rings, 10000) > 0, "no packet came");
		for (int i = 0; i < (int)n_rings; i++) {
			if (!(rings[i].revents & POLLIN))
				continue;
			*len = read(rings[i].fd, packet, room);
			/* Neighbour discovery and group reports are nobody's flow. */
			if (*len > 28 && (packet[0] >> 4 == 4 ? packet[9] == IPPROTO_UDP
							       : packet[6] == IPPROTO_UDP ||
								 packet[6] == IPPROTO_FRAGMENT))
				return i;
		}
	}
}

static int send_one(struct flow *f, size_t size)
{
	uint8_t data[4000] = { 0 }, packet[2000];
	ssize_t len;

	ck_assert_int_eq(send(f->fd, data, size, 0), (ssize_t)size);
	return next_queue(packet, sizeof(packet), &len);
}

/* An answer of the other side, written to a queue; its checksum, 0, is good for IPv4 only. */
static void answer(struct flow *f, int queue)
{
	struct sockaddr_in *to = (struct sockaddr_in *)&f->to;
	struct sockaddr_in *from = (struct sockaddr_in *)&f->from;
	uint8_t p[28] = { 0x45, 0, 0, 28, 0, 0, 0, 0, 64, IPPROTO_UDP };
	uint32_t sum = 0;

	memcpy(p + 12, &to->sin_addr, 4);
	memcpy(p + 16, &from->sin_addr, 4);
	memcpy(p + 20, &to->sin_port, 2);
	memcpy(p + 22, &from->sin_port, 2);
	p[25] = 8;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
	ck_assert_int_eq(write(queues[queue].fd, p, sizeof(p)), sizeof(p));
}

/* Does the flow come to another queue after an answer on each of them? */
static bool moves(struct flow *f)
{
	int first = send_one(f, 10);

	for (int i = 0; i < QUEUES; i++) {
		answer(f, i);
		if (send_one(f, 10) != first)
			return true;
	}
	return false;
}

START_TEST(answers_do_not_move_it)
{
	int none = -1;
	struct flow f;

	flow_open(&f, AF_INET, "10.9.0.2", 5000);
	ck_assert(!moves(&f));
	ck_assert_int_eq(ioctl(queues[0].fd, TUNSETSTEERINGEBPF, &none), 0);
	ck_assert(moves(&f));
	ck_assert_int_eq(steer_by_destination(queues[0].fd), 0);
	ck_assert(!moves(&f));
	close(f.fd);
}
END_TEST

/* Where the kernel sends packets for an address is where steer_queue() says. */
static void check_spread(int family, const char *format)
{
	unsigned by_address[QUEUES] = { 0 };
	uint8_t addr[16];
	char to[64];
	struct flow f;
	int queue;

	for (unsigned i = 0; i < FLOWS; i++) {
		snprintf(to, sizeof(to), format, i + 2);
		ck_assert_int_eq(inet_pton(family, to, addr), 1);
		flow_open(&f, family, to, 5000 + i);
		queue = send_one(&f, 10);
		ck_assert_int_eq(queue, (int)steer_queue(addr, family == AF_INET ? 4 : 16, QUEUES));
		by_address[queue]++;
		close(f.fd);
	}
	for (int i = 0; i < QUEUES; i++)
		ck_assert_uint_ge(by_address[i], FLOWS / QUEUES / 4);
}

START_TEST(addresses_spread)
{
	check_spread(AF_INET, "10.9.0.%u");
	check_spread(AF_INET6, "fd09::%x");
	/* Tenants in prefixes of their own. */
	check_spread(AF_INET6, "fd09::%x:0:0:1");
}
END_TEST

/* Whatever the port, the size, and whether it is in fragments, of which one has ports. */
START_TEST(one_address_one_queue)
{
	uint8_t packet[2000];
	struct flow f;
	ssize_t len;

	for (unsigned i = 0; i < FLOWS; i++) {
		const char *to = i % 2 ? "10.9.0.2" : "fd09::2";
		uint8_t addr[16];
		int queue;

		ck_assert_int_eq(inet_pton(i % 2 ? AF_INET : AF_INET6, to, addr), 1);
		queue = (int)steer_queue(addr, i % 2 ? 4 : 16, QUEUES);
		flow_open(&f, i % 2 ? AF_INET : AF_INET6, to, 5000 + i);
		for (size_t size = 1; size < 1300; size += 200)
			ck_assert_int_eq(send_one(&f, size), queue);
		ck_assert_int_eq(send_one(&f, 3500), queue);
		ck_assert_int_eq(next_queue(packet, sizeof(packet), &len), queue);
		ck_assert_int_eq(next_queue(packet, sizeof(packet), &len), queue);
		close(f.fd);
	}
}
END_TEST

/* An address has one ring, of the queue that it has without rings. */
START_TEST(rings_of_a_queue)
{
	unsigned used[QUEUES * RINGS] = { 0 };
	uint8_t addr[4];
	char to[64];

	tun_close(queues, QUEUES);
	open_device(QUEUES, RINGS);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct flow f;
		int ring;

		snprintf(to, sizeof(to), "10.9.0.%u", i + 2);
		ck_assert_int_eq(inet_pton(AF_INET, to, addr), 1);
		flow_open(&f, AF_INET, to, 5000 + i);
		ring = send_one(&f, 10);
		ck_assert_int_eq(ring, (int)steer_queue(addr, 4, QUEUES * RINGS));
		ck_assert_int_eq(ring % QUEUES, (int)steer_queue(addr, 4, QUEUES));
		ck_assert_int_eq(send_one(&f, 1000), ring);
		used[ring]++;
		close(f.fd);
	}
	for (unsigned i = 0; i < QUEUES * RINGS; i++)
		ck_assert_uint_gt(used[i], 0);
}
END_TEST

/* Who is sent more than is read loses it in a ring of his own. */
START_TEST(a_flood_is_alone)
{
	enum { FLOOD = 3000 };
	uint8_t a[] = { 10, 9, 0, 2 }, b[] = { 10, 9, 0, 6 }, packet[100];
	unsigned flooded = steer_queue(a, 4, RINGS), came = 0;
	struct flow fat, thin;

	tun_close(queues, QUEUES);
	open_device(1, RINGS);
	ck_assert_uint_ne(flooded, steer_queue(b, 4, RINGS));
	flow_open(&fat, AF_INET, "10.9.0.2", 5000);
	flow_open(&thin, AF_INET, "10.9.0.6", 5001);
	for (unsigned i = 0; i < FLOOD; i++)
		ck_assert_int_eq(send(fat.fd, packet, 10, 0), 10);
	ck_assert_int_eq(send(thin.fd, packet, 20, 0), 20);
	ck_assert_int_eq(read(rings[steer_queue(b, 4, RINGS)].fd, packet, sizeof(packet)), 48);
	while (read(rings[flooded].fd, packet, sizeof(packet)) > 0)
		came++;
	ck_assert_uint_gt(came, 0);
	ck_assert_uint_lt(came, FLOOD);
	close(fat.fd);
	close(thin.fd);
}
END_TEST

/* As many as there may be, and no more than were asked for; a queue there always is. */
START_TEST(so_many_rings)
{
	static struct tun_queue many[TUN_RINGS_ALL + 2];
	static const struct { unsigned queues, rings, expected; } counts[] = {
		{ 1, 1, 1 }, { 1, 1000, TUN_RINGS }, { 2, TUN_RINGS, TUN_RINGS },
		{ 100, TUN_RINGS, 1 }, { TUN_RINGS_ALL / 2, 5, 2 }, { TUN_RINGS_ALL + 2, 5, 1 },
	};
	char name[IFNAMSIZ];

	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		ck_assert_int_eq(tun_open("steer%d", counts[i].queues, counts[i].rings, true, many,
					  name), 0);
		for (unsigned k = 0; k < counts[i].queues; k++)
			ck_assert_uint_eq(many[k].n_rings, counts[i].expected);
		tun_close(many, counts[i].queues);
		ck_assert_uint_eq(if_nametoindex(name), 0);
	}
	/* A device that is there, and was made for one queue. */
	sh("ip tuntap add steer9 mode tun vnet_hdr");
	ck_assert_int_eq(tun_open("steer9", 1, TUN_RINGS, true, many, name), 0);
	ck_assert_uint_eq(many[0].n_rings, 1);
	ck_assert(many[0].steered);
	tun_close(many, 1);
}
END_TEST

START_TEST(all_to_one)
{
	char to[64];
	struct flow f;

	for (unsigned queue = 0; queue < QUEUES; queue++) {
		ck_assert_int_eq(steer_to(queues[0].fd, queue), 0);
		for (unsigned i = 0; i < 8; i++) {
			snprintf(to, sizeof(to), "10.9.0.%u", i + 2);
			flow_open(&f, AF_INET, to, 5000 + i);
			ck_assert_int_eq(send_one(&f, 10), (int)queue);
			close(f.fd);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("steer");
	TCase *tc = tcase_create("steer");
	SRunner *runner;
	int failed;

	if (!in_netns_possible("test_steer"))
		return 0;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, answers_do_not_move_it);
	tcase_add_test(tc, addresses_spread);
	tcase_add_test(tc, one_address_one_queue);
	tcase_add_test(tc, rings_of_a_queue);
	tcase_add_test(tc, a_flood_is_alone);
	tcase_add_test(tc, so_many_rings);
	tcase_add_test(tc, all_to_one);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
