/* SPDX-License-Identifier: MIT */
/* Tenants and tunnels as values, and the rule for their names. */
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/secret.h"
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

/* Preshared keys of all tenants: few have one, and each is too small for pages of its own. */
static struct secret_pool preshared_pool;

static void make_preshared_pool(void)
{
	if (secret_pool_init(&preshared_pool, VALUE_KEY_LEN))
		abort(); /* not with this length */
}

static struct secret_pool *preshared_keys(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_preshared_pool);
	return &preshared_pool;
}

uint8_t *tenant_make_preshared_key(struct config_peer *peer)
{
	if (!peer->preshared_key)
		peer->preshared_key = secret_pool_alloc(preshared_keys());
	return peer->preshared_key;
}

const uint8_t *tenant_peer_preshared_key(const struct config_peer *peer)
{
	static const uint8_t none[VALUE_KEY_LEN];

	return peer->preshared_key ? peer->preshared_key : none;
}

static void release_peer(struct config_peer *peer)
{
	free(peer->allowed_ips.v);
	free(peer->endpoint);
	secret_pool_free(preshared_keys(), peer->preshared_key);
	memset(peer, 0, sizeof(*peer));
}

static void free_tunnel(struct config_tunnel *tunnel)
{
	free(tunnel->netns);
	free(tunnel->addresses.v);
	free(tunnel->dns_servers);
	free(tunnel->dns_search);
	sodium_free(tunnel); /* wipes it */
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

int tenant_make_tunnel(struct config_tenant *tenant)
{
	tenant->tunnel = secret_guarded_alloc(sizeof(*tenant->tunnel));
	if (!tenant->tunnel)
		return -ENOMEM;
	tenant->kind = TENANT_TUNNEL;
	return 0;
}

/* Room is a power of two. */
struct config_peer *tenant_add_peer(struct config_tenant *tenant)
{
	size_t n = tenant->n_peers;

	if ((n & (n - 1)) == 0) {
		struct config_peer *grown = reallocarray(tenant->peers, n ? 2 * n : 1,
							 sizeof(*grown));

		if (!grown)
			return NULL;
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
	if (i != last)
		tenant->peers[i] = tenant->peers[last];
	tenant->n_peers = last;
}

static int compare_peers(const void *x, const void *y)
{
	const struct config_peer *a = x, *b = y;
	int order = memcmp(a->public_key, b->public_key, VALUE_KEY_LEN);

	return order ? order : (a->line > b->line) - (a->line < b->line);
}

void tenant_sort(struct config_tenant *tenant)
{
	for (size_t i = 0; i < tenant->n_peers; i++)
		value_sort_ranges(&tenant->peers[i].allowed_ips);
	if (tenant->n_peers)
		qsort(tenant->peers, tenant->n_peers, sizeof(*tenant->peers), compare_peers);
}

bool tenant_peer_endpoint(const struct config_peer *peer, struct endpoint *out)
{
	return peer->endpoint && endpoint_parse(out, peer->endpoint) == 0;
}
