/* SPDX-License-Identifier: MIT */
/*
 * Messages of NETLINK_ROUTE into the structs of netlink.h, as pure functions:
 * they read nothing but the message and keep no pointer into it, save where
 * said. No length in it is trusted, although the kernel wrote it.
 *
 * @nlh must come from netlink_parse_next(), that is, nlmsg_len bytes are there.
 * Attributes that are not known are skipped: newer kernels have more.
 *
 * Return 0, -EBADMSG if the message is malformed, or -EAFNOSUPPORT if it is of
 * a family that is none of our business (bridge ports, multicast routing).
 * The output is defined upon 0 only. Any thread.
 */
#ifndef BERTH_TUN_NETLINK_PARSE_H
#define BERTH_TUN_NETLINK_PARSE_H

#include "netlink.h"
#include "nlmon.h"

struct nlmsghdr;

/*
 * The first message of the *@len bytes at *@buf, which is aligned to four bytes;
 * both are moved behind it. NULL: there is none left, or nothing that could be
 * one. (mnl_nlmsg_ok() of libmnl 1.0.4 takes a length of 2 GiB and more for a
 * negative number and lets it pass.)
 */
const struct nlmsghdr *netlink_parse_next(const void **buf, size_t *len);

must_check int netlink_parse_link(const struct nlmsghdr *nlh, struct netlink_link *link);
must_check int netlink_parse_addr(const struct nlmsghdr *nlh, struct netlink_addr *addr);
must_check int netlink_parse_route(const struct nlmsghdr *nlh, struct netlink_route *route);
must_check int netlink_parse_rule(const struct nlmsghdr *nlh, struct netlink_rule *rule);
must_check int netlink_parse_neigh(const struct nlmsghdr *nlh, struct netlink_neigh *neigh);

/*
 * NLMSG_ERROR (which is also the acknowledgement) and NLMSG_DONE: *@error is
 * 0 or a negative errno, *@text the kernel's explanation, which lies within the
 * message, or "".
 */
must_check int netlink_parse_verdict(const struct nlmsghdr *nlh, int *error, const char **text);

/* Bytes of an address of @family: 4, 16, or 0 for a family we do not know. */
size_t netlink_addr_len(int family);

#endif
