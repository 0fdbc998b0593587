/* SPDX-License-Identifier: MIT */
/* Asking the running berthd. */
#ifndef BERTH_TOOLS_CLIENT_H
#define BERTH_TOOLS_CLIENT_H

#include <jansson.h>

#include "berth.h"

/* Options that all commands have which ask. */
#define CLIENT_ARGUMENTS "[--json] [--control PATH | -c FILE]"
#define CLIENT_HELP                                                                          \
	"  --json          for programs\n"                                                   \
	"  --control PATH  the socket of berthd\n"                                           \
	"  -c FILE         take Control from this file; without either, from\n"              \
	"                  " DEFAULT_CONFIG ", or else " DEFAULT_CONTROL "\n"

struct client_options {
	bool json;
	bool reset;          /* --reset, of quota alone */
	const char *control; /* NULL: look into the configuration */
	const char *config;  /* NULL: the default one */
};

/*
 * Reads the options; arguments are at optind. EXIT_GOOD, or EXIT_USAGE after
 * a complaint.
 */
must_check int client_parse(const struct command *self, int argc, char **argv,
			    struct client_options *options);

/*
 * Sends the request (reference taken over) and waits for the answer, of
 * which *value becomes the field called what, of the given type: a new reference.
 * EXIT_GOOD, or EXIT_FAULT after a complaint.
 */
must_check int client_ask(const struct client_options *options, json_t *request, const char *what,
			  json_type type, json_t **value);

/* Writes the value to stdout, for programs. */
void client_print_json(const json_t *value);

#endif
