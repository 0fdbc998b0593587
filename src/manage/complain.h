/* SPDX-License-Identifier: MIT */
/*
 * The sentences for what goes wrong with files, interfaces and the machine: what,
 * why, and what to do about it, in one line of the log. Control thread.
 */
#ifndef BERTH_MANAGE_COMPLAIN_H
#define BERTH_MANAGE_COMPLAIN_H

#include "../config/fault.h"
#include "../config/router.h"

/* device_open() failed with err. */
void complain_tun(const char *ifname, int err);

/* The port could not be had. */
void complain_port(const char *ifname, uint16_t port, int err);

/* Nobody can listen on the unix socket at path; names who has it. */
void complain_socket(const char *path, int err);

/* link_add_address() failed with err. */
void complain_address(const char *ifname, const struct config_address *address, int err);

/*
 * Warns of settings of the machine that keep packets from the router's
 * tenants: they are the operator's, and not changed behind his back.
 */
void complain_sysctls(const struct config_router *router);

/*
 * Logs faults, unless *said tells that these very ones were the last ones logged,
 * and remembers them there (0: none): files are read again all the time. True if
 * something was logged. tenant: whose file it is, or NULL.
 */
bool complain_faults(uint64_t *said, const char *tenant, const struct fault_list *faults);

#endif
