/* SPDX-License-Identifier: MIT */
/* doctor: what the kernel must be told. */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>

#include "doctor.h"

/* Interfaces whose settings count */

/* Of the routes to the Internet over IPv6, as far as it concerns router advertisements. */
struct defaults {
	bool by_ra;  /* learned from router advertisements by the kernel */
	bool others; /* given by somebody */
};

struct default_search {
	struct netlink *nl;
	int ifindex;
	struct defaults *out;
};

static int note_default(const struct netlink_route *route, void *arg)
{
	struct default_search *search = arg;

	if (route->dst_len)
		return 0;
	if (route->protocol != RTPROT_RA)
		search->out->others = true;
	else if (route->oif == search->ifindex)
		search->out->by_ra = true;
	return 0;
}

static int list_defaults(void *arg)
{
	static const struct netlink_route_filter main6 = { .family = AF_INET6,
							   .table = RT_TABLE_MAIN };
	struct default_search *search = arg;

	*search->out = (struct defaults){ 0 };
	return netlink_route_list(search->nl, &main6, note_default, search);
}

/* Cannot they be listed, there are none: a setting too many is better than one that is missing. */
static void find_defaults(struct doctor *d, int ifindex, struct defaults *out)
{
	struct default_search search = { .nl = d->nl, .ifindex = ifindex, .out = out };

	if (netlink_list_whole(list_defaults, &search))
		*out = (struct defaults){ 0 };
}

/* Will it lose its default route, or has it, as soon as it forwards? */
static bool needs_accept_ra(struct doctor *d, unsigned uplink, struct defaults *defaults)
{
	find_defaults(d, d->uplinks[uplink], defaults);
	return d->uplinks[uplink] &&
	       doctor_setting("ipv6", d->router->uplinks[uplink], "accept_ra") == 1 &&
	       (defaults->by_ra || !defaults->others);
}

/* Checks */

static void check_ipv6(struct doctor *d)
{
	const char *links[ROUTER_UPLINKS_MAX + 2] = { "default" };
	struct doctor_row *row;
	unsigned n = 1;
	bool said = false;

	if (!d->wants6)
		return;
	if (doctor_setting("ipv6", "all", "disable_ipv6") < 0) {
		row = doctor_say(d, FINDING_FAIL, "this kernel has no IPv6 at all");
		doctor_mend(row, "modprobe ipv6");
		return;
	}
	for (unsigned i = 0; i < d->router->n_uplinks; i++)
		links[n++] = d->router->uplinks[i];
	if (d->tun)
		links[n++] = d->router->name;
	for (unsigned i = 0; i < n; i++) {
		/* What is made later takes after "default", but for the one that is there. */
		if (doctor_setting("ipv6", links[i], "disable_ipv6") != 1 || (!i && d->tun))
			continue;
		row = doctor_say(d, FINDING_FAIL, "IPv6 is switched off on %s",
				 i ? links[i] : "new interfaces, and so on berthd's");
		doctor_set(row, "0", "net/ipv6/conf/%s/disable_ipv6", links[i]);
		said = true;
	}
	if (!said)
		doctor_say(d, FINDING_OK, "IPv6 is switched on");
}

static void check_accept_ra(struct doctor *d)
{
	struct defaults defaults;
	struct doctor_row *row;

	for (unsigned i = 0; d->wants6 && i < d->router->n_uplinks; i++) {
		const char *link = d->router->uplinks[i];
		bool needs = needs_accept_ra(d, i, &defaults);

		if (needs && doctor_setting("ipv6", link, "forwarding") == 1) {
			row = doctor_say(d, FINDING_FAIL,
					 "%s does not hear router advertisements, as it forwards: %s",
					 link, defaults.by_ra ?
					 "its default route, which came by one, runs out soon" :
					 "there is no default route for IPv6");
			doctor_set(row, "2", "net/ipv6/conf/%s/accept_ra", link);
		} else if (d->uplinks[i]) {
			doctor_say(d, FINDING_OK, "%s: the default route is %s", link,
				   defaults.by_ra ? "heard of by router advertisements" :
				   defaults.others ? "not one of router advertisements" : "missing");
		}
	}
}

static void check_forwarding6(struct doctor *d)
{
	struct defaults defaults;
	struct doctor_row *row;

	if (!d->wants6)
		return;
	if (doctor_setting("ipv6", "all", "forwarding") == 1) {
		doctor_say(d, FINDING_OK, "the kernel forwards IPv6");
		return;
	}
	row = doctor_say(d, FINDING_FAIL, "the kernel does not forward IPv6: no tenant is reached");
	/* First of all what would else be lost by it. */
	for (unsigned i = 0; i < d->router->n_uplinks; i++)
		if (needs_accept_ra(d, i, &defaults))
			doctor_set(row, "2", "net/ipv6/conf/%s/accept_ra", d->router->uplinks[i]);
	doctor_set(row, "1", "net/ipv6/conf/all/forwarding");
}

/* IPv4 asks the interface at which a packet comes in; net.ipv4.ip_forward sets all of them. */
static void check_forwarding4(struct doctor *d)
{
	struct doctor_row *row = NULL;
	int64_t all;

	if (!d->wants4 || sysctl_read("net/ipv4/ip_forward", &all))
		return;
	if (!all) {
		row = doctor_say(d, FINDING_FAIL,
				 "the kernel does not forward IPv4: no tenant is reached");
		doctor_set(row, "1", "net/ipv4/ip_forward");
		return;
	}
	for (unsigned i = 0; i <= d->router->n_uplinks; i++) {
		const char *link = i ? d->router->uplinks[i - 1] : d->router->name;

		if (doctor_setting("ipv4", link, "forwarding") != 0)
			continue;
		row = doctor_say(d, FINDING_FAIL,
				 "the kernel does not forward the IPv4 that comes in at %s", link);
		doctor_set(row, "1", "net/ipv4/conf/%s/forwarding", link);
	}
	if (!row)
		doctor_say(d, FINDING_OK, "the kernel forwards IPv4");
}

/* The kernel's own proxies */

struct proxied {
	const struct doctor *d;
	uint8_t family;
	unsigned ours, others;
	char example[INET6_ADDRSTRLEN];
};

static int note_proxied(const struct netlink_neigh *neigh, void *arg)
{
	struct prefix host = prefix_host(neigh->family, neigh->addr);
	struct proxied *found = arg;

	if (neigh->family != found->family)
		return 0;
	if (!router_has_range(found->d->router, &host)) {
		found->others++;
		return 0;
	}
	found->ours++;
	inet_ntop(neigh->family, neigh->addr, found->example, sizeof(found->example));
	return 0;
}

static void check_proxy(struct doctor *d, unsigned uplink, uint8_t family)
{
	const char *link = d->router->uplinks[uplink];
	const char *ip = family == AF_INET6 ? "ipv6" : "ipv4";
	const char *setting = family == AF_INET6 ? "proxy_ndp" : "proxy_arp";
	bool on = doctor_setting(ip, link, setting) == 1 || doctor_setting(ip, "all", setting) == 1;
	struct proxied found = { .d = d, .family = family };
	struct doctor_row *row;

	if (!d->uplinks[uplink])
		return;
	(void)!netlink_proxy_list(d->nl, d->uplinks[uplink], note_proxied, &found);
	if (!on && !found.ours) {
		doctor_say(d, FINDING_OK, "%s: the kernel leaves the answers to berthd", link);
		return;
	}
	if (found.ours) {
		row = doctor_say(d, FINDING_WARN, "%s: the kernel is told to answer for %s%s, as berthd "
				 "does: left over from before", link, found.example,
				 found.ours > 1 ? " and more" : "");
		doctor_mend(row, "ip %s neigh del proxy %s dev %s", family == AF_INET6 ? "-6" : "-4",
			    found.example, link);
	}
	if (!on)
		return;
	row = doctor_say(d, FINDING_WARN, "%s: %s is on, so the kernel has a say of its own when "
			 "neighbours ask for tenants, and berthd is enough", link, setting);
	for (unsigned i = 0; i < 2; i++) {
		const char *where = i ? "all" : link;

		if (doctor_setting(ip, where, setting) != 1)
			continue;
		/* Somebody else may need it. */
		if (found.others)
			doctor_mend(row, "sysctl -w net.%s.conf.%s.%s=0", ip, where, setting);
		else
			doctor_set(row, "0", "net/%s/conf/%s/%s", ip, where, setting);
	}
}

static void check_proxy_ndp(struct doctor *d)
{
	for (unsigned i = 0; d->wants6 && i < d->router->n_uplinks; i++)
		check_proxy(d, i, AF_INET6);
}

static void check_proxy_arp(struct doctor *d)
{
	for (unsigned i = 0; d->wants4 && i < d->router->n_uplinks; i++)
		check_proxy(d, i, AF_INET);
}

/* The greater one of "all" and the interface's own counts; 1 is strict. */
static bool is_strict(const char *link)
{
	int64_t all = doctor_setting("ipv4", "all", "rp_filter");
	int64_t own = doctor_setting("ipv4", link, "rp_filter");

	return max(all, own) == 1;
}

/*
 * Strict, it drops what does not come in where the answer would go out. With one uplink,
 * which has the default route, that is the same; and tenants have a route each.
 */
static void check_rp_filter(struct doctor *d)
{
	const struct doctor_outside *out = doctor_outside(d, AF_INET);
	bool said = false;

	for (unsigned i = 0; d->wants4 && i < d->router->n_uplinks; i++) {
		const char *link = d->router->uplinks[i];
		struct doctor_row *row;

		if (!d->uplinks[i] || !is_strict(link) ||
		    (out->found && out->route.oif == d->uplinks[i]))
			continue;
		row = doctor_say(d, FINDING_WARN, "%s: the strict reverse path filter drops what the "
				 "Internet sends to tenants, as the default route is elsewhere", link);
		doctor_set(row, "2", "net/ipv4/conf/%s/rp_filter", link);
		said = true;
	}
	if (d->wants4 && !said)
		doctor_say(d, FINDING_OK, "the reverse path filter drops nothing of the tenants'");
}

const struct doctor_check doctor_kernel[] = {
	{ "ipv6", check_ipv6 },
	{ "accept-ra", check_accept_ra },
	{ "forwarding6", check_forwarding6 },
	{ "forwarding4", check_forwarding4 },
	{ "proxy-ndp", check_proxy_ndp },
	{ "proxy-arp", check_proxy_arp },
	{ "rp-filter", check_rp_filter },
	{ 0 },
};
