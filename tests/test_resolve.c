/* SPDX-License-Identifier: MIT */
/*
 * resolve: which address is tried when. Look-ups and the device are fakes: the functions
 * below take the place of those of lookup.c and src/path.
 */
#include "../src/manage/resolve.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "../src/manage/lookup.h"
#include "loop_wait.h"

static uv_loop_t loop;
static struct resolver *resolver;

/* The fake look-up: answered by hand. */
static struct {
	lookup_fn *done; /* NULL: none is under way */
	void *arg;
	char host[64], port[8];
	unsigned started, abandoned;
	bool refuse;
} lookup;

int lookup_start(struct lookup **out, uv_loop_t *l, const char *host, const char *port,
		 lookup_fn *done, void *arg)
{
	(void)l;
	lookup.started++;
	if (lookup.refuse)
		return -EAGAIN;
	ck_assert_ptr_null(lookup.done);
	strcpy(lookup.host, host);
	strcpy(lookup.port, port);
	lookup.done = done;
	lookup.arg = arg;
	*out = (struct lookup *)&lookup;
	return 0;
}

void lookup_abandon(struct lookup *l)
{
	lookup.abandoned += l != NULL;
	if (l)
		lookup.done = NULL;
}

static void refuse_with(int error)
{
	lookup_fn *done = lookup.done;

	ck_assert_ptr_nonnull(done);
	lookup.done = NULL;
	done(lookup.arg, error, NULL);
}

/* Up to three addresses, as endpoint_parse() has them. */
static void answer(const char *a, const char *b, const char *c)
{
	const char *const text[] = { a, b, c };
	struct addrinfo list[3] = { 0 };
	lookup_fn *done = lookup.done;
	struct endpoint e[3];

	ck_assert_ptr_nonnull(done);
	for (unsigned i = 0; i < 3 && text[i]; i++) {
		ck_assert_int_eq(endpoint_parse(&e[i], text[i]), 0);
		list[i].ai_family = e[i].addr.sa_family;
		list[i].ai_addr = &e[i].addr;
		list[i].ai_addrlen = endpoint_addr_len(&e[i]);
		if (i)
			list[i - 1].ai_next = &list[i];
	}
	lookup.done = NULL;
	done(lookup.arg, 0, list);
}

/* The fake device: one peer. */
static struct {
	struct endpoint at;
	bool silent;
	unsigned hellos, attempts;
} peer;

int device_apply(struct device *dev, const struct change *changes, size_t n, size_t *failed)
{
	(void)dev, (void)failed;
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(changes->key[0], 7);
	ck_assert_uint_eq(changes->flags, PEER_UPDATE_ONLY | PEER_HAS_ENDPOINT);
	peer.at = changes->endpoint;
	return 0;
}

void device_hello(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN], bool attempt)
{
	(void)dev, (void)public_key;
	peer.hellos++;
	peer.attempts += attempt;
}

bool device_get_peer(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN],
		     void (*fn)(const struct device_peer *peer, void *arg), void *arg)
{
	struct device_peer p = { .endpoint = peer.at, .silent = peer.silent };

	(void)dev;
	ck_assert_int_eq(public_key[0], 7);
	fn(&p, arg);
	return true;
}

static void is_at(const char *text)
{
	char buf[ENDPOINT_STRLEN];

	ck_assert_str_eq(endpoint_format(&peer.at, buf), text);
}

/* Nobody answers where it is tried now. */
static void unanswered(void)
{
	peer.silent = true;
	resolver_unanswered(resolver);
}

static void open_with(const char *endpoint)
{
	struct config_peer p = { .public_key = { 7 }, .endpoint = (char *)(uintptr_t)endpoint };
	struct config_tenant conf = { .name = "box", .peers = &p, .n_peers = 1 };

	ck_assert_int_eq(resolver_new(&resolver, &loop, NULL, &conf, NULL, NULL), 0);
}

static void setup(void)
{
	memset(&lookup, 0, sizeof(lookup));
	memset(&peer, 0, sizeof(peer));
	ck_assert_int_eq(uv_loop_init(&loop), 0);
}

static void teardown(void)
{
	resolver_free(resolver);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

#define V6 "[2001:db8::1]:51820"
#define V4 "192.0.2.1:51820"
#define NEW "192.0.2.99:51820"

START_TEST(numbers_need_nothing)
{
	open_with(V6);
	ck_assert_ptr_null(resolver);
	resolver_unanswered(resolver);
	resolver_retry(resolver);
	ck_assert_uint_eq(lookup.started, 0);
}
END_TEST

START_TEST(first_address)
{
	open_with("vps.example.com:51820");
	ck_assert_str_eq(lookup.host, "vps.example.com");
	ck_assert_str_eq(lookup.port, "51820");
	/* The one it has is of what its file named before. */
	ck_assert_int_eq(endpoint_parse(&peer.at, NEW), 0);
	answer(V6, V4, V6);
	is_at(V6);
	ck_assert_uint_eq(peer.hellos, 1);
}
END_TEST

/* In turn, each time nobody has answered; the name is asked for again, but not each time. */
START_TEST(in_turn)
{
	open_with("vps.example.com:51820");
	answer(V6, V4, NULL);
	unanswered();
	ck_assert_uint_eq(lookup.started, 2);
	is_at(V6);
	answer(V6, V4, NULL);
	is_at(V4);
	ck_assert_uint_eq(peer.attempts, 1);
	unanswered();
	is_at(V6);
	unanswered();
	is_at(V4);
	ck_assert_uint_eq(lookup.started, 2);
	/* It has answered: that is where it is. */
	peer.silent = false;
	resolver_unanswered(resolver);
	is_at(V4);
	ck_assert_uint_eq(peer.attempts, 3);
}
END_TEST

START_TEST(address_has_changed)
{
	open_with("vps.example.com:51820");
	answer(V4, NULL, NULL);
	unanswered();
	answer(NEW, NULL, NULL);
	is_at(NEW);
	ck_assert_uint_eq(peer.attempts, 1);
	/* The only one there is is not given again: the protocol tries it by itself. */
	unanswered();
	is_at(NEW);
	ck_assert_uint_eq(peer.attempts, 1);
}
END_TEST

/* While the name is looked up it may come back from where nobody expects it. */
START_TEST(roamed_meanwhile)
{
	open_with("vps.example.com:51820");
	answer(V4, NULL, NULL);
	unanswered();
	peer.silent = false;
	ck_assert_int_eq(endpoint_parse(&peer.at, NEW), 0);
	answer(V6, V4, NULL);
	is_at(NEW);
}
END_TEST

/* The resolver hangs or fails: what was known before is tried in turn. */
START_TEST(no_resolver)
{
	open_with("vps.example.com:51820");
	answer(V6, V4, NULL);
	unanswered();
	unanswered();
	is_at(V4);
	unanswered();
	is_at(V6);
	ck_assert_uint_eq(lookup.started, 2);
	refuse_with(EAI_AGAIN);
	is_at(V6);
	unanswered();
	is_at(V4);
}
END_TEST

START_TEST(tried_again)
{
	open_with("vps.example.com:51820");
	refuse_with(EAI_AGAIN);
	loop_wait(&loop, lookup.started == 2, NULL);
	refuse_with(EAI_AGAIN);
	/* Not in two seconds, but at once: there is another network. */
	resolver_retry(resolver);
	ck_assert_uint_eq(lookup.started, 3);
	answer(V4, NULL, NULL);
	is_at(V4);
	resolver_retry(resolver);
	ck_assert_uint_eq(lookup.started, 3);
}
END_TEST

START_TEST(no_thread)
{
	lookup.refuse = true;
	open_with("vps.example.com:51820");
	lookup.refuse = false;
	loop_wait(&loop, lookup.started == 2, NULL);
	answer(V4, NULL, NULL);
	is_at(V4);
}
END_TEST

START_TEST(ends_while_looking)
{
	open_with("vps.example.com:51820");
	resolver_free(resolver);
	resolver = NULL;
	ck_assert_uint_eq(lookup.abandoned, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("resolve");
	TCase *t = tcase_create("all");
	SRunner *sr = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, numbers_need_nothing);
	tcase_add_test(t, first_address);
	tcase_add_test(t, in_turn);
	tcase_add_test(t, address_has_changed);
	tcase_add_test(t, roamed_meanwhile);
	tcase_add_test(t, no_resolver);
	tcase_add_test(t, tried_again);
	tcase_add_test(t, no_thread);
	tcase_add_test(t, ends_while_looking);
	tcase_set_timeout(t, 60);
	suite_add_tcase(suite, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
