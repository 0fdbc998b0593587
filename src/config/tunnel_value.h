/* SPDX-License-Identifier: MIT */
/* The values of [Interface] that only tunnels of our own have. As value.h. Any thread. */
#ifndef BERTH_CONFIG_TUNNEL_VALUE_H
#define BERTH_CONFIG_TUNNEL_VALUE_H

#include "tenant.h"

/*
 * Table: auto, off, a number (decimal or 0x…), or a name that iproute2 knows. 0 and the
 * kernel's own table `local` are none. -EINVAL, -ENOMEM.
 */
must_check int tunnel_value_table(const struct rules_where *where, const char *text,
				  struct config_tunnel *tunnel);

/*
 * DNS: addresses of servers and search domains, with commas or blanks between them,
 * appended to those that are there. -EINVAL, -ENOMEM.
 */
must_check int tunnel_value_dns(const struct rules_where *where, const char *text,
				struct config_tunnel *tunnel);

/*
 * The number of the table that a file of iproute2 (rt_tables: "number name" lines) calls
 * so. -ENOENT: none, or there is no such file. Names compare as ip(8) compares them.
 */
must_check int tunnel_value_table_in(const char *path, const char *name, uint32_t *out);

#endif
