/* SPDX-License-Identifier: MIT */
/*
 * What the tests of reload stand upon: real files in a real folder, a real
 * loop, and a gateway made of values (fake_device.c). Nothing waits for a
 * time: what must come is waited for with a generous bound, and what must not
 * come has not when a later change (the fence) has. State is per process, and
 * Check forks one per test.
 */
#ifndef BERTH_TESTS_RELOAD_LAB_H
#define BERTH_TESTS_RELOAD_LAB_H

#include <check.h>

#include "../src/base/encoding.h"
#include "../src/base/log.h"
#include "../src/manage/reload.h"
#include "config_files.h"
#include "fake_device.h"
#include "loop_wait.h"

enum { FENCE_KEY = 60000 };

static uv_loop_t loop;
static struct reload *reload;
static struct config_router router;
static char logged[65536];
static unsigned fences;

static inline void on_line(enum log_level level, const char *text, void *arg)
{
	size_t len = strlen(logged);

	(void)level, (void)arg;
	snprintf(logged + len, sizeof(logged) - len, "%s\n", text);
}

static inline const char *show_all(void)
{
	static char text[sizeof(logged) + 256 * 1024 + 64];

	snprintf(text, sizeof(text), "the gateway has\n%sand the log\n%s", fake_peers(), logged);
	return text;
}

#define wait_for(what) loop_wait(&loop, what, show_all)

/* Key number n in base64; in the model its first two bytes are n. */
static inline const char *key_text(unsigned n)
{
	static char text[4][KEY_BASE64_STRLEN];
	static unsigned turn;
	uint8_t key[32] = { (uint8_t)(n >> 8), (uint8_t)n, 1 };

	turn = (turn + 1) % 4;
	return key_to_base64(key, text[turn]);
}

static inline const char *tenant_text(unsigned key, const char *ips)
{
	static char text[512];

	snprintf(text, sizeof(text), "[Peer]\nPublicKey = %s\nAllowedIPs = %s\n", key_text(key),
		 ips);
	return text;
}

/* Into config.d/NAME.conf, in place. */
static inline void put(const char *name, unsigned key, const char *ips)
{
	char path[128];

	snprintf(path, sizeof(path), "config.d/%s.conf", name);
	files_put(path, 0600, tenant_text(key, ips));
}

static inline void run(const char *command)
{
	ck_assert_msg(!system(command), "failed: %s", command);
}

/* All that has happened before has come into force when this returns. */
static inline void fence(void)
{
	unsigned key = FENCE_KEY + ++fences;
	const struct fake_peer *peer;

	put("zz-fence", key, "");
	wait_for((peer = fake_peer("zz-fence")) && peer->key[1] == (uint8_t)key);
}

/* The same where a file may have been emptied: that is looked at twice, the second time before this. */
static inline void fence_emptied(void)
{
	fence();
	fence();
}

/* What the gateway has, the fence left out: "name key prefix...;" each. */
static inline const char *state(void)
{
	static char text[256 * 1024];
	char *fence_at;

	strcpy(text, fake_peers());
	fence_at = strstr(text, "zz-fence");
	if (fence_at)
		*fence_at = '\0';
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ';';
	return text;
}

#define expect(text)                                  \
	do {                                          \
		fence();                              \
		ck_assert_str_eq(state(), text);      \
	} while (0)

static inline unsigned session(const char *name)
{
	const struct fake_peer *peer = fake_peer(name);

	return peer ? peer->session : 0;
}

static inline struct reload_counts counts(void)
{
	struct reload_counts c;

	reload_counts(reload, &c);
	return c;
}

static inline bool has_logged(const char *text)
{
	return strstr(logged, text) != NULL;
}

static inline void open_reload(void)
{
	ck_assert_int_eq(reload_open(&reload, &loop, NULL, &router, fake_gateway()), 0);
	wait_for(has_logged("tunnels"));
	logged[0] = '\0';
}

static inline void close_reload(void)
{
	reload_close(reload);
	uv_run(&loop, UV_RUN_DEFAULT);
}

static inline void begin(void)
{
	static const struct log_hook hook = { .line = on_line };
	struct fault_list faults = { 0 };
	struct rules_where where = { "berth.conf", 1, "Prefix", &faults };

	files_begin();
	log_set_hook(&hook);
	router = (struct config_router){ .file = (char *)(uintptr_t)"berth.conf",
					 .gateway = true,
					 .name = "berth0",
					 .tenants = (char *)(uintptr_t)"config.d" };
	ck_assert_int_eq(value_ranges(&where, "2001:db8::/64, 203.0.113.0/24", &router.prefixes), 0);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
}

static inline void begin_open(void)
{
	begin();
	open_reload();
}

static inline void end(void)
{
	close_reload();
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	for (size_t i = 0; i < FAKE_TUNNELS; i++)
		ck_assert(!fake.tunnels[i].there);
	free(router.prefixes.v);
	log_set_hook(NULL);
	files_end();
}

static inline void put_tunnel(const char *name, const char *ifname)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "config.d/%s.conf", name);
	snprintf(text, sizeof(text), "[Interface]\nPrivateKey = %s\n[Container]\nName = %s\n",
		 key_text(77), ifname);
	files_put(path, 0600, text);
}

#endif
