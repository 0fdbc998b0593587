/* SPDX-License-Identifier: MIT */
/*
 * The table "filter" of iptables-legacy: a blob of entries, asked for by getsockopt(2), in
 * which a chain is a place to go on from. Both families have the same but for the header
 * of an entry.
 */
/* Before the kernel's headers, which then leave to these what both define. */
#include <net/if.h>
#include <netinet/in.h>

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "firewall_rules.h"

enum { TABLE_MAX = 64 << 20, DEPTH_MAX = 16, RULES_MAX = 100000 };

enum outcome { OUTCOME_NONE, OUTCOME_ACCEPT, OUTCOME_DROP };

/* What is looked at of an entry of either family. */
struct entry {
	const char *in, *out;                   /* IFNAMSIZ bytes each, with their masks */
	const unsigned char *in_mask, *out_mask;
	uint8_t inverted;
	bool goes; /* "-g" */
	bool asks_more; /* an address */
	uint8_t protocol; /* 0: any */
	size_t header;    /* its length */
	size_t target, next; /* offsets from the entry */
};

struct table {
	uint8_t family;
	unsigned char *entries;
	size_t size;
	size_t start, policy; /* where the chain of the hook begins, and its last entry */
	const struct firewall_packet *packet;
	bool maybe_accept;
	unsigned depth, seen;
};

/* Entries */

static bool is_zero(const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static void read4(const struct ipt_entry *e, struct entry *out)
{
	*out = (struct entry){ .in = e->ip.iniface,
			       .out = e->ip.outiface,
			       .in_mask = e->ip.iniface_mask,
			       .out_mask = e->ip.outiface_mask,
			       .inverted = e->ip.invflags,
			       .goes = e->ip.flags & IPT_F_GOTO,
			       .asks_more = e->ip.smsk.s_addr || e->ip.dmsk.s_addr,
			       .protocol = (uint8_t)e->ip.proto,
			       .header = sizeof(*e),
			       .target = e->target_offset,
			       .next = e->next_offset };
}

static void read6(const struct ip6t_entry *e, struct entry *out)
{
	*out = (struct entry){ .in = e->ipv6.iniface,
			       .out = e->ipv6.outiface,
			       .in_mask = e->ipv6.iniface_mask,
			       .out_mask = e->ipv6.outiface_mask,
			       .inverted = e->ipv6.invflags,
			       .goes = e->ipv6.flags & IP6T_F_GOTO,
			       .protocol = (uint8_t)e->ipv6.proto,
			       .header = sizeof(*e),
			       .asks_more = !is_zero(&e->ipv6.smsk, sizeof(e->ipv6.smsk)) ||
				       !is_zero(&e->ipv6.dmsk, sizeof(e->ipv6.dmsk)),
			       .target = e->target_offset,
			       .next = e->next_offset };
}

static bool read_entry(const struct table *t, size_t at, struct entry *out)
{
	size_t header = t->family == AF_INET ? sizeof(struct ipt_entry) : sizeof(struct ip6t_entry);

	if (at > t->size || t->size - at < header)
		return false;
	if (t->family == AF_INET)
		read4((const void *)(t->entries + at), out);
	else
		read6((const void *)(t->entries + at), out);
	return out->target >= header && out->next > out->target && out->next <= t->size - at &&
	       out->next - out->target >= sizeof(struct xt_entry_target);
}

/* name NULL: not known. */
static enum firewall_match is_interface(const char *wanted, const unsigned char *mask, bool inverted,
				const char *name)
{
	char padded[IFNAMSIZ] = "";
	bool same = true;

	if (is_zero(mask, IFNAMSIZ))
		return MATCH_YES;
	if (!name)
		return MATCH_MAYBE;
	(void)snprintf(padded, sizeof(padded), "%s", name);
	for (size_t i = 0; i < IFNAMSIZ; i++)
		same &= !((padded[i] ^ wanted[i]) & mask[i]);
	return same != inverted ? MATCH_YES : MATCH_NO;
}

static enum firewall_match is_protocol(const struct table *t, const struct entry *e)
{
	if (!e->protocol)
		return MATCH_YES;
	if (!t->packet->protocol)
		return MATCH_MAYBE;
	/* IP6T_INV_* are the same bits as IPT_INV_*, here and below. */
	return match_of((e->protocol == t->packet->protocol) != !!(e->inverted & XT_INV_PROTO));
}

/* The matches behind the header: the least of their answers. */
static enum firewall_match ask_matches(const struct table *t, size_t at, const struct entry *e)
{
	enum firewall_match all = MATCH_YES;
	size_t offset = e->header;

	while (all != MATCH_NO && offset < e->target) {
		const struct xt_entry_match *m = (const void *)(t->entries + at + offset);
		size_t len = e->target - offset < sizeof(*m) ? 0 : m->u.match_size;
		char name[XT_EXTENSION_MAXNAMELEN + 1] = "";
		enum firewall_match match;

		if (len < sizeof(*m) || len > e->target - offset)
			return MATCH_MAYBE;
		memcpy(name, m->u.user.name, XT_EXTENSION_MAXNAMELEN);
		match = firewall_ask_module(name, m->data, len - sizeof(*m), t->packet);
		all = min(all, match);
		offset += len;
	}
	return all;
}

static enum firewall_match matches(const struct table *t, size_t at, const struct entry *e)
{
	enum firewall_match all[] = {
		is_interface(e->in, e->in_mask, e->inverted & IPT_INV_VIA_IN, t->packet->iif),
		is_interface(e->out, e->out_mask, e->inverted & IPT_INV_VIA_OUT, t->packet->oif),
		is_protocol(t, e),
		e->asks_more ? MATCH_MAYBE : MATCH_YES,
		ask_matches(t, at, e),
	};

	for (size_t i = 1; i < ARRAY_SIZE(all); i++)
		all[0] = min(all[0], all[i]);
	return all[0];
}

/* Chains */

/* What an entry says that is no jump: INT_MAX for a target that goes on to the next. */
static int verdict_of(const struct table *t, size_t at, const struct entry *e)
{
	const struct xt_standard_target *target = (const void *)(t->entries + at + e->target);
	const char *name = target->target.u.user.name;

	if (!strncmp(name, "REJECT", sizeof("REJECT")))
		return -NF_DROP - 1;
	/* The name of the standard one is empty. */
	if (*name || e->next - e->target < sizeof(*target))
		return INT_MAX;
	return target->verdict;
}

static enum outcome follow(struct table *t, size_t at, bool doubt)
{
	enum outcome outcome = OUTCOME_NONE;
	struct entry e;

	if (t->depth >= DEPTH_MAX)
		return OUTCOME_NONE;
	t->depth++;
	for (; outcome == OUTCOME_NONE && at != t->policy && t->seen++ < RULES_MAX; at += e.next) {
		enum firewall_match answer;
		int verdict;
		bool sure;

		if (!read_entry(t, at, &e))
			break;
		answer = matches(t, at, &e);
		sure = answer == MATCH_YES && !doubt;
		verdict = verdict_of(t, at, &e);
		if (answer == MATCH_NO || verdict == INT_MAX)
			continue;
		if (verdict >= 0) {
			outcome = follow(t, (size_t)verdict, !sure);
			if (sure && e.goes)
				break;
		} else if (verdict == XT_RETURN) {
			if (sure)
				break;
			if (answer == MATCH_YES) /* the end of a chain in doubt */
				break;
			doubt = true;
		} else if (verdict == -NF_ACCEPT - 1) {
			t->maybe_accept |= !sure;
			if (sure)
				outcome = OUTCOME_ACCEPT;
		} else if (sure) {
			outcome = OUTCOME_DROP;
		}
	}
	t->depth--;
	return outcome;
}

static void judge(struct table *t, struct firewall_verdict *out)
{
	enum outcome outcome = follow(t, t->start, false);
	struct entry policy;
	bool drops = outcome == OUTCOME_DROP;

	*out = (struct firewall_verdict){ .fate = FIREWALL_PASSES,
					  .family = t->family == AF_INET ? "ip" : "ip6",
					  .table = "filter",
					  .by_policy = outcome == OUTCOME_NONE };
	if (out->by_policy && read_entry(t, t->policy, &policy))
		drops = verdict_of(t, t->policy, &policy) == -NF_DROP - 1;
	if (drops)
		out->fate = t->maybe_accept ? FIREWALL_UNSURE : FIREWALL_DROPS;
}

/* Reading */

/* Asking for a table that is not there would make it. */
static bool is_in_use(uint8_t family)
{
	FILE *file = fopen(family == AF_INET ? "/proc/self/net/ip_tables_names" :
					       "/proc/self/net/ip6_tables_names", "re");
	char line[64];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = !strcmp(line, "filter\n");
	(void)fclose(file);
	return found;
}

/* The numbers and layouts of both families' calls agree but for the level. */
enum {
	INFO4 = IPT_SO_GET_INFO,
	INFO6 = IP6T_SO_GET_INFO,
	ENTRIES4 = IPT_SO_GET_ENTRIES,
	ENTRIES6 = IP6T_SO_GET_ENTRIES
};
_Static_assert(INFO4 == INFO6 && ENTRIES4 == ENTRIES6 &&
	       sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo) &&
	       offsetof(struct ipt_get_entries, entrytable) ==
		       offsetof(struct ip6t_get_entries, entrytable), "one code for both");

static int read_table(int fd, int level, unsigned hook, struct table *t,
		      struct ipt_get_entries **out)
{
	struct ipt_getinfo info = { .name = "filter" };
	struct ipt_get_entries *entries;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, level, IPT_SO_GET_INFO, &info, &len))
		return -errno;
	if (!(info.valid_hooks & 1U << hook) || info.size > TABLE_MAX)
		return -ENOENT;
	len = (socklen_t)(sizeof(*entries) + info.size);
	entries = calloc(1, len);
	if (!entries)
		return -ENOMEM;
	memcpy(entries->name, info.name, sizeof(info.name));
	entries->size = info.size;
	*out = entries;
	/* -EAGAIN: it has another size by now. */
	if (getsockopt(fd, level, IPT_SO_GET_ENTRIES, entries, &len))
		return -errno;
	t->entries = (unsigned char *)entries->entrytable;
	t->size = info.size;
	t->start = info.hook_entry[hook];
	t->policy = info.underflow[hook];
	return 0;
}

int firewall_ask_legacy(unsigned hook, const struct firewall_packet *packet,
			struct firewall_verdict *out)
{
	static const char *const chains[] = { [NF_INET_LOCAL_IN] = "INPUT",
					      [NF_INET_FORWARD] = "FORWARD" };
	struct table t = { .family = packet->family, .packet = packet };
	struct ipt_get_entries *entries = NULL;
	int fd, err;

	if (hook >= ARRAY_SIZE(chains) || !chains[hook] || !is_in_use(packet->family))
		return -ENOENT;
	fd = socket(packet->family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		return -errno;
	err = read_table(fd, packet->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, hook, &t,
			 &entries);
	if (!err && t.entries) {
		judge(&t, out);
		out->chain = chains[hook];
	}
	free(entries);
	close(fd);
	return err;
}
