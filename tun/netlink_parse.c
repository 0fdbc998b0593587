/* SPDX-License-Identifier: MIT */
/* Messages of NETLINK_ROUTE into the structs of netlink.h. */
#include "netlink_parse.h"

#include <errno.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/* The greatest attribute type that is looked at. */
#define ATTR_MAX 47

_Static_assert(IFLA_CARRIER <= ATTR_MAX && IFLA_LINKINFO <= ATTR_MAX, "room for link attributes");
_Static_assert(IFA_FLAGS <= ATTR_MAX && RTA_TABLE <= ATTR_MAX, "room for address and route");
_Static_assert(FRA_PROTOCOL <= ATTR_MAX && NDA_LLADDR <= ATTR_MAX, "room for rule and neighbour");

/* Attributes by type; NULL: not there. */
struct attrs {
	const struct nlattr *at[ATTR_MAX + 1];
};

size_t netlink_addr_len(int family)
{
	switch (family) {
	case AF_INET:
		return 4;
	case AF_INET6:
		return 16;
	default:
		return 0;
	}
}

const struct nlmsghdr *netlink_parse_next(const void **buf, size_t *len)
{
	const struct nlmsghdr *nlh = *buf;
	size_t step;

	if (*len < sizeof(*nlh) || nlh->nlmsg_len < sizeof(*nlh) || nlh->nlmsg_len > *len)
		return NULL;
	step = min(ALIGN_UP((size_t)nlh->nlmsg_len, (size_t)NLMSG_ALIGNTO), *len);
	*buf = (const char *)*buf + step;
	*len -= step;
	return nlh;
}

/*
 * Not mnl_attr_for_each(), which rounds the end of the message up and so may
 * look three bytes past it.
 */
static int attrs_parse(const void *start, size_t len, struct attrs *attrs)
{
	const struct nlattr *attr = start;
	size_t step;

	memset(attrs, 0, sizeof(*attrs));
	while (len >= sizeof(*attr)) {
		if (attr->nla_len < sizeof(*attr) || attr->nla_len > len)
			return -EBADMSG;
		if (mnl_attr_get_type(attr) <= ATTR_MAX)
			attrs->at[mnl_attr_get_type(attr)] = attr;
		step = min((size_t)MNL_ALIGN(attr->nla_len), len);
		attr = (const struct nlattr *)((const char *)attr + step);
		len -= step;
	}
	return 0;
}

/* The fixed header of @header_len bytes, and the attributes behind it. */
static const void *message_parse(const struct nlmsghdr *nlh, size_t header_len, struct attrs *attrs)
{
	size_t len = mnl_nlmsg_get_payload_len(nlh);

	if (len < header_len)
		return NULL;
	/* A short tail is less than the padding of the header: no attributes. */
	len -= min((size_t)MNL_ALIGN(header_len), len);
	if (attrs_parse(mnl_nlmsg_get_payload_offset(nlh, header_len), len, attrs))
		return NULL;
	return mnl_nlmsg_get_payload(nlh);
}

/* The getters leave *@out alone if there is no such attribute. */
static int get_u8(const struct nlattr *attr, uint8_t *out)
{
	if (!attr)
		return 0;
	if (mnl_attr_validate(attr, MNL_TYPE_U8) < 0)
		return -EBADMSG;
	*out = mnl_attr_get_u8(attr);
	return 0;
}

static int get_u32(const struct nlattr *attr, uint32_t *out)
{
	if (!attr)
		return 0;
	if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return -EBADMSG;
	*out = mnl_attr_get_u32(attr);
	return 0;
}

/* Interface indexes: the kernel's are positive ints. */
static int get_index(const struct nlattr *attr, int *out)
{
	uint32_t v = (uint32_t)*out;

	if (get_u32(attr, &v) || v > INT32_MAX)
		return -EBADMSG;
	*out = (int)v;
	return 0;
}

static int get_addr(const struct nlattr *attr, int family, uint8_t out[16])
{
	if (!attr)
		return 0;
	if (!netlink_addr_len(family) || mnl_attr_get_payload_len(attr) != netlink_addr_len(family))
		return -EBADMSG;
	memset(out, 0, 16);
	memcpy(out, mnl_attr_get_payload(attr), netlink_addr_len(family));
	return 0;
}

static int get_string(const struct nlattr *attr, char *out, size_t size)
{
	if (!attr)
		return 0;
	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0 ||
	    mnl_attr_get_payload_len(attr) > size)
		return -EBADMSG;
	memset(out, 0, size);
	memcpy(out, mnl_attr_get_str(attr), strlen(mnl_attr_get_str(attr)));
	return 0;
}

static int get_hwaddr(const struct nlattr *attr, uint8_t out[NETLINK_HWADDR_MAX], size_t *len)
{
	if (!attr)
		return 0;
	if (mnl_attr_get_payload_len(attr) > NETLINK_HWADDR_MAX)
		return -EBADMSG;
	*len = mnl_attr_get_payload_len(attr);
	memcpy(out, mnl_attr_get_payload(attr), *len);
	return 0;
}

static int get_kind(const struct nlattr *linkinfo, struct netlink_link *link)
{
	const struct nlattr *kind;
	struct attrs nested;

	if (!linkinfo)
		return 0;
	if (attrs_parse(mnl_attr_get_payload(linkinfo), mnl_attr_get_payload_len(linkinfo),
			&nested))
		return -EBADMSG;
	kind = nested.at[IFLA_INFO_KIND];
	/* Some kernel modules have long names; a kind we never ask for may be cut. */
	if (kind && mnl_attr_get_payload_len(kind) > sizeof(link->kind))
		return 0;
	return get_string(kind, link->kind, sizeof(link->kind));
}

int netlink_parse_link(const struct nlmsghdr *nlh, struct netlink_link *link)
{
	const struct ifinfomsg *ifi;
	uint8_t carrier = 0;
	struct attrs attrs;

	ifi = message_parse(nlh, sizeof(*ifi), &attrs);
	if (!ifi)
		return -EBADMSG;
	/*
	 * A port that leaves its bridge is announced as RTM_DELLINK of AF_BRIDGE.
	 * The link itself is still there.
	 */
	if (ifi->ifi_family != AF_UNSPEC)
		return -EAFNOSUPPORT;
	if (ifi->ifi_index <= 0)
		return -EBADMSG;

	*link = (struct netlink_link){
		.index = ifi->ifi_index,
		.type = ifi->ifi_type,
		.flags = ifi->ifi_flags,
	};
	if (!attrs.at[IFLA_IFNAME] ||
	    get_string(attrs.at[IFLA_IFNAME], link->name, sizeof(link->name)) ||
	    get_u32(attrs.at[IFLA_MTU], &link->mtu) ||
	    get_index(attrs.at[IFLA_MASTER], &link->master) ||
	    get_u8(attrs.at[IFLA_OPERSTATE], &link->operstate) ||
	    get_u8(attrs.at[IFLA_CARRIER], &carrier) ||
	    get_hwaddr(attrs.at[IFLA_ADDRESS], link->hwaddr, &link->hwaddr_len) ||
	    get_kind(attrs.at[IFLA_LINKINFO], link))
		return -EBADMSG;
	link->carrier = carrier;
	return 0;
}

int netlink_parse_addr(const struct nlmsghdr *nlh, struct netlink_addr *addr)
{
	const struct ifaddrmsg *ifa;
	struct attrs attrs;

	ifa = message_parse(nlh, sizeof(*ifa), &attrs);
	if (!ifa)
		return -EBADMSG;
	if (!netlink_addr_len(ifa->ifa_family))
		return -EAFNOSUPPORT;
	if (ifa->ifa_prefixlen > 8 * netlink_addr_len(ifa->ifa_family) ||
	    !ifa->ifa_index || ifa->ifa_index > INT32_MAX)
		return -EBADMSG;

	*addr = (struct netlink_addr){
		.ifindex = (int)ifa->ifa_index,
		.family = ifa->ifa_family,
		.prefixlen = ifa->ifa_prefixlen,
		.scope = ifa->ifa_scope,
		.flags = ifa->ifa_flags,
	};
	/*
	 * On a point-to-point link IFA_ADDRESS is the other end's and IFA_LOCAL
	 * ours; otherwise IPv6 has no IFA_LOCAL, and IPv4 has both and equal.
	 */
	if (!(attrs.at[IFA_LOCAL] || attrs.at[IFA_ADDRESS]) ||
	    get_addr(attrs.at[IFA_ADDRESS], addr->family, addr->addr) ||
	    get_addr(attrs.at[IFA_LOCAL], addr->family, addr->addr) ||
	    get_u32(attrs.at[IFA_FLAGS], &addr->flags)) /* ifa_flags holds eight bits only */
		return -EBADMSG;
	return 0;
}

/* RTA_VIA: a gateway of the other family, family and address in one. */
static int get_via(const struct nlattr *attr, struct netlink_route *route)
{
	const struct rtvia *via;
	size_t len;

	if (!attr)
		return 0;
	if (mnl_attr_get_payload_len(attr) < sizeof(*via))
		return -EBADMSG;
	via = mnl_attr_get_payload(attr);
	len = mnl_attr_get_payload_len(attr) - sizeof(*via);
	if (!netlink_addr_len(via->rtvia_family) || len != netlink_addr_len(via->rtvia_family))
		return -EBADMSG;
	route->gateway_family = (uint8_t)via->rtvia_family;
	memset(route->gateway, 0, sizeof(route->gateway));
	memcpy(route->gateway, via->rtvia_addr, len);
	return 0;
}

static int get_gateway(const struct attrs *attrs, struct netlink_route *route)
{
	if (attrs->at[RTA_GATEWAY])
		route->gateway_family = route->family;
	if (get_addr(attrs->at[RTA_GATEWAY], route->family, route->gateway))
		return -EBADMSG;
	return get_via(attrs->at[RTA_VIA], route);
}

static int get_metrics(const struct nlattr *attr, struct netlink_route *route)
{
	struct attrs nested;

	if (!attr)
		return 0;
	if (attrs_parse(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), &nested))
		return -EBADMSG;
	return get_u32(nested.at[RTAX_MTU], &route->mtu);
}

/* Of several next hops the first: enough to tell which way it goes. */
static int get_multipath(const struct nlattr *attr, struct netlink_route *route)
{
	const struct rtnexthop *hop;
	struct attrs nested;

	if (!attr)
		return 0;
	if (mnl_attr_get_payload_len(attr) < sizeof(*hop))
		return -EBADMSG;
	hop = mnl_attr_get_payload(attr);
	if (hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > mnl_attr_get_payload_len(attr) ||
	    hop->rtnh_ifindex < 0)
		return -EBADMSG;
	if (attrs_parse(hop + 1, hop->rtnh_len - sizeof(*hop), &nested))
		return -EBADMSG;
	route->multipath = true;
	route->oif = hop->rtnh_ifindex;
	return get_gateway(&nested, route);
}

int netlink_parse_route(const struct nlmsghdr *nlh, struct netlink_route *route)
{
	const struct rtmsg *rtm;
	struct attrs attrs;

	rtm = message_parse(nlh, sizeof(*rtm), &attrs);
	if (!rtm)
		return -EBADMSG;
	if (!netlink_addr_len(rtm->rtm_family))
		return -EAFNOSUPPORT;
	if (rtm->rtm_dst_len > 8 * netlink_addr_len(rtm->rtm_family))
		return -EBADMSG;

	*route = (struct netlink_route){
		.family = rtm->rtm_family,
		.dst_len = rtm->rtm_dst_len,
		.type = rtm->rtm_type,
		.protocol = rtm->rtm_protocol,
		.scope = rtm->rtm_scope,
		.has_src = attrs.at[RTA_PREFSRC],
		.table = rtm->rtm_table,
		.flags = rtm->rtm_flags,
	};
	if (get_addr(attrs.at[RTA_DST], route->family, route->dst) ||
	    get_addr(attrs.at[RTA_PREFSRC], route->family, route->src) ||
	    get_index(attrs.at[RTA_OIF], &route->oif) ||
	    get_u32(attrs.at[RTA_TABLE], &route->table) || /* rtm_table ends at 255 */
	    get_u32(attrs.at[RTA_PRIORITY], &route->priority) ||
	    get_metrics(attrs.at[RTA_METRICS], route) ||
	    get_gateway(&attrs, route) ||
	    get_multipath(attrs.at[RTA_MULTIPATH], route))
		return -EBADMSG;
	return 0;
}

int netlink_parse_rule(const struct nlmsghdr *nlh, struct netlink_rule *rule)
{
	const struct fib_rule_hdr *frh;
	uint32_t suppress = UINT32_MAX; /* the kernel's way to say "none" */
	struct attrs attrs;

	frh = message_parse(nlh, sizeof(*frh), &attrs);
	if (!frh)
		return -EBADMSG;
	if (!netlink_addr_len(frh->family) || frh->action != FR_ACT_TO_TBL)
		return -EAFNOSUPPORT;
	if (frh->src_len > 8 * netlink_addr_len(frh->family))
		return -EBADMSG;

	*rule = (struct netlink_rule){
		.family = frh->family,
		.from_len = frh->src_len,
		.table = frh->table,
		.invert = frh->flags & FIB_RULE_INVERT,
	};
	if (get_addr(attrs.at[FRA_SRC], rule->family, rule->from) ||
	    get_u32(attrs.at[FRA_FWMARK], &rule->fwmark) ||
	    get_u32(attrs.at[FRA_FWMASK], &rule->fwmask) ||
	    get_u32(attrs.at[FRA_TABLE], &rule->table) ||
	    get_u8(attrs.at[FRA_PROTOCOL], &rule->protocol) ||
	    get_u32(attrs.at[FRA_SUPPRESS_PREFIXLEN], &suppress) ||
	    get_u32(attrs.at[FRA_PRIORITY], &rule->priority))
		return -EBADMSG;
	rule->suppress = suppress <= 128;
	rule->suppress_prefixlength = rule->suppress ? (uint8_t)suppress : 0;
	return 0;
}

int netlink_parse_neigh(const struct nlmsghdr *nlh, struct netlink_neigh *neigh)
{
	const struct ndmsg *ndm;
	struct attrs attrs;

	ndm = message_parse(nlh, sizeof(*ndm), &attrs);
	if (!ndm)
		return -EBADMSG;
	if (!netlink_addr_len(ndm->ndm_family)) /* AF_BRIDGE: forwarding tables */
		return -EAFNOSUPPORT;
	if (ndm->ndm_ifindex < 0 || !attrs.at[NDA_DST])
		return -EBADMSG;

	*neigh = (struct netlink_neigh){
		.ifindex = ndm->ndm_ifindex,
		.family = ndm->ndm_family,
		.state = ndm->ndm_state,
		.flags = ndm->ndm_flags,
	};
	if (get_addr(attrs.at[NDA_DST], neigh->family, neigh->addr) ||
	    get_hwaddr(attrs.at[NDA_LLADDR], neigh->lladdr, &neigh->lladdr_len))
		return -EBADMSG;
	return 0;
}

/*
 * Behind the code, NLMSG_ERROR repeats the request, or only its header if
 * NLM_F_CAPPED; then come the attributes. In NLMSG_DONE they come at once.
 */
int netlink_parse_verdict(const struct nlmsghdr *nlh, int *error, const char **text)
{
	size_t len = mnl_nlmsg_get_payload_len(nlh);
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(err->error);
	const struct nlattr *msg;
	struct attrs attrs;

	*text = "";
	if (len < skip)
		return -EBADMSG;
	memcpy(error, &err->error, sizeof(*error));
	if (*error > 0)
		return -EBADMSG;
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return 0;

	if (nlh->nlmsg_type == NLMSG_ERROR) {
		skip = sizeof(*err);
		if (len < skip)
			return -EBADMSG;
		if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
			if (err->msg.nlmsg_len < NLMSG_HDRLEN || err->msg.nlmsg_len > len)
				return -EBADMSG;
			skip += MNL_ALIGN(err->msg.nlmsg_len) - NLMSG_HDRLEN;
		}
	}
	if (skip > len || attrs_parse((const char *)err + skip, len - skip, &attrs))
		return -EBADMSG;
	msg = attrs.at[NLMSGERR_ATTR_MSG];
	if (msg) {
		if (mnl_attr_validate(msg, MNL_TYPE_NUL_STRING) < 0)
			return -EBADMSG;
		*text = mnl_attr_get_str(msg);
	}
	return 0;
}
