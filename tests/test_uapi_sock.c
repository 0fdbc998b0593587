/* SPDX-License-Identifier: MIT */
/*
 * uapi_sock between a client and a device that only remembers: its functions
 * below take the place of those of src/path/device.c.
 */
#include "../src/manage/uapi_sock.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../src/base/encoding.h"
#include "../src/base/log.h"

#define KEY_A "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"

enum { DEADLINE_MS = 20000, PEERS_MAX = 100000, KNOWN_MAX = 16 };

/* A peer that can be asked for; its key is its number, from 1 on. */
struct known {
	bool there;
	const char *name;
	struct prefix prefixes[2];
	size_t n_prefixes;
	uint16_t keepalive;
	uint8_t preshared_key;
};

/* The fake device: the last list that it was given, and what it says it is. */
struct device {
	struct change_list applied;
	unsigned lists;
	int error;
	size_t failed;
	const char *refused; /* why */
	struct device_info info, info_after;
	struct known known[KNOWN_MAX], after[KNOWN_MAX]; /* what a list makes of them */
	bool changes;
	size_t n_peers;
};

int device_apply(struct device *dev, const struct change *changes, size_t n, size_t *failed)
{
	change_list_free(&dev->applied);
	for (size_t i = 0; i < n; i++) {
		struct change *c = change_add(&dev->applied, changes[i].kind);

		*c = changes[i];
		c->allowed_ips = NULL;
		c->n_allowed_ips = 0;
	}
	dev->lists++;
	if (dev->changes) {
		dev->info = dev->info_after;
		memcpy(dev->known, dev->after, sizeof(dev->known));
	}
	*failed = dev->failed;
	return dev->error;
}

int device_refuses(struct device *dev, const struct change *changes, size_t n, size_t at,
		   char why[DEVICE_WHY_STRLEN])
{
	ck_assert(at < n && changes[at].kind == dev->applied.changes[at].kind);
	if (!dev->refused)
		return 0;
	(void)snprintf(why, DEVICE_WHY_STRLEN, "%s", dev->refused);
	return dev->error;
}

void device_get(struct device *dev, struct device_info *out)
{
	*out = dev->info;
}

bool device_get_peer(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN],
		     void (*fn)(const struct device_peer *peer, void *arg), void *arg)
{
	uint32_t number = load_be32(public_key);
	const struct known *k = &dev->known[number - 1];
	struct device_peer peer = { .public_key = public_key };

	ck_assert(number && number <= KNOWN_MAX);
	if (!k->there)
		return false;
	peer.name = k->name;
	peer.allowed_ips = k->prefixes;
	peer.n_allowed_ips = k->n_prefixes;
	peer.keepalive = k->keepalive;
	peer.preshared_key[5] = k->preshared_key;
	fn(&peer, arg);
	return true;
}

void device_each_peer(struct device *dev, void (*fn)(const struct device_peer *peer, void *arg),
		      void *arg)
{
	for (size_t i = 0; i < dev->n_peers; i++) {
		uint8_t key[32] = { 0 };
		struct device_peer peer = { .name = "", .public_key = key };

		store_be32(key, (uint32_t)i + 1);
		fn(&peer, arg);
	}
}

const char *device_name(const struct device *dev)
{
	(void)dev;
	return "wgtest0";
}

static struct {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct device dev;
	struct uapi_sock *sock;
	char path[64];
	unsigned gone;
	char logged[LOG_TEXT_MAX];
} lab;

static void on_deadline(uv_timer_t *timer)
{
	(void)timer;
	ck_abort_msg("what the test waits for has not come");
}

static void on_gone(void *arg)
{
	(void)arg;
	lab.gone++;
}

static void on_log(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	snprintf(lab.logged, sizeof(lab.logged), "%s", text);
}

static const struct log_hook hook = { .line = on_log };

static void open_with(unsigned flags)
{
	struct uapi_sock_options options = { .path = lab.path,
					     .fd = -1,
					     .flags = flags,
					     .gone = on_gone };

	memset(&lab, 0, sizeof(lab));
	log_set_hook(&hook);
	uv_loop_init(&lab.loop);
	uv_timer_init(&lab.loop, &lab.deadline);
	uv_timer_start(&lab.deadline, on_deadline, DEADLINE_MS, 0);
	snprintf(lab.path, sizeof(lab.path), "/tmp/berth-uapi-%d.sock", (int)getpid());
	ck_assert_int_eq(uapi_sock_open(&lab.sock, &lab.loop, &lab.dev, &options), 0);
}

static void setup(void)
{
	open_with(UAPI_MAY_TAKE);
}

static void setup_router(void)
{
	open_with(0);
}

static void teardown(void)
{
	uapi_sock_close(lab.sock);
	change_list_free(&lab.dev.applied);
	uv_close((uv_handle_t *)&lab.deadline, NULL);
	uv_run(&lab.loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&lab.loop), 0);
	ck_assert_int_ne(access(lab.path, F_OK), 0);
	log_set_hook(NULL);
}

static int connect_client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, lab.path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Turns the loop until all of the answer, which ends in an empty line, has come. */
static char *hear(int fd)
{
	size_t len = 0, room = 1 << 16;
	char *buf = malloc(room);

	for (;;) {
		ssize_t n;

		if (room - len < 2)
			buf = realloc(buf, room *= 2);
		n = recv(fd, buf + len, room - len - 1, 0);
		if (n < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			uv_run(&lab.loop, UV_RUN_ONCE);
			continue;
		}
		len += (size_t)n;
		buf[len] = '\0';
		if (!n || (len >= 2 && memcmp(buf + len - 2, "\n\n", 2) == 0))
			return buf;
	}
}

static void ask(int fd, const char *request, const char *want)
{
	char *answer;

	ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL),
			 (ssize_t)strlen(request));
	answer = hear(fd);
	ck_assert_str_eq(answer, want);
	free(answer);
}

static void expect_end(int fd)
{
	char *answer = hear(fd);

	ck_assert_str_eq(answer, "");
	free(answer);
	close(fd);
}

START_TEST(get)
{
	int fd = connect_client();

	lab.dev.info.listen_port = 51820;
	lab.dev.n_peers = 1;
	ck_assert_int_eq(key_from_hex(lab.dev.info.private_key, KEY_A), 0);
	ask(fd, "get=1\n\n",
	    "private_key=" KEY_A "\nlisten_port=51820\n"
	    "public_key=0000000100000000000000000000000000000000000000000000000000000000\n"
	    "protocol_version=1\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
	    "tx_bytes=0\nrx_bytes=0\nerrno=0\n\n");
	lab.dev.info = (struct device_info){ 0 };
	lab.dev.n_peers = 0;
	ask(fd, "get=1\n\n", "errno=0\n\n");
	ask(fd, "get=1\nx\n\n", "errno=-22\n\n");
	close(fd);
}
END_TEST

START_TEST(get_many)
{
	int fd = connect_client();
	char *answer;

	lab.dev.n_peers = PEERS_MAX;
	ck_assert_int_eq(send(fd, "get=1\n\n", 7, 0), 7);
	answer = hear(fd);
	ck_assert_str_eq(answer + strlen(answer) - 9, "errno=0\n\n");
	ck_assert(strlen(answer) > (size_t)PEERS_MAX * 150);
	free(answer);
	close(fd);
}
END_TEST

START_TEST(set)
{
	int fd = connect_client();

	ask(fd, "set=1\nlisten_port=7\npublic_key=" KEY_A "\n\n", "errno=0\n\n");
	ck_assert_uint_eq(lab.dev.lists, 1);
	ck_assert_uint_eq(lab.dev.applied.n, 2);
	ck_assert_uint_eq(lab.dev.applied.changes[0].number, 7);
	ck_assert_uint_eq(lab.dev.applied.changes[1].flags, PEER_MAY_TAKE);
	ask(fd, "set=1\n\n", "errno=0\n\n");
	ck_assert_uint_eq(lab.dev.applied.n, 0);
	ck_assert_str_eq(lab.logged, "");
	close(fd);
}
END_TEST

START_TEST(set_fails)
{
	int fd = connect_client();

	lab.dev.error = -EADDRINUSE;
	lab.dev.failed = 1;
	ask(fd, "set=1\nfwmark=1\nlisten_port=7\n\n", "errno=-98\n\n");
	ck_assert_ptr_nonnull(strstr(lab.logged, "wgtest0: UAPI request failed at listen port 7"));
	close(fd);
}
END_TEST

/* wg(8) shows the errno; which address of which peer it was, and why, is in the log. */
START_TEST(set_refused)
{
	int fd = connect_client();

	lab.dev.error = -EADDRNOTAVAIL;
	lab.dev.refused = "0.0.0.0/0 is in no Prefix of berth.conf";
	ask(fd, "set=1\npublic_key=" KEY_A "\nallowed_ip=0.0.0.0/0\n\n", "errno=-99\n\n");
	ck_assert_str_eq(lab.logged,
			 "wgtest0: UAPI request failed at peer "
			 "oKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr8=: "
			 "0.0.0.0/0 is in no Prefix of berth.conf");
	close(fd);
}
END_TEST

/* A fault in any line: nothing of the request is applied, and the connection goes on. */
START_TEST(set_faulty)
{
	int fd = connect_client();

	ask(fd, "set=1\nfwmark=1\nlisten_port=70000\n\n", "errno=-22\n\n");
	ck_assert_uint_eq(lab.dev.lists, 0);
	ck_assert_str_eq(lab.logged, "wgtest0: UAPI request refused, line 3, listen_port: "
				     "not a decimal number up to 65535");
	ask(fd, "set=1\nprivate_key=" KEY_A "aa\n\n", "errno=-22\n\n");
	ck_assert_ptr_null(strstr(lab.logged, "a0a1"));
	ask(fd, "get=1\n\n", "errno=0\n\n");
	close(fd);
}
END_TEST

START_TEST(not_the_protocol)
{
	static const char *const requests[] = { "GET / HTTP/1.1\r\n\n", "get=2\n\n", "\n\n",
						"set=1\nnonsense\n\n" };
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		int fd = connect_client();

		ask(fd, requests[i], "errno=-71\n\n");
		expect_end(fd);
	}
	ck_assert_uint_eq(lab.dev.lists, 0);
}
END_TEST

/* A client that dies amid its request has asked for nothing. */
START_TEST(cut_off)
{
	int fd = connect_client();

	ck_assert_int_eq(send(fd, "set=1\nreplace_peers=true\n", 25, 0), 25);
	shutdown(fd, SHUT_WR);
	expect_end(fd);
	ck_assert_uint_eq(lab.dev.lists, 0);
}
END_TEST

/* A request about peers 1 to n makes lab.dev.after of them. Returns the last line of the log. */
static const char *changed(unsigned n, const char *first)
{
	char request[16 * 128] = "set=1\n";
	int fd = connect_client();

	strcat(request, first);
	for (unsigned i = 1; i <= n; i++)
		sprintf(request + strlen(request), "public_key=%08x%056x\n", i, 0);
	strcat(request, "\n");
	lab.dev.changes = true;
	lab.logged[0] = '\0';
	ask(fd, request, "errno=0\n\n");
	close(fd);
	return lab.logged;
}

/* What a router's files say is another thing from now on: that is said, by name. */
START_TEST(changed_by_wg)
{
	static const struct known blog = { .there = true,
					   .name = "blog",
					   .prefixes = { { AF_INET, 32, { 10, 0, 0, 1 } },
							 { AF_INET, 32, { 10, 0, 0, 2 } } },
					   .n_prefixes = 2 };
	struct known *was = &lab.dev.known[0], *is = &lab.dev.after[0];

	*was = *is = blog;
	/* `wg syncconf` says what there is already. */
	is->prefixes[0] = blog.prefixes[1];
	is->prefixes[1] = blog.prefixes[0];
	ck_assert_str_eq(changed(1, ""), "");
	*is = (struct known){ .there = false };
	ck_assert_str_eq(changed(1, ""), "tenant blog: removed by wg; its file puts it back at the "
					 "next reload (SIGHUP)");
	*is = (struct known){ .there = true, .name = "peer(AAAA…AAA=)" };
	ck_assert_str_eq(changed(1, ""),
			 "wgtest0: peer AAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=: added by wg; "
			 "no file has it, and it goes at the next reload (SIGHUP)");
	/* It is nobody's. */
	is->keepalive = 7;
	ck_assert_str_eq(changed(1, ""), "");
	*was = *is = blog;
	is->n_prefixes = 1;
	ck_assert_str_eq(changed(1, ""), "tenant blog: AllowedIPs changed by wg; its file puts "
					 "that back at the next reload (SIGHUP)");
	is->preshared_key = 1;
	ck_assert_ptr_nonnull(strstr(changed(1, ""), "blog: the preshared key changed by wg;"));
	is->keepalive = 25;
	ck_assert_ptr_nonnull(strstr(changed(1, ""), "tenant blog: the keepalive changed by wg;"));
	ck_assert_str_eq(changed(1, ""), "");
}
END_TEST

START_TEST(much_changed_by_wg)
{
	for (unsigned i = 0; i < 12; i++)
		lab.dev.known[i] = (struct known){ .there = true, .name = "blog" };
	ck_assert_str_eq(changed(12, ""), "wgtest0: and 2 peers more, by wg");
	lab.dev.info.n_peers = 3;
	ck_assert_str_eq(changed(12, "replace_peers=true\n"),
			 "wgtest0: all peers (3) removed by wg; files put back whom they have at "
			 "the next reload (SIGHUP)");
	lab.dev.info_after.listen_port = 7;
	ck_assert_str_eq(changed(0, "listen_port=7\n"),
			 "wgtest0: port changed by wg; berth.conf puts it back at the next reload "
			 "(SIGHUP)");
	ck_assert_str_eq(changed(0, "listen_port=7\n"), "");
	lab.dev.info_after.private_key[3] = 7;
	ck_assert_ptr_nonnull(strstr(changed(0, ""), "wgtest0: private key changed by wg;"));
	lab.dev.info_after.fwmark = 7;
	ck_assert_ptr_nonnull(strstr(changed(0, ""), "wgtest0: mark changed by wg;"));
}
END_TEST

START_TEST(removed)
{
	ck_assert_int_eq(unlink(lab.path), 0);
	while (!lab.gone)
		uv_run(&lab.loop, UV_RUN_ONCE);
	ck_assert_uint_eq(lab.gone, 1);
}
END_TEST

START_TEST(paths)
{
	char path[UAPI_SOCK_PATH_MAX];

	ck_assert_str_eq(uapi_sock_path("wg0", path), "/var/run/wireguard/wg0.sock");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uapi_sock");
	TCase *t = tcase_create("all"), *router = tcase_create("router");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, get);
	tcase_add_test(t, get_many);
	tcase_add_test(t, set);
	tcase_add_test(t, set_fails);
	tcase_add_test(t, set_refused);
	tcase_add_test(t, set_faulty);
	tcase_add_test(t, not_the_protocol);
	tcase_add_test(t, cut_off);
	tcase_add_test(t, removed);
	tcase_add_test(t, paths);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(router, setup_router, teardown);
	tcase_set_timeout(router, 60);
	tcase_add_test(router, changed_by_wg);
	tcase_add_test(router, much_changed_by_wg);
	suite_add_tcase(s, router);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
