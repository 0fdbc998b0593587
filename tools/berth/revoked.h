/* SPDX-License-Identifier: MIT */
/* What stays of the file of a tenant that was revoked. Pure. */
#ifndef BERTH_TOOLS_REVOKED_H
#define BERTH_TOOLS_REVOKED_H

#include "draft.h"

/*
 * Makes *draft of len bytes of text: a line of a private or preshared key loses its value, one that
 * names a public key or a file of keys becomes a comment, all others stay as they are.
 * The draft has failed when it is too long, or memory is short.
 */
void revoked_write(struct draft *draft, const char *text, size_t len);

#endif
