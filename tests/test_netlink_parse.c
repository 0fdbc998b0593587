/* SPDX-License-Identifier: MIT */
/*
 * netlink_parse: messages that the kernel would never send. (What it does send
 * is parsed in test_netlink*.c.) Every message lies in memory of exactly its own
 * length, so that the sanitizer sees a byte read beyond it.
 */
#include "../tun/netlink_parse.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

enum { MESSAGE_MAX = 512 };

static const uint8_t addr6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 };

static struct nlmsghdr *start(void *buf, uint16_t type, const void *header, size_t len)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(nlh, len), header, len);
	return nlh;
}

static void link_message(void *buf)
{
	struct ifinfomsg ifi = { .ifi_index = 5, .ifi_type = 1 };
	struct nlmsghdr *nlh = start(buf, RTM_NEWLINK, &ifi, sizeof(ifi));
	struct nlattr *nest;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, "wg0");
	mnl_attr_put_u32(nlh, IFLA_MTU, 1420);
	mnl_attr_put_u8(nlh, IFLA_CARRIER, 1);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, "\x02\0\0\0\0\1");
	nest = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "tun");
	mnl_attr_nest_end(nlh, nest);
}

static void addr_message(void *buf)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_index = 5 };
	struct nlmsghdr *nlh = start(buf, RTM_NEWADDR, &ifa, sizeof(ifa));

	mnl_attr_put(nlh, IFA_ADDRESS, 16, addr6);
	mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NOPREFIXROUTE);
}

static void route_message(void *buf)
{
	struct rtmsg rtm = { .rtm_family = AF_INET6, .rtm_dst_len = 128 };
	struct nlmsghdr *nlh = start(buf, RTM_NEWROUTE, &rtm, sizeof(rtm));
	struct rtnexthop hop = { .rtnh_ifindex = 5 };
	struct nlattr *nest;

	mnl_attr_put(nlh, RTA_DST, 16, addr6);
	mnl_attr_put_u32(nlh, RTA_TABLE, 51820);
	nest = mnl_attr_nest_start(nlh, RTA_MULTIPATH);
	hop.rtnh_len = sizeof(hop) + sizeof(*nest) + sizeof(addr6);
	memcpy(nest + 1, &hop, sizeof(hop));
	nlh->nlmsg_len += sizeof(hop);
	mnl_attr_put(nlh, RTA_GATEWAY, 16, addr6);
	mnl_attr_nest_end(nlh, nest);
}

static void rule_message(void *buf)
{
	struct fib_rule_hdr frh = { .family = AF_INET6, .src_len = 128, .action = FR_ACT_TO_TBL };
	struct nlmsghdr *nlh = start(buf, RTM_NEWRULE, &frh, sizeof(frh));

	mnl_attr_put(nlh, FRA_SRC, 16, addr6);
	mnl_attr_put_u32(nlh, FRA_TABLE, 51820);
	mnl_attr_put_u32(nlh, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, 146);
}

static void neigh_message(void *buf)
{
	struct ndmsg ndm = { .ndm_family = AF_INET6, .ndm_ifindex = 5, .ndm_state = NUD_STALE };
	struct nlmsghdr *nlh = start(buf, RTM_NEWNEIGH, &ndm, sizeof(ndm));

	mnl_attr_put(nlh, NDA_DST, 16, addr6);
	mnl_attr_put(nlh, NDA_LLADDR, 6, "\x02\0\0\0\0\1");
}

/* An error without the request repeated (NETLINK_CAP_ACK), with words. */
static void error_message(void *buf)
{
	struct nlmsgerr err = { .error = -EINVAL, .msg = { .nlmsg_len = 200 } };
	struct nlmsghdr *nlh = start(buf, NLMSG_ERROR, &err, sizeof(err));

	nlh->nlmsg_flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
	mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, "Because.");
}

/* The same with the request, whose length is not a multiple of four. */
static void long_error_message(void *buf)
{
	struct nlmsgerr err = { .error = -EINVAL, .msg = { .nlmsg_len = NLMSG_HDRLEN + 5 } };
	struct nlmsghdr *nlh = start(buf, NLMSG_ERROR, &err, sizeof(err));

	mnl_nlmsg_put_extra_header(nlh, 5);
	nlh->nlmsg_flags = NLM_F_ACK_TLVS;
	mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, "Because.");
}

static void done_message(void *buf)
{
	int error = -ENOENT;
	struct nlmsghdr *nlh = start(buf, NLMSG_DONE, &error, sizeof(error));

	nlh->nlmsg_flags = NLM_F_ACK_TLVS;
	mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, "Because.");
}

static int parse(const struct nlmsghdr *nlh)
{
	union {
		struct netlink_link link;
		struct netlink_addr addr;
		struct netlink_route route;
		struct netlink_rule rule;
		struct netlink_neigh neigh;
		int error;
	} u;
	const char *text;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
		return netlink_parse_link(nlh, &u.link);
	case RTM_NEWADDR:
		return netlink_parse_addr(nlh, &u.addr);
	case RTM_NEWROUTE:
		return netlink_parse_route(nlh, &u.route);
	case RTM_NEWRULE:
		return netlink_parse_rule(nlh, &u.rule);
	case RTM_NEWNEIGH:
		return netlink_parse_neigh(nlh, &u.neigh);
	default:
		return netlink_parse_verdict(nlh, &u.error, &text);
	}
}

static void (*const messages[])(void *buf) = {
	link_message, addr_message, route_message, rule_message,
	neigh_message, error_message, long_error_message, done_message,
};

/* A copy of the first @len bytes that says it is that long. */
static struct nlmsghdr *cut(const void *message, size_t len)
{
	struct nlmsghdr *nlh = malloc(len);

	ck_assert_ptr_nonnull(nlh);
	memcpy(nlh, message, len);
	nlh->nlmsg_len = (uint32_t)len;
	return nlh;
}

START_TEST(whole)
{
	_Alignas(4) char buf[MESSAGE_MAX];

	messages[_i](buf);
	ck_assert_int_eq(parse((struct nlmsghdr *)buf), 0);
}
END_TEST

/* Shorter at the end: it may still be well-formed, but reads nothing beyond. */
START_TEST(truncated)
{
	_Alignas(4) char buf[MESSAGE_MAX];
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
	size_t len, whole_len;
	int bad = 0;

	messages[_i](buf);
	whole_len = nlh->nlmsg_len;
	for (len = NLMSG_HDRLEN; len < whole_len; len++) {
		nlh = cut(buf, len);
		bad += parse(nlh) == -EBADMSG;
		free(nlh);
	}
	ck_assert_int_gt(bad, 0);
}
END_TEST

/* Every byte set to the extremes: whatever length or type that was. */
START_TEST(disturbed)
{
	static const uint8_t values[] = { 0, 1, 3, 5, 0x7f, 0x80, 0xff };
	_Alignas(4) char buf[MESSAGE_MAX];
	size_t i, v, len;
	struct nlmsghdr *nlh;
	uint16_t type;

	messages[_i](buf);
	len = ((struct nlmsghdr *)buf)->nlmsg_len;
	type = ((struct nlmsghdr *)buf)->nlmsg_type;
	for (i = offsetof(struct nlmsghdr, nlmsg_flags); i < len; i++) {
		for (v = 0; v < ARRAY_SIZE(values); v++) {
			nlh = cut(buf, len);
			((uint8_t *)nlh)[i] = values[v];
			ck_assert_uint_eq(nlh->nlmsg_type, type);
			(void)!parse(nlh);
			free(nlh);
		}
	}
}
END_TEST

START_TEST(meanings)
{
	_Alignas(4) char buf[MESSAGE_MAX];
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
	struct netlink_route route;
	struct netlink_neigh neigh;
	struct netlink_addr addr;
	struct netlink_link link;
	struct netlink_rule rule;

	link_message(buf);
	ck_assert_int_eq(netlink_parse_link(nlh, &link), 0);
	ck_assert_str_eq(link.name, "wg0");
	ck_assert_str_eq(link.kind, "tun");
	ck_assert_uint_eq(link.mtu, 1420);
	ck_assert_uint_eq(link.hwaddr_len, 6);
	ck_assert(link.carrier);

	addr_message(buf);
	ck_assert_int_eq(netlink_parse_addr(nlh, &addr), 0);
	ck_assert_mem_eq(addr.addr, addr6, 16);
	ck_assert_uint_eq(addr.flags, IFA_F_NOPREFIXROUTE);

	route_message(buf);
	ck_assert_int_eq(netlink_parse_route(nlh, &route), 0);
	ck_assert_uint_eq(route.table, 51820);
	ck_assert(route.multipath);
	ck_assert_int_eq(route.oif, 5);
	ck_assert_mem_eq(route.gateway, addr6, 16);

	rule_message(buf);
	ck_assert_int_eq(netlink_parse_rule(nlh, &rule), 0);
	ck_assert_uint_eq(rule.protocol, 146);
	ck_assert(!rule.suppress);

	neigh_message(buf);
	ck_assert_int_eq(netlink_parse_neigh(nlh, &neigh), 0);
	ck_assert_uint_eq(neigh.state, NUD_STALE);
	ck_assert_uint_eq(neigh.lladdr_len, 6);
}
END_TEST

/* On a point-to-point link our own address is the local one. */
START_TEST(point_to_point_address)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 5 };
	_Alignas(4) char buf[MESSAGE_MAX];
	struct nlmsghdr *nlh = start(buf, RTM_NEWADDR, &ifa, sizeof(ifa));
	struct netlink_addr addr;

	mnl_attr_put(nlh, IFA_LOCAL, 4, "\x0a\0\0\1");
	mnl_attr_put(nlh, IFA_ADDRESS, 4, "\x0a\0\0\2");
	ck_assert_int_eq(netlink_parse_addr(nlh, &addr), 0);
	ck_assert_mem_eq(addr.addr, "\x0a\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}
END_TEST

START_TEST(foreign_families)
{
	_Alignas(4) char buf[MESSAGE_MAX];
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
	uint8_t *family = (uint8_t *)buf + NLMSG_HDRLEN; /* in all of them */

	link_message(buf);
	*family = AF_BRIDGE;
	ck_assert_int_eq(parse(nlh), -EAFNOSUPPORT);
	addr_message(buf);
	*family = AF_PHONET;
	ck_assert_int_eq(parse(nlh), -EAFNOSUPPORT);
	route_message(buf);
	*family = RTNL_FAMILY_IPMR;
	ck_assert_int_eq(parse(nlh), -EAFNOSUPPORT);
	rule_message(buf);
	*family = RTNL_FAMILY_IP6MR;
	ck_assert_int_eq(parse(nlh), -EAFNOSUPPORT);
	neigh_message(buf);
	*family = AF_BRIDGE;
	ck_assert_int_eq(parse(nlh), -EAFNOSUPPORT);
}
END_TEST

/* The header says IPv4, the attributes are 16 bytes long. */
START_TEST(wrong_address_length)
{
	static void (*const with_address[])(void *buf) = {
		addr_message, route_message, rule_message, neigh_message,
	};
	_Alignas(4) char buf[MESSAGE_MAX];
	uint8_t *payload = (uint8_t *)buf + NLMSG_HDRLEN;

	with_address[_i](buf);
	payload[0] = AF_INET;
	if (with_address[_i] != neigh_message)
		payload[1] = payload[2] = 0; /* the prefix length is not what is wrong */
	ck_assert_int_eq(parse((struct nlmsghdr *)buf), -EBADMSG);
}
END_TEST

START_TEST(verdicts)
{
	_Alignas(4) char buf[MESSAGE_MAX];
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
	const char *text;
	int error;

	error_message(buf);
	ck_assert_int_eq(netlink_parse_verdict(nlh, &error, &text), 0);
	ck_assert_int_eq(error, -EINVAL);
	ck_assert_str_eq(text, "Because.");
	nlh->nlmsg_flags = NLM_F_ACK_TLVS; /* not capped, says it repeats 200 bytes */
	ck_assert_int_eq(netlink_parse_verdict(nlh, &error, &text), -EBADMSG);
	nlh->nlmsg_flags = 0;
	ck_assert_int_eq(netlink_parse_verdict(nlh, &error, &text), 0);
	ck_assert_str_eq(text, "");

	long_error_message(buf);
	ck_assert_int_eq(netlink_parse_verdict(nlh, &error, &text), 0);
	ck_assert_str_eq(text, "Because.");
	buf[nlh->nlmsg_len - 4] = '!'; /* in place of the NUL, padding behind it */
	ck_assert_int_eq(netlink_parse_verdict(nlh, &error, &text), -EBADMSG);

	done_message(buf);
	ck_assert_int_eq(netlink_parse_verdict(nlh, &error, &text), 0);
	ck_assert_int_eq(error, -ENOENT);
	ck_assert_str_eq(text, "Because.");
	error = 5;
	memcpy(mnl_nlmsg_get_payload(nlh), &error, sizeof(error));
	ck_assert_int_eq(netlink_parse_verdict(nlh, &error, &text), -EBADMSG);
}
END_TEST

/* Of the lengths that a message may claim, which let it pass? */
START_TEST(message_lengths)
{
	static const struct {
		uint32_t claimed;
		size_t there, left;
		bool ok;
	} cases[] = {
		{ 16, 16, 0, true },         { 16, 40, 24, true },
		{ 17, 17, 0, true },         { 17, 19, 0, true },
		{ 17, 20, 0, true },         { 17, 24, 4, true },
		{ 16, 15, 15, false },       { 0, 40, 40, false },
		{ 15, 40, 40, false },       { 41, 40, 40, false },
		{ UINT32_MAX, 40, 40, false }, { 0x8c8c002a, 40, 40, false },
		{ 16, 0, 0, false },
	};
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		_Alignas(4) char buf[64] = { 0 };
		const void *pos = buf;

		memcpy(buf, &cases[i].claimed, sizeof(cases[i].claimed));
		len = cases[i].there;
		ck_assert_msg(!!netlink_parse_next(&pos, &len) == cases[i].ok, "%zu", i);
		ck_assert_uint_eq(len, cases[i].left);
		ck_assert_ptr_eq(pos, buf + cases[i].there - cases[i].left);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("netlink_parse");
	TCase *pure = tcase_create("pure");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(pure, whole, 0, ARRAY_SIZE(messages));
	tcase_add_loop_test(pure, truncated, 0, ARRAY_SIZE(messages));
	tcase_add_loop_test(pure, disturbed, 0, ARRAY_SIZE(messages));
	tcase_add_test(pure, meanings);
	tcase_add_test(pure, point_to_point_address);
	tcase_add_test(pure, foreign_families);
	tcase_add_loop_test(pure, wrong_address_length, 0, 4);
	tcase_add_test(pure, verdicts);
	tcase_add_test(pure, message_lengths);
	suite_add_tcase(suite, pure);

	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
