/* SPDX-License-Identifier: MIT */
/* From files that changed to a router that runs as they say. */
#include "reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "complain.h"
#include "expiry.h"
#include "intake.h"
#include "restore.h"
#include "scan.h"
#include "stamp.h"

/* A file that looks revoked without an event having said so is looked at again. */
enum { SECOND_LOOK_MS = 1000 };

/* A tenant of before the restart. */
struct before {
	char name[TENANT_NAME_MAX + 1]; /* first: that is what is searched for */
	uint8_t public_key[NOISE_KEY_LEN];
};

struct reload {
	struct intake in;
	struct scan scan;
	struct alarm alarm; /* of dates, and of quotas that begin anew */
	uv_timer_t second_look;
	dev_t dev; /* of the folder that was listed last; 0: none was */
	ino_t ino;
	uint64_t said_folder; /* hash of its faults that were logged */
	struct before *before; /* while they are read first; in order once that has begun */
	size_t n_before, before_room;
	bool starting;        /* the first scan of all is not over */
	bool listed;          /* the scan has files to go through, or is of one who means none */
	bool whole;           /* such a scan is over: who has no entry has no file */
	bool everything;      /* the scan reads what seems unchanged, too */
	bool again;           /* when the scan is over, another one is due */
	bool again_everything;
	void (*read_all)(void *arg); /* NULL: nobody asks */
	void *read_all_arg;
	unsigned closing;
};

/* Looking at everything */

static const struct config_tenant *latest(const struct file_entry *e)
{
	return e->wanted ? e->wanted : e->conf;
}

/* Who was there before, which they are read for who come first at the start. */

static int compare_before(const void *x, const void *y)
{
	const struct before *a = x, *b = y;
	int order = strcmp(a->name, b->name);

	return order ? order : memcmp(a->public_key, b->public_key, NOISE_KEY_LEN);
}

static int compare_before_name(const void *name, const void *b)
{
	return strcmp(name, ((const struct before *)b)->name);
}

void reload_known(void *arg, const char *name, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct reload *r = arg;
	struct before *grown;

	if (r->n_before == r->before_room) {
		r->before_room = r->before_room ? 2 * r->before_room : 64;
		grown = reallocarray(r->before, r->before_room, sizeof(*grown));
		if (!grown) {
			log_error("%s: no memory for who was there before: names decide who of "
				  "two is first", r->in.folder);
			r->before_room = r->n_before;
			return;
		}
		r->before = grown;
	}
	strcpy(r->before[r->n_before].name, name);
	memcpy(r->before[r->n_before++].public_key, public_key, NOISE_KEY_LEN);
}

static bool was_before(void *arg, const struct config_tenant *conf)
{
	const struct reload *r = arg;
	struct before wanted = { .name = "" };

	if (!tenant_in_force(conf) || tenant_is_tunnel(conf))
		return false;
	strcpy(wanted.name, conf->name);
	memcpy(wanted.public_key, conf->peers[0].public_key, NOISE_KEY_LEN);
	return bsearch(&wanted, r->before, r->n_before, sizeof(wanted), compare_before);
}

static void begin_with_known(struct reload *r)
{
	qsort(r->before, r->n_before, sizeof(*r->before), compare_before);
	r->in.is_turn = was_before;
	r->in.is_turn_arg = r;
}

static void forget_known(struct reload *r)
{
	free(r->before);
	r->before = NULL;
	r->n_before = r->before_room = 0;
	r->in.is_turn = NULL;
}

static bool on_look(void *arg, const char *name, int dirfd)
{
	struct reload *r = arg;
	const struct file_entry *e = entries_find(&r->in.entries, name);
	const struct config_tenant *conf = e ? latest(e) : NULL;
	struct stamp stamp;

	if (r->n_before && !bsearch(name, r->before, r->n_before, sizeof(*r->before),
				    compare_before_name))
		return false;
	/* It will be told of, when it is whole. Who asks for everything waits for no perhaps. */
	if (conf && (r->everything ? watch_writing(r->in.watch, name)
				   : watch_pending(r->in.watch, name)))
		return false;
	if (r->everything || !conf || !e->stamp)
		return true;
	stamp = stamp_take(dirfd, name, conf->key_files, conf->n_key_files);
	return stamp.number != e->stamp;
}

static void on_read(void *arg, const char *const *names, size_t n, int dirfd)
{
	struct reload *r = arg;

	intake_names(&r->in, dirfd, names, n, true);
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
	if ((g->next == g->folder->n || order) && !watch_pending(g->r->in.watch, e->name))
		g->names[g->n++] = e->name;
}

/* What they held is free for the others. */
static void revoke_gone(struct reload *r, const struct folder *folder)
{
	struct gone g = { .r = r, .folder = folder };

	g.names = calloc(r->in.entries.n + 1, sizeof(*g.names));
	if (!g.names) {
		log_error("%s: no memory to see which tenants are gone; tried again",
			  r->in.folder);
		r->in.starved = true;
		return;
	}
	entries_each(&r->in.entries, gather_gone, &g);
	if (g.n)
		intake_names(&r->in, folder->dirfd, g.names, g.n, true);
	free(g.names);
}

/*
 * An empty folder of another file system, where there were tenants: theirs is
 * not mounted. Who means it says so by SIGHUP.
 */
static bool is_unmounted(const struct reload *r, const struct folder *folder,
			 const struct stat *st)
{
	return !folder->n && r->in.enforce.tenants + r->in.enforce.tunnels && r->dev &&
	       st->st_dev != r->dev && !r->everything;
}

static void tell_read(struct reload *r)
{
	if (r->read_all)
		r->read_all(r->read_all_arg);
}

static void on_second_look(uv_timer_t *timer);

/* What was doubtful is looked at again, and what memory was missing for. */
static void look_again(struct reload *r)
{
	if (r->in.doubts || r->in.starved)
		uv_timer_start(&r->second_look, on_second_look, SECOND_LOOK_MS, 0);
	r->in.doubts = r->in.starved = false;
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
	if (r->n_before)
		begin_with_known(r);
	err = folder_read(&folder, r->in.folder, &faults);
	if (!err && fstat(folder.dirfd, &st))
		err = -errno;
	if (!err && is_unmounted(r, &folder, &st)) {
		fault_add(&faults, r->in.folder, 0, "is empty and not the file system that it was: "
			  "not mounted? All tenants stay as they are; SIGHUP revokes them");
		err = -ENODEV;
	}
	if (!err && !faults.n && r->said_folder)
		log_info("%s can be read again", r->in.folder);
	(void)complain_faults(&r->said_folder, NULL, &faults);
	fault_list_free(&faults);
	if (err == -ENOMEM) {
		log_error("%s: no memory to read it; tried again", r->in.folder);
		r->in.starved = true;
	}
	if (err) {
		folder_free(&folder);
		if (err == -EMFILE || err == -ENFILE)
			r->in.doubts = true;
		look_again(r);
		tell_read(r);
		return; /* all tenants stay as they are */
	}
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	r->listed = folder.n || everything;
	revoke_gone(r, &folder);
	scan_start(&r->scan, &folder);
}

static void on_second_look(uv_timer_t *timer)
{
	struct reload *r = timer->data;

	intake_settle(&r->in);
	begin_scan(r, false);
}

/* SIGHUP means all of it: also what files have said before, and wg(8) has changed since. */
static void restore(struct reload *r)
{
	struct enforce *f = &r->in.enforce;

	if (r->everything && f->gateway &&
	    restore_gateway(gateway_device(f->gateway), f->router, &r->in.entries) &&
	    r->in.changed)
		r->in.changed(r->in.changed_arg);
}

static void on_scanned(void *arg)
{
	struct reload *r = arg;
	bool everything = r->again_everything;

	if (r->n_before) {
		forget_known(r);
		r->again = r->again_everything = false;
		begin_scan(r, everything);
		return;
	}
	if (r->starting)
		log_info("%s: tenants %zu, tunnels %zu%s", r->in.folder, r->in.enforce.tenants,
			 r->in.enforce.tunnels,
			 r->in.n_refused ? "; some files are faulty, see above" : "");
	r->starting = r->in.enforce.starting = false;
	r->whole |= r->listed;
	restore(r);
	look_again(r);
	if (!r->again) {
		tell_read(r);
		return;
	}
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
 * At the start who is known from before is first, and then it is the order of names that
 * decides: a name that the scan comes to is left to it, and one that is new comes after it.
 * What is in force changes and goes at once.
 */
static bool is_its_turn(struct reload *r, const char *name)
{
	const struct file_entry *e = entries_find(&r->in.entries, name);

	if (!r->starting || (e && e->conf && e->conf->state != TENANT_REVOKED))
		return true;
	if (!r->n_before && !scan_ahead(&r->scan, name))
		watch_touch(r->in.watch, name);
	return false;
}

static void on_changed(void *arg, const char *const *names, size_t n)
{
	struct reload *r = arg;
	const char **now = calloc(n, sizeof(*now));
	int dirfd = open(r->in.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t n_now = 0;

	for (size_t i = 0; now && i < n; i++)
		if (is_its_turn(r, names[i]))
			now[n_now++] = names[i];
	if (dirfd < 0 || !now || !is_folder_known(r, dirfd))
		begin_scan(r, false);
	else
		intake_names(&r->in, dirfd, now, n_now, false);
	if (!r->scan.running)
		look_again(r);
	if (dirfd >= 0)
		close(dirfd);
	free(now);
}

static void on_alarm(void *arg)
{
	struct reload *r = arg;
	struct timespec now;

	/* Perhaps we were suspended: the kernel tells of that as of a clock that was set. */
	workers_look(r->in.enforce.ws);
	expiry_run(&r->in);
	if (!r->scan.running)
		look_again(r);
	if (!r->in.enforce.gateway)
		return;
	clock_realtime(&now);
	alarm_by(&r->alarm, device_turn_quotas(gateway_device(r->in.enforce.gateway),
					       now.tv_sec));
}

/* Life */

static void release(struct reload *r)
{
	if (!--r->closing)
		free(r);
}

static void on_alarm_closed(uv_handle_t *handle)
{
	struct alarm *alarm = handle->data;

	release(container_of(alarm, struct reload, alarm));
}

int reload_open(struct reload **out, uv_loop_t *loop, struct workers *ws,
		const struct config_router *router, struct gateway *gateway)
{
	static const struct watch_ops watch_ops = { .changed = on_changed, .rescan = on_rescan };
	static const struct scan_ops scan_ops = { .look = on_look,
						  .read = on_read,
						  .done = on_scanned };
	struct reload *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (!r) {
		log_error("cannot watch %s: %s", router->tenants, strerror(ENOMEM));
		return -ENOMEM;
	}
	*r = (struct reload){ .starting = true };
	r->in.folder = router->tenants;
	r->in.enforce = (struct enforce){ .loop = loop,
					  .ws = ws,
					  .router = router,
					  .gateway = gateway,
					  .claims = claims_new(),
					  .starting = true };
	intake_learn_key(&r->in);
	if (!r->in.enforce.claims) {
		log_error("cannot watch %s: %s", router->tenants, strerror(ENOMEM));
		goto free_r;
	}
	entries_init(&r->in.entries);
	err = alarm_open(&r->alarm, loop, on_alarm, r);
	if (err) {
		log_error("Expires: no alarm can be set: %s", strerror(-err));
		goto free_r;
	}
	r->in.alarm = &r->alarm;
	err = watch_open(&r->in.watch, loop, r->in.folder, &watch_ops, r);
	if (err) {
		log_error("cannot watch %s: %s", r->in.folder, strerror(-err));
		goto close_alarm;
	}
	scan_init(&r->scan, loop, &scan_ops, r);
	uv_timer_init(loop, &r->second_look);
	r->second_look.data = r;
	*out = r;
	return 0;

close_alarm:
	/* The loop frees it when it turns once more. */
	r->closing = 1;
	alarm_close(&r->alarm, on_alarm_closed);
	claims_free(r->in.enforce.claims);
	return err;
free_r:
	claims_free(r->in.enforce.claims);
	free(r);
	return err;
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
	forget_known(r);
	watch_close(r->in.watch);
	entries_free(&r->in.entries, enforce_close);
	tunnels_free(r->in.enforce.shared);
	claims_free(r->in.enforce.claims);
	r->closing = 3;
	alarm_close(&r->alarm, on_alarm_closed);
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
	entries_each(&r->in.entries, forget_said, NULL);
	watch_find_folder(r->in.watch);
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

	entries_each(&r->in.entries, visit_tunnel, &v);
}

const struct config_tenant *reload_tenant(struct reload *r, const char *name)
{
	const struct file_entry *e = entries_find(&r->in.entries, name);

	return e && e->conf && e->conf->state != TENANT_REVOKED ? e->conf : NULL;
}

struct expired_visit {
	void (*fn)(const struct config_tenant *tenant, void *arg);
	void *arg;
};

static void visit_expired(struct file_entry *e, void *arg)
{
	const struct expired_visit *v = arg;

	if (e->conf && e->conf->state == TENANT_EXPIRED)
		v->fn(e->conf, v->arg);
}

void reload_each_expired(struct reload *r,
			 void (*fn)(const struct config_tenant *tenant, void *arg), void *arg)
{
	struct expired_visit v = { .fn = fn, .arg = arg };

	entries_each(&r->in.entries, visit_expired, &v);
}

int reload_find(struct reload *r, const char *name, uint8_t public_key[NOISE_KEY_LEN],
		struct device **dev)
{
	const struct file_entry *e = entries_find(&r->in.entries, name);

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

void reload_on_change(struct reload *r, void (*fn)(void *arg), void *arg)
{
	r->in.changed = fn;
	r->in.changed_arg = arg;
}

void reload_on_read(struct reload *r, void (*fn)(void *arg), void *arg)
{
	r->read_all = fn;
	r->read_all_arg = arg;
}

bool reload_refused(struct reload *r, const char *name, char *why, size_t room)
{
	const struct file_entry *e = entries_find(&r->in.entries, name);
	struct fault_list faults = { 0 };
	bool refused;
	size_t i = 0;

	if (!e || !e->refused)
		return false;
	intake_explain(&r->in, e, &faults);
	while (i < faults.n && faults.faults[i].warning)
		i++;
	/* Nothing is wrong with it any more: it was mended just now, and is about to be read. */
	refused = i < faults.n;
	if (refused)
		(void)fault_format(&faults.faults[i], why, room);
	fault_list_free(&faults);
	return refused;
}

bool reload_may_come(const struct reload *r, const char *name)
{
	const struct file_entry *e = entries_find(&r->in.entries, name);

	if (!r->whole || r->scan.running || uv_is_active((const uv_handle_t *)&r->second_look))
		return true;
	return (e && e->refused) || watch_pending(r->in.watch, name);
}

struct name_visit {
	void (*fn)(const char *name, void *arg);
	void *arg;
};

static void visit_name(struct file_entry *e, void *arg)
{
	const struct name_visit *v = arg;

	if (tenant_in_force(e->conf))
		v->fn(e->name, v->arg);
}

void reload_each_name(struct reload *r, void (*fn)(const char *name, void *arg), void *arg)
{
	struct name_visit v = { .fn = fn, .arg = arg };

	entries_each(&r->in.entries, visit_name, &v);
}

void reload_counts(const struct reload *r, struct reload_counts *out)
{
	*out = (struct reload_counts){ .tenants = r->in.enforce.tenants,
				       .tunnels = r->in.enforce.tunnels,
				       .expired = r->in.enforce.expired,
				       .refused = r->in.n_refused,
				       .revoked = r->in.enforce.revoked };
}
