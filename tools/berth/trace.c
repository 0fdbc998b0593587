/* SPDX-License-Identifier: MIT */
/* trace: the way of a packet to an address, hop by hop, and where it ends. */
#include "trace.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "../../src/base/log.h"
#include "client.h"
#include "people.h"

enum { NAME_WIDTH = 11, INDENT = 6 + NAME_WIDTH };

/* Hops */

static struct trace_hop *add(struct trace *t, const char *name, bool stops, const char *fmt,
			     va_list args)
{
	static struct trace_hop scrap;
	struct trace_hop *hop = t->n < TRACE_HOPS_MAX ? &t->hops[t->n++] : &scrap;
	char words[DOCTOR_WORDS];

	*hop = (struct trace_hop){ .name = name, .stops = stops };
	(void)vsnprintf(words, sizeof(words), fmt, args);
	(void)log_sanitise(hop->what, sizeof(hop->what), words);
	return hop;
}

void trace_pass(struct trace *t, const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)add(t, name, false, fmt, args);
	va_end(args);
}

struct trace_hop *trace_stop(struct trace *t, const char *name, const char *fmt, ...)
{
	struct trace_hop *hop;
	va_list args;

	va_start(args, fmt);
	hop = add(t, name, true, fmt, args);
	va_end(args);
	return hop;
}

void trace_mend(struct trace_hop *hop, const char *fmt, ...)
{
	char words[DOCTOR_WORDS];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	(void)log_sanitise(hop->command, sizeof(hop->command), words);
}

static const struct trace_hop *first_stop(const struct trace *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->hops[i].stops)
			return &t->hops[i];
	return NULL;
}

/* Showing */

static void print_hops(const struct trace *t)
{
	const struct trace_hop *stop = first_stop(t);

	(void)printf("%s%s%s\n", people_colour(COLOUR_BOLD), t->text, people_colour(COLOUR_NONE));
	for (unsigned i = 0; i < t->n; i++) {
		const struct trace_hop *hop = &t->hops[i];

		(void)printf("%s%-4s%s  %-*s", people_colour(hop->stops ? COLOUR_RED : COLOUR_GREEN),
			     hop->stops ? "stop" : "ok", people_colour(COLOUR_NONE), NAME_WIDTH,
			     hop->name);
		people_wrap(hop->what, INDENT);
	}
	if (!stop) {
		(void)printf("\nnothing on this machine stops it\n");
		return;
	}
	(void)printf("\nit stops at: %s\n", stop->name);
	if (*stop->command)
		(void)printf("%s%s%s\n", people_colour(COLOUR_BOLD), stop->command,
			     people_colour(COLOUR_NONE));
}

static int print_json(const struct trace *t)
{
	const struct trace_hop *stop = first_stop(t);
	json_t *hops = json_array(), *out;

	for (unsigned i = 0; i < t->n; i++) {
		const struct trace_hop *hop = &t->hops[i];
		json_t *one = json_pack("{s:s, s:b, s:s}", "hop", hop->name, "ok", !hop->stops, "what",
					hop->what);

		if (*hop->command)
			(void)json_object_set_new(one, "command", json_string(hop->command));
		(void)json_array_append_new(hops, one);
	}
	out = json_pack("{s:s, s:s?, s:o}", "address", t->text, "stops", stop ? stop->name : NULL,
			"hops", hops);
	if (!out)
		return complain("not enough memory");
	client_print_json(out);
	json_decref(out);
	return EXIT_GOOD;
}

/* The command */

static const struct config_tenant *find_tunnel(const struct trace *t)
{
	for (size_t i = 0; i < t->d.n_tunnels; i++) {
		const struct config_tunnel *tunnel = t->d.tunnels[i]->tunnel;

		for (uint32_t j = 0; j < tunnel->addresses.n; j++) {
			struct prefix own = prefix_host(tunnel->addresses.v[j].family,
							tunnel->addresses.v[j].addr);

			if (prefix_equal(&own, &t->address))
				return t->d.tunnels[i];
		}
	}
	return NULL;
}

static void ask_owner(struct trace *t)
{
	json_t *request = json_pack("{s:s, s:s}", "do", "owner", "address", t->text);
	json_t *answer;

	if (client_query(t->d.router->control, request, &answer))
		return;
	t->owner = json_incref(json_object_get(answer, "owner"));
	t->tenant = json_object_get(t->owner, "tenant");
	if (!json_is_object(t->tenant))
		t->tenant = NULL;
	json_decref(answer);
}

static int follow(struct trace *t, const char *config)
{
	const struct config_tenant *tunnel;
	int err = doctor_look(&t->d, config);

	if (err == -ENOMEM)
		return complain("not enough memory");
	if (err)
		return EXIT_FAULT;
	if (!t->d.router)
		return complain("cannot read %s: `berth check -c %s` says what is wrong with it",
				config, config);
	tunnel = find_tunnel(t);
	if (tunnel) {
		trace_home(t, tunnel);
	} else if (t->d.gateway) {
		ask_owner(t);
		trace_gateway(t);
	} else {
		return complain("%s is no address of a tunnel in %s, and there is no gateway here",
				t->text, t->d.router->tenants);
	}
	return EXIT_GOOD;
}

struct options {
	const char *config;
	bool json;
};

static int parse(const struct command *self, int argc, char **argv, struct options *options)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
					       { "config", required_argument, NULL, 'c' },
					       { 0 } };
	int c;

	*options = (struct options){ .config = DEFAULT_CONFIG };
	while ((c = getopt_long(argc, argv, ":c:", longs, NULL)) != -1) {
		if (c == 'j')
			options->json = true;
		else if (c == 'c')
			options->config = optarg;
		else
			return complain_option(self, c, argv);
	}
	if (argc - optind != 1)
		return complain_usage(self, "one address is wanted");
	return EXIT_GOOD;
}

static int run_trace(const struct command *self, int argc, char **argv)
{
	struct options options;
	struct trace t = { 0 };
	int status = parse(self, argc, argv, &options);

	if (status)
		return status;
	if (prefix_parse(&t.address, argv[optind]) || !prefix_is_host(&t.address))
		return complain_usage(self, "'%s' is not an address", argv[optind]);
	prefix_format(&t.address, t.text);
	t.text[strcspn(t.text, "/")] = '\0';
	status = follow(&t, options.config);
	if (!status) {
		if (options.json)
			status = print_json(&t);
		else
			print_hops(&t);
	}
	if (!status && first_stop(&t))
		status = EXIT_FAULT;
	json_decref(t.owner);
	doctor_forget(&t.d);
	return status;
}

const struct command command_trace = {
	.name = "trace",
	.arguments = "ADDRESS [--json] [-c FILE]",
	.summary = "where a packet to a tenant goes, and where it ends",
	.help = "Follows a packet to ADDRESS over this machine: who has it, whether neighbours\n"
		"are answered, forwarding, firewall, route, quota, session, the way to the\n"
		"tenant, and what was dropped. The first `stop` says what to do.\n\n"
		"  --json   for programs\n"
		"  -c FILE  another berth.conf than " DEFAULT_CONFIG "\n\n"
		"Exit status 1 if it stops anywhere.\n",
	.run = run_trace,
};
