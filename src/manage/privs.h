/* SPDX-License-Identifier: MIT */
/* What a process that holds other people's keys denies itself. */
#ifndef BERTH_MANAGE_PRIVS_H
#define BERTH_MANAGE_PRIVS_H

/*
 * No core dumps and no ptrace by others of our user (PR_SET_DUMPABLE), as
 * many descriptors and as much locked memory as the hard limits allow. What
 * the system refuses is logged. At start, before there are secrets.
 */
void privs_harden(void);

#endif
