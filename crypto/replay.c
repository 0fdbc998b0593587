/* SPDX-License-Identifier: MIT */
/* The replay window of a receiving key (RFC 6479). */
#include "replay.h"

#include "messages.h"

void replay_init(struct replay *r)
{
	memset(r, 0, sizeof(*r));
}

/* Words that @counter brings into the window still hold what is leaving it. */
static void advance(struct replay *r, uint64_t counter)
{
	uint64_t to = counter / REPLAY_WORD_BITS;
	uint64_t from = r->next ? (r->next - 1) / REPLAY_WORD_BITS : 0;
	uint64_t fresh = min(to - from, (uint64_t)REPLAY_WORDS);

	for (uint64_t i = 1; i <= fresh; i++)
		r->seen[(from + i) % REPLAY_WORDS] = 0;
	r->next = counter + 1;
}

bool replay_check(struct replay *r, uint64_t counter)
{
	uint64_t *word = &r->seen[counter / REPLAY_WORD_BITS % REPLAY_WORDS];
	uint64_t bit = UINT64_C(1) << (counter % REPLAY_WORD_BITS);

	/* Refused here, so that counter + 1 and the window's edge cannot wrap. */
	if (unlikely(counter >= REJECT_AFTER_MESSAGES))
		return false;

	if (likely(counter >= r->next))
		advance(r, counter);
	else if (r->next - 1 - counter > REPLAY_WINDOW)
		return false;

	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}
