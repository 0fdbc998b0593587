/* SPDX-License-Identifier: MIT */
/* What cases are made of. */
#include "play.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../tools/bench/load.h"
#include "../packets.h"

enum {
	PATIENCE_MS = 2000,
	/* §5.1: at most 50 initiations a second, and some for whoever reads the clock late */
	FLOOD_MS = 23
};

static const char fence_mark[8] = "a fence";

/* Seconds since 1970. */
static uint64_t wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec;
}

/* Texts */

static void add(struct list *l, const char *text)
{
	if (l->n < ENTRIES)
		snprintf(l->entry[l->n++], ENTRY_LEN, "%s", text);
}

/* Names bytes: what they are, how many, a hash of them, and where they came. */
static void add_bytes(struct list *l, const char *what, const void *data, size_t len,
		      const char *where)
{
	char text[ENTRY_LEN], hex[33];
	uint8_t hash[16];

	crypto_generichash(hash, sizeof(hash), data, len, NULL, 0);
	snprintf(text, sizeof(text), "%s %zu %s%s", what, len,
		 sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash)), where);
	add(l, text);
}

/* Came by UDP. */
static void add_got(struct play *p, const char *what)
{
	char text[ENTRY_LEN];

	snprintf(text, sizeof(text), "%s%s", what, p->elsewhere ? " elsewhere" : "");
	add(&p->got_udp, text);
}

static void say(const struct play *p, const char *what, const void *data, size_t len)
{
	char hex[2 * 48 + 1];

	if (p->talk)
		printf("%-6s %s %zu: %s\n", p->side->which == OURS ? "ours" : "theirs", what, len,
		       sodium_bin2hex(hex, sizeof(hex), data, min(len, (size_t)48)));
}

uint64_t dice(struct play *p, uint64_t n)
{
	return next_random(&p->random) % n;
}

void dice_bytes(struct play *p, void *buf, size_t len)
{
	fill_random(&p->random, buf, len);
}

bool deviates(struct play *p, enum difference d)
{
	p->seen[d] = true;
	return known[d].who == p->side->which;
}

bool must(struct play *p, bool good, const char *what)
{
	if (!good && !p->foul) {
		p->foul = true;
		add(&p->got_udp, what);
	}
	return good;
}

void want_tun(struct play *p, const void *packet, size_t len)
{
	add_bytes(&p->want_tun, "packet", packet, len, "");
}

void want_udp(struct play *p, const char *what)
{
	add(&p->want_udp, what);
}

static void want_padded(struct play *p, const void *packet, size_t len, const char *where)
{
	uint8_t padded[MTU + PADDING_MULTIPLE] = { 0 };

	memcpy(padded, packet, len);
	add_bytes(&p->want_udp, "data", padded,
		  max(len, min(ALIGN_UP(len, (size_t)PADDING_MULTIPLE), (size_t)MTU)), where);
}

void want_data(struct play *p, const void *packet, size_t len)
{
	want_padded(p, packet, len, "");
}

void want_data_elsewhere(struct play *p, const void *packet, size_t len)
{
	want_padded(p, packet, len, " elsewhere");
}

/* What the target says */

static void took_response(struct play *p, const uint8_t *data)
{
	struct message_response msg;
	uint32_t index;

	memcpy(&msg, data, sizeof(msg));
	index = le32toh(msg.receiver_index);
	if (index == p->fence_index) {
		p->fence_answered = true;
		return;
	}
	for (unsigned i = 0; i < p->n_meetings; i++) {
		struct meeting *m = &p->meetings[i];

		if (m->index != index || m->ready)
			continue;
		m->second = msg;
		m->answered = true;
		m->peer->busy_until = load_now() + FLOOD_MS * NSEC_PER_MSEC;
		add_got(p, "response");
		return;
	}
	/* No timer sends one: a verdict of this case or one before was wrong. */
	add_got(p, "response to nobody");
}

static void took_call(struct play *p, const uint8_t *data, size_t len)
{
	struct cookie_checker c;
	struct cookie_epochs epochs = { 0 };
	enum cookie_verdict verdict;

	cookie_checker_init(&c, p->peer->local.public_key);
	verdict = cookie_check(&c, &epochs, data, len, NULL, 0, 0, false);
	cookie_checker_clear(&c);
	if (verdict == COOKIE_INVALID) {
		p->side->strays++;
		return;
	}
	memcpy(&p->call, data, len);
	p->calls++;
	add_got(p, "initiation");
}

static void took_data(struct play *p, uint8_t *data, size_t len)
{
	struct meeting *m = NULL;
	struct aead_op op = { .data = data + sizeof(struct message_data),
			      .len = len - sizeof(struct message_data),
			      .nonce = load_le64(data + 8) };

	for (unsigned i = 0; i < p->n_meetings; i++)
		if (p->meetings[i].ready && p->meetings[i].index == load_le32(data + 4))
			m = &p->meetings[i];
	if (!m) {
		p->side->strays++;
		return;
	}
	op.key = m->session.recv_key;
	aead_open_burst(p->aead, &op, 1);
	if (!op.ok)
		add_got(p, "data that cannot be opened");
	else if (len == MESSAGE_DATA_OVERHEAD)
		add_got(p, "keepalive");
	else
		add_bytes(&p->got_udp, "data", op.data, len - MESSAGE_DATA_OVERHEAD,
			  p->elsewhere ? " elsewhere" : "");
}

static void took_datagram(struct play *p, uint8_t *data, size_t len)
{
	uint32_t type = len >= 4 ? load_le32(data) : 0;

	say(p, "<- udp", data, len);
	if (type == MESSAGE_RESPONSE && len == sizeof(struct message_response))
		took_response(p, data);
	else if (type == MESSAGE_INITIATION && len == sizeof(struct message_initiation))
		took_call(p, data, len);
	else if (type == MESSAGE_COOKIE_REPLY && len == sizeof(struct message_cookie_reply))
		add_got(p, "cookie");
	else if (type == MESSAGE_DATA && len >= MESSAGE_DATA_OVERHEAD)
		took_data(p, data, len);
	else
		add_bytes(&p->got_udp, "nonsense", data, len, "");
}

static void took_packet(struct play *p, const uint8_t *data, size_t len)
{
	if (len == 20 + 16 && !memcmp(data + 20, fence_mark, sizeof(fence_mark))) {
		p->fence_seen = max(p->fence_seen, load_le64(data + 28));
		return;
	}
	say(p, "<- tun", data, len);
	add_bytes(&p->got_tun, "packet", data, len, "");
}

/* Takes all that is there; waits at most ms for something. */
static void pump(struct play *p, int ms)
{
	size_t len;

	side_wait(p->side, ms);
	while ((len = side_tapped(p->side, p->buf.data)))
		took_packet(p, p->buf.data, len);
	for (unsigned i = 0; i < 2; i++) {
		p->elsewhere = i;
		while ((len = side_received(p->side, i, p->buf.data)))
			took_datagram(p, p->buf.data, len);
	}
}

/* Pumps until *flag or the patience ends. */
#define pump_until(p, condition)                                                       \
	({                                                                             \
		uint64_t end_ = load_now() + (p)->patience * PATIENCE_MS * NSEC_PER_MSEC; \
		while (!(condition) && load_now() < end_)                              \
			pump(p, 10);                                                   \
		(condition);                                                           \
	})

bool await_udp(struct play *p, unsigned n)
{
	return pump_until(p, p->got_udp.n >= n);
}

static bool is_counted(struct play *p)
{
	side_counts(p->side, p->peer->local.public_key, &p->after);
	return p->after.rx - p->before.rx >= p->want_rx;
}

void await_counted(struct play *p)
{
	must(p, pump_until(p, is_counted(p)), "not counted");
}

/* Handshakes */

void seal_macs(struct play *p, void *msg, size_t len)
{
	cookie_add_macs(&p->macs, msg, len, 0);
}

/* Later than any before, also of an earlier run. */
static void next_stamp(struct play *p, uint8_t out[NOISE_TIMESTAMP_LEN])
{
	p->stamp += 1000;
	store_be32(out, 0x40000000);
	store_be32(out + 4, (uint32_t)(p->stamp / NSEC_PER_SEC));
	store_be32(out + 8, (uint32_t)(p->stamp % NSEC_PER_SEC));
}

static struct meeting *new_meeting(struct play *p, struct peer_keys *keys)
{
	struct meeting *m = &p->meetings[p->n_meetings];

	if (p->n_meetings == MEETINGS) {
		errno = EOVERFLOW;
		load_die("meetings of one case");
	}
	p->n_meetings++;
	memset(m, 0, sizeof(*m));
	m->peer = keys;
	m->index = side_index(p->side);
	return m;
}

static void create_initiation(struct play *p, struct meeting *m, const uint8_t *target_key,
			      const uint8_t *psk)
{
	static const struct noise_upcalls up = { .random = noise_random_sodium };
	uint8_t stamp[NOISE_TIMESTAMP_LEN];

	next_stamp(p, stamp);
	if (noise_remote_init(&m->remote, &m->peer->local, target_key, psk) != NOISE_OK ||
	    noise_create_initiation(&m->remote, &m->peer->local, &up, m->index, stamp,
				    &m->first) != NOISE_OK)
		load_die("noise_create_initiation");
	seal_macs(p, &m->first, sizeof(m->first));
}

struct meeting *begin_as(struct play *p, struct peer_keys *keys, const uint8_t *target_key,
			 const uint8_t *psk)
{
	struct meeting *m = new_meeting(p, keys);

	create_initiation(p, m, target_key, psk);
	return m;
}

struct meeting *begin(struct play *p)
{
	return begin_as(p, p->peer, p->target_key, p->peer->psk);
}

void wait_for_turn(struct play *p, const struct peer_keys *keys)
{
	uint64_t now;

	while ((now = load_now()) < keys->busy_until)
		pump(p, (int)((keys->busy_until - now) / NSEC_PER_MSEC + 1));
}

void send_initiation(struct play *p, struct meeting *m)
{
	wait_for_turn(p, m->peer);
	post_bytes(p, &m->first, sizeof(m->first));
}

static bool await_answer(struct play *p, struct meeting *m, const char *what)
{
	want_udp(p, what);
	p->want_rx += sizeof(m->first);
	return must(p, pump_until(p, m->answered), "no response");
}

bool await_response(struct play *p, struct meeting *m)
{
	return await_answer(p, m, "response");
}

bool await_response_elsewhere(struct play *p, struct meeting *m)
{
	return await_answer(p, m, "response elsewhere");
}

bool take_response(struct meeting *m, const struct noise_local *local)
{
	if (noise_consume_response(&m->remote, local, &m->second) != NOISE_OK ||
	    noise_begin_session(&m->remote, &m->session) != NOISE_OK)
		return false;
	m->ready = true;
	return true;
}

void confirm(struct play *p, struct meeting *m)
{
	send_packet(p, m, NULL, 0, false);
}

struct meeting *meet(struct play *p)
{
	struct meeting *m = begin(p);

	send_initiation(p, m);
	if (await_response(p, m) &&
	    must(p, take_response(m, &p->peer->local), "the response is not good"))
		confirm(p, m);
	return m;
}

void invite_guest(struct play *p)
{
	static uint32_t guests[SIDES];
	char words[1024];

	play_keys(&p->guest, FIRST_GUEST + guests[p->side->which]++);
	p->peer = &p->guest;
	play_peer_words(&p->guest, p->side->port, words);
	side_configure(p->side, words);
	memset(&p->before, 0, sizeof(p->before));
}

void dismiss_guest(struct play *p)
{
	char words[128] = "public_key=";

	if (p->peer != &p->guest)
		return;
	sodium_bin2hex(words + strlen(words), 65, p->guest.local.public_key, NOISE_KEY_LEN);
	strcat(words, "\nremove=true\n");
	side_configure(p->side, words);
}

static struct noise_remote *find_target(void *arg, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct noise_remote *remote = arg;

	return memcmp(remote->public_key, public_key, NOISE_KEY_LEN) ? NULL : remote;
}

struct meeting *await_call(struct play *p)
{
	struct meeting *m = new_meeting(p, p->peer);
	struct noise_upcalls up = { .arg = &m->remote, .find_remote = find_target };
	struct noise_remote *sender;

	want_udp(p, "initiation");
	if (!must(p, pump_until(p, p->calls), "no initiation"))
		return NULL;
	if (noise_remote_init(&m->remote, &p->peer->local, p->target_key, p->peer->psk) != NOISE_OK)
		load_die("noise_remote_init");
	m->first = p->call;
	if (must(p, noise_consume_initiation(&p->peer->local, &up, load_now(), &m->first,
					     &sender) == NOISE_OK, "the initiation is not good"))
		return m;
	return NULL;
}

bool answer(struct play *p, struct meeting *m)
{
	static const struct noise_upcalls up = { .random = noise_random_sodium };

	if (noise_create_response(&m->remote, &up, m->index, &m->second) != NOISE_OK ||
	    noise_begin_session(&m->remote, &m->session) != NOISE_OK)
		return must(p, false, "no answer can be made");
	seal_macs(p, &m->second, sizeof(m->second));
	m->ready = true;
	return true;
}

/* Data */

void post_bytes(struct play *p, const void *data, size_t len)
{
	say(p, "-> udp", data, len);
	side_send(p->side, data, len, 0);
}

void post(struct play *p)
{
	post_bytes(p, p->letter.data, p->letter.len);
}

void seal(struct play *p, const struct meeting *m, uint64_t counter, const void *plain, size_t len)
{
	uint8_t *msg = p->letter.data;
	struct aead_op op = { .data = msg + sizeof(struct message_data), .len = len,
			      .key = m->session.send_key, .nonce = counter };

	store_le32(msg, MESSAGE_DATA);
	store_le32(msg + 4, m->session.remote_index);
	store_le64(msg + 8, counter);
	if (len)
		memcpy(op.data, plain, len);
	aead_seal_burst(p->aead, &op, 1);
	p->letter.len = len + MESSAGE_DATA_OVERHEAD;
}

void send_packet(struct play *p, struct meeting *m, const void *packet, size_t len, bool good)
{
	if (!m->ready)
		return;
	seal(p, m, m->next++, packet, len);
	post(p);
	p->want_rx += p->letter.len;
	if (good)
		want_tun(p, packet, len);
}

void fence_at(struct play *p, struct meeting *m, uint64_t counter)
{
	uint8_t packet[20 + 16];

	if (!m->ready || p->foul)
		return;
	lay(p, IP4, 1, packet, sizeof(packet));
	memcpy(packet + 20, fence_mark, sizeof(fence_mark));
	store_le64(packet + 28, ++p->fence);
	seal(p, m, counter, packet, sizeof(packet));
	side_send(p->side, p->letter.data, p->letter.len, 0);
	p->want_rx += p->letter.len;
	must(p, pump_until(p, p->fence_seen == p->fence), "the fence did not come out");
}

void fence_data(struct play *p, struct meeting *m)
{
	fence_at(p, m, m->next++);
}

void fence_handshakes(struct play *p)
{
	struct peer_keys *keys = &p->peers[PEERS + p->next_fence++ % FENCES];
	struct meeting m = { .peer = keys, .index = side_index(p->side) };

	wait_for_turn(p, keys);
	create_initiation(p, &m, p->target_key, keys->psk);
	p->fence_index = m.index;
	p->fence_answered = false;
	side_send(p->side, &m.first, sizeof(m.first), 0);
	must(p, pump_until(p, p->fence_answered), "the handshake fence was not answered");
	keys->busy_until = load_now() + FLOOD_MS * NSEC_PER_MSEC;
}

void play_init(struct play *p, struct side *side, const struct noise_local *target)
{
	memset(p, 0, sizeof(*p));
	p->side = side;
	memcpy(p->target_key, target->public_key, NOISE_KEY_LEN);
	p->patience = 1;
	if (aead_new("libsodium", &p->aead))
		load_die("libsodium");
	cookie_maker_init(&p->macs, p->target_key);
	p->stamp = wall_clock() * NSEC_PER_SEC;
	for (unsigned i = 0; i < PEERS + FENCES; i++)
		play_keys(&p->peers[i], i);
}

void play_clear(struct play *p)
{
	aead_free(p->aead);
	sodium_memzero(p, sizeof(*p));
}

/* A case */

void play_begin(struct play *p, uint64_t seed, unsigned turn)
{
	p->begun = wall_clock();
	p->random = seed;
	p->turn = turn;
	p->peer = &p->peers[p->next_peer++ % PEERS];
	p->n_meetings = 0;
	p->calls = 0;
	p->foul = false;
	p->want_tun.n = p->got_tun.n = p->want_udp.n = p->got_udp.n = 0;
	p->want_rx = 0;
	side_counts(p->side, p->peer->local.public_key, &p->before);
}

static bool same(const struct list *a, const struct list *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (strcmp(a->entry[i], b->entry[i]) != 0)
			return false;
	return true;
}

bool play_end(struct play *p)
{
	bool good = pump_until(p, p->foul || (p->got_tun.n >= p->want_tun.n &&
					      p->got_udp.n >= p->want_udp.n));

	pump(p, 0);
	side_counts(p->side, p->peer->local.public_key, &p->after);
	return good && !p->foul && same(&p->want_tun, &p->got_tun) &&
	       same(&p->want_udp, &p->got_udp) && p->after.rx - p->before.rx == p->want_rx &&
	       p->after.handshake >= p->begun && p->after.handshake <= wall_clock();
}

static size_t print_list(const struct list *want, const struct list *got, const char *way,
			 char *out, size_t size)
{
	unsigned n = max(want->n, got->n);
	size_t len = 0;

	for (unsigned i = 0; i < n && len < size; i++) {
		const char *w = i < want->n ? want->entry[i] : "nothing";
		const char *g = i < got->n ? got->entry[i] : "nothing";

		if (strcmp(w, g) != 0)
			len += (size_t)snprintf(out + len, size - len,
						"    %s, %u: wanted %s, got %s\n", way, i + 1,
						w, g);
	}
	return min(len, size);
}

void play_report(const struct play *p, char *out, size_t size)
{
	size_t len = print_list(&p->want_tun, &p->got_tun, "tun", out, size);

	len += print_list(&p->want_udp, &p->got_udp, "udp", out + len, size - len);
	if (len < size && p->after.rx - p->before.rx != p->want_rx)
		snprintf(out + len, size - len, "    counted: wanted %llu bytes, got %llu\n",
			 (unsigned long long)p->want_rx,
			 (unsigned long long)(p->after.rx - p->before.rx));
	else if (!len)
		snprintf(out, size, "    handshake: wanted one since %llu, got %llu\n",
			 (unsigned long long)p->begun, (unsigned long long)p->after.handshake);
}
