/* SPDX-License-Identifier: MIT */
/*
 * Routes that stay and win: src/manage/fib.c on a real FIB, which others change with
 * ip(8). Wanted are what the test says; "tun" is our interface, "wan" and "wan2" are
 * uplinks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "../src/base/log.h"
#include "../src/manage/fib.h"
#include "../tun/nlmon.h"
#include "loop_wait.h"
#include "netlink_fixture.h"

enum { WANTED_MAX = 10000, LINES_MAX = 400 };

static uv_loop_t loop;
static struct nlmon *mon;
static struct fib *fib;
static struct config_router router = { .uplinks = { "wan", "wan2" }, .n_uplinks = 2 };
static struct prefix wanted[WANTED_MAX];
static size_t n_wanted;
static char lines[LINES_MAX][256];
static size_t n_lines;

/* The world of fib */

static bool is_wanted(void *arg, const struct prefix *p)
{
	(void)arg;
	for (size_t i = 0; i < n_wanted; i++)
		if (prefix_equal(&wanted[i], p))
			return true;
	return false;
}

static void each_wanted(void *arg, void (*fn)(const struct prefix *p, void *fn_arg),
			void *fn_arg)
{
	(void)arg;
	for (size_t i = 0; i < n_wanted; i++)
		fn(&wanted[i], fn_arg);
}

static void on_line(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	if (n_lines < LINES_MAX)
		snprintf(lines[n_lines], sizeof(lines[0]), "%s", text);
	n_lines++;
}

static void on_route(const struct netlink_route *route, bool gone, void *arg)
{
	(void)arg;
	fib_route_changed(fib, route, gone);
}

static void on_addr(const struct netlink_addr *addr, bool gone, void *arg)
{
	(void)arg;
	fib_addr_changed(fib, addr, gone);
}

static void on_link(const struct netlink_link *link, bool gone, void *arg)
{
	(void)arg;
	fib_link_changed(fib, link, gone);
}

static void on_rule(void *arg)
{
	(void)arg;
	fib_rule_changed(fib);
}

static void on_overrun(void *arg)
{
	(void)arg;
	fib_refresh(fib);
}

static void hear(void)
{
	static const struct nlmon_callbacks callbacks = { .link = on_link,
							  .addr = on_addr,
							  .route = on_route,
							  .rule = on_rule,
							  .overrun = on_overrun };

	ck_assert_int_ge(nlmon_read(mon, &callbacks, NULL), 0);
}

static void fib_setup(void)
{
	static const struct fib_ops ops = { .is_wanted = is_wanted, .each_wanted = each_wanted };
	static const struct log_hook hook = { .line = on_line };

	setup();
	sh("ip link add wan2 type veth peer name wan2-peer");
	sh("ip link set wan2 up && ip link set wan2-peer up");
	sh("ip route add default via 192.0.2.254 dev wan");
	sh("ip addr add 198.51.100.1/24 dev wan2 && ip addr add 2001:db8:2::1/64 nodad dev wan2");
	sh("ip route add default via 198.51.100.254 dev wan2 metric 9");
	sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 "
	   "net.ipv4.conf.wan2.rp_filter=0");
	log_set_hook(&hook);
	uv_loop_init(&loop);
	ck_assert_int_eq(nlmon_open(&mon, -1,
				    NLMON_LINK | NLMON_ADDR | NLMON_ROUTE | NLMON_RULE), 0);
	ck_assert_int_eq(nlmon_ignore(mon, netlink_port(nl)), 0);
	ck_assert_int_eq(fib_open(&fib, &loop, nl, tun, "tun", &router, &ops, NULL), 0);
}

static void fib_teardown(void)
{
	fib_close(fib);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	nlmon_close(mon);
	log_set_hook(NULL);
	teardown();
}

/* What is seen of it */

static const char *state(void)
{
	static char text[4096];
	size_t len = 0;

	for (size_t i = 0; i < min(n_lines, (size_t)LINES_MAX) && len < sizeof(text) - 300; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "said: %s\n", lines[i]);
	return text;
}

static size_t said(const char *what)
{
	size_t n = 0;

	for (size_t i = 0; i < min(n_lines, (size_t)LINES_MAX); i++)
		n += strstr(lines[i], what) != NULL;
	return n;
}

static struct prefix parse(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	return p;
}

static int count_one(const struct netlink_route *route, void *arg)
{
	(void)route;
	++*(size_t *)arg;
	return 0;
}

static size_t count(void)
{
	struct netlink_route_filter filter = { .protocol = NETLINK_PROTO_BERTH,
					       .table = RT_TABLE_MAIN,
					       .oif = tun };
	size_t n = 0;
	int err;

	do {
		n = 0;
		err = netlink_route_list(nl, &filter, count_one, &n);
	} while (err == -EAGAIN);
	ck_assert_int_eq(err, 0);
	return n;
}

static bool leads_to_us(const char *text)
{
	struct netlink_lookup lookup = { .fib_match = true };
	struct netlink_route route;
	struct prefix p = parse(text);

	lookup.family = p.family;
	memcpy(lookup.dst, p.addr, sizeof(lookup.dst));
	return !netlink_route_get(nl, &lookup, &route) && route.oif == tun &&
	       route.type == RTN_UNICAST;
}

/* Turns the loop until it is so. */
#define until(condition) loop_wait(&loop, (hear(), (condition)), state)

/* Until all timers that are not for later have run: nothing is expected to happen. */
static void settle(unsigned ms)
{
	uint64_t end = uv_hrtime() / 1000000 + ms;

	until(uv_hrtime() / 1000000 > end);
}

static void want(const char *text)
{
	wanted[n_wanted] = parse(text);
	fib_add(fib, &wanted[n_wanted++]);
	fib_flush(fib);
}

static void unwant(const char *text)
{
	struct prefix p = parse(text);

	for (size_t i = 0; i < n_wanted; i++)
		if (prefix_equal(&wanted[i], &p))
			wanted[i] = wanted[--n_wanted];
	fib_remove(fib, &p);
	fib_flush(fib);
}

/* Tests: routes that are gone */

START_TEST(come_and_go)
{
	want("2001:db8:9::1/128");
	want("203.0.113.1/32");
	want("2001:db8:a::/64");
	ck_assert_uint_eq(count(), 3);
	settle(200);
	ck_assert_uint_eq(n_lines, 0);
	unwant("203.0.113.1/32");
	unwant("2001:db8:9::1/128");
	unwant("2001:db8:a::/64");
	ck_assert_uint_eq(count(), 0);
	settle(200);
	ck_assert_uint_eq(n_lines, 0);
}
END_TEST

START_TEST(put_back)
{
	want("2001:db8:9::1/128");
	want("203.0.113.1/32");
	want("2001:db8:a::/64");
	settle(100);
	sh("ip route del 203.0.113.1");
	until(said("1 route to tenants had gone (203.0.113.1/32) and is put back") == 1);
	ck_assert(leads_to_us("203.0.113.1"));
	sh("ip -6 route flush dev tun proto 146");
	until(said("2 routes to tenants had gone (2001:db8:") == 1);
	ck_assert_uint_eq(said("ManageForeignRoutes"), 1);
	ck_assert_uint_eq(count(), 3);
	settle(200);
	ck_assert_uint_eq(n_lines, 2);
}
END_TEST

START_TEST(put_back_less_and_less_often)
{
	uint64_t began, first, third;

	want("203.0.113.1/32");
	settle(100);
	began = uv_hrtime();
	sh("ip route del 203.0.113.1");
	until(count() == 1);
	first = uv_hrtime() - began;
	for (int i = 0; i < 4; i++) {
		began = uv_hrtime();
		sh("ip route del 203.0.113.1");
		until(count() == 1);
	}
	third = uv_hrtime() - began;
	ck_assert_msg(third >= 400000000, "%s", state()); /* 50 ms, doubled three times */
	ck_assert_uint_ge(first / 1000000, 45);
}
END_TEST

/* The kernel tells nobody of these. */
START_TEST(last_ipv4_address)
{
	sh("ip addr add 10.0.0.1/24 dev tun");
	hear();
	want("203.0.113.1/32");
	settle(100);
	sh("ip addr del 10.0.0.1/24 dev tun");
	ck_assert(!leads_to_us("203.0.113.1"));
	until(leads_to_us("203.0.113.1"));
	until(said("1 route to tenants had gone (203.0.113.1/32)") == 1);
}
END_TEST

START_TEST(more_than_are_counted)
{
	char text[64];
	enum { MANY = 6000 };

	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "2001:db8:9::%x/128", i + 1);
		wanted[n_wanted] = parse(text);
		fib_add(fib, &wanted[n_wanted++]);
	}
	fib_flush(fib);
	ck_assert_uint_eq(count(), MANY);
	settle(100);
	sh("ip -6 route flush dev tun proto 146");
	ck_assert_uint_eq(count(), 0);
	until(count() == MANY);
	settle(200);
	ck_assert_uint_eq(said("do not come"), 0);
	ck_assert_uint_ge(said("routes to tenants had gone"), 1);
}
END_TEST

START_TEST(revoked_meanwhile)
{
	want("2001:db8:9::1/128");
	settle(100);
	sh("ip -6 route del 2001:db8:9::1");
	hear();
	uv_run(&loop, UV_RUN_NOWAIT);
	unwant("2001:db8:9::1/128");
	settle(500);
	ck_assert_uint_eq(count(), 0);
	ck_assert_uint_eq(n_lines, 0);
}
END_TEST

/* The socket by which the kernel is asked, among all that are open here. */
static int fd_of_netlink(void)
{
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_nl addr;
		socklen_t len = sizeof(addr);

		if (!getsockname(fd, (struct sockaddr *)&addr, &len) &&
		    addr.nl_family == AF_NETLINK && addr.nl_pid == netlink_port(nl))
			return fd;
	}
	ck_abort_msg("netlink has no socket");
}

/* While it is so, the kernel cannot be asked. Returns what give_back_kernel() wants. */
static int take_away_kernel(void)
{
	int fd = fd_of_netlink(), kept = dup(fd), none = open("/dev/null", O_RDWR);

	ck_assert_int_ge(kept, 0);
	ck_assert_int_eq(dup2(none, fd), fd);
	close(none);
	return kept << 8 | fd;
}

static void give_back_kernel(int taken)
{
	ck_assert_int_eq(dup2(taken >> 8, taken & 0xff), taken & 0xff);
	close(taken >> 8);
}

START_TEST(removed_later)
{
	int taken;

	want("2001:db8:9::1/128");
	want("203.0.113.1/32");
	want("203.0.113.2/32");
	settle(100);
	taken = take_away_kernel();
	unwant("2001:db8:9::1/128");
	unwant("203.0.113.1/32");
	/* One that is wanted again must not go for having gone once. */
	unwant("203.0.113.2/32");
	want("203.0.113.2/32");
	ck_assert_uint_ge(said("cannot tell the kernel of"), 1);
	/* And once more in vain. */
	until(said("cannot look for routes that are to be removed"));
	give_back_kernel(taken);
	ck_assert_uint_eq(count(), 3);
	until(count() == 1);
	ck_assert(leads_to_us("203.0.113.2"));
	settle(300);
	ck_assert_uint_eq(count(), 1);
	ck_assert_uint_eq(said("2 routes that could not be removed before are removed"), 1);
}
END_TEST

START_TEST(down_and_up)
{
	want("2001:db8:9::1/128");
	want("203.0.113.1/32");
	settle(100);
	sh("ip link set tun down");
	settle(200);
	ck_assert_uint_eq(count(), 0);
	want("203.0.113.2/32"); /* the kernel refuses it now */
	sh("ip link set tun up");
	until(count() == 3);
	settle(200);
	ck_assert_uint_eq(said("had gone"), 0);
}
END_TEST

START_TEST(ipv6_off_and_on)
{
	want("2001:db8:9::1/128");
	want("203.0.113.1/32");
	settle(100);
	sh("sysctl -qw net.ipv6.conf.tun.disable_ipv6=1");
	until(said("packets to 2001:db8:9::1/128 do not come to us: IPv6 is switched off here: "
		   "'sysctl net.ipv6.conf.tun.disable_ipv6=0'") == 1);
	/* Others are not kept waiting. */
	sh("ip route del 203.0.113.1");
	until(leads_to_us("203.0.113.1"));
	settle(3000);
	ck_assert_uint_eq(said("switched off"), 1);
	sh("sysctl -qw net.ipv6.conf.tun.disable_ipv6=0");
	until(leads_to_us("2001:db8:9::1"));
	until(said("packets to 2001:db8:9::1/128 come to us again") == 1);
}
END_TEST

/* Tests: something else wins */

#define REJECTED6(type)                                                                    \
	"a route or rule of type " type " wins: see 'ip -6 route show table all type " type \
	"; ip -6 rule show'"

/* Said, mended when it goes, and said anew when it comes again. */
static const struct winner {
	const char *address, *add, *del, *text;
} winners[] = {
	{ "2001:db8:9::1/128", "ip -6 route add 2001:db8:9::1 dev wan metric 5",
	  "ip -6 route del 2001:db8:9::1 metric 5",
	  "the route to 2001:db8:9::1/128 via wan (protocol 3, metric 5), which is not ours, "
	  "wins: 'ip -6 route del 2001:db8:9::1/128 metric 5'" },
	{ "2001:db8:9::1/128", "ip -6 route add blackhole 2001:db8:9::1 metric 5",
	  "ip -6 route del blackhole 2001:db8:9::1 metric 5", REJECTED6("blackhole") },
	{ "2001:db8:9::1/128", "ip -6 route add prohibit 2001:db8:9::1 metric 5",
	  "ip -6 route del prohibit 2001:db8:9::1 metric 5", REJECTED6("prohibit") },
	{ "2001:db8:9::1/128", "ip -6 route add unreachable 2001:db8:9::1 metric 5",
	  "ip -6 route del unreachable 2001:db8:9::1 metric 5", REJECTED6("unreachable") },
	{ "203.0.113.1/32", "ip route del 203.0.113.1 && ip route add blackhole 203.0.113.1",
	  "ip route del blackhole 203.0.113.1",
	  "a route or rule of type blackhole wins: see 'ip route show table all type blackhole; ip rule show'" },
	{ "203.0.113.1/32", "ip route del 203.0.113.1 && ip route add unreachable 203.0.113.1",
	  "ip route del unreachable 203.0.113.1", "a route or rule of type unreachable wins" },
	{ "2001:db8:9::1/128", "ip addr add 2001:db8:9::1/128 dev wan nodad",
	  "ip addr del 2001:db8:9::1/128 dev wan",
	  "this machine has that address itself, on wan: the tenant needs another one" },
	{ "2001:db8:9::1/128", "ip addr add 2001:db8:9::1/64 dev wan nodad",
	  "ip addr del 2001:db8:9::1/64 dev wan",
	  "this machine has that address itself, on wan: the tenant needs another one" },
	{ "203.0.113.1/32", "ip addr add 203.0.113.1/32 dev lo",
	  "ip addr del 203.0.113.1/32 dev lo",
	  "this machine has that address itself, on lo: the tenant needs another one" },
	/* Without any rule of somebody's, Linux keeps IPv4's local routes and main ones together. */
	{ "203.0.113.1/32",
	  "ip rule add pref 40000 table 77; ip route add local 203.0.113.0/24 dev lo",
	  "ip route del local 203.0.113.0/24 dev lo; ip rule del pref 40000",
	  "by its local route to 203.0.113.0/24: 'ip route del local 203.0.113.0/24 dev lo table "
	  "local'" },
	{ "2001:db8:9::1/128", "ip -6 route add local 2001:db8:9::/64 dev lo",
	  "ip -6 route del local 2001:db8:9::/64 dev lo",
	  "by its local route to 2001:db8:9::/64" },
	{ "2001:db8:9::1/128",
	  "ip -6 route add default dev wan table 77; ip -6 rule add to 2001:db8:9::/64 table 77",
	  "ip -6 rule del to 2001:db8:9::/64 table 77; ip -6 route flush table 77",
	  "a rule sends them to table 77, where the route to ::/0 via wan wins" },
	{ "2001:db8:9::1/128",
	  "ip -6 rule add iif wan2 table 77; ip -6 route add default dev wan table 77",
	  "ip -6 route flush table 77; ip -6 rule del iif wan2 table 77", "to table 77" },
	{ "203.0.113.1/32",
	  "ip rule add iif wan2 table 77; ip route add default dev wan table 77",
	  "ip route flush table 77; ip rule del iif wan2 table 77", "to table 77" },
	{ "203.0.113.1/32",
	  "ip rule add iif wan table 77; ip route add default dev wan table 77",
	  "ip rule del iif wan table 77; ip route flush table 77", "to table 77" },
	{ "2001:db8:9::1/128", "ip -6 rule add prohibit to 2001:db8:9::/64",
	  "ip -6 rule del prohibit to 2001:db8:9::/64", REJECTED6("prohibit") },
	{ "2001:db8:a::/64", "ip -6 route add 2001:db8:a::/64 dev wan metric 5",
	  "ip -6 route del 2001:db8:a::/64 metric 5", "the route to 2001:db8:a::/64 via wan" },
	{ "203.0.113.128/25",
	  "ip rule add pref 40000 table 77; ip route add local 203.0.113.0/24 dev lo",
	  "ip route del local 203.0.113.0/24 dev lo; ip rule del pref 40000",
	  "by its local route to" },
};

START_TEST(winner)
{
	const struct winner *w = &winners[_i];
	char text[256], again[128];

	snprintf(text, sizeof(text), "packets to %s do not come to us: ", w->address);
	snprintf(again, sizeof(again), "packets to %s come to us again", w->address);
	want(w->address);
	settle(100);
	ck_assert_uint_eq(n_lines, 0);
	for (size_t turn = 1; turn <= 2; turn++) {
		sh("%s", w->add);
		until(said(w->text) == turn);
		ck_assert_uint_eq(said(text), turn);
		sh("%s", w->del);
		until(said(again) == turn);
	}
	ck_assert_uint_eq(said("had gone"), 0);
	ck_assert_uint_eq(n_lines, 4);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

/* What does not win, though it looks like it; what destroys the most comes last. */
static const char *const losers[] = {
	"ip -6 route add 2001:db8:9::/64 dev wan",
	"ip -6 route add blackhole 2001:db8:9::/64 metric 3",
	"ip route add unreachable 203.0.113.0/24",
	"ip -6 route add 2001:db8:9::1 dev wan metric 2000",
	"ip addr add 2001:db8:9::2/64 dev wan nodad",
	"ip addr add 203.0.113.254/24 dev wan",
	"ip -6 rule add to 2001:db8:9::/64 table 77",
	"ip rule add iif wan2 table 77",
	"sysctl -qw net.ipv4.conf.all.rp_filter=1",
	"ip link add left type veth peer name right && ip link del left",
	"ip -6 route add 2001:db8:a::77 dev wan",
	"sysctl -qw net.ipv4.ip_forward=0",
	"ip route flush default",
	"ip link set wan2 down",
	"ip link del wan2",
};

START_TEST(losers_all)
{
	want("2001:db8:9::1/128");
	want("203.0.113.1/32");
	want("2001:db8:a::/64");
	settle(60);
	for (size_t i = 0; i < ARRAY_SIZE(losers); i++) {
		sh("%s", losers[i]);
		settle(60);
		fib_refresh(fib);
		settle(250); /* a rest, and a round */
		ck_assert_msg(!n_lines, "%s: %s", losers[i], state());
		ck_assert(leads_to_us("2001:db8:9::1"));
		ck_assert(leads_to_us("203.0.113.1"));
	}
}
END_TEST

/* Of the same metric: ours cannot be there at the same time. */
START_TEST(in_the_way)
{
	sh("ip -6 route add 2001:db8:9::1 dev wan");
	sh("ip link set wan2 up && ip route add 203.0.113.1 dev wan2");
	sh("ip -6 route add 2001:db8:a::/64 dev wan");
	want("2001:db8:9::1/128");
	want("203.0.113.1/32");
	want("2001:db8:a::/64");
	until(said("which is not ours, wins") == 3);
	sh("ip -6 route del 2001:db8:9::1 && ip -6 route del 2001:db8:a::/64");
	until(leads_to_us("2001:db8:9::1") && count() == 2);
	/* Silently. */
	sh("ip addr del 198.51.100.1/24 dev wan2");
	until(leads_to_us("203.0.113.1"));
	until(said("come to us again") >= 2);
	ck_assert_uint_eq(said("had gone"), 0);
}
END_TEST

/* It leads nowhere, so that a look-up does not find it; but it is there. */
START_TEST(dead_in_the_way)
{
	sh("sysctl -qw net.ipv4.conf.all.ignore_routes_with_linkdown=1 "
	   "net.ipv4.conf.wan2.ignore_routes_with_linkdown=1");
	sh("ip route add 203.0.113.1 dev wan2 && ip link set wan2-peer down");
	want("203.0.113.1/32");
	until(said("there is a route already, which is not ours and leads nowhere: see 'ip route "
		   "show 203.0.113.1/32'") == 1);
	sh("ip route del 203.0.113.1");
	until(leads_to_us("203.0.113.1"));
	until(said("come to us again") == 1);
}
END_TEST

START_TEST(many_are_lost)
{
	char text[64];
	enum { MANY = 300 };

	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "2001:db8:9::%x/128", i + 1);
		want(text);
	}
	settle(200);
	sh("ip -6 route add local 2001:db8:9::/64 dev lo");
	until(said("and 290 addresses more to which packets do not come") == 1);
	ck_assert_uint_eq(said("by its local route"), 10);
	sh("ip -6 route del local 2001:db8:9::/64 dev lo");
	until(said("packets to 300 addresses come to us again") == 1);
	ck_assert_uint_eq(n_lines, 12);
}
END_TEST

/* A routing daemon that has gone mad: it costs a line now and then, and ends well. */
START_TEST(churn)
{
	FILE *six = popen("ip -6 -batch -", "w"), *four = popen("ip -force -batch - 2>/dev/null", "w");

	ck_assert(six && four);
	want("2001:db8:9::1/128");
	want("203.0.113.1/32");
	settle(100);
	for (int i = 0; i < 20000; i++) {
		fprintf(six, "route add 2001:db8:9::1 dev wan metric 5\n");
		fprintf(six, "route del 2001:db8:9::1 dev wan metric 5\n");
		fprintf(four, "route replace 203.0.113.1 dev wan\n");
		fprintf(four, "route del 203.0.113.1 dev wan\n");
		if (i % 256 == 0) {
			hear();
			uv_run(&loop, UV_RUN_NOWAIT);
		}
	}
	ck_assert_int_eq(pclose(six), 0);
	(void)pclose(four); /* it happens that ours is not there to be replaced */
	until(leads_to_us("2001:db8:9::1") && leads_to_us("203.0.113.1"));
	settle(200);
	ck_assert_uint_le(n_lines, 60);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fib");
	TCase *gone = tcase_create("gone"), *wins = tcase_create("wins");
	SRunner *runner;
	int failed;

	if (!in_netns_possible("test_fib"))
		return 0;
	tcase_set_timeout(gone, 120);
	tcase_set_timeout(wins, 120);
	tcase_add_checked_fixture(gone, fib_setup, fib_teardown);
	tcase_add_checked_fixture(wins, fib_setup, fib_teardown);
	tcase_add_test(gone, come_and_go);
	tcase_add_test(gone, put_back);
	tcase_add_test(gone, put_back_less_and_less_often);
	tcase_add_test(gone, last_ipv4_address);
	tcase_add_test(gone, more_than_are_counted);
	tcase_add_test(gone, revoked_meanwhile);
	tcase_add_test(gone, down_and_up);
	tcase_add_test(gone, removed_later);
	tcase_add_test(gone, ipv6_off_and_on);
	tcase_add_loop_test(wins, winner, 0, ARRAY_SIZE(winners));
	tcase_add_test(wins, losers_all);
	tcase_add_test(wins, in_the_way);
	tcase_add_test(wins, dead_in_the_way);
	tcase_add_test(wins, many_are_lost);
	tcase_add_test(wins, churn);
	suite_add_tcase(suite, gone);
	suite_add_tcase(suite, wins);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
