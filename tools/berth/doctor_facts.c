/* SPDX-License-Identifier: MIT */
/* What the checks stand on: configuration, the running berthd, links and routes. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "../../src/config/folder.h"
#include "../../src/config/tenant_file.h"
#include "answer.h"
#include "client.h"
#include "doctor.h"

/* Tenants */

static int add_address(struct doctor *d, const struct prefix *p, const char *tenant)
{
	struct doctor_address *all = d->addresses;
	size_t n = d->n_addresses;

	/* Room doubles at each power of two. */
	if (!(n & (n - 1))) {
		all = reallocarray(all, n ? 2 * n : 1, sizeof(*all));
		if (!all)
			return -ENOMEM;
		d->addresses = all;
	}
	all[n] = (struct doctor_address){ .prefix = *p };
	(void)snprintf(all[n].tenant, sizeof(all[n].tenant), "%s", tenant);
	d->n_addresses++;
	return 0;
}

static int take_tenant(struct doctor *d, struct config_tenant *tenant)
{
	struct config_tenant **tunnels;
	int err = 0;

	if (tenant->state != TENANT_OK)
		goto out;
	if (tenant->kind == TENANT_OF_GATEWAY) {
		/* What berthd says of itself is better. */
		for (uint32_t i = 0; !d->running && !err && i < tenant->peers[0].allowed_ips.n; i++)
			err = add_address(d, &tenant->peers[0].allowed_ips.v[i].prefix,
					  tenant->name);
		goto out;
	}
	tunnels = reallocarray(d->tunnels, d->n_tunnels + 1, sizeof(struct config_tenant *));
	err = tunnels ? 0 : -ENOMEM;
	if (!err) {
		d->tunnels = tunnels;
		d->tunnels[d->n_tunnels++] = tenant;
		return 0;
	}
out:
	tenant_free(tenant);
	return err;
}

/* Files with faults are those of the check of the configuration. */
static int read_tenants(struct doctor *d)
{
	struct fault_list faults = { 0 };
	struct folder folder;
	int err = folder_read(&folder, d->router->tenants, &faults);

	if (err) {
		fault_list_free(&faults);
		return err == -ENOMEM ? err : 0;
	}
	for (size_t i = 0; err != -ENOMEM && i < folder.n; i++) {
		struct config_tenant *tenant;

		err = tenant_file_read(&tenant, folder.dirfd, d->router->tenants, folder.names[i],
				       &faults);
		if (!err)
			err = take_tenant(d, tenant);
		fault_list_free(&faults);
	}
	folder_free(&folder);
	return err == -ENOMEM ? err : 0;
}

static int read_router(struct doctor *d)
{
	struct fault_list faults = { 0 };
	int err = router_read(&d->router, d->config, &faults);

	fault_list_free(&faults);
	if (err)
		return err == -ENOMEM ? err : 0;
	d->gateway = d->router->gateway;
	for (uint32_t i = 0; d->gateway && i < d->router->prefixes.n; i++) {
		d->wants4 |= d->router->prefixes.v[i].prefix.family == AF_INET;
		d->wants6 |= d->router->prefixes.v[i].prefix.family == AF_INET6;
	}
	return 0;
}

/* The running berthd */

static json_t *ask(struct doctor *d, const char *what, const char *field)
{
	json_t *answer = NULL, *value = NULL;

	d->daemon_error = client_query(d->router->control, json_pack("{s:s}", "do", what), &answer);
	if (!d->daemon_error)
		value = json_incref(json_object_get(answer, field));
	json_decref(answer);
	return value;
}

/* Tunnels of our own are in the list, too: under names that are files of tunnels. */
static bool is_tunnel(const struct doctor *d, const char *name)
{
	for (size_t i = 0; i < d->n_tunnels; i++)
		if (!strcmp(d->tunnels[i]->name, name))
			return true;
	return false;
}

static int take_running(struct doctor *d)
{
	const json_t *tenant, *range;
	struct prefix p;
	size_t i, j;

	json_array_foreach(d->running, i, tenant) {
		const char *name = answer_text(tenant, "name");

		if (is_tunnel(d, name))
			continue;
		json_array_foreach(json_object_get(tenant, "allowed_ips"), j, range)
			if (!prefix_parse(&p, json_string_value(range)) && add_address(d, &p, name))
				return -ENOMEM;
	}
	return 0;
}

/* Links and routes */

/* Addresses that are far away on the Internet, whatever the uplink; nothing is sent there. */
static void look_outside(struct doctor *d)
{
	static const struct netlink_lookup far4 = { .family = AF_INET, .dst = { 1, 1, 1, 1 } };
	static const struct netlink_lookup far6 = {
		.family = AF_INET6, .dst = { 0x26, 0x06, 0x47, 0, 0x47, [15] = 0x11 }
	};

	d->outside4.found = !netlink_route_get(d->nl, &far4, &d->outside4.route) &&
		d->outside4.route.type == RTN_UNICAST;
	d->outside6.found = !netlink_route_get(d->nl, &far6, &d->outside6.route) &&
		d->outside6.route.type == RTN_UNICAST;
}

static int look_around(struct doctor *d)
{
	int err = netlink_open(&d->nl, -1);

	if (err) {
		(void)complain("cannot ask the kernel about its links: %s", strerror(-err));
		return err;
	}
	look_outside(d);
	if (!d->gateway)
		return 0;
	d->tun = max(netlink_link_index(d->nl, d->router->name), 0);
	for (unsigned i = 0; i < d->router->n_uplinks; i++)
		d->uplinks[i] = max(netlink_link_index(d->nl, d->router->uplinks[i]), 0);
	return 0;
}

int doctor_look(struct doctor *d, const char *config)
{
	int err;

	*d = (struct doctor){ .config = config, .daemon_error = -ENOENT };
	err = read_router(d);
	if (!err)
		err = look_around(d);
	if (err || !d->router)
		return err;
	d->status = ask(d, "status", "status");
	if (d->status)
		d->running = ask(d, "list", "tenants");
	err = read_tenants(d);
	if (!err)
		err = take_running(d);
	return err;
}

void doctor_forget(struct doctor *d)
{
	for (size_t i = 0; i < d->n_tunnels; i++)
		tenant_free(d->tunnels[i]);
	free(d->tunnels);
	free(d->addresses);
	free(d->rows);
	json_decref(d->status);
	json_decref(d->running);
	netlink_close(d->nl);
	router_free(d->router);
	*d = (struct doctor){ 0 };
}

const struct doctor_address *doctor_owner(const struct doctor *d, uint8_t family,
					  const uint8_t *addr)
{
	struct prefix host = prefix_host(family, addr);
	const struct doctor_address *best = NULL;

	for (size_t i = 0; i < d->n_addresses; i++) {
		const struct doctor_address *a = &d->addresses[i];

		if (prefix_contains(&a->prefix, &host) &&
		    (!best || a->prefix.cidr > best->prefix.cidr))
			best = a;
	}
	return best;
}

const struct prefix *doctor_example(const struct doctor *d, uint8_t family)
{
	for (size_t i = 0; i < d->n_addresses; i++)
		if (d->addresses[i].prefix.family == family)
			return &d->addresses[i].prefix;
	for (uint32_t i = 0; d->gateway && i < d->router->prefixes.n; i++)
		if (d->router->prefixes.v[i].prefix.family == family)
			return &d->router->prefixes.v[i].prefix;
	return NULL;
}
