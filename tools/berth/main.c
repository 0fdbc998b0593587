/* SPDX-License-Identifier: MIT */
/* berth: finds the subcommand. */
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>

#include "../../src/base/version.h"
#include "../../src/config/rules.h"
#include "berth.h"

const struct command *const commands[] = {
	&command_init,   &command_add,    &command_revoke,     &command_release, &command_list,
	&command_show,   &command_top,    &command_quota,      &command_status,  &command_check,
	&command_doctor, &command_trace,  &command_keygen,     &command_pubkey,
	&command_completion, NULL,
};

static void print_help(void)
{
	(void)printf("usage: berth COMMAND [ARGUMENTS]\n\n");
	for (size_t i = 0; commands[i]; i++)
		(void)printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	(void)printf("\n`berth COMMAND --help` tells more. Exit status: 0 good, 1 a fault, 2 usage.\n");
}

static void print_command_help(const struct command *command)
{
	(void)printf("usage: berth %s%s%s\n\n%s\n%s%s", command->name,
		     command->arguments[0] ? " " : "", command->arguments, command->summary,
		     command->help[0] ? "\n" : "", command->help);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[ARRAY_SIZE(commands)], *near;
	size_t n = 0;

	for (; commands[n]; n++)
		names[n] = commands[n]->name;
	near = rules_nearest(name, names, n);
	if (near)
		(void)complain("there is no command '%s'; did you mean '%s'?", name, near);
	else
		(void)complain("there is no command '%s'; `berth --help` lists them", name);
	return EXIT_USAGE;
}

/* As others have it: alone, or in front of a command. */
static int help(int argc, char **argv)
{
	const struct command *command = argc > 1 ? find(argv[1]) : NULL;

	if (argc > 1 && !command && *argv[1] != '-')
		return unknown(argv[1]);
	if (command)
		print_command_help(command);
	else
		print_help();
	return EXIT_GOOD;
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
	if (strcmp(argv[1], "help") == 0)
		return help(argc - 1, argv + 1);
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
