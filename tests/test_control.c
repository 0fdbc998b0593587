/* SPDX-License-Identifier: MIT */
/*
 * control and the JSON of running things. The router is a fake, and so is the
 * device: its functions below take the place of those of src/path/device.c.
 */
#include "../src/manage/control.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../src/manage/control_json.h"

enum { DEADLINE_MS = 20000, TENANTS_MAX = 100000 };

static const uint8_t key[32] = { 1, 2, 3 };
#define KEY_BASE64 "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static struct {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct control *control;
	char path[64];
	size_t tenants;
	int error;
	unsigned gone;
	bool live, refused; /* alice, with the key above; her file */
	bool starting;
} lab;

/* A peer with something in every field. */
static void fill_peer(struct device_peer *peer, const struct prefix *ranges, size_t n)
{
	*peer = (struct device_peer){ .name = "alice",
				      .public_key = key,
				      .preshared_key = { 9 },
				      .last_handshake = { .tv_sec = 1700000000 },
				      .rx_bytes = 1,
				      .rx_packets = 2,
				      .tx_bytes = INT64_MAX,
				      .tx_packets = 4,
				      .endpoint_changes = 5,
				      .keepalive = 25,
				      .session = true,
				      .allowed_ips = ranges,
				      .n_allowed_ips = n };
	peer->drops[DROP_BAD_TAG] = 7;
	peer->drops[DROP_SOURCE_NOT_ALLOWED] = 8;
	ck_assert_int_eq(endpoint_parse(&peer->endpoint, "192.0.2.1:51820"), 0);
}

/* The fake device: one peer, no private key shown. */

static struct datapath datapath;

void device_get(struct device *dev, struct device_info *out)
{
	(void)dev;
	*out = (struct device_info){ .listen_port = 51820, .private_key = { 0x77 }, .gso = true };
	memcpy(out->public_key, key, sizeof(key));
}

void device_each_peer(struct device *dev, void (*fn)(const struct device_peer *peer, void *arg),
		      void *arg)
{
	struct device_peer peer;

	(void)dev;
	fill_peer(&peer, NULL, 0);
	fn(&peer, arg);
	peer.session = false;
	peer.tx_bytes = 10;
	fn(&peer, arg);
}

const char *device_name(const struct device *dev)
{
	(void)dev;
	return "berth0";
}

struct datapath *device_datapath(struct device *dev)
{
	(void)dev;
	return &datapath;
}

/* The fake router */

static int on_list(void *arg, struct control_list *list)
{
	char name[32];

	(void)arg;
	for (size_t i = 0; i < lab.tenants; i++) {
		snprintf(name, sizeof(name), "t%zu", i);
		control_list_add(list, json_pack("{s:s}", "name", name));
	}
	return lab.error;
}

static int on_show(void *arg, const char *name, json_t *tenant)
{
	(void)arg;
	if (strcmp(name, "alice") != 0)
		return -ENOENT;
	json_object_set_new(tenant, "name", json_string(name));
	return lab.error;
}

static int on_names(void *arg, json_t *names)
{
	(void)arg;
	json_array_append_new(names, json_string("alice"));
	return lab.error;
}

static bool on_in_force(void *arg, const char *name, uint8_t public_key[KEY_LEN])
{
	(void)arg;
	memcpy(public_key, key, KEY_LEN);
	return lab.live && strcmp(name, "alice") == 0;
}

static bool on_refused(void *arg, const char *name, char *why, size_t room)
{
	(void)arg;
	snprintf(why, room, "alice.conf:1: a fault");
	return lab.refused && strcmp(name, "alice") == 0;
}

static int on_owner(void *arg, const struct prefix *address, json_t *owner)
{
	char text[PREFIX_STRLEN];

	(void)arg;
	json_object_set_new(owner, "of", json_string(prefix_format(address, text)));
	return lab.error;
}

static int on_release(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "alice") != 0)
		return strcmp(name, "bob") ? -ENOENT : -EALREADY;
	return lab.error;
}

static bool on_starting(void *arg)
{
	(void)arg;
	return lab.starting;
}

static int on_status(void *arg, json_t *status)
{
	(void)arg;
	json_object_set_new(status, "pid", json_integer(1));
	return lab.error;
}

static void on_gone(void *arg)
{
	(void)arg;
	lab.gone++;
}

static const struct control_ops ops = {
	.list = on_list, .show = on_show, .owner = on_owner, .status = on_status, .gone = on_gone,
	.names = on_names, .in_force = on_in_force, .refused = on_refused, .release = on_release,
	.starting = on_starting
};

static void on_deadline(uv_timer_t *timer)
{
	(void)timer;
	ck_abort_msg("what the test waits for has not come");
}

static void setup(void)
{
	memset(&lab, 0, sizeof(lab));
	uv_loop_init(&lab.loop);
	uv_timer_init(&lab.loop, &lab.deadline);
	uv_timer_start(&lab.deadline, on_deadline, DEADLINE_MS, 0);
	snprintf(lab.path, sizeof(lab.path), "/tmp/berth-control-%d.sock", (int)getpid());
	ck_assert_int_eq(control_open(&lab.control, &lab.loop, lab.path, &ops, &lab), 0);
}

static void teardown(void)
{
	control_close(lab.control);
	uv_close((uv_handle_t *)&lab.deadline, NULL);
	uv_run(&lab.loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&lab.loop), 0);
}

static int connect_client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, lab.path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Turns the loop until a line has come; without its newline. */
static char *hear(int fd)
{
	size_t len = 0, room = 1 << 16;
	char *buf = malloc(room);

	for (;;) {
		ssize_t n;

		if (len == room)
			buf = realloc(buf, room *= 2);
		n = recv(fd, buf + len, room - len, 0);
		if (n < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			uv_run(&lab.loop, UV_RUN_ONCE);
			continue;
		}
		ck_assert_int_gt(n, 0);
		len += (size_t)n;
		if (buf[len - 1] == '\n') {
			buf[len - 1] = '\0';
			return buf;
		}
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

static const struct {
	const char *request, *answer;
} exchanges[] = {
	/* 0 */ { "{\"do\":\"list\"}", "{\"tenants\":[{\"name\":\"t0\"},{\"name\":\"t1\"}]}" },
	/* 1 */ { "{\"do\":\"show\",\"name\":\"alice\"}", "{\"tenant\":{\"name\":\"alice\"}}" },
	/* 2 */ { "{\"do\":\"status\"}", "{\"status\":{\"pid\":1}}" },
	/* 3 */ { "{\"do\":\"show\",\"name\":\"bob\"}", "{\"error\":\"there is no tenant 'bob'\",\"code\":\"no-tenant\"}" },
	/* 4 */ { "{\"do\":\"show\"}", "{\"error\":\"this request needs a name\"}" },
	/* 5 */ { "{\"do\":\"show\",\"name\":1}", "{\"error\":\"this request needs a name\"}" },
	/* 6 */ { "{\"do\":\"dance\"}", "{\"error\":\"this berthd cannot do 'dance'\"}" },
	/* 7 */ { "{}", "{\"error\":\"not a request: an object with \\\"do\\\" is wanted\"}" },
	/* 8 */ { "[]", "{\"error\":\"not a request: an object with \\\"do\\\" is wanted\"}" },
	/* 9 */ { "{\"do\":7}", "{\"error\":\"not a request: an object with \\\"do\\\" is wanted\"}" },
	{ "{\"do\":\"release\",\"name\":\"alice\"}", "{\"released\":{\"name\":\"alice\"}}" },
	{ "{\"do\":\"release\",\"name\":\"bob\"}", "{\"error\":\"'bob' is not quarantined\"}" },
	{ "{\"do\":\"release\",\"name\":\"x\"}",
	  "{\"error\":\"there is no tenant 'x'\",\"code\":\"no-tenant\"}" },
	{ "{\"do\":\"release\"}", "{\"error\":\"a request to release needs a name\"}" },
	/* 10: what is echoed does not drive a terminal */
	{ "{\"do\":\"\\u001b[2J\"}", "{\"error\":\"this berthd cannot do '\\\\x1b[2J'\"}" },
	/* 11 */ { "{\"do\":\"names\"}", "{\"names\":[\"alice\"]}" },
	/* 12 */ { "{\"do\":\"wait\"}", "{\"error\":\"a request to wait needs a name\"}" },
	/* 13 */ { "{\"do\":\"wait\",\"name\":\"alice\",\"public_key\":\"x\"}",
		   "{\"error\":\"a request to wait needs a whole public key, or none\"}" },
	/* 14: nobody has to be waited for who is not there */
	{ "{\"do\":\"wait\",\"name\":\"bob\"}", "{\"wait\":{\"state\":\"gone\"}}" },
	/* 15: whose an address is */
	{ "{\"do\":\"owner\",\"address\":\"2001:db8::1\"}",
	  "{\"owner\":{\"of\":\"2001:db8::1/128\"}}" },
	{ "{\"do\":\"owner\",\"address\":\"2001:db8::/64\"}",
	  "{\"error\":\"a request for the owner needs an address\"}" },
	{ "{\"do\":\"owner\"}", "{\"error\":\"a request for the owner needs an address\"}" },
};

START_TEST(exchange)
{
	char request[128];
	int fd = connect_client();

	lab.tenants = 2;
	snprintf(request, sizeof(request), "%s\n", exchanges[_i].request);
	ask(fd, request, exchanges[_i].answer);
	/* The connection goes on. */
	ask(fd, "{\"do\":\"status\"}\n", "{\"status\":{\"pid\":1}}");
	close(fd);
}
END_TEST

#define STARTING "{\"error\":\"berthd is still reading its tenants\",\"code\":\"starting\"}"

/* Who is not there may be there in a moment: that is no answer. */
START_TEST(not_all_is_read)
{
	static const char *const requests[][2] = {
		{ "{\"do\":\"list\"}\n", STARTING },
		{ "{\"do\":\"names\"}\n", STARTING },
		{ "{\"do\":\"owner\",\"address\":\"2001:db8::1\"}\n", STARTING },
		{ "{\"do\":\"show\",\"name\":\"carol\"}\n", STARTING },
		{ "{\"do\":\"release\",\"name\":\"carol\"}\n", STARTING },
		{ "{\"do\":\"show\",\"name\":\"alice\"}\n", "{\"tenant\":{\"name\":\"alice\"}}" },
		{ "{\"do\":\"status\"}\n", "{\"status\":{\"pid\":1}}" },
	};
	int fd = connect_client();

	lab.tenants = 1;
	lab.starting = true;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		ask(fd, requests[i][0], requests[i][1]);
	lab.starting = false;
	ask(fd, "{\"do\":\"list\"}\n", "{\"tenants\":[{\"name\":\"t0\"}]}");
	close(fd);
}
END_TEST

#define WAIT_ALICE "{\"do\":\"wait\",\"name\":\"alice\",\"public_key\":\"" KEY_BASE64 "\"}\n"

/* Sends a request that is not answered before others of another client are. */
static int wait_for_it(const char *request)
{
	int fd = connect_client(), other = connect_client();
	char c;

	ck_assert_int_gt(send(fd, request, strlen(request), MSG_NOSIGNAL), 0);
	for (int i = 0; i < 3; i++)
		ask(other, "{\"do\":\"status\"}\n", "{\"status\":{\"pid\":1}}");
	control_changed(lab.control);
	ck_assert_int_eq(recv(fd, &c, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(other);
	return fd;
}

static void expect_answer(int fd, const char *want)
{
	char *answer = hear(fd);

	ck_assert_str_eq(answer, want);
	free(answer);
}

START_TEST(wait_live)
{
	int fd = wait_for_it(WAIT_ALICE), second = wait_for_it(WAIT_ALICE);

	lab.live = true;
	control_changed(lab.control);
	expect_answer(fd, "{\"wait\":{\"state\":\"live\"}}");
	expect_answer(second, "{\"wait\":{\"state\":\"live\"}}");
	/* And at once when it has come already. */
	ask(fd, WAIT_ALICE, "{\"wait\":{\"state\":\"live\"}}");
	close(fd);
	close(second);
}
END_TEST

START_TEST(wait_refused)
{
	int fd = wait_for_it(WAIT_ALICE);

	lab.refused = true;
	control_changed(lab.control);
	expect_answer(fd, "{\"wait\":{\"state\":\"refused\",\"why\":\"alice.conf:1: a fault\"}}");
	close(fd);
}
END_TEST

START_TEST(wait_gone)
{
	int fd;

	lab.live = true;
	fd = wait_for_it("{\"do\":\"wait\",\"name\":\"alice\"}\n");
	lab.live = false;
	control_changed(lab.control);
	expect_answer(fd, "{\"wait\":{\"state\":\"gone\"}}");
	close(fd);
}
END_TEST

/* In force with another key is not what is waited for; who leaves is forgotten. */
START_TEST(wait_left)
{
	static const char other_key[] = "{\"do\":\"wait\",\"name\":\"alice\",\"public_key\":"
					"\"AQIDBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}\n";
	int fd, witness;

	lab.live = true;
	fd = wait_for_it(other_key);
	close(fd);
	witness = connect_client();
	for (int i = 0; i < 3; i++)
		ask(witness, "{\"do\":\"status\"}\n", "{\"status\":{\"pid\":1}}");
	lab.refused = true;
	control_changed(lab.control);
	close(witness);
	lab.refused = false;
	/* One that still waits when all ends. */
	(void)wait_for_it(other_key);
}
END_TEST

START_TEST(not_json)
{
	static const char *const lines[] = { "\n", "hello\n", "{\"do\":\n", "\"list\"\n",
					     "{\"do\":\"list\",\"do\":\"show\"}\n",
					     "{\"do\":\"list\"} x\n", "{\"do\":\"\xff\"}\n" };
	int fd = connect_client();

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char *answer;

		ck_assert_int_gt(send(fd, lines[i], strlen(lines[i]), 0), 0);
		answer = hear(fd);
		ck_assert_msg(strncmp(answer, "{\"error\":\"not JSON: ", 20) == 0, "%zu %s", i,
			      answer);
		free(answer);
	}
	close(fd);
}
END_TEST

/* What was already written of an answer is not sent when the router then fails. */
START_TEST(router_fails)
{
	int fd = connect_client();

	lab.tenants = 2;
	lab.error = -EIO;
	ask(fd, "{\"do\":\"list\"}\n",
	    "{\"error\":\"berthd could not answer: Input/output error\"}");
	ask(fd, "{\"do\":\"status\"}\n",
	    "{\"error\":\"berthd could not answer: Input/output error\"}");
	close(fd);
}
END_TEST

START_TEST(many)
{
	int fd = connect_client();
	char *answer;
	json_t *json;

	lab.tenants = TENANTS_MAX;
	ck_assert_int_gt(send(fd, "{\"do\":\"list\"}\n", 14, 0), 0);
	answer = hear(fd);
	json = json_loads(answer, 0, NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "tenants")), TENANTS_MAX);
	json_decref(json);
	free(answer);
	close(fd);
}
END_TEST

START_TEST(too_long)
{
	char line[20000];
	int fd = connect_client();
	char *answer;

	memset(line, ' ', sizeof(line));
	ck_assert_int_eq(send(fd, line, sizeof(line), 0), sizeof(line));
	answer = hear(fd);
	ck_assert_str_eq(answer, "{\"error\":\"a request is at most 16384 bytes long\"}");
	free(answer);
	close(fd);
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

/* Values */

static void check_json(json_t *json, const char *want)
{
	char *got = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

	ck_assert_str_eq(got, want);
	free(got);
	json_decref(json);
}

START_TEST(peer_json)
{
	json_t *json = json_object();
	struct device_peer peer;
	struct prefix ranges[2];

	ck_assert_int_eq(prefix_parse(&ranges[0], "2001:db8::1"), 0);
	ck_assert_int_eq(prefix_parse(&ranges[1], "10.0.0.0/8"), 0);
	fill_peer(&peer, ranges, 2);
	ck_assert_int_eq(control_peer_json(json, &peer), 0);
	check_json(json, "{\"name\":\"alice\",\"public_key\":\"" KEY_BASE64 "\","
			 "\"state\":\"connected\",\"allowed_ips\":[\"2001:db8::1/128\","
			 "\"10.0.0.0/8\"],\"endpoint\":\"192.0.2.1:51820\","
			 "\"last_handshake\":1700000000,\"rx_bytes\":1,\"rx_packets\":2,"
			 "\"tx_bytes\":9223372036854775807,\"tx_packets\":4,"
			 "\"endpoint_changes\":5,\"keepalive\":25,"
			 "\"drops\":{\"bad-tag\":7,\"source-not-allowed\":8}}");

	json = json_object();
	peer = (struct device_peer){ .name = "carol", .public_key = key, .session = true,
				     .held = true, .mtu = 1300, .shared_key = 2 };
	ck_assert_int_eq(endpoint_parse(&peer.shared_between[0], "192.0.2.1:1"), 0);
	ck_assert_int_eq(endpoint_parse(&peer.shared_between[1], "[2001:db8::1]:2"), 0);
	ck_assert_int_eq(control_peer_json(json, &peer), 0);
	check_json(json, "{\"name\":\"carol\",\"public_key\":\"" KEY_BASE64 "\","
			 "\"state\":\"quarantined\",\"allowed_ips\":[],\"endpoint\":null,"
			 "\"last_handshake\":null,\"rx_bytes\":0,\"rx_packets\":0,"
			 "\"tx_bytes\":0,\"tx_packets\":0,\"endpoint_changes\":0,"
			 "\"keepalive\":0,\"mtu\":1300,\"shared_key\":2,"
			 "\"shared_key_between\":[\"192.0.2.1:1\",\"[2001:db8::1]:2\"],"
			 "\"drops\":{}}");

	json = json_object();
	peer = (struct device_peer){ .name = "bob", .public_key = key };
	ck_assert_int_eq(control_peer_json(json, &peer), 0);
	check_json(json, "{\"name\":\"bob\",\"public_key\":\"" KEY_BASE64 "\",\"state\":\"idle\","
			 "\"allowed_ips\":[],\"endpoint\":null,\"last_handshake\":null,"
			 "\"rx_bytes\":0,\"rx_packets\":0,\"tx_bytes\":0,\"tx_packets\":0,"
			 "\"endpoint_changes\":0,\"keepalive\":0,\"drops\":{}}");
}
END_TEST

START_TEST(events_json)
{
	struct event events[] = {
		{ .time = UINT64_C(1700000060999), .kind = EVENT_DROPPED,
		  .reason = DROP_BAD_TAG, .run = { .count = 2, .span = 60 } },
		{ .time = UINT64_C(1700000000000), .kind = EVENT_SESSION_ENDED },
	};
	struct device_peer peer = { .events = events, .n_events = ARRAY_SIZE(events) };
	json_t *json = json_object();

	ck_assert_int_eq(control_events_json(json, &peer), 0);
	check_json(json, "{\"events\":[{\"time\":1700000060,\"event\":\"dropped\",\"text\":"
			 "\"packets dropped: data failed to authenticate\",\"count\":2,"
			 "\"since\":1700000000},{\"time\":1700000000,"
			 "\"event\":\"session-ended\",\"text\":\"session ended, its keys are wiped\"}]}");
}
END_TEST

START_TEST(status_json)
{
	struct neigh_stats stats = { .ndp_answered = 3, .announced = 1 };
	json_t *json = json_object(), *uplink = json_object();
	const json_t *part;

	stats.ndp[NDP_OK] = 4;
	stats.arp[ARP_OK] = 2;
	datapath.drops.n[DROP_BAD_MAC1] = 6;
	ck_assert_int_eq(control_device_json(json, NULL, "libsodium"), 0);
	stats.ndp_asked[NEIGH_UNOWNED] = 9;
	ck_assert_int_eq(control_uplink_json(uplink, "eth0", &stats), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "connected")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "peers")), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "rx_bytes")), 2);
	ck_assert_str_eq(json_string_value(json_object_get(json, "public_key")), KEY_BASE64);
	ck_assert(json_is_true(json_object_get(json_object_get(json, "offloads"), "udp_gso")));
	part = json_object_get(json, "drops");
	ck_assert_uint_eq(json_object_size(part), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(part, "bad-mac1")), 6);
	ck_assert_str_eq(json_string_value(json_object_get(uplink, "name")), "eth0");
	ck_assert_int_eq(json_integer_value(json_object_get(uplink, "announced")), 1);
	part = json_object_get(uplink, "ndp");
	ck_assert_int_eq(json_integer_value(json_object_get(part, "unowned")), 9);
	ck_assert_int_eq(json_integer_value(json_object_get(part, "answered")), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(part, ndp_verdict_name(NDP_OK))), 4);
	/* The private key is nowhere. */
	ck_assert_ptr_null(json_object_get(json, "private_key"));
	json_decref(uplink);
	json_decref(json);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("socket");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, exchange, 0, ARRAY_SIZE(exchanges));
	tcase_add_test(t, not_all_is_read);
	tcase_add_test(t, not_json);
	tcase_add_test(t, wait_live);
	tcase_add_test(t, wait_refused);
	tcase_add_test(t, wait_gone);
	tcase_add_test(t, wait_left);
	tcase_add_test(t, router_fails);
	tcase_add_test(t, many);
	tcase_add_test(t, too_long);
	tcase_add_test(t, removed);
	suite_add_tcase(s, t);
	t = tcase_create("json");
	tcase_add_test(t, peer_json);
	tcase_add_test(t, events_json);
	tcase_add_test(t, status_json);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
