/* SPDX-License-Identifier: MIT */
/*
 * The configuration as a whole: what no file can know alone.
 * Any thread. No side effects: files are read, nothing is made or changed.
 */
#ifndef BERTH_CONFIG_CONFIG_H
#define BERTH_CONFIG_CONFIG_H

#include "router.h"
#include "tenant.h"

/*
 * Does the tenant fit the router? Its addresses lie inside one Prefix each and
 * are not the gateway's own; its MTU is large enough for them and not larger than the gateway's;
 * a tunnel's interface is not the gateway's; there is a gateway if it needs one. 0, or -EINVAL
 * with a fault for each. A revoked tenant always fits.
 */
must_check int config_check_tenant(const struct config_router *router,
				   const struct config_tenant *tenant,
				   struct fault_list *faults);

/*
 * All that `berthd -n -c path` does: reads berth.conf and every tenant, checks
 * them against the router and each other, collects every fault. 0: no errors
 * (there may be warnings); -EINVAL: faults has them; -ENOMEM.
 */
must_check int config_check(const char *path, struct fault_list *faults);

#endif
