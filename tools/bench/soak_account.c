/* SPDX-License-Identifier: MIT */
/*
 * Do the gateway's counters say what was done? Of a tenant that is silent:
 *
 *	rx = what it has sent; tx = what it has got: packets and bytes
 *	inner packets sent and not arrived = its drops, by reason
 *	what it is to blame for = its drops of that reason
 *
 * each exactly, where the kernel has lost nothing and each handshake was answered; else
 * within what the kernel counted as lost, and what was not answered. The same for the device.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "soak.h"

enum { TRIES = 5, TRY_MS = 100 };

/* What becomes of inner packets that were sent in good faith. */
static const enum drop_reason honest[] = {
	DROP_RATE_UP, DROP_RATE_DOWN, DROP_QUOTA, DROP_STAGING_FULL, DROP_HANDSHAKE_TIMEOUT,
	DROP_NO_ENDPOINT, DROP_OVERLOAD, DROP_KEY_EXPIRED
};

/* Who sends these is known. */
static const enum drop_reason blamed[] = { DROP_SOURCE_NOT_ALLOWED, DROP_INNER_MALFORMED,
					   DROP_BAD_TAG, DROP_REPLAYED };

/* Of nobody. */
static const enum drop_reason strange[] = { DROP_MALFORMED, DROP_BAD_MAC1, DROP_UNKNOWN_INDEX,
					    DROP_UNKNOWN_PEER, DROP_BAD_HANDSHAKE };

/* Never, by nobody. */
static const enum drop_reason never[] = { DROP_OVERSIZED, DROP_NO_IDENTITY, DROP_BAD_COOKIE,
					  DROP_REPLAYED_INITIATION, DROP_INITIATION_FLOOD,
					  DROP_QUARANTINED, DROP_OUT_MALFORMED, DROP_TOO_BIG };

static uint64_t field(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static uint64_t drops_of(const json_t *shown, enum drop_reason reason)
{
	return field(json_object_get(shown, "drops"), drop_name(reason));
}

static uint64_t honest_drops(const json_t *shown)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(honest); i++)
		n += drops_of(shown, honest[i]);
	return n;
}

/* Is it at least low, and at most high? text: what is said otherwise, room bytes. */
static bool lies(char *text, size_t room, const char *what, uint64_t is, int64_t low, int64_t high)
{
	if ((int64_t)is >= low && (int64_t)is <= high)
		return true;
	(void)snprintf(text, room, "%s is %" PRIu64 ", not %" PRId64 " to %" PRId64, what, is, low,
		       high);
	return false;
}

const char *account_differs(const struct tenant *t, const json_t *shown,
			    uint64_t lost)
{
	static char text[256];
	const struct account *a = &t->account;
	uint64_t refused = drops_of(shown, DROP_OVERLOAD) + drops_of(shown, DROP_KEY_EXPIRED);
	int64_t lacking = (int64_t)(a->up + a->down) - (int64_t)(a->up_got + a->down_got + a->blind);
	int64_t some = (int64_t)lost, bytes = some * SOAK_MESSAGE_MAX;

	if (!lies(text, sizeof(text), "rx_packets", field(shown, "rx_packets") + refused,
		  (int64_t)a->sent - some, (int64_t)(a->sent + a->grey)) ||
	    !lies(text, sizeof(text), "rx_bytes", field(shown, "rx_bytes"),
		  (int64_t)a->sent_bytes - bytes - (int64_t)refused * SOAK_MESSAGE_MAX,
		  (int64_t)(a->sent_bytes + a->grey_bytes)) ||
	    !lies(text, sizeof(text), "tx_packets", field(shown, "tx_packets"), (int64_t)a->got,
		  (int64_t)a->got + some) ||
	    !lies(text, sizeof(text), "tx_bytes", field(shown, "tx_bytes"), (int64_t)a->got_bytes,
		  (int64_t)a->got_bytes + bytes) ||
	    !lies(text, sizeof(text), "its honest drops", honest_drops(shown), lacking - some,
		  lacking + some))
		return text;
	for (unsigned i = 0; i < ARRAY_SIZE(blamed); i++) {
		int64_t n = (int64_t)a->drops[blamed[i]];

		/* A random index may be somebody's: one in a million of them. */
		if (!lies(text, sizeof(text), drop_name(blamed[i]), drops_of(shown, blamed[i]),
			  n - some, n + (blamed[i] == DROP_BAD_TAG)))
			return text;
	}
	return NULL;
}

/* All at the end */

struct totals {
	unsigned tenants, exact, others;
	uint64_t foreign[DROP_REASON_COUNT]; /* of tenants that are none of ours */
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
};

/* The gateway's own keepalives may come just now: then once more. */
static const char *differs_still(struct soak *s, const struct tenant *t, const json_t *shown,
				 uint64_t lost)
{
	const char *what = account_differs(t, shown, lost);
	char line[64];

	(void)snprintf(line, sizeof(line), "{\"do\":\"show\",\"name\":\"t%05u\"}\n", t->number);
	for (unsigned i = 0; what && i < TRIES; i++) {
		json_t *answer;

		soak_turns(s, TRY_MS);
		answer = files_request(s, line);
		soak_turns(s, TRY_MS);
		what = account_differs(t, json_object_get(answer, "tenant"), lost);
		json_decref(answer);
	}
	return what;
}

static void account_one(struct soak *s, const json_t *shown, uint64_t lost, struct totals *sum)
{
	const char *name = json_string_value(json_object_get(shown, "name")), *what;
	unsigned number = 0;
	struct tenant *t;

	if (!name || sscanf(name, "t%5u", &number) != 1 || !number || number > s->o.tenants) {
		sum->others++;
		for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
			sum->foreign[i] += drops_of(shown, (enum drop_reason)i);
		return;
	}
	t = &s->tenants[number - 1];
	if (t->life != LIVE) {
		soak_fault(s, "%s: is there, and should not be", name);
		return;
	}
	sum->tenants++;
	sum->rx_packets += field(shown, "rx_packets");
	sum->tx_packets += field(shown, "tx_packets");
	sum->rx_bytes += field(shown, "rx_bytes");
	sum->tx_bytes += field(shown, "tx_bytes");
	what = differs_still(s, t, shown, lost);
	if (what)
		soak_fault(s, "%s: %s", name, what);
	sum->exact += !account_differs(t, shown, 0) && !t->account.grey;
}

/* What the device dropped of each reason, beside what was sent to be dropped. */
static void account_device(struct soak *s, const json_t *status, uint64_t lost,
			   const struct totals *sum)
{
	char text[256];
	int64_t some = (int64_t)(lost + drops_of(status, DROP_OVERLOAD)), want;
	int64_t load = (int64_t)(drops_of(status, DROP_UNDER_LOAD) +
				 drops_of(status, DROP_SOURCE_RATE) +
				 drops_of(status, DROP_HANDSHAKE_QUEUE_FULL));

	for (unsigned i = 0; i < ARRAY_SIZE(strange); i++) {
		enum drop_reason r = strange[i];
		bool costly = r == DROP_UNKNOWN_PEER || r == DROP_BAD_HANDSHAKE;

		want = (int64_t)(s->drops[r] + sum->foreign[r]);
		/* A random index may be somebody's: some packets in all. */
		if (!lies(text, sizeof(text), drop_name(r), drops_of(status, r),
			  want - some - (costly ? load : r == DROP_UNKNOWN_INDEX ? 4 : 0),
			  want + (int64_t)(s->grey[r] + s->unsure)))
			soak_fault(s, "the device: %s", text);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(blamed); i++) {
		enum drop_reason r = blamed[i];

		want = (int64_t)(s->device_before[r] + sum->foreign[r]);
		for (unsigned k = 0; k < s->o.tenants; k++)
			if (s->tenants[k].life == LIVE)
				want += (int64_t)s->tenants[k].account.drops[r];
		if (!lies(text, sizeof(text), drop_name(r), drops_of(status, r),
			  want - some - (int64_t)s->unsure, want + (r == DROP_BAD_TAG ? 4 : 0)))
			soak_fault(s, "the device: %s", text);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(never); i++)
		if (drops_of(status, never[i]) > sum->foreign[never[i]])
			soak_fault(s, "the device: %s is %" PRIu64 ", and nobody did that",
				   drop_name(never[i]), drops_of(status, never[i]));
	/* Each of these is a cookie reply, and all sockets are ours. */
	if (!lies(text, sizeof(text), "under-load", drops_of(status, DROP_UNDER_LOAD),
		  (int64_t)s->counts[COOKIES], INT64_MAX))
		soak_fault(s, "the device: %s", text);
}

void account_final(struct soak *s, json_t *report)
{
	json_t *list = files_request(s, "{\"do\":\"list\"}\n"), *shown;
	json_t *status = files_request(s, "{\"do\":\"status\"}\n");
	uint64_t lost = watch_lost(s);
	struct totals sum = { 0 };
	unsigned live = 0;
	size_t i;

	json_array_foreach(json_object_get(list, "tenants"), i, shown)
		account_one(s, shown, lost, &sum);
	for (unsigned k = 0; k < s->o.tenants; k++)
		live += s->tenants[k].life == LIVE;
	if (live != sum.tenants)
		soak_fault(s, "%u tenants are listed, and %u should be there", sum.tenants, live);
	account_device(s, json_object_get(status, "status"), lost, &sum);
	json_object_set_new(report, "accounts",
			    json_pack("{s:i,s:i,s:i,s:I,s:I,s:I,s:I}", "tenants", (int)sum.tenants,
				      "exact", (int)sum.exact, "others", (int)sum.others,
				      "rx_packets", (json_int_t)sum.rx_packets, "tx_packets",
				      (json_int_t)sum.tx_packets, "rx_bytes",
				      (json_int_t)sum.rx_bytes, "tx_bytes",
				      (json_int_t)sum.tx_bytes));
	json_object_set(report, "drops",
			json_object_get(json_object_get(status, "status"), "drops"));
	json_decref(list);
	json_decref(status);
}

bool account_is_still(struct soak *s)
{
	static uint64_t last;
	json_t *answer = files_request(s, "{\"do\":\"list\"}\n"), *shown;
	uint64_t sum = 0;
	bool still;
	size_t i;

	json_array_foreach(json_object_get(answer, "tenants"), i, shown) {
		const char *name = json_string_value(json_object_get(shown, "name"));

		if (name && name[0] == 't')
			sum += field(shown, "rx_packets") + field(shown, "tx_packets") +
			       honest_drops(shown);
	}
	json_decref(answer);
	still = sum == last;
	last = sum;
	return still;
}
