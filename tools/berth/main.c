/* SPDX-License-Identifier: MIT */
/* berth: finds the subcommand. */
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>

#include "../../src/base/version.h"
#include "berth.h"

static const struct command *const commands[] = {
	&command_list,  &command_show,   &command_status, &command_quota,
	&command_check, &command_keygen, &command_pubkey,
};

enum { NAME_MAX_LEN = 32, NEAR = 2 /* slips of the finger that still are near */ };

static void print_help(void)
{
	(void)printf("usage: berth COMMAND [ARGUMENTS]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		(void)printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	(void)printf("\n`berth COMMAND --help` tells more. Exit status: 0 good, 1 a fault, 2 usage.\n");
}

static void print_command_help(const struct command *command)
{
	(void)printf("usage: berth %s%s%s\n\n%s\n%s%s", command->name,
		     command->arguments[0] ? " " : "", command->arguments, command->summary,
		     command->help[0] ? "\n" : "", command->help);
}

/* Edits that lead from a to b (Levenshtein 1966): one row of the table at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1];
	size_t len = strlen(b);

	if (len > NAME_MAX_LEN)
		return SIZE_MAX;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len; j++) {
			size_t change = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (change > row[j] + 1)
				change = row[j] + 1;
			if (change > diagonal + 1)
				change = diagonal + 1;
			row[j + 1] = change;
		}
	}
	return row[len];
}

static const struct command *nearest(const char *name)
{
	const struct command *best = NULL;
	size_t least = NEAR + 1;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		size_t far = distance(commands[i]->name, name);

		if (far < least) {
			least = far;
			best = commands[i];
		}
	}
	return best;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	const struct command *near = nearest(name);

	if (near)
		(void)complain("there is no command '%s'; did you mean '%s'?", name, near->name);
	else
		(void)complain("there is no command '%s'; `berth --help` lists them", name);
	return EXIT_USAGE;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int run(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		(void)complain("a command is wanted; `berth --help` lists them");
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help();
		return EXIT_GOOD;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("berth " BERTH_VERSION);
		return EXIT_GOOD;
	}
	command = find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	if (wants_help(argc - 1, argv + 1)) {
		print_command_help(command);
		return EXIT_GOOD;
	}
	opterr = 0;
	return command->run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int status;

	if (sodium_init() < 0)
		return complain("libsodium cannot be initialised");
	status = run(argc, argv);
	/* A table that did not reach the disk is no success. */
	if (fflush(stdout) || ferror(stdout))
		return complain("cannot write the output");
	return status;
}
