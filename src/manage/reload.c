/* SPDX-License-Identifier: MIT */
/* From files that changed to a router that runs as they say. */
#include "reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../config/config.h"
#include "../config/tenant_file.h"
#include "complain.h"
#include "enforce.h"
#include "scan.h"
#include "settle.h"
#include "stamp.h"
#include "watch.h"

/* A file that looks revoked without an event having said so is looked at again. */
enum { SECOND_LOOK_MS = 1000 };

struct reload {
	const char *folder; /* config.d */
	struct watch *watch;
	struct entries entries;
	struct claims *claims;
	struct enforce enforce;
	struct scan scan;
	uv_timer_t second_look;
	dev_t dev; /* of the folder that was listed last; 0: none was */
	ino_t ino;
	uint64_t said_folder; /* hash of its faults that were logged */
	size_t n_refused;
	bool starting;   /* the first scan is not over */
	bool everything; /* the scan reads what seems unchanged, too */
	bool again;      /* when the scan is over, another one is due */
	bool again_everything;
	bool doubts;     /* the scan has seen what only a second one is believed */
	unsigned closing;
};

static void set_refused(struct reload *r, struct file_entry *e, bool refused)
{
	r->n_refused += refused;
	r->n_refused -= e->refused;
	e->refused = refused;
}

static void stop_waiting(struct file_entry *e)
{
	tenant_free(e->wanted);
	e->wanted = NULL;
	cds_list_del_init(&e->waiting);
}

/* Reading */

/* The file cannot come into force as it is; what was said before it is kept. */
static void refuse_file(struct reload *r, struct file_entry *e, const struct fault_list *faults)
{
	bool said = complain_faults(&e->said_faults, faults);

	stop_waiting(e);
	set_refused(r, e, true);
	e->stamp = 0; /* a key file that we do not know of may mend it */
	if (said && tenant_in_force(e->conf))
		log_warning("tenant %s: keeps its last good configuration", e->name);
}

/*
 * A scan may see a file in the moment between its being emptied and its being
 * written, if the events of that were lost. Such a revocation must be seen
 * twice; that of a file which is gone need not.
 */
static bool is_doubtful(struct reload *r, struct file_entry *e, const struct config_tenant *conf,
			const struct stamp *stamp)
{
	if (conf->state != TENANT_REVOKED || !tenant_in_force(e->conf) || !stamp->there ||
	    e->doubt == stamp->number) {
		e->doubt = 0;
		return false;
	}
	e->doubt = stamp->number;
	r->doubts = true;
	return true;
}

/*
 * The files beside the tenant's own that make it what it is: key files, and
 * what its own is a link to.
 */
static void watch_others(struct reload *r, const struct config_tenant *conf, bool link)
{
	char **paths = calloc(conf->n_key_files + 1, sizeof(*paths));
	size_t n = 0;

	for (size_t i = 0; paths && i < conf->n_key_files; i++)
		paths[n++] = conf->key_files[i];
	if (paths && link)
		paths[n++] = conf->file;
	if (!paths || watch_key_files(r->watch, conf->name, paths, n))
		log_error("tenant %s: no memory to watch its key files", conf->name);
	free(paths);
}

/* What the file says goes into e->wanted. False: nothing new is to come into force. */
static bool read_entry(struct reload *r, struct file_entry *e, int dirfd, bool scanning)
{
	struct fault_list faults = { 0 };
	struct config_tenant *conf;
	struct stamp stamp;
	int err = tenant_file_read(&conf, dirfd, r->folder, e->name, &faults);

	if (!err && config_check_tenant(r->enforce.router, conf, &faults)) {
		tenant_free(conf);
		err = -EINVAL;
	}
	if (err == -EAGAIN) {
		watch_touch(r->watch, e->name); /* somebody is still writing */
	} else if (err) {
		if (err == -ENOMEM)
			log_error("tenant %s: no memory to read its file", e->name);
		refuse_file(r, e, &faults);
	}
	if (err)
		goto out;
	/* Taken after reading: if it is not fresh, it is of what was read. */
	stamp = stamp_take(dirfd, e->name, conf->key_files, conf->n_key_files);
	if (scanning && is_doubtful(r, e, conf, &stamp)) {
		tenant_free(conf);
		err = -EAGAIN;
		goto out;
	}
	(void)complain_faults(&e->said_faults, &faults);
	watch_others(r, conf, stamp.link);
	e->stamp = stamp.fresh ? 0 : stamp.number;
	tenant_free(e->wanted);
	e->wanted = conf;
	e->explained = false;
	if (!entry_is_waiting(e))
		cds_list_add_tail(&e->waiting, &r->entries.waiting);
out:
	fault_list_free(&faults);
	return !err;
}

/* Coming into force */

/* Others have what the file claims: it waits for them to let go. */
static void keep_waiting(struct reload *r, struct file_entry *e)
{
	struct fault_list faults = { 0 };

	set_refused(r, e, true);
	if (e->explained)
		return;
	e->explained = true;
	settle_explain(r->claims, e, &faults);
	if (complain_faults(&e->said_conflict, &faults) && tenant_in_force(e->conf))
		log_warning("tenant %s: keeps its last good configuration", e->name);
	fault_list_free(&faults);
}

static void after_batch(struct reload *r, struct file_entry *e)
{
	if (e->granted) {
		e->said_conflict = 0;
		stop_waiting(e);
		set_refused(r, e, false);
		/* With key files it is kept, so that they are looked at. */
		if (e->conf->state == TENANT_REVOKED && !e->conf->n_key_files) {
			tenant_free(e->conf);
			e->conf = NULL;
		}
	} else if (e->wanted) {
		keep_waiting(r, e);
	} else {
		stop_waiting(e);
		set_refused(r, e, true);
		e->stamp = 0; /* the next scan tries again */
	}
}

/* All who want something, those first who have waited longest. */
static void bring_into_force(struct reload *r)
{
	size_t n = 0, i = 0;
	struct file_entry **batch, *e;

	cds_list_for_each_entry(e, &r->entries.waiting, waiting)
		n++;
	batch = calloc(n + 1, sizeof(*batch));
	if (!batch) {
		log_error("no memory to bring %zu tenants into force: they wait", n);
		return;
	}
	cds_list_for_each_entry(e, &r->entries.waiting, waiting)
		batch[i++] = e;
	settle_claims(r->claims, batch, n);
	enforce(&r->enforce, batch, n);
	for (i = 0; i < n; i++)
		after_batch(r, batch[i]);
	for (i = 0; i < n; i++)
		entries_forget_if_empty(&r->entries, batch[i]);
	free(batch);
}

static void reload_names(struct reload *r, int dirfd, const char *const *names, size_t n,
			 bool scanning)
{
	uint64_t start = clock_now();
	bool news = false;

	for (size_t i = 0; i < n; i++) {
		struct file_entry *e = entries_find_or_add(&r->entries, names[i]);

		if (!e)
			log_error("tenant %s: no memory", names[i]);
		else if (read_entry(r, e, dirfd, scanning))
			news = true;
		else
			entries_forget_if_empty(&r->entries, e);
	}
	if (news)
		bring_into_force(r);
	log_debug("%zu files read and applied in %.1f ms", n,
		  (double)(clock_now() - start) / NSEC_PER_MSEC);
}

/* Looking at everything */

static const struct config_tenant *latest(const struct file_entry *e)
{
	return e->wanted ? e->wanted : e->conf;
}

static bool on_look(void *arg, const char *name, int dirfd)
{
	struct reload *r = arg;
	const struct file_entry *e = entries_find(&r->entries, name);
	const struct config_tenant *conf = e ? latest(e) : NULL;
	struct stamp stamp;

	if (conf && watch_pending(r->watch, name))
		return false; /* it will be told of, when it is whole */
	if (r->everything || !conf || !e->stamp)
		return true;
	stamp = stamp_take(dirfd, name, conf->key_files, conf->n_key_files);
	return stamp.number != e->stamp;
}

static void on_read(void *arg, const char *const *names, size_t n, int dirfd)
{
	reload_names(arg, dirfd, names, n, true);
}

struct gone {
	struct reload *r;
	const struct folder *folder;
	size_t next;
	const char **names;
	size_t n;
};

/* Both are in order of names. */
static void gather_gone(struct file_entry *e, void *arg)
{
	struct gone *g = arg;
	int order = 1;

	while (g->next < g->folder->n) {
		order = strcmp(g->folder->names[g->next], e->name);
		if (order >= 0)
			break;
		g->next++;
	}
	if ((g->next == g->folder->n || order) && !watch_pending(g->r->watch, e->name))
		g->names[g->n++] = e->name;
}

/* What they held is free for the others. */
static void revoke_gone(struct reload *r, const struct folder *folder)
{
	struct gone g = { .r = r, .folder = folder };

	g.names = calloc(r->entries.n + 1, sizeof(*g.names));
	if (!g.names) {
		log_error("%s: no memory to see which tenants are gone", r->folder);
		return;
	}
	entries_each(&r->entries, gather_gone, &g);
	if (g.n)
		reload_names(r, folder->dirfd, g.names, g.n, true);
	free(g.names);
}

/*
 * An empty folder of another file system, where there were tenants: theirs is
 * not mounted. Who means it says so by SIGHUP.
 */
static bool is_unmounted(const struct reload *r, const struct folder *folder,
			 const struct stat *st)
{
	return !folder->n && r->enforce.tenants + r->enforce.tunnels && r->dev &&
	       st->st_dev != r->dev && !r->everything;
}

static void begin_scan(struct reload *r, bool everything)
{
	struct fault_list faults = { 0 };
	struct folder folder;
	struct stat st;
	int err;

	if (r->scan.running) {
		r->again = true;
		r->again_everything |= everything;
		return;
	}
	r->everything = everything;
	err = folder_read(&folder, r->folder, &faults);
	if (!err && fstat(folder.dirfd, &st))
		err = -errno;
	if (!err && is_unmounted(r, &folder, &st)) {
		fault_add(&faults, r->folder, 0, "is empty and not the file system that it was: "
			  "not mounted? All tenants stay as they are; SIGHUP revokes them");
		err = -ENODEV;
	}
	(void)complain_faults(&r->said_folder, &faults);
	fault_list_free(&faults);
	if (err) {
		folder_free(&folder);
		return; /* all tenants stay as they are */
	}
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	revoke_gone(r, &folder);
	scan_start(&r->scan, &folder);
}

static void on_second_look(uv_timer_t *timer)
{
	begin_scan(timer->data, false);
}

static void on_scanned(void *arg)
{
	struct reload *r = arg;
	bool everything = r->again_everything;

	if (r->starting)
		log_info("%s: %zu tenants, %zu tunnels%s", r->folder, r->enforce.tenants,
			 r->enforce.tunnels,
			 r->n_refused ? "; some files are faulty, see above" : "");
	r->starting = r->enforce.starting = false;
	if (r->doubts)
		uv_timer_start(&r->second_look, on_second_look, SECOND_LOOK_MS, 0);
	r->doubts = false;
	if (!r->again)
		return;
	r->again = r->again_everything = false;
	begin_scan(r, everything);
}

/* What the watcher tells us */

static void on_rescan(void *arg)
{
	begin_scan(arg, false);
}

static bool is_folder_known(const struct reload *r, int dirfd)
{
	struct stat st;

	return !fstat(dirfd, &st) && st.st_dev == r->dev && st.st_ino == r->ino;
}

/*
 * At the start it is the order of names that decides who was first: a name that
 * the scan comes to is left to it, and one that is new comes after it. What is
 * in force changes and goes at once.
 */
static bool is_its_turn(struct reload *r, const char *name)
{
	const struct file_entry *e = entries_find(&r->entries, name);

	if (!r->starting || (e && e->conf))
		return true;
	if (!scan_ahead(&r->scan, name))
		watch_touch(r->watch, name);
	return false;
}

static void on_changed(void *arg, const char *const *names, size_t n)
{
	struct reload *r = arg;
	const char **now = calloc(n, sizeof(*now));
	int dirfd = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t n_now = 0;

	for (size_t i = 0; now && i < n; i++)
		if (is_its_turn(r, names[i]))
			now[n_now++] = names[i];
	if (dirfd < 0 || !now || !is_folder_known(r, dirfd))
		begin_scan(r, false);
	else
		reload_names(r, dirfd, now, n_now, false);
	if (dirfd >= 0)
		close(dirfd);
	free(now);
}

/* Life */

int reload_open(struct reload **out, uv_loop_t *loop, struct workers *ws,
		const struct config_router *router, struct gateway *gateway)
{
	static const struct watch_ops watch_ops = { .changed = on_changed, .rescan = on_rescan };
	static const struct scan_ops scan_ops = { .look = on_look,
						  .read = on_read,
						  .done = on_scanned };
	struct reload *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (!r)
		return -ENOMEM;
	*r = (struct reload){ .folder = router->tenants, .starting = true };
	r->claims = claims_new();
	if (!r->claims)
		goto free_r;
	r->enforce = (struct enforce){ .loop = loop,
				       .ws = ws,
				       .router = router,
				       .gateway = gateway,
				       .claims = r->claims,
				       .starting = true };
	entries_init(&r->entries);
	err = watch_open(&r->watch, loop, r->folder, &watch_ops, r);
	if (err) {
		log_error("cannot watch %s: %s", r->folder, strerror(-err));
		goto free_r;
	}
	scan_init(&r->scan, loop, &scan_ops, r);
	uv_timer_init(loop, &r->second_look);
	r->second_look.data = r;
	*out = r;
	return 0;

free_r:
	claims_free(r->claims);
	free(r);
	return err;
}

static void release(struct reload *r)
{
	if (!--r->closing)
		free(r);
}

static void on_scan_closed(uv_handle_t *handle)
{
	struct scan *scan = handle->data;

	release(container_of(scan, struct reload, scan));
}

static void on_timer_closed(uv_handle_t *handle)
{
	release(handle->data);
}

void reload_close(struct reload *r)
{
	watch_close(r->watch);
	entries_free(&r->entries, enforce_close);
	claims_free(r->claims);
	r->closing = 2;
	scan_close(&r->scan, on_scan_closed);
	uv_close((uv_handle_t *)&r->second_look, on_timer_closed);
}

static void forget_said(struct file_entry *e, void *arg)
{
	(void)arg;
	e->said_faults = 0;
	e->said_conflict = 0;
}

void reload_all(struct reload *r)
{
	/* Whoever asks wants to hear all that is wrong. */
	r->said_folder = 0;
	entries_each(&r->entries, forget_said, NULL);
	begin_scan(r, true);
}

/* Asking */

struct tunnel_visit {
	void (*fn)(const char *name, struct device *dev, void *arg);
	void *arg;
};

static void visit_tunnel(struct file_entry *e, void *arg)
{
	const struct tunnel_visit *v = arg;
	struct device *dev = e->tunnel ? tunnel_device(e->tunnel) : NULL;

	if (dev)
		v->fn(e->name, dev, v->arg);
}

void reload_each_tunnel(struct reload *r,
			void (*fn)(const char *name, struct device *dev, void *arg), void *arg)
{
	struct tunnel_visit v = { .fn = fn, .arg = arg };

	entries_each(&r->entries, visit_tunnel, &v);
}

int reload_find(struct reload *r, const char *name, uint8_t public_key[NOISE_KEY_LEN],
		struct device **dev)
{
	const struct file_entry *e = entries_find(&r->entries, name);

	if (!e || !tenant_in_force(e->conf))
		return -ENOENT;
	/* A tunnel may have no peer at all. */
	memset(public_key, 0, NOISE_KEY_LEN);
	if (e->conf->n_peers)
		memcpy(public_key, e->conf->peers[0].public_key, NOISE_KEY_LEN);
	if (!tenant_is_tunnel(e->conf))
		return 0;
	*dev = e->tunnel ? tunnel_device(e->tunnel) : NULL;
	return 1;
}

void reload_counts(const struct reload *r, struct reload_counts *out)
{
	*out = (struct reload_counts){ .tenants = r->enforce.tenants,
				       .tunnels = r->enforce.tunnels,
				       .refused = r->n_refused,
				       .revoked = r->enforce.revoked };
}
