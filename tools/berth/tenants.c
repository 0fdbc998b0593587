/* SPDX-License-Identifier: MIT */
/* list and show: the tenants of a running berthd. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../src/config/limits.h"
#include "answer.h"
#include "client.h"
#include "people.h"
#include "quota.h"

static enum people_colour colour_of(const char *state)
{
	if (strcmp(state, "connected") == 0)
		return COLOUR_GREEN;
	return strcmp(state, "idle") == 0 ? COLOUR_DIM : COLOUR_RED;
}

/* list */

static const struct people_column columns[] = {
	{ "NAME", false, 8 },     { "STATE", false, 0 },   { "ADDRESS", false, 15 },
	{ "HANDSHAKE", true, 0 }, { "RECEIVED", true, 0 }, { "SENT", true, 0 },
};

/* The first range, without the length of a single address, and how many more there are. */
static const char *short_address(const json_t *tenant, char *buf, size_t room)
{
	const json_t *ranges = json_object_get(tenant, "allowed_ips");
	const char *first = json_string_value(json_array_get(ranges, 0));
	size_t n = json_array_size(ranges);
	const char *slash = first ? strchr(first, '/') : NULL;
	int len;

	if (!slash)
		return "-";
	len = (int)(slash - first);
	if (strcmp(slash, strchr(first, ':') ? "/128" : "/32") != 0)
		len = (int)strlen(first);
	if (n > 1)
		(void)snprintf(buf, room, "%.*s +%zu", len, first, n - 1);
	else
		(void)snprintf(buf, room, "%.*s", len, first);
	return buf;
}

static void add_row(struct people_table *table, const json_t *tenant, int64_t now)
{
	const char *state = answer_text(tenant, "state");
	char buf[PEOPLE_STRLEN], address[128];

	people_table_add(table, COLOUR_NONE, answer_text(tenant, "name"));
	people_table_add(table, colour_of(state), state);
	people_table_add(table, COLOUR_NONE, short_address(tenant, address, sizeof(address)));
	people_table_add(table, COLOUR_NONE,
			 people_age((int64_t)answer_number(tenant, "last_handshake"), now, buf));
	people_table_add(table, COLOUR_NONE, people_size(answer_number(tenant, "rx_bytes"), buf));
	people_table_add(table, COLOUR_NONE, people_size(answer_number(tenant, "tx_bytes"), buf));
}

static int compare_names(const void *a, const void *b)
{
	const json_t *const *left = a;
	const json_t *const *right = b;

	return strcmp(answer_text(*left, "name"), answer_text(*right, "name"));
}

/* An array in the order of names. NULL: no memory. */
static json_t *sort(const json_t *tenants)
{
	size_t n = json_array_size(tenants);
	json_t **order = calloc(n + 1, sizeof(json_t *));
	json_t *sorted = json_array();

	for (size_t i = 0; order && i < n; i++)
		order[i] = json_array_get(tenants, i);
	if (order)
		qsort(order, n, sizeof(json_t *), compare_names);
	for (size_t i = 0; order && i < n; i++)
		(void)json_array_append(sorted, order[i]);
	free(order);
	if (json_array_size(sorted) == n)
		return sorted;
	json_decref(sorted);
	return NULL;
}

static int print_table(const json_t *tenants)
{
	struct people_table table = { .columns = columns, .n_columns = ARRAY_SIZE(columns) };
	int64_t now = time(NULL);
	int status = EXIT_GOOD;

	if (!json_array_size(tenants)) {
		(void)puts("There are no tenants: `berth add NAME` makes one.");
		return EXIT_GOOD;
	}
	for (size_t i = 0; i < json_array_size(tenants); i++)
		add_row(&table, json_array_get(tenants, i), now);
	if (table.failed)
		status = complain("not enough memory for the table");
	else
		people_table_print(&table);
	people_table_free(&table);
	return status;
}

/* One to a line, for completion and scripts. */
static int list_names(const struct client_options *options)
{
	json_t *names;
	int status = client_ask(options, json_pack("{s:s}", "do", "names"), "names", JSON_ARRAY,
				&names);

	if (status)
		return status;
	if (options->json)
		client_print_json(names);
	for (size_t i = 0; !options->json && i < json_array_size(names); i++)
		(void)puts(json_string_value(json_array_get(names, i)));
	json_decref(names);
	return EXIT_GOOD;
}

static int list(const struct command *self, int argc, char **argv)
{
	struct client_options options;
	json_t *tenants, *sorted;
	int status = client_parse(self, argc, argv, "names", &options);

	if (status)
		return status;
	if (optind < argc)
		return complain_usage(self, "there is no place for '%s'; `berth show` takes a name",
				      argv[optind]);
	if (options.own)
		return list_names(&options);
	status = client_ask(&options, json_pack("{s:s}", "do", "list"), "tenants", JSON_ARRAY,
			    &tenants);
	if (status)
		return status;
	sorted = sort(tenants);
	json_decref(tenants);
	if (!sorted)
		return complain("not enough memory for the list");
	if (options.json)
		client_print_json(sorted);
	else
		status = print_table(sorted);
	json_decref(sorted);
	return status;
}

/* show */

static void print_strings(const char *name, const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		people_field(i ? "" : name, "%s", json_string_value(json_array_get(array, i)));
}

static void print_endpoint(const json_t *tenant)
{
	const char *endpoint = answer_text(tenant, "endpoint");
	uint64_t changes = answer_number(tenant, "endpoint_changes");

	if (!*endpoint)
		people_field("endpoint", "not heard from yet");
	else if (changes)
		people_field("endpoint", "%s, changed %" PRIu64 " %s", endpoint, changes,
			     changes == 1 ? "time" : "times");
	else
		people_field("endpoint", "%s", endpoint);
}

static void print_shared_key(const json_t *tenant)
{
	const json_t *between = json_object_get(tenant, "shared_key_between");
	const char *a = json_string_value(json_array_get(between, 0));
	const char *b = json_string_value(json_array_get(between, 1));
	uint64_t n = answer_number(tenant, "shared_key");

	if (a && b)
		people_field("shared key", "in use from two places, %s and %s, noticed %" PRIu64
			     " %s", a, b, n, n == 1 ? "time" : "times");
}

static void print_handshake(const json_t *tenant)
{
	int64_t when = (int64_t)answer_number(tenant, "last_handshake");
	char age[PEOPLE_STRLEN];

	people_field("handshake", "%s%s", people_age(when, time(NULL), age), when ? " ago" : "");
}

static void print_rate(const char *name, const json_t *tenant, const char *field)
{
	uint64_t rate = answer_number(tenant, field);
	char text[LIMITS_RATE_STRLEN];

	if (rate)
		people_field(name, "%s", limits_format_rate(rate, text));
}

/* "3 min ago    handshake: 192.0.2.1:51820 (30 times in 58 min)" */
static void print_event(const char *title, const json_t *event, int64_t now)
{
	int64_t when = (int64_t)answer_number(event, "time");
	uint64_t count = answer_number(event, "count");
	char age[PEOPLE_STRLEN], ago[PEOPLE_STRLEN + 8], span[PEOPLE_STRLEN], often[96] = "";

	(void)snprintf(ago, sizeof(ago), "%s ago", people_age(when, now, age));
	if (count > 1)
		(void)snprintf(often, sizeof(often), " (%" PRIu64 " times in %s)", count,
			       people_age((int64_t)answer_number(event, "since"), when, span));
	people_field(title, "%-11s  %s%s", ago, answer_text(event, "text"), often);
}

static void print_events(const json_t *events)
{
	int64_t now = time(NULL);

	for (size_t i = 0; i < json_array_size(events); i++)
		print_event(i ? "" : "events", json_array_get(events, i), now);
}

static void print_tenant(const json_t *tenant)
{
	const char *state = answer_text(tenant, "state");
	const char *expires = json_string_value(json_object_get(tenant, "expires"));
	uint64_t keepalive = answer_number(tenant, "keepalive");
	uint64_t mtu = answer_number(tenant, "mtu");

	(void)printf("%s%s%s  %s%s%s\n", people_colour(COLOUR_BOLD), answer_text(tenant, "name"),
		     people_colour(COLOUR_NONE), people_colour(colour_of(state)), state,
		     people_colour(COLOUR_NONE));
	people_field("public key", "%s", answer_text(tenant, "public_key"));
	print_strings("addresses", json_object_get(tenant, "allowed_ips"));
	if (strcmp(state, "expired") == 0) {
		people_field("expired", "%s", expires);
		return; /* there is nothing else of it */
	}
	print_endpoint(tenant);
	print_shared_key(tenant);
	print_handshake(tenant);
	answer_print_traffic("received", tenant, "rx_bytes", "rx_packets");
	answer_print_traffic("sent", tenant, "tx_bytes", "tx_packets");
	if (keepalive)
		people_field("keepalive", "every %" PRIu64 " s", keepalive);
	if (mtu)
		people_field("MTU", "%" PRIu64, mtu);
	print_rate("rate up", tenant, "rate_up");
	print_rate("rate down", tenant, "rate_down");
	quota_print(tenant);
	if (expires)
		people_field("expires", "%s", expires);
	answer_print_counters("dropped", json_object_get(tenant, "drops"));
	print_events(json_object_get(tenant, "events"));
}

static int show(const struct command *self, int argc, char **argv)
{
	struct client_options options;
	json_t *request, *tenant;
	int status = client_parse(self, argc, argv, NULL, &options);

	if (status)
		return status;
	if (argc - optind != 1)
		return complain_usage(self, "the name of one tenant is wanted");
	request = json_pack("{s:s, s:s}", "do", "show", "name", argv[optind]);
	if (!request)
		return complain("that name is not text: tenants are called by A-Z a-z 0-9 . _ -");
	status = client_ask(&options, request, "tenant", JSON_OBJECT, &tenant);
	if (status)
		return status;
	if (options.json)
		client_print_json(tenant);
	else
		print_tenant(tenant);
	json_decref(tenant);
	return EXIT_GOOD;
}

const struct command command_list = {
	.name = "list",
	.arguments = "[--names] " CLIENT_ARGUMENTS,
	.summary = "all tenants, one line each",
	.help = "  --names         nothing but names, tunnels that have no peer among them\n"
		CLIENT_HELP "\nRECEIVED and SENT are what came from the tenant and went to it.\n",
	.run = list,
};

const struct command command_show = {
	.name = "show",
	.arguments = "NAME " CLIENT_ARGUMENTS,
	.summary = "everything about one tenant",
	.help = CLIENT_HELP,
	.run = show,
};
