/* SPDX-License-Identifier: MIT */
/* From a file to what is in force. */
#include "intake.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../config/config.h"
#include "../config/diff.h"
#include "../config/tenant_file.h"
#include "complain.h"
#include "settle.h"
#include "stamp.h"

static void set_refused(struct intake *in, struct file_entry *e, bool refused)
{
	in->n_refused += refused;
	in->n_refused -= e->refused;
	e->refused = refused;
}

static void stop_waiting(struct file_entry *e)
{
	tenant_free(e->wanted);
	e->wanted = NULL;
	cds_list_del_init(&e->waiting);
}

/* Reading */

/* Whatever has failed may succeed when there is one again, and no event will tell of that. */
static bool lacks_descriptors(int dirfd)
{
	int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE;
	close(fd);
	return false;
}

/* The file cannot come into force as it is; what was said before it is kept. */
static void refuse_file(struct intake *in, struct file_entry *e, const struct fault_list *faults)
{
	bool said = complain_faults(&e->said_faults, e->name, faults);

	stop_waiting(e);
	set_refused(in, e, true);
	e->stamp = 0; /* a key file that we do not know of may mend it */
	if (said && tenant_in_force(e->conf))
		log_event(LOG_LEVEL_WARNING, e->name, "kept", "its file is faulty",
			  "%s %s: keeps its last good configuration", tenant_kind_name(e->conf),
			  e->name);
}

/*
 * A file is emptied before it is written, and the event of that may be on its way to
 * us, or lost, while we read. So what may be half of a file must be seen twice, if there
 * is somebody who could lose by it; a file that is gone need not. conf NULL: faulty.
 */
static bool is_doubtful(struct intake *in, struct file_entry *e, const struct config_tenant *conf,
			const struct stamp *stamp, bool scanning)
{
	bool half = (conf && conf->state == TENANT_REVOKED) || (stamp->young && !scanning);

	if (!half || !tenant_in_force(e->conf) || !stamp->there || e->doubt == stamp->number) {
		e->doubt = 0;
		return false;
	}
	e->doubt = stamp->number;
	if (scanning)
		in->doubts = true;
	else
		watch_again(in->watch, e->name);
	return true;
}

/*
 * The files beside the tenant's own that make it what it is: key files, and
 * what its own is a link to. False: no memory.
 */
static bool watch_others(struct intake *in, const struct config_tenant *conf, bool link)
{
	char **paths = calloc(conf->n_key_files + 1, sizeof(*paths));
	bool ok;
	size_t n = 0;

	for (size_t i = 0; paths && i < conf->n_key_files; i++)
		paths[n++] = conf->key_files[i];
	if (paths && link)
		paths[n++] = conf->file;
	ok = paths && !watch_key_files(in->watch, conf->name, paths, n);
	free(paths);
	if (!ok)
		log_event(LOG_LEVEL_ERROR, conf->name, "failed", "no memory",
			  "%s %s: no memory to watch its key files; tried again",
			  tenant_kind_name(conf), conf->name);
	in->starved |= !ok;
	return ok;
}

/* err: of reading it, for which it is never the turn. */
static bool is_early(const struct intake *in, const struct config_tenant *conf, int err)
{
	return in->is_turn && (err || !in->is_turn(in->is_turn_arg, conf));
}

void intake_learn_key(struct intake *in)
{
	const struct config_router *router = in->enforce.router;

	/* It fails for no private key: all are clamped. */
	if (router->gateway && crypto_scalarmult_base(in->own_key, router->private_key))
		memset(in->own_key, 0, sizeof(in->own_key));
}

/* -EINVAL, and a fault for each peer that has this key. */
static int check_peers(const struct config_tenant *conf, const uint8_t key[VALUE_KEY_LEN],
		       const char *whose, struct fault_list *faults)
{
	int err = 0;

	if (sodium_is_zero(key, VALUE_KEY_LEN))
		return 0;
	for (size_t i = 0; i < conf->n_peers; i++) {
		if (memcmp(conf->peers[i].public_key, key, VALUE_KEY_LEN))
			continue;
		fault_add(faults, conf->file, conf->peers[i].line, "PublicKey: this is %s", whose);
		err = -EINVAL;
	}
	return err;
}

/*
 * Nobody is his own peer, and a device silently leaves such a one out. A tunnel to the very
 * gateway that would carry it takes the machine's way out along.
 */
static int check_own_keys(const struct intake *in, const struct config_tenant *conf,
			  struct fault_list *faults)
{
	uint8_t own[VALUE_KEY_LEN];
	int err;

	if (!tenant_in_force(conf))
		return 0;
	err = check_peers(conf, in->own_key, "the gateway's own key", faults);
	if (!err && tenant_is_tunnel(conf) &&
	    !crypto_scalarmult_base(own, conf->tunnel->private_key))
		err = check_peers(conf, own, "the tunnel's own key, of its PrivateKey", faults);
	return err;
}

/* As config_check_tenant(), and what only a key that was computed tells. */
static int check_tenant(const struct intake *in, const struct config_tenant *conf,
			struct fault_list *faults)
{
	int err = config_check_tenant(in->enforce.router, conf, faults);

	return check_own_keys(in, conf, faults) ? -EINVAL : err;
}

/* What the file says goes into e->wanted. False: nothing new is to come into force. */
static bool read_entry(struct intake *in, struct file_entry *e, int dirfd, bool scanning)
{
	struct fault_list faults = { 0 };
	struct config_tenant *conf;
	struct stamp stamp;
	int err = tenant_file_read(&conf, dirfd, in->folder, e->name, &faults);

	/* Taken after reading: if it is not fresh, it is of what was read. */
	stamp = stamp_take(dirfd, e->name, err ? NULL : conf->key_files,
			   err ? 0 : conf->n_key_files);
	e->there = stamp.there;
	if ((scanning && is_early(in, conf, err)) ||
	    is_doubtful(in, e, err ? NULL : conf, &stamp, scanning)) {
		if (!err)
			tenant_free(conf);
		fault_list_free(&faults);
		return false;
	}
	if (!err && check_tenant(in, conf, &faults)) {
		tenant_free(conf);
		err = -EINVAL;
	}
	if (err == -EAGAIN) {
		watch_touch(in->watch, e->name); /* somebody is still writing */
	} else if (err) {
		if (err == -ENOMEM)
			log_event(LOG_LEVEL_ERROR, e->name, "failed", "no memory",
				  "%s %s: no memory to read its file; tried again",
				  tenant_kind_name(e->conf), e->name);
		in->starved |= err == -ENOMEM;
		in->doubts |= lacks_descriptors(dirfd);
		refuse_file(in, e, &faults);
		/* By a link that was swapped, perhaps: where it leads now is where it is mended. */
		if (e->conf)
			(void)watch_others(in, e->conf, stamp.link);
	}
	if (err)
		goto out;
	(void)complain_faults(&e->said_faults, e->name, &faults);
	e->stamp = watch_others(in, conf, stamp.link) && !stamp.fresh ? stamp.number : 0;
	tenant_free(e->wanted);
	e->wanted = conf;
	e->explained = false;
	if (!entry_is_waiting(e))
		cds_list_add_tail(&e->waiting, &in->entries.waiting);
out:
	fault_list_free(&faults);
	return !err;
}

/* Coming into force */

/* Others have what the file claims: it waits for them to let go. */
static void keep_waiting(struct intake *in, struct file_entry *e)
{
	struct fault_list faults = { 0 };

	set_refused(in, e, true);
	if (e->starved) {
		in->starved = true;
		log_event(LOG_LEVEL_ERROR, e->name, "failed", "no memory",
			  "%s %s: no memory for what it claims; tried again",
			  tenant_kind_name(e->wanted), e->name);
		return;
	}
	if (e->explained)
		return;
	e->explained = true;
	settle_explain(in->enforce.claims, e, &faults);
	if (complain_faults(&e->said_conflict, e->name, &faults) && tenant_in_force(e->conf))
		log_event(LOG_LEVEL_WARNING, e->name, "kept", "others have what it claims",
			  "%s %s: keeps its last good configuration", tenant_kind_name(e->conf),
			  e->name);
	fault_list_free(&faults);
}

/* For its last second, and the beginning of the next period of its quota. */
static void set_alarm(struct intake *in, const struct config_tenant *conf)
{
	struct timespec now;
	int64_t end;

	if (!tenant_in_force(conf))
		return;
	if (conf->expires)
		alarm_by(in->alarm, conf->expires);
	if (!conf->limits)
		return;
	clock_realtime(&now);
	end = quota_end(conf->limits->quota.period, now.tv_sec);
	if (end)
		alarm_by(in->alarm, end);
}

static void after_batch(struct intake *in, struct file_entry *e)
{
	if (e->granted) {
		e->said_conflict = 0;
		stop_waiting(e);
		set_refused(in, e, false);
		set_alarm(in, e->conf);
		/* Where there is a file, it is known what was read, and said of it. */
		if (e->conf->state == TENANT_REVOKED && !e->there && !e->conf->n_key_files) {
			tenant_free(e->conf);
			e->conf = NULL;
		}
	} else if (e->wanted) {
		keep_waiting(in, e);
	} else {
		stop_waiting(e);
		set_refused(in, e, true);
		e->stamp = 0; /* the next scan tries again */
		in->starved = true;
	}
}

/* While somebody waited, his time may have run out. */
static void check_date(struct config_tenant *wanted)
{
	struct timespec now;

	clock_realtime(&now);
	if (tenant_in_force(wanted) && tenant_is_past(wanted, now.tv_sec))
		wanted->state = TENANT_EXPIRED;
}

/* All who want something, those first who have waited longest. */
void intake_settle(struct intake *in)
{
	size_t n = 0, i = 0;
	struct file_entry **batch, *e;

	cds_list_for_each_entry(e, &in->entries.waiting, waiting)
		n++;
	batch = calloc(n + 1, sizeof(*batch));
	if (!batch) {
		log_error("no memory to bring %zu tenants into force: tried again", n);
		in->starved = true;
		return;
	}
	cds_list_for_each_entry(e, &in->entries.waiting, waiting) {
		check_date(e->wanted);
		batch[i++] = e;
	}
	settle_claims(in->enforce.claims, batch, n);
	enforce(&in->enforce, batch, n);
	for (i = 0; i < n; i++)
		after_batch(in, batch[i]);
	for (i = 0; i < n; i++)
		entries_forget_if_empty(&in->entries, batch[i]);
	free(batch);
}

void intake_names(struct intake *in, int dirfd, const char *const *names, size_t n,
			 bool scanning)
{
	uint64_t start = clock_now();
	bool news = false;

	for (size_t i = 0; i < n; i++) {
		struct file_entry *e = entries_find_or_add(&in->entries, names[i]);

		in->starved |= !e;
		if (!e)
			log_event(LOG_LEVEL_ERROR, names[i], "failed", "no memory",
				  "tenant %s: no memory to read its file; tried again", names[i]);
		else if (read_entry(in, e, dirfd, scanning))
			news = true;
		else
			entries_forget_if_empty(&in->entries, e);
	}
	if (news)
		intake_settle(in);
	if (in->changed)
		in->changed(in->changed_arg);
	log_debug("%zu files read and applied in %.1f ms", n,
		  (double)(clock_now() - start) / NSEC_PER_MSEC);
}

static bool says_the_same(const struct config_tenant *a, const struct config_tenant *b)
{
	struct change_list changes = { 0 };
	bool same = a->kind == b->kind && !(tenant_is_tunnel(a) && diff_link(a, b)) &&
		    !diff_tenant(a, b, &changes) && !changes.n;

	change_list_free(&changes);
	return same;
}

void intake_explain(struct intake *in, const struct file_entry *e, struct fault_list *faults)
{
	int dirfd = open(in->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct config_tenant *conf;

	if (dirfd < 0)
		return;
	if (!tenant_file_read(&conf, dirfd, in->folder, e->name, faults)) {
		/* What it wanted may not be what it says by now. */
		if (!check_tenant(in, conf, faults) && e->wanted &&
		    says_the_same(e->wanted, conf))
			settle_explain(in->enforce.claims, e, faults);
		tenant_free(conf);
	}
	close(dirfd);
}
