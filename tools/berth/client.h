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
	bool own;            /* the command's own option was given */
	const char *control; /* NULL: look into the configuration */
	const char *config;  /* NULL: the default one */
};

/*
 * Reads the options; arguments are at optind. own: the name of one that only this
 * command has, or NULL. EXIT_GOOD, or EXIT_USAGE after a complaint.
 */
must_check int client_parse(const struct command *self, int argc, char **argv, const char *own,
			    struct client_options *options);

/*
 * Sends the request (reference taken over) and waits for the answer, of
 * which *value becomes the field called what, of the given type: a new reference.
 * EXIT_GOOD, or EXIT_FAULT after a complaint.
 */
must_check int client_ask(const struct client_options *options, json_t *request, const char *what,
			  json_type type, json_t **value);

enum client_outcome {
	CLIENT_DONE,        /* it is as wanted */
	CLIENT_REFUSED,     /* berthd does not take the file, and why says for what */
	CLIENT_NOT_RUNNING, /* nobody is there */
	CLIENT_UNKNOWN      /* berthd did not tell, and why says what happened */
};

enum { CLIENT_WHY_MAX = 512 };

/*
 * Waits until berthd at that socket has taken the tenant's file: until it is in force with that
 * public key (base64), or, if that is NULL, in force no more. Says nothing itself.
 */
enum client_outcome client_wait(const char *path, const char *name, const char *public_key,
				char why[CLIENT_WHY_MAX]);

/*
 * "there is no tenant 'blgo'; did you mean 'blog'?", with the nearest of n names; another
 * sentence if it is one of them. Returns EXIT_FAULT.
 */
int client_complain_unknown(const char *name, const char *const *names, size_t n);

/*
 * Sends the request (reference taken over) to the socket at path, without a word to the
 * user. 0: *answer is what came, a new reference; -ETIMEDOUT: nothing that is JSON did;
 * -ENOENT, -ECONNREFUSED: nobody is there; -errno.
 */
must_check int client_query(const char *path, json_t *request, json_t **answer);

/* Milliseconds since that clock_now(), with no more than three decimals. */
double client_ms_since(uint64_t start);

/* Writes the value to stdout, for programs. */
void client_print_json(const json_t *value);

#endif
