/* SPDX-License-Identifier: MIT */
/* check: what `berthd -n` says. */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/config/config.h"
#include "berth.h"

/*
 * Whose files they are can mend what he may not read; anybody else has only come as the
 * wrong user.
 */
static bool is_stranger(const char *path)
{
	char *copy = strdup(path);
	struct stat st;
	bool own;

	if (!copy)
		return false;
	own = !stat(dirname(copy), &st) && st.st_uid == geteuid();
	free(copy);
	return !own && access(path, R_OK) && errno == EACCES;
}

static int check_file(const char *path)
{
	struct fault_list faults = { 0 };
	int err;

	if (is_stranger(path))
		return complain("no permission to read %s: run this as root", path);
	err = config_check(path, &faults);
	fault_print(&faults, stdout);
	if (!err && !faults.n)
		(void)printf("%s: good\n", path);
	if (err && !faults.n)
		(void)complain("cannot check %s: %s", path, strerror(-err));
	fault_list_free(&faults);
	return err ? EXIT_FAULT : EXIT_GOOD;
}

static int check(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { 0 } };
	const char *path = DEFAULT_CONFIG;
	int c;

	while ((c = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		if (c != 'c')
			return complain_option(self, c, argv);
		path = optarg;
	}
	if (optind < argc)
		return complain_usage(self, "there is no place for '%s'; a file is named by -c",
				      argv[optind]);
	return check_file(path);
}

const struct command command_check = {
	.name = "check",
	.arguments = "[-c FILE]",
	.summary = "find every fault in the configuration",
	.help = "Reads FILE (" DEFAULT_CONFIG ") and all tenants, as berthd would, changes\n"
		"nothing, and prints one line `file:line: what` for each fault. Exit status 1 if\n"
		"there is one; warnings alone are none.\n",
	.run = check,
};
