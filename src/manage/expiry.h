/* SPDX-License-Identifier: MIT */
/*
 * `Expires` acts at its second, and again when the clock was set: whoever's date has passed
 * is revoked, file or no file to be read; whoever's lies ahead once more comes back.
 * Control thread.
 */
#ifndef BERTH_MANAGE_EXPIRY_H
#define BERTH_MANAGE_EXPIRY_H

#include "intake.h"

/* Looks at all tenants, and sets in->alarm for the next date. The alarm has rung. */
void expiry_run(struct intake *in);

#endif
