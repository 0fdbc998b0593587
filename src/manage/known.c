/* SPDX-License-Identifier: MIT */
/* What is known of public keys that no peer has. */
#include "known.h"

#include <errno.h>
#include <search.h>
#include <sodium.h>
#include <stdlib.h>

#include "../../crypto/tai64n.h"

/* The key stands first: a search needs no entry around it. */
struct known_key {
	uint8_t key[NOISE_KEY_LEN];
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	bool held;
	struct statefile_record *rest; /* NULL: of a revoked one, of which there are many */
	struct cds_list_head link; /* in named, suspended or revoked */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, NOISE_KEY_LEN);
}

static bool is_revoked(const struct known_key *e)
{
	return !e->rest;
}

static struct known_key *find(const struct known *k, const uint8_t key[NOISE_KEY_LEN])
{
	struct known_key *const *node = tfind(key, &k->tree, compare);

	return node ? *node : NULL;
}

static void free_rest(struct known_key *e)
{
	if (e->rest)
		statefile_release(e->rest);
	free(e->rest);
	e->rest = NULL;
}

static void drop(struct known *k, struct known_key *e)
{
	tdelete(e, &k->tree, compare);
	cds_list_del(&e->link);
	k->n_revoked -= is_revoked(e);
	k->n--;
	free_rest(e);
	free(e);
}

void known_init(struct known *k)
{
	*k = (struct known){ 0 };
	CDS_INIT_LIST_HEAD(&k->named);
	CDS_INIT_LIST_HEAD(&k->suspended);
	CDS_INIT_LIST_HEAD(&k->revoked);
}

static void drop_all(struct known *k, struct cds_list_head *list)
{
	while (!cds_list_empty(list))
		drop(k, cds_list_first_entry(list, struct known_key, link));
}

void known_free(struct known *k)
{
	drop_all(k, &k->named);
	drop_all(k, &k->suspended);
	drop_all(k, &k->revoked);
}

/* To the end of the list where it belongs by its name. */
static void list(struct known *k, struct known_key *e)
{
	cds_list_add_tail(&e->link, is_revoked(e) ? &k->revoked : &k->named);
	k->n_revoked += is_revoked(e);
	while (k->n_revoked > KNOWN_REVOKED_MAX)
		drop(k, cds_list_first_entry(&k->revoked, struct known_key, link));
}

/* As it is written down; its drops stay the entry's. */
static struct statefile_record record_of(const struct known_key *e)
{
	struct statefile_record r = { 0 };

	if (e->rest)
		r = *e->rest;
	memcpy(r.key, e->key, sizeof(r.key));
	memcpy(r.timestamp, e->timestamp, sizeof(r.timestamp));
	r.held = e->held;
	return r;
}

bool known_take(struct known *k, const uint8_t key[NOISE_KEY_LEN], struct statefile_record *out)
{
	struct known_key *e = find(k, key);

	if (!e) {
		*out = (struct statefile_record){ 0 };
		memcpy(out->key, key, NOISE_KEY_LEN);
		return false;
	}
	*out = record_of(e);
	if (e->rest)
		e->rest->drops = NULL; /* out has them */
	drop(k, e);
	return true;
}

static bool says_nothing(const struct known_key *e)
{
	return !e->held && sodium_is_zero(e->timestamp, sizeof(e->timestamp)) &&
	       (!e->rest || (!endpoint_is_set(&e->rest->endpoint) &&
			     !statefile_has_counts(e->rest)));
}

/* All of a record but what an entry has itself. 0 or -ENOMEM. */
static int keep_rest(struct known_key *e, const struct statefile_record *record)
{
	e->rest = calloc(1, sizeof(*e->rest));
	return e->rest ? statefile_copy(e->rest, record) : -ENOMEM;
}

int known_put(struct known *k, const struct statefile_record *record)
{
	struct statefile_record old;
	struct known_key *e;
	int err = 0;

	(void)!known_take(k, record->key, &old);
	statefile_release(&old);
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	memcpy(e->key, record->key, sizeof(e->key));
	memcpy(e->timestamp, tai64n_after(old.timestamp, record->timestamp) ?
				     old.timestamp : record->timestamp, sizeof(e->timestamp));
	e->held = record->held;
	if (*record->name)
		err = keep_rest(e, record);
	if (!err && !says_nothing(e)) {
		if (tsearch(e, &k->tree, compare)) {
			k->n++;
			list(k, e);
			return 0;
		}
		err = -ENOMEM;
	}
	free_rest(e);
	free(e);
	return err;
}

/* One with a name. */
static void revoke(struct known *k, struct known_key *e)
{
	cds_list_del(&e->link);
	free_rest(e);
	list(k, e);
	if (says_nothing(e))
		drop(k, e);
}

void known_suspend(struct known *k, const uint8_t key[NOISE_KEY_LEN])
{
	struct known_key *e = find(k, key);

	if (!e || is_revoked(e))
		return;
	cds_list_del(&e->link);
	cds_list_add_tail(&e->link, &k->suspended);
}

bool known_revoke(struct known *k, const uint8_t key[NOISE_KEY_LEN], struct statefile_record *out)
{
	struct known_key *e = find(k, key);

	if (!e || is_revoked(e))
		return false;
	*out = (struct statefile_record){ 0 };
	memcpy(out->key, key, NOISE_KEY_LEN);
	memcpy(out->timestamp, e->timestamp, sizeof(out->timestamp));
	out->held = e->held;
	revoke(k, e);
	return true;
}

bool known_settle(struct known *k, bool (*may_come)(void *arg, const char *name), void *arg)
{
	struct known_key *e, *next;
	bool any = false;

	cds_list_for_each_entry_safe(e, next, &k->named, link) {
		if (may_come(arg, e->rest->name))
			continue;
		/* cppcheck-suppress uninitvar ; the macro sets it */
		revoke(k, e);
		any = true;
	}
	return any;
}

static void each_of(const struct cds_list_head *list,
		    void (*fn)(void *arg, const struct statefile_record *record), void *arg)
{
	const struct known_key *e;

	cds_list_for_each_entry(e, list, link) {
		/* cppcheck-suppress uninitvar ; the macro sets it */
		struct statefile_record r = record_of(e);

		fn(arg, &r);
	}
}

void known_each(const struct known *k,
		void (*fn)(void *arg, const struct statefile_record *record), void *arg)
{
	each_of(&k->revoked, fn, arg);
	each_of(&k->suspended, fn, arg);
	each_of(&k->named, fn, arg);
}
