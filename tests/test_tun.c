/* SPDX-License-Identifier: MIT */
/*
 * The TUN device: bursts and errors with system calls of the test's own, and everything
 * else with a real device in a network namespace of the test's own (needs root).
 *
 *	this test plays          tun_read_burst        berth-t0
 *	the host behind it  ──   tun_write_burst  ──   10.9.0.1  ──  sockets of the
 *	10.9.0.2, fd09::2                              fd09::1       namespace
 */
#include "../tun/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "in_netns.h"
#include "packets.h"

enum { ACK = 16, SYN = 2, PSH = 8 };

enum { ARENA = 256 * 1024, SEGS = 256, BURST = 128 };

static const struct gso_layout tunnel = {
	.headroom = 16,
	.tailroom = 16,
	.align = 16,
	.max = 1420,
};

static struct tun_reader reader;
static uint8_t arena[ARENA];
static struct span segs[SEGS];
static size_t used;

static uint8_t bytes[BURST][2048], before[BURST][2048];
static struct span pkts[BURST];
static uint8_t payload[65536];

/*
 * System calls of the test's own. Reads follow a script; writes are recorded and answered by
 * two rules: an error for super-packets, one for packets alone.
 */
struct script_read {
	int error;
	uint8_t *data; /* with virtio_net_hdr when the queue has one */
	size_t len;
};

static const struct script_read *script;
static size_t script_len, script_at;

static ssize_t fake_readv(int fd, const struct iovec *iov, int count)
{
	const struct script_read *r;
	size_t done = 0, part;
	int i;

	(void)fd;
	if (script_at == script_len) {
		errno = EAGAIN;
		return -1;
	}
	r = &script[script_at++];
	if (r->error) {
		errno = r->error;
		return -1;
	}
	for (i = 0; i < count && done < r->len; i++, done += part) {
		part = min(iov[i].iov_len, r->len - done);
		memcpy(iov[i].iov_base, r->data + done, part);
	}
	return (ssize_t)done;
}

static int error_super, error_single, error_after; /* error_after: successful singles before it */
static size_t writes, singles;

static ssize_t fake_writev(int fd, const struct iovec *iov, int count)
{
	ssize_t total = 0;
	int i, error;

	(void)fd;
	writes++;
	for (i = 0; i < count; i++)
		total += (ssize_t)iov[i].iov_len;
	if (count > 2) {
		error = error_super;
	} else {
		error = (int)singles < error_after ? 0 : error_single;
		ck_assert_mem_eq(iov[count - 1].iov_base, before[singles % BURST],
				 iov[count - 1].iov_len);
		singles++;
	}
	errno = error;
	return error ? -1 : total;
}

static const struct tun_ops fakes = { fake_readv, fake_writev };

static void play(const struct script_read *s, size_t n)
{
	script = s;
	script_len = n;
	script_at = 0;
	memset(&reader, 0, sizeof(reader));
}

static int read_burst(struct tun_queue *q, size_t arena_len, size_t max_segs)
{
	return tun_read_burst(q, q->ops == &fakes ? 0 : q->fd, &reader, &tunnel, arena, arena_len,
			      segs, max_segs, &used);
}

/* A TCP super-packet with its virtio_net_hdr in @out, @len bytes of payload; returns the length. */
static size_t make_super(uint8_t *out, size_t len, uint16_t size)
{
	struct recipe r = { .ip4 = true, .proto = IPPROTO_TCP, .flags = ACK };
	struct virtio_net_hdr vh = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				     .gso_size = size,
				     .csum_start = 20,
				     .csum_offset = 16 };
	size_t total = make_packet(out + sizeof(vh), &r, payload, len);

	memcpy(out, &vh, sizeof(vh));
	store_be16(out + sizeof(vh) + 36,
		   naive_pseudo(out + sizeof(vh), IPPROTO_TCP, total - 20));
	return total + sizeof(vh);
}

START_TEST(read_errors)
{
	static const int errors[] = { EBADFD, EIO, EFAULT, EINVAL, ENOMEM };
	static uint8_t buf[4000];
	size_t len = make_super(buf, 3000, 1000), i;
	struct tun_queue q = { .fd = -1, .vnet_hdr = true, .ops = &fakes };

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		struct script_read s[] = {
			{ EINTR, NULL, 0 }, { 0, buf, len }, { errors[i], NULL, 0 },
			{ errors[i], NULL, 0 },
		};

		/* What came before the error is delivered first. */
		play(s, ARRAY_SIZE(s));
		ck_assert_int_eq(read_burst(&q, ARENA, SEGS), 3);
		ck_assert_uint_eq(used, 3 * gso_slot(&tunnel, 1040));
		ck_assert_int_eq(read_burst(&q, ARENA, SEGS), -errors[i]);
		ck_assert_int_eq(read_burst(&q, ARENA, SEGS), 0);
	}
	ck_assert_int_eq(read_burst(&q, ARENA, 0), -EINVAL);
	ck_assert_int_eq(read_burst(&q, gso_slot(&tunnel, 1420) - 1, SEGS), -EINVAL);
}
END_TEST

START_TEST(read_rubbish)
{
	static uint8_t good[4000], short_hdr[10], bad[4000], huge[66000];
	size_t len = make_super(good, 3000, 1000);
	struct tun_queue q = { .fd = -1, .vnet_hdr = true, .ops = &fakes };
	struct script_read s[] = {
		{ 0, short_hdr, 0 },
		{ 0, short_hdr, 4 },
		{ 0, short_hdr, 10 },
		{ 0, bad, len },
		{ 0, good, len },
		{ 0, bad, len },
		{ 0, good, len },
	};
	struct script_read large[] = { { 0, huge, 60000 }, { 0, good, len } };

	memcpy(bad, good, len);
	bad[1] = 77;
	play(s, ARRAY_SIZE(s));
	ck_assert_int_eq(read_burst(&q, ARENA, SEGS), 6);
	ck_assert_uint_eq(reader.malformed, 5);
	/* Nothing but rubbish ends as well. */
	play(s, 4);
	ck_assert_int_eq(read_burst(&q, ARENA, 2), 0);
	ck_assert_uint_eq(script_at, 2);

	/* What no arena of this size can take does not stop the rest. */
	memset(huge, 0, sizeof(huge));
	huge[10] = 0x45;
	play(large, 2);
	ck_assert_int_eq(read_burst(&q, 20000, SEGS), 3);
	ck_assert_uint_eq(reader.oversize, 1);
	ck_assert(!tun_reader_pending(&reader));
	/* The same for a device without virtio_net_hdr. */
	q.vnet_hdr = false;
	play(large, 1);
	ck_assert_int_eq(read_burst(&q, 20000, SEGS), 0);
	ck_assert_uint_eq(reader.oversize, 1);
}
END_TEST

/* A super-packet that does not fit goes on in the next burst, whatever the sizes. */
START_TEST(read_portions)
{
	static uint8_t buf[61000], want[61000];
	struct tun_queue q = { .fd = -1, .vnet_hdr = true, .ops = &fakes };
	uint64_t rng = 20;
	size_t round, len, i;
	int n;

	fill_random(&rng, payload, sizeof(payload));
	len = make_super(buf, 60000, 500);
	for (round = 0; round < 300; round++) {
		struct script_read s[] = { { 0, buf, len }, { 0, buf, len } };
		size_t room = 1452 + pick(&rng, 10000), max_segs = 1 + pick(&rng, 30);
		size_t got = 0;

		play(s, 2);
		while ((n = read_burst(&q, room, max_segs)) > 0) {
			expect(used <= room && (size_t)n <= max_segs);
			for (i = 0; i < (size_t)n; i++) {
				expect(naive_valid(segs[i].data, segs[i].len, IPPROTO_TCP));
				memcpy(want + got % 60000, segs[i].data + 40, segs[i].len - 40);
				got += segs[i].len - 40;
			}
		}
		ck_assert_int_eq(n, 0);
		ck_assert(!tun_reader_pending(&reader));
		ck_assert_uint_eq(got, 120000);
		ck_assert_mem_eq(want, payload, 60000);
	}
}
END_TEST

/* Without virtio_net_hdr, packets land in the arena, and long ones are never cut off. */
START_TEST(read_bare_packets)
{
	static uint8_t buf[65535];
	static const size_t lens[] = { 1, 100, 1420, 1421, 9000, 65535, 1, 1408, 40000, 7 };
	struct tun_queue q = { .fd = -1, .ops = &fakes };
	struct script_read s[ARRAY_SIZE(lens)];
	uint64_t rng = 21;
	size_t round, i, k;
	int n;

	fill_random(&rng, buf, sizeof(buf));
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		s[i] = (struct script_read){ 0, buf, lens[i] };
	for (round = 0; round < 500; round++) {
		size_t room = 66000 + pick(&rng, 20000);

		play(s, ARRAY_SIZE(s));
		memset(arena, 0xa5, room);
		k = 0;
		while ((n = read_burst(&q, room, SEGS)) > 0) {
			for (i = 0; i < (size_t)n; i++, k++) {
				expect(segs[i].len == lens[k]);
				expect(!memcmp(segs[i].data, buf, segs[i].len));
				expect(segs[i].len == 1420 || segs[i].len > 1420 ||
				       segs[i].len % 16 == 0 ||
				       !segs[i].data[segs[i].len]); /* padding */
			}
		}
		ck_assert_int_eq(n, 0);
		ck_assert_uint_eq(k, ARRAY_SIZE(lens));
	}
}
END_TEST

/* @n packets of one flow. */
static void make_burst(struct recipe r, size_t n, size_t len)
{
	size_t i;

	for (i = 0; i < n; i++, r.seq += (uint32_t)len, r.id++) {
		pkts[i].data = bytes[i];
		pkts[i].len = make_packet(bytes[i], &r, payload + i * len % 40000, len);
		memcpy(before[i], bytes[i], pkts[i].len);
	}
}

/* What becomes of a burst of 10 packets of one flow, by the kernel's answers. */
START_TEST(write_errors)
{
	enum { NO = 0, TCP_OFF = 1, UDP_OFF = 2 };
	static const struct {
		uint8_t proto;
		int error_super, error_single, error_after;
		size_t written, failed, writes;
		int error, off, result;
	} cases[] = {
		/* 0: all is well */
		{ IPPROTO_TCP, 0, 0, 0, 10, 0, 1, 0, NO, 0 },
		/* 1: offload refused */
		{ IPPROTO_TCP, EINVAL, 0, 0, 10, 0, 11, 0, TCP_OFF, 0 },
		/* 2 */ { IPPROTO_TCP, EIO, 0, 0, 10, 0, 11, 0, TCP_OFF, 0 },
		/* 3 */ { IPPROTO_UDP, EINVAL, 0, 0, 10, 0, 11, 0, UDP_OFF, 0 },
		/* 4: the device is down */
		{ IPPROTO_TCP, EIO, EIO, 0, 0, 10, 2, -EIO, NO, 0 },
		/* 5: nothing is good enough */
		{ IPPROTO_TCP, EINVAL, EINVAL, 0, 0, 10, 11, -EINVAL, NO, 0 },
		/* 6: goes down in the middle */
		{ IPPROTO_TCP, EIO, EIO, 4, 4, 6, 6, -EIO, TCP_OFF, 0 },
		/* 7: no room */
		{ IPPROTO_TCP, EAGAIN, 0, 0, 0, 10, 1, -EAGAIN, NO, 0 },
		/* 8 */ { IPPROTO_TCP, ENOBUFS, 0, 0, 0, 10, 1, -ENOBUFS, NO, 0 },
		/* 9 */ { IPPROTO_UDP, ENOMEM, 0, 0, 0, 10, 1, -ENOMEM, NO, 0 },
		/* 10: gone */
		{ IPPROTO_TCP, EBADFD, 0, 0, 0, 10, 1, -EBADFD, NO, -EBADFD },
		/* 11: gone in the middle */
		{ IPPROTO_TCP, EINVAL, EBADFD, 3, 3, 7, 5, -EBADFD, TCP_OFF, -EBADFD },
	};
	struct recipe r = { .ip4 = true, .flags = ACK | PSH };
	struct gro gro;
	size_t i;

	ck_assert_int_eq(gro_init(&gro, BURST), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tun_queue q = { .fd = -1, .vnet_hdr = true, .gro = GRO_TCP | GRO_UDP,
				       .ops = &fakes };
		struct tun_write_result res = { 0 };
		int off;

		r.proto = cases[i].proto;
		r.flags = ACK;
		make_burst(r, 10, 100);
		error_super = cases[i].error_super;
		error_single = cases[i].error_single;
		error_after = cases[i].error_after;
		writes = singles = 0;
		ck_assert_msg(tun_write_burst(&q, &gro, pkts, 10, &res) == cases[i].result,
			      "case %zu", i);
		off = res.tcp_off * TCP_OFF + res.udp_off * UDP_OFF;
		ck_assert_msg(res.written == cases[i].written && res.failed == cases[i].failed,
			      "case %zu: %d written, %d failed", i, (int)res.written,
			      (int)res.failed);
		ck_assert_msg(writes == cases[i].writes && res.writes == writes,
			      "case %zu: %zu writes", i, writes);
		ck_assert_msg(res.error == cases[i].error && off == cases[i].off, "case %zu", i);
		ck_assert_int_eq(res.refused, off ? -cases[i].error_super : 0);
		ck_assert_int_eq(q.gro, (GRO_TCP | GRO_UDP) & ~(off & TCP_OFF ? GRO_TCP : 0) &
						~(off & UDP_OFF ? GRO_UDP : 0));
		if (cases[i].result || !off || cases[i].failed)
			continue;

		/* From here on they go alone, and nobody is told a second time. */
		memset(&res, 0, sizeof(res));
		writes = singles = 0;
		ck_assert_int_eq(tun_write_burst(&q, &gro, pkts, 10, &res), 0);
		ck_assert_uint_eq(writes, 10);
		ck_assert(!res.tcp_off && !res.udp_off && res.written == 10);
	}
	gro_free(&gro);
}
END_TEST

/* Bursts larger than the scratch memory, and a queue without virtio_net_hdr. */
START_TEST(write_chunks)
{
	struct recipe r = { .ip4 = true, .proto = IPPROTO_TCP, .flags = ACK };
	struct tun_queue q = { .fd = -1, .vnet_hdr = true, .gro = GRO_TCP, .ops = &fakes };
	struct tun_write_result res = { 0 };
	struct gro gro;

	ck_assert_int_eq(gro_init(&gro, 16), 0);
	error_super = error_single = error_after = 0;
	writes = singles = 0;
	make_burst(r, 100, 100);
	ck_assert_int_eq(tun_write_burst(&q, &gro, pkts, 100, &res), 0);
	ck_assert_uint_eq(writes, 7);
	ck_assert_uint_eq(res.written, 100);

	error_super = EBADFD;
	memset(&res, 0, sizeof(res));
	make_burst(r, 100, 100);
	ck_assert_int_eq(tun_write_burst(&q, &gro, pkts, 100, &res), -EBADFD);
	ck_assert(res.failed == 100 && res.writes == 1);

	q.vnet_hdr = false;
	memset(&res, 0, sizeof(res));
	writes = singles = 0;
	make_burst(r, 100, 100);
	ck_assert_int_eq(tun_write_burst(&q, &gro, pkts, 100, &res), 0);
	ck_assert(res.written == 100 && writes == 100);
	error_single = EBADFD;
	singles = 0;
	error_after = 30;
	memset(&res, 0, sizeof(res));
	ck_assert_int_eq(tun_write_burst(&q, &gro, pkts, 100, &res), -EBADFD);
	ck_assert(res.written == 30 && res.failed == 70);
	gro_free(&gro);
}
END_TEST

/* From here on: a real device. */

static void open_device(struct tun_queue *q, unsigned int queues, bool offload)
{
	char ifname[IFNAMSIZ];

	ck_assert_int_eq(tun_open("berth-t%d", queues, 1, offload, q, ifname), 0);
	ck_assert_str_eq(ifname, "berth-t0");
	sh("ip addr add 10.9.0.1/24 dev berth-t0 && ip addr add fd09::1/64 dev berth-t0 nodad");
	sh("cd /proc/sys/net/ipv6/conf/berth-t0; echo 0 >router_solicitations; echo 1 >addr_gen_mode");
	sh("ip link set berth-t0 mtu 1420 up");
	wait_for_addresses();
}

START_TEST(open_errors)
{
	struct tun_queue q[2], other[2];
	char ifname[IFNAMSIZ];
	int err = tun_open("berth-t0", 1, 1, true, q, ifname);

	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(tun_open("berth-t0", 1, 1, true, other, ifname), -EBUSY);
	ck_assert_int_eq(other[0].fd, -1);
	ck_assert_int_eq(tun_open("berth-t0", 2, 1, true, other, ifname), -EBUSY);
	tun_close(q, 1);
	ck_assert_int_eq(q[0].fd, -1);
	ck_assert_int_eq(tun_open("lo", 1, 1, true, q, ifname), -EBUSY);
	ck_assert_int_eq(tun_open("a/b", 1, 1, true, q, ifname), -EINVAL);
	ck_assert_int_eq(tun_open("sixteen-letters.", 1, 1, true, q, ifname), -ENAMETOOLONG);
	ck_assert_int_eq(tun_open("berth-t0", 0, 1, true, q, ifname), -EINVAL);
	/* Empty: the kernel chooses. */
	ck_assert_int_eq(tun_open("", 2, 1, false, q, ifname), 0);
	ck_assert_uint_ne(if_nametoindex(ifname), 0);
	tun_close(q, 2);
	ck_assert_uint_eq(if_nametoindex(ifname), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	err = tun_open("berth-t0", 1, 1, true, q, ifname);
	ck_assert(err == -EPERM || err == -EACCES); /* by the node's mode */
	ck_assert_int_eq(seteuid(0), 0);
	/* A /dev without the node: hidden by an empty one, for this test's process alone. */
	ck_assert_int_eq(mount("dev", "/dev", "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(tun_open("berth-t0", 1, 1, true, q, ifname), -ENOENT);
}
END_TEST

START_TEST(adopt)
{
	struct ifreq tap = { .ifr_name = "berth-tap", .ifr_flags = IFF_TAP };
	struct tun_queue q, own;
	char ifname[IFNAMSIZ];
	int fd, offload;

	for (offload = 0; offload < 2; offload++) {
		ck_assert_int_eq(tun_open("berth-t0", 1, 1, true, &q, ifname), 0);
		fd = fcntl(q.fd, F_DUPFD, 0);
		tun_close(&q, 1);
		memset(ifname, 0, sizeof(ifname));
		ck_assert_int_eq(tun_adopt(fd, offload, &own, ifname), 0);
		ck_assert_str_eq(ifname, "berth-t0");
		ck_assert_int_eq(own.fd, fd);
		ck_assert(own.vnet_hdr);
		ck_assert_int_eq(!!own.gro, offload);
		ck_assert_int_eq(!!own.offloads, offload);
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
		tun_close(&own, 1);
	}
	fd = open("/dev/null", O_RDWR);
	ck_assert_int_eq(tun_adopt(fd, true, &own, ifname), -EINVAL);
	close(fd);
	fd = open("/dev/net/tun", O_RDWR);
	ck_assert_int_eq(tun_adopt(fd, true, &own, ifname), -EBADFD);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &tap), 0);
	ck_assert_int_eq(tun_adopt(fd, true, &own, ifname), -EINVAL);
	close(fd);
	ck_assert_int_eq(tun_adopt(-1, true, &own, ifname), -EBADF);
}
END_TEST

/* Wait until one of the queues has something, at most 5 s. */
static void await(struct tun_queue *q, size_t n)
{
	struct pollfd p[4];
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = q[i].fd, .events = POLLIN };
	ck_assert_int_gt(poll(p, n, 5000), 0);
}

static int bound_socket(int family, int type, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(family, type, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	inet_pton(AF_INET, "10.9.0.1", &sin.sin_addr);
	inet_pton(AF_INET6, "fd09::1", &sin6.sin6_addr);
	if (family == AF_INET)
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	else
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	return fd;
}

static void connect_to_us(int fd, int family)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(4000) };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(4000) };

	inet_pton(AF_INET, "10.9.0.2", &sin.sin_addr);
	inet_pton(AF_INET6, "fd09::2", &sin6.sin6_addr);
	if (family == AF_INET)
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	else
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
}

/* 20 datagrams out of the kernel by one UDP_SEGMENT send; as many of them arrive here. */
static void receive_datagrams(struct tun_queue *q, size_t queues, int family)
{
	enum { SIZE = 1000, TOTAL = 19 * SIZE + 300 };
	size_t headers = family == AF_INET ? 28 : 48, got = 0, i, k;
	int fd = bound_socket(family, SOCK_DGRAM, 443), size = SIZE, n;

	connect_to_us(fd, family);
	ck_assert_int_eq(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	ck_assert_int_eq(send(fd, payload, TOTAL, 0), TOTAL);
	while (got < TOTAL) {
		await(q, queues);
		for (k = 0; k < queues; k++) {
			n = read_burst(&q[k], ARENA, SEGS);
			ck_assert_int_ge(n, 0);
			for (i = 0; i < (size_t)n; i++) {
				ck_assert(naive_valid(segs[i].data, segs[i].len, IPPROTO_UDP));
				ck_assert_mem_eq(segs[i].data + headers, payload + got,
						 segs[i].len - headers);
				got += segs[i].len - headers;
			}
		}
	}
	ck_assert_uint_eq(got, TOTAL);
	ck_assert_uint_eq(reader.malformed, 0);
	close(fd);
}

static struct recipe from_host_behind(bool ip4, uint8_t proto)
{
	return (struct recipe){ .ip4 = ip4, .proto = proto, .ttl = 64, .host = 2, .df = true,
				.sport = 4000, .window = 65535, .flags = ACK };
}

/* Address a packet of make_packet() to the namespace. */
static void to_namespace(size_t i, uint8_t proto)
{
	uint8_t *pkt = bytes[i];

	if (pkt[0] >> 4 == 4) {
		memcpy(pkt + 12, (uint8_t[]){ 10, 9, 0, 2, 10, 9, 0, 1 }, 8);
	} else {
		memset(pkt + 8, 0, 32);
		pkt[8] = pkt[24] = 0xfd;
		pkt[9] = pkt[25] = 0x09;
		pkt[23] = 2;
		pkt[39] = 1;
	}
	naive_finish(pkt, pkts[i].len, proto);
}

static void send_datagrams(struct tun_queue *q, struct gro *gro, int family)
{
	enum { N = 100, SIZE = 300 };
	int fd = bound_socket(family, SOCK_DGRAM, 443);
	struct tun_write_result res = { 0 };
	uint8_t buf[2048];
	size_t i;

	make_burst(from_host_behind(family == AF_INET, IPPROTO_UDP), N, SIZE);
	for (i = 0; i < N; i++)
		to_namespace(i, IPPROTO_UDP);
	bytes[50][pkts[50].len - 1] ^= 1; /* the kernel's to find out */
	ck_assert_int_eq(tun_write_burst(q, gro, pkts, N, &res), 0);
	ck_assert(res.written == N && !res.failed);
	/* 50, the bad one, 49. */
	ck_assert_uint_eq(res.writes, q->gro & GRO_UDP ? 3 : N);
	for (i = 0; i < N; i++) {
		if (i == 50)
			continue;
		ck_assert_int_eq(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), SIZE);
		ck_assert_mem_eq(buf, payload + i * SIZE, SIZE);
	}
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	close(fd);
}

static void datagrams_both_ways(unsigned int queues, bool offload)
{
	struct tun_queue q[4];
	uint64_t rng = 22;
	struct gro gro;
	size_t i;

	memset(&reader, 0, sizeof(reader));
	fill_random(&rng, payload, sizeof(payload));
	ck_assert_int_eq(gro_init(&gro, BURST), 0);
	open_device(q, queues, offload);
	ck_assert_int_eq(q[0].vnet_hdr, offload);
	ck_assert(offload || (!q[0].gro && !q[0].offloads));
	for (i = 0; i < queues; i++) {
		receive_datagrams(q, queues, AF_INET);
		receive_datagrams(q, queues, AF_INET6);
		send_datagrams(&q[i], &gro, AF_INET);
		send_datagrams(&q[i], &gro, AF_INET6);
	}
	gro_free(&gro);
	tun_close(q, queues);
}

START_TEST(datagrams)
{
	datagrams_both_ways(1, true);
}
END_TEST

START_TEST(datagrams_bare)
{
	datagrams_both_ways(1, false);
}
END_TEST

START_TEST(datagrams_queues)
{
	datagrams_both_ways(3, true);
}
END_TEST

/* Read until a TCP packet comes; the rest of the burst must be empty. */
static const uint8_t *await_segment(struct tun_queue *q)
{
	int n;

	await(q, 1);
	n = read_burst(q, ARENA, SEGS);
	ck_assert_int_eq(n, 1);
	ck_assert(naive_valid(segs[0].data, segs[0].len, IPPROTO_TCP));
	return segs[0].data;
}

static void write_segments(struct tun_queue *q, struct gro *gro, size_t n,
			   struct tun_write_result *res)
{
	size_t i;

	for (i = 0; i < n; i++)
		to_namespace(i, IPPROTO_TCP);
	ck_assert_int_eq(tun_write_burst(q, gro, pkts, n, res), 0);
	ck_assert_uint_eq(res->failed, 0);
}

/*
 * A TCP connection whose other end is played by this test: a merged burst arrives at a real
 * socket, and what that sends arrives here in segments that fit.
 */
static void talk_tcp(bool offload, int family)
{
	enum { N = 40, SIZE = 1000, BACK = 30000 };
	size_t headers = family == AF_INET ? 40 : 60, l4 = headers - 20, got = 0, i;
	struct recipe r = from_host_behind(family == AF_INET, IPPROTO_TCP);
	static uint8_t buf[N * SIZE];
	struct tun_write_result res = { 0 };
	int listener, fd, n;
	struct tun_queue q;
	uint64_t rng = 23;
	uint32_t theirs;
	struct gro gro;

	memset(&reader, 0, sizeof(reader));
	fill_random(&rng, payload, sizeof(payload));
	ck_assert_int_eq(gro_init(&gro, BURST), 0);
	open_device(&q, 1, offload);
	sh("sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0");
	listener = bound_socket(family, SOCK_STREAM, 443);
	ck_assert_int_eq(listen(listener, 1), 0);

	/* Handshake. Their MSS is 1200: an option of ours says so. */
	r.flags = SYN;
	r.seq = 1000;
	r.tcp_extra = 4;
	make_burst(r, 1, 0);
	memcpy(bytes[0] + headers, (uint8_t[]){ 2, 4, 1200 >> 8, 1200 & 255 }, 4);
	write_segments(&q, &gro, 1, &res);
	theirs = load_be32(await_segment(&q) + l4 + 4) + 1;
	r.tcp_extra = 0;
	r.flags = ACK;
	r.seq = 1001;
	r.ack = theirs;
	make_burst(r, 1, 0);
	write_segments(&q, &gro, 1, &res);
	fd = accept(listener, NULL, NULL);
	ck_assert_int_ge(fd, 0);

	/* In. */
	memset(&res, 0, sizeof(res));
	make_burst(r, N, SIZE);
	write_segments(&q, &gro, N, &res);
	ck_assert_uint_eq(res.written, N);
	ck_assert_uint_eq(res.writes, q.gro & GRO_TCP ? 1 : N);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
	ck_assert_mem_eq(buf, payload, sizeof(buf));

	/* Out: acknowledge what comes, until all is here. */
	r.seq += N * SIZE;
	ck_assert_int_eq(send(fd, payload, BACK, 0), BACK);
	while (got < BACK) {
		await(&q, 1);
		n = read_burst(&q, ARENA, SEGS);
		ck_assert_int_gt(n, 0);
		for (i = 0; i < (size_t)n; i++) {
			const uint8_t *tcp = segs[i].data + l4;
			size_t len = segs[i].len - headers;

			ck_assert(naive_valid(segs[i].data, segs[i].len, IPPROTO_TCP));
			ck_assert_uint_le(len, 1200);
			if (!len || load_be32(tcp + 4) != (uint32_t)(theirs + got))
				continue;
			ck_assert_mem_eq(tcp + 20, payload + got, len);
			got += len;
		}
		r.ack = (uint32_t)(theirs + got);
		make_burst(r, 1, 0);
		write_segments(&q, &gro, 1, &res);
	}
	ck_assert_uint_eq(reader.malformed, 0);
	close(fd);
	close(listener);
	gro_free(&gro);
	tun_close(&q, 1);
}

START_TEST(tcp)
{
	talk_tcp(_i % 2, _i / 2 ? AF_INET6 : AF_INET);
}
END_TEST

START_TEST(device_down_and_gone)
{
	struct tun_write_result res = { 0 };
	struct tun_queue q;
	struct gro gro;

	memset(&reader, 0, sizeof(reader));
	ck_assert_int_eq(gro_init(&gro, BURST), 0);
	open_device(&q, 1, true);
	sh("ip link set berth-t0 down");
	make_burst(from_host_behind(true, IPPROTO_TCP), 10, 100);
	ck_assert_int_eq(tun_write_burst(&q, &gro, pkts, 10, &res), 0);
	ck_assert_uint_eq(res.failed, 10);
	ck_assert_int_eq(res.error, -EIO);
	ck_assert(!res.tcp_off && q.gro & GRO_TCP);

	sh("ip link delete berth-t0");
	make_burst(from_host_behind(true, IPPROTO_TCP), 10, 100);
	ck_assert_int_eq(tun_write_burst(&q, &gro, pkts, 10, &res), -EBADFD);
	ck_assert_uint_eq(res.failed, 20);
	ck_assert_int_eq(read_burst(&q, ARENA, SEGS), -EBADFD);
	gro_free(&gro);
	tun_close(&q, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tun");
	TCase *pure = tcase_create("bursts"), *real = tcase_create("device");
	SRunner *sr;
	int failed;

	tcase_set_timeout(pure, 60);
	tcase_add_test(pure, read_errors);
	tcase_add_test(pure, read_rubbish);
	tcase_add_test(pure, read_portions);
	tcase_add_test(pure, read_bare_packets);
	tcase_add_test(pure, write_errors);
	tcase_add_test(pure, write_chunks);
	suite_add_tcase(s, pure);
	tcase_set_timeout(real, 60);
	tcase_add_checked_fixture(real, in_netns_setup, NULL);
	tcase_add_test(real, open_errors);
	tcase_add_test(real, adopt);
	tcase_add_test(real, datagrams);
	tcase_add_test(real, datagrams_bare);
	tcase_add_test(real, datagrams_queues);
	tcase_add_loop_test(real, tcp, 0, 4);
	tcase_add_test(real, device_down_and_gone);
	if (in_netns_possible("test_tun"))
		suite_add_tcase(s, real);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
