/* SPDX-License-Identifier: MIT */
/*
 * The control socket: where `berth` asks a running berthd. One JSON object per
 * line each way.
 *
 *	{"do":"list"}                   {"tenants":[{…},…]}
 *	{"do":"show","name":"alice"}    {"tenant":{…}}
 *	{"do":"quota-reset","name":"alice"}  {"tenant":{…}}, its quota as after the reset
 *	{"do":"status"}                 {"status":{…}}
 *
 * What goes wrong comes back as {"error":"a sentence"}. What is in a tenant
 * and in the status: control_json.h. Fields are added over time and never
 * change their meaning. Control thread.
 */
#ifndef BERTH_MANAGE_CONTROL_H
#define BERTH_MANAGE_CONTROL_H

#include <jansson.h>
#include <uv.h>

#include "../base.h"

struct control;

/* Collects the answer to "list", one tenant at a time, each turned to text at once. */
struct control_list;

/* Adds one tenant; the reference is taken over, NULL counts as no memory. */
void control_list_add(struct control_list *list, json_t *tenant);

/* What the router is asked. Not called after control_close(). */
struct control_ops {
	/* Adds all tenants, in any order. 0 or -errno. */
	int (*list)(void *arg, struct control_list *list);
	/* Fills the object of one. 0; -ENOENT no tenant has that name; -errno. */
	int (*show)(void *arg, const char *name, json_t *tenant);
	/*
	 * Nothing of its quota is used, and that is written down. 0; -ENOENT no tenant has that
	 * name; -ENODATA: it has no quota. May be NULL.
	 */
	int (*reset_quota)(void *arg, const char *name);
	/* Fills the object of the whole. 0 or -errno. */
	int (*status)(void *arg, json_t *status);
	/* The socket file was removed from outside. May be NULL. */
	void (*gone)(void *arg);
};

/* Starts to answer at path. *ops is copied. 0, or what lineserver_open() says. */
must_check int control_open(struct control **control, uv_loop_t *loop, const char *path,
			    const struct control_ops *ops, void *arg);

/* Removes the socket. The loop has to turn once more. NULL is fine. */
void control_close(struct control *control);

#endif
