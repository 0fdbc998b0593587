/* SPDX-License-Identifier: MIT */
/* Transport keys: age, nonces, and the slots previous, current and next. */
#include "keypair.h"

#include <errno.h>
#include <sodium.h>

void keypair_init(struct keypair *kp, const struct noise_session *session, uint64_t now)
{
	atomic_init(&kp->send_counter, 0);
	kp->birth = now;
	kp->remote_index = session->remote_index;
	kp->local_index = session->local_index;
	kp->initiator = session->initiator;
	memcpy(kp->send_key, session->send_key, NOISE_KEY_LEN);
	memcpy(kp->recv_key, session->recv_key, NOISE_KEY_LEN);
	pthread_mutex_init(&kp->replay_lock, NULL);
	replay_init(&kp->replay);
}

void keypair_clear(struct keypair *kp)
{
	pthread_mutex_destroy(&kp->replay_lock);
	sodium_memzero(kp, sizeof(*kp));
}

bool keypair_take_nonces(struct keypair *kp, uint64_t n, uint64_t *first)
{
	uint64_t counter = atomic_load_explicit(&kp->send_counter, memory_order_relaxed);

	/*
	 * A plain fetch-and-add would go on counting after the end was reached, and
	 * the 2^13 values that lie between the end and the overflow to 0, where nonces would be
	 * used again, are soon gone in batches. So the counter only moves when
	 * all of it fits. One worker sends for one peer: the loop hardly ever repeats.
	 */
	do {
		if (n > REJECT_AFTER_MESSAGES || counter > REJECT_AFTER_MESSAGES - n)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&kp->send_counter, &counter, counter + n,
							memory_order_relaxed,
							memory_order_relaxed));
	*first = counter;
	return true;
}

/* Threads read the clock once per batch: one may not yet have seen the time of birth. */
static uint64_t age(const struct keypair *kp, uint64_t now)
{
	return now > kp->birth ? now - kp->birth : 0;
}

static uint64_t messages_sent(const struct keypair *kp)
{
	return atomic_load_explicit(&kp->send_counter, memory_order_relaxed);
}

bool keypair_can_send(const struct keypair *kp, uint64_t now)
{
	return age(kp, now) < REJECT_AFTER_TIME && messages_sent(kp) < REJECT_AFTER_MESSAGES;
}

bool keypair_can_receive(const struct keypair *kp, uint64_t now)
{
	return age(kp, now) < REJECT_AFTER_TIME;
}

bool keypair_wants_rekey_send(const struct keypair *kp, uint64_t now)
{
	return messages_sent(kp) > REKEY_AFTER_MESSAGES ||
	       (kp->initiator && age(kp, now) >= REKEY_AFTER_TIME);
}

bool keypair_wants_rekey_receive(const struct keypair *kp, uint64_t now)
{
	return kp->initiator &&
	       age(kp, now) > REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
}

void keypairs_init(struct keypairs *kps)
{
	atomic_init(&kps->current, NULL);
	atomic_init(&kps->previous, NULL);
	atomic_init(&kps->next, NULL);
}

/* The writer's own view: under its lock nobody else stores. */
static struct keypair *peek(const _Atomic(struct keypair *) *slot)
{
	return atomic_load_explicit(slot, memory_order_relaxed);
}

/* Release: who finds the pointer finds the keypair behind it complete. */
static void publish(_Atomic(struct keypair *) *slot, struct keypair *kp)
{
	atomic_store_explicit(slot, kp, memory_order_release);
}

static unsigned retire(struct keypair *retired[KEYPAIRS_SLOTS], unsigned n, struct keypair *kp)
{
	if (kp)
		retired[n++] = kp;
	return n;
}

unsigned keypairs_add(struct keypairs *kps, struct keypair *kp,
		      struct keypair *retired[KEYPAIRS_SLOTS])
{
	struct keypair *previous = peek(&kps->previous);
	struct keypair *current = peek(&kps->current);
	struct keypair *next = peek(&kps->next);
	unsigned n = 0;

	if (!kp->initiator) {
		/*
		 * We responded. The initiator may not have got our response, so we go on
		 * sending with current until a packet under the new keys proves that he has
		 * (§5.1). A next that was waiting is superseded: he began again, so he
		 * never saw it or has forgotten it. previous goes too: it is two
		 * handshakes old by now.
		 */
		publish(&kps->next, kp);
		publish(&kps->previous, NULL);
		n = retire(retired, n, next);
		return retire(retired, n, previous);
	}

	/*
	 * We began, and hold his response: both sides have the keys, they are current at once.
	 * Normally current becomes previous, for packets still on their way. But if a next
	 * was waiting, handshakes have crossed, and he may have made that one his
	 * current: packets under it are what may still be on its way, so it becomes previous
	 * and our old current is dropped.
	 */
	if (next) {
		publish(&kps->previous, next);
		publish(&kps->next, NULL);
		n = retire(retired, n, current);
	} else {
		publish(&kps->previous, current);
	}
	publish(&kps->current, kp);
	return retire(retired, n, previous);
}

int keypairs_confirm(struct keypairs *kps, struct keypair *received_with,
		     struct keypair *retired[KEYPAIRS_SLOTS])
{
	struct keypair *previous = peek(&kps->previous);

	/* Two workers may have seen the first packets: the second one comes too late. */
	if (!received_with || peek(&kps->next) != received_with)
		return -EALREADY;

	/*
	 * He has the keys: everything moves up by one. In this order a reader never finds
	 * current empty.
	 */
	publish(&kps->previous, peek(&kps->current));
	publish(&kps->current, received_with);
	publish(&kps->next, NULL);
	return (int)retire(retired, 0, previous);
}

unsigned keypairs_clear(struct keypairs *kps, struct keypair *retired[KEYPAIRS_SLOTS])
{
	_Atomic(struct keypair *) *slots[KEYPAIRS_SLOTS] = { &kps->current, &kps->previous,
							      &kps->next };
	unsigned n = 0;
	unsigned i;

	for (i = 0; i < KEYPAIRS_SLOTS; i++) {
		n = retire(retired, n, peek(slots[i]));
		publish(slots[i], NULL);
	}
	return n;
}
