/* SPDX-License-Identifier: MIT */
/* Learns from questions that come again. */
#include "askers.h"

enum {
	ALL_SOURCES = (1 << ASKER_SOURCES) - 1,
	/* One may be an answer that got lost. */
	FAILURES_BELIEVED = 2,
	/* What is long ago counts less and less. */
	ASKED_MAX = 64,
	/* A question has so many places to be in. */
	WAYS = 4
};

/* FNV-1a; who makes collisions only confuses himself and one more question. */
static uint64_t hash_question(const struct ndp_solicitation *s)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (int i = 0; i < ETHER_ADDR_LEN; i++)
		hash = (hash ^ s->link_address[i]) * UINT64_C(0x100000001b3);
	for (int i = 0; i < NDP_ADDR_LEN; i++)
		hash = (hash ^ s->target[i]) * UINT64_C(0x100000001b3);
	/* The last byte, in which targets differ, has hardly reached the middle yet. */
	return (hash ^ hash >> 29) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool is_asker(const struct asker *asker, const uint8_t link_address[ETHER_ADDR_LEN])
{
	return asker->last && !memcmp(asker->link_address, link_address, ETHER_ADDR_LEN);
}

/* The asker, in the place of the one not heard of for longest if it is new. */
static struct asker *find_asker(struct askers *a, const uint8_t link_address[ETHER_ADDR_LEN])
{
	struct asker *oldest = &a->asker[0];

	for (int i = 0; i < ASKERS_MAX; i++) {
		struct asker *asker = &a->asker[i];

		if (is_asker(asker, link_address))
			return asker;
		if (asker->last < oldest->last)
			oldest = asker;
	}
	*oldest = (struct asker){ .source = ASKER_LINK_LOCAL };
	memcpy(oldest->link_address, link_address, ETHER_ADDR_LEN);
	return oldest;
}

/* Where in the table a question is, if it is: the first of WAYS places. */
static size_t place_of(uint64_t hash)
{
	return (hash >> 32) % (ASKERS_QUESTIONS / WAYS) * WAYS;
}

/* The place of the question, or of the oldest one that makes room for it. */
static struct asker_question *find_question(struct askers *a, uint64_t hash)
{
	struct asker_question *set = &a->question[place_of(hash)];
	struct asker_question *oldest = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].hash == hash && set[i].at)
			return &set[i];
		if (set[i].at < oldest->at)
			oldest = &set[i];
	}
	*oldest = (struct asker_question){ .hash = hash };
	return oldest;
}

static void note_new(struct asker *asker, struct asker_question *q)
{
	q->source = asker->source;
	if (++asker->asked < ASKED_MAX)
		return;
	asker->asked /= 2;
	asker->failed /= 2;
}

/*
 * The first answer was not believed. If that happens to most questions, the
 * source is no good; those asked before it was changed say nothing of the new one.
 */
static void note_failure(struct asker *asker, struct asker_question *q)
{
	bool counts = q->source == asker->source;

	q->source = ASKER_SOURCES;
	if (!counts)
		return;
	asker->failed++;
	if (asker->failed < FAILURES_BELIEVED || 2 * asker->failed <= asker->asked)
		return;
	asker->asked = 0;
	asker->failed = 0;
	asker->source = (uint8_t)((asker->source + 1) % ASKER_SOURCES);
}

unsigned askers_sources(struct askers *a, const struct ndp_solicitation *s, uint64_t now)
{
	struct asker *asker = find_asker(a, s->link_address);
	struct asker_question *q;
	uint64_t before;

	asker->last = now;
	/* Who detects duplicates repeats himself whatever he hears: RFC 4862 §5.4. */
	if (s->is_dad)
		return 1U << asker->source;
	q = find_question(a, hash_question(s));
	before = q->at;
	if (before && now - before < ASKERS_AGAIN_FROM)
		return 1U << asker->source;
	q->at = now;
	if (before && now - before <= ASKERS_AGAIN_UNTIL) {
		note_failure(asker, q);
		return ALL_SOURCES;
	}
	note_new(asker, q);
	return 1U << asker->source;
}

uint64_t askers_asked(const struct askers *a, const uint8_t target[NDP_ADDR_LEN])
{
	struct ndp_solicitation s = { 0 };
	uint64_t last = 0;

	memcpy(s.target, target, sizeof(s.target));
	for (int i = 0; i < ASKERS_MAX; i++) {
		const struct asker_question *set;
		uint64_t hash;

		if (!a->asker[i].last)
			continue;
		memcpy(s.link_address, a->asker[i].link_address, sizeof(s.link_address));
		hash = hash_question(&s);
		set = &a->question[place_of(hash)];
		for (int j = 0; j < WAYS; j++)
			if (set[j].hash == hash)
				last = max(last, set[j].at);
	}
	return last;
}

unsigned askers_all_sources(const struct askers *a)
{
	unsigned set = 0;

	for (int i = 0; i < ASKERS_MAX; i++)
		if (a->asker[i].last)
			set |= 1U << a->asker[i].source;
	return set ? set : 1U << ASKER_LINK_LOCAL;
}
