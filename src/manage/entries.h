/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of each file of config.d: what it brought into force,
 * and what it wants and cannot have. In a tree by name. Control thread.
 */
#ifndef BERTH_MANAGE_ENTRIES_H
#define BERTH_MANAGE_ENTRIES_H

#include <urcu/list.h>

#include "../config/tenant.h"

struct tunnel;

struct file_entry {
	struct config_tenant *conf; /* in force, expired, or of a file that revokes; NULL: none */
	/*
	 * What the file says and is not in force yet: until the end of the batch,
	 * or as long as somebody else has what it claims.
	 */
	struct config_tenant *wanted;
	struct cds_list_head waiting; /* in entries.waiting, just as long */
	struct tunnel *tunnel;
	uint64_t stamp; /* of what was read last; 0: look at it in any case */
	uint64_t doubt; /* stamp of a revocation that is not believed yet; 0: none */
	uint64_t said_faults, said_conflict; /* hashes of what was logged; 0: nothing */
	bool there;   /* as of when it was read last */
	bool refused; /* what the file says is not in force */
	bool granted; /* within a batch: what it wants is free for it */
	bool starved; /* within a batch: there was no memory to see whether it is */
	bool explained; /* it was said what is in its way */
	char name[];
};

struct entries {
	void *tree; /* of tsearch() */
	size_t n;
	struct cds_list_head waiting; /* the first came first */
};

void entries_init(struct entries *entries);

/* Frees all, after done (which closes what only the caller can) was called for each. */
void entries_free(struct entries *entries, void (*done)(struct file_entry *e));

/* NULL: there is none. */
struct file_entry *entries_find(const struct entries *entries, const char *name);

/* NULL: no memory. */
struct file_entry *entries_find_or_add(struct entries *entries, const char *name);

/* Frees e if nothing is known of it: there is no file. */
void entries_forget_if_empty(struct entries *entries, struct file_entry *e);

/* All of them in order of their names. fn must neither add nor forget any. */
void entries_each(const struct entries *entries, void (*fn)(struct file_entry *e, void *arg),
		  void *arg);

static inline bool entry_is_waiting(struct file_entry *e)
{
	return !cds_list_empty(&e->waiting);
}

/* Does the tenant take part? NULL is fine. */
static inline bool tenant_in_force(const struct config_tenant *conf)
{
	return conf && conf->state == TENANT_OK;
}

static inline bool tenant_is_tunnel(const struct config_tenant *conf)
{
	return conf && conf->kind == TENANT_TUNNEL;
}

/* The word for the log. NULL, of which nothing is known, is a tenant. */
static inline const char *tenant_kind_name(const struct config_tenant *conf)
{
	return tenant_is_tunnel(conf) ? "tunnel" : "tenant";
}

#endif
