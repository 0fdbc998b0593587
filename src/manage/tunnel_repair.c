/* SPDX-License-Identifier: MIT */
/* What was taken away from a tunnel's interface is put back. */
#include "tunnel_repair.h"

#include <errno.h>

#include "../base/log.h"
#include "../config/tunnel_place.h"

static void say_down(struct tunnel_repair *r, const struct config_tenant *conf, bool down)
{
	const char *ifname = conf->tunnel->ifname;
	char ip[TUNNEL_PLACE_STRLEN];

	if (down && !r->down)
		log_event(LOG_LEVEL_WARNING, conf->name, "down", NULL,
			  "tunnel %s: somebody has set %s down: nothing goes through it, and what "
			  "would goes elsewhere; '%s link set %s up'", conf->name, ifname,
			  tunnel_place_ip(conf->tunnel, ip), ifname);
	else if (!down && r->down)
		log_event(LOG_LEVEL_INFO, conf->name, "up", NULL,
			  "tunnel %s: %s is up again", conf->name, ifname);
	r->down = down;
}

static void say_back(struct tunnel_repair *r, const struct config_tenant *conf,
		     const struct tunnel_link_back *back, uint64_t now)
{
	bool again = r->at && now - r->at < TUNNEL_REPAIR_CALM_MS;

	if (!back->addresses && !back->routes && !back->rules)
		return;
	if (!again || !r->said_again)
		log_event(LOG_LEVEL_WARNING, conf->name, "restored", NULL,
			  "tunnel %s: some of what leads into %s had gone and is put back: "
			  "addresses: %zu, routes: %zu, routing rules: %zu%s", conf->name,
			  conf->tunnel->ifname, back->addresses, back->routes, back->rules,
			  again ? "; it happens again and again: systemd-networkd does that unless "
				  "networkd.conf says ManageForeignRoutes=no and "
				  "ManageForeignRoutingPolicyRules=no" : "");
	r->said_again = again;
	r->at = now;
}

void tunnel_repair(struct tunnel_repair *r, const struct tunnel_link *link,
		   const struct config_tenant *conf, uint64_t now)
{
	struct tunnel_link_back back;
	int err = tunnel_link_restore(link, conf, &back);

	/* It is gone, or its namespace is: others hear of that. */
	if (err == -ENODEV || err == -ENOENT || err == -ESRCH)
		return;
	say_down(r, conf, back.down);
	say_back(r, conf, &back, now);
	if (err && err != r->said_err)
		log_event(LOG_LEVEL_ERROR, conf->name, "failed", strerror(-err),
			  "tunnel %s: some of what leads into %s has gone and cannot be put back: %s",
			  conf->name, conf->tunnel->ifname, strerror(-err));
	r->said_err = err;
}
