/* SPDX-License-Identifier: MIT */
/* berth.conf: defaults, every key, every fault. */
#include <errno.h>
#include <netinet/in.h>

#include "../src/config/router.h"
#include "config_files.h"

#define HEAD "[Interface]\nPrivateKey = " KEY("b") "\n"
#define TAIL "[Router]\nPrefix = 2001:db8::/64\n"

static struct config_router *read_good(const char *text, const char *warnings)
{
	struct fault_list faults = { 0 };
	struct config_router *router;

	files_put("berth.conf", 0600, text);
	if (router_read(&router, "berth.conf", &faults) != 0)
		files_expect(&faults, "");
	files_expect(&faults, warnings);
	return router;
}

START_TEST(test_defaults)
{
	struct config_router *r = read_good(HEAD TAIL, "");

	ck_assert(r->gateway);
	ck_assert_str_eq(r->name, "berth0");
	ck_assert_uint_eq(r->listen_port, 51820);
	ck_assert_uint_eq(r->mtu, 1420);
	ck_assert_uint_eq(r->fwmark, 0);
	ck_assert_uint_eq(r->addresses.n, 0);
	ck_assert_uint_eq(r->n_uplinks, 0);
	ck_assert_int_eq(r->announce, ANNOUNCE_ALWAYS);
	ck_assert_int_eq(r->isolate, ISOLATE_NO);
	ck_assert_uint_eq(r->prefixes.n, 1);
	ck_assert_int_eq(r->neighbor_source, NEIGHBOR_SOURCE_AUTO);
	ck_assert_int_eq(r->crypto, ROUTER_CRYPTO_AUTO);
	ck_assert_uint_eq(r->workers, 0);
	ck_assert(!r->no_offload);
	ck_assert_str_eq(r->tenants, "config.d");
	ck_assert_str_eq(r->control, "/run/berth/control.sock");
	ck_assert_str_eq(r->state, "/var/lib/berth");
	ck_assert_ptr_null(r->user);
	ck_assert_ptr_null(r->private_key_file);
	router_free(r);
}
END_TEST

START_TEST(test_no_gateway)
{
	struct config_router *r = read_good("[Router]\nTenants = t\n", "");

	ck_assert(!r->gateway);
	ck_assert_str_eq(r->tenants, "t");
	router_free(r);
	r = read_good("", "");
	ck_assert(!r->gateway);
	router_free(r);
}
END_TEST

START_TEST(test_every_key)
{
	struct config_router *r;

	files_put("gateway.key", 0600, KEY("c") "\n");
	r = read_good("[Interface]\n"
		      "name = wg7\n"
		      "PRIVATEKEYFILE = gateway.key\n"
		      "ListenPort = 443\n"
		      "Address = fd00:1::1/64, 10.0.0.1/24\n"
		      "Address = fe80::1\n"
		      "MTU = 1380\n"
		      "FwMark = 0xca6c\n"
		      "[Router]\n"
		      "Uplink = eth0, eth1.7\n"
		      "Uplink = br0\n"
		      "Prefix = 2001:db8:1::/64, 198.51.100.0/24\n"
		      "Prefix = 2001:db8::/64\n"
		      "Tenants = /srv/tenants\n"
		      "Announce = Connected\n"
		      "NeighborSource = link-local\n"
		      "Isolate = Yes\n"
		      "Workers = 4\n"
		      "Crypto = ipsec-mb\n"
		      "Offload = off\n"
		      "Metrics = run/m.prom\n"
		      "MetricsListen = [::1]:9586\n"
		      "Control = run/c.sock\n"
		      "State = state\n"
		      "User = berth-7\n", "");
	ck_assert_str_eq(r->name, "wg7");
	ck_assert_str_eq(r->private_key_file, "gateway.key");
	ck_assert_uint_ne(r->private_key[0], 0);
	ck_assert_uint_eq(r->listen_port, 443);
	ck_assert_uint_eq(r->addresses.n, 3);
	ck_assert_uint_eq(r->addresses.v[0].length, 64);
	ck_assert_uint_eq(r->addresses.v[0].addr[15], 1); /* its host bits stay */
	ck_assert_uint_eq(r->addresses.v[1].family, AF_INET);
	ck_assert_uint_eq(r->addresses.v[1].addr[3], 1);
	ck_assert_uint_eq(r->addresses.v[2].length, 128);
	ck_assert_uint_eq(r->mtu, 1380);
	ck_assert_uint_eq(r->fwmark, 0xca6c);
	ck_assert_uint_eq(r->n_uplinks, 3);
	ck_assert_str_eq(r->uplinks[0], "eth0");
	ck_assert_str_eq(r->uplinks[1], "eth1.7");
	ck_assert_str_eq(r->uplinks[2], "br0");
	ck_assert_int_eq(r->announce, ANNOUNCE_CONNECTED);
	ck_assert_int_eq(r->isolate, ISOLATE_YES);
	ck_assert_uint_eq(r->prefixes.n, 3);
	ck_assert_uint_eq(r->prefixes.v[0].prefix.family, AF_INET);
	ck_assert_str_eq(r->tenants, "/srv/tenants");
	ck_assert_int_eq(r->neighbor_source, NEIGHBOR_SOURCE_LINK_LOCAL);
	ck_assert_uint_eq(r->workers, 4);
	ck_assert_int_eq(r->crypto, ROUTER_CRYPTO_IPSEC_MB);
	ck_assert(r->no_offload);
	ck_assert_str_eq(r->control, "run/c.sock");
	ck_assert_str_eq(r->state, "state");
	ck_assert_str_eq(r->user, "berth-7");
	ck_assert_str_eq(r->metrics, "run/m.prom");
	ck_assert_str_eq(endpoint_format(&r->metrics_listen, (char[ENDPOINT_STRLEN]){ 0 }),
			 "[::1]:9586");
	router_free(r);
}
END_TEST

START_TEST(test_metrics)
{
	static const struct {
		const char *value, *listen, *warning;
	} table[] = {
		/* 0 */ { "9586", "127.0.0.1:9586", "" },
		/* 1 */ { "127.0.0.2:1", "127.0.0.2:1", "" },
		/* 2 */ { "off", "(none)", "" },
		/* 3 */ { "none", "(none)", "" },
		/* 4 */ { "", "(none)", "" },
		/* 5 */ { "192.0.2.1:9586", "192.0.2.1:9586",
			  "berth.conf:5: warning: MetricsListen: '192.0.2.1:9586' is no loopback "
			  "address: whoever reaches it reads the names of all tenants, and when "
			  "and how much each of them speaks\n" },
		/* 6 */ { "[::]:9586", "[::]:9586",
			  "berth.conf:5: warning: MetricsListen: '[::]:9586' is no loopback "
			  "address: whoever reaches it reads the names of all tenants, and when "
			  "and how much each of them speaks\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char text[512], listen[ENDPOINT_STRLEN];
		struct config_router *r;

		snprintf(text, sizeof(text), "%s%sMetricsListen = %s\n", HEAD, TAIL,
			 table[i].value);
		r = read_good(text, table[i].warning);
		ck_assert_str_eq(endpoint_format(&r->metrics_listen, listen), table[i].listen);
		ck_assert_ptr_null(r->metrics);
		router_free(r);
	}
	router_free(read_good(HEAD TAIL "Metrics = off\n", ""));
}
END_TEST

START_TEST(test_has_range)
{
	struct config_router *r = read_good(HEAD TAIL "Prefix = 192.0.2.0/24\n", "");
	static const struct {
		const char *range;
		bool inside;
	} table[] = {
		/* 0 */ { "2001:db8::1/128", true },
		/* 1 */ { "2001:db8::/64", true },
		/* 2 */ { "2001:db8::/63", false },
		/* 3 */ { "2001:db8:0:1::/128", false },
		/* 4 */ { "192.0.2.255/32", true },
		/* 5 */ { "192.0.3.0/32", false },
		/* 6 */ { "0.0.0.0/0", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct prefix range;

		ck_assert_int_eq(prefix_parse(&range, table[i].range), 0);
		ck_assert_int_eq(router_has_range(r, &range), table[i].inside);
	}
	router_free(r);
}
END_TEST

/* Paths start where the file is. */
START_TEST(test_folder)
{
	struct fault_list faults = { 0 };
	struct config_router *r;

	files_put("config.d/b.conf", 0600, "[Interface]\nPrivateKeyFile=k\n" TAIL);
	files_put("config.d/k", 0600, KEY("b"));
	ck_assert_int_eq(router_read(&r, "config.d/b.conf", &faults), 0);
	ck_assert_str_eq(r->tenants, "config.d/config.d");
	ck_assert_str_eq(r->private_key_file, "config.d/k");
	router_free(r);
	files_expect(&faults, "");
}
END_TEST

START_TEST(test_warnings)
{
	router_free(read_good("[Interface]\nPrivateKey = " KEY("b") "\nAddress = "
								    "2001:db8::1/64\n" TAIL,
			      "berth.conf:3: warning: Address: '2001:db8::1/64': a global address "
			      "here makes the gateway itself reachable through the tunnels; "
			      "management needs none\n"));
	router_free(read_good(HEAD "[Router]\nPrefix = 2001:db8::1/64\n",
			      "berth.conf:4: warning: Prefix: '2001:db8::1/64' means the whole "
			      "range 2001:db8::/64\n"));
	/* Prefixes that overlap, in any order, beside one that does not; and one given twice. */
	router_free(read_good(HEAD "[Router]\nPrefix = 2001:db8:0:1::/64, 10.0.0.0/8\n"
			      "Prefix = 2001:db8:1::/64\nPrefix = 2001:db8::/56\n"
			      "Prefix = 2001:db8:1::/64, 10.9.0.0/16\n",
			      "berth.conf:4: warning: Prefix: 2001:db8:0:1::/64 is a part of "
			      "2001:db8::/56 (line 6), which is enough\n"
			      "berth.conf:7: warning: Prefix: 10.9.0.0/16 is a part of 10.0.0.0/8 "
			      "(line 4), which is enough\n"
			      "berth.conf:7: warning: Prefix: 2001:db8:1::/64 stands in line 5 "
			      "already\n"));
	router_free(read_good(HEAD "[Router]\nPrefix = 2001::/16, 11.0.0.0/8\n", ""));
}
END_TEST

#define IN_INTERFACE(line) HEAD line "\n" TAIL, "berth.conf:3: "
#define IN_ROUTER(line) HEAD TAIL line "\n", "berth.conf:5: "

static const struct {
	const char *text, *where, *fault;
} bad[] = {
	/* 0 */ { IN_INTERFACE("Name = a/b"),
		  "Name: 'a/b' is no name for an interface (1 to 15 characters, no '/', ':', '%' "
		  "or blank)" },
	/* 1 */ { IN_INTERFACE("Name = abcdefghijklmnop"),
		  "Name: 'abcdefghijklmnop' is no name for an interface (1 to 15 characters, no "
		  "'/', ':', '%' or blank)" },
	/* 2 */ { IN_INTERFACE("ListenPort = 0"), "ListenPort: '0' is not a number from 1 to "
						  "65535" },
	/* 3 */ { IN_INTERFACE("ListenPort = 65536"),
		  "ListenPort: '65536' is not a number from 1 to 65535" },
	/* 4 */ { IN_INTERFACE("ListenPort = -1"),
		  "ListenPort: '-1' is not a number from 1 to 65535" },
	/* 5 */ { IN_INTERFACE("ListenPort = 4294967297"),
		  "ListenPort: '4294967297' is not a number from 1 to 65535" },
	/* 6 */ { IN_INTERFACE("ListenPort ="), "ListenPort: '' is not a number from 1 to 65535" },
	/* 7 */ { IN_INTERFACE("MTU = 575"), "MTU: '575' is not a number from 1280 (for the IPv6 "
					 "of Prefix 2001:db8::/64) to 65475" },
	{ IN_INTERFACE("MTU = 65476"), "MTU: '65476' is not a number from 1280 (for the IPv6 of "
				       "Prefix 2001:db8::/64) to 65475" },
	{ HEAD "MTU = 575\n[Router]\nPrefix = 10.0.0.0/8\n", "berth.conf:3: ",
	  "MTU: '575' is not a number from 576 to 65475" },
	{ IN_INTERFACE("MTU = 1279"), "MTU: '1279' is not a number from 1280 (for the IPv6 of "
				      "Prefix 2001:db8::/64) to 65475" },
	/* 8 */ { IN_INTERFACE("MTU = auto"), "MTU: 'auto' is not a number of bytes" },
	/* 9 */ { IN_INTERFACE("FwMark = on"),
		  "FwMark: 'on' is neither off nor a number of 32 bits" },
	/* 10 */ { IN_INTERFACE("FwMark = 0x100000000"),
		   "FwMark: '0x100000000' is neither off nor a number of 32 bits" },
	{ IN_INTERFACE("FwMark = 0x0x5"), "FwMark: '0x0x5' is neither off nor a number of 32 bits" },
	/* 11 */ { IN_INTERFACE("Address = 10.0.0.1/33"),
		   "Address: '10.0.0.1/33': an address is expected, like 192.0.2.1/32 or "
		   "2001:db8::1/128" },
	/* 12 */ { IN_INTERFACE("PrivateKeyFile = x"), "PrivateKeyFile: line 2 gives the private "
						       "key already" },
	/* 13 */ { IN_INTERFACE("PrivateKey = " KEY("d")), "PrivateKey: stands in line 2 already" },
	/* 14 */ { IN_INTERFACE("PostUp = ip route add x"),
		   "PostUp: no commands are run; routes and neighbour answers follow from "
		   "AllowedIPs, Table and [Container] Netns say where they go" },
	/* 15 */ { IN_INTERFACE("ListenProt = 1"),
		   "unknown key 'ListenProt'; is 'ListenPort' meant?" },
	/* 16 */ { IN_INTERFACE("Colour = red"), "unknown key 'Colour'" },
	/* 17: a key that lost its name is not shown */
	{ IN_INTERFACE(KEY("e")), "unknown key" },
	/* 18 */ { IN_ROUTER("Uplink = eth0:1"),
		   "Uplink: 'eth0:1' is no name for an interface (1 to 15 characters, no '/', ':', "
		   "'%' or blank)" },
	/* 19 */ { IN_ROUTER("Prefix = 2001:db8::/129"),
		   "Prefix: '2001:db8::/129': an address is expected, like 192.0.2.1/32 or "
		   "2001:db8::1/128" },
	/* 20 */ { IN_ROUTER("Prefix = ::/64,,1.2.3.4"), "Prefix: an address is missing beside "
							 "','" },
	/* 20: one that cannot be anybody's, and no more about it */
	{ IN_ROUTER("Prefix = ::/0"), "Prefix: '::/0' is more than anybody has: a prefix is /16 or "
				      "longer" },
	{ IN_ROUTER("Prefix = 2000::/15"), "Prefix: '2000::/15' is more than anybody has: a prefix "
					   "is /16 or longer" },
	{ IN_ROUTER("Prefix = 198.51.100.0/24, 0.0.0.0/0"),
	  "Prefix: '0.0.0.0/0' is more than anybody has: a prefix is /8 or longer" },
	{ IN_ROUTER("Prefix = 10.0.0.0/7"), "Prefix: '10.0.0.0/7' is more than anybody has: a "
					    "prefix is /8 or longer" },
	/* 21 */ { IN_ROUTER("Uplink = eth0, eth1, eth0"), "Uplink: 'eth0' is named twice" },
	/* 22 */ { IN_ROUTER("Announce = never"), "Announce: 'never' is none of: always, "
						  "connected" },
	/* 23 */ { IN_ROUTER("NeighborSource = x"),
		   "NeighborSource: 'x' is none of: auto, target, link-local, global" },
	/* 24 */ { IN_ROUTER("Isolate = maybe"), "Isolate: 'maybe' is none of: no, yes" },
	/* 25 */ { IN_ROUTER("Workers = 0"), "Workers: '0' is not a number from 1 to 256" },
	/* 26 */ { IN_ROUTER("Crypto = rot13"),
		   "Crypto: 'rot13' is none of: auto, libsodium, ipsec-mb" },
	/* 27 */ { IN_ROUTER("Offload = on"), "Offload: 'on' is none of: auto, off" },
	/* 28 */ { IN_ROUTER("MetricsListen = localhost:9586"),
		   "MetricsListen: 'localhost:9586' is neither a port nor address:port, such as "
		   "127.0.0.1:9586 or [::1]:9586" },
	{ IN_ROUTER("MetricsListen = 65536"),
	  "MetricsListen: '65536' is not a number from 1 to 65535" },
	{ IN_ROUTER("MetricsListen = 127.0.0.1:0"),
	  "MetricsListen: '127.0.0.1:0' is neither a port nor address:port, such as "
	  "127.0.0.1:9586 or [::1]:9586" },
	{ IN_ROUTER("MetricsListen = 127.0.0.1"),
	  "MetricsListen: '127.0.0.1' is neither a port nor address:port, such as "
	  "127.0.0.1:9586 or [::1]:9586" },
	/* 29 */ { IN_ROUTER("State ="), "State: a path is missing" },
	{ IN_ROUTER("User ="), "User: '' is not the name of a user" },
	{ IN_ROUTER("User = a b"), "User: 'a b' is not the name of a user" },
	/* 30 */ { IN_ROUTER("Control = "
			     "/1234567890123456789012345678901234567890123456789012345678901234"
			     "5678901234567890123456789012345678901234567"),
		   "Control: '/12345678901234567890123456789012345678901234567890123456789012345678"
		   "901234567890123456789012345678901234567' is too long for the path of a socket "
		   "(107 characters)" },
	/* 31 */ { IN_ROUTER("[Router]"), "[Router] stands in line 3 already" },
	/* 32: once for all of them */
	{ IN_ROUTER("[Peer]\nPublicKey = " KEY("c") "\nAllowedIPs = ::1\n[Peer]"),
	  "[Peer] has no place here: each peer is a file of its own, config.d/NAME.conf" },
	{ "[Interface]\nPrivateKey = " KEY("b") "\n[peer]\n" TAIL "Tenants = /srv/t\n",
	  "berth.conf:3: ",
	  "[Peer] has no place here: each peer is a file of its own, /srv/t/NAME.conf" },
	/* 32: keys of the other section */
	{ IN_ROUTER("mtu = 1400"), "'MTU' belongs into [Interface], not into [Router]" },
	{ IN_INTERFACE("Uplink = eth0"), "'Uplink' belongs into [Router], not into [Interface]" },
	/* 33 */ { IN_ROUTER("[Ruoter]"), "unknown section 'Ruoter'; is 'Router' meant?" },
	/* 34 */ { "[Interface]\n" TAIL, "berth.conf:1: ",
		   "[Interface]: PrivateKeyFile (or PrivateKey) is missing" },
	/* 35 */ { HEAD, "berth.conf:1: ",
		   "[Interface]: a gateway needs a Prefix in [Router] to take its tenants' "
		   "addresses from" },
	/* 36: secrets are not quoted */
	{ "[Interface]\nPrivateKey = secret\n" TAIL, "berth.conf:2: ",
	  "PrivateKey: this is not a key (44 characters of base64 expected, 6 found)" },
	/* 37 */ { "[Interface]\nPrivateKeyFile = none\n" TAIL, "berth.conf:2: ",
		   "PrivateKeyFile: there is no key in 'none'; `berth init` makes one" },
	/* 38 */ { "[Interface]\nPrivateKeyFile = config.d\n" TAIL, "berth.conf:2: ",
		   "PrivateKeyFile: 'config.d': is not a regular file" },
	/* 39 */ { "[Interface]\nPrivateKeyFile = open.key\n" TAIL, "berth.conf:2: ",
		   "PrivateKeyFile: 'open.key' is open to group or others: chmod 600 open.key" },
	/* 40 */ { "[Interface]\nPrivateKeyFile = bad.key\n" TAIL, "berth.conf:2: ",
		   "PrivateKeyFile: 'bad.key' does not hold a key (44 characters of base64 "
		   "expected)" },
	/* 41 */ { "[Interface]\nPrivateKeyFile = zero.key\n" TAIL, "berth.conf:2: ",
		   "PrivateKeyFile: 'zero.key': a key of nothing but zeros is none" },
	/* 42 */ { "[Interface]\nPrivateKeyFile = empty.key\n" TAIL, "berth.conf:2: ",
		   "PrivateKeyFile: there is no key in 'empty.key'; `berth init` makes one" },
};

START_TEST(test_bad)
{
	struct fault_list faults = { 0 };
	struct config_router *router;
	char expected[1024];

	files_put("open.key", 0640, KEY("b") "\n");
	files_put("bad.key", 0600, KEY("b") "\n" KEY("c") "\n");
	files_put("zero.key", 0600, KEY("A") "\n");
	files_put("empty.key", 0600, "\n");
	files_put("berth.conf", 0600, bad[_i].text);
	snprintf(expected, sizeof(expected), "%s%s\n", bad[_i].where, bad[_i].fault);
	ck_assert_int_eq(router_read(&router, "berth.conf", &faults), -EINVAL);
	ck_assert_ptr_null(router);
	files_expect(&faults, expected);
}
END_TEST

START_TEST(test_mode)
{
	struct fault_list faults = { 0 };
	struct config_router *router;

	files_put("berth.conf", 0644, HEAD TAIL);
	ck_assert_int_eq(router_read(&router, "berth.conf", &faults), -EINVAL);
	files_expect(&faults, "berth.conf:2: PrivateKey: this file is open to group or others: "
			      "chmod 600 berth.conf\n");
	files_put("k", 0600, KEY("b"));
	files_put("berth.conf", 0644, "[Interface]\nPrivateKeyFile=k\n" TAIL);
	ck_assert_int_eq(router_read(&router, "berth.conf", &faults), 0);
	files_expect(&faults, "");
	router_free(router);
}
END_TEST

/* Every fault is found, in the order of the lines. */
START_TEST(test_all_faults)
{
	struct fault_list faults = { 0 };
	struct config_router *router;

	files_put("berth.conf", 0600, "[Interface]\nMTU = x\n\n[Router]\nWorkers = y\nCrypto = "
				      "z\n");
	ck_assert_int_eq(router_read(&router, "berth.conf", &faults), -EINVAL);
	files_expect(&faults,
		     "berth.conf:1: [Interface]: PrivateKeyFile (or PrivateKey) is missing\n"
		     "berth.conf:1: [Interface]: a gateway needs a Prefix in [Router] to take its "
		     "tenants' addresses from\n"
		     "berth.conf:2: MTU: 'x' is not a number of bytes\n"
		     "berth.conf:5: Workers: 'y' is not a number from 1 to 256\n"
		     "berth.conf:6: Crypto: 'z' is none of: auto, libsodium, ipsec-mb\n");
	ck_assert_int_eq(router_read(&router, "nowhere.conf", &faults), -EINVAL);
	files_expect(&faults, "nowhere.conf: No such file or directory\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("router");
	TCase *tcase = tcase_create("router");

	tcase_add_test(tcase, test_defaults);
	tcase_add_test(tcase, test_no_gateway);
	tcase_add_test(tcase, test_every_key);
	tcase_add_test(tcase, test_metrics);
	tcase_add_test(tcase, test_has_range);
	tcase_add_test(tcase, test_folder);
	tcase_add_test(tcase, test_warnings);
	tcase_add_loop_test(tcase, test_bad, 0, ARRAY_SIZE(bad));
	tcase_add_test(tcase, test_mode);
	tcase_add_test(tcase, test_all_faults);
	return files_run(suite, tcase);
}
