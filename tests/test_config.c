/* SPDX-License-Identifier: MIT */
/* The whole: a folder as `berthd -n` sees it, and the examples that come with berth. */
#include <errno.h>

#include "../src/config/config.h"
#include "../src/config/folder.h"
#include "config_files.h"

#define GATEWAY "[Interface]\nPrivateKey = " KEY("b") "\nAddress = 10.0.0.1/24\n" \
		"[Router]\nPrefix = 2001:db8::/64, 10.0.0.0/24\n"
#define TENANT(key, ips) "[Peer]\nPublicKey = " KEY(key) "\nAllowedIPs = " ips "\n"

static void expect(int result, const char *expected)
{
	struct fault_list faults = { 0 };

	ck_assert_int_eq(config_check("berth.conf", &faults), result);
	files_expect(&faults, expected);
}

START_TEST(test_good)
{
	files_put("berth.conf", 0600, GATEWAY);
	files_put("config.d/alice.conf", 0644, TENANT("c", "2001:db8::1, 10.0.0.2"));
	files_put("config.d/bob.conf", 0644, TENANT("d", "2001:db8::2") "[Tenant]\nMTU = 1420\n");
	files_put("config.d/carol.conf", 0600, "");
	files_put("config.d/home.conf", 0600,
		  "[Interface]\nPrivateKey = " KEY("e") "\nAddress = 10.9.9.9\n");
	files_put("config.d/bob.conf~", 0644, "garbage");
	files_put("config.d/.dave.conf.swp", 0644, "garbage");
	files_put("config.d/README", 0644, "garbage");
	expect(0, "");
}
END_TEST

/* Files are looked at in the order of their names: who comes first keeps what he has. */
START_TEST(test_faults)
{
	files_put("berth.conf", 0600, GATEWAY);
	files_put("config.d/a.conf", 0644, TENANT("c", "2001:db8::1"));
	files_put("config.d/a-b.conf", 0644, TENANT("c", "2001:db8::1"));
	files_put("config.d/b.conf", 0644, TENANT("d", "2001:db8:1::1, 10.0.0.0/31, 2001:db8::2"));
	files_put("config.d/c.conf", 0644, TENANT("e", "2001:db8::2"));
	files_put("config.d/d.conf", 0644, "[Peer]\nPublicKey = x\nAllowdIPs = y\n");
	files_put("config.d/e.conf", 0600,
		  "[Interface]\nPrivateKey = " KEY("e") "\nAddress = 10.9.9.9\n[Container]\n"
		  "Name = berth0\n");
	files_put("config.d/f g.conf", 0600, "");
	files_put("config.d/h.conf", 0644, TENANT("h", "2001:db8::8") "[Tenant]\nMTU = 1421\n");
	files_put("config.d/i.conf", 0644,
		  TENANT("i", "10.0.0.9, 2001:db8::9") "[Tenant]\nMTU = 1279\n");
	files_put("config.d/j.conf", 0644, TENANT("j", "10.0.0.10") "[Tenant]\nMTU = 575\n");
	files_put("config.d/k.conf", 0644, TENANT("k", "10.0.0.11") "[Tenant]\nMTU = 9000\n");
	files_put("config.d/l.conf", 0644, TENANT("l", "10.0.0.12") "[Tenant]\nMTU = 576\n");
	expect(-EINVAL,
	       "config.d: 'f g.conf' is no name for a tenant: NAME.conf is, with 1 to 64 of A-Z "
	       "a-z 0-9 . _ -\n"
	       "config.d/a-b.conf:2: PublicKey: '" KEY("c") "' is already in config.d/a.conf\n"
	       "config.d/a-b.conf:3: AllowedIPs: 2001:db8::1/128 is already in config.d/a.conf\n"
	       "config.d/b.conf:3: AllowedIPs: 10.0.0.0/31 holds an Address of the gateway itself "
	       "in berth.conf\n"
	       "config.d/b.conf:3: AllowedIPs: 2001:db8:1::1/128 is in no Prefix of berth.conf\n"
	       "config.d/d.conf:2: PublicKey: 'x' is not a key (44 characters of base64 expected)\n"
	       "config.d/d.conf:3: unknown key 'AllowdIPs'; is 'AllowedIPs' meant?\n"
	       "config.d/e.conf:5: Name: 'berth0' is the gateway's interface in berth.conf\n"
	       "config.d/h.conf:5: MTU: '1421' is not a number from 1280 (for the IPv6 of "
	       "AllowedIPs 2001:db8::8/128) to 1420, the gateway's in berth.conf\n"
	       "config.d/i.conf:5: MTU: '1279' is not a number from 1280 (for the IPv6 of "
	       "AllowedIPs 2001:db8::9/128) to 1420, the gateway's in berth.conf\n"
	       "config.d/j.conf:5: MTU: '575' is not a number from 576 to 1420, the gateway's in "
	       "berth.conf\n"
	       "config.d/k.conf:5: MTU: '9000' is not a number from 576 to 1420, the gateway's in "
	       "berth.conf\n");
}
END_TEST

/* A faulty berth.conf does not hide what is wrong with the tenants. */
START_TEST(test_faulty_router)
{
	files_put("berth.conf", 0600, GATEWAY "Workers = many\n");
	files_put("config.d/a.conf", 0644, TENANT("c", "2001:db8:1::1"));
	files_put("config.d/b.conf", 0644, "[Peer]\nPublicKey = x\n");
	files_put("config.d/c.conf", 0644, TENANT("c", "2001:db8::1"));
	expect(-EINVAL,
	       "berth.conf:6: Workers: 'many' is not a number from 1 to 256\n"
	       "config.d/b.conf:2: PublicKey: 'x' is not a key (44 characters of base64 expected)\n"
	       "config.d/c.conf:2: PublicKey: '" KEY("c") "' is already in config.d/a.conf\n");
}
END_TEST

START_TEST(test_no_gateway)
{
	files_put("berth.conf", 0600, "");
	files_put("config.d/a.conf", 0644, TENANT("c", "2001:db8::1"));
	files_put("config.d/e.conf", 0600,
		  "[Interface]\nPrivateKey = " KEY("e") "\nAddress = 10.9.9.9\n[Container]\n"
		  "Name = berth0\n");
	expect(-EINVAL, "config.d/a.conf: a tenant needs a gateway, and berth.conf has no "
			"[Interface]\n");
}
END_TEST

START_TEST(test_no_folder)
{
	files_put("berth.conf", 0600, GATEWAY "Tenants = nowhere\n");
	expect(-EINVAL, "nowhere: No such file or directory\n");
	files_put("berth.conf", 0600, GATEWAY "Tenants = berth.conf\n");
	expect(-EINVAL, "berth.conf: Not a directory\n");
	ck_assert_int_eq(unlink("berth.conf"), 0);
	expect(-EINVAL, "berth.conf: No such file or directory\n");
}
END_TEST

/* A warning is told, and no error. */
START_TEST(test_warning)
{
	files_put("berth.conf", 0600, GATEWAY);
	files_put("config.d/a.conf", 0644, "[Peer]\nPublicKey = " KEY("c") "\n");
	expect(0, "config.d/a.conf:1: warning: [Peer] has no AllowedIPs: it can neither send nor "
		  "receive\n");
}
END_TEST

START_TEST(test_folder)
{
	struct fault_list faults = { 0 };
	struct folder folder;

	files_put("config.d/b.conf", 0600, "");
	files_put("config.d/a-1.conf", 0600, "");
	files_put("config.d/a.conf", 0600, "");
	files_put("config.d/a.conf.bak", 0600, "");
	ck_assert_int_eq(folder_read(&folder, "config.d", &faults), 0);
	ck_assert_uint_eq(folder.n, 3);
	ck_assert_str_eq(folder.names[0], "a");
	ck_assert_str_eq(folder.names[1], "a-1");
	ck_assert_str_eq(folder.names[2], "b");
	folder_free(&folder);
	files_expect(&faults, "");
	ck_assert_int_eq(folder_read(&folder, "nowhere", &faults), -ENOENT);
	ck_assert_uint_eq(folder.n, 0);
	ck_assert_int_eq(folder.dirfd, -1);
	files_expect(&faults, "nowhere: No such file or directory\n");
}
END_TEST

/* Hundreds of names, so that the buffer moves while it is filled. */
START_TEST(test_large_folder)
{
	struct fault_list faults = { 0 };
	struct folder folder;
	char path[64];

	for (unsigned i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "config.d/tenant-%04u.conf", (i * 7) % 600);
		files_put(path, 0600, "");
	}
	ck_assert_int_eq(folder_read(&folder, "config.d", &faults), 0);
	ck_assert_uint_eq(folder.n, 600);
	for (unsigned i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "tenant-%04u", i);
		ck_assert_str_eq(folder.names[i], path);
	}
	folder_free(&folder);
	fault_list_free(&faults);
}
END_TEST

/* An example of the repository, with keys in place of what asks for them. */
static void copy_example(const char *from, const char *to)
{
	char path[sizeof(files_home) + 64], line[256];
	FILE *in, *out;

	snprintf(path, sizeof(path), "%s/%s", files_home, from);
	in = fopen(path, "re");
	ck_assert_msg(in != NULL, "%s is missing: run this in the repository's root", path);
	out = fopen(to, "we");
	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(chmod(to, 0600), 0);
	while (fgets(line, sizeof(line), in)) {
		char *replace = strstr(line, "REPLACE-WITH");

		fprintf(out, "%.*s%s", replace ? (int)(replace - line) : (int)sizeof(line), line,
			replace ? KEY("c") "\n" : "");
	}
	fclose(in);
	fclose(out);
}

START_TEST(test_examples)
{
	copy_example("config.d/berth.conf.example", "berth.conf");
	copy_example("config.d/tenant.conf.example", "config.d/tenant.conf");
	copy_example("config.d/tunnel.conf.example", "config.d/tunnel.conf");
	copy_example("config.d/tunnel.conf.example", "config.d/tunnel.conf.example");
	files_put("gateway.key", 0600, KEY("b") "\n");
	expect(0, "");
}
END_TEST

/* What is commented out in an example is good too, and is the default. */
START_TEST(test_examples_uncommented)
{
	struct fault_list faults = { 0 };
	struct config_router *a, *b;
	char line[256];
	FILE *in, *out;

	copy_example("config.d/berth.conf.example", "berth.conf");
	files_put("gateway.key", 0600, KEY("b") "\n");
	in = fopen("berth.conf", "re");
	out = fopen("all.conf", "we");
	while (fgets(line, sizeof(line), in)) {
		char word[32];
		int end = 0;

		sscanf(line, "# %31[A-Za-z] =%n", word, &end);
		if (end && strncmp(line + 2, "Address", 7) != 0)
			fprintf(out, "%s", line + 2);
		else
			fprintf(out, "%s", line);
	}
	fclose(in);
	fclose(out);
	ck_assert_int_eq(router_read(&a, "berth.conf", &faults), 0);
	if (router_read(&b, "all.conf", &faults) != 0)
		files_expect(&faults, "");
	files_expect(&faults, "");
	ck_assert_str_eq(a->name, b->name);
	ck_assert_uint_eq(a->listen_port, b->listen_port);
	ck_assert_uint_eq(a->mtu, b->mtu);
	ck_assert_uint_eq(a->fwmark, b->fwmark);
	ck_assert_int_eq(a->neighbor_source, b->neighbor_source);
	ck_assert_int_eq(a->crypto, b->crypto);
	ck_assert_uint_eq(a->workers, b->workers);
	ck_assert_int_eq(a->no_offload, b->no_offload);
	ck_assert_str_eq(a->tenants, b->tenants);
	ck_assert_str_eq(a->control, b->control);
	ck_assert_str_eq(a->state, b->state);
	router_free(a);
	router_free(b);
}
END_TEST

/* Every test has a folder of its own. */
static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 30); /* some file systems are slow */
	tcase_add_test(tcase, test);
	files_add(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("config");

	add(suite, "good", test_good);
	add(suite, "faults", test_faults);
	add(suite, "faulty router", test_faulty_router);
	add(suite, "no gateway", test_no_gateway);
	add(suite, "no folder", test_no_folder);
	add(suite, "warning", test_warning);
	add(suite, "folder", test_folder);
	add(suite, "large folder", test_large_folder);
	add(suite, "examples", test_examples);
	add(suite, "examples uncommented", test_examples_uncommented);
	return files_run_all(suite);
}
