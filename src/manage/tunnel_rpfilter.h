/* SPDX-License-Identifier: MIT */
/* Sysctls of IPv4 that a default route by rules needs. Control thread. */
#ifndef BERTH_MANAGE_TUNNEL_RPFILTER_H
#define BERTH_MANAGE_TUNNEL_RPFILTER_H

/* The one setting that is written. */
#define TUNNEL_RPFILTER_SETTING "/proc/sys/net/ipv4/conf/all/src_valid_mark"

/*
 * Sets net.ipv4.conf.all.src_valid_mark, as wg-quick does and like it for good, and warns
 * where a strict reverse path filter drops what the peers send. Logs, for the tunnel.
 */
void tunnel_rpfilter_prepare(const char *tunnel);

#endif
