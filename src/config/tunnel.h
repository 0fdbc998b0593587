/* SPDX-License-Identifier: MIT */
/* What must hold in the file of a tunnel of our own as a whole. Any thread. */
#ifndef BERTH_CONFIG_TUNNEL_H
#define BERTH_CONFIG_TUNNEL_H

#include "tenant.h"

/*
 * Completes a tunnel whose file was read, and whose peers and ranges are in
 * order: names the interface like the file unless it has a name, and adds a
 * fault for each public key or range that two peers have, and for a default
 * route that would be the host's. interface_line: where [Interface] stands.
 * 0 (whatever faults were added) or -ENOMEM.
 */
must_check int tunnel_finish(struct config_tenant *tenant, unsigned interface_line,
			     struct fault_list *faults);

#endif
