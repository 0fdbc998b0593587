/* SPDX-License-Identifier: MIT */
/*
 * What a gateway knows of its tenants, over any number of restarts: a device made of
 * values stands in for src/path/device*.c. The loop and the folder are real.
 */
#include <errno.h>
#include <sys/file.h>

#include "../crypto/tai64n.h"
#include "../src/base/log.h"
#include "../src/manage/calls.h"
#include "../src/manage/state.h"
#include "config_files.h"
#include "loop_wait.h"
#include "require.h"

enum { PEERS = 12000, CALLS = 20000 };

struct fake_peer {
	bool there, removed, news, held;
	char name[TENANT_NAME_MAX + 1];
	uint8_t key[32], timestamp[NOISE_TIMESTAMP_LEN];
	struct endpoint endpoint;
	bool suspended;
	struct saved_counts counts;
};

static struct {
	struct device_memory memory;
	struct fake_peer peers[PEERS];
	bool news; /* of any of them */
	size_t n_calls;
	uint8_t called[CALLS][32];
	bool busy;
} fake;

static uv_loop_t loop;
static struct state *state;
static char logged[65536];

/* The device */

static struct device *fake_device(void)
{
	return (struct device *)&fake;
}

void device_remember(struct device *dev, const struct device_memory *memory)
{
	require((void *)dev == &fake && !fake.memory.recall);
	fake.memory = *memory;
}

void device_forget(struct device *dev)
{
	require((void *)dev == &fake && fake.memory.recall);
	fake.memory = (struct device_memory){ 0 };
}

static struct device_peer describe(const struct fake_peer *p)
{
	struct device_peer info = { .name = p->name, .public_key = p->key,
				    .removed = p->removed, .suspended = p->suspended,
				    .held = p->held,
				    .rx_bytes = p->counts.rx_bytes,
				    .rx_packets = p->counts.rx_packets,
				    .tx_bytes = p->counts.tx_bytes,
				    .tx_packets = p->counts.tx_packets };

	memcpy(info.drops, p->counts.drops, sizeof(info.drops));
	if (!p->removed)
		info.endpoint = p->endpoint;
	memcpy(info.timestamp, p->timestamp, sizeof(info.timestamp));
	return info;
}

void device_take_learned(struct device *dev)
{
	require((void *)dev == &fake);
	for (size_t i = 0; i < PEERS && fake.news; i++) {
		struct fake_peer *p = &fake.peers[i];
		struct device_peer info = describe(p);

		if (!p->news)
			continue;
		fake.memory.learned(fake.memory.arg, &info);
		p->news = false;
		if (p->removed)
			*p = (struct fake_peer){ 0 };
	}
	fake.news = false;
}

void device_each_peer(struct device *dev, void (*fn)(const struct device_peer *peer, void *arg),
		      void *arg)
{
	require((void *)dev == &fake);
	for (size_t i = 0; i < PEERS; i++) {
		struct device_peer info = describe(&fake.peers[i]);

		if (fake.peers[i].there && !fake.peers[i].removed)
			fn(&info, arg);
	}
}

int device_call(struct device *dev, const uint8_t public_key[32])
{
	require((void *)dev == &fake && fake.n_calls < CALLS);
	if (fake.busy)
		return -EAGAIN;
	memcpy(fake.called[fake.n_calls++], public_key, 32);
	return 0;
}

/* What happens to it */

static struct fake_peer *add(size_t i, const char *name, unsigned key)
{
	struct fake_peer *p = &fake.peers[i];
	struct device_recalled known = { 0 };

	require(!p->there);
	device_take_learned(fake_device());
	*p = (struct fake_peer){ .there = true, .key = { (uint8_t)key, (uint8_t)(key >> 8), 1 } };
	strcpy(p->name, name);
	fake.memory.recall(fake.memory.arg, p->key, name, &known);
	p->endpoint = known.endpoint;
	p->held = known.held;
	p->counts = known.counts;
	memcpy(p->timestamp, known.timestamp, sizeof(p->timestamp));
	return p;
}

static void learn(struct fake_peer *p, unsigned port, uint32_t time)
{
	char text[32];

	snprintf(text, sizeof(text), "192.0.2.1:%u", port);
	require(!endpoint_parse(&p->endpoint, text));
	store_be32(p->timestamp + 4, time);
	p->news = fake.news = true;
}

static void remove_peer(struct fake_peer *p)
{
	p->removed = p->news = fake.news = true;
}

/* So many packets of 100 bytes each way, and a third of that are dropped. */
static void count(struct fake_peer *p, unsigned n)
{
	p->counts.rx_packets += n;
	p->counts.rx_bytes += 100 * n;
	p->counts.tx_packets += 2 * n;
	p->counts.tx_bytes += 200 * n;
	p->counts.drops[DROP_BAD_TAG] += n / 3;
	p->news = fake.news = true;
}

static void expect_counted(const struct fake_peer *p, unsigned n)
{
	struct fake_peer model = { 0 };

	count(&model, n);
	require(!memcmp(&p->counts, &model.counts, sizeof(p->counts)));
}

static unsigned port(const struct fake_peer *p)
{
	return endpoint_is_set(&p->endpoint) ? ntohs(p->endpoint.addr4.sin_port) : 0;
}

static uint32_t timestamp(const struct fake_peer *p)
{
	return load_be32(p->timestamp + 4);
}

/* The gateway's life */

static void on_line(enum log_level level, const char *text, void *arg)
{
	size_t len = strlen(logged);

	(void)level, (void)arg;
	snprintf(logged + len, sizeof(logged) - len, "%s\n", text);
}

static const char *show_log(void)
{
	return logged;
}

#define wait_for(what) loop_wait(&loop, what, show_log)

static void start(void)
{
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(state_open(&state, &loop, fake_device(), "state"), 0);
}

static void stop(void)
{
	state_close(state);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	require(!fake.memory.recall);
	memset(fake.peers, 0, sizeof(fake.peers));
}

static void restart(void)
{
	stop();
	start();
}

static void setup(void)
{
	static const struct log_hook hook = { .line = on_line };

	ck_assert_int_eq(system("rm -rf state"), 0);
	log_set_hook(&hook);
	start();
}

static void teardown(void)
{
	stop();
	log_set_hook(NULL);
}

/* What is given back */

START_TEST(same_name_and_key)
{
	struct fake_peer *p;

	learn(add(0, "a", 1), 1000, 7);
	learn(add(1, "b", 2), 2000, 8);
	learn(add(2, "c", 3), 3000, 9);
	add(3, "silent", 4);
	restart();
	ck_assert(strstr(logged, "state: 3 tenants are known from before"));
	p = add(0, "a", 1);
	ck_assert_uint_eq(port(p), 1000);
	ck_assert_uint_eq(timestamp(p), 7);
	/* Another name: only what is old. Another key: nothing at all. */
	p = add(1, "other", 2);
	ck_assert_uint_eq(port(p), 0);
	ck_assert_uint_eq(timestamp(p), 8);
	p = add(2, "c", 5);
	ck_assert_uint_eq(port(p), 0);
	ck_assert_uint_eq(timestamp(p), 0);
	p = add(3, "silent", 4);
	ck_assert_uint_eq(port(p) + timestamp(p), 0);
	/* Nothing new is learned: the next start knows it as well. */
	restart();
	p = add(0, "a", 1);
	ck_assert_uint_eq(port(p), 1000);
	ck_assert_uint_eq(timestamp(p), 7);
}
END_TEST

static void print_known(void *arg, const char *name, const uint8_t key[NOISE_KEY_LEN])
{
	fprintf(arg, "%s %u\n", name, key[0]);
}

/* Not those of whom only a timestamp is left, and those who are there again. */
START_TEST(known_from_before)
{
	char *text = NULL;
	size_t len;
	FILE *out;

	learn(add(0, "a", 1), 1000, 7);
	learn(add(1, "b", 2), 2000, 8);
	learn(add(2, "c", 3), 3000, 9);
	device_take_learned(fake_device());
	remove_peer(&fake.peers[2]);
	restart();
	add(0, "a", 1);
	out = open_memstream(&text, &len);
	state_each_known(state, print_known, out);
	fclose(out);
	ck_assert_str_eq(text, "b 2\n");
	free(text);
	state_each_known(NULL, print_known, NULL);
}
END_TEST

/* By name and key; counted on over any number of restarts, and gone with the file. */
START_TEST(counts_last)
{
	for (unsigned i = 0; i < 3; i++) {
		struct fake_peer *p = add(0, "a", 1);

		expect_counted(p, 300 * i);
		count(p, 210);
		device_take_learned(fake_device());
		count(p, 90);
		restart();
	}
	expect_counted(add(0, "a", 2), 0);
	expect_counted(add(1, "b", 1), 0);
	restart();
	/* The first key has gone to another name since. */
	expect_counted(add(0, "a", 1), 0);
	count(&fake.peers[0], 5);
	remove_peer(&fake.peers[0]);
	device_take_learned(fake_device());
	expect_counted(add(0, "a", 1), 0);
}
END_TEST

/* Nobody was heard, but somebody has sent to him: that is counted, too. */
START_TEST(drops_alone)
{
	add(0, "a", 1)->counts.drops[DROP_NO_ENDPOINT] = 9;
	fake.peers[0].news = fake.news = true;
	restart();
	ck_assert_uint_eq(add(0, "a", 1)->counts.drops[DROP_NO_ENDPOINT], 9);
	restart();
	ck_assert_uint_eq(add(0, "a", 1)->counts.drops[DROP_NO_ENDPOINT], 9);
}
END_TEST

/* One that has expired comes back with what was counted, and without its place. */
START_TEST(expired)
{
	struct fake_peer *p = add(0, "a", 1);

	learn(p, 1000, 7);
	count(p, 3);
	p->suspended = true;
	remove_peer(p);
	device_take_learned(fake_device());
	if (_i)
		restart();
	fake.memory.absent(fake.memory.arg, (const uint8_t[32]){ 1, 0, 1 }, true);
	p = add(0, "a", 1);
	expect_counted(p, 3);
	ck_assert_uint_eq(port(p), 0);
	ck_assert_uint_eq(timestamp(p), 7);
	/* Its file is deleted while it is expired. */
	p->suspended = true;
	remove_peer(p);
	device_take_learned(fake_device());
	if (_i)
		restart();
	fake.memory.absent(fake.memory.arg, (const uint8_t[32]){ 1, 0, 1 }, false);
	restart();
	p = add(0, "a", 1);
	expect_counted(p, 0);
	ck_assert_uint_eq(timestamp(p), 7);
}
END_TEST

START_TEST(revoked)
{
	struct fake_peer *p = add(0, "a", 1);

	learn(p, 1000, 7);
	remove_peer(p);
	device_take_learned(fake_device());
	/* While it runs, and after: the place is forgotten, the time is not. */
	for (unsigned i = 0; i < 2; i++) {
		p = add(0, "a", 1);
		ck_assert_uint_eq(port(p), 0);
		ck_assert_uint_eq(timestamp(p), 7);
		remove_peer(p);
		restart();
	}
	ck_assert_ptr_null(strstr(logged, "known from before"));
	ck_assert_uint_eq(fake.n_calls, 0);
}
END_TEST

/* The clock of the state, a thousand times as fast. */
static void hurry(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (handle->type == UV_TIMER && handle->data == state && uv_is_active(handle)) {
		uv_timer_set_repeat((uv_timer_t *)handle, 1);
		ck_assert_int_eq(uv_timer_again((uv_timer_t *)handle), 0);
	}
}

static unsigned asked;
static bool is_faulty;

static bool on_may_come(void *arg, const char *name)
{
	ck_assert_ptr_eq(arg, &asked);
	asked++;
	return is_faulty && !strcmp(name, "a");
}

/* Who has not come a minute after the start is gone; but one whose file is faulty may come. */
START_TEST(not_come_yet)
{
	learn(add(0, "a", 1), 1000, 7);
	learn(add(1, "b", 2), 2000, 8);
	count(&fake.peers[0], 9);
	count(&fake.peers[1], 9);
	restart();
	/* As long as nobody can tell, nobody is gone. */
	uv_walk(&loop, hurry, NULL);
	for (unsigned i = 0; i < 200; i++)
		uv_run(&loop, UV_RUN_ONCE);
	ck_assert_int_eq(system("grep -q name=b state/tenants*"), 0);
	is_faulty = true;
	state_ask(state, on_may_come, &asked);
	wait_for(asked >= 3);
	ck_assert_int_eq(system("grep -q name=a state/tenants*"), 0);
	wait_for(system("grep -q name=b state/tenants*"));
	if (_i) {
		/* It was deleted. */
		is_faulty = false;
		wait_for(system("grep -q name=a state/tenants*"));
	}
	restart();
	ck_assert_uint_eq(port(add(0, "a", 1)), _i ? 0 : 1000);
	expect_counted(&fake.peers[0], _i ? 0 : 9);
	ck_assert_uint_eq(timestamp(&fake.peers[0]), 7);
	expect_counted(add(1, "b", 2), 0);
	ck_assert_uint_eq(timestamp(&fake.peers[1]), 8);
}
END_TEST

/* A key that is held stays so over restarts, in whatever file, until it is released. */
START_TEST(held)
{
	struct fake_peer *p = add(0, "alice", 1);

	learn(p, 1000, 1);
	p->held = true;
	restart();
	p = add(0, "alice", 1);
	ck_assert(p->held);
	ck_assert_uint_eq(port(p), 1000);
	/* and is not called */
	for (unsigned i = 0; i < 20; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	ck_assert_uint_eq(fake.n_calls, 0);
	remove_peer(p);
	ck_assert(add(1, "bob", 1)->held);
	restart();
	p = add(0, "bob", 1);
	ck_assert(p->held);
	ck_assert(!add(1, "carol", 2)->held);
	p->held = false;
	p->news = fake.news = true;
	restart();
	ck_assert(!add(0, "bob", 1)->held);
}
END_TEST

/* One who was added by hand has no file. */
START_TEST(by_hand)
{
	struct fake_peer *p = add(0, "peer(abcd…wxyz)", 1);

	learn(p, 1000, 7);
	restart();
	p = add(0, "peer(abcd…wxyz)", 1);
	ck_assert_uint_eq(port(p), 0);
	ck_assert_uint_eq(timestamp(p), 7);
}
END_TEST

/* Anything in any order, over restarts, against what must be known. */
START_TEST(at_random)
{
	enum { KEYS = 20, NAMES = 5 };
	static struct { uint32_t time; unsigned port; char name[8]; } model[KEYS];
	uint32_t now = 1;

	srand(1);
	for (unsigned step = 0; step < 4000; step++) {
		unsigned key = (unsigned)rand() % KEYS;
		struct fake_peer *p = &fake.peers[key];

		if (p->there && !p->removed && rand() % 4) {
			learn(p, 1 + (unsigned)rand() % 60000, ++now);
			model[key].time = now;
			model[key].port = port(p);
			strcpy(model[key].name, p->name);
		} else if (p->there && !p->removed) {
			remove_peer(p);
			model[key].port = 0;
		} else {
			char name[8];
			bool same;

			device_take_learned(fake_device());
			sprintf(name, "n%u", (unsigned)rand() % NAMES);
			same = !strcmp(name, model[key].name);
			add(key, name, key);
			require(timestamp(p) == model[key].time);
			require(port(p) == (same ? model[key].port : 0));
			/* A new name begins anew, as far as the place goes. */
			if (!same) {
				learn(p, 1, ++now);
				model[key].time = now;
				model[key].port = 1;
			}
			strcpy(model[key].name, name);
		}
		if (rand() % 50 == 0)
			restart();
		else if (rand() % 10 == 0)
			device_take_learned(fake_device());
	}
	ck_assert_ptr_null(strstr(logged, "State ="));
}
END_TEST

static long size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (long)st.st_size;
}

/* What is learned is on the disk within two ticks, without anybody stopping. */
START_TEST(saved_by_itself)
{
	learn(add(0, "a", 1), 1000, 7);
	wait_for(size_of("state/tenants.journal") > 0);
	ck_assert_int_eq(system("grep -q 'name=a .* endpoint=192.0.2.1:1000 ' "
				"state/tenants.journal"), 0);
}
END_TEST

/* A journal that has grown is replaced by what it came to. */
START_TEST(journal_is_bounded)
{
	char name[16];

	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		learn(add(i, name, i), 1 + i, 7);
	}
	wait_for(size_of("state/tenants") > 0 && size_of("state/tenants.journal.old") < 0);
	ck_assert_int_lt(size_of("state/tenants.journal"), 1000);
	learn(&fake.peers[77], 5, 9);
	restart();
	ck_assert(strstr(logged, "10000 tenants are known"));
	for (unsigned i = 0; i < 10000; i++) {
		struct fake_peer *p;

		snprintf(name, sizeof(name), "t%u", i);
		p = add(i, name, i);
		require(port(p) == (i == 77 ? 5 : 1 + i));
		require(timestamp(p) == (i == 77 ? 9 : 7));
	}
}
END_TEST

/* What cannot be written is said once, and written as soon as it can be. */
START_TEST(folder_comes_late)
{
	stop();
	logged[0] = '\0';
	ck_assert_int_eq(system("rm -rf state; echo >state"), 0);
	start();
	learn(add(0, "a", 1), 1000, 7);
	wait_for(strstr(logged, "State = state: Not a directory; until then a restart forgets"));
	restart();
	learn(add(0, "a", 1), 1000, 7);
	ck_assert_int_eq(system("rm state"), 0);
	wait_for(strstr(logged, "State = state: can be written again"));
	restart();
	ck_assert_uint_eq(port(add(0, "a", 1)), 1000);
	/* Once for each of the two that could not. */
	ck_assert_ptr_null(strstr(strstr(strstr(logged, "until") + 1, "until") + 1, "until"));
}
END_TEST

/* The folder, its files, the folder by an empty one: while it runs, and just before the end. */
START_TEST(folder_is_taken_away)
{
	static const char *const how[] = { "rm -rf state", "rm state/*",
					   "mv state was && mkdir -m 700 state" };

	ck_assert_int_eq(system("rm -rf was"), 0);
	learn(add(0, "a", 1), 1000, 7);
	learn(add(1, "b", 2), 2000, 8);
	wait_for(size_of("state/tenants.journal") > 0);
	logged[0] = '\0';
	ck_assert_int_eq(system(how[_i / 2]), 0);
	/* Nothing is learned any more: what was known is to be there again all the same. */
	if (_i % 2)
		wait_for(size_of("state/tenants") > 0);
	restart();
	ck_assert_uint_eq(port(add(0, "a", 1)), 1000);
	ck_assert_uint_eq(port(add(1, "b", 2)), 2000);
	ck_assert_ptr_nonnull(strstr(logged, "away: all of it is written anew"));
	ck_assert_ptr_null(strstr(strstr(logged, "anew") + 1, "anew"));
	ck_assert_ptr_null(strstr(logged, "until then"));
}
END_TEST

START_TEST(folder_of_another)
{
	int fd;

	stop();
	logged[0] = '\0';
	fd = open("state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	start();
	ck_assert(strstr(logged, "another berthd uses it: each needs a State of its own"));
	close(fd);
	wait_for(strstr(logged, "can be written again"));
}
END_TEST

/* Calls */

static void remember_many(unsigned n)
{
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		learn(add(i, name, i), 1 + i, 7);
	}
	restart();
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		add(i, name, i);
	}
}

/* All of them, each once, in order, and never faster than is allowed. */
START_TEST(calls_are_paced)
{
	enum { N = 1000 };
	struct loop_wait w = { .what = "all calls" };
	uint64_t began = uv_hrtime();

	remember_many(N);
	loop_wait_begin(&w, &loop);
	while (fake.n_calls < N) {
		uint64_t ticks;

		uv_run(&loop, UV_RUN_ONCE);
		ticks = (uv_hrtime() - began) / 1000000 / CALLS_TICK_MS + 1;
		require(fake.n_calls <= ticks * CALLS_PER_TICK);
	}
	loop_wait_end(&w, &loop);
	for (unsigned i = 0; i < N; i++)
		require(!memcmp(fake.called[i], fake.peers[i].key, 32));
}
END_TEST

/* While tenants come by themselves, nobody is called; afterwards all are. */
START_TEST(calls_wait)
{
	enum { N = 100 };

	fake.busy = true;
	remember_many(N);
	learn(&fake.peers[0], 1, 8);
	wait_for(!fake.news);
	ck_assert_uint_eq(fake.n_calls, 0);
	fake.busy = false;
	wait_for(fake.n_calls == N);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("state");
	TCase *tc = tcase_create("state");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, same_name_and_key);
	tcase_add_test(tc, known_from_before);
	tcase_add_test(tc, counts_last);
	tcase_add_test(tc, drops_alone);
	tcase_add_loop_test(tc, expired, 0, 2);
	tcase_add_test(tc, revoked);
	tcase_add_loop_test(tc, not_come_yet, 0, 2);
	tcase_add_test(tc, held);
	tcase_add_test(tc, by_hand);
	tcase_add_test(tc, at_random);
	tcase_add_test(tc, saved_by_itself);
	tcase_add_test(tc, journal_is_bounded);
	tcase_add_test(tc, folder_comes_late);
	tcase_add_loop_test(tc, folder_is_taken_away, 0, 6);
	tcase_add_test(tc, folder_of_another);
	tcase_add_test(tc, calls_are_paced);
	tcase_add_test(tc, calls_wait);
	return files_run(s, tc);
}
