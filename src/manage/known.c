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
	struct statefile_record record;
	struct cds_list_head link; /* in named, suspended or revoked */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, NOISE_KEY_LEN);
}

static bool is_revoked(const struct known_key *e)
{
	return !*e->record.name;
}

static struct known_key *find(const struct known *k, const uint8_t key[NOISE_KEY_LEN])
{
	struct statefile_record *const *node = tfind(key, &k->tree, compare);

	return node ? container_of(*node, struct known_key, record) : NULL;
}

static void drop(struct known *k, struct known_key *e)
{
	tdelete(&e->record, &k->tree, compare);
	cds_list_del(&e->link);
	k->n_revoked -= is_revoked(e);
	k->n--;
	statefile_release(&e->record);
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

bool known_take(struct known *k, const uint8_t key[NOISE_KEY_LEN], struct statefile_record *out)
{
	struct known_key *e = find(k, key);

	*out = (struct statefile_record){ 0 };
	memcpy(out->key, key, NOISE_KEY_LEN);
	if (!e)
		return false;
	*out = e->record;
	e->record.drops = NULL; /* out has them */
	drop(k, e);
	return true;
}

/* What is left of a revoked one. */
static void strip(struct statefile_record *r)
{
	r->name[0] = '\0';
	r->endpoint = (struct endpoint){ 0 };
	statefile_clear_counts(r);
}

static bool says_nothing(const struct statefile_record *r)
{
	return !endpoint_is_set(&r->endpoint) && !r->held && !statefile_has_counts(r) &&
	       sodium_is_zero(r->timestamp, sizeof(r->timestamp));
}

int known_put(struct known *k, const struct statefile_record *record)
{
	struct statefile_record old;
	struct known_key *e;

	(void)!known_take(k, record->key, &old);
	statefile_release(&old);
	e = calloc(1, sizeof(*e));
	if (!e || statefile_copy(&e->record, record))
		goto no_memory;
	if (tai64n_after(old.timestamp, record->timestamp))
		memcpy(e->record.timestamp, old.timestamp, sizeof(old.timestamp));
	if (!*record->name)
		strip(&e->record);
	if (says_nothing(&e->record)) {
		statefile_release(&e->record);
		free(e);
		return 0;
	}
	if (!tsearch(&e->record, &k->tree, compare))
		goto no_memory;
	k->n++;
	list(k, e);
	return 0;

no_memory:
	if (e)
		statefile_release(&e->record);
	free(e);
	return -ENOMEM;
}

/* One with a name. */
static void revoke(struct known *k, struct known_key *e)
{
	cds_list_del(&e->link);
	strip(&e->record);
	list(k, e);
	if (says_nothing(&e->record))
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
	memcpy(out->timestamp, e->record.timestamp, sizeof(out->timestamp));
	revoke(k, e);
	return true;
}

bool known_settle(struct known *k)
{
	bool any = !cds_list_empty(&k->named);

	while (!cds_list_empty(&k->named))
		revoke(k, cds_list_first_entry(&k->named, struct known_key, link));
	return any;
}

void known_each(const struct known *k,
		void (*fn)(void *arg, const struct statefile_record *record), void *arg)
{
	const struct known_key *e;

	cds_list_for_each_entry(e, &k->revoked, link)
		fn(arg, &e->record);
	cds_list_for_each_entry(e, &k->suspended, link)
		fn(arg, &e->record);
	cds_list_for_each_entry(e, &k->named, link)
		fn(arg, &e->record);
}
