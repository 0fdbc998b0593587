/* SPDX-License-Identifier: MIT */
/* What is asked of a running router, and what it asks of the kernel, without memory. */
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "../src/base/rcu.h"
#include "../src/manage/control_json.h"
#include "../src/manage/lookup.h"
#include "../src/manage/rope.h"
#include "../src/manage/statefile.h"
#include "../src/manage/statestore.h"
#include "../src/manage/uapi.h"
#include "../src/manage/watch.h"
#include "../tun/netlink.h"
#include "in_netns.h"
#include "loop_wait.h"
#include "nomem_try.h"

RCU_PROGRAM

/* wg set, wg show */

#define KEY "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"

static const char set_text[] = "set=1\nprivate_key=" KEY "\nlisten_port=1\npublic_key=" KEY "\n"
			       "allowed_ip=10.0.0.1/32\nallowed_ip=10.0.0.2/32\n"
			       "allowed_ip=10.0.0.3/32\nallowed_ip=-10.0.0.4/32\n"
			       "allowed_ip=10.0.0.5/32\n";
static struct change_list list;

static int parse_set(void)
{
	struct uapi_fault fault;

	return uapi_parse_set(&list, set_text, sizeof(set_text) - 1, 0, &fault);
}

static void check_set(int err)
{
	ck_assert_uint_eq(list.n, err ? 0 : 5);
	change_list_free(&list);
}

START_TEST(test_uapi_set)
{
	static const struct nomem_work w = { .name = "wg set", .work = parse_set,
					     .check = check_set };

	ck_assert_uint_gt(nomem_try(&w), NOMEM_LEAST(5));
}
END_TEST

static const uint8_t key[32] = { 1, 2, 3 };
static struct prefix ips[200];
static struct device_peer peer = { .name = "alice", .public_key = key, .allowed_ips = ips,
				   .n_allowed_ips = ARRAY_SIZE(ips), .rx_bytes = 1 };
static struct text text;

/* A text that is not whole says so, and is not sent (lineserver.c). */
static int format_peer(void)
{
	text_free(&text);
	for (int i = 0; i < 20; i++)
		uapi_format_peer(&text, &peer);
	return text.failed ? -ENOMEM : 0;
}

static void free_text(void)
{
	text_free(&text);
}

START_TEST(test_uapi_get)
{
	static const struct nomem_work w = { .name = "wg show", .work = format_peer,
					     .after = free_text };

	ck_assert_uint_gt(nomem_try(&w), 5);
}
END_TEST

/* Answers in JSON are whole or an error. */

static size_t whole;

static int answer(void)
{
	json_t *out = json_object();
	char *dump;
	int err = out ? control_peer_json(out, &peer) : -ENOMEM;

	dump = err ? NULL : json_dumps(out, JSON_COMPACT);
	if (!err && !dump)
		err = -ENOMEM;
	if (!err && whole && strlen(dump) != whole)
		err = -EPROTO;
	else if (!err)
		whole = strlen(dump);
	free(dump);
	json_decref(out);
	return err;
}

START_TEST(test_json)
{
	static const struct nomem_work w = { .name = "answers", .work = answer };

	peer.n_allowed_ips = 3;
	ck_assert_uint_gt(nomem_try(&w), 30);
}
END_TEST

/* Metrics: a rope that is not whole says so. */

static struct rope rope;

static int add_pieces(void)
{
	static char line[5000];

	rope_free(&rope);
	memset(line, 'x', sizeof(line));
	for (int i = 0; i < 40; i++)
		rope_add(&rope, line, sizeof(line));
	return rope.failed ? -ENOMEM : 0;
}

static void free_rope(void)
{
	rope_free(&rope);
}

START_TEST(test_rope)
{
	static const struct nomem_work w = { .name = "rope", .work = add_pieces,
					     .after = free_rope };

	ck_assert_uint_ge(nomem_try(&w), 4);
}
END_TEST

static struct statefile_record copy;

static int copy_record(void)
{
	static const uint64_t drops[DROP_REASON_COUNT] = { 7 };
	struct statefile_record record = { .name = "alice", .drops = drops };

	return statefile_copy(&copy, &record);
}

static void release_record(void)
{
	statefile_release(&copy);
}

START_TEST(test_record)
{
	static const struct nomem_work w = { .name = "state", .work = copy_record,
					     .after = release_record };

	ck_assert_uint_ge(nomem_try(&w), 2);
}
END_TEST

/* All that was written is read, or it is said that it was not. */

static struct statestore store;
static size_t n_read;

static void on_record(void *arg, const struct statefile_record *record)
{
	(void)arg, (void)record;
	n_read++;
}

static int load_state(void)
{
	struct fault_list faults = { 0 };
	int err;

	n_read = 0;
	err = statestore_load(&store, "state", &faults, on_record, NULL);
	if (!err && n_read != 3)
		err = -EPROTO;
	fault_list_free(&faults);
	return err;
}

START_TEST(test_state)
{
	static const struct nomem_work w = { .name = "state files", .work = load_state };
	struct statefile_record records[3] = { 0 };
	char folder[] = "/tmp/berth-nomem-XXXXXX", path[64];
	size_t len;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (uint8_t i = 0; i < 3; i++)
		records[i] = (struct statefile_record){ .key = { i + 1 }, .name = "alice",
							.timestamp = { 0x40, i } };
	ck_assert_int_eq(statestore_open(&store, folder), 0);
	ck_assert_int_eq(statestore_write(&store, records, 3, &len), 0);
	ck_assert_uint_ge(nomem_try(&w), 2);
	statestore_close(&store);
	(void)snprintf(path, sizeof(path), "rm -rf %s", folder);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

/* Names: answered, or an error; and the thread never hangs. libuv's own it cannot do without. */

static uv_loop_t loop;
static bool answered;
static int error;

static void on_found(void *arg, int err, const struct addrinfo *found)
{
	(void)arg, (void)found;
	answered = true;
	error = err;
}

static int look_up(void)
{
	struct lookup *l;
	int err = lookup_start(&l, &loop, "192.0.2.1", "51820", on_found, NULL);

	answered = err;
	while (!answered)
		uv_run(&loop, UV_RUN_ONCE);
	uv_run(&loop, UV_RUN_NOWAIT);
	if (err)
		return err;
	return error ? -ENOMEM : 0;
}

START_TEST(test_lookup)
{
	static const struct nomem_work w = { .name = "names", .work = look_up,
					     .where = NOMEM_ANYWHERE, .or_else = -EAGAIN };

	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_uint_gt(nomem_try(&w), 3);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

/* A watch that cannot be opened closes nobody's descriptor. */

static void on_changed(void *arg, const char *const *names, size_t n)
{
	(void)arg, (void)names, (void)n;
}

static void on_rescan(void *arg)
{
	(void)arg;
}

static const struct watch_ops watch_ops = { .changed = on_changed, .rescan = on_rescan };
static struct watch *watch;

static int open_watch(void)
{
	return watch_open(&watch, &loop, "/tmp", &watch_ops, NULL);
}

static void check_descriptor(int err)
{
	(void)err;
	ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFD), 0);
}

static void close_watch(void)
{
	watch_close(watch);
	uv_run(&loop, UV_RUN_DEFAULT);
}

START_TEST(test_watch)
{
	static const struct nomem_work w = { .name = "watch", .work = open_watch,
					     .check = check_descriptor, .after = close_watch };

	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_uint_ge(nomem_try(&w), 2);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

/* The kernel: opened or not, and asked or not. */

static struct netlink *nl;

static int on_link(const struct netlink_link *link, void *arg)
{
	(void)link;
	++*(int *)arg;
	return 0;
}

static int ask_kernel(void)
{
	int n = 0, err = nl ? 0 : netlink_open(&nl, -1);

	if (!err)
		err = netlink_link_list(nl, on_link, &n);
	if (!err)
		err = netlink_link_index(nl, "lo") > 0 ? 0 : -EPROTO;
	return err ? err : n == 1 ? 0 : -EPROTO;
}

static void close_kernel(void)
{
	netlink_close(nl);
	nl = NULL;
}

START_TEST(test_netlink)
{
	static const struct nomem_work w = { .name = "netlink", .work = ask_kernel,
					     .after = close_kernel };

	ck_assert_uint_ge(nomem_try(&w), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nomem_manage");
	TCase *tcase = tcase_create("every allocation fails");
	TCase *kernel = tcase_create("the kernel is asked");
	SRunner *runner;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_uapi_set);
	tcase_add_test(tcase, test_uapi_get);
	tcase_add_test(tcase, test_json);
	tcase_add_test(tcase, test_rope);
	tcase_add_test(tcase, test_record);
	tcase_add_test(tcase, test_state);
	if (!SANITIZED)
		tcase_add_test(tcase, test_lookup);
	tcase_add_test(tcase, test_watch);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(kernel, in_netns_setup, NULL);
	if (in_netns_possible("test_nomem_manage"))
		tcase_add_test(kernel, test_netlink);
	suite_add_tcase(suite, kernel);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
