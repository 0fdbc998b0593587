/* SPDX-License-Identifier: MIT */
/*
 * `berthd IFNAME`: one interface without peers or addresses, configured by `wg`
 * and `ip` as one of wireguard-go would be. The calling thread becomes the
 * control thread; it is registered with RCU.
 */
#ifndef BERTH_MANAGE_DROPIN_H
#define BERTH_MANAGE_DROPIN_H

struct dropin_options {
	const char *ifname;
	int tun_fd;  /* WG_TUN_FD, or -1 */
	int uapi_fd; /* WG_UAPI_FD, or -1 */
	/* Called once everything works: the moment to go to the background. */
	void (*ready)(void *arg);
	void *arg;
};

/* Returns the exit status: 0 after a signal, or when socket or interface were removed. */
int dropin_run(const struct dropin_options *options);

#endif
