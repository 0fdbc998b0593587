/* SPDX-License-Identifier: MIT */
/* The files of config.d by name. */
#include "entries.h"

#include <search.h>
#include <stdlib.h>

/*
 * The tree holds pointers to the names: a search needs no entry around its key.
 */
static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct file_entry *entry_of(const void *node)
{
	return container_of(*(char *const *)node, struct file_entry, name[0]);
}

void entries_init(struct entries *entries)
{
	*entries = (struct entries){ 0 };
	CDS_INIT_LIST_HEAD(&entries->waiting);
}

struct file_entry *entries_find(const struct entries *entries, const char *name)
{
	const void *node = tfind(name, &entries->tree, compare);

	return node ? entry_of(node) : NULL;
}

struct file_entry *entries_find_or_add(struct entries *entries, const char *name)
{
	struct file_entry *e = entries_find(entries, name);
	size_t len = strlen(name) + 1;

	if (e)
		return e;
	e = calloc(1, sizeof(*e) + len);
	if (!e)
		return NULL;
	memcpy(e->name, name, len);
	CDS_INIT_LIST_HEAD(&e->waiting);
	if (!tsearch(e->name, &entries->tree, compare)) {
		free(e);
		return NULL;
	}
	entries->n++;
	return e;
}

static void free_entry(struct entries *entries, struct file_entry *e)
{
	tdelete(e->name, &entries->tree, compare);
	entries->n--;
	cds_list_del(&e->waiting);
	tenant_free(e->conf);
	tenant_free(e->wanted);
	free(e);
}

void entries_forget_if_empty(struct entries *entries, struct file_entry *e)
{
	if (!e->conf && !e->wanted && !e->refused && !e->tunnel)
		free_entry(entries, e);
}

void entries_free(struct entries *entries, void (*done)(struct file_entry *e))
{
	while (entries->tree) {
		struct file_entry *e = entry_of(entries->tree);

		done(e);
		free_entry(entries, e);
	}
}

struct visit {
	void (*fn)(struct file_entry *e, void *arg);
	void *arg;
};

static void visit_node(const void *node, VISIT visit, void *closure)
{
	const struct visit *v = closure;

	if (visit == postorder || visit == leaf)
		v->fn(entry_of(node), v->arg);
}

void entries_each(const struct entries *entries, void (*fn)(struct file_entry *e, void *arg),
		  void *arg)
{
	struct visit v = { .fn = fn, .arg = arg };

	twalk_r(entries->tree, visit_node, &v);
}
