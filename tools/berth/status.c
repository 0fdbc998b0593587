/* SPDX-License-Identifier: MIT */
/* status: the running berthd as a whole. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "answer.h"
#include "client.h"
#include "people.h"

/* Counters of one kind on one line: "12 answered, 3 foreign". */
struct sentence {
	char words[512];
	size_t len;
};

static void add_words(struct sentence *s, const char *between, const char *number,
		      const char *what)
{
	size_t room = sizeof(s->words) - s->len;
	int n = snprintf(s->words + s->len, room, "%s%s%s%s", s->len ? between : "", number,
			 *number ? " " : "", what);

	/* What does not fit is cut: there are too many kinds for a line anyway. */
	s->len += n < 0 ? 0 : min((size_t)n, room - 1);
}

static void print_neighbors(const char *title, const json_t *kind)
{
	struct sentence s = { .words = "nobody has asked" };
	char count[PEOPLE_STRLEN];
	const char *name;
	json_t *n;

	answer_foreach(kind, name, n) {
		if (json_integer_value(n))
			add_words(&s, ", ", people_count((uint64_t)json_integer_value(n), count),
				  name);
	}
	people_field(title, "%s", s.words);
}

static void print_offloads(const json_t *offloads)
{
	struct sentence s = { .words = "none" };
	const char *name;
	json_t *on;

	answer_foreach(offloads, name, on) {
		if (json_is_true(on))
			add_words(&s, ", ", "", name);
	}
	people_field("offloads", "%s", s.words);
}

static void print_counts(const json_t *status)
{
	static const struct {
		const char *name, *of_one;
	} counts[] = {
		{ "tunnels", "tunnel" }, { "refused", "refused" }, { "revoked", "revoked" },
	};
	struct sentence s = { .words = "" };
	char count[PEOPLE_STRLEN];

	add_words(&s, "", people_count(answer_number(status, "tenants"), count), "in all");
	if (json_object_get(status, "connected"))
		add_words(&s, ", ", people_count(answer_number(status, "connected"), count),
			  "connected");
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		uint64_t n = answer_number(status, counts[i].name);

		if (n)
			add_words(&s, ", ", people_count(n, count),
				  n == 1 ? counts[i].of_one : counts[i].name);
	}
	people_field("tenants", "%s", s.words);
}

static void print_gateway(const json_t *status)
{
	const json_t *uplink;
	size_t i;
	const char *key = answer_text(status, "public_key");
	const char *crypto = answer_text(status, "crypto");

	people_field("interface", "%s, UDP port %" PRIu64, answer_text(status, "interface"),
		     answer_number(status, "listen_port"));
	people_field("public key", "%s", *key ? key : "none");
	answer_print_traffic("received", status, "rx_bytes", "rx_packets");
	answer_print_traffic("sent", status, "tx_bytes", "tx_packets");
	if (*crypto)
		people_field("crypto", "%s", crypto);
	print_offloads(json_object_get(status, "offloads"));
	json_array_foreach(json_object_get(status, "uplinks"), i, uplink) {
		people_field("uplink", "%s", answer_text(uplink, "name"));
		print_neighbors("NDP", json_object_get(uplink, "ndp"));
		print_neighbors("ARP", json_object_get(uplink, "arp"));
	}
	answer_print_counters("dropped", json_object_get(status, "drops"));
}

static void print_status(const json_t *status)
{
	char buf[ANSWER_SHOWN_MAX];
	const char *version = answer_shown(status, "version", buf);

	(void)printf("%sberthd%s%s%s", people_colour(COLOUR_BOLD), *version ? " " : "",
		     version, people_colour(COLOUR_NONE));
	if (answer_number(status, "pid"))
		(void)printf(", pid %" PRIu64, answer_number(status, "pid"));
	(void)putchar('\n');
	print_counts(status);
	if (*answer_text(status, "interface"))
		print_gateway(status);
}

static int run_status(const struct command *self, int argc, char **argv)
{
	struct client_options options;
	json_t *answer;
	int status = client_parse(self, argc, argv, NULL, &options);

	if (status)
		return status;
	if (optind < argc)
		return complain_usage(self, "there is no place for '%s'", argv[optind]);
	status = client_ask(&options, json_pack("{s:s}", "do", "status"), "status", JSON_OBJECT,
			    &answer);
	if (status)
		return status;
	if (options.json)
		client_print_json(answer);
	else
		print_status(answer);
	json_decref(answer);
	return EXIT_GOOD;
}

const struct command command_status = {
	.name = "status",
	.arguments = CLIENT_ARGUMENTS,
	.summary = "the router as a whole: port, uplink, traffic, what was dropped",
	.help = CLIENT_HELP,
	.run = run_status,
};
