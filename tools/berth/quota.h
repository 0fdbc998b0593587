/* SPDX-License-Identifier: MIT */
/* The quota of a tenant, as lines for people. */
#ifndef BERTH_TOOLS_QUOTA_H
#define BERTH_TOOLS_QUOTA_H

#include <jansson.h>

/* Of the answer to "show"; nothing, if it has none. */
void quota_print(const json_t *tenant);

#endif
