/* SPDX-License-Identifier: MIT */
/* What files say comes into force. */
#include "enforce.h"

#include <errno.h>

#include "../base/log.h"
#include "../base/utc.h"
#include "../config/diff.h"

/* The gateway's side of a configuration, NULL if it has none. */
static const struct config_tenant *for_gateway(const struct config_tenant *conf)
{
	return tenant_in_force(conf) && !tenant_is_tunnel(conf) ? conf : NULL;
}

static bool same_key(const struct config_tenant *a, const struct config_tenant *b)
{
	return a && b && !memcmp(a->peers[0].public_key, b->peers[0].public_key, VALUE_KEY_LEN);
}

static const struct config_tenant *if_expired(const struct config_tenant *conf)
{
	return conf && conf->state == TENANT_EXPIRED ? conf : NULL;
}

/*
 * What was counted of one that has expired is kept, also when it was not in force since the
 * start; and no longer than it has that file. Another may have its key by now.
 */
static int list_memory(const struct file_entry *e, struct change_list *list)
{
	const struct config_tenant *was = if_expired(e->conf), *is = if_expired(e->wanted);
	struct change *c;

	if ((!was && !is) || same_key(was, is ? is : for_gateway(e->wanted)) ||
	    same_key(for_gateway(e->conf), is))
		return 0;
	c = change_add(list, CHANGE_PEER);
	if (!c)
		return -ENOMEM;
	c->flags = PEER_REMOVE | PEER_IF_ABSENT | (is ? PEER_SUSPEND : 0);
	memcpy(c->key, (is ? is : was)->peers[0].public_key, sizeof(c->key));
	strcpy(c->name, e->name);
	return 0;
}

/* What the entry has goes, unless it stays under the same key. */
static int list_removal(const struct file_entry *e, struct change_list *list)
{
	const struct config_tenant *old = for_gateway(e->conf);
	size_t i = list->n;
	int err;

	if (same_key(old, for_gateway(e->wanted)))
		return 0;
	err = diff_tenant(old, NULL, list);
	for (; i < list->n && same_key(old, if_expired(e->wanted)); i++)
		list->changes[i].flags |= PEER_SUSPEND;
	return err;
}

/*
 * All changes of the batch in one list: first all removals, as a public key
 * may have gone from one file to another.
 */
static int list_changes(struct file_entry *const *batch, size_t n, struct change_list *list)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		if (!batch[i]->granted)
			continue;
		err = list_removal(batch[i], list);
		if (!err)
			err = list_memory(batch[i], list);
	}
	for (size_t i = 0; i < n && !err; i++) {
		const struct config_tenant *old = for_gateway(batch[i]->conf);
		const struct config_tenant *new = for_gateway(batch[i]->wanted);

		if (batch[i]->granted)
			err = diff_tenant(same_key(old, new) ? old : NULL, new, list);
	}
	/* The claims have settled whose every address is: two that swap take from each other. */
	for (size_t i = 0; i < list->n; i++)
		list->changes[i].flags |= PEER_MAY_TAKE;
	return err;
}

void enforce_close(struct file_entry *e)
{
	if (e->tunnel)
		tunnel_close(e->tunnel);
	e->tunnel = NULL;
}

static void close_tunnel(struct enforce *f, struct file_entry *e)
{
	f->tunnels -= e->tunnel != NULL;
	enforce_close(e);
}

static void take_out(struct enforce *f, struct file_entry *e)
{
	struct change remove = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };
	size_t failed;

	memcpy(remove.key, e->wanted->peers[0].public_key, sizeof(remove.key));
	(void)!device_apply(gateway_device(f->gateway), &remove, 1, &failed);
	claims_release(f->claims, e->name);
	close_tunnel(f, e);
	f->tenants -= for_gateway(e->conf) != NULL;
	f->expired -= if_expired(e->conf) != NULL;
	tenant_free(e->conf);
	tenant_free(e->wanted);
	e->conf = e->wanted = NULL;
	e->granted = false;
}

/* Only memory can be missing, and then it is said and the others go on. */
static void take_out_named(struct enforce *f, struct file_entry *const *batch, size_t n,
			   const char *name, int err)
{
	log_event(LOG_LEVEL_ERROR, name, "failed", strerror(-err),
		  "tenant %s: not in force: %s", name, strerror(-err));
	for (size_t i = 0; i < n; i++)
		if (batch[i]->granted && !strcmp(batch[i]->name, name) &&
		    for_gateway(batch[i]->wanted))
			take_out(f, batch[i]);
}

static void apply_to_gateway(struct enforce *f, struct file_entry *const *batch, size_t n)
{
	struct change_list list = { 0 };
	size_t done = 0, failed;
	int err = list_changes(batch, n, &list);

	if (err)
		log_error("%s: no memory for all changes", f->router->name);
	while (done < list.n) {
		err = device_apply(gateway_device(f->gateway), &list.changes[done], list.n - done,
				   &failed);
		if (!err)
			break;
		done += failed;
		take_out_named(f, batch, n, list.changes[done].name, err);
		done++;
	}
	change_list_free(&list);
}

static bool wants_tunnel(const struct file_entry *e)
{
	return tenant_in_force(e->wanted) && tenant_is_tunnel(e->wanted);
}

static int open_tunnel(struct enforce *f, struct file_entry *e)
{
	int err = f->shared ? 0 : tunnels_new(&f->shared, f->loop, f->ws, !f->router->no_offload);

	return err ? err : tunnel_open(&e->tunnel, f->shared, e->wanted);
}

/* What must go goes before anything comes: two may exchange names or ports. */
static void apply_to_tunnels(struct enforce *f, struct file_entry *const *batch, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct file_entry *e = batch[i];

		if (!e->granted || !e->tunnel)
			continue;
		if (wants_tunnel(e) && tunnel_update(e->tunnel, e->wanted))
			continue;
		close_tunnel(f, e);
	}
	for (size_t i = 0; i < n; i++) {
		struct file_entry *e = batch[i];
		int err;

		if (!e->granted || e->tunnel || !wants_tunnel(e))
			continue;
		err = open_tunnel(f, e);
		if (err)
			log_event(LOG_LEVEL_ERROR, e->name, "failed", strerror(-err),
				  "tunnel %s: %s", e->name, strerror(-err));
		else
			f->tunnels++;
	}
}

static void log_expiry(const struct file_entry *e, const struct config_tenant *conf)
{
	char date[UTC_STRLEN];

	log_event(LOG_LEVEL_INFO, e->name, "revoked", "expired",
		  "tenant %s: revoked: it has expired (%s)", e->name,
		  utc_format(conf->expires, date));
}

static void log_change(const struct enforce *f, const struct file_entry *e)
{
	bool was = tenant_in_force(e->conf), is = tenant_in_force(e->wanted);
	const char *kind = tenant_is_tunnel(is ? e->wanted : e->conf) ? "tunnel" : "tenant";
	char address[PREFIX_STRLEN] = "no address";
	const struct config_ranges *ips;

	if (is && !was) {
		ips = e->wanted->n_peers ? &e->wanted->peers[0].allowed_ips : NULL;
		if (ips && ips->n)
			prefix_format(&ips->v[0].prefix, address);
		log_event(f->starting ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, e->name, "added", NULL,
			  "%s %s: added, %s%s", kind, e->name, address,
			  ips && ips->n > 1 ? " and more" : "");
	} else if (was && if_expired(e->wanted)) {
		log_expiry(e, e->wanted);
	} else if (was && !is) {
		log_event(LOG_LEVEL_INFO, e->name, "revoked", NULL,
			  "%s %s: revoked", kind, e->name);
	} else if (was) {
		log_event(LOG_LEVEL_DEBUG, e->name, "changed", NULL,
			  "%s %s: read again", kind, e->name);
	}
}

static void finish(struct enforce *f, struct file_entry *e)
{
	struct config_tenant *old = e->conf;

	log_change(f, e);
	f->tenants += for_gateway(e->wanted) != NULL;
	f->tenants -= for_gateway(old) != NULL;
	f->expired += if_expired(e->wanted) != NULL;
	f->expired -= if_expired(old) != NULL;
	f->revoked += tenant_in_force(old) && !tenant_in_force(e->wanted);
	e->conf = e->wanted;
	e->wanted = NULL;
	tenant_free(old); /* a tunnel has borrowed it until now */
}

void enforce(struct enforce *f, struct file_entry *const *batch, size_t n)
{
	if (f->gateway)
		apply_to_gateway(f, batch, n);
	apply_to_tunnels(f, batch, n);
	for (size_t i = 0; i < n; i++)
		if (batch[i]->granted)
			finish(f, batch[i]);
}

/* So few that they need no memory: nobody goes on because there is none. */
enum { EXPIRY_BATCH = 32 };

static void expire_some(struct enforce *f, struct file_entry *const *due, size_t n)
{
	struct change changes[EXPIRY_BATCH] = { 0 };
	size_t failed;

	for (size_t i = 0; i < n; i++) {
		changes[i] = (struct change){ .kind = CHANGE_PEER,
					      .flags = PEER_REMOVE | PEER_SUSPEND };
		memcpy(changes[i].key, due[i]->conf->peers[0].public_key, sizeof(changes[i].key));
		strcpy(changes[i].name, due[i]->name);
	}
	(void)!device_apply(gateway_device(f->gateway), changes, n, &failed);
	for (size_t i = 0; i < n; i++) {
		claims_release(f->claims, due[i]->name);
		due[i]->conf->state = TENANT_EXPIRED;
		log_expiry(due[i], due[i]->conf);
		f->tenants--;
		f->expired++;
		f->revoked++;
	}
}

void enforce_expiry(struct enforce *f, struct file_entry *const *due, size_t n)
{
	for (size_t i = 0; i < n; i += EXPIRY_BATCH)
		expire_some(f, &due[i], min(n - i, (size_t)EXPIRY_BATCH));
}
