/* SPDX-License-Identifier: MIT */
/*
 * Who of a batch of changed files gets what it claims: public keys, addresses,
 * names of interfaces. No file ever takes what another one has. Control thread.
 */
#ifndef BERTH_MANAGE_SETTLE_H
#define BERTH_MANAGE_SETTLE_H

#include "../config/claims.h"
#include "entries.h"

/*
 * Lays claim to what each of the n entries wants (e->wanted is set), in place
 * of what it has (e->conf), and sets e->granted. What is free is given in the
 * order of the batch; so is what becomes free thereby; and some that want what
 * they hold of each other exchange it in one go. Who gets nothing keeps what he has.
 */
void settle_claims(struct claims *claims, struct file_entry *const *batch, size_t n);

/* Adds a fault for each claim that was in the way of an entry that was not granted. */
void settle_explain(struct claims *claims, const struct file_entry *e, struct fault_list *faults);

#endif
