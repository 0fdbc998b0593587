/* SPDX-License-Identifier: MIT */
/* Tenants and tunnels as values, and the rule for their names. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "file.h"
#include "tenant.h"

static const char conf_suffix[] = ".conf";

static bool ends_in(const char *text, const char *suffix)
{
	size_t len = strlen(text), n = strlen(suffix);

	return len >= n && strcmp(text + len - n, suffix) == 0;
}

bool tenant_name_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t len = strlen(name);

	return len >= 1 && len <= TENANT_NAME_MAX && *name != '.' && strspn(name, allowed) == len;
}

/*
 * What editors and packagers leave (names ending in ~, .swp, .tmp, .bak,
 * .dpkg-*) does not end in .conf; what starts with '.' or '#' may.
 */
enum tenant_entry tenant_entry_kind(const char *entry, char name[TENANT_NAME_MAX + 1])
{
	size_t len = strlen(entry);

	if (*entry == '.' || *entry == '#' || !ends_in(entry, conf_suffix))
		return TENANT_ENTRY_IGNORED;
	len -= strlen(conf_suffix);
	if (len > TENANT_NAME_MAX)
		return TENANT_ENTRY_BAD;
	memcpy(name, entry, len);
	name[len] = '\0';
	return tenant_name_valid(name) ? TENANT_ENTRY : TENANT_ENTRY_BAD;
}

struct config_tenant *tenant_new(const char *dir, const char *name)
{
	struct config_tenant *tenant = calloc(1, sizeof(*tenant));
	char entry[TENANT_NAME_MAX + sizeof(conf_suffix)];

	if (!tenant)
		return NULL;
	snprintf(tenant->name, sizeof(tenant->name), "%s", name);
	snprintf(entry, sizeof(entry), "%s%s", tenant->name, conf_suffix);
	tenant->state = TENANT_REVOKED;
	tenant->file = file_join(dir, entry);
	if (!tenant->file) {
		free(tenant);
		return NULL;
	}
	return tenant;
}

static void release_peer(struct config_peer *peer)
{
	free(peer->allowed_ips.v);
	free(peer->endpoint);
	sodium_memzero(peer, sizeof(*peer));
}

static void free_tunnel(struct config_tunnel *tunnel)
{
	free(tunnel->netns);
	free(tunnel->addresses.v);
	free(tunnel->dns_servers);
	free(tunnel->dns_search);
	sodium_memzero(tunnel, sizeof(*tunnel));
	free(tunnel);
}

void tenant_free(struct config_tenant *tenant)
{
	if (!tenant)
		return;
	for (size_t i = 0; i < tenant->n_peers; i++)
		release_peer(&tenant->peers[i]);
	free(tenant->peers);
	if (tenant->tunnel)
		free_tunnel(tenant->tunnel);
	for (size_t i = 0; i < tenant->n_key_files; i++)
		free(tenant->key_files[i]);
	free(tenant->key_files);
	free(tenant->limits);
	free(tenant->file);
	free(tenant);
}

/* Peers hold keys: they move by copy and wipe. Room is a power of two. */
struct config_peer *tenant_add_peer(struct config_tenant *tenant)
{
	size_t n = tenant->n_peers;

	if ((n & (n - 1)) == 0) {
		struct config_peer *grown = calloc(n ? 2 * n : 1, sizeof(*grown));

		if (!grown)
			return NULL;
		if (n) {
			memcpy(grown, tenant->peers, n * sizeof(*grown));
			sodium_memzero(tenant->peers, n * sizeof(*grown));
		}
		free(tenant->peers);
		tenant->peers = grown;
	}
	tenant->n_peers++;
	memset(&tenant->peers[n], 0, sizeof(tenant->peers[n]));
	return &tenant->peers[n];
}

void tenant_drop_peer(struct config_tenant *tenant, size_t i)
{
	size_t last = tenant->n_peers - 1;

	release_peer(&tenant->peers[i]);
	if (i != last) {
		tenant->peers[i] = tenant->peers[last];
		sodium_memzero(&tenant->peers[last], sizeof(tenant->peers[last]));
	}
	tenant->n_peers = last;
}

static int compare_peers(const void *x, const void *y)
{
	const struct config_peer *const *a = x, *const *b = y;
	int order = memcmp((*a)->public_key, (*b)->public_key, VALUE_KEY_LEN);

	return order ? order : ((*a)->line > (*b)->line) - ((*a)->line < (*b)->line);
}

/* Pointers are sorted, as qsort() would leave copies of preshared keys behind. */
static int sort_peers(struct config_tenant *tenant)
{
	size_t n = tenant->n_peers, room = 1;
	const struct config_peer **order;
	struct config_peer *sorted;

	while (room < n)
		room *= 2;
	order = reallocarray(NULL, n, sizeof(*order));
	sorted = calloc(room, sizeof(*sorted));
	if (!order || !sorted) {
		free(order);
		free(sorted);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = &tenant->peers[i];
	qsort(order, n, sizeof(*order), compare_peers);
	for (size_t i = 0; i < n; i++)
		sorted[i] = *order[i];
	free(order);
	sodium_memzero(tenant->peers, n * sizeof(*sorted));
	free(tenant->peers);
	tenant->peers = sorted;
	return 0;
}

int tenant_sort(struct config_tenant *tenant)
{
	for (size_t i = 0; i < tenant->n_peers; i++)
		value_sort_ranges(&tenant->peers[i].allowed_ips);
	return tenant->n_peers > 1 ? sort_peers(tenant) : 0;
}

bool tenant_peer_endpoint(const struct config_peer *peer, struct endpoint *out)
{
	return peer->endpoint && endpoint_parse(out, peer->endpoint) == 0;
}
