/* SPDX-License-Identifier: MIT */
/* The rules that drop unicast solicitations, and floods of others, by libnftnl. */
#include "silence.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

/* Linux 5.12; spelled out for older headers. */
#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 2
#endif

enum {
	/* A rule takes about 500 bytes, everything beside the rules about 400. */
	RULE_ROOM = 1024,
	BATCH_ROOM = 4096,
	/* Before whatever else hangs there: it only sees fewer packets. */
	CHAIN_PRIORITY = -500,
	NEXT_HEADER_ICMP6 = 58,
	ND_SOLICITATION = 135,
	IP6_NEXT_OFFSET = 6,
	IP6_DESTINATION_OFFSET = 24,
	ND_TARGET_OFFSET = 8,
	ARP_OPERATION_OFFSET = 6,
	ARP_REQUEST = 1,
	ARP_TARGET_OFFSET = 24,
	/*
	 * Questions a second that the kernel is let hear, for all of its addresses. Each may
	 * cost it an entry for five seconds, and it has 1,024 (gc_thresh3).
	 */
	QUESTIONS = 100,
	QUESTIONS_LEAST = 10 /* for each address, when there are many */
};

#define CHAIN "ingress"

struct silence {
	struct mnl_socket *socket;
	char *table;
	const struct config_ranges *prefixes;
	uint32_t seq;
	bool no_owner; /* the kernel does not know NFT_TABLE_F_OWNER */
	bool no_limit; /* nor limits */

	/* what is installed */
	int index; /* of the link; 0: nothing is */
	uint8_t (*own)[NDP_ADDR_LEN];
	size_t n_own;
};

/* A transaction being written. */
struct batch {
	struct silence *s;
	struct mnl_nlmsg_batch *messages;
	bool failed; /* no memory, or no room */
};

/* Expressions */

/* NULL is passed through, so that memory is looked at once: at the end of a rule. */
static void add(struct batch *b, struct nftnl_rule *rule, struct nftnl_expr *expr)
{
	if (expr)
		nftnl_rule_add_expr(rule, expr);
	else
		b->failed = true;
}

static struct nftnl_expr *new_expr(struct batch *b, const char *kind)
{
	struct nftnl_expr *expr = nftnl_expr_alloc(kind);

	b->failed |= !expr;
	return expr;
}

/* Register 1 must hold these bytes, or (NFT_CMP_NEQ) must not. */
static void add_test(struct batch *b, struct nftnl_rule *rule, enum nft_cmp_ops op,
		     const void *data, uint32_t len)
{
	struct nftnl_expr *expr = new_expr(b, "cmp");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, len);
	add(b, rule, expr);
}

static void add_compare(struct batch *b, struct nftnl_rule *rule, const void *data, uint32_t len)
{
	add_test(b, rule, NFT_CMP_EQ, data, len);
}

/* What the kernel knows of the packet, into register 1. */
static void add_meta(struct batch *b, struct nftnl_rule *rule, enum nft_meta_keys key)
{
	struct nftnl_expr *expr = new_expr(b, "meta");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, NFT_REG_1);
	add(b, rule, expr);
}

static void add_protocol(struct batch *b, struct nftnl_rule *rule, uint16_t protocol)
{
	uint8_t type[2];

	add_meta(b, rule, NFT_META_PROTOCOL);
	store_be16(type, protocol);
	add_compare(b, rule, type, sizeof(type));
}

/*
 * The link hears frames to other addresses as well when containers (macvlan) or a bridge
 * have theirs on it, and the hook comes before them. We do not answer those (rawsock.c).
 */
static void add_is_for_us(struct batch *b, struct nftnl_rule *rule)
{
	static const uint8_t other = PACKET_OTHERHOST;

	add_meta(b, rule, NFT_META_PKTTYPE);
	add_test(b, rule, NFT_CMP_NEQ, &other, sizeof(other));
}

/* len bytes of the packet, at the offset in a header, into register 1. */
static void add_load(struct batch *b, struct nftnl_rule *rule, enum nft_payload_bases base,
		     uint32_t offset, uint32_t len)
{
	struct nftnl_expr *expr = new_expr(b, "payload");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	add(b, rule, expr);
}

static void add_byte(struct batch *b, struct nftnl_rule *rule, enum nft_payload_bases base,
		     uint32_t offset, uint8_t value)
{
	add_load(b, rule, base, offset, 1);
	add_compare(b, rule, &value, 1);
}

/* Register 1, 16 bytes, keeps only its first `length` bits. */
static void add_mask(struct batch *b, struct nftnl_rule *rule, unsigned length)
{
	static const uint8_t zero[NDP_ADDR_LEN];
	struct nftnl_expr *expr = new_expr(b, "bitwise");
	uint8_t mask[NDP_ADDR_LEN] = { 0 };

	if (!expr)
		return;
	memset(mask, 0xff, length / 8);
	if (length % 8)
		mask[length / 8] = (uint8_t)(0xff00 >> length % 8);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, sizeof(mask));
	nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask, sizeof(mask));
	nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, zero, sizeof(zero));
	add(b, rule, expr);
}

/* Only what comes faster goes on to the rest of the rule. */
static void add_limit(struct batch *b, struct nftnl_rule *rule, uint32_t per_second)
{
	struct nftnl_expr *expr = new_expr(b, "limit");

	if (!expr)
		return;
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, per_second);
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_BURST, per_second);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
	add(b, rule, expr);
}

static void add_verdict(struct batch *b, struct nftnl_rule *rule, uint32_t verdict)
{
	struct nftnl_expr *expr = new_expr(b, "immediate");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, verdict);
	add(b, rule, expr);
}

/* Messages */

static struct nlmsghdr *begin(struct batch *b, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b->messages), type, NFPROTO_NETDEV,
				     NLM_F_ACK | flags, ++b->s->seq);
}

static void end(struct batch *b)
{
	/* False: it fits no more, and would have to wait for the next batch. */
	if (!mnl_nlmsg_batch_next(b->messages))
		b->failed = true;
}

static void put_table(struct batch *b, uint16_t type, uint32_t flags)
{
	struct nftnl_table *table = nftnl_table_alloc();

	if (!table || nftnl_table_set_str(table, NFTNL_TABLE_NAME, b->s->table)) {
		b->failed = true;
	} else {
		if (flags)
			nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, flags);
		nftnl_table_nlmsg_build_payload(
			begin(b, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0), table);
		end(b);
	}
	if (table)
		nftnl_table_free(table);
}

static void put_chain(struct batch *b, const char *ifname)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();

	if (!chain || nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, b->s->table) ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, CHAIN) ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter") ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_DEV, ifname)) {
		b->failed = true;
	} else {
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, NF_NETDEV_INGRESS);
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, CHAIN_PRIORITY);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		nftnl_chain_nlmsg_build_payload(begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE), chain);
		end(b);
	}
	if (chain)
		nftnl_chain_free(chain);
}

static struct nftnl_rule *new_rule(struct batch *b)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (rule && !nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, b->s->table) &&
	    !nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, CHAIN))
		return rule;
	b->failed = true;
	if (rule)
		nftnl_rule_free(rule);
	return NULL;
}

/* Ends the rule with the verdict, and frees it. */
static void put_rule(struct batch *b, struct nftnl_rule *rule, uint32_t verdict)
{
	/* What `nft list ruleset` shows to whoever wonders. */
	add(b, rule, nftnl_expr_alloc("counter"));
	add_verdict(b, rule, verdict);
	nftnl_rule_nlmsg_build_payload(
		begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND), rule);
	end(b);
	nftnl_rule_free(rule);
}

static void add_is_solicitation(struct batch *b, struct nftnl_rule *rule)
{
	add_protocol(b, rule, ETH_P_IPV6);
	add_byte(b, rule, NFT_PAYLOAD_NETWORK_HEADER, IP6_NEXT_OFFSET, NEXT_HEADER_ICMP6);
	add_byte(b, rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, ND_SOLICITATION);
}

/* Solicitations to the addresses that begin with `length` bits of addr meet the verdict. */
static void put_destination(struct batch *b, const uint8_t addr[NDP_ADDR_LEN], unsigned length,
			    uint32_t verdict)
{
	struct nftnl_rule *rule = new_rule(b);

	if (!rule)
		return;
	add_is_for_us(b, rule);
	add_is_solicitation(b, rule);
	add_load(b, rule, NFT_PAYLOAD_NETWORK_HEADER, IP6_DESTINATION_OFFSET, NDP_ADDR_LEN);
	if (length < 8 * NDP_ADDR_LEN)
		add_mask(b, rule, length);
	add_compare(b, rule, addr, NDP_ADDR_LEN);
	put_rule(b, rule, verdict);
}

static bool is_mapped(const uint8_t addr[NDP_ADDR_LEN])
{
	static const uint8_t mapped[UPLINK_MAPPED_LEN] = UPLINK_MAPPED;

	return !memcmp(addr, mapped, sizeof(mapped));
}

/* Of the questions for an address of the machine itself, no more than so many. */
static void put_limit(struct batch *b, const uint8_t own[NDP_ADDR_LEN], uint32_t per_second)
{
	struct nftnl_rule *rule = new_rule(b);
	uint8_t request[2];

	if (!rule)
		return;
	if (is_mapped(own)) {
		store_be16(request, ARP_REQUEST);
		add_protocol(b, rule, ETH_P_ARP);
		add_load(b, rule, NFT_PAYLOAD_NETWORK_HEADER, ARP_OPERATION_OFFSET,
			 sizeof(request));
		add_compare(b, rule, request, sizeof(request));
		add_load(b, rule, NFT_PAYLOAD_NETWORK_HEADER, ARP_TARGET_OFFSET, 4);
		add_compare(b, rule, own + UPLINK_MAPPED_LEN, 4);
	} else {
		add_is_solicitation(b, rule);
		add_load(b, rule, NFT_PAYLOAD_TRANSPORT_HEADER, ND_TARGET_OFFSET, NDP_ADDR_LEN);
		add_compare(b, rule, own, NDP_ADDR_LEN);
	}
	add_limit(b, rule, per_second);
	put_rule(b, rule, NF_DROP);
}

/* Transactions */

static int on_verdict(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlmsgerr *verdict = mnl_nlmsg_get_payload(nlh);
	int *err = arg;

	/* The first one tells; what comes behind it is a consequence. */
	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(*verdict) && verdict->error && !*err)
		*err = verdict->error;
	return MNL_CB_OK;
}

/* nf_tables does its work inside sendmsg(2): all that it has to say is there by then. */
static int read_verdicts(struct silence *s)
{
	static mnl_cb_t handlers[NLMSG_MIN_TYPE] = { [NLMSG_ERROR] = on_verdict };
	_Alignas(struct nlmsghdr) char buf[16384];
	int err = 0;

	for (;;) {
		ssize_t n = recv(mnl_socket_get_fd(s->socket), buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err || errno == EAGAIN ? err : -errno;
		(void)mnl_cb_run2(buf, (size_t)n, 0, 0, NULL, &err, handlers,
				  ARRAY_SIZE(handlers));
	}
}

/* What write puts into a batch happens whole, or not at all. */
static int transact(struct silence *s, size_t n_rules,
		    void (*write)(struct batch *b, const struct uplink *uplink),
		    const struct uplink *uplink)
{
	size_t room = BATCH_ROOM + n_rules * RULE_ROOM;
	/* The last message is written before it is known to fit. */
	char *buf = malloc(room + BATCH_ROOM);
	struct batch b = { .s = s };
	int err = -ENOMEM;

	if (!buf)
		return -ENOMEM;
	b.messages = mnl_nlmsg_batch_start(buf, room);
	if (!b.messages)
		goto out;
	nftnl_batch_begin(mnl_nlmsg_batch_current(b.messages), ++s->seq);
	mnl_nlmsg_batch_next(b.messages);
	write(&b, uplink);
	nftnl_batch_end(mnl_nlmsg_batch_current(b.messages), ++s->seq);
	end(&b);
	if (b.failed)
		goto out;
	if (mnl_socket_sendto(s->socket, mnl_nlmsg_batch_head(b.messages),
			      mnl_nlmsg_batch_size(b.messages)) < 0)
		err = -errno;
	else
		err = read_verdicts(s);
out:
	if (b.messages)
		mnl_nlmsg_batch_stop(b.messages);
	free(buf);
	return err;
}

/* Made first, so that it is there to be removed: an older one may be. */
static void write_removal(struct batch *b, const struct uplink *uplink)
{
	(void)uplink;
	put_table(b, NFT_MSG_NEWTABLE, 0);
	put_table(b, NFT_MSG_DELTABLE, 0);
}

static void write_rules(struct batch *b, const struct uplink *uplink)
{
	const struct silence *s = b->s;

	write_removal(b, uplink);
	put_table(b, NFT_MSG_NEWTABLE, s->no_owner ? 0 : NFT_TABLE_F_OWNER);
	put_chain(b, uplink->name);
	for (size_t i = 0; i < uplink->n_own && !s->no_limit; i++)
		put_limit(b, uplink->own[i], max((uint32_t)(QUESTIONS / uplink->n_own),
						 (uint32_t)QUESTIONS_LEAST));
	for (size_t i = 0; i < uplink->n_own; i++)
		if (!is_mapped(uplink->own[i]))
			put_destination(b, uplink->own[i], 8 * NDP_ADDR_LEN, NF_ACCEPT);
	for (uint32_t i = 0; i < s->prefixes->n; i++) {
		const struct prefix *p = &s->prefixes->v[i].prefix;

		if (p->family == AF_INET6)
			put_destination(b, p->addr, p->cidr, NF_DROP);
	}
}

static void forget(struct silence *s)
{
	s->index = 0;
	s->n_own = 0;
}

static int install(struct silence *s, const struct uplink *uplink)
{
	size_t n_rules = 2 * uplink->n_own + s->prefixes->n;
	int err = transact(s, n_rules, write_rules, uplink);

	/* Without nft_limit the rest is still worth having. */
	if (err == -ENOENT && !s->no_limit) {
		s->no_limit = true;
		err = transact(s, n_rules, write_rules, uplink);
	}
	if ((err == -EOPNOTSUPP || err == -EINVAL) && !s->no_owner) {
		s->no_owner = true;
		err = transact(s, n_rules, write_rules, uplink);
	}
	return err;
}

static bool is_installed(const struct silence *s, const struct uplink *uplink)
{
	return s->index == uplink->index && s->n_own == uplink->n_own &&
	       (!s->n_own || !memcmp(s->own, uplink->own, s->n_own * sizeof(*s->own)));
}

int silence_update(struct silence *s, const struct uplink *uplink)
{
	void *own;
	int err;

	if (is_installed(s, uplink))
		return 0;
	if (!uplink->index) {
		forget(s);
		return transact(s, 0, write_removal, uplink);
	}
	own = reallocarray(s->own, uplink->n_own + 1, sizeof(*s->own));
	if (!own)
		return -ENOMEM;
	s->own = own;
	err = install(s, uplink);
	if (err) {
		forget(s);
		return err;
	}
	s->index = uplink->index;
	s->n_own = uplink->n_own;
	if (s->n_own)
		memcpy(s->own, uplink->own, s->n_own * sizeof(*s->own));
	return 0;
}

void silence_close(struct silence *s)
{
	if (!s)
		return;
	/* The kernel does it with the socket, if it knows that the table is ours. */
	if (s->index && s->no_owner)
		(void)!transact(s, 0, write_removal, NULL);
	mnl_socket_close(s->socket);
	free(s->table);
	free(s->own);
	free(s);
}

int silence_open(struct silence **out, const char *table, const struct config_ranges *prefixes)
{
	struct silence *s = calloc(1, sizeof(*s));
	int err;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->prefixes = prefixes;
	s->table = strdup(table);
	if (!s->table) {
		err = -ENOMEM;
		goto err_free;
	}
	s->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!s->socket) {
		err = -errno;
		goto err_free;
	}
	if (mnl_socket_bind(s->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		mnl_socket_close(s->socket);
		goto err_free;
	}
	*out = s;
	return 0;

err_free:
	free(s->table);
	free(s);
	return err;
}
