/* SPDX-License-Identifier: MIT */
/* What the gateway knows of its tenants survives a restart. */
#include "state.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "../base/confine.h"
#include "../base/log.h"
#include "../config/tenant.h"
#include "calls.h"
#include "complain.h"
#include "known.h"
#include "statestore.h"

enum {
	TICK_MS = 1000,
	RETRY_TICKS = 5,   /* after something could not be written */
	SETTLE_TICKS = 60, /* reading 100,000 files takes some seconds */
	/* The journal may grow to this and twice what everything takes: then it is rewritten. */
	JOURNAL_MAX = 1 << 20
};

struct rewrite;

struct state {
	uv_loop_t *loop;
	struct device *device;
	const char *folder;
	struct statestore store;
	struct known known;
	struct calls calls;
	uv_timer_t tick;
	char *lines; /* to be appended to the journal */
	size_t len, room;
	bool behind;             /* something is not in the files: rewrite them */
	bool taken;              /* the folder, or what was in it, by somebody else */
	struct rewrite *rewrite; /* NULL: none is being done */
	size_t written;          /* bytes that everything took */
	unsigned wait;           /* ticks until the next attempt */
	unsigned ticks;          /* until SETTLE_TICKS, when those who have not come are looked at */
	bool (*may_come)(void *arg, const char *name); /* NULL: nobody can tell */
	void *may_come_arg;
	int said;                /* why it cannot be written, once it was logged */
	unsigned closing;        /* what must end before this can be freed; 0: not closing */
};

/* Everything as of a moment, while a thread of libuv's pool writes it down. */
struct rewrite {
	uv_work_t work;
	bool was_behind;
	struct state *state;
	struct statefile_record *records;
	size_t n, room, len;
	int err;
};

/* What goes wrong */

static const char *remedy(int err)
{
	switch (err) {
	case -EWOULDBLOCK:
		return "another berthd uses it: each needs a State of its own";
	case -ENOSPC:
	case -EDQUOT:
		return "the disk is full: make room";
	case -EROFS:
	case -EACCES:
	case -EPERM:
		return "not allowed to write there: name a folder that is";
	case -ENOENT:
		return "make the folder that it lies in";
	default:
		return strerror(-err);
	}
}

static void fail(struct state *s, int err)
{
	s->wait = RETRY_TICKS;
	if (err == s->said)
		return;
	s->said = err;
	if (err == -EACCES && s->taken) {
		log_error("State = %s: a folder in its place is out of reach until berthd is "
			  "restarted (Landlock), which then knows nothing of before", s->folder);
		return;
	}
	log_error("State = %s: %s; until then a restart forgets where tenants are, which "
		  "handshakes are old, and what was counted", s->folder, remedy(err));
}

static void succeed(struct state *s)
{
	if (s->said)
		log_info("State = %s: can be written again", s->folder);
	s->said = 0;
}

/* What is to be written */

static bool has_drops(const struct device_peer *peer)
{
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		if (peer->drops[i])
			return true;
	return false;
}

/* Its drops are lent. */
static struct statefile_record record_of(const struct device_peer *peer)
{
	struct statefile_record r = { 0 };

	memcpy(r.key, peer->public_key, sizeof(r.key));
	memcpy(r.timestamp, peer->timestamp, sizeof(r.timestamp));
	r.held = peer->held;
	/* One whom somebody has added by hand has no file, and will not be there again. */
	if ((peer->removed && !peer->suspended) || !tenant_name_valid(peer->name))
		return r;
	strcpy(r.name, peer->name);
	if (!peer->removed)
		r.endpoint = peer->endpoint;
	r.rx_bytes = peer->rx_bytes;
	r.rx_packets = peer->rx_packets;
	r.tx_bytes = peer->tx_bytes;
	r.tx_packets = peer->tx_packets;
	r.quota_used = peer->meter.used;
	r.quota_start = peer->meter.start;
	if (has_drops(peer))
		r.drops = peer->drops;
	return r;
}

static int reserve_line(struct state *s)
{
	size_t room = s->room ? 2 * s->room : 16 * STATEFILE_LINE_MAX;
	char *grown;

	if (s->room - s->len >= STATEFILE_LINE_MAX)
		return 0;
	grown = realloc(s->lines, room);
	if (!grown)
		return -ENOMEM;
	s->lines = grown;
	s->room = room;
	return 0;
}

static void write_line(struct state *s, const struct statefile_record *r)
{
	if (s->behind)
		return; /* everything is to be written anyway */
	if (reserve_line(s))
		s->behind = true;
	else
		s->len += statefile_format(s->lines + s->len, r);
}

static void on_learned(void *arg, const struct device_peer *peer)
{
	struct statefile_record r = record_of(peer);
	struct state *s = arg;

	if (peer->removed && known_put(&s->known, &r))
		log_event(LOG_LEVEL_ERROR, peer->name, "failed", "no memory",
			  "no memory to know handshakes of %s again", peer->name);
	if (peer->suspended)
		known_suspend(&s->known, peer->public_key);
	write_line(s, &r);
}

static void on_absent(void *arg, const uint8_t public_key[NOISE_KEY_LEN], bool suspended)
{
	struct statefile_record left;
	struct state *s = arg;

	if (suspended)
		known_suspend(&s->known, public_key);
	else if (known_revoke(&s->known, public_key, &left))
		write_line(s, &left);
}

static void add_record(void *arg, const struct statefile_record *record)
{
	struct rewrite *w = arg;

	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 256;
		struct statefile_record *grown = reallocarray(w->records, room, sizeof(*grown));

		if (!grown) {
			w->err = -ENOMEM;
			return;
		}
		w->records = grown;
		w->room = room;
	}
	if (statefile_copy(&w->records[w->n], record))
		w->err = -ENOMEM;
	else
		w->n++;
}

static void add_peer(const struct device_peer *peer, void *arg)
{
	struct statefile_record r = record_of(peer);

	/* Most have never spoken, and nobody has spoken to them. */
	if (r.held || endpoint_is_set(&r.endpoint) || statefile_has_counts(&r) ||
	    !sodium_is_zero(r.timestamp, sizeof(r.timestamp)))
		add_record(arg, &r);
}

/* Writing */

static void free_rewrite(struct rewrite *w)
{
	for (size_t i = 0; w && i < w->n; i++)
		statefile_release(&w->records[i]);
	if (w)
		free(w->records);
	free(w);
}

/* Puts the journal aside and takes everything down. NULL: it was said why. */
static struct rewrite *take_down(struct state *s)
{
	struct rewrite *w = calloc(1, sizeof(*w));
	int err = w ? statestore_rotate(&s->store) : -ENOMEM;

	if (!err) {
		w->state = s;
		w->work.data = w;
		w->was_behind = s->behind;
		known_each(&s->known, add_record, w);
		device_each_peer(s->device, add_peer, w);
		err = w->err;
	}
	if (err) {
		fail(s, err);
		free_rewrite(w);
		return NULL;
	}
	s->len = 0;
	s->behind = false;
	return w;
}

static void write_down(struct rewrite *w)
{
	w->err = statestore_write(&w->state->store, w->records, w->n, &w->len);
}

static void end_rewrite(struct state *s, struct rewrite *w)
{
	if (w->err) {
		/* The journals still hold what they held. */
		fail(s, w->err);
		s->behind |= w->was_behind;
	} else {
		s->written = s->store.all_len = w->len;
		succeed(s);
	}
	free_rewrite(w);
}

static void release(struct state *s)
{
	if (--s->closing)
		return;
	statestore_close(&s->store);
	known_free(&s->known);
	free(s->lines);
	free(s);
}

static void on_work(uv_work_t *work)
{
	confine_thread(CONFINE_WRITER); /* libuv's pool has no other work */
	write_down(work->data);
}

static void on_written(uv_work_t *work, int status)
{
	struct rewrite *w = work->data;
	struct state *s = w->state;

	(void)status;
	s->rewrite = NULL;
	end_rewrite(s, w);
	if (s->closing)
		release(s);
}

/* Beside the loop: the disk may need a second. */
static void begin_rewrite(struct state *s)
{
	struct rewrite *w = take_down(s);
	int err;

	if (!w)
		return;
	err = uv_queue_work(s->loop, &w->work, on_work, on_written);
	if (err) {
		w->err = err;
		end_rewrite(s, w);
		return;
	}
	s->rewrite = w;
}

static void append_lines(struct state *s)
{
	int err = s->len && !s->behind ? statestore_append(&s->store, s->lines, s->len) : 0;

	s->len = 0;
	if (!err)
		return;
	s->behind = true;
	fail(s, err);
}

/* Reading */

struct loading {
	struct state *state;
	int err;
};

static void on_record(void *arg, const struct statefile_record *record)
{
	struct loading *l = arg;
	int err = known_put(&l->state->known, record);

	l->err = err ? err : l->err;
}

/* Opens the folder and reads it: at the start, or as soon as it can be done. */
static int open_folder(struct state *s)
{
	struct loading l = { .state = s };
	struct fault_list faults = { 0 };
	uint64_t said = 0;
	int err = statestore_open(&s->store, s->folder);

	if (err) {
		fail(s, err);
		s->behind = true;
		return err;
	}
	err = statestore_load(&s->store, s->folder, &faults, on_record, &l);
	s->written = s->store.all_len;
	(void)complain_faults(&said, NULL, &faults);
	fault_list_free(&faults);
	err = err ? err : l.err;
	/* Half of it is worse than none: what is written next would be all that is known. */
	if (err) {
		log_error("State = %s: no memory for all that is known of tenants", s->folder);
		statestore_close(&s->store);
		s->wait = RETRY_TICKS;
		return err;
	}
	if (s->known.n > s->known.n_revoked)
		log_info("%s: %zu tenants are known from before", s->folder,
			 s->known.n - s->known.n_revoked);
	return 0;
}

/* It is the same tenant, under the same key. */
static void give_back(struct state *s, const struct statefile_record *r,
		      struct device_recalled *out)
{
	out->counts.rx_bytes = r->rx_bytes;
	out->counts.rx_packets = r->rx_packets;
	out->counts.tx_bytes = r->tx_bytes;
	out->counts.tx_packets = r->tx_packets;
	out->counts.quota_used = r->quota_used;
	out->counts.quota_start = r->quota_start;
	if (r->drops)
		memcpy(out->counts.drops, r->drops, sizeof(out->counts.drops));
	if (!endpoint_is_set(&r->endpoint))
		return;
	out->endpoint = r->endpoint;
	if (!r->held)
		calls_add(&s->calls, r->key);
}

/* The key has another owner now: what it was before is to be found in the files no more. */
static void give_away(struct state *s, const struct statefile_record *r, const char *name)
{
	struct statefile_record left = { 0 };

	memcpy(left.key, r->key, sizeof(left.key));
	memcpy(left.timestamp, r->timestamp, sizeof(left.timestamp));
	left.held = r->held;
	if (tenant_name_valid(name))
		strcpy(left.name, name);
	if (*r->name)
		write_line(s, &left);
}

static void on_recall(void *arg, const uint8_t public_key[NOISE_KEY_LEN], const char *name,
		      struct device_recalled *out)
{
	struct statefile_record r;
	struct state *s = arg;

	if (!known_take(&s->known, public_key, &r))
		return;
	memcpy(out->timestamp, r.timestamp, sizeof(out->timestamp));
	out->held = r.held;
	if (!strcmp(r.name, name))
		give_back(s, &r, out);
	else
		give_away(s, &r, name);
	statefile_release(&r);
}

/*
 * Whoever has taken the folder away, or emptied it, has no reason to expect that we go on
 * writing where nobody will find it.
 */
static void look_after_folder(struct state *s)
{
	if (s->store.dirfd < 0 || s->rewrite || statestore_is_there(&s->store, s->folder))
		return;
	log_warning("State = %s: somebody has taken the folder or what is in it away: all of it "
		    "is written anew", s->folder);
	statestore_close(&s->store);
	s->behind = true;
	s->taken = true;
	(void)!open_folder(s);
}

/* Life */

static bool is_rewrite_due(const struct state *s)
{
	return !s->rewrite &&
	       (s->behind || s->store.journal_len > JOURNAL_MAX + 2 * s->written);
}

/* Who has no file any more is gone from ours, too. */
static void settle(struct state *s)
{
	if (s->may_come)
		s->behind |= known_settle(&s->known, s->may_come, s->may_come_arg);
	if (!cds_list_empty(&s->known.named))
		s->ticks = 0;
}

static void on_tick(uv_timer_t *tick)
{
	struct state *s = tick->data;

	if (s->ticks < SETTLE_TICKS && ++s->ticks == SETTLE_TICKS)
		settle(s);
	look_after_folder(s);
	device_take_learned(s->device);
	append_lines(s);
	if (s->wait) {
		s->wait--;
		return;
	}
	if (s->store.dirfd < 0 && open_folder(s))
		return;
	if (is_rewrite_due(s))
		begin_rewrite(s);
}

int state_open(struct state **out, uv_loop_t *loop, struct device *device, const char *folder)
{
	struct state *s = calloc(1, sizeof(*s));
	struct device_memory memory = { .arg = s,
					.learned = on_learned,
					.absent = on_absent,
					.recall = on_recall };
	int err;

	if (!s) {
		log_error("State = %s: no memory to know tenants again", folder);
		return -ENOMEM;
	}
	s->loop = loop;
	s->device = device;
	s->folder = folder;
	known_init(&s->known);
	/* A folder that is missing may come; who is told too little lets old handshakes pass. */
	err = open_folder(s);
	if (err == -ENOMEM) {
		known_free(&s->known);
		free(s);
		return err;
	}
	calls_init(&s->calls, loop, device);
	uv_timer_init(loop, &s->tick);
	s->tick.data = s;
	device_remember(device, &memory);
	uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
	*out = s;
	return 0;
}

void state_ask(struct state *s, bool (*may_come)(void *arg, const char *name), void *arg)
{
	if (!s)
		return;
	s->may_come = may_come;
	s->may_come_arg = arg;
}

struct known_visit {
	void (*fn)(void *arg, const char *name, const uint8_t key[NOISE_KEY_LEN]);
	void *arg;
};

static void visit_known(void *arg, const struct statefile_record *r)
{
	const struct known_visit *v = arg;

	if (*r->name)
		v->fn(v->arg, r->name, r->key);
}

void state_each_known(const struct state *s,
		      void (*fn)(void *arg, const char *name, const uint8_t key[NOISE_KEY_LEN]),
		      void *arg)
{
	struct known_visit v = { .fn = fn, .arg = arg };

	if (s)
		known_each(&s->known, visit_known, &v);
}

static void on_tick_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static void on_calls_closed(uv_handle_t *handle)
{
	struct calls *c = container_of((uv_timer_t *)handle, struct calls, timer);

	release(container_of(c, struct state, calls));
}

/* All that is new, whatever has failed before. */
static void save(struct state *s)
{
	struct rewrite *w;
	int err;

	look_after_folder(s);
	device_take_learned(s->device);
	append_lines(s);
	if (s->behind && s->store.dirfd >= 0 && !s->rewrite) {
		w = take_down(s);
		if (w) {
			write_down(w);
			end_rewrite(s, w);
		}
	}
	err = statestore_sync(&s->store);
	if (err)
		fail(s, err);
}

void state_flush(struct state *s)
{
	if (!s)
		return;
	device_take_learned(s->device);
	append_lines(s);
}

void state_close(struct state *s)
{
	if (!s)
		return;
	save(s);
	device_forget(s->device);
	s->closing = 2 + (s->rewrite != NULL);
	calls_close(&s->calls, on_calls_closed);
	uv_close((uv_handle_t *)&s->tick, on_tick_closed);
}
