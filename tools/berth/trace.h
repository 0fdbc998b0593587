/* SPDX-License-Identifier: MIT */
/* The hops of a packet, gathered before they are shown. */
#ifndef BERTH_TOOLS_TRACE_H
#define BERTH_TOOLS_TRACE_H

#include "doctor.h"

struct trace_hop {
	const char *name;
	bool stops;  /* the packet goes no further */
	char what[DOCTOR_WORDS];
	char command[DOCTOR_WORDS]; /* what to do if it stops here; "": see what */
};

enum { TRACE_HOPS_MAX = 16 };

struct trace {
	struct doctor d; /* the facts; it has no rows */
	struct prefix address;
	char text[PREFIX_STRLEN]; /* the address without length */
	json_t *owner;            /* what berthd says of it, or NULL */
	const json_t *tenant;     /* in owner: its tenant, or NULL */
	struct trace_hop hops[TRACE_HOPS_MAX];
	unsigned n;
};

/* The packet passes here. The next hop has that name. */
void trace_pass(struct trace *t, const char *name, const char *fmt, ...) printf_like(3, 4);

/* It stops here, for that reason. */
struct trace_hop *trace_stop(struct trace *t, const char *name, const char *fmt, ...)
	printf_like(3, 4);

void trace_mend(struct trace_hop *hop, const char *fmt, ...) printf_like(2, 3);

/* The ways of a packet: to a tenant of the gateway (trace_gateway.c), and at home (trace_home.c). */
void trace_gateway(struct trace *t);
void trace_home(struct trace *t, const struct config_tenant *tunnel);

#endif
