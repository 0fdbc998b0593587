/* SPDX-License-Identifier: MIT */
/*
 * The operator's command: a table of subcommands, one file per family. The
 * command is a program of its own that shares no more with berthd than the
 * configuration and the words on the control socket.
 */
#ifndef BERTH_TOOLS_BERTH_H
#define BERTH_TOOLS_BERTH_H

#include "../../src/base/encoding.h"

enum exit_code { EXIT_GOOD, EXIT_FAULT, EXIT_USAGE };

#define DEFAULT_CONFIG "/etc/berth/berth.conf"
#define DEFAULT_CONTROL "/run/berth/control.sock"

struct command {
	const char *name;
	const char *arguments; /* as usage shows them; "" for none */
	const char *summary;   /* one line for `berth --help` */
	const char *help;      /* the rest of `berth NAME --help`, lines with their ends */
	/* argv[0] is the name. Returns an exit code. */
	int (*run)(const struct command *self, int argc, char **argv);
};

extern const struct command command_init;                   /* init.c */
extern const struct command command_add;                    /* add.c */
extern const struct command command_revoke;                 /* revoke.c */
extern const struct command command_completion;             /* completion.c */
extern const struct command command_keygen, command_pubkey; /* keys.c */
extern const struct command command_check;                  /* check.c */
extern const struct command command_list, command_show;     /* tenants.c */
extern const struct command command_quota;                  /* quota.c */
extern const struct command command_top;                    /* top.c */
extern const struct command command_release;                /* release.c */
extern const struct command command_status;                 /* status.c */
extern const struct command command_doctor;                 /* doctor.c */
extern const struct command command_trace;                  /* trace.c */

/* All of them, NULL behind the last. */
extern const struct command *const commands[];

/* A private key of X25519, in the caller's memory. */
void keys_make(uint8_t private_key[KEY_LEN]);

/* "berth: what" on stderr, one sentence that says what to do. Returns EXIT_FAULT. */
int complain(const char *fmt, ...) printf_like(1, 2);

/* "berth NAME: what" and how the command is used, on stderr. Returns EXIT_USAGE. */
int complain_usage(const struct command *command, const char *fmt, ...) printf_like(2, 3);

/* What getopt_long() has complained about by '?' or ':' (opterr is 0). Returns EXIT_USAGE. */
int complain_option(const struct command *command, int c, char **argv);

#endif
