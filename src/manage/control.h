/* SPDX-License-Identifier: MIT */
/*
 * The control socket: where `berth` asks a running berthd. One JSON object per
 * line each way.
 *
 *	{"do":"list"}                   {"tenants":[{…},…]}
 *	{"do":"show","name":"alice"}    {"tenant":{…}}
 *	{"do":"quota-reset","name":"alice"}  {"tenant":{…}}, its quota as after the reset
 *	{"do":"names"}                  {"names":["alice",…]}
 *	{"do":"owner","address":"2001:db8::1"}
 *	                                {"owner":{"tenant":{…} or null,"answered":whether
 *	                                  neighbours who ask are,"asked":[
 *	                                  {"uplink":"eth0","ago":seconds or null},…]}}
 *	{"do":"status"}                 {"status":{…}}
 *	{"do":"wait","name":"alice","public_key":"…"}
 *	                                {"wait":{"state":"live"}}
 *	                                {"wait":{"state":"refused","why":"a sentence"}}
 *	{"do":"wait","name":"alice"}    {"wait":{"state":"gone"}}
 *	{"do":"release","name":"alice"} {"released":{"name":"alice"}}
 *
 * What goes wrong comes back as {"error":"a sentence"}, with "code":"no-tenant" when
 * nobody has that name, and "code":"starting" when that is not known yet: so do "list", "names"
 * and "owner" until the folder of tenants has been read once, as who is missing would look revoked.
 * What is in a tenant and in the status: control_json.h; in the status also "starting", and
 * "restart_needed": berth.conf is not what it was at the start.
 * "wait" is answered when the tenant is in force with that key, or its file is
 * refused; without a key, when it is not in force (any more). Fields are added over time and never
 * change their meaning. Control thread.
 */
#ifndef BERTH_MANAGE_CONTROL_H
#define BERTH_MANAGE_CONTROL_H

#include <jansson.h>
#include <uv.h>

#include "../base/encoding.h"
#include "../base/prefix.h"

struct control;

/* Collects the answer to "list", one tenant at a time, each turned to text at once. */
struct control_list;

/* Adds one tenant; the reference is taken over, NULL counts as no memory. */
void control_list_add(struct control_list *list, json_t *tenant);

/*
 * What is to be known at the next call for this list: size bytes, zeroed the first time,
 * freed with the list. NULL: no memory.
 */
void *control_list_state(struct control_list *list, size_t size);

/* What the router is asked. Not called after control_close(). */
struct control_ops {
	/*
	 * Adds some tenants, in any order: as many as take a few microseconds. 1: there are
	 * more; 0: these were the last; -errno.
	 */
	int (*list)(void *arg, struct control_list *list);
	/* Fills the object of one. 0; -ENOENT no tenant has that name; -errno. */
	int (*show)(void *arg, const char *name, json_t *tenant);
	/* Fills the object about an address, a /32 or /128. 0 or -errno. */
	int (*owner)(void *arg, const struct prefix *address, json_t *owner);
	/*
	 * Nothing of its quota is used, and that is written down. 0; -ENOENT no tenant has that
	 * name; -ENODATA: it has no quota. May be NULL.
	 */
	int (*reset_quota)(void *arg, const char *name);
	/* Appends the names of all that is in force. 0 or -ENOMEM. */
	int (*names)(void *arg, json_t *names);
	/* Is the tenant in force? Then its public key; all zero: it has none. */
	bool (*in_force)(void *arg, const char *name, uint8_t public_key[KEY_LEN]);
	/* Is its file not in force as it is? Then why: a sentence of at most room - 1 bytes. */
	bool (*refused)(void *arg, const char *name, char *why, size_t room);
	/* Ends the holding of one. 0; -ENOENT; -EALREADY it is not held; -errno. */
	int (*release)(void *arg, const char *name);
	/* Are the tenants of the start still being read? May be NULL: no. */
	bool (*starting)(void *arg);
	/* Fills the object of the whole. 0 or -errno. */
	int (*status)(void *arg, json_t *status);
	/* The socket file was removed from outside. May be NULL. */
	void (*gone)(void *arg);
};

/* Starts to answer at path. *ops is copied. 0, or what lineserver_open() says. */
must_check int control_open(struct control **control, uv_loop_t *loop, const char *path,
			    const struct control_ops *ops, void *arg);

/* Some tenants have changed: looks whether one is among them that somebody waits for. */
void control_changed(struct control *control);

/* Removes the socket. The loop has to turn once more. NULL is fine. */
void control_close(struct control *control);

#endif
