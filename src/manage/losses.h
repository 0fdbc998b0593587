/* SPDX-License-Identifier: MIT */
/*
 * The addresses to which packets do not come, and why: each is said when it is new, or
 * has another reason, and again when it is over; a few at a time, further ones are
 * counted, and never so often that they fill the log. Control thread.
 */
#ifndef BERTH_MANAGE_LOSSES_H
#define BERTH_MANAGE_LOSSES_H

#include <uv.h>

#include "../host/verdict.h"

struct losses;

/* name is the interface's; view stays the caller's. NULL: no memory. */
struct losses *losses_new(uv_loop_t *loop, const char *name, struct verdict_view *view);

/* The loop turns once more. NULL is fine. */
void losses_free(struct losses *losses);

/* Packets to p do not come, by that verdict. */
void losses_note(struct losses *losses, const struct prefix *p, const struct verdict *verdict);

/* Why they do not come, or NULL: as far as is known, they do. */
const struct verdict *losses_find(struct losses *losses, const struct prefix *p);

/* They come again. */
void losses_mended(struct losses *losses, const struct prefix *p);

/* It has changed since, and will be looked at again: what was not said yet is not said. */
void losses_retract(struct losses *losses, const struct prefix *p);

/* Nobody wants them any more. */
void losses_forget(struct losses *losses, const struct prefix *p);

#endif
