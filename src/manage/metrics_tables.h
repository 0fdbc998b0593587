/* SPDX-License-Identifier: MIT */
/* What is exported: metrics.c makes one text of it. Nobody else includes this. */
#ifndef BERTH_MANAGE_METRICS_TABLES_H
#define BERTH_MANAGE_METRICS_TABLES_H

#include "../path/device.h"
#include "exposition.h"
#include "metrics.h"

/* How many families there are of each tenant (metrics_tenants.c). */
extern const unsigned metrics_n_tenant_families;

/* Adds the heads: one rope for each family. */
void metrics_tenant_heads(struct rope *families);

/* Adds the samples of one tenant to their families. */
void metrics_tenant_add(struct rope *families, const struct device_peer *peer);

/* What the tenants of a pass come to; those of tunnels of our own are not among them. */
struct metrics_sums {
	uint64_t tenants, connected;
	uint64_t took; /* ns of the control thread for this text, so far */
};

/* Adds everything that is not of one tenant (metrics_router.c). */
void metrics_router_add(struct rope *out, const struct metrics_sources *sources,
			const struct metrics_sums *sums);

#endif
