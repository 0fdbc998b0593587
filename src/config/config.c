/* SPDX-License-Identifier: MIT */
/* The configuration as a whole. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "claims.h"
#include "config.h"
#include "folder.h"
#include "tenant_file.h"

/* A file that is never still for that many readings in a row is at fault itself. */
enum { READINGS_MAX = 5 };

static void check_range(const struct config_router *router, const struct config_tenant *tenant,
			const struct config_range *range, struct fault_list *faults)
{
	char text[PREFIX_STRLEN];

	prefix_format(&range->prefix, text);
	if (!router_has_range(router, &range->prefix))
		fault_add(faults, tenant->file, range->line,
			  "AllowedIPs: %s is in no Prefix of %s", text, router->file);
	if (router_is_within(router, &range->prefix))
		fault_add(faults, tenant->file, range->line,
			  "AllowedIPs: %s holds an Address of the gateway itself in %s", text,
			  router->file);
}

/* Smaller than IPv6 allows is good for a tenant of IPv4 alone. */
static void check_mtu(const struct config_router *router, const struct config_tenant *tenant,
		      struct fault_list *faults)
{
	const struct config_ranges *ranges = &tenant->peers[0].allowed_ips;
	struct rules_where where = { tenant->file, tenant->mtu_line, "MTU", faults };
	struct value_mtu_range range = { VALUE_MTU_MIN, router->mtu, "", "" };
	char low_why[64], high_why[PATH_MAX], text[PREFIX_STRLEN];

	if (!tenant->mtu)
		return;
	snprintf(high_why, sizeof(high_why), ", the gateway's in %s", router->file);
	range.high_why = high_why;
	/* A gateway with less has no Prefix of IPv6, which is said of the range. */
	for (uint32_t i = 0; router->mtu >= VALUE_MTU_IPV6 && i < ranges->n; i++) {
		if (ranges->v[i].prefix.family != AF_INET6)
			continue;
		snprintf(low_why, sizeof(low_why), " (for the IPv6 of AllowedIPs %s)",
			 prefix_format(&ranges->v[i].prefix, text));
		range.low = VALUE_MTU_IPV6;
		range.low_why = low_why;
		break;
	}
	(void)!value_check_mtu(&where, tenant->mtu, &range);
}

static void check_gateway_tenant(const struct config_router *router,
				 const struct config_tenant *tenant, struct fault_list *faults)
{
	const struct config_ranges *ranges = &tenant->peers[0].allowed_ips;

	if (!router->gateway) {
		fault_add(faults, tenant->file, 0,
			  "a tenant needs a gateway, and %s has no [Interface]", router->file);
		return;
	}
	check_mtu(router, tenant, faults);
	for (uint32_t i = 0; i < ranges->n; i++)
		check_range(router, tenant, &ranges->v[i], faults);
}

int config_check_tenant(const struct config_router *router, const struct config_tenant *tenant,
			struct fault_list *faults)
{
	const struct config_tunnel *tunnel = tenant->tunnel;
	size_t errors = faults->n_errors;

	if (tenant->state != TENANT_OK)
		return 0;
	if (tenant->kind == TENANT_OF_GATEWAY)
		check_gateway_tenant(router, tenant, faults);
	else if (router->gateway && tunnel->netns_kind == TUNNEL_NETNS_HOST &&
		 strcmp(tunnel->ifname, router->name) == 0)
		fault_add(faults, tenant->file, tunnel->ifname_line,
			  "Name: '%s' is the gateway's interface in %s", tunnel->ifname,
			  router->file);
	return faults->n_errors == errors ? 0 : -EINVAL;
}

static int read_router(struct config_router **out, const char *path, struct fault_list *faults)
{
	int err = -EAGAIN;

	for (int i = 0; err == -EAGAIN && i < READINGS_MAX; i++)
		err = router_read(out, path, faults);
	if (err == -EAGAIN)
		fault_add(faults, path, 0, "%s", file_error(err));
	return err;
}

static int read_tenant(struct config_tenant **out, const struct folder *folder, const char *dir,
		       const char *name, struct fault_list *faults)
{
	int err = -EAGAIN;

	for (int i = 0; err == -EAGAIN && i < READINGS_MAX; i++)
		err = tenant_file_read(out, folder->dirfd, dir, name, faults);
	if (err == -EAGAIN)
		fault_add(faults, dir, 0, "%s.conf or a key of it %s", name, file_error(err));
	return err;
}

/* router NULL: it is faulty itself; what only it could tell is not checked. */
static int check_tenant_file(const struct config_router *router, const struct folder *folder,
			     const char *dir, const char *name, struct claims *claims,
			     struct fault_list *faults)
{
	struct config_tenant *tenant;
	int err = read_tenant(&tenant, folder, dir, name, faults);

	if (err)
		return err;
	if (router)
		err = config_check_tenant(router, tenant, faults);
	if (!err)
		err = claims_try(claims, tenant, faults);
	tenant_free(tenant);
	return err;
}

static int check_folder(const struct config_router *router, const char *dir,
			struct fault_list *faults)
{
	struct claims *claims = claims_new();
	struct folder folder = { .dirfd = -1 };
	int err = claims ? 0 : -ENOMEM;

	if (!err)
		err = folder_read(&folder, dir, faults);
	for (size_t i = 0; !err && i < folder.n; i++) {
		/* Other errors are in the list, and do not hide those of the next file. */
		if (check_tenant_file(router, &folder, dir, folder.names[i], claims, faults) ==
		    -ENOMEM)
			err = -ENOMEM;
	}
	folder_free(&folder);
	claims_free(claims);
	return err;
}

int config_check(const char *path, struct fault_list *faults)
{
	size_t errors = faults->n_errors;
	struct config_router *router;
	int err = read_router(&router, path, faults);
	char *dir = err ? router_tenants_folder(path) : NULL;

	if (!err)
		err = check_folder(router, router->tenants, faults);
	else if (err != -ENOMEM && dir)
		err = check_folder(NULL, dir, faults);
	free(dir);
	router_free(router);
	if (err == -ENOMEM)
		return err;
	return faults->n_errors == errors ? 0 : -EINVAL;
}
