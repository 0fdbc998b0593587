/* SPDX-License-Identifier: MIT */
/* The kinds of cases, by what they try. */
#ifndef BERTH_TESTS_DIFFERENTIAL_CASES_H
#define BERTH_TESTS_DIFFERENTIAL_CASES_H

#include "play.h"

struct kind {
	const char *name;
	void (*play)(struct play *p);
	unsigned share; /* of all cases, in proportion to the others' */
};

/* Each ends with a kind without a name. */
extern const struct kind data_cases[];      /* cases_data.c: counters, lengths, indices */
extern const struct kind inner_cases[];     /* cases_inner.c: what the packets claim */
extern const struct kind responder_cases[]; /* cases_responder.c: handshakes that we begin */
extern const struct kind initiator_cases[]; /* cases_initiator.c: and that the target begins */
extern const struct kind roaming_cases[];   /* cases_roaming.c: and what comes from elsewhere */
/* Those of five seconds: one of each, first of all. The share is not used. */
extern const struct kind slow_cases[];

#endif
