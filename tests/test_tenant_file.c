/* SPDX-License-Identifier: MIT */
/* config.d/NAME.conf: tenants, tunnels, revocation, and every fault in its words. */
#include <errno.h>
#include <netinet/in.h>

#include "../src/config/tenant_file.h"
#include "../src/config/tunnel.h"
#include "../src/config/tunnel_value.h"
#include "config_files.h"
#include "page_flags.h"

static int dirfd_of_tenants(void)
{
	int fd = open("config.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static int read_file(struct config_tenant **out, const char *name, struct fault_list *faults)
{
	int fd = dirfd_of_tenants();
	int err = tenant_file_read(out, fd, "config.d", name, faults);

	close(fd);
	return err;
}

/* Reads text as config.d/a.conf; it is good, with these warnings. */
static struct config_tenant *read_good(const char *text, const char *warnings)
{
	struct fault_list faults = { 0 };
	struct config_tenant *tenant;

	files_put("config.d/a.conf", 0600, text);
	if (read_file(&tenant, "a", &faults) != 0)
		files_expect(&faults, "(none)");
	ck_assert_int_eq(faults.n_errors, 0);
	files_expect(&faults, warnings);
	return tenant;
}

START_TEST(test_tenant)
{
	struct config_tenant *t = read_good("[Peer]\n"
					    "publickey = " KEY("b") " # of a laptop\n"
					    "PresharedKey = " KEY("c") "\n"
					    "AllowedIPs = 2001:db8::1234/128, 198.51.100.77/32\n"
					    "AllowedIPs = 2001:db8::1234\n"
					    "Endpoint = 192.0.2.1:51820\n"
					    "PersistentKeepalive = 25\n"
					    "[Tenant]\n"
					    "Announce = connected\n"
					    "MTU = 1280\n"
					    "Isolate = yes\n"
					    "OnSharedKey = Quarantine\n", "");
	struct endpoint endpoint;

	ck_assert_str_eq(t->name, "a");
	ck_assert_str_eq(t->file, "config.d/a.conf");
	ck_assert_int_eq(t->kind, TENANT_OF_GATEWAY);
	ck_assert_int_eq(t->state, TENANT_OK);
	ck_assert_ptr_null(t->tunnel);
	ck_assert_uint_eq(t->n_peers, 1);
	ck_assert_uint_eq(t->peers[0].line, 2);
	ck_assert_uint_eq(t->peers[0].public_key[0], 0x6d); /* "bbbb" */
	ck_assert_uint_eq(t->peers[0].preshared_key[0], 0x71);
	ck_assert_uint_eq(t->peers[0].allowed_ips.n, 2); /* sorted, once each */
	ck_assert_uint_eq(t->peers[0].allowed_ips.v[0].prefix.family, AF_INET);
	ck_assert_uint_eq(t->peers[0].allowed_ips.v[0].line, 4);
	ck_assert_uint_eq(t->peers[0].keepalive, 25);
	ck_assert_str_eq(t->peers[0].endpoint, "192.0.2.1:51820");
	ck_assert(tenant_peer_endpoint(&t->peers[0], &endpoint));
	ck_assert_uint_eq(t->n_key_files, 0);
	ck_assert_int_eq(t->announce, ANNOUNCE_CONNECTED);
	ck_assert_uint_eq(t->mtu, 1280);
	ck_assert_uint_eq(t->mtu_line, 10);
	ck_assert(t->quarantine);
	ck_assert_int_eq(t->isolate, ISOLATE_YES);
	tenant_free(t);
	t = read_good("[Peer]\nPublicKey = " KEY("b") "\nAllowedIPs = 192.0.2.1\n[Tenant]\n"
		      "MTU = 576\nOnSharedKey = notice\nIsolate = no\n", "");
	ck_assert_int_eq(t->isolate, ISOLATE_NO);
	ck_assert_uint_eq(t->mtu, 576);
	ck_assert(!t->quarantine);
	tenant_free(t);
}
END_TEST

#define PEER "[Peer]\nPublicKey = " KEY("c") "\n"

static const struct {
	const char *keys;
	uint64_t up, down;
} rates[] = {
	{ "", 0, 0 },
	{ "RateLimit = 1mbit\n", 1000000, 1000000 },
	{ "RateUp = 1mbit\n", 1000000, 0 },
	{ "RateDown = 1mbit\n", 0, 1000000 },
	{ "RateDown = 2mbit\nRateLimit = 1mbit\n", 1000000, 2000000 },
	{ "RateLimit = 1mbit\nRateUp = 2mbit\n", 2000000, 1000000 },
	{ "RateLimit = 1mbit\nRateUp = off\n", 0, 1000000 },
	{ "RateLimit = off\nRateDown = 1.5gbit\n", 0, 1500000000 },
	{ "RateLimit = off\nRateDown = off\nRateUp = off\n", 0, 0 },
};

/* What is said of one way goes before what is said of both. */
START_TEST(test_rates)
{
	struct config_tenant *t;
	char text[256];

	snprintf(text, sizeof(text), PEER "AllowedIPs = ::1\n[Tenant]\n%s", rates[_i].keys);
	t = read_good(text, "");
	ck_assert_uint_eq(t->limits ? t->limits->rate_up : 0, rates[_i].up);
	ck_assert_uint_eq(t->limits ? t->limits->rate_down : 0, rates[_i].down);
	/* Who has no limit costs nothing for it. */
	ck_assert_int_eq(t->limits != NULL, rates[_i].up || rates[_i].down);
	tenant_free(t);
}
END_TEST

START_TEST(test_key_files)
{
	struct config_tenant *t;

	files_put("config.d/a.pub", 0644, KEY("b") "\n");
	files_put("config.d/a.psk", 0600, KEY("c"));
	t = read_good("[Peer]\nPublicKeyFile = a.pub\nPresharedKeyFile = a.psk\nAllowedIPs = "
		      "::1\n", "");
	ck_assert_uint_eq(t->peers[0].public_key[0], 0x6d);
	ck_assert_uint_eq(t->peers[0].preshared_key[0], 0x71);
	ck_assert_uint_eq(t->n_key_files, 2);
	ck_assert_str_eq(t->key_files[0], "config.d/a.pub");
	ck_assert_str_eq(t->key_files[1], "config.d/a.psk");
	tenant_free(t);
}
END_TEST

#define KEYS "[Interface]\nPrivateKey = " KEY("b") "\n"

/* Neither swap nor a core dump gets to see a key of a file. */
START_TEST(test_keys_are_locked)
{
	struct config_tenant *t = read_good(KEYS "Address = 2001:db8::1234/128\n"
					    "[Peer]\n"
					    "PublicKey = " KEY("d") "\n"
					    "PresharedKey = " KEY("c") "\n"
					    "AllowedIPs = ::/0\n", "");
	const void *keys[] = { t->tunnel->private_key, t->peers[0].preshared_key };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char flags[PAGE_FLAGS_LINE];

		page_flags_of(keys[i], flags);
		ck_assert_ptr_nonnull(strstr(flags, " dd"));
		if (MLOCK_WORKS)
			ck_assert_ptr_nonnull(strstr(flags, " lo"));
	}
	tenant_free(t);
}
END_TEST

START_TEST(test_tunnel)
{
	struct config_tenant *t = read_good(KEYS "Address = 2001:db8::1234/128, 10.0.0.2/24\n"
					    "MTU = 1380\n"
					    "Table = auto\n"
					    "FwMark = off\n"
					    "ListenPort = 5000\n"
					    "[Peer]\n"
					    "PublicKey = " KEY("d") "\n"
					    "Endpoint = vps.example.com:51820\n"
					    "AllowedIPs = ::/0\n"
					    "PersistentKeepalive = off\n"
					    "[Peer]\n"
					    "PublicKey = " KEY("c") "\n"
					    "AllowedIPs = 10.0.0.0/24\n"
					    "[Container]\n"
					    "Netns = chatmail\n"
					    "Name = wg0\n", "");
	struct endpoint endpoint;

	ck_assert_int_eq(t->kind, TENANT_TUNNEL);
	ck_assert_int_eq(t->state, TENANT_OK);
	ck_assert_uint_eq(t->tunnel->private_key[0], 0x6d);
	ck_assert_uint_eq(t->tunnel->addresses.n, 2);
	ck_assert_uint_eq(t->tunnel->addresses.v[1].length, 24);
	ck_assert_uint_eq(t->tunnel->addresses.v[1].addr[3], 2);
	ck_assert_uint_eq(t->tunnel->mtu, 1380);
	ck_assert_uint_eq(t->tunnel->listen_port, 5000);
	ck_assert_int_eq(t->tunnel->table_kind, TUNNEL_TABLE_AUTO);
	ck_assert_uint_eq(tunnel_mark(t), 0);
	ck_assert_int_eq(t->tunnel->netns_kind, TUNNEL_NETNS_NAME);
	ck_assert_str_eq(t->tunnel->netns, "chatmail");
	ck_assert_str_eq(t->tunnel->ifname, "wg0");
	ck_assert_uint_eq(t->n_peers, 2);
	ck_assert_uint_eq(t->peers[0].line, 14); /* sorted by key */
	ck_assert_str_eq(t->peers[1].endpoint, "vps.example.com:51820");
	ck_assert_uint_eq(t->peers[1].endpoint_line, 10);
	ck_assert(!tenant_peer_endpoint(&t->peers[1], &endpoint));
	tenant_free(t);

	t = read_good(KEYS "Table = off\n" PEER "AllowedIPs = 0.0.0.0/0\n", "");
	ck_assert_int_eq(t->tunnel->table_kind, TUNNEL_TABLE_OFF);
	ck_assert_uint_eq(tunnel_mark(t), 0);
	ck_assert_str_eq(t->tunnel->ifname, "a");
	ck_assert_int_eq(t->tunnel->netns_kind, TUNNEL_NETNS_HOST);
	ck_assert_uint_eq(t->tunnel->mtu, 0); /* as wg-quick: auto */
	tenant_free(t);

	/* wg knows interfaces without peers */
	t = read_good(KEYS "Address = 10.0.0.2\n", "");
	ck_assert_int_eq(t->state, TENANT_OK);
	tenant_free(t);
}
END_TEST

/* As people have them, from providers and from older setups. */
static const char road_warrior[] =
	"# somebody's VPN\r\n"
	"[Interface] # mine\r\n"
	"PrivateKey = " KEY("b") "\r\n"
	"Address=10.2.0.2/32 # the one\r\n"
	"Address = fd00::2/128,2001:db8::7\r\n"
	"DNS = 10.2.0.1, 2001:db8::53\r\n"
	"DNS = example.com lan , fe80::1%wg0\r\n"
	"dns = 9.9.9.9\r\n"
	"FwMark = 0xCA6D\r\n"
	"MTU = auto\r\n"
	"SaveConfig = false\r\n"
	"\r\n"
	"[Peer]\r\n"
	"#PresharedKey =\r\n"
	"PublicKey = " KEY("c") "\r\n"
	"AllowedIPs = 0.0.0.0/0, ::/0\r\n"
	"AllowedIPs = 192.168.9.0/24\r\n"
	"Endpoint = 192.0.2.1:51820\r\n"
	"[Peer]\r\n"
	"PublicKey = " KEY("d") "\r\n"
	"AllowedIPs = 10.2.0.3/32\r\n"
	"[Container]\r\n"
	"Netns = home";

START_TEST(test_wg_quick)
{
	struct config_tenant *t = read_good(road_warrior, "");

	ck_assert_uint_eq(t->tunnel->addresses.n, 3);
	ck_assert_str_eq(t->tunnel->dns_servers, "10.2.0.1 2001:db8::53 fe80::1%wg0 9.9.9.9");
	ck_assert_str_eq(t->tunnel->dns_search, "example.com lan");
	ck_assert_uint_eq(t->tunnel->dns_line, 6);
	ck_assert_uint_eq(t->tunnel->fwmark, 0xca6d);
	ck_assert_uint_eq(t->tunnel->mtu, 0);
	ck_assert_uint_eq(t->n_peers, 2);
	ck_assert_uint_eq(t->peers[0].allowed_ips.n, 3);
	/* In a namespace a default route needs no mark. */
	ck_assert(!tunnel_takes_host(t, AF_INET));
	ck_assert_uint_eq(tunnel_mark(t), 0xca6d);
	tenant_free(t);

	/* Everything but the private networks: as such lists are handed around. */
	t = read_good(KEYS PEER "AllowedIPs = 0.0.0.0/5, 8.0.0.0/7, 11.0.0.0/8, 12.0.0.0/6, "
		      "16.0.0.0/4, 32.0.0.0/3, 64.0.0.0/2, 128.0.0.0/3, 160.0.0.0/5, 168.0.0.0/6, "
		      "172.0.0.0/12, 172.32.0.0/11, 172.64.0.0/10, 172.128.0.0/9, 173.0.0.0/8, "
		      "174.0.0.0/7, 176.0.0.0/4, 192.0.0.0/9, 192.128.0.0/11, 192.160.0.0/13, "
		      "192.169.0.0/16, 192.170.0.0/15, 192.172.0.0/14, 192.176.0.0/12, "
		      "192.192.0.0/10, 193.0.0.0/8, 194.0.0.0/7, 196.0.0.0/6, 200.0.0.0/5, "
		      "208.0.0.0/4, ::/0\n", "");
	ck_assert_uint_eq(t->peers[0].allowed_ips.n, 31);
	tenant_free(t);
}
END_TEST

/* AllowedIPs of a tunnel on the host with Table = auto: what has its default route there? */
static const struct {
	const char *more, *ranges;
	bool takes4, takes6;
	uint32_t mark;
} host_routes[] = {
	/* 0 */ { "", "0.0.0.0/0, ::/0", true, true, TUNNEL_MARK_AUTO },
	/* 1 */ { "FwMark = 7\n", "0.0.0.0/0", true, false, 7 },
	/* 2 */ { "", "::/0, 10.0.0.0/8", false, true, TUNNEL_MARK_AUTO },
	/* 3: in halves */ { "", "0.0.0.0/1, 128.0.0.0/1", true, false, TUNNEL_MARK_AUTO },
	/* 4 */ { "", "2000::/3", false, true, TUNNEL_MARK_AUTO },
	/* 5 */ { "", "128.0.0.0/2, 2000::/4", false, false, 0 },
	/* 6 */ { "Table = off\n", "0.0.0.0/0", false, false, 0 },
	/* 7 */ { "Table = 77\n", "0.0.0.0/0", false, false, 0 },
	/* 8 */ { "Table = off\nFwMark = 7\n", "0.0.0.0/0", false, false, 7 },
};

START_TEST(test_host_routes)
{
	struct config_tenant *t;
	char text[256];

	snprintf(text, sizeof(text), KEYS "%s" PEER "AllowedIPs = %s\n", host_routes[_i].more,
		 host_routes[_i].ranges);
	t = read_good(text, "");
	ck_assert_int_eq(tunnel_takes_host(t, AF_INET), host_routes[_i].takes4);
	ck_assert_int_eq(tunnel_takes_host(t, AF_INET6), host_routes[_i].takes6);
	ck_assert_uint_eq(tunnel_mark(t), host_routes[_i].mark);
	tenant_free(t);
}
END_TEST

static const struct {
	const char *text;
	uint32_t number;
} tables[] = {
	{ "77", 77 }, { "0x4D", 77 }, { "4294967295", UINT32_MAX }, { "main", 254 },
	{ "default", 253 },
};

START_TEST(test_tables)
{
	struct config_tenant *t;
	char text[256];

	snprintf(text, sizeof(text), KEYS "Table = %s\n" PEER "AllowedIPs = ::/0\n",
		 tables[_i].text);
	t = read_good(text, "");
	ck_assert_int_eq(t->tunnel->table_kind, TUNNEL_TABLE_NUMBER);
	ck_assert_uint_eq(t->tunnel->table, tables[_i].number);
	tenant_free(t);
}
END_TEST

START_TEST(test_table_names)
{
	uint32_t n = 0;

	files_put("rt_tables", 0644, "# reserved\n255\tlocal\n#\n 77 mail # of mine\n0x50 web\n"
				     "x bad\n88\n");
	ck_assert_int_eq(tunnel_value_table_in("rt_tables", "mail", &n), 0);
	ck_assert_uint_eq(n, 77);
	ck_assert_int_eq(tunnel_value_table_in("rt_tables", "web", &n), 0);
	ck_assert_uint_eq(n, 0x50);
	ck_assert_int_eq(tunnel_value_table_in("rt_tables", "bad", &n), -ENOENT);
	ck_assert_int_eq(tunnel_value_table_in("rt_tables", "of", &n), -ENOENT);
	ck_assert_int_eq(tunnel_value_table_in("gone", "mail", &n), -ENOENT);
}
END_TEST

static const struct {
	const char *text;
	enum tunnel_netns kind;
	const char *netns;
} places[] = {
	/* 0 */ { "chatmail", TUNNEL_NETNS_NAME, "chatmail" },
	/* 1 */ { "/proc/self/ns/net", TUNNEL_NETNS_PATH, "/proc/self/ns/net" },
	/* 2 */ { "pid:4711", TUNNEL_NETNS_PID, "4711" },
};

START_TEST(test_places)
{
	struct config_tenant *t;
	char text[256];

	snprintf(text, sizeof(text), KEYS "Address = ::1\n[Container]\nNetns = %s\n" PEER
		 "AllowedIPs = ::/0\n", places[_i].text);
	t = read_good(text, "");
	ck_assert_int_eq(t->tunnel->netns_kind, places[_i].kind);
	ck_assert_str_eq(t->tunnel->netns, places[_i].netns);
	tenant_free(t);
}
END_TEST

/* Not a fault: the tenant is gone. */
static const char *const revoked[] = {
	/* 0 */ "",
	/* 1 */ "# nothing\n\n",
	/* 2 */ "[Peer]\n",
	/* 3 */ "[Peer]\nPublicKey =\nAllowedIPs = ::1\n",
	/* 4 */ "[Peer]\nPublicKey = # " KEY("b") "\n",
	/* 5 */ "[Peer]\nAllowedIPs = ::1\n",
	/* 6 */ "[Peer]\nPublicKeyFile = gone.pub\n",
	/* 7 */ "[Peer]\nPublicKeyFile = gone/too\n",
	/* 8 */ "[Peer]\nPublicKeyFile =\n",
	/* 9 */ "[Peer]\nPublicKeyFile = empty.pub\n",
	/* 10 */ "[Tenant]\n",
	/* 11: an emptied key counts, whatever else stands there */
	"[Peer]\nPublicKey =\nPublicKeyFile = a.pub\nAllowedIPs = ::1\n",
};

START_TEST(test_revoked)
{
	struct config_tenant *t;

	files_put("config.d/a.pub", 0644, KEY("b") "\n");
	files_put("config.d/empty.pub", 0644, "\n");
	t = read_good(revoked[_i], "");
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	ck_assert_uint_eq(t->n_peers, 0);
	ck_assert_uint_eq(t->n_key_files, _i == 6 || _i == 7 || _i == 9 || _i == 11);
	tenant_free(t);
}
END_TEST

START_TEST(test_revoked_otherwise)
{
	struct fault_list faults = { 0 };
	struct config_tenant *t;

	/* No file, or a link to none. */
	ck_assert_int_eq(read_file(&t, "nobody", &faults), 0);
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	ck_assert_str_eq(t->file, "config.d/nobody.conf");
	tenant_free(t);
	ck_assert_int_eq(symlink("nowhere", "config.d/link.conf"), 0);
	ck_assert_int_eq(read_file(&t, "link", &faults), 0);
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	tenant_free(t);
	files_expect(&faults, "");

	/* Other faults are told, and do not keep it alive. */
	files_put("config.d/a.conf", 0600, "[Peer]\nPublicKey =\nAllowedIPs = x\n");
	ck_assert_int_eq(read_file(&t, "a", &faults), 0);
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	tenant_free(t);
	files_expect(&faults, "config.d/a.conf:3: AllowedIPs: 'x': an address is expected, like "
			      "192.0.2.1/32 or 2001:db8::1/128\n");

	/* So in a section whose name is mistyped, and a mistyped key is one that is gone. */
	files_put("config.d/a.conf", 0600, "[Peers]\nPublicKey =\n");
	ck_assert_int_eq(read_file(&t, "a", &faults), 0);
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	tenant_free(t);
	files_expect(&faults, "config.d/a.conf:1: unknown section 'Peers'; is 'Peer' meant?\n");
	files_put("config.d/a.conf", 0600, "[Peers]\nPublicKeyFile = gone.pub\n");
	ck_assert_int_eq(read_file(&t, "a", &faults), 0);
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	tenant_free(t);
	files_expect(&faults, "config.d/a.conf:1: unknown section 'Peers'; is 'Peer' meant?\n");
	files_put("config.d/a.conf", 0600, "[Peer]\nPublicKy = " KEY("b") "\n[Tenent]\n");
	ck_assert_int_eq(read_file(&t, "a", &faults), 0);
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	tenant_free(t);
	files_expect(&faults, "config.d/a.conf:2: unknown key 'PublicKy'; is 'PublicKey' meant?\n"
			      "config.d/a.conf:3: unknown section 'Tenent'; is 'Tenant' meant?\n");

	/* A tunnel without its last peer; one with another peer goes on. */
	t = read_good(KEYS "[Peer]\nPublicKey=\n",
		      "config.d/a.conf:3: warning: [Peer] has no public key: left out\n");
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	tenant_free(t);
	t = read_good(KEYS "[Peer]\nPublicKey=\n" PEER "AllowedIPs=::1\n",
		      "config.d/a.conf:3: warning: [Peer] has no public key: left out\n");
	ck_assert_int_eq(t->state, TENANT_OK);
	ck_assert_uint_eq(t->n_peers, 1);
	tenant_free(t);
}
END_TEST

#define ADDRESS_LINE "Address = 10.0.0.2\n"

START_TEST(test_warnings)
{
	tenant_free(read_good(PEER, "config.d/a.conf:1: warning: [Peer] has no AllowedIPs: it can "
				    "neither send nor receive\n"));
	tenant_free(read_good(PEER "AllowedIPs = 10.0.0.7/24\n",
			      "config.d/a.conf:3: warning: AllowedIPs: '10.0.0.7/24' means the "
			      "whole range 10.0.0.0/24\n"));
	tenant_free(read_good(KEYS "DNS = 9.9.9.9, lan\n" ADDRESS_LINE,
			      "config.d/a.conf:3: warning: DNS: is left as it is on the host; to "
			      "change it, when the tunnel is up: resolvectl dns a 9.9.9.9\n"));
	tenant_free(read_good(KEYS "DNS = lan\n" ADDRESS_LINE,
			      "config.d/a.conf:3: warning: DNS: is left as it is on the host; to "
			      "change it, when the tunnel is up: resolvectl domain a lan\n"));
	tenant_free(read_good(KEYS "DNS = 9.9.9.9\n" ADDRESS_LINE "[Container]\nNetns = pid:1\n",
			      "config.d/a.conf:3: warning: DNS: only a namespace with a name has a "
			      "resolv.conf (in /etc/netns): write the one of this container "
			      "yourself\n"));
	tenant_free(read_good(KEYS "DNS = ~., 9.9.9.9\n" ADDRESS_LINE "[Container]\nNetns = x\n",
			      "config.d/a.conf:3: warning: DNS: '~.' is for systemd-resolved, a "
			      "resolv.conf has no such thing: left out\n"));
	tenant_free(read_good(KEYS PEER "AllowedIPs = 10.0.0.0/8, 0.0.0.0/0\n"
			      "Endpoint = 10.0.0.1:51820\n",
			      "config.d/a.conf:6: warning: Endpoint: lies within AllowedIPs "
			      "10.0.0.0/8, so the packets that carry the tunnel are sent into it: "
			      "take that range out, or give Table = off or a number\n"));
}
END_TEST

static const struct {
	const char *text, *warning; /* behind "config.d/a.conf:"; NULL: none */
} tunnels[] = {
	/* 0: who is called at a port that is known may send it once he was */
	{ KEYS ADDRESS_LINE PEER "AllowedIPs = ::/0\nPersistentKeepalive = 25\n",
	  "7: warning: PersistentKeepalive: its [Peer] has no Endpoint to send it to, and without "
	  "a ListenPort nobody knows where to call\n" },
	{ PEER "AllowedIPs = ::/0\nPersistentKeepalive = 25\n" KEYS ADDRESS_LINE
	  "ListenPort = 51820\n", NULL },
	{ KEYS ADDRESS_LINE PEER "AllowedIPs = ::/0\nPersistentKeepalive = off\n", NULL },
	{ KEYS ADDRESS_LINE PEER "AllowedIPs = ::/0\nPersistentKeepalive = 25\n"
	  "Endpoint = vps.example.com:51820\n", NULL },
	{ PEER "AllowedIPs = ::1\nPersistentKeepalive = 25\n", NULL }, /* a tenant calls */
	/* 5: on the host it may do with the addresses of others */
	{ KEYS, "1: warning: [Interface] has no Address: 'a' comes up without any\n" },
	{ KEYS PEER "AllowedIPs = ::/0\n", NULL },
	{ KEYS PEER "AllowedIPs = ::/0\n[Container]\nNetns = x\nName = wg0\n",
	  "1: warning: [Interface] has no Address: 'wg0' comes up without any\n" },
	{ KEYS ADDRESS_LINE "[Container]\nNetns = x\n", NULL },
};

START_TEST(test_tunnel_warnings)
{
	char expected[256] = "";

	if (tunnels[_i].warning)
		snprintf(expected, sizeof(expected), "config.d/a.conf:%s", tunnels[_i].warning);
	tenant_free(read_good(tunnels[_i].text, expected));
}
END_TEST

#define ADDRESS "an address is expected, like 192.0.2.1/32 or 2001:db8::1/128"
#define ENDPOINT "is not host:port, 192.0.2.1:port or [2001:db8::1]:port"
#define NETNS "is neither a name under /run/netns, nor a path from '/' on, nor pid:N"

#define LONG KEY("b") KEY("b") KEY("b")

/* The text, then the faults, each behind "config.d/a.conf:". */
static const struct {
	const char *text, *faults[4];
} bad[] = {
	/* 0 */ { "[Peer]\nPublicKey = abc\n",
		  { "2: PublicKey: 'abc' is not a key (44 characters of base64 expected)" } },
	/* 1 */ { "[Peer]\nPublicKey = " KEY("A") "\n",
		  { "2: PublicKey: a key of nothing but zeros is none" } },
	/* 2: secrets are not quoted */
	{ PEER "PresharedKey = hush\n",
	  { "3: PresharedKey: this is not a key (44 characters of base64 expected, 4 found)" } },
	/* 3 */ { PEER "PresharedKey =\n",
		  { "3: PresharedKey: this is not a key (44 characters of base64 expected, 0 "
		    "found)" } },
	/* 4 */ { PEER "AllowedIPs = 2001:db8::1/129\n",
		  { "3: AllowedIPs: '2001:db8::1/129': " ADDRESS } },
	/* 5: every item of a list, every line */
	{ PEER "AllowedIPs = x, 10.0.0.1/32, 10.0.0.1/, 1.2.3.4/024\nPersistentKeepalive = 65536\n",
	  { "3: AllowedIPs: 'x': " ADDRESS, "3: AllowedIPs: '10.0.0.1/': " ADDRESS,
	    "3: AllowedIPs: '1.2.3.4/024': " ADDRESS,
	    "4: PersistentKeepalive: '65536' is neither off nor a number of seconds up to "
	    "65535" } },
	/* 6 */ { PEER "AllowedIPs = 10.0.0.1,\n",
		  { "3: AllowedIPs: an address is missing beside ','" } },
	/* 7 */ { PEER "AllowedIPs = ::1\nEndpoint = ::1:51820\n",
		  { "4: Endpoint: '::1:51820' " ENDPOINT } },
	/* 8 */ { PEER "AllowedIPs = ::1\nEndpoint = vps.example.com\n",
		  { "4: Endpoint: 'vps.example.com' " ENDPOINT } },
	/* 9 */ { PEER "AllowedIPs = ::1\nEndpoint = vps.example.com:0\n",
		  { "4: Endpoint: 'vps.example.com:0' " ENDPOINT } },
	/* 10 */ { PEER "AllowedIPs = ::1\nEndpoint = 300.1.1.1:51820\n",
		   { "4: Endpoint: '300.1.1.1:51820' " ENDPOINT } },
	/* 11 */ { PEER "AllowedIPs = ::1\nEndpoint = a b:51820\n",
		   { "4: Endpoint: 'a b:51820' " ENDPOINT } },
	/* 12 */ { PEER "AllowedIPs = ::1\nPersistentKeepalive = -1\n",
		   { "4: PersistentKeepalive: '-1' is neither off nor a number of seconds up to "
		     "65535" } },
	/* 13 */ { PEER "AllowedIPs = ::1\n" PEER "AllowedIPs = ::2\n",
		   { "4: a second [Peer]: a tenant of the gateway has one" } },
	/* 14 */ { PEER "PublicKey = " KEY("d") "\nAllowedIPs = ::1\n",
		   { "3: PublicKey: stands in line 2 already" } },
	/* 15 */ { PEER "PublicKeyFile = x\nAllowedIPs = ::1\n",
		   { "3: PublicKeyFile: line 2 gives this key already" } },
	/* 16 */ { PEER "PresharedKeyFile = gone\nAllowedIPs = ::1\n",
		   { "3: PresharedKeyFile: there is no key in 'config.d/gone'" } },
	/* 17 */ { PEER "PresharedKeyFile = open\nAllowedIPs = ::1\n",
		   { "3: PresharedKeyFile: 'config.d/open' is open to group or others: chmod 600 "
		     "config.d/open" } },
	/* 18 */ { "[Peer]\nPublicKeyFile = bad\nAllowedIPs = ::1\n",
		   { "2: PublicKeyFile: 'config.d/bad' does not hold a key (44 characters of "
		     "base64 expected)" } },
	/* 19 */ { "[Peer]\nPublicKeyFile = folder\nAllowedIPs = ::1\n",
		   { "2: PublicKeyFile: 'config.d/folder': is not a regular file" } },
	/* 20 */ { PEER "AllowedIP = ::1\n", { "3: unknown key 'AllowedIP'; is 'AllowedIPs' meant?",
		   /* and nothing about missing ones */ } },
	/* 20: the '=' at its end is not the one that is missing; the key is not quoted */
	{ PEER "AllowedIPs = ::1\npresharedkey " KEY("b") "\n",
	  { "4: '=' is missing behind 'PresharedKey'" } },
	{ PEER "AllowedIPs = ::1\nPreshared Key = " KEY("b") "\n",
	  { "4: unknown key 'Preshared Key'; is 'PresharedKey' meant?" } },
	/* 21 */ { PEER "AllowedIPs = ::1\nRateLimit = 1mbit\n",
		   { "4: 'RateLimit' belongs into [Tenant], not into [Peer]" } },
	{ PEER "AllowedIPs = ::1\nIsolate = yes\n",
	  { "4: 'Isolate' belongs into [Tenant], not into [Peer]" } },
	/* 21: where a file has both kinds of MTU, and where the section may not be */
	{ KEYS PEER "AllowedIPs = ::1\nMTU = 1400\nNetns = x\nIsolate = yes\n",
	  { "6: 'MTU' belongs into [Interface], not into [Peer]",
	    "7: 'Netns' belongs into [Container], not into [Peer]", "8: unknown key 'Isolate'" } },
	/* 21: nor to where it would be refused */
	{ KEYS PEER "AllowedIPs = ::1\nPostUp = x\n", { "6: unknown key 'PostUp'" } },
	{ PEER "AllowedIPs = ::1\nMTU = 1400\nAddress = ::2\n",
	  { "4: 'MTU' belongs into [Tenant], not into [Peer]", "5: unknown key 'Address'" } },
	/* 22 */ { PEER "AllowedIPs = ::1\n[Tenant]\nQuota = 5\nAnnounce = perhaps\n",
		   { "5: Quota: '5' has no unit: write 5GB, or another of (KB, MB, GB, "
		     "TB, or KiB, MiB, GiB, TiB; then perhaps /day, /week or /month)",
		     "6: Announce: 'perhaps' is none of: always, connected" } },
	/* 23 */ { PEER "AllowedIPs = ::1\n[Tenant]\nRateUp = 10mbps\nRateDown = 0mbit\n"
		   "RateLimit = 5\n",
		   { "5: RateUp: '10mbps' is bytes to some and bits to others: write 10mbit (bit, "
		     "kbit, mbit, gbit or tbit: bits per second)",
		     "6: RateDown: '0mbit' is not a rate from 16kbit to 1tbit, like 100mbit",
		     "7: RateLimit: '5' has no unit: write 5mbit, or another of (bit, kbit, mbit, "
		     "gbit or tbit: bits per second)" } },
	/* 24 */ { PEER "AllowedIPs = ::1\n[Tenant]\nQuotta = 5\n",
		   { "5: unknown key 'Quotta'; is 'Quota' meant?" } },
	{ PEER "AllowedIPs = ::1\n[Tenant]\nMTU = 65476\n",
		   { "5: MTU: '65476' is not a number from 576 (1280 with IPv6) to the MTU of the "
		     "gateway in berth.conf" } },
	{ PEER "AllowedIPs = ::1\n[Tenant]\nMTU = 0\n",
		   { "5: MTU: '0' is not a number from 576 (1280 with IPv6) to the MTU of the "
		     "gateway in berth.conf" } },
	{ PEER "AllowedIPs = ::1\n[Tenant]\nMTU = big\nOnSharedKey = block\n",
		   { "5: MTU: 'big' is not a number of bytes",
		     "6: OnSharedKey: 'block' is none of: notice, quarantine" } },
	{ PEER "AllowedIPs = ::1\n[Tenant]\nMTU = 1400\nMTU = 1300\n",
		   { "6: MTU: stands in line 5 already" } },
	{ KEYS "Address = 2001:db8::5/128\nMTU = 1279\n",
		   { "4: MTU: '1279' is not a number from 1280 (for an Address of IPv6) to "
		     "65475" } },
	{ KEYS "MTU = 65476\nAddress = 2001:db8::5/128\n",
		   { "3: MTU: '65476' is not a number from 1280 (for an Address of IPv6) to "
		     "65475" } },
	/* 25 */ { PEER "AllowedIPs = ::1\n[Container]\nNetns = x\n",
		   { "4: [Container] is for a tunnel of our own, and this file has no "
		     "[Interface]" } },
	/* 26 */ { KEYS "[Tenant]\n",
		   { "3: [Tenant] is for a tenant of the gateway, and this file has an "
		     "[Interface]" } },
	/* 27 */ { PEER "AllowedIPs = ::1\n[Pear]\nx = y\n",
		   { "4: unknown section 'Pear'; is 'Peer' meant?" } },
	/* 27: its key is there, and no revocation */
	{ "[Peers]\nPublicKey = " KEY("b") "\nAllowedIPs = ::1\n[Tenant]\nMTU = 1400\n",
		   { "1: unknown section 'Peers'; is 'Peer' meant?" } },
	{ "[Peers]\nPublicKeyFile = a.pub\nAllowedIPs = ::1\n",
		   { "1: unknown section 'Peers'; is 'Peer' meant?" } },
	{ "[Tenant]\nMTU = 1400\nPublicKey = " KEY("b") "\n",
		   { "3: 'PublicKey' belongs into [Peer], not into [Tenant]" } },
	{ "[Interfaces]\nPrivateKey = " KEY("b") "\n",
		   { "1: unknown section 'Interfaces'; is 'Interface' meant?" } },
	/* 28 */ { "[Interface]\n" PEER "AllowedIPs = ::1\n",
		   { "1: [Interface]: PrivateKey (or PrivateKeyFile) is missing" } },
	/* 29 */ { KEYS "DNS = 9.9.9, -x\nTable = 0\nFwMark = x\n[Container]\nNetns = x\n",
		   { "3: DNS: '9.9.9' is neither the address of a server nor a domain",
		     "3: DNS: '-x' is neither the address of a server nor a domain",
		     "4: Table: '0' is not a table for routes of ours: take another number",
		     "5: FwMark: 'x' is neither off nor a number of 32 bits" } },
	/* 30 */ { KEYS "Table = nobodys\n",
		   { "3: Table: 'nobodys' is neither auto, off, nor a number or a name in "
		     "/etc/iproute2/rt_tables" } },
	/* 31 */ { KEYS "Table = 4294967296\nMTU = 500\n",
		   { "3: Table: '4294967296' is neither auto, off, nor a number or a name in "
		     "/etc/iproute2/rt_tables",
		     "4: MTU: '500' is not a number from 576 to 65475" } },
	/* 32 */ { KEYS PEER "AllowedIPs = ::1\n" PEER "AllowedIPs = ::2\n",
		   { "7: PublicKey: the peer of line 4 has the same" } },
	/* 33 */ { KEYS PEER "AllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = " KEY("d")
		   "\nAllowedIPs = 10.0.0.0/8, 10.1.0.0/16\n",
		   { "8: AllowedIPs: another peer has 10.0.0.0/8 already (line 5)" } },
	/* 34 */ { KEYS "[Container]\nNetns = a/b\n", { "4: Netns: 'a/b' " NETNS } },
	/* 35 */ { KEYS "[Container]\nNetns = ..\n", { "4: Netns: '..' " NETNS } },
	/* 36 */ { KEYS "[Container]\nNetns = pid:x\n", { "4: Netns: 'pid:x' " NETNS } },
	/* 37 */ { KEYS "[Container]\nNetns =\n", { "4: Netns: '' " NETNS } },
	/* 38 */ { KEYS "[Container]\nName = a b\n",
		   { "4: Name: 'a b' is no name for an interface (1 to 15 characters, no '/', ':', "
		     "'%' or blank)" } },
	/* 39 */ { KEYS "PreUp = x\nPostDown = y\nSaveConfig = true\n",
		   { "3: PreUp: no commands are run; [Container] Netns says where the interface "
		     "goes",
		     "4: PostDown: no commands are run; what was installed for AllowedIPs, Table "
		     "and [Container] is removed with this file",
		     "5: SaveConfig: this file is read, never written; State in berth.conf says "
		     "where learned endpoints are kept" } },
	/* 39: long ones in parts, and yet one of each */
	{ KEYS "PostUp = " LONG "," LONG "," LONG "\nMTU = " LONG "," LONG "\n",
	  { "3: PostUp: no commands are run; routes and neighbour answers follow from AllowedIPs, "
	    "Table and [Container] Netns say where they go",
	    "4: MTU: '" LONG "' is not a number of bytes",
	    "4: MTU: is too long, and takes no list" } },
	/* 41 */ { KEYS "[Interface]\n", { "3: [Interface] stands in line 1 already" } },
	/* 41 */ { PEER "AllowedIPs = ::1\n  Endpoint = 1.2.3.4:5\n",
		   { "4: the line is indented; start it in the first column" } },
	/* 41: names are quoted as they are */
	{ PEER "AllowedIPs = ::1\n[Tenant]\n\xc3\xa9 = 1\n", { "5: unknown key '\xc3\xa9'" } },
};

START_TEST(test_bad)
{
	struct fault_list faults = { 0 };
	struct config_tenant *t;
	char expected[2048] = "";

	mkdir("config.d/folder", 0700);
	files_put("config.d/open", 0644, KEY("b") "\n");
	files_put("config.d/bad", 0600, "abc\n");
	files_put("config.d/a.pub", 0644, KEY("b") "\n");
	files_put("config.d/a.conf", 0600, bad[_i].text);
	for (size_t i = 0; i < ARRAY_SIZE(bad[_i].faults) && bad[_i].faults[i]; i++) {
		strcat(expected, "config.d/a.conf:");
		strcat(expected, bad[_i].faults[i]);
		strcat(expected, "\n");
	}
	ck_assert_int_eq(read_file(&t, "a", &faults), -EINVAL);
	ck_assert_ptr_null(t);
	files_expect(&faults, expected);
}
END_TEST

START_TEST(test_not_a_file)
{
	struct fault_list faults = { 0 };
	struct config_tenant *t;
	char *long_text = malloc(FILE_CONFIG_MAX + 1);

	mkdir("config.d/d.conf", 0700);
	ck_assert_int_eq(read_file(&t, "d", &faults), -EINVAL);
	files_expect(&faults, "config.d/d.conf: is not a regular file\n");

	memset(long_text, '\n', FILE_CONFIG_MAX + 1);
	files_write("config.d/l.conf", 0600, long_text, FILE_CONFIG_MAX + 1);
	ck_assert_int_eq(read_file(&t, "l", &faults), -EINVAL);
	files_expect(&faults, "config.d/l.conf: is too large for what it should be\n");
	free(long_text);

	/* A key file in motion: read again, with no word about it. */
	files_put("config.d/a.conf", 0600,
		  "[Peer]\nAllowedIPs=x\nPublicKeyFile=/proc/self/status\n");
	ck_assert_int_eq(read_file(&t, "a", &faults), -EAGAIN);
	ck_assert_ptr_null(t);
	ck_assert_uint_eq(faults.n_errors, 0);
	files_expect(&faults, "");
}
END_TEST

START_TEST(test_modes)
{
	struct fault_list faults = { 0 };
	struct config_tenant *t;

	/* No secret inside: anyone may read it. */
	files_put("config.d/a.conf", 0644, PEER "AllowedIPs = ::1\n");
	ck_assert_int_eq(read_file(&t, "a", &faults), 0);
	tenant_free(t);

	files_put("config.d/a.conf", 0640, PEER "AllowedIPs = ::1\nPresharedKey = " KEY("b") "\n");
	ck_assert_int_eq(read_file(&t, "a", &faults), -EINVAL);
	files_expect(&faults, "config.d/a.conf:4: PresharedKey: this file is open to group or "
			      "others: chmod 600 config.d/a.conf\n");

	/* Once per file. */
	files_put("config.d/a.conf", 0604, KEYS PEER "AllowedIPs = ::1\nPresharedKey "
						     "= " KEY("b") "\n");
	ck_assert_int_eq(read_file(&t, "a", &faults), -EINVAL);
	files_expect(&faults, "config.d/a.conf:2: PrivateKey: this file is open to group or "
			      "others: chmod 600 config.d/a.conf\n");
}
END_TEST

START_TEST(test_long_name)
{
	struct fault_list faults = { 0 };
	struct config_tenant *t;

	files_put("config.d/a-rather-long-name.conf", 0600, KEYS);
	ck_assert_int_eq(read_file(&t, "a-rather-long-name", &faults), -EINVAL);
	files_expect(&faults, "config.d/a-rather-long-name.conf:1: [Interface]: "
			      "'a-rather-long-name' is too long for the name of an interface (15 "
			      "characters): give one by Name in [Container]\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tenant_file");
	TCase *tcase = tcase_create("tenant_file");

	tcase_add_test(tcase, test_tenant);
	tcase_add_loop_test(tcase, test_rates, 0, ARRAY_SIZE(rates));
	tcase_add_test(tcase, test_key_files);
	tcase_add_test(tcase, test_keys_are_locked);
	tcase_add_test(tcase, test_tunnel);
	tcase_add_test(tcase, test_wg_quick);
	tcase_add_loop_test(tcase, test_host_routes, 0, ARRAY_SIZE(host_routes));
	tcase_add_loop_test(tcase, test_tables, 0, ARRAY_SIZE(tables));
	tcase_add_test(tcase, test_table_names);
	tcase_add_loop_test(tcase, test_places, 0, ARRAY_SIZE(places));
	tcase_add_loop_test(tcase, test_revoked, 0, ARRAY_SIZE(revoked));
	tcase_add_test(tcase, test_revoked_otherwise);
	tcase_add_test(tcase, test_warnings);
	tcase_add_loop_test(tcase, test_tunnel_warnings, 0, ARRAY_SIZE(tunnels));
	tcase_add_loop_test(tcase, test_bad, 0, ARRAY_SIZE(bad));
	tcase_add_test(tcase, test_not_a_file);
	tcase_add_test(tcase, test_modes);
	tcase_add_test(tcase, test_long_name);
	return files_run(suite, tcase);
}
