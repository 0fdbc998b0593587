/* SPDX-License-Identifier: MIT */
/* From files that changed to a router that runs as they say. */
#include "reload.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../config/claims.h"
#include "../config/config.h"
#include "../config/diff.h"
#include "../config/folder.h"
#include "../config/tenant_file.h"
#include "watch.h"

/* A file of config.d, as long as there is something to remember of it. In a tree by name. */
struct file_entry {
	char *name;
	struct config_tenant *conf; /* in force, NULL: none */
	struct tunnel *tunnel;
	bool refused;               /* what the file says now is not in force */
	struct config_tenant *next; /* within a batch: what is to be in force */
	bool in_batch, listed;
};

struct reload {
	uv_loop_t *loop;
	struct workers *ws;
	const struct config_router *router;
	struct gateway *gateway;
	struct watch *watch;
	struct claims *claims;
	void *entries; /* tsearch tree */
	struct reload_counts counts;
	bool read_once; /* the first reading is over */
};

/* Entries */

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct file_entry *)a)->name, ((const struct file_entry *)b)->name);
}

static struct file_entry *find(const struct reload *r, const char *name)
{
	struct file_entry key = { .name = (char *)(uintptr_t)name };
	struct file_entry **found = tfind(&key, &r->entries, compare_entries);

	return found ? *found : NULL;
}

static struct file_entry *find_or_add(struct reload *r, const char *name)
{
	struct file_entry *e = find(r, name);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->name = strdup(name);
	if (!e->name || !tsearch(e, &r->entries, compare_entries)) {
		free(e->name);
		free(e);
		return NULL;
	}
	return e;
}

/* Nothing in force and nothing wrong: the file is gone, or might as well be. */
static void forget_if_empty(struct reload *r, struct file_entry *e)
{
	if (e->conf || e->refused || e->tunnel)
		return;
	tdelete(e, &r->entries, compare_entries);
	free(e->name);
	free(e);
}

static bool is_tunnel(const struct config_tenant *conf)
{
	return conf && conf->kind == TENANT_TUNNEL;
}

/* Reading */

static void log_faults(const struct fault_list *faults)
{
	char text[LOG_TEXT_MAX];

	for (size_t i = 0; i < faults->n; i++)
		log_at(faults->faults[i].warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "%s",
		       fault_format(&faults->faults[i], text, sizeof(text)));
	if (faults->n_errors > faults->n)
		log_error("%zu faults more", faults->n_errors - faults->n);
}

/*
 * Reads a tenant's file into e->next, with e->in_batch set when that is to
 * come into force. A file that is broken changes nothing.
 */
static void read_entry(struct reload *r, struct file_entry *e, int dirfd)
{
	struct fault_list faults = { 0 };
	struct config_tenant *conf;
	int err = tenant_file_read(&conf, dirfd, r->router->tenants, e->name, &faults);

	if (!err) {
		err = config_check_tenant(r->router, conf, &faults);
		if (err)
			tenant_free(conf);
	}
	if (err == -EAGAIN)
		watch_touch(r->watch, e->name); /* somebody is still writing */
	log_faults(&faults);
	fault_list_free(&faults);
	if (err && err != -EAGAIN) {
		if (!e->refused)
			r->counts.refused++;
		e->refused = true;
		if (err == -ENOMEM)
			log_error("tenant %s: no memory to read its file", e->name);
		if (e->conf)
			log_warning("tenant %s: keeps its last good configuration", e->name);
	}
	if (err)
		return;
	e->next = conf;
	e->in_batch = true;
}

/* Claims */

static int claim(struct reload *r, struct file_entry *e, const struct config_tenant *conf, bool say)
{
	struct fault_list faults = { 0 };
	int err = claims_try(r->claims, conf, &faults);

	if (err && say)
		log_faults(&faults);
	fault_list_free(&faults);
	if (err == -ENOMEM)
		log_error("tenant %s: no memory", e->name);
	return err;
}

static void refuse(struct reload *r, struct file_entry *e)
{
	tenant_free(e->next);
	e->next = NULL;
	e->in_batch = false;
	if (!e->refused)
		r->counts.refused++;
	e->refused = true;
	if (e->conf)
		log_warning("tenant %s: keeps its last good configuration", e->name);
}

/* Some wait for what others of them hold: let all go and try anew. True when all fit. */
static bool claim_exchange(struct reload *r, struct file_entry **batch, size_t n)
{
	bool fits = true;

	for (size_t i = 0; i < n; i++)
		claims_release(r->claims, batch[i]->name);
	for (size_t i = 0; i < n && fits; i++)
		fits = !claim(r, batch[i], batch[i]->next, false);
	if (fits)
		return true;
	for (size_t i = 0; i < n; i++)
		claims_release(r->claims, batch[i]->name);
	/* They held these together before, so they can again. */
	for (size_t i = 0; i < n; i++)
		if (batch[i]->conf)
			(void)!claim(r, batch[i], batch[i]->conf, true);
	return false;
}

/*
 * Lays claim to what the batch wants. What is free now is had at once; then
 * what has become free thereby; then those that exchange something among
 * themselves. The others are refused, with a fault for each.
 */
static void claim_batch(struct reload *r, struct file_entry **batch, size_t n)
{
	struct file_entry **left = calloc(n, sizeof(*left));
	size_t n_left = 0, before;

	for (size_t i = 0; i < n; i++)
		if (batch[i]->in_batch && (!left || claim(r, batch[i], batch[i]->next, !left))) {
			if (left)
				left[n_left++] = batch[i];
			else
				refuse(r, batch[i]);
		}
	do {
		before = n_left;
		n_left = 0;
		for (size_t i = 0; i < before; i++)
			if (claim(r, left[i], left[i]->next, false))
				left[n_left++] = left[i];
	} while (n_left && n_left < before);
	if (n_left > 1 && claim_exchange(r, left, n_left))
		n_left = 0;
	for (size_t i = 0; i < n_left; i++) {
		(void)!claim(r, left[i], left[i]->next, true); /* says whose it is */
		refuse(r, left[i]);
	}
	free(left);
}

/* Coming into force */

static bool in_force(const struct config_tenant *conf)
{
	return conf && conf->state == TENANT_OK;
}

/* The gateway's part of the batch, as one list of changes. */
static void apply_to_gateway(struct reload *r, struct file_entry **batch, size_t n)
{
	struct change_list list = { 0 };
	size_t failed = 0;
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		struct file_entry *e = batch[i];
		const struct config_tenant *old = is_tunnel(e->conf) ? NULL : e->conf;
		const struct config_tenant *new = is_tunnel(e->next) ? NULL : e->next;

		if (e->in_batch)
			err = diff_tenant(old, new, &list);
	}
	/* The claims have settled whose every address is: two that swap take from each other. */
	for (size_t i = 0; i < list.n; i++)
		list.changes[i].flags |= PEER_MAY_TAKE;
	if (!err && list.n)
		err = device_apply(gateway_device(r->gateway), list.changes, list.n, &failed);
	if (err)
		log_error("%s: tenant %s: %s", r->router->name,
			  failed < list.n ? list.changes[failed].name : "?", strerror(-err));
	change_list_free(&list);
}

static void apply_tunnel(struct reload *r, struct file_entry *e)
{
	int err;

	if (e->tunnel && is_tunnel(e->next) && in_force(e->next) &&
	    tunnel_update(e->tunnel, e->next))
		return;
	if (e->tunnel) {
		tunnel_close(e->tunnel);
		e->tunnel = NULL;
		r->counts.tunnels--;
	}
	if (!is_tunnel(e->next) || !in_force(e->next))
		return;
	err = tunnel_open(&e->tunnel, r->loop, r->ws, e->next, !r->router->no_offload);
	if (err)
		log_error("tunnel %s: %s", e->name, strerror(-err));
	else
		r->counts.tunnels++;
}

static void log_change(struct reload *r, const struct file_entry *e)
{
	bool was = in_force(e->conf), is = in_force(e->next);
	const char *kind = is_tunnel(is ? e->next : e->conf) ? "tunnel" : "tenant";
	const struct config_ranges *ips = is ? &e->next->peers[0].allowed_ips : NULL;
	char address[PREFIX_STRLEN] = "no address";

	if (ips && ips->n)
		prefix_format(&ips->v[0].prefix, address);
	if (is && !was)
		log_at(r->read_once ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "%s %s: added, %s%s", kind,
		       e->name, address, ips->n > 1 ? " and more" : "");
	else if (was && !is)
		log_info("%s %s: revoked", kind, e->name);
	else if (was)
		log_debug("%s %s: read again", kind, e->name);
}

static void count_change(struct reload *r, const struct file_entry *e)
{
	bool was = in_force(e->conf), is = in_force(e->next);

	r->counts.tenants += (size_t)(is && !is_tunnel(e->next));
	r->counts.tenants -= (size_t)(was && !is_tunnel(e->conf));
	r->counts.revoked += was && !is;
}

/* What was read becomes what is. */
static void settle(struct reload *r, struct file_entry *e)
{
	struct config_tenant *old = e->conf;

	if (is_tunnel(e->conf) || is_tunnel(e->next))
		apply_tunnel(r, e);
	log_change(r, e);
	count_change(r, e);
	if (watch_key_files(r->watch, e->name, e->next->key_files, e->next->n_key_files))
		log_error("tenant %s: no memory to watch its key files", e->name);
	if (e->refused)
		r->counts.refused--;
	e->refused = false;
	e->conf = e->next;
	e->next = NULL;
	e->in_batch = false;
	/* A tunnel has borrowed it until now. */
	tenant_free(old);
	if (e->conf->state == TENANT_REVOKED && !e->conf->n_key_files) {
		tenant_free(e->conf);
		e->conf = NULL;
	}
}

struct retry {
	struct reload *r;
};

/* What was refused may fit now that somebody has let something go. */
static void touch_refused(const void *node, VISIT visit, void *closure)
{
	const struct file_entry *e = *(struct file_entry *const *)node;

	if ((visit == postorder || visit == leaf) && e->refused)
		watch_touch(((struct retry *)closure)->r->watch, e->name);
}

/* Does this entry let go of a key or an address that it held? */
static bool releases(const struct file_entry *e)
{
	return e->in_batch && in_force(e->conf) && e->conf->kind == TENANT_OF_GATEWAY &&
	       !e->refused;
}

static void bring_into_force(struct reload *r, struct file_entry **batch, size_t n)
{
	struct retry retry = { .r = r };
	bool released = false;

	claim_batch(r, batch, n);
	if (r->gateway)
		apply_to_gateway(r, batch, n);
	for (size_t i = 0; i < n; i++) {
		released |= releases(batch[i]);
		if (batch[i]->in_batch)
			settle(r, batch[i]);
		else
			tenant_free(batch[i]->next);
		batch[i]->next = NULL;
	}
	if (released && r->counts.refused)
		twalk_r(r->entries, touch_refused, &retry);
	for (size_t i = 0; i < n; i++)
		forget_if_empty(r, batch[i]);
}

static void reload_names(struct reload *r, int dirfd, const char *const *names, size_t n)
{
	struct file_entry **batch = calloc(n ? n : 1, sizeof(*batch));
	uint64_t start = clock_now();
	size_t n_batch = 0;

	if (!batch) {
		log_error("no memory to read %zu tenants: they stay as they are", n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct file_entry *e = find_or_add(r, names[i]);

		if (!e) {
			log_error("tenant %s: no memory", names[i]);
			continue;
		}
		read_entry(r, e, dirfd);
		batch[n_batch++] = e;
	}
	bring_into_force(r, batch, n_batch);
	free(batch);
	log_debug("%zu files read and applied in %.1f ms", n,
		  (double)(clock_now() - start) / NSEC_PER_MSEC);
}

/* What the watcher tells us */

static int open_folder(const struct reload *r)
{
	return open(r->router->tenants, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void on_changed(void *arg, const char *const *names, size_t n)
{
	struct reload *r = arg;
	int dirfd = open_folder(r);

	if (dirfd < 0) {
		log_error("cannot open %s: %s; all tenants stay as they are", r->router->tenants,
			  strerror(errno));
		return;
	}
	reload_names(r, dirfd, names, n);
	close(dirfd);
}

struct gathering {
	const char **names;
	size_t n;
};

/* Entries whose file is not in the folder any more. */
static void gather_unlisted(const void *node, VISIT visit, void *closure)
{
	struct file_entry *e = *(struct file_entry *const *)node;
	struct gathering *g = closure;

	if (visit != postorder && visit != leaf)
		return;
	if (!e->listed)
		g->names[g->n++] = e->name;
	e->listed = false;
}

static void count_entry(const void *node, VISIT visit, void *closure)
{
	(void)node;
	*(size_t *)closure += visit == postorder || visit == leaf;
}

static void rescan(struct reload *r, const struct folder *folder)
{
	struct gathering g = { 0 };
	size_t known = 0;
	char **names;

	twalk_r(r->entries, count_entry, &known);
	g.names = calloc(known + 1, sizeof(*g.names));
	names = calloc(known + folder->n + 1, sizeof(*names));
	if (!g.names || !names) {
		log_error("no memory to read %s", r->router->tenants);
		goto out;
	}
	for (size_t i = 0; i < folder->n; i++) {
		struct file_entry *e = find(r, folder->names[i]);

		if (e)
			e->listed = true;
	}
	twalk_r(r->entries, gather_unlisted, &g);
	/* Those that are gone first: what they held is free for the others. */
	for (size_t i = 0; i < g.n; i++)
		names[i] = strdup(g.names[i]);
	for (size_t i = 0; i < folder->n; i++)
		names[g.n + i] = folder->names[i];
	for (size_t i = 0; i < g.n; i++)
		if (!names[i])
			goto free_names;
	reload_names(r, folder->dirfd, (const char *const *)names, g.n + folder->n);
free_names:
	for (size_t i = 0; i < g.n; i++)
		free(names[i]);
out:
	free(names);
	free(g.names);
}

static void on_rescan(void *arg)
{
	struct reload *r = arg;
	struct fault_list faults = { 0 };
	struct folder folder;
	int err = folder_read(&folder, r->router->tenants, &faults);

	log_faults(&faults);
	fault_list_free(&faults);
	if (err)
		return; /* all tenants stay as they are */
	rescan(r, &folder);
	if (!r->read_once)
		log_info("%s: %zu tenants, %zu tunnels%s", r->router->tenants, r->counts.tenants,
			 r->counts.tunnels,
			 r->counts.refused ? "; some files are faulty, see above" : "");
	r->read_once = true;
	folder_free(&folder);
}

/* Life */

int reload_open(struct reload **out, uv_loop_t *loop, struct workers *ws,
		const struct config_router *router, struct gateway *gateway)
{
	static const struct watch_ops ops = { .changed = on_changed, .rescan = on_rescan };
	struct reload *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (!r)
		return -ENOMEM;
	*r = (struct reload){ .loop = loop, .ws = ws, .router = router, .gateway = gateway };
	r->claims = claims_new();
	if (!r->claims)
		goto free_r;
	err = watch_open(&r->watch, loop, router->tenants, &ops, r);
	if (err) {
		log_error("cannot watch %s: %s", router->tenants, strerror(-err));
		goto free_r;
	}
	*out = r;
	return 0;

free_r:
	claims_free(r->claims);
	free(r);
	return err;
}

void reload_close(struct reload *r)
{
	watch_close(r->watch);
	while (r->entries) {
		struct file_entry *e = *(struct file_entry **)r->entries;

		if (e->tunnel)
			tunnel_close(e->tunnel);
		tdelete(e, &r->entries, compare_entries);
		tenant_free(e->conf);
		free(e->name);
		free(e);
	}
	claims_free(r->claims);
	free(r);
}

void reload_all(struct reload *r)
{
	on_rescan(r);
}

struct tunnel_visit {
	void (*fn)(const char *name, struct device *dev, void *arg);
	void *arg;
};

static void visit_tunnel(const void *node, VISIT visit, void *closure)
{
	const struct file_entry *e = *(struct file_entry *const *)node;
	const struct tunnel_visit *v = closure;

	if ((visit == postorder || visit == leaf) && e->tunnel && tunnel_device(e->tunnel))
		v->fn(e->name, tunnel_device(e->tunnel), v->arg);
}

void reload_each_tunnel(struct reload *r,
			void (*fn)(const char *name, struct device *dev, void *arg), void *arg)
{
	struct tunnel_visit v = { .fn = fn, .arg = arg };

	twalk_r(r->entries, visit_tunnel, &v);
}

int reload_find(struct reload *r, const char *name, uint8_t public_key[NOISE_KEY_LEN],
		struct device **dev)
{
	struct file_entry *e = find(r, name);

	if (!e || !in_force(e->conf))
		return -ENOENT;
	memcpy(public_key, e->conf->peers[0].public_key, NOISE_KEY_LEN);
	if (e->conf->kind == TENANT_OF_GATEWAY)
		return 0;
	*dev = e->tunnel ? tunnel_device(e->tunnel) : NULL;
	return 1;
}

void reload_counts(const struct reload *r, struct reload_counts *out)
{
	*out = r->counts;
}
