/* SPDX-License-Identifier: MIT */
/* The packet socket behind neigh, and the filter the kernel runs for it. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../tun/broker.h"
#include "ether.h"
#include "rawsock.h"

/* Linux 4.20; spelled out for older headers. */
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

/*
 * A minimal frame is charged about 800 bytes: 4 MiB are 5,000 solicitations,
 * 100 ms of the 50,000/s to be survived, which is what the control thread may
 * be busy elsewhere.
 */
#define RECEIVE_BUFFER (4 << 20)
/* Some bursts of answers on their way to the driver. */
#define SEND_BUFFER (1 << 20)

#define ANCILLARY(field) ((uint32_t)(SKF_AD_OFF + (field)))

/* Offsets in an untagged frame, and the values wanted there. */
enum {
	OFF_ETHER_TYPE = 12,
	OFF_ARP_OP = 20,
	OFF_IP6_NEXT_HEADER = 20,
	OFF_ICMP6_TYPE = 54,
	OFF_FRAG_NEXT_HEADER = 54,
	OFF_FRAG_OFFSET = 56,
	OFF_FRAG_ICMP6_TYPE = 62
};

/*
 * A load past the end of the frame drops it. Jumps count the instructions
 * skipped; ACCEPT and DROP are the last two, so each line's number is given.
 *
 * - A frame in a VLAN has its tag in the kernel's notes, not in line: it would
 *   look untagged, and its answer would go out untagged, where nobody waits.
 *   It belongs to the VLAN's own interface. VLAN 0 is a priority only.
 * - Frames to other stations arrive while something holds the link
 *   promiscuous. Outgoing ones are PACKET_OUTGOING, above PACKET_MULTICAST.
 * - Fragmented solicitations are let through to be counted.
 */
enum { ACCEPT = 22, DROP = 23 };

#define LOAD(no, size, offset) [no] = BPF_STMT(BPF_LD | (size) | BPF_ABS, offset)
#define JUMP(no, op, value, yes, otherwise) \
	[no] = BPF_JUMP(BPF_JMP | (op) | BPF_K, value, (yes) - (no) - 1, (otherwise) - (no) - 1)

static const struct sock_filter filter[] = {
	LOAD(0, BPF_W, ANCILLARY(SKF_AD_PKTTYPE)),
	JUMP(1, BPF_JGT, PACKET_MULTICAST, DROP, 2),
	LOAD(2, BPF_W, ANCILLARY(SKF_AD_VLAN_TAG_PRESENT)),
	JUMP(3, BPF_JEQ, 0, 6, 4),
	LOAD(4, BPF_W, ANCILLARY(SKF_AD_VLAN_TAG)),
	JUMP(5, BPF_JSET, 0x0fff, DROP, 6),

	LOAD(6, BPF_H, OFF_ETHER_TYPE),
	JUMP(7, BPF_JEQ, ETHER_TYPE_IPV6, 11, 8),
	JUMP(8, BPF_JEQ, ETHER_TYPE_ARP, 9, DROP),

	LOAD(9, BPF_H, OFF_ARP_OP),
	JUMP(10, BPF_JEQ, 1, ACCEPT, DROP),

	LOAD(11, BPF_B, OFF_IP6_NEXT_HEADER),
	JUMP(12, BPF_JEQ, 58, 13, 15),
	LOAD(13, BPF_B, OFF_ICMP6_TYPE),
	JUMP(14, BPF_JEQ, 135, ACCEPT, DROP),

	JUMP(15, BPF_JEQ, 44, 16, DROP),
	LOAD(16, BPF_B, OFF_FRAG_NEXT_HEADER),
	JUMP(17, BPF_JEQ, 58, 18, DROP),
	LOAD(18, BPF_H, OFF_FRAG_OFFSET),
	JUMP(19, BPF_JSET, 0xfff8, DROP, 20),
	LOAD(20, BPF_B, OFF_FRAG_ICMP6_TYPE),
	JUMP(21, BPF_JEQ, 135, ACCEPT, DROP),

	[ACCEPT] = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	[DROP] = BPF_STMT(BPF_RET | BPF_K, 0),
};

#undef LOAD
#undef JUMP

static int attach_filter(int fd)
{
	const struct sock_fprog program = {
		.len = ARRAY_SIZE(filter),
		.filter = (struct sock_filter *)filter, /* the kernel only reads it */
	};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	return 0;
}

/*
 * The kernel copies nothing that we sent ourselves. Linux before 4.20 does
 * not know the option; the filter then drops the copies.
 */
static void ignore_outgoing(int fd)
{
	const int on = 1;

	(void)setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
}

/* Beyond the system's limit where we may; a small buffer is no reason to fail. */
static void grow_buffers(int fd)
{
	const int receive = RECEIVE_BUFFER, transmit = SEND_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof(receive)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &transmit, sizeof(transmit)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &transmit, sizeof(transmit));
}

/*
 * A proxy joins the solicited-node group of every address it answers for (RFC
 * 4861 §7.2.8): 100,000 tenants are up to 100,000 groups. Joined one by one
 * they overflow every network card's filter (which then receives all multicast
 * anyway), and each is reported by MLD and must be left again. So we ask for
 * that at once: all multicast, and the filter above sorts it. The
 * membership ends with the socket, also when we crash.
 */
static int join_all_groups(int fd, int ifindex)
{
	const struct packet_mreq request = {
		.mr_ifindex = ifindex,
		.mr_type = PACKET_MR_ALLMULTI,
	};

	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)) < 0)
		return -errno;
	return 0;
}

/* Frames arrive from here on. Only ETH_P_ALL sees them before the ingress hook does. */
static int start_listening(int fd, int ifindex)
{
	const struct sockaddr_ll link = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = ifindex,
	};

	if (bind(fd, (const struct sockaddr *)&link, sizeof(link)) < 0)
		return -errno;
	return 0;
}

/* Protocol 0: deaf until the filter is in place and the link is chosen. */
static int open_deaf(void)
{
	int fd;

	if (broker_is_on())
		return broker_packet();
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int rawsock_open(int ifindex)
{
	int fd, err;

	fd = open_deaf();
	if (fd < 0)
		return fd;
	err = attach_filter(fd);
	if (err)
		goto err_close;
	ignore_outgoing(fd);
	grow_buffers(fd);
	err = join_all_groups(fd, ifindex);
	if (err)
		goto err_close;
	err = start_listening(fd, ifindex);
	if (err)
		goto err_close;
	return fd;

err_close:
	close(fd);
	return err;
}

bool rawsock_is_bound(int fd, int ifindex)
{
	struct sockaddr_ll link = { 0 };
	socklen_t len = sizeof(link);

	/* The kernel sets the index to -1 when the link is deleted. */
	return getsockname(fd, (struct sockaddr *)&link, &len) == 0 &&
	       link.sll_ifindex == ifindex;
}

uint32_t rawsock_take_drops(int fd)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);

	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0)
		return 0;
	return stats.tp_drops;
}
