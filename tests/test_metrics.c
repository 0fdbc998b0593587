/* SPDX-License-Identifier: MIT */
/*
 * The text for Prometheus, read back by a parser of our own that knows its rules: a
 * family stands in one place, no sample twice. The router is a fake: the functions below
 * take the place of the device's, the workers' and the reload's.
 */
#include "../src/manage/metrics.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../src/manage/exposition.h"
#include "../src/manage/metrics_tables.h"
#include "../src/path/handshake.h"
#include "require.h"

enum { DEADLINE_MS = 20000 };

static struct {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct metrics *metrics;
	struct metrics_asker asker;
	struct metrics_text *text;
	unsigned done, turns;
	/* the fake router */
	unsigned tenants;
	bool tunnel;
} lab;

/* The fake router */

static struct datapath datapath = { .drops.n = { [DROP_BAD_MAC1] = 6 },
				    .handshakes = { .completed = 2, .unanswered = 1 },
				    .peers.staged_bytes = 77 };
static struct device *const device = (struct device *)&datapath;

struct device *gateway_device(struct gateway *gw)
{
	(void)gw;
	return device;
}

struct uplinks *gateway_uplinks(struct gateway *gw)
{
	(void)gw;
	return NULL;
}

struct datapath *device_datapath(struct device *dev)
{
	ck_assert_ptr_eq(dev, device);
	return &datapath;
}

void device_get(struct device *dev, struct device_info *out)
{
	(void)dev;
	*out = (struct device_info){ .private_key = { 0x77 }, .gso = true };
}

static void fill_peer(struct device_peer *peer, unsigned i, char name[32])
{
	snprintf(name, 32, "t%u", i);
	*peer = (struct device_peer){ .name = name,
				      .rx_bytes = UINT64_MAX - i,
				      .tx_packets = i,
				      .endpoint_changes = UINT32_MAX,
				      .session = i % 2 };
	if (i % 2)
		peer->last_handshake.tv_sec = 1700000000;
	peer->drops[DROP_BAD_TAG] = i;
}

void device_walk_begin(struct device *dev, struct device_walk *walk)
{
	(void)dev;
	*walk = (struct device_walk){ .before = lab.tenants };
}

/* walk->at.place: how many have been met. */
bool device_walk(struct device *dev, struct device_walk *walk, unsigned n,
		 void (*fn)(const struct device_peer *peer, void *arg), void *arg)
{
	(void)dev;
	for (; n && walk->at.place < walk->before; n--) {
		struct device_peer peer;
		char name[32];

		fill_peer(&peer, (unsigned)walk->at.place++, name);
		fn(&peer, arg);
	}
	return walk->at.place < walk->before;
}

void device_each_peer(struct device *dev, void (*fn)(const struct device_peer *peer, void *arg),
		      void *arg)
{
	struct device_peer peer;
	char name[32];

	(void)dev;
	for (unsigned i = 10; i < 12; i++) {
		fill_peer(&peer, i, name);
		peer.rx_bytes = i;
		fn(&peer, arg);
	}
}

void reload_each_tunnel(struct reload *r,
			void (*fn)(const char *name, struct device *dev, void *arg), void *arg)
{
	(void)r;
	if (lab.tunnel)
		fn("home", NULL, arg);
}

void reload_counts(const struct reload *r, struct reload_counts *out)
{
	(void)r;
	*out = (struct reload_counts){ .tenants = 3, .refused = 1, .revoked = 9 };
}

void uplinks_each(struct uplinks *u,
		  void (*fn)(const char *name, const struct neigh_stats *stats, void *arg),
		  void *arg)
{
	struct neigh_stats stats = { .ndp_answered = 3, .ndp[NDP_BAD_CODE] = 5,
				     .ndp[NDP_NOT_SOLICITATION] = 1000,
				     .arp_asked[NEIGH_HERE] = 4 };

	(void)u;
	fn("eth0", &stats, arg);
	fn("e\"v\\l\n\xff", &stats, arg);
}

const char *workers_crypto(const struct workers *ws)
{
	(void)ws;
	return "libsodium";
}

void workers_load(const struct workers *ws, unsigned i, struct worker_load *out)
{
	(void)ws;
	*out = (struct worker_load){ .processor = 1500000000 + i, .bursts = 2, .received = 3 };
}

void handshake_load(const struct handshake_thread *ht, struct handshake_load *out)
{
	(void)ht;
	*out = (struct handshake_load){ .processor = 10000000, .queued = 5, .room = 2048 };
}

/* The parser */

struct sample {
	char series[768]; /* name and labels as they stand there */
	char value[40];
};

static struct {
	char *text;
	struct sample *v;
	size_t n;
} parsed;

static bool is_name(const char *s, size_t len)
{
	return len && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") >= len;
}

/* name{a="b",…} with what is escaped in it; returns what stands behind. */
static const char *skip_labels(const char *c)
{
	if (*c != '{')
		return c;
	do {
		const char *name = ++c;

		c = strchr(c, '=');
		require(c && is_name(name, (size_t)(c - name)));
		require(c[1] == '"');
		for (c += 2; *c != '"'; c++) {
			require(*c && (unsigned char)*c >= 0x20);
			if (*c == '\\')
				require(strchr("\\\"n", *++c) && *c);
		}
		c++;
	} while (*c == ',');
	require(*c == '}');
	return c + 1;
}

static int compare(const void *a, const void *b)
{
	const struct sample *left = a, *right = b;

	return strcmp(left->series, right->series);
}

/* Reads a text by the rules; parsed.v is sorted by series afterwards. */
static void parse(const struct rope *rope)
{
	struct rope_reader reader = rope_read_from_start(rope);
	char family[128] = "", type[16] = "", families[8192] = "\n";
	const char *data;
	size_t n, len = 0;

	free(parsed.text);
	free(parsed.v);
	parsed.text = malloc(rope->len + 1);
	while ((data = rope_next(&reader, &n))) {
		memcpy(parsed.text + len, data, n);
		len += n;
		rope_skip(&reader, n);
	}
	require(len == rope->len);
	parsed.text[len] = '\0';
	require(len && parsed.text[len - 1] == '\n');
	parsed.v = calloc(len / 10, sizeof(*parsed.v));
	parsed.n = 0;
	for (char *line = parsed.text, *end; *line; line = end + 1) {
		struct sample *s = &parsed.v[parsed.n];
		char word[130];
		const char *c;

		end = strchr(line, '\n');
		*end = '\0';
		if (strncmp(line, "# HELP ", 7) == 0) {
			size_t l = strcspn(line + 7, " ");

			require(l < sizeof(family) && is_name(line + 7, l));
			snprintf(family, sizeof(family), "%.*s", (int)l, line + 7);
			snprintf(word, sizeof(word), "\n%s\n", family);
			/* Not one of those before. */
			require(!strstr(families, word));
			require(strlen(families) + l + 2 < sizeof(families));
			strcat(families, word + 1);
			require(strlen(line + 7 + l) > 10);
			type[0] = '\0';
			continue;
		}
		if (strncmp(line, "# TYPE ", 7) == 0) {
			require(sscanf(line + 7, "%129s %15s", word, type) == 2);
			require(strcmp(word, family) == 0);
			require(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0);
			n = strlen(family);
			require((n > 6 && strcmp(family + n - 6, "_total") == 0) ==
				(strcmp(type, "counter") == 0));
			continue;
		}
		require(type[0]);
		n = strcspn(line, "{ ");
		require(n == strlen(family) && strncmp(line, family, n) == 0);
		c = skip_labels(line + n);
		require((size_t)(c - line) < sizeof(s->series));
		snprintf(s->series, sizeof(s->series), "%.*s", (int)(c - line), line);
		require(*c == ' ');
		require(strspn(c + 1, "0123456789.") == strlen(c + 1));
		snprintf(s->value, sizeof(s->value), "%s", c + 1);
		parsed.n++;
	}
	qsort(parsed.v, parsed.n, sizeof(*parsed.v), compare);
	for (size_t i = 1; i < parsed.n; i++)
		require(strcmp(parsed.v[i - 1].series, parsed.v[i].series) != 0);
}

/* "" for one that is not there. */
static const char *value_of(const char *series)
{
	struct sample key, *found;

	snprintf(key.series, sizeof(key.series), "%s", series);
	found = bsearch(&key, parsed.v, parsed.n, sizeof(*parsed.v), compare);
	return found ? found->value : "";
}

#define ck_value(series, want) ck_assert_str_eq(value_of(series), want)

/* Text */

static const struct {
	uint64_t value;
	unsigned decimals;
	const char *text;
} numbers[] = {
	/* 0 */ { 0, 0, "0" },
	/* 1 */ { UINT64_MAX, 0, "18446744073709551615" },
	/* 2 */ { 1500000000, 9, "1.5" },
	/* 3 */ { 1, 9, "0.000000001" },
	/* 4 */ { 2000000000, 9, "2" },
	/* 5 */ { 0, 9, "0" },
	/* 6 */ { UINT64_MAX, 9, "18446744073.709551615" },
	/* 7 */ { 1050, 3, "1.05" },
	/* 8 */ { 100, 1, "10" },
};

START_TEST(number)
{
	struct metric metric = { "some_thing", "What it is, in a sentence.", METRIC_GAUGE,
				 numbers[_i].decimals };
	struct metric_labels none = { 0 };
	struct rope rope = { 0 };

	metric_head(&rope, &metric);
	metric_sample(&rope, &metric, &none, numbers[_i].value);
	parse(&rope);
	ck_value("some_thing", numbers[_i].text);
	rope_free(&rope);
}
END_TEST

static const struct {
	const char *value, *text;
} labels[] = {
	/* 0 */ { "blog", "blog" },
	/* 1 */ { "", "" },
	/* 2 */ { "a\"b", "a\\\"b" },
	/* 3 */ { "a\\b", "a\\\\b" },
	/* 4: what is no text is shown as log lines show it, and escaped in its turn */
	{ "a\nb", "a\\\\x0ab" },
	/* 5 */ { "peer(AQID…AAA=)", "peer(AQID…AAA=)" },
	/* 6 */ { "\xff", "\\\\xff" },
	/* 7 */ { "a,b=\"c\"}", "a,b=\\\"c\\\"}" },
};

START_TEST(label)
{
	struct metric metric = { "x", "What it is, in a sentence.", METRIC_GAUGE, 0 };
	struct metric_labels some = { 0 };
	struct rope rope = { 0 };
	char want[128];

	metric_label(&some, "one", labels[_i].value);
	metric_label(&some, "two", "2");
	metric_head(&rope, &metric);
	metric_sample(&rope, &metric, &some, 1);
	parse(&rope);
	snprintf(want, sizeof(want), "x{one=\"%s\",two=\"2\"}", labels[_i].text);
	ck_assert_str_eq(parsed.v[0].series, want);
	rope_free(&rope);
}
END_TEST

/* Labels without end: cut, but whole for a parser. */
START_TEST(long_labels)
{
	struct metric metric = { "x", "What it is, in a sentence.", METRIC_GAUGE, 0 };
	struct metric_labels many = { 0 };
	struct rope rope = { 0 };
	char value[2000];

	memset(value, '\\', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (unsigned i = 0; i < 20; i++) {
		char name[8];

		snprintf(name, sizeof(name), "l%u", i);
		metric_label(&many, name, value);
		ck_assert_uint_le(many.len, sizeof(many.text));
	}
	metric_head(&rope, &metric);
	metric_sample(&rope, &metric, &many, 1);
	parse(&rope);
	ck_assert_uint_eq(parsed.n, 1);
	rope_free(&rope);
}
END_TEST

/* Ropes: what goes in comes out, in whatever portions. */
START_TEST(ropes)
{
	struct rope one = { 0 }, two = { 0 }, three = { 0 };
	struct rope_reader reader;
	const char *data;
	size_t n, total = 0;
	char c;

	for (unsigned i = 0; i < 50000; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%06u,", i);
		rope_add_string(i < 25000 ? &one : &three, text);
	}
	rope_join(&one, &two);
	rope_join(&two, &one);
	rope_join(&two, &three);
	ck_assert_uint_eq(one.len, 0);
	ck_assert_uint_eq(two.len, 350000);
	reader = rope_read_from_start(&two);
	while ((data = rope_next(&reader, &n))) {
		char want[16];

		c = data[0];
		snprintf(want, sizeof(want), "%06u,", (unsigned)(total / 7));
		require(c == want[total % 7]);
		rope_skip(&reader, min(n, (size_t)1 + total % 5));
		total += min(n, (size_t)1 + total % 5);
	}
	ck_assert_uint_eq(total, 350000);
	ck_assert_ptr_null(rope_next(&reader, &n));
	rope_free(&two);
}
END_TEST

/* Passes */

static void on_deadline(uv_timer_t *timer)
{
	(void)timer;
	ck_abort_msg("what the test waits for has not come");
}

static void on_text(struct metrics_asker *asker, struct metrics_text *text)
{
	ck_assert_ptr_eq(asker, &lab.asker);
	metrics_text_put(lab.text);
	lab.text = text;
	lab.done++;
}

static void setup(void)
{
	static struct workers workers = { .n = 2 };
	static int gateway;
	struct metrics_sources sources = { .workers = &workers,
					   .gateway = (struct gateway *)&gateway,
					   .reload = (struct reload *)&gateway };

	memset(&lab, 0, sizeof(lab));
	uv_loop_init(&lab.loop);
	uv_timer_init(&lab.loop, &lab.deadline);
	uv_timer_start(&lab.deadline, on_deadline, DEADLINE_MS, 0);
	ck_assert_int_eq(metrics_open(&lab.metrics, &lab.loop, &sources), 0);
	lab.asker.done = on_text;
}

static void teardown(void)
{
	metrics_close(lab.metrics);
	metrics_text_put(lab.text);
	uv_close((uv_handle_t *)&lab.deadline, NULL);
	uv_run(&lab.loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&lab.loop), 0);
	free(parsed.text);
	free(parsed.v);
	memset(&parsed, 0, sizeof(parsed));
}

static void ask(void)
{
	unsigned before = lab.done;

	metrics_ask(lab.metrics, &lab.asker);
	ck_assert_uint_eq(lab.done, before);
	while (lab.done == before) {
		uv_run(&lab.loop, UV_RUN_NOWAIT);
		lab.turns++;
	}
	ck_assert_ptr_nonnull(lab.text);
	parse(&lab.text->rope);
}

START_TEST(everything)
{
	lab.tenants = 3;
	lab.tunnel = true;
	ask();
	ck_value("berth_tenant_connected{tenant=\"t1\"}", "1");
	ck_value("berth_tenant_connected{tenant=\"t2\"}", "0");
	ck_value("berth_tenant_receive_bytes_total{tenant=\"t2\"}", "18446744073709551613");
	ck_value("berth_tenant_transmit_packets_total{tenant=\"t0\"}", "0");
	ck_value("berth_tenant_endpoint_changes_total{tenant=\"t1\"}", "4294967295");
	ck_value("berth_tenant_last_handshake_timestamp_seconds{tenant=\"t1\"}", "1700000000");
	/* Never is no time, and no drops are no reason. */
	ck_value("berth_tenant_last_handshake_timestamp_seconds{tenant=\"t2\"}", "");
	ck_value("berth_tenant_drops_total{tenant=\"t0\",reason=\"bad-tag\"}", "");
	ck_value("berth_tenant_drops_total{tenant=\"t2\",reason=\"bad-tag\"}", "2");
	/* A tunnel is one, with what its peers come to. */
	ck_value("berth_tenant_receive_bytes_total{tenant=\"home\"}", "21");
	ck_value("berth_tenant_connected{tenant=\"home\"}", "1");
	ck_value("berth_tenants{state=\"connected\"}", "1");
	ck_value("berth_tenants{state=\"idle\"}", "2");
	ck_value("berth_drops_total{reason=\"bad-mac1\"}", "6");
	ck_value("berth_drops_total{reason=\"bad-tag\"}", "0");
	ck_value("berth_handshakes_total{result=\"completed\"}", "2");
	ck_value("berth_handshakes_total{result=\"bad-mac1\"}", "6");
	ck_value("berth_handshake_queue_messages", "5");
	ck_value("berth_handshake_busy_seconds_total", "0.01");
	ck_value("berth_worker_busy_seconds_total{worker=\"1\"}", "1.500000001");
	ck_value("berth_worker_receive_packets_total{worker=\"0\"}", "3");
	ck_value("berth_staged_bytes", "77");
	ck_value("berth_offload{kind=\"udp-gso\"}", "1");
	ck_value("berth_offload{kind=\"tun\"}", "0");
	ck_value("berth_uplink_answers_total{uplink=\"eth0\",protocol=\"ndp\"}", "3");
	ck_value("berth_uplink_solicitations_total{uplink=\"eth0\",protocol=\"arp\",address=\"here\"}",
		 "4");
	ck_value("berth_uplink_malformed_total{uplink=\"e\\\"v\\\\l\\\\x0a\\\\xff\",protocol=\"ndp\","
		 "fault=\"bad-code\"}", "5");
	ck_value("berth_files{state=\"refused\"}", "1");
	ck_value("berth_revocations_total", "9");
	ck_assert_str_ne(value_of("process_resident_memory_bytes"), "0");
}
END_TEST

/* Nobody's turn is long, however many there are: the loop turns meanwhile. */
START_TEST(many)
{
	char series[64];

	lab.tenants = 20000;
	ask();
	ck_assert_uint_gt(lab.turns, 10);
	for (unsigned i = 0; i < lab.tenants; i += 499) {
		snprintf(series, sizeof(series), "berth_tenant_transmit_packets_total{tenant=\"t%u\"}",
			 i);
		ck_assert_uint_eq(strtoul(value_of(series), NULL, 10), i);
	}
	ck_value("berth_tenants{state=\"connected\"}", "10000");
}
END_TEST

/* Within a second all get the same; later another one. */
START_TEST(shared)
{
	struct metrics_text *first;

	ask();
	first = lab.text;
	first->refs++; /* it must not lie where the next one will */
	ask();
	ck_assert_ptr_eq(lab.text, first);
	/* This one's, and lab's: the loop's own goes when it is stale. */
	while (first->refs > 2)
		uv_run(&lab.loop, UV_RUN_ONCE);
	ask();
	ck_assert_ptr_ne(lab.text, first);
	metrics_text_put(first);
}
END_TEST

/* Who leaves is not called; who still waits at the end is, with nothing. */
START_TEST(leaves)
{
	lab.tenants = 10000000; /* a pass that does not come to its end */
	metrics_leave(lab.metrics, &lab.asker);
	metrics_ask(lab.metrics, &lab.asker);
	metrics_leave(lab.metrics, &lab.asker);
	for (unsigned i = 0; i < 10; i++)
		uv_run(&lab.loop, UV_RUN_NOWAIT);
	ck_assert_uint_eq(lab.done, 0);
	metrics_ask(lab.metrics, &lab.asker);
	uv_run(&lab.loop, UV_RUN_NOWAIT);
	metrics_close(lab.metrics);
	lab.metrics = NULL;
	ck_assert_uint_eq(lab.done, 1);
	ck_assert_ptr_null(lab.text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metrics");
	TCase *t = tcase_create("text");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, number, 0, ARRAY_SIZE(numbers));
	tcase_add_loop_test(t, label, 0, ARRAY_SIZE(labels));
	tcase_add_test(t, long_labels);
	tcase_add_test(t, ropes);
	suite_add_tcase(s, t);
	t = tcase_create("pass");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, everything);
	tcase_add_test(t, many);
	tcase_add_test(t, shared);
	tcase_add_test(t, leaves);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
