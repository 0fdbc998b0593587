/* SPDX-License-Identifier: MIT */
/*
 * Which source address of an advertisement an asker believes.
 *
 * RFC 4861 leaves it open; most routers take any, but there are some that drop
 * what comes from a link-local address, and some that want the source to be the
 * target itself. They do not say so: they ask again. So a question that comes
 * again is answered from all sources at once, which settles it within a second, and an
 * asker to whom that happens time and again gets another source to begin with.
 * Each asker is known by its hardware address, so that nobody can spoil it for the
 * others. Pure; bounded memory; one thread at a time.
 */
#ifndef BERTH_NEIGHBOR_ASKERS_H
#define BERTH_NEIGHBOR_ASKERS_H

#include "ndp.h"

enum {
	ASKERS_MAX = 16, /* a link has one router, or two; further ones take turns */
	ASKERS_QUESTIONS = 1024 /* a router that starts has many open at a time */
};

enum asker_source { ASKER_LINK_LOCAL, ASKER_TARGET, ASKER_GLOBAL, ASKER_SOURCES };

/*
 * RFC 4861 §10: RetransTimer is a second, and routers that were told another one
 * stay near it. What comes sooner is a copy; what comes later is a new question.
 */
#define ASKERS_AGAIN_FROM (100 * NSEC_PER_MSEC)
#define ASKERS_AGAIN_UNTIL (4 * NSEC_PER_SEC)

struct asker {
	uint8_t link_address[ETHER_ADDR_LEN];
	uint8_t source; /* enum asker_source: to begin with */
	uint8_t asked;  /* new questions that were answered from there, the last ones */
	uint8_t failed; /* those of them that came again */
	uint64_t last;  /* monotonic ns; 0: nobody */
};

struct asker_question {
	uint64_t hash; /* of the asker and the target */
	uint64_t at;   /* monotonic ns; 0: none */
	uint8_t source; /* of the first answer; ASKER_SOURCES once it has failed */
};

/* Zero-initialised, nobody has asked. */
struct askers {
	struct asker asker[ASKERS_MAX];
	struct asker_question question[ASKERS_QUESTIONS];
};

/*
 * From which sources to answer this solicitation: a set of 1 << enum asker_source,
 * never empty. now: monotonic ns, not 0.
 */
unsigned askers_sources(struct askers *a, const struct ndp_solicitation *solicitation,
			uint64_t now);

/*
 * When that target was asked for last, by one of the askers that are known; monotonic ns,
 * 0: not that it were known.
 */
uint64_t askers_asked(const struct askers *a, const uint8_t target[NDP_ADDR_LEN]);

/*
 * All sources that those who have asked begin with, as such a set: what is told to
 * everybody is told from each of them.
 */
unsigned askers_all_sources(const struct askers *a);

#endif
