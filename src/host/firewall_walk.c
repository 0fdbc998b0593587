/* SPDX-License-Identifier: MIT */
/*
 * Going through the rules, as nft_do_chain() of the kernel does, with a packet of which
 * not everything is known: registers know byte by byte whether they are, and a rule
 * matches, does not, or may.
 */
#include <arpa/inet.h>
#include <stdio.h> /* libnftnl's headers want it */

#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "firewall_rules.h"

enum { DEPTH_MAX = 16, REGISTERS_LEN = 64, IP_HEADER_MAX = 40 };

enum outcome { OUTCOME_NONE, OUTCOME_ACCEPT, OUTCOME_DROP };

struct walk {
	const struct firewall *fw;
	const struct firewall_packet *packet;
	const struct firewall_chain *base;
	uint8_t value[REGISTERS_LEN];
	bool known[REGISTERS_LEN];
	bool maybe_accept; /* a rule lets some such packets through */
	bool rewrites;
	unsigned depth;
};

/* What a rule comes to. */
struct step {
	enum firewall_match match;
	int verdict; /* NF_ACCEPT, NFT_JUMP, … */
	const char *chain;
};

/* Registers */

/* Four of 16 bytes, over which lie sixteen of 4 bytes. SIZE_MAX: none such. */
static size_t reg_at(uint32_t reg, size_t len)
{
	size_t at = reg >= NFT_REG32_00 ? (reg - NFT_REG32_00) * 4 :
		reg >= NFT_REG_1 ? (reg - NFT_REG_1) * 16 : SIZE_MAX;

	return at < REGISTERS_LEN && len <= REGISTERS_LEN - at ? at : SIZE_MAX;
}

static void forget(struct walk *w)
{
	memset(w->known, 0, sizeof(w->known));
}

/* data NULL: not known. */
static void set_reg(struct walk *w, uint32_t reg, const void *data, size_t len)
{
	size_t at = reg_at(reg, len);

	if (at == SIZE_MAX) {
		forget(w);
		return;
	}
	for (size_t i = 0; i < len; i++)
		w->known[at + i] = data != NULL;
	if (data)
		memcpy(w->value + at, data, len);
}

static bool is_known(const struct walk *w, size_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!w->known[at + i])
			return false;
	return true;
}

/* Loading */

static void load_meta(struct walk *w, const struct nftnl_expr *e)
{
	uint32_t reg = nftnl_expr_get_u32(e, NFTNL_EXPR_META_DREG);
	const struct firewall_packet *p = w->packet;
	char name[IFNAMSIZ] = "";
	uint8_t byte;
	uint8_t type[2];

	switch (nftnl_expr_get_u32(e, NFTNL_EXPR_META_KEY)) {
	case NFT_META_IIFNAME:
		(void)strncpy(name, p->iif ? p->iif : "", sizeof(name) - 1);
		set_reg(w, reg, p->iif ? name : NULL, sizeof(name));
		break;
	case NFT_META_OIFNAME:
		(void)strncpy(name, p->oif ? p->oif : "", sizeof(name) - 1);
		set_reg(w, reg, p->oif ? name : NULL, sizeof(name));
		break;
	case NFT_META_IIF:
		set_reg(w, reg, p->iifindex ? &p->iifindex : NULL, sizeof(p->iifindex));
		break;
	case NFT_META_OIF:
		set_reg(w, reg, p->oifindex ? &p->oifindex : NULL, sizeof(p->oifindex));
		break;
	case NFT_META_NFPROTO:
		byte = p->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
		set_reg(w, reg, &byte, sizeof(byte));
		break;
	case NFT_META_PROTOCOL:
		store_be16(type, p->family == AF_INET ? 0x0800 : 0x86dd);
		set_reg(w, reg, type, sizeof(type));
		break;
	case NFT_META_L4PROTO:
		set_reg(w, reg, p->protocol ? &p->protocol : NULL, sizeof(p->protocol));
		break;
	default:
		set_reg(w, reg, NULL, 16);
	}
}

struct header {
	uint8_t value[IP_HEADER_MAX];
	bool known[IP_HEADER_MAX];
};

static void put(struct header *h, size_t at, const void *data, size_t len)
{
	if (!data)
		return;
	memcpy(h->value + at, data, len);
	memset(h->known + at, true, len);
}

static void make_header(const struct firewall_packet *p, uint32_t base, struct header *h)
{
	bool ip6 = p->family == AF_INET6;
	uint8_t port[2];

	*h = (struct header){ 0 };
	if (base == NFT_PAYLOAD_NETWORK_HEADER) {
		put(h, ip6 ? 8 : 12, p->src, ip6 ? 16 : 4);
		put(h, ip6 ? 24 : 16, p->dst, ip6 ? 16 : 4);
		put(h, ip6 ? 6 : 9, p->protocol ? &p->protocol : NULL, 1);
	} else if (base == NFT_PAYLOAD_TRANSPORT_HEADER && p->port) {
		store_be16(port, p->port);
		put(h, 2, port, sizeof(port));
	}
}

static void load_payload(struct walk *w, const struct nftnl_expr *e)
{
	uint32_t at = nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET);
	uint32_t len = nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_LEN);
	uint32_t reg = nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_DREG);
	size_t to = reg_at(reg, len);
	struct header h;

	/* It may write into a packet, too. */
	if (!nftnl_expr_is_set(e, NFTNL_EXPR_PAYLOAD_DREG) || to == SIZE_MAX)
		return;
	make_header(w->packet, nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_BASE), &h);
	set_reg(w, reg, NULL, len);
	for (size_t i = 0; i < len && at + i < IP_HEADER_MAX; i++) {
		w->value[to + i] = h.value[at + i];
		w->known[to + i] = h.known[at + i];
	}
}

static void load_ct(struct walk *w, const struct nftnl_expr *e)
{
	static const uint32_t state = FIREWALL_STATE_NEW;
	uint32_t reg = nftnl_expr_get_u32(e, NFTNL_EXPR_CT_DREG);

	if (!nftnl_expr_is_set(e, NFTNL_EXPR_CT_DREG))
		return;
	if (nftnl_expr_get_u32(e, NFTNL_EXPR_CT_KEY) == NFT_CT_STATE)
		set_reg(w, reg, &state, sizeof(state));
	else
		set_reg(w, reg, NULL, 16);
}

static void load_bitwise(struct walk *w, const struct nftnl_expr *e)
{
	uint32_t len = nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_LEN), mask_len, xor_len;
	size_t from = reg_at(nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_SREG), len);
	size_t to = reg_at(nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_DREG), len);
	const uint8_t *mask = nftnl_expr_get(e, NFTNL_EXPR_BITWISE_MASK, &mask_len);
	const uint8_t *xor = nftnl_expr_get(e, NFTNL_EXPR_BITWISE_XOR, &xor_len);

	if (from == SIZE_MAX || to == SIZE_MAX || !mask || !xor || mask_len < len || xor_len < len) {
		forget(w); /* a shift */
		return;
	}
	for (size_t i = 0; i < len; i++) {
		w->known[to + i] = w->known[from + i] || !mask[i];
		w->value[to + i] = (uint8_t)((w->value[from + i] & mask[i]) ^ xor[i]);
	}
}

/* Comparing */

static enum firewall_match compare(const struct walk *w, const struct nftnl_expr *e)
{
	uint32_t len, op = nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_OP);
	const uint8_t *data = nftnl_expr_get(e, NFTNL_EXPR_CMP_DATA, &len);
	size_t at = reg_at(nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_SREG), len);
	int order;

	if (!data || at == SIZE_MAX)
		return MATCH_MAYBE;
	if (!is_known(w, at, len)) {
		/* One byte that differs is enough. */
		for (size_t i = 0; i < len; i++)
			if (w->known[at + i] && w->value[at + i] != data[i] &&
			    (op == NFT_CMP_EQ || op == NFT_CMP_NEQ))
				return match_of(op == NFT_CMP_NEQ);
		return MATCH_MAYBE;
	}
	order = memcmp(w->value + at, data, len);
	switch (op) {
	case NFT_CMP_EQ:
		return match_of(order == 0);
	case NFT_CMP_NEQ:
		return match_of(order != 0);
	case NFT_CMP_LT:
		return match_of(order < 0);
	case NFT_CMP_LTE:
		return match_of(order <= 0);
	case NFT_CMP_GT:
		return match_of(order > 0);
	default:
		return match_of(order >= 0);
	}
}

static enum firewall_match compare_range(const struct walk *w, const struct nftnl_expr *e)
{
	uint32_t len, high_len;
	const uint8_t *low = nftnl_expr_get(e, NFTNL_EXPR_RANGE_FROM_DATA, &len);
	const uint8_t *high = nftnl_expr_get(e, NFTNL_EXPR_RANGE_TO_DATA, &high_len);
	size_t at = reg_at(nftnl_expr_get_u32(e, NFTNL_EXPR_RANGE_SREG), len);
	bool inside;

	if (!low || !high || high_len != len || at == SIZE_MAX || !is_known(w, at, len))
		return MATCH_MAYBE;
	inside = memcmp(w->value + at, low, len) >= 0 && memcmp(w->value + at, high, len) <= 0;
	return match_of(inside == (nftnl_expr_get_u32(e, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_EQ));
}

/* The element that the register holds; it is the caller's no longer than the set. */
static struct nftnl_set_elem *find_element(const struct walk *w, const struct nftnl_set *set,
					   size_t at, uint32_t key_len)
{
	struct nftnl_set_elems_iter *iter = nftnl_set_elems_iter_create(set);
	struct nftnl_set_elem *elem = iter ? nftnl_set_elems_iter_next(iter) : NULL;

	for (; elem; elem = nftnl_set_elems_iter_next(iter)) {
		uint32_t len;
		const void *key = nftnl_set_elem_get(elem, NFTNL_SET_ELEM_KEY, &len);

		if (key && len == key_len && !memcmp(key, w->value + at, len))
			break;
	}
	if (iter)
		nftnl_set_elems_iter_destroy(iter);
	return elem;
}

static enum firewall_match look_up(struct walk *w, const struct nftnl_expr *e, const char *table,
			  struct step *step)
{
	const struct nftnl_set *set = firewall_find_set(
		w->fw, w->base->family, table, nftnl_expr_get_str(e, NFTNL_EXPR_LOOKUP_SET));
	uint32_t len = set ? nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN) : 0;
	size_t at = reg_at(nftnl_expr_get_u32(e, NFTNL_EXPR_LOOKUP_SREG), len);
	bool inverted = nftnl_expr_is_set(e, NFTNL_EXPR_LOOKUP_FLAGS) &&
		nftnl_expr_get_u32(e, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
	bool maps = nftnl_expr_is_set(e, NFTNL_EXPR_LOOKUP_DREG);
	struct nftnl_set_elem *elem;

	if (!set || at == SIZE_MAX || !is_known(w, at, len) ||
	    nftnl_set_get_u32(set, NFTNL_SET_FLAGS) &
		    (NFT_SET_INTERVAL | NFT_SET_TIMEOUT | NFT_SET_EVAL)) {
		if (maps)
			forget(w);
		return MATCH_MAYBE;
	}
	elem = find_element(w, set, at, len);
	/* What else than a verdict it maps to is not looked at. */
	if (maps)
		forget(w);
	if (elem && maps && nftnl_set_elem_is_set(elem, NFTNL_SET_ELEM_VERDICT)) {
		step->verdict = (int)nftnl_set_elem_get_u32(elem, NFTNL_SET_ELEM_VERDICT);
		step->chain = nftnl_set_elem_get_str(elem, NFTNL_SET_ELEM_CHAIN);
	}
	return match_of(!elem == inverted);
}

/* What iptables-nft leaves to its own modules. */
static enum firewall_match ask_module(const struct walk *w, const struct nftnl_expr *e)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_MT_NAME);
	uint32_t len;
	const void *data = nftnl_expr_get(e, NFTNL_EXPR_MT_INFO, &len);

	return name && data ? firewall_ask_module(name, data, len, w->packet) : MATCH_MAYBE;
}

static void take_target(struct walk *w, const struct nftnl_expr *e, struct step *step)
{
	static const char *const nat[] = { "MASQUERADE", "SNAT", "NETMAP" };
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_TG_NAME);

	if (name && (!strcmp(name, "REJECT") || !strcmp(name, "DROP")))
		step->verdict = NF_DROP;
	for (size_t i = 0; name && i < ARRAY_SIZE(nat); i++) {
		if (strcmp(name, nat[i]) != 0)
			continue;
		w->rewrites |= step->match == MATCH_YES;
		step->verdict = NF_ACCEPT;
	}
}

/* One rule */

static void take_immediate(struct walk *w, const struct nftnl_expr *e, struct step *step)
{
	uint32_t len;
	const void *data;

	if (nftnl_expr_is_set(e, NFTNL_EXPR_IMM_VERDICT)) {
		step->verdict = (int)nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_VERDICT);
		step->chain = nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN);
		return;
	}
	data = nftnl_expr_get(e, NFTNL_EXPR_IMM_DATA, &len);
	set_reg(w, nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_DREG), data, data ? len : 0);
}

static bool is_one_of(const char *name, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, words[i]) == 0)
			return true;
	return false;
}

/* Neither loads nor decides anything. */
static bool is_idle(const char *name)
{
	static const char *const idle[] = { "counter", "log",    "notrack", "last",  "objref",
					    "dup",     "dynset", "flow_offload", "tproxy" };

	return is_one_of(name, idle, ARRAY_SIZE(idle));
}

static void take(struct walk *w, const struct nftnl_expr *e, const char *table, struct step *step)
{
	static const char *const nat[] = { "masq", "nat" };
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	enum firewall_match match = MATCH_YES;

	if (!strcmp(name, "meta") && nftnl_expr_is_set(e, NFTNL_EXPR_META_DREG)) {
		load_meta(w, e);
	} else if (!strcmp(name, "payload")) {
		load_payload(w, e);
	} else if (!strcmp(name, "ct")) {
		load_ct(w, e);
	} else if (!strcmp(name, "bitwise")) {
		load_bitwise(w, e);
	} else if (!strcmp(name, "immediate")) {
		take_immediate(w, e, step);
	} else if (!strcmp(name, "cmp")) {
		match = compare(w, e);
	} else if (!strcmp(name, "range")) {
		match = compare_range(w, e);
	} else if (!strcmp(name, "lookup")) {
		match = look_up(w, e, table, step);
	} else if (!strcmp(name, "match")) {
		match = ask_module(w, e);
	} else if (!strcmp(name, "target")) {
		take_target(w, e, step);
	} else if (!strcmp(name, "reject")) {
		step->verdict = NF_DROP;
	} else if (!strcmp(name, "queue")) {
		step->verdict = NF_QUEUE;
	} else if (is_one_of(name, nat, ARRAY_SIZE(nat))) {
		w->rewrites |= step->match == MATCH_YES;
		step->verdict = NF_ACCEPT;
	} else if (strcmp(name, "meta") != 0 && !is_idle(name)) {
		/* It may load, or ask: a limit, the FIB, a header that is not known. */
		forget(w);
		match = MATCH_MAYBE;
	}
	step->match = min(step->match, match);
}

static struct step follow_rule(struct walk *w, struct nftnl_rule *rule)
{
	struct step step = { .match = MATCH_YES, .verdict = NFT_CONTINUE };
	struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
	const char *table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE);
	struct nftnl_expr *e = iter ? nftnl_expr_iter_next(iter) : NULL;

	forget(w);
	for (; e && step.match != MATCH_NO; e = nftnl_expr_iter_next(iter))
		take(w, e, table, &step);
	if (iter)
		nftnl_expr_iter_destroy(iter);
	return step;
}

/* Chains */

/* doubt: the packet may not come here at all, so that nothing in here is final. */
static enum outcome follow_chain(struct walk *w, const struct firewall_chain *chain, bool doubt)
{
	enum outcome outcome = OUTCOME_NONE;

	if (!chain || w->depth >= DEPTH_MAX)
		return OUTCOME_NONE;
	w->depth++;
	for (size_t i = 0; i < chain->n_rules && outcome == OUTCOME_NONE; i++) {
		struct step step = follow_rule(w, chain->rules[i]);
		bool sure = step.match == MATCH_YES && !doubt;

		if (step.match == MATCH_NO)
			continue;
		switch (step.verdict) {
		case NF_ACCEPT:
		case NF_QUEUE: /* a program decides */
			w->maybe_accept |= !sure || step.verdict == NF_QUEUE;
			if (sure)
				outcome = step.verdict == NF_ACCEPT ? OUTCOME_ACCEPT : OUTCOME_DROP;
			break;
		case NF_DROP:
			/* Some packets are dropped everywhere: what matters is what is not. */
			if (sure)
				outcome = OUTCOME_DROP;
			break;
		case NFT_JUMP:
		case NFT_GOTO:
			outcome = follow_chain(w, step.chain ? firewall_find_chain(
				w->fw, chain->family, chain->table, step.chain) : NULL, !sure);
			if (sure && step.verdict == NFT_GOTO)
				goto out;
			break;
		case NFT_RETURN:
			if (sure)
				goto out;
			doubt = true;
			break;
		default:
			break;
		}
	}
out:
	w->depth--;
	return outcome;
}

static const char *family_name(uint32_t family)
{
	return family == NFPROTO_INET ? "inet" : family == NFPROTO_IPV4 ? "ip" : "ip6";
}

static void ask_chain(const struct firewall *fw, const struct firewall_chain *chain,
		      const struct firewall_packet *packet, struct firewall_verdict *out)
{
	struct walk w = { .fw = fw, .packet = packet, .base = chain };
	enum outcome outcome = follow_chain(&w, chain, false);
	bool by_policy = outcome == OUTCOME_NONE;

	*out = (struct firewall_verdict){
		.fate = FIREWALL_PASSES,
		.family = family_name(chain->family),
		.table = chain->table,
		.chain = chain->name,
		.by_policy = by_policy,
		.has_docker = firewall_find_chain(fw, chain->family, chain->table, "DOCKER-USER"),
	};
	if (outcome == OUTCOME_DROP || (by_policy && chain->policy == NF_DROP))
		out->fate = w.maybe_accept ? FIREWALL_UNSURE : FIREWALL_DROPS;
	else if (w.rewrites)
		out->fate = FIREWALL_REWRITES;
}

/* The worse one of two base chains counts: each of them must let the packet pass. */
static bool is_worse(enum firewall_fate a, enum firewall_fate b)
{
	static const int weight[] = { [FIREWALL_PASSES] = 0, [FIREWALL_REWRITES] = 1,
				      [FIREWALL_UNSURE] = 2, [FIREWALL_DROPS] = 3 };

	return weight[a] > weight[b];
}

void firewall_ask(const struct firewall *fw, unsigned hook, const struct firewall_packet *packet,
		  struct firewall_verdict *out)
{
	uint32_t family = packet->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct firewall_verdict verdict;

	*out = (struct firewall_verdict){ .fate = FIREWALL_PASSES };
	for (size_t i = 0; i < fw->n_chains; i++) {
		const struct firewall_chain *chain = &fw->chains[i];

		if (!chain->base || chain->hook != hook ||
		    (chain->family != family && chain->family != NFPROTO_INET))
			continue;
		ask_chain(fw, chain, packet, &verdict);
		if (is_worse(verdict.fate, out->fate))
			*out = verdict;
	}
}
