/* SPDX-License-Identifier: MIT */
/* lookup: getaddrinfo(3) on threads; here as slow as the test wants it. */
#include "../src/manage/lookup.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "loop_wait.h"

static uv_loop_t loop;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* who looks up "slow" needs it */
static unsigned answered;
static int error;
static struct addrinfo first;

/* Takes the place of the library's. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		struct addrinfo **out)
{
	ck_assert_str_eq(port, "51820");
	ck_assert_int_eq(hints->ai_socktype, SOCK_DGRAM);
	if (!strcmp(host, "slow")) {
		pthread_mutex_lock(&gate);
		pthread_mutex_unlock(&gate);
	}
	if (!strcmp(host, "nobody"))
		return EAI_NONAME;
	*out = calloc(1, sizeof(**out));
	(*out)->ai_family = AF_INET;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

static void on_done(void *arg, int err, const struct addrinfo *found)
{
	ck_assert_ptr_eq(arg, &answered);
	answered++;
	error = err;
	if (found)
		first = *found;
}

static int begin(struct lookup **l, const char *host)
{
	return lookup_start(l, &loop, host, "51820", on_done, &answered);
}

static void setup(void)
{
	ck_assert_int_eq(uv_loop_init(&loop), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

START_TEST(answers)
{
	struct lookup *l;

	ck_assert_int_eq(begin(&l, "vps"), 0);
	loop_wait(&loop, answered, NULL);
	ck_assert_int_eq(error, 0);
	ck_assert_int_eq(first.ai_family, AF_INET);
	ck_assert_int_eq(begin(&l, "nobody"), 0);
	loop_wait(&loop, answered == 2, NULL);
	ck_assert_int_eq(error, EAI_NONAME);
}
END_TEST

/* One that hangs holds up nobody, and is left behind: the loop ends without it. */
START_TEST(hangs)
{
	struct lookup *slow, *l;

	pthread_mutex_lock(&gate);
	ck_assert_int_eq(begin(&slow, "slow"), 0);
	ck_assert_int_eq(begin(&l, "vps"), 0);
	loop_wait(&loop, answered, NULL);
	lookup_abandon(slow);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	pthread_mutex_unlock(&gate);
	ck_assert_uint_eq(answered, 1);
}
END_TEST

/* As many as there may be, and one more when they have ended. */
START_TEST(too_many)
{
	struct lookup *l[LOOKUP_THREADS_MAX], *more;
	int err = -EAGAIN;

	pthread_mutex_lock(&gate);
	for (unsigned i = 0; i < LOOKUP_THREADS_MAX; i++)
		ck_assert_int_eq(begin(&l[i], "slow"), 0);
	ck_assert_int_eq(begin(&more, "vps"), -EAGAIN);
	for (unsigned i = 0; i < LOOKUP_THREADS_MAX; i += 2)
		lookup_abandon(l[i]);
	pthread_mutex_unlock(&gate);
	loop_wait(&loop, answered == LOOKUP_THREADS_MAX / 2, NULL);
	loop_wait(&loop, !(err = err ? begin(&more, "vps") : 0), NULL);
	loop_wait(&loop, answered == LOOKUP_THREADS_MAX / 2 + 1, NULL);
}
END_TEST

/* Abandoned at any moment of its life. */
START_TEST(races)
{
	for (unsigned i = 0; i < 500; i++) {
		unsigned before = answered;
		struct lookup *l;
		int err = -EAGAIN;

		/* Threads of those that were abandoned may be as many as there may be. */
		loop_wait(&loop, !(err = err ? begin(&l, "vps") : 0), NULL);
		for (unsigned k = 0; k < i % 5; k++)
			uv_run(&loop, UV_RUN_NOWAIT);
		if (answered == before)
			lookup_abandon(l);
		ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
		ck_assert_uint_le(answered, before + 1);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lookup");
	TCase *t = tcase_create("all");
	SRunner *sr = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, answers);
	tcase_add_test(t, hangs);
	tcase_add_test(t, too_many);
	tcase_add_test(t, races);
	tcase_set_timeout(t, 60);
	suite_add_tcase(suite, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
