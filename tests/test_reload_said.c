/* SPDX-License-Identifier: MIT */
/* What the log says of a file that comes, changes or goes: once, and of nobody else. */
#include <sodium.h>

#include "reload_lab.h"

/* The private key that put_tunnel() writes: key_text(77). */
#define TUNNEL_KEY "AE0BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* The log has a word for its level. */
START_TEST(a_warning_says_so_once)
{
	files_put("config.d/a.conf", 0600, tenant_text(1, "203.0.113.1/31"));
	fence();
	ck_assert_msg(has_logged("config.d/a.conf:3: AllowedIPs: '203.0.113.1/31' means the whole"),
		      "%s", logged);
	ck_assert(!has_logged("warning"));
}
END_TEST

/* Who mends a fault by going back hears that, too: else the fault is the last word. */
START_TEST(mended_by_what_was_there_before)
{
	put("a", 1, "2001:db8::1");
	fence();
	run("cp config.d/a.conf a.orig; echo broken >> config.d/a.conf");
	fence();
	ck_assert(has_logged("tenant a: keeps its last good configuration"));
	run("cp a.orig config.d/a.conf");
	fence();
	ck_assert_msg(has_logged("tenant a: its file is good again, and says what is in force"),
		      "%s", show_all());
	ck_assert(!has_logged("tenant a: changed"));
}
END_TEST

#define PEER1 "[Peer]\nPublicKey = " TUNNEL_KEY "\n"
#define PEER2 "[Peer]\nPublicKey = AFgBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define SECRET "cccccccccccccccccccccccccccccccccccccccccc8="
#define TUNNEL "[Interface]\nPrivateKey = " SECRET "\n"

static const struct difference {
	const char *before, *after, *said;
} differences[] = {
	{ PEER1 "AllowedIPs = 2001:db8::1", PEER1 "AllowedIPs = 2001:db8::2",
	  "tenant a: changed: AllowedIPs\n" },
	{ PEER1 "AllowedIPs = 2001:db8::1", PEER1 "AllowedIPs = 2001:db8::1, 203.0.113.1",
	  "tenant a: changed: AllowedIPs\n" },
	{ PEER1 "AllowedIPs = 2001:db8::1", PEER2 "AllowedIPs = 2001:db8::1",
	  "tenant a: changed: PublicKey\n" },
	{ PEER1 "AllowedIPs = 2001:db8::1", PEER2 "PresharedKey = " SECRET "\nAllowedIPs = 2001:db8::2",
	  "tenant a: changed: PublicKey, PresharedKey, AllowedIPs\n" },
	{ PEER1 "AllowedIPs = 2001:db8::1",
	  PEER1 "AllowedIPs = 2001:db8::1\nEndpoint = 192.0.2.1:1\nPersistentKeepalive = 25",
	  "tenant a: changed: Endpoint, PersistentKeepalive\n" },
	{ PEER1 "AllowedIPs = 2001:db8::1",
	  PEER1 "AllowedIPs = 2001:db8::1\n[Tenant]\nRateLimit = 1mbit\nQuota = 1GB\n"
	  "Announce = connected\nIsolate = yes\nExpires = 2999-01-01\nOnSharedKey = quarantine",
	  "tenant a: changed: Announce, Isolate, OnSharedKey, RateLimit, Quota, Expires\n" },
	{ PEER1 "AllowedIPs = 2001:db8::1\n[Tenant]\nRateUp = 1mbit",
	  PEER1 "AllowedIPs = 2001:db8::1\n[Tenant]\nRateUp = 2mbit", "tenant a: changed: RateUp\n" },
	{ PEER1 "AllowedIPs = 2001:db8::1", TUNNEL, "tunnel a: changed: it was a tenant\n" },
	{ TUNNEL, TUNNEL "Address = 192.0.2.1\nListenPort = 7\nMTU = 1400\nTable = off\nFwMark = 7",
	  "tunnel a: changed: Address, ListenPort, FwMark, Table, MTU\n" },
	{ TUNNEL PEER1 "AllowedIPs = ::/0", TUNNEL PEER1 "AllowedIPs = ::/1\nEndpoint = a.example:1",
	  "tunnel a: changed: AllowedIPs, Endpoint\n" },
	{ TUNNEL PEER1 "AllowedIPs = ::/0", TUNNEL PEER1 "AllowedIPs = ::/0\n" PEER2
	  "AllowedIPs = 192.0.2.1", "tunnel a: changed: PublicKey\n" },
	{ TUNNEL, TUNNEL "[Container]\nNetns = box\nName = wg7", "tunnel a: changed: Name, Netns\n" },
	{ TUNNEL, "[Interface]\nPrivateKey = " TUNNEL_KEY "\nDNS = 192.0.2.53\n",
	  "tunnel a: changed: PrivateKey, DNS\n" },
};

START_TEST(changes_are_said)
{
	const struct difference *d = &differences[_i];

	files_put("config.d/a.conf", 0600, d->before);
	fence();
	ck_assert_msg(!has_logged("changed"), "%s", show_all());
	files_put("config.d/a.conf", 0600, d->after);
	fence();
	ck_assert_msg(has_logged(d->said), "%s", show_all());
}
END_TEST

static void on_all_read(void *arg)
{
	*(bool *)arg = true;
}

/* Of many thousands that are the same a reload says nothing. */
START_TEST(what_stays_is_not_said)
{
	bool read = false;

	put("a", 1, "2001:db8::1, 203.0.113.1");
	put_tunnel("t", "wg0");
	fence();
	logged[0] = '\0';
	run("touch config.d/a.conf config.d/t.conf");
	fence();
	reload_on_read(reload, on_all_read, &read);
	reload_all(reload);
	wait_for(read);
	ck_assert_msg(!has_logged(" a: ") && !has_logged(" t: "), "%s", show_all());
}
END_TEST

static const struct naming {
	const char *ips, *said;
} namings[] = {
	{ "", "added, no address\n" },
	{ "2001:db8::1", "added, 2001:db8::1/128\n" },
	{ "2001:db8::1, 2001:db8::2, 2001:db8::3, 203.0.113.1",
	  "added, 203.0.113.1/32, 2001:db8::1/128, 2001:db8::2/128, 2001:db8::3/128\n" },
	{ "2001:db8::1, 2001:db8::2, 2001:db8::3, 203.0.113.1, 203.0.113.2",
	  "added, 203.0.113.1/32 and 4 more\n" },
};

START_TEST(addresses_are_named)
{
	put("a", 1, namings[_i].ips);
	fence();
	ck_assert_msg(has_logged(namings[_i].said), "%s", show_all());
}
END_TEST

START_TEST(a_tunnel_is_called_so)
{
	put_tunnel("t", "wg0");
	fence();
	run("echo broken >> config.d/t.conf");
	fence();
	ck_assert_msg(has_logged("tunnel t: keeps its last good configuration"), "%s", show_all());
	ck_assert(!has_logged("tenant t"));
	put_tunnel("t", "wg1");
	put_tunnel("u", "wg0");
	fence();
	put_tunnel("u", "wg1");
	fence();
	ck_assert_msg(has_logged("tunnel u: keeps its last good configuration"), "%s", show_all());
}
END_TEST

/* The public key of a private one, in base64. */
static const char *public_text(const uint8_t private_key[32])
{
	static char text[KEY_BASE64_STRLEN];
	uint8_t key[32];

	ck_assert_int_eq(crypto_scalarmult_base(key, private_key), 0);
	return key_to_base64(key, text);
}

/* A device would leave out such a peer without a word. */
static const struct own_key {
	const char *text; /* up to the key */
	bool gateway;     /* it is the gateway's, else that of TUNNEL_KEY */
	const char *fault;
} own_keys[] = {
	{ "[Peer]\nAllowedIPs = 2001:db8::1\nPublicKey = ", true,
	  "config.d/a.conf:3: PublicKey: this is the gateway's own key" },
	{ "[Interface]\nPrivateKey = " TUNNEL_KEY "\n[Peer]\nAllowedIPs = ::/0\nPublicKey = ", true,
	  "config.d/a.conf:5: PublicKey: this is the gateway's own key" },
	{ "[Interface]\nPrivateKey = " TUNNEL_KEY "\n[Peer]\nAllowedIPs = ::/0\nPublicKey = ", false,
	  "config.d/a.conf:5: PublicKey: this is the tunnel's own key, of its PrivateKey" },
};

START_TEST(nobody_is_his_own_peer)
{
	const struct own_key *own = &own_keys[_i];
	uint8_t tunnel_key[32];
	char text[512], why[256];

	ck_assert_int_eq(key_from_base64(tunnel_key, TUNNEL_KEY), 0);
	put("b", 2, "2001:db8::2");
	snprintf(text, sizeof(text), "%s%s\n", own->text,
		 public_text(own->gateway ? router.private_key : tunnel_key));
	files_put("config.d/a.conf", 0600, text);
	expect("b 0002 2001:db8::2/128;");
	ck_assert_msg(has_logged(own->fault), "%s", show_all());
	ck_assert(reload_refused(reload, "a", why, sizeof(why)));
	ck_assert_str_eq(why, own->fault);
	ck_assert_ptr_null(fake_tunnel("a"));
	ck_assert_uint_eq(counts().tunnels, 0);
	put("a", 1, "2001:db8::1");
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload_said");
	TCase *tc = tcase_create("said");

	tcase_add_checked_fixture(tc, begin_open, end);
	tcase_set_timeout(tc, 90);
	tcase_add_test(tc, a_warning_says_so_once);
	tcase_add_test(tc, mended_by_what_was_there_before);
	tcase_add_loop_test(tc, changes_are_said, 0, ARRAY_SIZE(differences));
	tcase_add_test(tc, what_stays_is_not_said);
	tcase_add_loop_test(tc, addresses_are_named, 0, ARRAY_SIZE(namings));
	tcase_add_test(tc, a_tunnel_is_called_so);
	tcase_add_loop_test(tc, nobody_is_his_own_peer, 0, ARRAY_SIZE(own_keys));
	suite_add_tcase(suite, tc);
	return files_run_all(suite);
}
