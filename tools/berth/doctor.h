/* SPDX-License-Identifier: MIT */
/*
 * doctor: every setting of this machine that the router needs, and every trap. A check
 * only looks: it adds rows of what it found. One file of checks per area, in doctor_*.c.
 */
#ifndef BERTH_TOOLS_DOCTOR_H
#define BERTH_TOOLS_DOCTOR_H

#include <jansson.h>

#include "../../src/config/router.h"
#include "../../src/config/tenant.h"
#include "../../src/host/sysctl.h"
#include "../../tun/netlink.h"
#include "berth.h"

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

enum { FIXES_MAX = 8, DOCTOR_WORDS = 512 };

/* A setting of the kernel that is safe to make. */
struct doctor_fix {
	char path[SYSCTL_PATH_MAX]; /* sysctl.h */
	char value[8];
};

struct doctor_row {
	const char *check;
	enum finding finding;
	char why[DOCTOR_WORDS];     /* a sentence without its full stop */
	char command[DOCTOR_WORDS]; /* which mends it; "": none, or the fixes */
	struct doctor_fix fixes[FIXES_MAX]; /* in this order */
	unsigned n_fixes;
};

/* An address or range of a tenant. */
struct doctor_address {
	struct prefix prefix;
	char tenant[TENANT_NAME_MAX + 1];
};

/* The next hop of packets to the Internet. */
struct doctor_outside {
	bool found;
	struct netlink_route route;
};

struct doctor {
	const char *config;          /* berth.conf as it was named */
	struct config_router *router; /* NULL: it cannot be read */
	bool gateway, wants4, wants6; /* families of its prefixes */

	struct config_tenant **tunnels; /* of our own */
	size_t n_tunnels;
	struct doctor_address *addresses; /* of the gateway's tenants, in force */
	size_t n_addresses;

	struct netlink *nl;
	int tun; /* index of the gateway's interface, 0: not there */
	int uplinks[ROUTER_UPLINKS_MAX]; /* indexes, 0: not there */
	struct doctor_outside outside4, outside6;

	json_t *status;  /* of the running berthd; NULL: none */
	json_t *running; /* its list of tenants and tunnels; NULL: none */
	int daemon_error; /* why there is no status */

	const char *check; /* that runs now */
	struct doctor_row *rows;
	size_t n_rows;
	bool failed; /* no memory */
};

struct doctor_check {
	const char *name;
	void (*run)(struct doctor *d);
};

/* Each ends with an entry without a name. */
extern const struct doctor_check doctor_machine[], doctor_privs[], doctor_kernel[], doctor_links[],
	doctor_routes[], doctor_firewall[], doctor_tunnels[];

/* A row of the check that runs; never NULL. Valid until the next one. */
struct doctor_row *doctor_say(struct doctor *d, enum finding finding, const char *fmt, ...)
	printf_like(3, 4);

/* The command that mends it. */
void doctor_mend(struct doctor_row *row, const char *fmt, ...) printf_like(2, 3);

/* The setting that mends it; path as of sysctl.h. One that does not fit is left out. */
void doctor_set(struct doctor_row *row, const char *value, const char *fmt, ...)
	printf_like(3, 4);

/* A setting of an interface: "net/FAMILY/conf/LINK/NAME"; -1: there is none such. */
int64_t doctor_setting(const char *family, const char *link, const char *name);

/* Facts (doctor_facts.c) */

/* Reads all that the checks stand on. Nothing is a fault yet. 0 or -ENOMEM. */
must_check int doctor_look(struct doctor *d, const char *config);

/* Forgets it, and the rows. */
void doctor_forget(struct doctor *d);

/* Whose range holds the address of the family? NULL: nobody's. */
const struct doctor_address *doctor_owner(const struct doctor *d, uint8_t family,
					  const uint8_t *addr);

/* The process at the control socket; 0: none answers, or its number cannot be seen. */
pid_t doctor_daemon(const struct doctor *d);

/* An address of a tenant, or else of a Prefix; NULL: there is none of the family. */
const struct prefix *doctor_example(const struct doctor *d, uint8_t family);

/* A descriptor of the tunnel's namespace, which is not the host's; or -errno. */
must_check int doctor_open_netns(const struct config_tunnel *tunnel);

static inline const struct doctor_outside *doctor_outside(const struct doctor *d, uint8_t family)
{
	return family == AF_INET ? &d->outside4 : &d->outside6;
}

#endif
