/* SPDX-License-Identifier: MIT */
/* What two configurations of one tenant or tunnel differ in, in words for the log. Any thread. */
#ifndef BERTH_MANAGE_DIFFERS_H
#define BERTH_MANAGE_DIFFERS_H

#include "../config/tenant.h"

enum { DIFFERS_STRLEN = 256 };

/*
 * The keys of the file that say something else, with commas between them; "" when both say the
 * same. Both are in good state and of the same kind. Needs no memory. Returns buf.
 */
const char *differs(const struct config_tenant *a, const struct config_tenant *b,
		    char buf[DIFFERS_STRLEN]);

#endif
