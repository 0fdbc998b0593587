/* SPDX-License-Identifier: MIT */
/* release: ends the quarantine of a tenant. */
#include <getopt.h>
#include <stdio.h>

#include "answer.h"
#include "client.h"

static int release(const struct command *self, int argc, char **argv)
{
	struct client_options options;
	json_t *request, *released;
	int status = client_parse(self, argc, argv, NULL, &options);

	if (status)
		return status;
	if (argc - optind != 1)
		return complain_usage(self, "the name of one tenant is wanted");
	request = json_pack("{s:s, s:s}", "do", "release", "name", argv[optind]);
	if (!request)
		return complain("that name is not text: tenants are called by A-Z a-z 0-9 . _ -");
	status = client_ask(&options, request, "released", JSON_OBJECT, &released);
	if (status)
		return status;
	if (options.json)
		client_print_json(released);
	else
		(void)printf("%s is released\n", answer_text(released, "name"));
	json_decref(released);
	return EXIT_GOOD;
}

const struct command command_release = {
	.name = "release",
	.arguments = "NAME " CLIENT_ARGUMENTS,
	.summary = "ends the quarantine of a tenant whose key was in use from two places",
	.help = CLIENT_HELP "\nWhoever has the key may come again. If you do not know who that is, give the "
		"tenant\na new key instead: that ends it, too.\n",
	.run = release,
};
