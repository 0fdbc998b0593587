/* SPDX-License-Identifier: MIT */
/* From old to new: as little as possible, in an order that works. */
#include "../src/config/diff.h"
#include "config_files.h"
#include "config_values.h"

/* Changes as text, one line each. */
static void expect(const struct config_tenant *old, const struct config_tenant *new,
		   const char *expected)
{
	struct change_list list = { 0 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_int_eq(diff_tenant(old, new, &list), 0);
	for (size_t i = 0; i < list.n; i++) {
		const struct change *c = &list.changes[i];
		char buf[ENDPOINT_STRLEN];

		ck_assert_str_eq(c->name, (new ? new : old)->name);
		if (c->kind != CHANGE_PEER) {
			fprintf(out, "%s %u\n", c->kind == CHANGE_PRIVATE_KEY ? "key" :
				c->kind == CHANGE_FWMARK ? "mark" : "port",
				c->kind == CHANGE_PRIVATE_KEY ? c->key[0] : c->number);
			continue;
		}
		ck_assert(!(c->flags & PEER_MAY_TAKE));
		fprintf(out, "%s %u", c->flags & PEER_REMOVE ? "remove" :
			c->flags & PEER_UPDATE_ONLY ? "update" : "add", c->key[0]);
		if (c->flags & PEER_HAS_PRESHARED_KEY)
			fprintf(out, " psk=%u", c->preshared_key[0]);
		if (c->flags & PEER_HAS_KEEPALIVE)
			fprintf(out, " keepalive=%u", c->keepalive);
		if (c->flags & PEER_HAS_ANNOUNCE)
			fprintf(out, " announce=%d", c->announce);
		if (c->flags & PEER_HAS_ISOLATE)
			fprintf(out, " isolate=%d", c->isolate);
		if (c->flags & PEER_HAS_MTU)
			fprintf(out, " mtu=%u", c->mtu);
		if (c->flags & PEER_HAS_QUARANTINE)
			fprintf(out, " quarantine=%d", c->quarantine);
		if (c->flags & PEER_HAS_LIMITS)
			fprintf(out, " up=%lu down=%lu", c->limits.rate_up, c->limits.rate_down);
		if (c->flags & PEER_HAS_ENDPOINT)
			fprintf(out, " endpoint=%s", endpoint_format(&c->endpoint, buf));
		if (c->flags & PEER_REPLACE_ALLOWED_IPS)
			fprintf(out, " ips=");
		for (size_t k = 0; k < c->n_allowed_ips; k++)
			fprintf(out, "%s%s", k ? "," : "", prefix_format(&c->allowed_ips[k], buf));
		fprintf(out, "\n");
	}
	fclose(out);
	ck_assert_str_eq(text, expected);
	free(text);
	change_list_free(&list);
}

START_TEST(test_tenant)
{
	struct config_tenant *a = make("t", 1, "10.0.0.1,::1"), *b = make("t", 1, "::1,10.0.0.1");
	struct config_tenant *gone = make_tenant("t");
	struct limits limits = { .rate_down = 5 };

	gone->state = TENANT_REVOKED;
	expect(NULL, NULL, "");
	expect(NULL, gone, "");
	expect(gone, NULL, "");
	expect(NULL, a, "add 1 psk=0 keepalive=0 ips=10.0.0.1/32,::1/128\n");
	expect(gone, a, "add 1 psk=0 keepalive=0 ips=10.0.0.1/32,::1/128\n");
	expect(a, NULL, "remove 1\n");
	expect(a, gone, "remove 1\n");
	b->announce = ANNOUNCE_CONNECTED;
	expect(NULL, b, "add 1 psk=0 keepalive=0 announce=2 ips=10.0.0.1/32,::1/128\n");
	expect(a, b, "update 1 announce=2\n");
	expect(b, a, "update 1 announce=0\n");
	b->announce = ANNOUNCE_DEFAULT;
	b->isolate = ISOLATE_YES;
	expect(NULL, b, "add 1 psk=0 keepalive=0 isolate=2 ips=10.0.0.1/32,::1/128\n");
	expect(a, b, "update 1 isolate=2\n");
	expect(b, a, "update 1 isolate=0\n");
	b->isolate = ISOLATE_DEFAULT;
	b->mtu = 1300;
	b->quarantine = true;
	expect(NULL, b, "add 1 psk=0 keepalive=0 mtu=1300 quarantine=1 ips=10.0.0.1/32,::1/128\n");
	expect(a, b, "update 1 mtu=1300 quarantine=1\n");
	b->quarantine = false;
	expect(b, a, "update 1 mtu=0\n");
	b->mtu = 0;
	a->quarantine = true;
	expect(a, b, "update 1 quarantine=0\n");
	a->quarantine = false;
	b->limits = &limits;
	expect(NULL, b, "add 1 psk=0 keepalive=0 up=0 down=5 ips=10.0.0.1/32,::1/128\n");
	expect(a, b, "update 1 up=0 down=5\n");
	expect(b, a, "update 1 up=0 down=0\n");
	expect(b, b, "");
	b->limits = NULL;
	expect(a, a, "");
	expect(a, b, ""); /* the order of a list is none */
	tenant_make_preshared_key(&b->peers[0])[0] = 3;
	expect(a, b, "update 1 psk=3\n");
	expect(b, a, "update 1 psk=0\n"); /* all zero: removed */
	b->peers[0].keepalive = 25;
	expect(a, b, "update 1 psk=3 keepalive=25\n");
	b->peers[0].public_key[0] = 2;
	expect(a, b, "remove 1\nadd 2 psk=3 keepalive=25 ips=10.0.0.1/32,::1/128\n");
	tenant_free(a);
	tenant_free(b);
	tenant_free(gone);
}
END_TEST

START_TEST(test_ranges)
{
	struct config_tenant *a = make("t", 1, "10.0.0.1,10.0.0.2");
	struct config_tenant *b = make("t", 1, "10.0.0.2,10.0.0.3");
	struct config_tenant *none = make("t", 1, ""), *shorter = make("t", 1, "10.0.0.2/31");

	/* In one change, so that no packet meets half of it. */
	expect(a, b, "update 1 ips=10.0.0.2/32,10.0.0.3/32\n");
	expect(a, none, "update 1 ips=\n");
	expect(none, a, "update 1 ips=10.0.0.1/32,10.0.0.2/32\n");
	expect(b, shorter, "update 1 ips=10.0.0.2/31\n");
	/* That a range moved to another line is no change. */
	b->peers[0].allowed_ips.v[0].line = 77;
	expect(b, b, "");
	tenant_free(a);
	tenant_free(b);
	tenant_free(none);
	tenant_free(shorter);
}
END_TEST

START_TEST(test_endpoint)
{
	static const struct {
		const char *old, *new, *changes;
	} table[] = {
		/* 0 */ { NULL, "192.0.2.1:5", "update 1 endpoint=192.0.2.1:5\n" },
		/* 1 */ { "192.0.2.1:5", "192.0.2.1:5", "" },
		/* 2 */ { "192.0.2.1:5", "[2001:db8::1]:5", "update 1 endpoint=[2001:db8::1]:5\n" },
		/* 3: what was learned stays */ { "192.0.2.1:5", NULL, "" },
		/* 4: names are looked up elsewhere */ { "192.0.2.1:5", "host:5", "" },
		/* 5 */ { "host:5", "192.0.2.1:5", "update 1 endpoint=192.0.2.1:5\n" },
		/* 6: the same, written differently */
		{ "[2001:db8::1]:5", "[2001:DB8:0::1]:05", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct config_tenant *a = make("t", 1, "::1"), *b = make("t", 1, "::1");

		a->peers[0].endpoint = table[i].old ? strdup(table[i].old) : NULL;
		b->peers[0].endpoint = table[i].new ? strdup(table[i].new) : NULL;
		expect(a, b, table[i].changes);
		tenant_free(a);
		tenant_free(b);
	}
}
END_TEST

START_TEST(test_tunnel)
{
	struct config_tenant *a = make_tunnel("t", NULL, "wg0"), *b = make_tunnel("t", NULL, "wg0");

	make_peer(a, 1, "10.0.0.1,10.0.0.2,10.0.0.9");
	make_peer(a, 2, "10.0.0.3");
	make_peer(a, 3, "10.0.0.4");
	make_peer(b, 1, "10.0.0.1,10.0.0.3"); /* swaps with the next one */
	make_peer(b, 2, "10.0.0.2,10.0.0.4");
	make_peer(b, 4, "10.0.0.9");
	expect(NULL, b, "key 9\n"
			"add 1 psk=0 keepalive=0 ips=10.0.0.1/32,10.0.0.3/32\n"
			"add 2 psk=0 keepalive=0 ips=10.0.0.2/32,10.0.0.4/32\n"
			"add 4 psk=0 keepalive=0 ips=10.0.0.9/32\n");
	expect(a, b, "remove 3\n"
		     "update 1 ips=10.0.0.1/32\n"
		     "update 2 ips=\n"
		     "update 1 ips=10.0.0.1/32,10.0.0.3/32\n"
		     "update 2 ips=10.0.0.2/32,10.0.0.4/32\n"
		     "add 4 psk=0 keepalive=0 ips=10.0.0.9/32\n");
	expect(b, b, "");
	expect(b, NULL, "remove 1\nremove 2\nremove 4\n");
	b->tunnel->private_key[0] = 8;
	b->tunnel->listen_port = 5000;
	tenant_drop_peer(b, 0);
	tenant_drop_peer(b, 0);
	tenant_drop_peer(b, 0);
	b->tunnel->fwmark = 7;
	expect(b, a, "key 9\nmark 0\nport 0\n"
		     "add 1 psk=0 keepalive=0 ips=10.0.0.1/32,10.0.0.2/32,10.0.0.9/32\n"
		     "add 2 psk=0 keepalive=0 ips=10.0.0.3/32\n"
		     "add 3 psk=0 keepalive=0 ips=10.0.0.4/32\n");
	b->tunnel->fwmark = 0;
	expect(a, b, "key 8\nport 5000\nremove 1\nremove 2\nremove 3\n");
	tenant_free(a);
	tenant_free(b);
	/* With a default route of the host, a mark for those that must not go there. */
	a = make_tunnel("t", NULL, "wg0");
	make_peer(a, 1, "10.0.0.0/8");
	b = make_tunnel("t", NULL, "wg0");
	make_peer(b, 1, "0.0.0.0/0");
	expect(NULL, b, "key 9\nmark 51820\nadd 1 psk=0 keepalive=0 ips=0.0.0.0/0\n");
	expect(a, b, "mark 51820\nupdate 1 ips=\nupdate 1 ips=0.0.0.0/0\n");
	expect(b, a, "mark 0\nupdate 1 ips=\nupdate 1 ips=10.0.0.0/8\n");
	tenant_free(a);
	tenant_free(b);
}
END_TEST

START_TEST(test_link)
{
	struct config_tenant *a = make_tunnel("t", "mail", "wg0");
	struct config_tenant *b = make_tunnel("t", "mail", "wg0");
	struct fault_list faults = { 0 };
	struct rules_where where = { "f", 1, "Address", &faults };

	ck_assert_uint_eq(diff_link(a, b), 0);
	b->tunnel->mtu = 1400;
	ck_assert_uint_eq(diff_link(a, b), DIFF_LINK_MTU);
	strcpy(b->tunnel->ifname, "wg1");
	ck_assert_uint_eq(diff_link(a, b), DIFF_LINK_MTU | DIFF_LINK_PLACE);
	strcpy(b->tunnel->ifname, "wg0");
	b->tunnel->mtu = 1420;
	b->tunnel->netns[0] = 'n';
	ck_assert_uint_eq(diff_link(a, b), DIFF_LINK_PLACE);
	b->tunnel->netns[0] = 'm';
	ck_assert_int_eq(value_addresses(&where, "::1/64", &b->tunnel->addresses), 0);
	ck_assert_uint_eq(diff_link(a, b), DIFF_LINK_ADDRESSES);
	ck_assert_int_eq(value_addresses(&where, "::1/64", &a->tunnel->addresses), 0);
	make_peer(b, 1, "10.0.0.0/8");
	ck_assert_uint_eq(diff_link(a, b), DIFF_LINK_ROUTES);
	ck_assert_uint_eq(diff_link(b, a), DIFF_LINK_ROUTES);
	make_peer(a, 2, "10.0.0.0/8"); /* by another peer, but the same route */
	ck_assert_uint_eq(diff_link(a, b), 0);
	a->tunnel->table_kind = TUNNEL_TABLE_OFF;
	ck_assert_uint_eq(diff_link(a, b), DIFF_LINK_ROUTES);
	a->tunnel->table_kind = b->tunnel->table_kind = TUNNEL_TABLE_NUMBER;
	b->tunnel->table = 7;
	ck_assert_uint_eq(diff_link(a, b), DIFF_LINK_ROUTES);
	a->tunnel->table = 7;
	ck_assert_uint_eq(diff_link(a, b), 0);
	a->tunnel->fwmark = 9;
	ck_assert_uint_eq(diff_link(a, b), DIFF_LINK_ROUTES);
	tenant_free(a);
	tenant_free(b);
}
END_TEST

/*
 * A device, naively: which peer has which of a few addresses. Applying the
 * changes one by one must never meet an address that another peer still has.
 */
enum { PEERS = 6, HOSTS = 10 };

struct model {
	bool there[PEERS + 1];
	uint8_t psk[PEERS + 1];
	unsigned owner[HOSTS]; /* 0: nobody */
};

static void apply(struct model *m, const struct change *c)
{
	unsigned key = c->key[0];

	if (c->kind != CHANGE_PEER)
		return;
	if (c->flags & PEER_UPDATE_ONLY)
		ck_assert(m->there[key]);
	m->there[key] = !(c->flags & PEER_REMOVE);
	if (c->flags & PEER_HAS_PRESHARED_KEY)
		m->psk[key] = c->preshared_key[0];
	for (unsigned i = 0; i < HOSTS; i++) {
		if (m->owner[i] == key && (c->flags & (PEER_REPLACE_ALLOWED_IPS | PEER_REMOVE)))
			m->owner[i] = 0;
	}
	for (size_t i = 0; i < c->n_allowed_ips; i++) {
		unsigned host = c->allowed_ips[i].addr[3];

		ck_assert_uint_eq(m->owner[host], 0);
		m->owner[host] = key;
	}
}

static struct config_tenant *make_random(uint32_t *seed, struct model *m)
{
	struct config_tenant *tenant = make_tunnel("t", NULL, "wg0");

	*m = (struct model){ 0 };
	for (unsigned i = 0; i < HOSTS; i++)
		m->owner[i] = next_random(seed) % (PEERS + 1);
	for (unsigned key = 1; key <= PEERS; key++) {
		char ranges[HOSTS * 12] = "";
		struct config_peer *peer;

		m->there[key] = next_random(seed) % 4 != 0;
		for (unsigned i = 0; i < HOSTS; i++) {
			size_t len = strlen(ranges);

			if (m->owner[i] == key && m->there[key])
				snprintf(ranges + len, sizeof(ranges) - len, "%s10.0.0.%u",
					 len ? "," : "", i);
			else if (m->owner[i] == key)
				m->owner[i] = 0;
		}
		if (!m->there[key])
			continue;
		peer = make_peer(tenant, key, ranges);
		tenant_make_preshared_key(peer)[0] = m->psk[key] = next_random(seed) % 3;
	}
	return tenant;
}

START_TEST(test_against_model)
{
	struct model is = { 0 }, wanted;
	struct config_tenant *old = NULL;
	uint32_t seed = 11;

	for (int round = 0; round < 5000; round++) {
		struct config_tenant *new = make_random(&seed, &wanted);
		struct change_list list = { 0 };

		ck_assert_int_eq(diff_tenant(old, new, &list), 0);
		for (size_t i = 0; i < list.n; i++)
			apply(&is, &list.changes[i]);
		for (unsigned key = 1; key <= PEERS; key++) {
			ck_assert_int_eq(is.there[key], wanted.there[key]);
			if (is.there[key])
				ck_assert_uint_eq(is.psk[key], wanted.psk[key]);
		}
		ck_assert_mem_eq(is.owner, wanted.owner, sizeof(is.owner));
		change_list_free(&list);
		tenant_free(old);
		old = new;
	}
	tenant_free(old);
}
END_TEST

/* The list itself. */
START_TEST(test_list)
{
	struct change_list list = { 0 };
	struct prefix prefix = { .family = 2, .cidr = 32 };

	for (unsigned i = 0; i < 100; i++) {
		struct change *c = change_add(&list, CHANGE_PEER);

		ck_assert_ptr_nonnull(c);
		ck_assert_uint_eq(c->flags, 0);
		c->key[0] = i;
		for (unsigned k = 0; k < i; k++) {
			prefix.addr[0] = k;
			ck_assert_int_eq(change_add_allowed_ip(c, &prefix), 0);
		}
	}
	ck_assert_uint_eq(list.n, 100);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(list.changes[i].key[0], i);
		ck_assert_uint_eq(list.changes[i].n_allowed_ips, i);
		for (unsigned k = 0; k < i; k++)
			ck_assert_uint_eq(list.changes[i].allowed_ips[k].addr[0], k);
	}
	change_list_free(&list);
	ck_assert_uint_eq(list.n, 0);
	ck_assert_ptr_nonnull(change_add(&list, CHANGE_REMOVE_PEERS));
	change_list_free(&list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diff");
	TCase *tcase = tcase_create("diff");

	tcase_add_test(tcase, test_tenant);
	tcase_add_test(tcase, test_ranges);
	tcase_add_test(tcase, test_endpoint);
	tcase_add_test(tcase, test_tunnel);
	tcase_add_test(tcase, test_link);
	tcase_add_test(tcase, test_against_model);
	tcase_add_test(tcase, test_list);
	return files_run(suite, tcase);
}
