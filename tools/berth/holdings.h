/* SPDX-License-Identifier: MIT */
/*
 * The gateway's configuration as an operator's command finds it: who is there, and who
 * holds which keys and addresses. It is read as berthd reads it.
 */
#ifndef BERTH_TOOLS_HOLDINGS_H
#define BERTH_TOOLS_HOLDINGS_H

#include "../../src/config/claims.h"
#include "../../src/config/folder.h"
#include "../../src/config/router.h"
#include "berth.h"

struct holdings {
	struct config_router *router;
	bool faulty; /* berth.conf is: of router only tenants and control are known */
	struct folder folder;  /* config.d; its descriptor is locked against other commands */
	struct claims *claims; /* of all whose files are good */
	struct prefix *taken;  /* what they hold, and what holdings_take() added */
	size_t n_taken, room;
	size_t n_faulty; /* files that are not */
};

/*
 * Reads the configuration at path and lists config.d, which nobody else of this
 * program changes until holdings_free(). EXIT_GOOD, or EXIT_FAULT after a complaint.
 */
must_check int holdings_open(struct holdings *h, const char *path);

/* The same, but a file with faults, or none, is no more than a warning. */
must_check int holdings_open_anyway(struct holdings *h, const char *path);

/* Reads all tenants. EXIT_GOOD, or EXIT_FAULT after a complaint. */
must_check int holdings_read(struct holdings *h);

/* One more range that is not free. False: no memory. */
bool holdings_take(struct holdings *h, const struct prefix *range);

/* Is there a file of a tenant of that name? */
bool holdings_has(const struct holdings *h, const char *name);

/* "FOLDER/NAMESUFFIX", allocated. NULL: no memory. */
char *holdings_path(const struct holdings *h, const char *name, const char *suffix);

void holdings_free(struct holdings *h);

#endif
