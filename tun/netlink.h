/* SPDX-License-Identifier: MIT */
/*
 * Requests to the kernel's NETLINK_ROUTE: links, addresses, routes, neighbours, rules.
 *
 * Every request waits for the kernel's verdict. Functions return 0 or a
 * negative errno, the kernel's own unless a comment says otherwise; besides
 * those every one of them may return
 *   -EBUSY     called out of a callback of the same struct netlink, or while
 *              a batch is open
 *   -EBADMSG   the answer makes no sense
 *   -ETIMEDOUT no answer came (the kernel answers within the call: a bug)
 *   -ENOBUFS   the answer was lost, the outcome is unknown
 *
 * Threads: one thread at a time per struct netlink; it may be handed over.
 * Different structs are independent of each other.
 *
 * Addresses are in network byte order, IPv4 in the first four bytes of the
 * array and the rest zero. All other integers are in host byte order.
 */
#ifndef BERTH_TUN_NETLINK_H
#define BERTH_TUN_NETLINK_H

#include <net/if.h>

#include "../src/base.h"

/*
 * Who installed a route or rule (rtm_protocol): what we add carries this
 * number, so that after a crash we find our own again and touch nobody else's.
 * Any number above RTPROT_STATIC is free for the taking; 146 is used by neither
 * linux/rtnetlink.h nor iproute2's rt_protos ("146 berth" there names it).
 */
#define NETLINK_PROTO_BERTH 146

struct netlink;

/*
 * Open a socket in the namespace @nsfd (netns_open; < 0: the caller's) and
 * keep it there. @nsfd is not needed any more afterwards.
 */
must_check int netlink_open(struct netlink **nl, int nsfd);
void netlink_close(struct netlink *nl); /* NULL is fine */

/* What the kernel said about the last request that failed, or "". */
const char *netlink_error(const struct netlink *nl);

/* The socket's address: what it causes bears this number (nlmon_ignore). */
uint32_t netlink_port(const struct netlink *nl);

/*
 * All lists call back once per entry. A callback that returns non-zero ends the
 * list, which then returns that value. -EAGAIN: something changed meanwhile and
 * entries may be missing or doubled; list again.
 */

/*
 * Calls @list, which makes one or more of the lists below from their beginning and forgets
 * what it was told before, until none of them was torn. What it returned last: -EAGAIN if
 * all attempts were, of which there are a few.
 */
must_check int netlink_list_whole(int (*list)(void *arg), void *arg);

/* ---- links ---- */

enum {
	NETLINK_HWADDR_MAX = 32, /* the kernel's MAX_ADDR_LEN (InfiniBand has 20) */
	NETLINK_KIND_MAX = 16
};

struct netlink_link {
	int index;
	char name[IFNAMSIZ];
	char kind[NETLINK_KIND_MAX]; /* "tun", "veth", …; "" for hardware */
	uint16_t type;               /* ARPHRD_* */
	uint8_t operstate;           /* IF_OPER_* */
	bool carrier;
	unsigned int flags; /* IFF_* */
	uint32_t mtu;
	int master; /* index of its bridge or bond, 0: none */
	uint8_t hwaddr[NETLINK_HWADDR_MAX];
	size_t hwaddr_len; /* 6 on Ethernet, 0 on a TUN */
};

typedef int netlink_link_fn(const struct netlink_link *link, void *arg);

/* The index of the link called @name: > 0, or -ENODEV. */
must_check int netlink_link_index(struct netlink *nl, const char *name);
must_check int netlink_link_name(struct netlink *nl, int index, char name[IFNAMSIZ]);
must_check int netlink_link_get(struct netlink *nl, int index, struct netlink_link *link);
must_check int netlink_link_list(struct netlink *nl, netlink_link_fn *fn, void *arg);

must_check int netlink_link_set_up(struct netlink *nl, int index);
must_check int netlink_link_set_down(struct netlink *nl, int index);
must_check int netlink_link_set_mtu(struct netlink *nl, int index, uint32_t mtu);
/*
 * The link, not up yet, gets no link-local address of IPv6 by itself, as the kernel's WireGuard:
 * it would ask for routers and report groups, from an address that no peer may have. (A gateway's
 * may: what the kernel says there goes to no tenant, and tells us when IPv6 is on again.)
 */
must_check int netlink_link_set_no_link_local(struct netlink *nl, int index);
/* Also of a link that is up, since Linux 6.2; -EBUSY before. */
must_check int netlink_link_rename(struct netlink *nl, int index, const char *name);
/*
 * Move the link to the namespace @nsfd, as @name (NULL: as it is called) in the
 * same step, so that the name need not be free here. It arrives down, without
 * addresses, and with another index if its own is taken there.
 * -EEXIST: so is @name. With some kernels (seen with 6.18) the link has then
 * moved all the same, under its old name, so look first whether @name is free.
 */
must_check int netlink_link_set_netns(struct netlink *nl, int index, int nsfd, const char *name);
must_check int netlink_link_delete(struct netlink *nl, int index);

/* ---- addresses ---- */

struct netlink_addr {
	int ifindex;
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t addr[16];
	uint8_t prefixlen;
	uint8_t scope;  /* RT_SCOPE_*; the kernel decides by itself for IPv6 */
	uint32_t flags; /* IFA_F_*: IFA_F_NODAD, IFA_F_NOPREFIXROUTE, … */
	bool deprecated; /* when adding, IPv6: no source but for who asks for it (RFC 4862 §5.5.4) */
};

typedef int netlink_addr_fn(const struct netlink_addr *addr, void *arg);

/* An address that is already there is no error; its flags are replaced. */
must_check int netlink_addr_add(struct netlink *nl, const struct netlink_addr *addr);
/* -EADDRNOTAVAIL: there is none such. */
must_check int netlink_addr_del(struct netlink *nl, const struct netlink_addr *addr);
/* @family 0: both; @ifindex 0: of all links. */
must_check int netlink_addr_list(struct netlink *nl, int family, int ifindex, netlink_addr_fn *fn,
				 void *arg);

/* ---- routes ---- */

/*
 * In requests zero means the usual: table RT_TABLE_MAIN, protocol
 * NETLINK_PROTO_BERTH (so a delete never takes somebody else's route unless
 * that protocol is given), type RTN_UNICAST, priority the kernel's choice (when
 * deleting: any).
 */
struct netlink_route {
	uint8_t family;
	uint8_t dst_len; /* 0: the default route */
	uint8_t dst[16];
	uint8_t type;     /* RTN_UNICAST, RTN_UNREACHABLE, … */
	uint8_t protocol; /* RTPROT_* */
	/*
	 * RT_SCOPE_*. 0 in an IPv4 route straight onto a link becomes
	 * RT_SCOPE_LINK, as with ip(8). Deletes do not look at it.
	 */
	uint8_t scope;
	uint8_t gateway_family; /* 0: none; AF_INET6 is possible for IPv4 too */
	uint8_t gateway[16];
	bool has_src;
	uint8_t src[16]; /* preferred source address */
	bool multipath;  /* listed only: oif and gateway are those of the first hop */
	int oif;         /* 0: none */
	uint32_t table;
	uint32_t priority; /* "metric"; less is better */
	uint32_t mtu;      /* told only: the route's own, or learned of the path; 0: the link's */
	uint32_t flags;    /* RTM_F_*, RTNH_F_*: RTNH_F_ONLINK, RTNH_F_LINKDOWN, … */
};

typedef int netlink_route_fn(const struct netlink_route *route, void *arg);

/* -EEXIST: there is one to that prefix, of that priority. */
must_check int netlink_route_add(struct netlink *nl, const struct netlink_route *route);
/* Takes the place of the route to that prefix of that priority, whoever's it was. */
must_check int netlink_route_replace(struct netlink *nl, const struct netlink_route *route);
/* -ESRCH: there is none such. */
must_check int netlink_route_del(struct netlink *nl, const struct netlink_route *route);

/* Zero in a field: any. The kernel filters where it can (Linux 4.20). */
struct netlink_route_filter {
	uint8_t family;
	uint8_t protocol;
	uint32_t table;
	int oif;
};

/* -ENODEV: there is no such oif. A table that is not there has no routes. */
must_check int netlink_route_list(struct netlink *nl, const struct netlink_route_filter *filter,
				  netlink_route_fn *fn, void *arg);

/* The packet of a FIB look-up; zero in a field: not given. */
struct netlink_lookup {
	uint8_t family;
	uint8_t dst[16];
	bool has_src;
	uint8_t src[16];
	int iif; /* > 0: a packet that came in there, to be forwarded */
	int oif;
	uint32_t mark;
	/*
	 * false: the route resolved for this packet, with the source address that
	 * would be chosen; dst_len is 32 or 128, IPv4 tells no protocol.
	 * true: the FIB entry that matches: its prefix, protocol and priority.
	 */
	bool fib_match;
};

/*
 * Where would the packet go? -ENETUNREACH: no route. -EHOSTUNREACH: an
 * unreachable route or rule matches. -EACCES, -EINVAL: a prohibit or blackhole one does.
 */
must_check int netlink_route_get(struct netlink *nl, const struct netlink_lookup *lookup,
				 struct netlink_route *route);

/* ---- neighbours ---- */

/* An entry of the neighbour table; addresses as in netlink.h. */
struct netlink_neigh {
	int ifindex;
	uint8_t family;
	uint8_t addr[16];
	uint16_t state; /* NUD_* */
	uint8_t flags;  /* NTF_* */
	uint8_t lladdr[NETLINK_HWADDR_MAX];
	size_t lladdr_len; /* 0: not known */
};

typedef int netlink_neigh_fn(const struct netlink_neigh *neigh, void *arg);

/* The neighbour tables of both families; @ifindex 0: of all links. Proxy entries are left out. */
must_check int netlink_neigh_list(struct netlink *nl, int ifindex, netlink_neigh_fn *fn, void *arg);

/* The addresses for which the kernel itself answers there as a proxy. */
must_check int netlink_proxy_list(struct netlink *nl, int ifindex, netlink_neigh_fn *fn, void *arg);

/* ---- many routes at once ---- */

enum netlink_op { NETLINK_ADD, NETLINK_REPLACE, NETLINK_DEL };

/*
 * Route number @index of the batch (from 0, in order of netlink_batch_route)
 * was refused with @error, a negative errno; @text is the kernel's or "".
 */
typedef void netlink_batch_fn(size_t index, int error, const char *text, void *arg);

/*
 * A batch sends many requests with one system call: 100,000 host routes take a
 * fraction of a second. Between begin and end no other request is possible.
 *
 *   netlink_batch_begin(nl, failed, arg);
 *   for (…)
 *           netlink_batch_route(nl, NETLINK_ADD, &route);
 *   n = netlink_batch_end(nl);
 *
 * Each route succeeds or fails for itself, with the errors of add, replace and
 * del; @failed (may be NULL) hears of the failures, not at once but no
 * later than in netlink_batch_end(). The result of netlink_batch_route() need
 * not be looked at: a broken socket makes the rest of the batch a no-op and is
 * reported by netlink_batch_end().
 */
must_check int netlink_batch_begin(struct netlink *nl, netlink_batch_fn *failed, void *arg);
int netlink_batch_route(struct netlink *nl, enum netlink_op op, const struct netlink_route *route);
/*
 * Returns how many routes were refused, or a negative errno if the outcome of
 * some is unknown.
 */
must_check int netlink_batch_end(struct netlink *nl);

/* ---- rules ---- */

/* Zero means: table RT_TABLE_MAIN, protocol NETLINK_PROTO_BERTH, no condition. */
struct netlink_rule {
	uint8_t family;
	uint8_t from_len;
	uint8_t from[16];
	uint32_t fwmark;
	uint32_t fwmask; /* 0 with a mark: all bits of it */
	uint32_t table;
	uint8_t protocol;
	bool invert; /* "not" */
	/*
	 * Ignore what the table says if the prefix is this long or shorter: 0
	 * hides the default route. Only if suppress is set.
	 */
	bool suppress;
	uint8_t suppress_prefixlength;
	uint32_t priority; /* 0: the kernel's choice, before the others */
};

typedef int netlink_rule_fn(const struct netlink_rule *rule, void *arg);

/* -EEXIST: that very rule is there. */
must_check int netlink_rule_add(struct netlink *nl, const struct netlink_rule *rule);
/* -ENOENT: there is none such. */
must_check int netlink_rule_del(struct netlink *nl, const struct netlink_rule *rule);
/* @family 0: both; @protocol 0: of everybody. Rules that do not look up a table are left out. */
must_check int netlink_rule_list(struct netlink *nl, int family, uint8_t protocol,
				 netlink_rule_fn *fn, void *arg);

#endif
