/* SPDX-License-Identifier: MIT */
/* Configuration without memory: a value is whole and right, or there is none. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../src/base/rcu.h"
#include "../src/config/claims.h"
#include "../src/config/config.h"
#include "../src/config/diff.h"
#include "../src/config/folder.h"
#include "../src/config/tenant_file.h"
#include "config_files.h"
#include "config_values.h"
#include "nomem_try.h"

RCU_PROGRAM

static const char gateway_text[] =
	"[Interface]\n"
	"Name = berth0\n"
	"PrivateKeyFile = gateway.key\n"
	"ListenPort = 51820\n"
	"Address = fd00:1::1/64\n"
	"[Router]\n"
	"Uplink = eth0\n"
	"Uplink = eth1\n"
	"Prefix = 2001:db8:dead:beef::/64\n"
	"Prefix = 198.51.100.0/24\n"
	"Tenants = config.d\n"
	"Metrics = m.prom\n"
	"State = state\n";

static const char tenant_text[] =
	"[Peer]\n"
	"PublicKeyFile = alice.pub\n"
	"PresharedKey = cHNrAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	"AllowedIPs = 2001:db8:dead:beef::1234/128, 198.51.100.77/32, 198.51.100.78/32\n"
	"[Tenant]\n"
	"RateLimit = 100mbit\n"
	"Quota = 500GB/month\n"
	"Expires = 2127-01-01T00:00:00Z\n";

static const char tunnel_text[] =
	"[Interface]\n"
	"PrivateKeyFile = home.key\n"
	"Address = 2001:db8:dead:beef::1234/128, 198.51.100.77/32\n"
	"DNS = 2001:4860:4860::8888, 192.0.2.53, example.org\n"
	"[Container]\n"
	"Netns = chatmail\n"
	"Name = wg0\n"
	"[Peer]\n"
	"PublicKey = Z2F0ZQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	"Endpoint = vps.example.com:51820\n"
	"AllowedIPs = ::/0, 0.0.0.0/0\n"
	"[Peer]\n"
	"PublicKey = Z2F0ZTIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	"AllowedIPs = 10.0.0.0/8\n";

static const char key_text[] = "YWxpY2UAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

static struct fault_list faults;
static int dirfd = -1;

static void put_files(void)
{
	files_put("gateway.key", 0600, key_text);
	files_put("gate.conf", 0600, gateway_text);
	files_put("config.d/alice.pub", 0600, key_text);
	files_put("config.d/home.key", 0600, key_text);
	files_put("config.d/alice.conf", 0600, tenant_text);
	files_put("config.d/home.conf", 0600, tunnel_text);
	files_put("config.d/revoked.conf", 0600, "[Peer]\nPublicKey =\n");
	if (dirfd < 0)
		dirfd = open("config.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dirfd, 0);
}

/* berth.conf */

static struct config_router *router;

static int read_router(void)
{
	return router_read(&router, "gate.conf", &faults);
}

static void check_router(int err)
{
	ck_assert_uint_eq(faults.n_errors, 0);
	fault_list_free(&faults);
	if (err) {
		ck_assert_ptr_null(router);
		return;
	}
	ck_assert(router->gateway);
	ck_assert_str_eq(router->name, "berth0");
	ck_assert_str_eq(router->tenants, "config.d");
	ck_assert_str_eq(router->metrics, "m.prom");
	ck_assert_str_eq(router->state, "state");
	ck_assert_str_eq(router->control, "/run/berth/control.sock");
	ck_assert_uint_eq(router->n_uplinks, 2);
	ck_assert_uint_eq(router->prefixes.n, 2);
	ck_assert_uint_eq(router->addresses.n, 1);
	ck_assert_uint_eq(router->private_key[0], 'a');
}

static void free_router(void)
{
	router_free(router);
	router = NULL;
}

START_TEST(test_router)
{
	static const struct nomem_work w = { .name = "berth.conf", .work = read_router,
					     .check = check_router, .after = free_router };

	put_files();
	ck_assert_uint_gt(nomem_try(&w), NOMEM_LEAST(10));
}
END_TEST

/* A file of config.d: what it says is what it says with memory at hand. */

static const char *name;
static struct config_tenant *tenant, *reference;

static int read_tenant(void)
{
	return tenant_file_read(&tenant, dirfd, "config.d", name, &faults);
}

static void check_tenant(int err)
{
	struct change_list list = { 0 };

	/* No memory is no fault of the file, and must never look like a revocation. */
	ck_assert_uint_eq(faults.n_errors, 0);
	fault_list_free(&faults);
	if (err) {
		ck_assert_ptr_null(tenant);
		return;
	}
	ck_assert_int_eq(tenant->state, reference->state);
	ck_assert_int_eq(diff_tenant(reference, tenant, &list), 0);
	ck_assert_uint_eq(list.n, 0);
	ck_assert_uint_eq(tenant->n_key_files, reference->n_key_files);
	ck_assert_int_eq(tenant->expires, reference->expires);
	ck_assert_int_eq(tenant->kind, reference->kind);
	if (tenant->kind != TENANT_TUNNEL)
		return;
	ck_assert_uint_eq(diff_link(reference, tenant), 0);
	ck_assert_str_eq(tenant->tunnel->dns_servers, reference->tunnel->dns_servers);
	ck_assert_str_eq(tenant->tunnel->dns_search, reference->tunnel->dns_search);
	ck_assert_str_eq(tenant->peers[0].endpoint, reference->peers[0].endpoint);
}

static void free_tenant(void)
{
	tenant_free(tenant);
	tenant = NULL;
}

START_TEST(test_tenant)
{
	static const char *const names[] = { "alice", "home", "revoked", "gone" };
	static const struct nomem_work w = { .name = "a file of config.d", .work = read_tenant,
					     .check = check_tenant, .after = free_tenant };

	put_files();
	name = names[_i];
	ck_assert_int_eq(tenant_file_read(&reference, dirfd, "config.d", name, &faults), 0);
	ck_assert_uint_gt(nomem_try(&w), 1);
	tenant_free(reference);
}
END_TEST

/* Faulty ones: an error whatever happens, and every fault that is told is whole. */

static struct folder folder;

static int check_all(void)
{
	int err = config_check("gate.conf", &faults);

	for (size_t i = 0; i < faults.n; i++)
		if (!faults.faults[i].file || !faults.faults[i].text)
			err = -EPROTO;
	fault_list_free(&faults);
	/* What is good stays good, and what is faulty never becomes good. */
	if (err == -EINVAL)
		return 0;
	return err ? err : -EPROTO;
}

START_TEST(test_check)
{
	static const struct nomem_work w = { .name = "berthd -n", .work = check_all };

	put_files();
	files_put("config.d/mallory.conf", 0600, tenant_text);
	files_put("config.d/broken.conf", 0600, "[Peer]\nAllowedIPs = 10/33\nX = 1\n");
	ck_assert_uint_gt(nomem_try(&w), 50);
}
END_TEST

/* The folder */

static int read_folder(void)
{
	return folder_read(&folder, "config.d", &faults);
}

static void check_folder(int err)
{
	fault_list_free(&faults);
	ck_assert_int_eq(folder.dirfd >= 0, !err);
	ck_assert_uint_eq(folder.n, err ? 0 : 53);
}

static void free_folder(void)
{
	folder_free(&folder);
}

START_TEST(test_folder)
{
	static const struct nomem_work w = { .name = "the folder", .work = read_folder,
					     .check = check_folder, .after = free_folder,
					     .or_else = -EINVAL };
	char path[64];

	put_files();
	unlink("config.d/mallory.conf");
	unlink("config.d/broken.conf");
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "config.d/x%d.conf", i);
		files_put(path, 0600, tenant_text);
	}
	ck_assert_uint_gt(nomem_try(&w), 2);
}
END_TEST

/* Claims: a tenant has what it had, or what it wants, or nothing of it. */

static struct claims *claims;
static struct config_tenant *before, *wanted;

static void hold(void)
{
	claims = claims_new();
	ck_assert_ptr_nonnull(claims);
	ck_assert_int_eq(claims_try(claims, before, &faults), 0);
}

static int claim(void)
{
	return claims_try(claims, wanted, &faults);
}

/* All that it says, or nothing of it, is held. */
static bool is_held(const struct config_tenant *conf)
{
	const struct config_ranges *ips = &conf->peers[0].allowed_ips;
	uint32_t n = 0;

	for (uint32_t i = 0; i < ips->n; i++)
		n += claims_holder(claims, &ips->v[i].prefix) != NULL;
	ck_assert(!n || n == ips->n);
	return n;
}

static void check_claims(int err)
{
	bool holds = claims_has(claims, "alice");

	ck_assert_uint_eq(faults.n, 0);
	if (!err)
		ck_assert(holds);
	ck_assert_int_eq(is_held(before), holds && err);
	ck_assert_int_eq(is_held(wanted), holds && !err);
}

static void free_claims(void)
{
	claims_free(claims);
}

START_TEST(test_claims)
{
	static const struct nomem_work w = { .name = "claims", .before = hold, .work = claim,
					     .check = check_claims, .after = free_claims };

	before = make("alice", 1, "10.0.0.1/32, 10.0.0.2/32");
	wanted = make("alice", 2, "10.0.1.1/32, 10.0.1.2/32, 10.0.1.3/32");
	ck_assert_uint_gt(nomem_try(&w), 5);
	tenant_free(before);
	tenant_free(wanted);
}
END_TEST

/* The difference: all changes, or an error. */

static struct change_list list;

static int diff(void)
{
	return diff_tenant(before, wanted, &list);
}

static void check_diff(int err)
{
	if (!err)
		ck_assert_uint_ge(list.n, 3);
	change_list_free(&list);
}

START_TEST(test_diff)
{
	static const struct nomem_work w = { .name = "diff", .work = diff, .check = check_diff };

	before = make_tunnel("t", "net", "wg0");
	make_peer(before, 1, "10.0.0.0/24, 10.0.1.0/24, 10.0.2.0/24");
	make_peer(before, 2, "fd00::/64");
	wanted = make_tunnel("t", "net", "wg0");
	wanted->tunnel->private_key[0] = 1;
	make_peer(wanted, 1, "10.0.0.0/24, 10.0.5.0/24");
	make_peer(wanted, 3, "fd00::/64, fd01::/64, fd02::/64, fd03::/64, fd04::/64");
	ck_assert_uint_gt(nomem_try(&w), NOMEM_LEAST(5));
	tenant_free(before);
	tenant_free(wanted);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nomem_config");
	TCase *tcase = tcase_create("every allocation fails");

	tcase_add_test(tcase, test_router);
	tcase_add_loop_test(tcase, test_tenant, 0, 4);
	tcase_add_test(tcase, test_check);
	tcase_add_test(tcase, test_folder);
	tcase_add_test(tcase, test_claims);
	tcase_add_test(tcase, test_diff);
	return files_run(suite, tcase);
}
