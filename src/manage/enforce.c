/* SPDX-License-Identifier: MIT */
/* What files say comes into force. */
#include "enforce.h"

#include <errno.h>
#include <stdio.h>

#include "../base/log.h"
#include "../base/utc.h"
#include "../config/diff.h"
#include "differs.h"

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

static struct change change_of(const struct file_entry *e, const struct config_tenant *conf,
			       unsigned flags)
{
	struct change c = { .kind = CHANGE_PEER, .flags = flags };

	memcpy(c.key, conf->peers[0].public_key, sizeof(c.key));
	strcpy(c.name, e->name);
	return c;
}

/*
 * What was counted of one that has expired is kept, also when it was not in force since the
 * start; and no longer than it has that file. Another may have its key by now. False: nothing
 * is to be said of that.
 */
static bool memory_of(const struct file_entry *e, struct change *c)
{
	const struct config_tenant *was = if_expired(e->conf), *is = if_expired(e->wanted);

	if ((!was && !is) || same_key(was, is ? is : for_gateway(e->wanted)) ||
	    same_key(for_gateway(e->conf), is))
		return false;
	*c = change_of(e, is ? is : was,
		       PEER_REMOVE | PEER_IF_ABSENT | (is ? PEER_SUSPEND : 0));
	return true;
}

/* What the entry has goes, unless it stays under the same key (false). */
static bool removal_of(const struct file_entry *e, struct change *c)
{
	const struct config_tenant *old = for_gateway(e->conf);

	if (!old || same_key(old, for_gateway(e->wanted)))
		return false;
	*c = change_of(e, old, PEER_REMOVE |
		       (same_key(old, if_expired(e->wanted)) ? PEER_SUSPEND : 0));
	return true;
}

static int list_add(struct change_list *list, const struct change *c)
{
	struct change *added = change_add(list, c->kind);

	if (!added)
		return -ENOMEM;
	*added = *c;
	return 0;
}

/* The claims have settled whose every address is: two that swap take from each other. */
static int list_addition(const struct file_entry *e, struct change_list *list)
{
	const struct config_tenant *old = for_gateway(e->conf), *new = for_gateway(e->wanted);
	size_t i = list->n;
	/* One that goes is a removal, listed before. */
	int err = new ? diff_tenant(same_key(old, new) ? old : NULL, new, list) : 0;

	for (; i < list->n; i++)
		list->changes[i].flags |= PEER_MAY_TAKE;
	return err;
}

/*
 * All changes of the batch in one list: first all removals, as a public key
 * may have gone from one file to another.
 */
static int list_changes(struct file_entry *const *batch, size_t n, struct change_list *list)
{
	struct change c;
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		if (!batch[i]->granted)
			continue;
		if (removal_of(batch[i], &c))
			err = list_add(list, &c);
		if (!err && memory_of(batch[i], &c))
			err = list_add(list, &c);
	}
	for (size_t i = 0; i < n && !err; i++)
		if (batch[i]->granted)
			err = list_addition(batch[i], list);
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

/* Of one change that cannot fail. */
static void apply_removal(struct enforce *f, const struct change *c)
{
	size_t failed;

	(void)!device_apply(gateway_device(f->gateway), c, 1, &failed);
}

/*
 * Revoked whole, for which no memory is needed. Where it was granted what it wants, it has let
 * go of another key that it had; where it was not, what it wants is another one's. Both keys
 * may be a peer by now that is not its own.
 */
static void take_out(struct enforce *f, struct file_entry *e)
{
	const struct config_tenant *own = for_gateway(e->granted ? e->wanted : e->conf);

	if (f->gateway && own) {
		struct change c = change_of(e, own, PEER_REMOVE);

		apply_removal(f, &c);
	}
	claims_release(f->claims, e->name);
	close_tunnel(f, e);
	f->tenants -= for_gateway(e->conf) != NULL;
	f->expired -= if_expired(e->conf) != NULL;
	f->revoked += tenant_in_force(e->conf);
	tenant_free(e->conf);
	tenant_free(e->wanted);
	e->conf = e->wanted = NULL;
	e->granted = false;
}

/* Only memory can be missing, and then it is said and the others go on. */
static void fail(struct enforce *f, struct file_entry *e, int err)
{
	log_event(LOG_LEVEL_ERROR, e->name, "failed", strerror(-err),
		  "%s %s: not in force: %s; tried again",
		  tenant_kind_name(e->wanted ? e->wanted : e->conf), e->name, strerror(-err));
	take_out(f, e);
}

static void fail_named(struct enforce *f, struct file_entry *const *batch, size_t n,
		       const char *name, int err)
{
	for (size_t i = 0; i < n; i++)
		if (batch[i]->granted && !strcmp(batch[i]->name, name) &&
		    for_gateway(batch[i]->wanted))
			fail(f, batch[i], err);
}

/* There is no memory for one list: who goes goes, for which none is needed; then one by one. */
static void apply_singly(struct enforce *f, struct file_entry *const *batch, size_t n)
{
	struct change c;

	for (size_t i = 0; i < n; i++) {
		if (batch[i]->granted && removal_of(batch[i], &c))
			apply_removal(f, &c);
		if (batch[i]->granted && memory_of(batch[i], &c))
			apply_removal(f, &c);
	}
	for (size_t i = 0; i < n; i++) {
		struct change_list list = { 0 };
		size_t failed;
		int err;

		if (!batch[i]->granted)
			continue;
		err = list_addition(batch[i], &list);
		if (!err && list.n)
			err = device_apply(gateway_device(f->gateway), list.changes, list.n,
					   &failed);
		change_list_free(&list);
		if (err)
			fail(f, batch[i], err);
	}
}

static void apply_to_gateway(struct enforce *f, struct file_entry *const *batch, size_t n)
{
	struct change_list list = { 0 };
	size_t done = 0, failed;
	int err = list_changes(batch, n, &list);

	if (err) {
		change_list_free(&list);
		apply_singly(f, batch, n);
		return;
	}
	while (done < list.n) {
		err = device_apply(gateway_device(f->gateway), &list.changes[done], list.n - done,
				   &failed);
		if (!err)
			break;
		done += failed;
		fail_named(f, batch, n, list.changes[done].name, err);
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
		if (err == -ENOMEM)
			fail(f, e, err);
		else if (err)
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

/* So many addresses are named all; of more the first one and their number. */
enum { NAMED_MAX = 4, NAMES_STRLEN = NAMED_MAX * (PREFIX_STRLEN + 2) };

static size_t count_addresses(const struct config_tenant *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->n_peers; i++)
		n += conf->peers[i].allowed_ips.n;
	return n;
}

static const char *name_addresses(const struct config_tenant *conf, char buf[NAMES_STRLEN])
{
	size_t all = count_addresses(conf), n = all <= NAMED_MAX ? all : 1, named = 0;
	char text[PREFIX_STRLEN];
	int len = 0;

	for (size_t i = 0; i < conf->n_peers && named < n; i++) {
		const struct config_ranges *ips = &conf->peers[i].allowed_ips;

		for (uint32_t k = 0; k < ips->n && named < n; k++)
			len += snprintf(buf + len, (size_t)(NAMES_STRLEN - len), "%s%s",
					named++ ? ", " : "", prefix_format(&ips->v[k].prefix, text));
	}
	if (!all)
		return strcpy(buf, "no address");
	if (n < all)
		(void)snprintf(buf + len, (size_t)(NAMES_STRLEN - len), " and %zu more", all - n);
	return buf;
}

/*
 * All files are read again at a SIGHUP: most say the same, and nothing is said of these but to
 * whom something was said before.
 */
static void log_difference(const struct file_entry *e, const char *kind)
{
	char what[DIFFERS_STRLEN];

	if (e->conf->kind == e->wanted->kind)
		(void)differs(e->conf, e->wanted, what);
	else
		(void)snprintf(what, sizeof(what), "it was a %s", tenant_kind_name(e->conf));
	if (*what)
		log_event(LOG_LEVEL_INFO, e->name, "changed", what, "%s %s: changed: %s", kind,
			  e->name, what);
	else if (e->refused)
		log_event(LOG_LEVEL_INFO, e->name, "changed", NULL,
			  "%s %s: its file is good again, and says what is in force", kind, e->name);
	else
		log_event(LOG_LEVEL_DEBUG, e->name, "changed", NULL, "%s %s: read again", kind,
			  e->name);
}

static void log_change(const struct enforce *f, const struct file_entry *e)
{
	bool was = tenant_in_force(e->conf), is = tenant_in_force(e->wanted);
	const char *kind = tenant_kind_name(is ? e->wanted : e->conf);
	char addresses[NAMES_STRLEN];

	if (is && !was)
		log_event(f->starting ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, e->name, "added", NULL,
			  "%s %s: added, %s", kind, e->name, name_addresses(e->wanted, addresses));
	else if (was && if_expired(e->wanted))
		log_expiry(e, e->wanted);
	else if (was && !is)
		log_event(LOG_LEVEL_INFO, e->name, "revoked", NULL,
			  "%s %s: revoked", kind, e->name);
	else if (was)
		log_difference(e, kind);
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

/* There was no memory to give back what it claims while it wanted something else. */
static bool has_lost_claims(const struct enforce *f, const struct file_entry *e)
{
	return !e->granted && tenant_in_force(e->conf) && !claims_has(f->claims, e->name);
}

void enforce(struct enforce *f, struct file_entry *const *batch, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (has_lost_claims(f, batch[i]))
			fail(f, batch[i], -ENOMEM);
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
