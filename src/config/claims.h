/* SPDX-License-Identifier: MIT */
/*
 * Who holds which public key and which addresses, over all tenants of a
 * gateway; and which interface name in which namespace, over all tunnels of
 * our own. `wg` silently moves an address to whoever asks last; here the first
 * holder keeps it, and the other file is at fault.
 *
 * Cost: one tenant with one range takes about 200 bytes and three searches of
 * O(log n). One thread at a time.
 */
#ifndef BERTH_CONFIG_CLAIMS_H
#define BERTH_CONFIG_CLAIMS_H

#include "tenant.h"

struct claims;

/* NULL: no memory. */
struct claims *claims_new(void);
void claims_free(struct claims *claims);

/*
 * Lays claim to all that the tenant names, in place of what its name held
 * before. All or nothing: 0; -EEXIST: another tenant holds some of it, a fault
 * naming both files was added for each, and what was held before stays;
 * -ENOMEM: nothing is gained, and in the worst case what was held before is lost too
 * (claims_has()).
 * A revoked tenant claims nothing and releases what it held. Nothing of
 * *tenant is kept.
 */
must_check int claims_try(struct claims *claims, const struct config_tenant *tenant,
			  struct fault_list *faults);

/* Gives back all that the tenant of that name holds. */
void claims_release(struct claims *claims, const char *name);

/* Does the tenant of that name hold anything? */
bool claims_has(const struct claims *claims, const char *name);

/* Name of the tenant that holds an address in the range, or NULL. */
const char *claims_holder(const struct claims *claims, const struct prefix *range);

#endif
