/* SPDX-License-Identifier: MIT */
/* What confine*.c share. */
#ifndef BERTH_BASE_CONFINE_PRIVATE_H
#define BERTH_BASE_CONFINE_PRIVATE_H

#include "confine.h"

/* Adds the rules of the kind that look at arguments. ctx: scmp_filter_ctx. 0 or -errno. */
must_check int confine_add_conditions(void *ctx, enum confine_kind kind);

/* Adds one rule without conditions; a call that this architecture does not know is left out. */
must_check int confine_allow(void *ctx, const char *call);

#endif
