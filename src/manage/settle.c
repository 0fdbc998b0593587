/* SPDX-License-Identifier: MIT */
/* Claims of a batch. */
#include "settle.h"

#include <errno.h>
#include <stdlib.h>

#include "../base/log.h"
#include "../config/diff.h"

static int try_claim(struct claims *claims, const struct config_tenant *conf)
{
	struct fault_list faults = { 0 };
	int err = claims_try(claims, conf, &faults);

	fault_list_free(&faults);
	return err;
}

static void try_wanted(struct claims *claims, struct file_entry *e)
{
	int err = try_claim(claims, e->wanted);

	e->granted = !err;
	e->starved = err == -ENOMEM;
}

/* What is free, and what becomes free by that, until nothing more comes of it. */
static void grant_free(struct claims *claims, struct file_entry *const *batch, size_t n)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++) {
			if (batch[i]->granted)
				continue;
			try_wanted(claims, batch[i]);
			more |= batch[i]->granted;
		}
	}
}

static void release_all(struct claims *claims, struct file_entry *const *group, size_t n)
{
	for (size_t i = 0; i < n; i++)
		claims_release(claims, group[i]->name);
}

/*
 * All of the group let go of what they have, and claim what they want. If not
 * all can have it, all take back what they had, and those who failed are out:
 * without them the others may still be able to. How many remain.
 */
static size_t try_exchange(struct claims *claims, struct file_entry **group, size_t n)
{
	size_t remain = 0;

	release_all(claims, group, n);
	for (size_t i = 0; i < n; i++)
		try_wanted(claims, group[i]);
	for (size_t i = 0; i < n; i++)
		remain += group[i]->granted;
	if (remain == n)
		return n;
	release_all(claims, group, n);
	remain = 0;
	for (size_t i = 0; i < n; i++) {
		/* They had these together before, so they can again. */
		if (try_claim(claims, group[i]->conf))
			log_event(LOG_LEVEL_ERROR, group[i]->name, "failed", "no memory",
				  "%s %s: no memory for its claims",
				  tenant_kind_name(group[i]->conf), group[i]->name);
		if (group[i]->granted)
			group[remain++] = group[i];
	}
	for (size_t i = 0; i < remain; i++)
		group[i]->granted = false;
	return remain;
}

static bool overlap(const struct config_ranges *a, const struct config_ranges *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		for (uint32_t k = 0; k < b->n; k++)
			if (prefix_contains(&a->v[i].prefix, &b->v[k].prefix) ||
			    prefix_contains(&b->v[k].prefix, &a->v[i].prefix))
				return true;
	return false;
}

/* Do two configurations claim something in common? Both are in good state. */
static bool rivals(const struct config_tenant *a, const struct config_tenant *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == TENANT_TUNNEL)
		return !(diff_link(a, b) & DIFF_LINK_PLACE);
	return !memcmp(a->peers[0].public_key, b->peers[0].public_key, VALUE_KEY_LEN) ||
	       overlap(&a->peers[0].allowed_ips, &b->peers[0].allowed_ips);
}

static bool is_wanted(const struct file_entry *e, struct file_entry *const *group, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (group[i] != e && rivals(e->conf, group[i]->wanted))
			return true;
	return false;
}

/*
 * Who has nothing that another of the group wants only takes, and would stand
 * in the way of those who exchange: he is left out. How many remain.
 */
static size_t leave_out_takers(struct file_entry **group, size_t n)
{
	size_t before;

	do {
		before = n;
		for (size_t i = 0; i < n;) {
			if (is_wanted(group[i], group, n)) {
				i++;
				continue;
			}
			n--;
			memmove(&group[i], &group[i + 1], (n - i) * sizeof(*group));
		}
	} while (n < before);
	return n;
}

/* False: nothing came of it. */
static bool exchange(struct claims *claims, struct file_entry *const *batch, size_t n)
{
	struct file_entry **group = calloc(n, sizeof(*group));
	size_t n_group = 0, remain;

	for (size_t i = 0; !group && i < n; i++)
		batch[i]->starved |= !batch[i]->granted;
	for (size_t i = 0; group && i < n; i++)
		if (!batch[i]->granted && tenant_in_force(batch[i]->conf))
			group[n_group++] = batch[i];
	if (n_group)
		n_group = leave_out_takers(group, n_group);
	while (n_group > 1) {
		remain = try_exchange(claims, group, n_group);
		if (remain == n_group)
			break;
		n_group = leave_out_takers(group, remain);
	}
	free(group);
	return n_group > 1;
}

void settle_claims(struct claims *claims, struct file_entry *const *batch, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		batch[i]->starved = false;
		batch[i]->granted = batch[i]->wanted->state != TENANT_OK;
		if (batch[i]->granted)
			claims_release(claims, batch[i]->name);
	}
	grant_free(claims, batch, n);
	/* An exchange may leave something over for the others. */
	if (n && exchange(claims, batch, n))
		grant_free(claims, batch, n);
}

void settle_explain(struct claims *claims, const struct file_entry *e, struct fault_list *faults)
{
	(void)!claims_try(claims, e->wanted, faults);
}
