/* SPDX-License-Identifier: MIT */
/* What the command says when something is wrong. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "berth.h"

int complain(const char *fmt, ...)
{
	va_list args;

	/* What was printed before stands before. */
	(void)fflush(stdout);
	(void)fputs("berth: ", stderr);
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return EXIT_FAULT;
}

int complain_usage(const struct command *command, const char *fmt, ...)
{
	va_list args;

	(void)fprintf(stderr, "berth %s: ", command->name);
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fprintf(stderr, "\nusage: berth %s%s%s\n", command->name,
		      command->arguments[0] ? " " : "", command->arguments);
	return EXIT_USAGE;
}

int complain_option(const struct command *command, int c, char **argv)
{
	if (c == ':')
		return complain_usage(command, "'%s' needs a value", argv[optind - 1]);
	/* A short option that is unknown may stand among others: getopt kept its letter. */
	if (optopt && strncmp(argv[optind - 1], "--", 2) != 0)
		return complain_usage(command, "there is no option '-%c'", optopt);
	return complain_usage(command, "there is no option '%s'", argv[optind - 1]);
}
