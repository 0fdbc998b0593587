/* SPDX-License-Identifier: MIT */
/*
 * Coalescing. Packets are taken in the order of their arrival, and each either
 * extends the youngest group of its flow or opens a new one; groups leave in the
 * order in which they were opened. So a packet can only overtake packets of its
 * own flow by extending a group that is not the flow's youngest, which never
 * happens:
 *
 *  - a packet that cannot extend its flow's group takes that group's place in the
 *    flow table, whatever it is (FIN, bad checksum, other options, shorter datagram);
 *  - a packet whose flow cannot be told (a fragment, IPv6 extension headers) raises
 *    a barrier that no group of the same two hosts is extended across;
 *  - a group that the table has no room for is merely never extended again.
 */
#include "gro.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "checksum.h"
#include "inet.h"

#define GRO_WAYS 4 /* places for the groups of one hash value */
#define NONE UINT32_MAX

enum kind {
	ALONE,   /* not of a flow that is ever merged */
	BARRIER, /* of a flow that cannot be told */
	FLOW,    /* of a TCP or UDP flow, but not to be merged itself */
	TCP,
	UDP
};

/* What is known of one packet from its headers; nothing of its checksums. */
struct parsed {
	const uint8_t *data;
	enum kind kind;
	uint64_t hosts; /* hash of the addresses, */
	uint32_t flow;  /* and of protocol and ports as well */
	bool ip4;
	uint8_t proto;
	uint8_t l4;       /* where the transport header stands */
	uint8_t hdr_len;  /* headers together: at most 60 + 60 */
	uint32_t payload; /* bytes behind them */
	uint32_t seq;     /* TCP */
	uint16_t id;      /* IPv4 */
};

enum checked { UNCHECKED, GOOD, BAD };

struct gro_group {
	struct parsed head;
	uint32_t first, last; /* packets */
	uint32_t count;
	uint32_t payload;
	uint32_t barrier;     /* state of its hosts' barrier when it was opened */
	bool open;            /* may be extended */
	bool fixed_id;        /* all packets have the id of the first */
	bool psh;             /* the last packet has it */
	enum checked checked; /* the first packet's checksums; the others' are good */
};

int gro_init(struct gro *g, size_t max_packets)
{
	size_t sets = 1;

	memset(g, 0, sizeof(*g));
	if (!max_packets || max_packets > 65536)
		return -EINVAL;
	while (sets * GRO_WAYS < 2 * max_packets)
		sets *= 2;
	g->max_packets = max_packets;
	g->table_mask = (uint32_t)(sets - 1);
	g->supers = calloc(max_packets, sizeof(*g->supers));
	g->iov = calloc(2 * max_packets, sizeof(*g->iov));
	g->groups = calloc(max_packets, sizeof(*g->groups));
	g->next = calloc(max_packets, sizeof(*g->next));
	g->table = calloc(sets * GRO_WAYS, sizeof(*g->table));
	if (g->supers && g->iov && g->groups && g->next && g->table)
		return 0;
	gro_free(g);
	return -ENOMEM;
}

void gro_free(struct gro *g)
{
	free(g->supers);
	free(g->iov);
	free(g->groups);
	free(g->next);
	free(g->table);
	memset(g, 0, sizeof(*g));
}

/* A multiplication and a fold for each word; collisions cost merging, never order. */
static uint64_t mix(uint64_t hash, const uint8_t *p, size_t words)
{
	uint64_t v;

	for (; words; words--, p += sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		hash = (hash ^ v) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash;
}

/* Without the protocol: the barrier of two hosts holds for all that they say. */
static void hash_hosts(struct parsed *p)
{
	p->hosts = p->ip4 ? mix(0, p->data + IP4_ADDRS, 1) : mix(0, p->data + IP6_ADDRS, 4);
}

static void hash_flow(struct parsed *p)
{
	uint8_t rest[8] = { [4] = p->proto };

	/* The ports in the low half of the word: the table index is made of low bits. */
	memcpy(rest, p->data + p->l4, 4);
	p->flow = (uint32_t)mix(p->hosts, rest, 1);
}

/* Leaves proto, l4 and the hosts; FLOW when a transport header may follow that can be merged. */
static enum kind parse_ip4(struct parsed *p, size_t len)
{
	const uint8_t *ip = p->data;
	uint16_t frag;

	if (len < IP4_HDR_MIN)
		return ALONE; /* no kernel takes it */
	p->ip4 = true;
	p->l4 = (uint8_t)ip4_hdr_len(ip);
	p->proto = ip[IP4_PROTO];
	p->id = load_be16(ip + IP4_ID);
	frag = load_be16(ip + IP4_FRAG);
	hash_hosts(p);
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return ALONE;
	return frag & ~IP4_DF || p->l4 < IP4_HDR_MIN ? BARRIER : FLOW;
}

static enum kind parse_ip6(struct parsed *p, size_t len)
{
	if (len < IP6_HDR)
		return ALONE;
	p->l4 = IP6_HDR;
	p->proto = p->data[IP6_NEXT];
	hash_hosts(p);
	if (p->proto == IPPROTO_ICMPV6)
		return ALONE;
	return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP ? FLOW : BARRIER;
}

/* The packet is as long as it says, and has no IPv4 options (each hop may act on them). */
static bool plain_ip(const struct parsed *p, size_t len)
{
	if (p->ip4)
		return p->l4 == IP4_HDR_MIN && load_be16(p->data + IP4_LEN) == len;
	return (size_t)load_be16(p->data + IP6_LEN) + IP6_HDR == len;
}

/* Data within an established connection, and nothing that the receiver must see by itself. */
static bool parse_tcp(struct parsed *p, size_t len)
{
	const uint8_t *tcp = p->data + p->l4;
	size_t hdr_len;

	if (len - p->l4 < TCP_HDR_MIN)
		return false;
	hdr_len = tcp_hdr_len(tcp);
	if (hdr_len < TCP_HDR_MIN || hdr_len >= len - p->l4)
		return false;
	if ((tcp[TCP_FLAGS] & ~(TCP_FLAG_PSH | TCP_FLAG_ECE)) != TCP_FLAG_ACK)
		return false;
	if (tcp[TCP_DOFF] & 0x0f)
		return false; /* reserved bits: nobody knows yet whether they add up */
	p->hdr_len = (uint8_t)(p->l4 + hdr_len);
	p->payload = (uint32_t)(len - p->hdr_len);
	p->seq = load_be32(tcp + TCP_SEQ);
	return true;
}

/* A datagram without a checksum would get one by being merged. */
static bool parse_udp(struct parsed *p, size_t len)
{
	const uint8_t *udp = p->data + p->l4;

	if (len - p->l4 <= UDP_HDR || load_be16(udp + UDP_LEN) != len - p->l4)
		return false;
	if (!checksum_load(udp + UDP_CHECK))
		return false;
	p->hdr_len = (uint8_t)(p->l4 + UDP_HDR);
	p->payload = (uint32_t)(len - p->hdr_len);
	return true;
}

static void parse(struct parsed *p, const struct span *pkt, unsigned int can)
{
	size_t len = pkt->len;

	memset(p, 0, sizeof(*p));
	p->data = pkt->data;
	if (len && p->data[0] >> 4 == 4)
		p->kind = parse_ip4(p, len);
	else if (len && p->data[0] >> 4 == 6)
		p->kind = parse_ip6(p, len);
	if (p->kind != FLOW)
		return;
	if (!(can & (p->proto == IPPROTO_TCP ? GRO_TCP : GRO_UDP))) {
		p->kind = ALONE; /* none of its flow is merged, so there is no order to keep */
		return;
	}
	if (len < (size_t)p->l4 + 4) {
		p->kind = BARRIER; /* not even ports */
		return;
	}
	hash_flow(p);
	if (!plain_ip(p, len))
		return;
	if (p->proto == IPPROTO_TCP && parse_tcp(p, len))
		p->kind = TCP;
	else if (p->proto == IPPROTO_UDP && parse_udp(p, len))
		p->kind = UDP;
}

/* Checksums of IP and transport, of a packet of kind TCP or UDP. */
must_check static bool checksums_good(const struct parsed *p)
{
	size_t l4_len = (size_t)p->hdr_len + p->payload - p->l4;
	uint64_t pseudo;

	if (p->ip4) {
		if (!checksum_good(checksum_add(0, p->data, p->l4)))
			return false;
		pseudo = checksum_pseudo4(p->data + IP4_ADDRS, p->proto, l4_len);
	} else {
		pseudo = checksum_pseudo6(p->data + IP6_ADDRS, p->proto, l4_len);
	}
	return checksum_good(checksum_add(pseudo, p->data + p->l4, l4_len));
}

static bool equal(const struct parsed *a, const struct parsed *b, size_t from, size_t to)
{
	return !memcmp(a->data + from, b->data + from, to - from);
}

/* Both have whole IP headers and ports. */
static bool same_flow(const struct parsed *a, const struct parsed *b)
{
	if (a->flow != b->flow || a->ip4 != b->ip4 || a->proto != b->proto)
		return false;
	if (a->ip4 ? !equal(a, b, IP4_ADDRS, IP4_HDR_MIN) : !equal(a, b, IP6_ADDRS, IP6_HDR))
		return false;
	return !memcmp(a->data + a->l4, b->data + b->l4, 4);
}

/*
 * Ids count up by one, as segmentation will number them again; or, with DF set, stay as
 * they are, for then they say nothing (RFC 6864 §4.1).
 */
static bool id_continues(const struct gro_group *group, const struct parsed *p, bool *fixed)
{
	uint16_t delta = (uint16_t)(p->id - group->head.id);

	if (!group->head.ip4)
		return true;
	*fixed = delta == 0 && load_be16(p->data + IP4_FRAG) & IP4_DF;
	if (*fixed)
		return group->count == 1 || group->fixed_id;
	return delta == group->count && !group->fixed_id;
}

/* All that segmentation would repeat from the first packet is in this one as well. */
static bool headers_continue(const struct gro_group *group, const struct parsed *p)
{
	const struct parsed *head = &group->head;
	size_t l4 = head->l4;
	uint8_t flags;

	if (head->hdr_len != p->hdr_len)
		return false;
	if (head->ip4 ? !equal(head, p, IP4_TOS, IP4_LEN) || !equal(head, p, IP4_FRAG, IP4_PROTO) :
			!equal(head, p, 0, IP6_LEN) || !equal(head, p, IP6_HOPS, IP6_ADDRS))
		return false;
	if (head->kind == UDP)
		return true;
	flags = head->data[l4 + TCP_FLAGS] ^ p->data[l4 + TCP_FLAGS];
	return !(flags & ~TCP_FLAG_PSH) && p->seq == head->seq + group->payload &&
	       equal(head, p, l4 + TCP_ACK_SEQ, l4 + TCP_FLAGS) &&
	       equal(head, p, l4 + TCP_WINDOW, l4 + TCP_CHECK) &&
	       equal(head, p, l4 + TCP_URGENT, p->hdr_len);
}

static bool room_for(const struct gro_group *group, const struct parsed *p)
{
	const struct parsed *head = &group->head;

	if (p->payload > head->payload)
		return false;
	if (group->count == (head->kind == TCP ? GRO_MAX_PACKETS : GRO_MAX_DATAGRAMS))
		return false;
	return (size_t)head->hdr_len + group->payload + p->payload <= GRO_MAX_BYTES;
}

/*
 * The first packet is checked only now that a second one wants to join it: one that
 * stays alone is the kernel's to check. @checked is what was learned of @p.
 */
static bool may_join(struct gro_group *group, const struct parsed *p, bool *fixed,
		     enum checked *checked)
{
	if (!headers_continue(group, p) || !room_for(group, p) || !id_continues(group, p, fixed))
		return false;
	if (group->checked == UNCHECKED)
		group->checked = checksums_good(&group->head) ? GOOD : BAD;
	if (group->checked == BAD)
		return false;
	*checked = checksums_good(p) ? GOOD : BAD;
	return *checked == GOOD;
}

static bool has_psh(const struct parsed *p)
{
	return p->kind == TCP && p->data[p->l4 + TCP_FLAGS] & TCP_FLAG_PSH;
}

static bool extend(struct gro *g, struct gro_group *group, const struct parsed *p,
		   uint32_t index, enum checked *checked)
{
	bool fixed = false;

	if (!group->open || group->barrier != g->barriers[p->hosts % GRO_BARRIERS])
		return false;
	if (!may_join(group, p, &fixed, checked))
		return false;
	g->next[group->last] = index;
	group->last = index;
	group->count++;
	group->payload += p->payload;
	group->fixed_id = fixed;
	group->psh = has_psh(p);
	group->open = p->payload == group->head.payload && !group->psh;
	return true;
}

/*
 * The place in the table that holds the youngest group of the flow, or NONE when there
 * is none yet. When the set is full of other flows, one of them loses its place.
 */
static uint32_t *find_place(struct gro *g, const struct parsed *p)
{
	uint32_t *set = &g->table[(p->flow & g->table_mask) * GRO_WAYS];
	uint32_t *place = NULL;
	size_t i;

	for (i = 0; i < GRO_WAYS; i++) {
		if (set[i] == NONE)
			place = &set[i];
		else if (same_flow(&g->groups[set[i]].head, p))
			return &set[i];
	}
	if (!place) {
		place = &set[p->flow >> 30];
		*place = NONE;
	}
	return place;
}

static void add(struct gro *g, const struct span *pkt, uint32_t index, unsigned int can)
{
	enum checked checked = UNCHECKED;
	uint32_t *place = NULL;
	struct gro_group *group;
	struct parsed p;

	parse(&p, pkt, can);
	if (p.kind == BARRIER)
		g->barriers[p.hosts % GRO_BARRIERS]++;
	if (p.kind >= FLOW)
		place = find_place(g, &p);
	if (p.kind > FLOW && *place != NONE &&
	    extend(g, &g->groups[*place], &p, index, &checked))
		return;
	group = &g->groups[g->n_supers];
	*group = (struct gro_group){
		.head = p,
		.first = index,
		.last = index,
		.count = 1,
		.payload = p.payload,
		.barrier = g->barriers[p.hosts % GRO_BARRIERS],
		.open = p.kind > FLOW && checked != BAD && !has_psh(&p),
		.checked = checked,
	};
	if (place)
		*place = (uint32_t)g->n_supers;
	g->n_supers++;
}

/* The words of the first packet's headers that describe() changes, in a fixed order. */
static void save_header(struct gro_super *s, const uint8_t *pkt, size_t l4, bool ip4, bool tcp)
{
	s->saved[0] = checksum_load(pkt + (ip4 ? IP4_LEN : IP6_LEN));
	s->saved[1] = ip4 ? checksum_load(pkt + IP4_CHECK) : 0;
	s->saved[2] = checksum_load(pkt + l4 + (tcp ? TCP_DOFF : UDP_LEN));
	s->saved[3] = checksum_load(pkt + l4 + (tcp ? TCP_CHECK : UDP_CHECK));
}

void gro_undo(struct gro *g, struct gro_super *s)
{
	uint8_t *pkt = g->iov[s->iov + 1].iov_base;
	size_t l4 = s->vh.csum_start;
	bool ip4 = pkt[0] >> 4 == 4;
	bool tcp = s->vh.csum_offset == TCP_CHECK;

	if (s->vh.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return;
	checksum_store(pkt + (ip4 ? IP4_LEN : IP6_LEN), s->saved[0]);
	if (ip4)
		checksum_store(pkt + IP4_CHECK, s->saved[1]);
	checksum_store(pkt + l4 + (tcp ? TCP_DOFF : UDP_LEN), s->saved[2]);
	checksum_store(pkt + l4 + (tcp ? TCP_CHECK : UDP_CHECK), s->saved[3]);
	/* hdr_len stays: gro_packet() finds the others' headers by it. */
	s->vh.gso_type = VIRTIO_NET_HDR_GSO_NONE;
}

struct span gro_packet(const struct gro *g, const struct gro_super *s, size_t i)
{
	const struct iovec *iov = &g->iov[s->iov + 1 + i];
	size_t hidden = i ? s->vh.hdr_len : 0;

	return (struct span){
		.data = (uint8_t *)iov->iov_base - hidden,
		.len = iov->iov_len + hidden,
	};
}

/* Make the first packet's headers, and the virtio_net_hdr, those of the whole group. */
static void describe(struct gro_super *s, const struct gro_group *group, uint8_t *pkt)
{
	const struct parsed *head = &group->head;
	size_t l4_len = (size_t)head->hdr_len - head->l4 + group->payload;
	bool tcp = head->kind == TCP;
	uint8_t *l4 = pkt + head->l4;
	uint64_t pseudo;

	save_header(s, pkt, head->l4, head->ip4, tcp);
	s->vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	s->vh.gso_type = !tcp	   ? VIRTIO_NET_HDR_GSO_UDP_L4 :
			 head->ip4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
				     VIRTIO_NET_HDR_GSO_TCPV6;
	s->vh.hdr_len = head->hdr_len;
	s->vh.gso_size = (uint16_t)head->payload;
	s->vh.csum_start = head->l4;
	s->vh.csum_offset = tcp ? TCP_CHECK : UDP_CHECK;

	if (head->ip4) {
		store_be16(pkt + IP4_LEN, (uint16_t)(head->l4 + l4_len));
		checksum_store(pkt + IP4_CHECK, 0);
		checksum_store(pkt + IP4_CHECK, checksum_finish(checksum_add(0, pkt, head->l4)));
		pseudo = checksum_pseudo4(pkt + IP4_ADDRS, head->proto, l4_len);
	} else {
		store_be16(pkt + IP6_LEN, (uint16_t)l4_len);
		pseudo = checksum_pseudo6(pkt + IP6_ADDRS, head->proto, l4_len);
	}
	if (tcp)
		l4[TCP_FLAGS] |= group->psh ? TCP_FLAG_PSH : 0;
	else
		store_be16(l4 + UDP_LEN, (uint16_t)l4_len);
	/* Not the complement: whoever completes the checksum sums this field as well. */
	checksum_store(l4 + s->vh.csum_offset, checksum_fold(pseudo));
}

/* Write the gather list of @group at g->iov[at]; returns where the next one goes. */
static uint32_t emit(struct gro *g, struct gro_super *s, const struct gro_group *group,
		     const struct span *pkts, uint32_t at)
{
	uint32_t index = group->first;
	size_t hidden = 0;
	uint32_t i;

	memset(&s->vh, 0, sizeof(s->vh));
	s->iov = at;
	s->iov_count = 1 + group->count;
	if (group->count > 1)
		describe(s, group, pkts[index].data);
	g->iov[at++] = (struct iovec){ .iov_base = &s->vh, .iov_len = sizeof(s->vh) };
	for (i = 0; i < group->count; i++) {
		g->iov[at++] = (struct iovec){
			.iov_base = pkts[index].data + hidden,
			.iov_len = pkts[index].len - hidden,
		};
		hidden = group->head.hdr_len;
		index = g->next[index];
	}
	return at;
}

void gro_coalesce(struct gro *g, const struct span *pkts, size_t n, unsigned int can)
{
	uint32_t at = 0;
	size_t i;

	g->n_supers = 0;
	if (can && n > 1) /* every byte of NONE is 0xff */
		memset(g->table, 0xff, (g->table_mask + 1) * GRO_WAYS * sizeof(*g->table));
	else
		can = 0;
	for (i = 0; i < n; i++)
		add(g, &pkts[i], (uint32_t)i, can);
	for (i = 0; i < g->n_supers; i++)
		at = emit(g, &g->supers[i], &g->groups[i], pkts, at);
}
