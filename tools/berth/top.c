/* SPDX-License-Identifier: MIT */
/* top: who carries how much just now, from two lists a second apart. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "client.h"
#include "people.h"

enum {
	INTERVAL_MS = 1000,
	HEAD_LINES = 3, /* above the table, its titles included */
	ROWS_DEFAULT = 24
};

/* What a list says of a tenant, and how fast that grows. */
struct row {
	const char *name, *key, *state; /* of the list */
	int64_t handshake;
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, drops;
	double rx_rate, tx_rate, rx_packet_rate, tx_packet_rate, drop_rate; /* per second */
};

/* A list, in the order of names until it is shown. */
struct reading {
	json_t *tenants; /* whose texts the rows point to */
	struct row *rows;
	size_t n;
	double at; /* monotonic seconds */
};

struct view {
	struct client_options options;
	const char *sort;
	unsigned rounds; /* 0: until it is ended */
	bool screen;     /* a terminal that is drawn anew each time */
};

/* Reading */

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t sum_of(const json_t *counters)
{
	uint64_t sum = 0;
	const char *name;
	json_t *n;

	answer_foreach(counters, name, n)
		sum += (uint64_t)json_integer_value(n);
	return sum;
}

/* The peers of a tunnel share its name. */
static int compare_names(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order ? order : strcmp(left->key, right->key);
}

static void reading_free(struct reading *r)
{
	json_decref(r->tenants);
	free(r->rows);
	*r = (struct reading){ 0 };
}

static int read_list(const struct client_options *options, struct reading *out)
{
	int status = client_ask(options, json_pack("{s:s}", "do", "list"), "tenants", JSON_ARRAY,
				&out->tenants);

	if (status)
		return status;
	out->at = now();
	out->n = json_array_size(out->tenants);
	out->rows = calloc(out->n + 1, sizeof(*out->rows));
	if (!out->rows) {
		reading_free(out);
		return complain("not enough memory for the list");
	}
	for (size_t i = 0; i < out->n; i++) {
		const json_t *t = json_array_get(out->tenants, i);

		out->rows[i] = (struct row){
			.name = answer_text(t, "name"),
			.key = answer_text(t, "public_key"),
			.state = answer_text(t, "state"),
			.handshake = (int64_t)answer_number(t, "last_handshake"),
			.rx_bytes = answer_number(t, "rx_bytes"),
			.tx_bytes = answer_number(t, "tx_bytes"),
			.rx_packets = answer_number(t, "rx_packets"),
			.tx_packets = answer_number(t, "tx_packets"),
			.drops = sum_of(json_object_get(t, "drops"))
		};
	}
	qsort(out->rows, out->n, sizeof(*out->rows), compare_names);
	return EXIT_GOOD;
}

static double rate(uint64_t before, uint64_t after, double seconds)
{
	return after > before && seconds > 0 ? (double)(after - before) / seconds : 0;
}

static void compute(struct row *row, const struct row *before, double seconds)
{
	row->rx_rate = rate(before->rx_bytes, row->rx_bytes, seconds);
	row->tx_rate = rate(before->tx_bytes, row->tx_bytes, seconds);
	row->rx_packet_rate = rate(before->rx_packets, row->rx_packets, seconds);
	row->tx_packet_rate = rate(before->tx_packets, row->tx_packets, seconds);
	row->drop_rate = rate(before->drops, row->drops, seconds);
}

/* Both are in the order of names. A tenant that is new has no rate yet. */
static void compute_rates(struct reading *after, const struct reading *before)
{
	double seconds = after->at - before->at;
	size_t j = 0;

	for (size_t i = 0; i < after->n; i++) {
		while (j < before->n && compare_names(&before->rows[j], &after->rows[i]) < 0)
			j++;
		if (j < before->n && compare_names(&before->rows[j], &after->rows[i]) == 0)
			compute(&after->rows[i], &before->rows[j++], seconds);
	}
}

/* Order: the greatest first, and by name where they are equal */

static int by(double left, double right, const void *a, const void *b)
{
	if (left == right)
		return compare_names(a, b);
	return left > right ? -1 : 1;
}

static int compare_rx(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return by(left->rx_rate, right->rx_rate, a, b);
}

static int compare_tx(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return by(left->tx_rate, right->tx_rate, a, b);
}

static int compare_both(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return by(left->rx_rate + left->tx_rate, right->rx_rate + right->tx_rate, a, b);
}

static int compare_drops(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	if (left->drop_rate == right->drop_rate)
		return by((double)left->drops, (double)right->drops, a, b);
	return by(left->drop_rate, right->drop_rate, a, b);
}

static const struct order {
	const char *name;
	int (*compare)(const void *a, const void *b);
} orders[] = { { "all", compare_both }, { "rx", compare_rx }, { "tx", compare_tx },
	       { "name", compare_names }, { "drops", compare_drops } };

static const struct order *find_order(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (strcmp(orders[i].name, name) == 0)
			return &orders[i];
	return NULL;
}

/* Showing */

static const struct people_column columns[] = {
	{ "NAME", false, 8 },       { "STATE", false, 0 },  { "HANDSHAKE", true, 0 },
	{ "RECEIVED", true, 0 },    { "SENT", true, 0 },    { "PACKETS IN", true, 0 },
	{ "PACKETS OUT", true, 0 }, { "DROPPED", true, 0 },
};

/* "1.2 Mbit/s" of bytes per second. */
static const char *format_bits(double bytes, char buf[PEOPLE_STRLEN])
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };
	double bits = bytes * 8;
	size_t unit = 0;

	while (bits >= 999.5 && unit + 1 < ARRAY_SIZE(units)) {
		bits /= 1000;
		unit++;
	}
	(void)snprintf(buf, PEOPLE_STRLEN, "%.*f %s", unit && bits < 9.95 ? 1 : 0, bits,
		       units[unit]);
	return buf;
}

static const char *format_rate(double per_second, char buf[PEOPLE_STRLEN])
{
	char count[PEOPLE_STRLEN];

	(void)snprintf(buf, PEOPLE_STRLEN, "%.20s/s",
		       people_count((uint64_t)(per_second + 0.5), count));
	return buf;
}

static void add_row(struct people_table *table, const struct row *row)
{
	bool connected = strcmp(row->state, "connected") == 0;
	char buf[PEOPLE_STRLEN];

	people_table_add(table, COLOUR_NONE, row->name);
	people_table_add(table, connected ? COLOUR_GREEN : COLOUR_DIM, row->state);
	people_table_add(table, COLOUR_NONE, people_age(row->handshake, time(NULL), buf));
	people_table_add(table, COLOUR_NONE, format_bits(row->rx_rate, buf));
	people_table_add(table, COLOUR_NONE, format_bits(row->tx_rate, buf));
	people_table_add(table, COLOUR_NONE, format_rate(row->rx_packet_rate, buf));
	people_table_add(table, COLOUR_NONE, format_rate(row->tx_packet_rate, buf));
	people_table_add(table, row->drop_rate > 0 ? COLOUR_RED : COLOUR_NONE,
			 format_rate(row->drop_rate, buf));
}

static void print_sums(const struct view *view, const struct reading *r)
{
	char received[PEOPLE_STRLEN], sent[PEOPLE_STRLEN];
	double rx = 0, tx = 0;
	size_t connected = 0;

	for (size_t i = 0; i < r->n; i++) {
		connected += strcmp(r->rows[i].state, "connected") == 0;
		rx += r->rows[i].rx_rate;
		tx += r->rows[i].tx_rate;
	}
	(void)printf("%zu tenant%s, %zu connected; received %s, sent %s\n", r->n,
		     people_plural(r->n), connected, format_bits(rx, received),
		     format_bits(tx, sent));
	if (view->screen)
		(void)printf("sorted by %s: a)ll r)x t)x n)ame d)rops; q ends\n", view->sort);
}

/* How many rows the terminal has for tenants. */
static size_t room_for(const struct view *view, size_t n)
{
	struct winsize size;
	size_t rows = ROWS_DEFAULT;

	if (!view->screen)
		return n;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row)
		rows = size.ws_row;
	/* The last line stays free: a newline there would scroll. */
	return min(n, rows > HEAD_LINES + 1 ? rows - HEAD_LINES - 1 : 0);
}

static int print_table(const struct view *view, const struct reading *r)
{
	struct people_table table = { .columns = columns, .n_columns = ARRAY_SIZE(columns) };
	size_t n = room_for(view, r->n);
	int status = EXIT_GOOD;

	for (size_t i = 0; i < n; i++)
		add_row(&table, &r->rows[i]);
	if (view->screen)
		(void)fputs("\033[H\033[J", stdout);
	print_sums(view, r);
	if (table.failed)
		status = complain("not enough memory for the table");
	else
		people_table_print(&table);
	people_table_free(&table);
	(void)fflush(stdout);
	return status;
}

static int print_json(const struct reading *r)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->n; i++) {
		const struct row *row = &r->rows[i];
		json_t *one = json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f}", "name", row->name,
					"state", row->state, "rx_bytes_per_second", row->rx_rate,
					"tx_bytes_per_second", row->tx_rate,
					"rx_packets_per_second", row->rx_packet_rate,
					"tx_packets_per_second", row->tx_packet_rate,
					"drops_per_second", row->drop_rate);

		if (json_array_append_new(all, one)) {
			json_decref(all);
			return complain("not enough memory for the list");
		}
	}
	client_print_json(all);
	json_decref(all);
	(void)fflush(stdout);
	return EXIT_GOOD;
}

static int show(const struct view *view, struct reading *r)
{
	if (r->n)
		qsort(r->rows, r->n, sizeof(*r->rows), find_order(view->sort)->compare);
	return view->options.json ? print_json(r) : print_table(view, r);
}

/* The terminal */

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
}

/* Its keys at once and unseen, and a screen of its own. False: stdin is no terminal. */
static bool enter_screen(struct termios *before)
{
	struct termios raw;

	(void)fputs("\033[?1049h\033[?25l", stdout);
	if (tcgetattr(STDIN_FILENO, before))
		return false;
	raw = *before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	return true;
}

static void leave_screen(const struct termios *before)
{
	(void)fputs("\033[?25h\033[?1049l", stdout);
	(void)fflush(stdout);
	if (before)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, before);
}

/* One key. True: it changes what is shown. */
static bool take_key(struct view *view)
{
	char key;

	if (read(STDIN_FILENO, &key, 1) != 1) {
		ended = 1; /* the terminal is gone */
		return false;
	}
	if (key == 'q' || key == 'Q')
		ended = 1;
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (key == orders[i].name[0])
			view->sort = orders[i].name;
	return true;
}

/* Until the next list is due, or a signal comes; a key shows r anew. */
static void pass_time(struct view *view, struct reading *r, bool keys)
{
	double until = now() + INTERVAL_MS / 1e3;

	while (!ended) {
		struct pollfd fd = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
		double left = until - now();

		if (left <= 0)
			return;
		if (poll(&fd, 1, (int)(left * 1000) + 1) > 0 && take_key(view) && r->at > 0 && !ended)
			(void)show(view, r);
	}
}

/* Nothing is shown of the first list: it has no rates. */
static int watch(struct view *view, bool keys)
{
	struct reading before = { 0 }, after = { 0 };
	struct reading nothing = { 0 };
	int status = read_list(&view->options, &before);

	for (unsigned i = 0; !status && !ended && (!view->rounds || i < view->rounds); i++) {
		pass_time(view, i ? &before : &nothing, keys);
		if (ended)
			break;
		/* Shown in another order meanwhile. */
		if (before.n)
			qsort(before.rows, before.n, sizeof(*before.rows), compare_names);
		status = read_list(&view->options, &after);
		if (status)
			break;
		compute_rates(&after, &before);
		reading_free(&before);
		before = after;
		after = (struct reading){ 0 };
		status = show(view, &before);
	}
	reading_free(&before);
	return status;
}

/* Options */

static int parse(const struct command *self, int argc, char **argv, struct view *view)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
					       { "control", required_argument, NULL, 'C' },
					       { "config", required_argument, NULL, 'c' },
					       { "sort", required_argument, NULL, 's' },
					       { 0 } };
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, ":c:n:s:", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			view->options.json = true;
			break;
		case 'C':
			view->options.control = optarg;
			break;
		case 'c':
			view->options.config = optarg;
			break;
		case 's':
			if (!find_order(optarg))
				return complain_usage(self, "'%s' is none of: all, rx, tx, name, "
						      "drops", optarg);
			view->sort = optarg;
			break;
		case 'n':
			view->rounds = (unsigned)strtoul(optarg, &end, 10);
			if (*end || !view->rounds || view->rounds > 1000000)
				return complain_usage(self, "'%s' is not a number from 1 to 1000000",
						      optarg);
			break;
		default:
			return complain_option(self, c, argv);
		}
	}
	if (view->options.control && view->options.config)
		return complain_usage(self, "--control and -c both name the socket: give one");
	if (optind < argc)
		return complain_usage(self, "there is no place for '%s'", argv[optind]);
	return EXIT_GOOD;
}

static int top(const struct command *self, int argc, char **argv)
{
	struct view view = { .sort = "all" };
	struct termios before;
	bool keys = false;
	int status = parse(self, argc, argv, &view);

	if (status)
		return status;
	view.screen = !view.rounds && !view.options.json && isatty(STDOUT_FILENO);
	if (!view.screen) {
		view.rounds = max(view.rounds, 1u);
		return watch(&view, false);
	}
	catch_signals();
	keys = enter_screen(&before);
	status = watch(&view, keys);
	leave_screen(keys ? &before : NULL);
	/* What was said of it went with the screen. */
	if (status)
		(void)complain("berthd answers no more; `berth status` says why");
	return status;
}

const struct command command_top = {
	.name = "top",
	.arguments = "[--sort all|rx|tx|name|drops] [-n COUNT] " CLIENT_ARGUMENTS,
	.summary = "who carries how much just now",
	.help = "  --sort WHAT     the greatest first: all (both ways), rx, tx, drops; or name\n"
		"  -n COUNT        so many tables, a second apart, one below the other; 1 where\n"
		"                  there is no terminal\n"
		CLIENT_HELP
		"\nRECEIVED is what comes from the tenant, SENT what goes to it. On a terminal the\n"
		"first letter of an order changes it, and q ends.\n",
	.run = top,
};
