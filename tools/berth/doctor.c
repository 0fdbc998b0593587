/* SPDX-License-Identifier: MIT */
/* doctor: runs the checks, shows what they found, mends what is safe to mend. */
#include "doctor.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/base/log.h"
#include "client.h"
#include "people.h"

enum { CHECK_WIDTH = 15, INDENT = 6 + CHECK_WIDTH };

static const char *const finding_names[] = { [FINDING_OK] = "ok", [FINDING_WARN] = "warn",
					     [FINDING_FAIL] = "fail" };

/* Rows */

struct doctor_row *doctor_say(struct doctor *d, enum finding finding, const char *fmt, ...)
{
	static struct doctor_row scrap;
	struct doctor_row *rows = reallocarray(d->rows, d->n_rows + 1, sizeof(*rows));
	struct doctor_row *row = &scrap;
	char words[DOCTOR_WORDS];
	va_list args;

	d->failed |= !rows;
	if (rows) {
		d->rows = rows;
		row = &rows[d->n_rows++];
	}
	*row = (struct doctor_row){ .check = d->check, .finding = finding };
	va_start(args, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	(void)log_sanitise(row->why, sizeof(row->why), words);
	return row;
}

void doctor_mend(struct doctor_row *row, const char *fmt, ...)
{
	char words[DOCTOR_WORDS];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	(void)log_sanitise(row->command, sizeof(row->command), words);
}

void doctor_set(struct doctor_row *row, const char *value, const char *fmt, ...)
{
	struct doctor_fix *fix = &row->fixes[row->n_fixes];
	va_list args;

	if (row->n_fixes == FIXES_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(fix->path, sizeof(fix->path), fmt, args);
	va_end(args);
	(void)snprintf(fix->value, sizeof(fix->value), "%s", value);
	row->n_fixes++;
}

int64_t doctor_setting(const char *family, const char *link, const char *name)
{
	char path[SYSCTL_PATH_MAX];
	int64_t value;

	(void)snprintf(path, sizeof(path), "net/%s/conf/%s/%s", family, link, name);
	return sysctl_read(path, &value) ? -1 : value;
}

static void run_checks(struct doctor *d, const struct doctor_check *checks)
{
	for (; checks->name; checks++) {
		d->check = checks->name;
		checks->run(d);
	}
}

/* From what lies deepest to what stands on it. */
static int examine(struct doctor *d, const char *config)
{
	int err = doctor_look(d, config);

	if (!err) {
		run_checks(d, doctor_machine);
		run_checks(d, doctor_privs);
		run_checks(d, doctor_links);
		run_checks(d, doctor_kernel);
		run_checks(d, doctor_routes);
		run_checks(d, doctor_firewall);
		run_checks(d, doctor_tunnels);
	}
	if (err == -ENOMEM || d->failed)
		(void)complain("not enough memory");
	return err || d->failed ? EXIT_FAULT : EXIT_GOOD;
}

static unsigned count(const struct doctor *d, enum finding finding)
{
	unsigned n = 0;

	for (size_t i = 0; i < d->n_rows; i++)
		n += d->rows[i].finding == finding;
	return n;
}

/* The command of a row, "" if there is none. */
static const char *command_of(const struct doctor_row *row, char buf[DOCTOR_WORDS])
{
	size_t len = 0;

	if (!row->n_fixes)
		return row->command;
	len += (size_t)snprintf(buf, DOCTOR_WORDS, "sysctl -w");
	for (unsigned i = 0; i < row->n_fixes && len < DOCTOR_WORDS; i++) {
		char name[SYSCTL_PATH_MAX];

		len += (size_t)snprintf(buf + len, DOCTOR_WORDS - len, " %s=%s",
					sysctl_format(row->fixes[i].path, name),
					row->fixes[i].value);
	}
	return buf;
}

/* For people */

static void print_row(const struct doctor_row *row)
{
	static const enum people_colour colours[] = { [FINDING_OK] = COLOUR_GREEN,
						      [FINDING_WARN] = COLOUR_YELLOW,
						      [FINDING_FAIL] = COLOUR_RED };
	char buf[DOCTOR_WORDS];
	const char *command = command_of(row, buf);

	(void)printf("%s%-4s%s  %-*s", people_colour(colours[row->finding]),
		     finding_names[row->finding], people_colour(COLOUR_NONE), CHECK_WIDTH,
		     row->check);
	people_wrap(row->why, INDENT);
	/* In one piece, to be copied. */
	if (*command)
		(void)printf("%*s%s%s%s\n", INDENT, "", people_colour(COLOUR_BOLD), command,
			     people_colour(COLOUR_NONE));
}

static void print_sum(const struct doctor *d)
{
	unsigned warned = count(d, FINDING_WARN), failed = count(d, FINDING_FAIL), safe = 0;

	for (size_t i = 0; i < d->n_rows; i++)
		safe += d->rows[i].n_fixes > 0;
	(void)printf("\n%zu looked at, %u failed, %u to be warned of", d->n_rows, failed, warned);
	if (safe)
		(void)printf("; `berth doctor --fix` mends %u", safe);
	(void)putchar('\n');
}

static void print_rows(const struct doctor *d)
{
	for (size_t i = 0; i < d->n_rows; i++)
		print_row(&d->rows[i]);
	print_sum(d);
}

/* For programs */

static json_t *row_json(const struct doctor_row *row)
{
	char buf[DOCTOR_WORDS];
	const char *command = command_of(row, buf);
	json_t *out = json_pack("{s:s, s:s, s:s, s:b}", "check", row->check, "finding",
				finding_names[row->finding], "why", row->why, "fix",
				row->n_fixes > 0);

	/* Refused is only what is no text, and that was made harmless. */
	if (*command)
		(void)json_object_set_new(out, "command", json_string(command));
	return out;
}

/* fixed is taken over. */
static int print_json(const struct doctor *d, json_t *fixed)
{
	json_t *rows = json_array(), *out;

	for (size_t i = 0; i < d->n_rows; i++)
		(void)json_array_append_new(rows, row_json(&d->rows[i]));
	out = json_pack("{s:i, s:i, s:o, s:o}", "failed", (int)count(d, FINDING_FAIL), "warned",
			(int)count(d, FINDING_WARN), "fixed", fixed, "checks", rows);
	if (!out)
		return complain("not enough memory");
	client_print_json(out);
	json_decref(out);
	return EXIT_GOOD;
}

/* Mending */

static void fix_setting(const struct doctor_fix *fix, bool quiet, json_t *fixed)
{
	char name[SYSCTL_PATH_MAX];
	int err;

	sysctl_format(fix->path, name);
	if (!quiet)
		(void)printf("sysctl -w %s=%s\n", name, fix->value);
	err = sysctl_write(fix->path, fix->value);
	if (err)
		(void)complain("cannot set %s to %s: %s", name, fix->value, strerror(-err));
	else
		(void)json_array_append_new(fixed, json_sprintf("%s=%s", name, fix->value));
}

/* Each command is shown before it is carried out; what was set is added to fixed. */
static void mend_all(const struct doctor *d, bool quiet, json_t *fixed)
{
	for (size_t i = 0; i < d->n_rows; i++)
		for (unsigned j = 0; j < d->rows[i].n_fixes; j++)
			fix_setting(&d->rows[i].fixes[j], quiet, fixed);
}

static void print_lasting(const json_t *fixed)
{
	const json_t *line;
	size_t i;

	if (!json_array_size(fixed)) {
		(void)printf("nothing that is safe to mend by itself\n\n");
		return;
	}
	(void)printf("\nTo last beyond the next boot, /etc/sysctl.d/60-berth.conf needs:\n");
	json_array_foreach(fixed, i, line)
		(void)printf("%s\n", json_string_value(line));
	(void)putchar('\n');
}

/* The command */

struct options {
	const char *config;
	bool json, fix;
};

static int parse(const struct command *self, int argc, char **argv, struct options *options)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
					       { "fix", no_argument, NULL, 'f' },
					       { "config", required_argument, NULL, 'c' },
					       { 0 } };
	int c;

	*options = (struct options){ .config = DEFAULT_CONFIG };
	while ((c = getopt_long(argc, argv, ":c:", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			options->json = true;
			break;
		case 'f':
			options->fix = true;
			break;
		case 'c':
			options->config = optarg;
			break;
		default:
			return complain_option(self, c, argv);
		}
	}
	if (optind < argc)
		return complain_usage(self, "there is no place for '%s'; a file is named by -c",
				      argv[optind]);
	return EXIT_GOOD;
}

static int run_doctor(const struct command *self, int argc, char **argv)
{
	json_t *fixed = json_array();
	struct options options;
	struct doctor d = { 0 };
	int status = parse(self, argc, argv, &options);

	if (status)
		goto out;
	status = examine(&d, options.config);
	if (!status && options.fix) {
		mend_all(&d, options.json, fixed);
		if (!options.json)
			print_lasting(fixed);
		doctor_forget(&d);
		status = examine(&d, options.config);
	}
	if (status)
		goto out;
	if (options.json)
		status = print_json(&d, json_incref(fixed));
	else
		print_rows(&d);
	if (!status && count(&d, FINDING_FAIL))
		status = EXIT_FAULT;
out:
	doctor_forget(&d);
	json_decref(fixed);
	return status;
}

const struct command command_doctor = {
	.name = "doctor",
	.arguments = "[--fix] [--json] [-c FILE]",
	.summary = "find every setting and trap of this machine",
	.help = "Looks at this machine as berthd needs it, with FILE (" DEFAULT_CONFIG ")\n"
		"and, if it runs, with berthd: kernel settings, links, routes, firewall, and\n"
		"for tunnels of our own namespaces and endpoints. A line for each: ok, warn or\n"
		"fail, why, and the command that mends it. Nothing is changed without --fix.\n\n"
		"  --fix    make the kernel settings that are safe to make, each shown before,\n"
		"           and look again\n"
		"  --json   for programs\n"
		"  -c FILE  another berth.conf\n\n"
		"Exit status 1 if something fails; warnings alone are no fault.\n",
	.run = run_doctor,
};
