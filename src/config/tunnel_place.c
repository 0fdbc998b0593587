/* SPDX-License-Identifier: MIT */
/* Where a tunnel of our own is, in words. */
#include "tunnel_place.h"

#include <stdio.h>

static const char *netns_of(const struct config_tunnel *conf)
{
	return conf->netns ? conf->netns : "";
}

const char *tunnel_place_ip(const struct config_tunnel *conf, char buf[TUNNEL_PLACE_STRLEN])
{
	static const char *const words[][2] = {
		[TUNNEL_NETNS_HOST] = { "ip", "" },
		[TUNNEL_NETNS_NAME] = { "ip -n ", "" },
		[TUNNEL_NETNS_PATH] = { "nsenter --net=", " ip" },
		[TUNNEL_NETNS_PID] = { "nsenter --net=/proc/", "/ns/net ip" },
	};
	const char *const *around = words[conf->netns_kind];

	(void)snprintf(buf, TUNNEL_PLACE_STRLEN, "%s%s%s", around[0], netns_of(conf), around[1]);
	return buf;
}

const char *tunnel_place_name(const struct config_tunnel *conf, char buf[TUNNEL_PLACE_STRLEN])
{
	static const char *const words[] = {
		[TUNNEL_NETNS_HOST] = "this machine",
		[TUNNEL_NETNS_NAME] = "namespace ",
		[TUNNEL_NETNS_PATH] = "namespace ",
		[TUNNEL_NETNS_PID] = "the namespace of process ",
	};

	(void)snprintf(buf, TUNNEL_PLACE_STRLEN, "%s%s", words[conf->netns_kind],
		       netns_of(conf));
	return buf;
}
