/* SPDX-License-Identifier: MIT */
/*
 * The sentences for what goes wrong when an interface is opened: what, why,
 * and what to do about it, in one line of the log. Control thread.
 */
#ifndef BERTH_MANAGE_COMPLAIN_H
#define BERTH_MANAGE_COMPLAIN_H

#include "../../tun/netlink.h"
#include "../config/fault.h"
#include "../config/value.h"

/* device_open() failed with err. */
void complain_tun(const char *ifname, int err);

/* The port could not be had. */
void complain_port(const char *ifname, uint16_t port, int err);

/*
 * Adds an address to a link, without duplicate address detection: it is ours
 * alone by construction, and a TUN device has nobody to ask. Logs what fails. 0 or
 * -errno.
 */
must_check int complain_add_address(struct netlink *nl, int index,
				    const struct config_address *address, const char *ifname);

/*
 * Logs faults, unless *said tells that these very ones were the last ones logged,
 * and remembers them there (0: none): files are read again all the time. True if
 * something was logged.
 */
bool complain_faults(uint64_t *said, const struct fault_list *faults);

#endif
