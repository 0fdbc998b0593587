/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: what `berth` makes of an answer on the control socket. It may be of another version,
 * or of somebody else: no field need be there, or of its type, and nothing that it says may drive
 * the terminal. The input is a byte that says which command asks, and the answer.
 *
 * Length: 1000
 */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "../../tools/berth/client.h"
#include "fuzz.h"

static json_t *answer;
static bool own_option;
static FILE *screen;
static char *shown;
static size_t n_shown;

/* complain.c, unheard: what is said there comes from client.c. */
int complain(const char *fmt, ...)
{
	(void)fmt;
	return EXIT_FAULT;
}

int complain_usage(const struct command *command, const char *fmt, ...)
{
	(void)command;
	(void)fmt;
	return EXIT_USAGE;
}

/* client.c, without a socket. */
int client_parse(const struct command *self, int argc, char **argv, const char *own,
		 struct client_options *options)
{
	(void)self;
	(void)argv;
	(void)own;
	*options = (struct client_options){ .control = "", .own = own_option };
	optind = argc > 1 ? 1 : argc;
	return EXIT_GOOD;
}

int client_ask(const struct client_options *options, json_t *request, const char *what,
	       json_type type, json_t **value)
{
	(void)options;
	json_decref(request);
	*value = json_object_get(answer, what);
	if (!*value || json_typeof(*value) != type)
		return EXIT_FAULT;
	json_incref(*value);
	return EXIT_GOOD;
}

int client_query(const char *path, json_t *request, json_t **value)
{
	(void)path;
	json_decref(request);
	*value = json_incref(answer);
	return 0;
}

enum client_outcome client_wait(const char *path, const char *name, const char *public_key,
				char why[CLIENT_WHY_MAX])
{
	(void)path;
	(void)name;
	(void)public_key;
	*why = '\0';
	return CLIENT_DONE;
}

int client_complain_unknown(const char *name, const char *const *names, size_t n)
{
	(void)name;
	(void)names;
	(void)n;
	return EXIT_FAULT;
}

void client_print_json(const json_t *value)
{
	(void)value;
}

static void check_screen(void)
{
	for (size_t i = 0; i < n_shown; i++)
		must((unsigned char)shown[i] >= 0x20 || shown[i] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		const struct command *command;
		const char *argument;
		bool own;
	} asks[] = { { &command_list, NULL, false },   { &command_show, "alice", false },
		     { &command_status, NULL, false }, { &command_release, "alice", false },
		     { &command_quota, "alice", true }, { &command_list, NULL, true } };
	struct input in = { data, size };
	FILE *real = stdout;
	json_error_t error;
	uint8_t which = take_u8(&in) % ARRAY_SIZE(asks);
	char *argv[] = { (char *)(uintptr_t)asks[which].command->name,
			 (char *)(uintptr_t)asks[which].argument, NULL };

	answer = json_loadb((const char *)in.data, in.size, 0, &error);
	if (!answer)
		return 0;
	own_option = asks[which].own;
	screen = open_memstream(&shown, &n_shown);
	must(screen);
	stdout = screen;
	(void)asks[which].command->run(asks[which].command, argv[1] ? 2 : 1, argv);
	stdout = real;
	(void)fclose(screen);
	check_screen();
	free(shown);
	json_decref(answer);
	return 0;
}
