/* SPDX-License-Identifier: MIT */
/* check: what `berthd -n` says. */
#include <getopt.h>
#include <stdio.h>

#include "../../src/config/config.h"
#include "berth.h"

static int check_file(const char *path)
{
	struct fault_list faults = { 0 };
	int err = config_check(path, &faults);

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
