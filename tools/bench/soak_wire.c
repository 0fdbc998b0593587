/* SPDX-License-Identifier: MIT */
/* Sessions of the crowd: both sides of a handshake, sealed packets, and sockets that move. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../crypto/tai64n.h"
#include "crowd.h"
#include "load.h"
#include "soak.h"

enum {
	SOCKET_BUFFER = 1 << 20,
	GENERATIONS = 4, /* of keys: then the first comes again */
	PATIENCE_MS = 1200,
	REKEY_MIN_S = 60, REKEY_MAX_S = 130, /* a key lives 180 s */
	KEY_USE_S = 165,
	RECENT_MS = 100
};

/* The last data message that was good, whole as it was sent. */
static struct {
	uint8_t data[SOAK_MESSAGE_MAX];
	size_t len;
	struct tenant *whose;
	uint32_t life;
} recorded;

size_t wire_recorded(uint8_t *out, struct tenant **whose)
{
	if (!recorded.len || recorded.whose->life != LIVE ||
	    recorded.whose->lives != recorded.life)
		return 0;
	memcpy(out, recorded.data, recorded.len);
	*whose = recorded.whose;
	return recorded.len;
}

/* Places */

static void connect_to(int fd, int family, const struct soak_options *o)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htobe16(CROWD_GATEWAY_PORT) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htobe16(CROWD_GATEWAY_PORT) };
	int err;

	if (family == AF_INET)
		err = inet_pton(family, o->gateway4, &in.sin_addr) != 1 ||
		      connect(fd, (struct sockaddr *)&in, sizeof(in));
	else
		err = inet_pton(family, o->gateway6, &in6.sin6_addr) != 1 ||
		      connect(fd, (struct sockaddr *)&in6, sizeof(in6));
	if (err)
		load_die("connect to the gateway");
}

static void bind_to(int fd, int family, const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	int err;

	if (family == AF_INET)
		err = inet_pton(family, address, &in.sin_addr) != 1 ||
		      bind(fd, (struct sockaddr *)&in, sizeof(in));
	else
		err = inet_pton(family, address, &in6.sin6_addr) != 1 ||
		      bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	if (err)
		load_die(address);
}

int wire_socket(struct soak *s, int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int size = SOCKET_BUFFER, one = 1;
	char address[64];

	if (fd < 0)
		load_die("socket");
	(void)snprintf(address, sizeof(address), "%s%u",
		       family == AF_INET ? s->o.network4 : s->o.network6,
		       1 + (unsigned)soak_random(s, SOAK_HOSTS));
	bind_to(fd, family, address);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)))
		load_die("SO_TIMESTAMPNS");
	connect_to(fd, family, &s->o);
	return fd;
}

static void outer_open(struct soak *s, struct tenant *t, struct outer *o)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = o };

	*o = (struct outer){ .family = soak_chance(s, 50) ? AF_INET : AF_INET6, .tenant = t };
	o->fd = wire_socket(s, o->family);
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, o->fd, &e))
		load_die("epoll_ctl");
}

static void outer_close(struct soak *s, struct outer *o)
{
	if (o->fd < 0)
		return;
	wire_receive(s, o);
	close(o->fd);
	o->fd = -1;
}

void wire_move(struct soak *s, struct tenant *t)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &t->before };

	outer_close(s, &t->before);
	t->before = t->now;
	if (t->before.fd >= 0 && epoll_ctl(s->epoll, EPOLL_CTL_MOD, t->before.fd, &e))
		load_die("epoll_ctl");
	outer_open(s, t, &t->now);
	t->moved = s->now;
}

void wire_open(struct soak *s)
{
	for (unsigned i = 0; i < s->o.tenants; i++) {
		struct tenant *t = &s->tenants[i];

		t->number = i + 1;
		t->now.fd = t->before.fd = -1;
	}
}

void wire_identity(const struct tenant *t, struct noise_local *local, uint8_t psk[NOISE_KEY_LEN])
{
	crowd_local(t->generation % GENERATIONS << 16 | t->number, local);
	memset(psk, 0, NOISE_KEY_LEN);
	if (t->number % 4)
		return;
	psk[0] = 0x77;
	store_le32(psk + 4, t->number);
}

void wire_reset(struct soak *s, struct tenant *t)
{
	uint8_t psk[NOISE_KEY_LEN];

	wire_identity(t, &t->local, psk);
	if (noise_remote_init(&t->gateway, &t->local, s->gateway_key, psk) != NOISE_OK)
		load_die("noise_remote_init");
	cookie_maker_init(&t->macs, s->gateway_key);
	wire_forget(t);
	wire_move(s, t);
	outer_close(s, &t->before);
}

void wire_forget(struct tenant *t)
{
	memset(t->keys, 0, sizeof(t->keys));
	noise_remote_drop_handshake(&t->gateway);
	t->calling = false;
	t->unanswered = 0;
}

/* Keys */

struct skey *wire_key(const struct soak *s, struct tenant *t)
{
	for (unsigned i = 0; i < SOAK_KEYS; i++) {
		struct skey *k = &t->keys[i];

		if (k->birth && k->usable && s->now - k->birth < KEY_USE_S * NSEC_PER_SEC)
			return k;
	}
	return NULL;
}

static struct skey *key_of_index(struct tenant *t, uint32_t index)
{
	for (unsigned i = 0; i < SOAK_KEYS; i++)
		if (t->keys[i].birth && t->keys[i].s.local_index == index)
			return &t->keys[i];
	return NULL;
}

static void add_key(struct soak *s, struct tenant *t, bool usable)
{
	memmove(&t->keys[1], &t->keys[0], sizeof(t->keys) - sizeof(t->keys[0]));
	memset(&t->keys[0], 0, sizeof(t->keys[0]));
	if (noise_begin_session(&t->gateway, &t->keys[0].s) != NOISE_OK)
		load_die("noise_begin_session");
	replay_init(&t->keys[0].replay);
	t->keys[0].birth = s->now;
	t->keys[0].usable = usable;
	t->rekey_after = (REKEY_MIN_S + soak_random(s, REKEY_MAX_S - REKEY_MIN_S)) * NSEC_PER_SEC;
	soak_count(s, HANDSHAKES);
}

/* Its tenant can be told from it. */
static uint32_t next_index(struct tenant *t)
{
	t->index = (t->index + 1) & 0xffff;
	return t->number << 16 | t->index;
}

/* Sending */

/* A pending error of the socket belongs to a datagram before this one: once more. */
static bool send_one(struct tenant *t, const void *msg, size_t len)
{
	for (int chance = 0; chance < 2; chance++)
		if (send(t->now.fd, msg, len, 0) == (ssize_t)len)
			return true;
	return false;
}

static void count_sent(struct soak *s, struct tenant *t, unsigned n, size_t bytes)
{
	t->account.sent += n;
	t->account.sent_bytes += bytes;
	if (s->now - t->recent > RECENT_MS * NSEC_PER_MSEC) {
		t->recent = s->now;
		t->recent_n = 0;
	}
	t->recent_n += n;
	if (t->life != LIVE)
		s->grey[DROP_UNKNOWN_INDEX] += n;
}

/* Whether it was accepted will be known by what comes back. */
static void count_grey(struct tenant *t, size_t len)
{
	t->account.grey++;
	t->account.grey_bytes += len;
}

static void settle_grey(struct soak *s, struct tenant *t, size_t len)
{
	t->account.grey--;
	t->account.grey_bytes -= len;
	count_sent(s, t, 1, len);
}

void wire_call(struct soak *s, struct tenant *t)
{
	static const struct noise_upcalls up = { .random = noise_random_sodium };
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	struct message_initiation msg;
	struct timespec utc;

	clock_gettime(CLOCK_REALTIME, &utc);
	tai64n_encode(timestamp, &utc);
	if (noise_create_initiation(&t->gateway, &t->local, &up, next_index(t), timestamp,
				    &msg) != NOISE_OK)
		load_die("noise_create_initiation");
	cookie_add_macs(&t->macs, &msg, sizeof(msg), s->now);
	if (!send_one(t, &msg, sizeof(msg)))
		return;
	t->calling = true;
	t->called = s->now;
	t->patience = (PATIENCE_MS + soak_random(s, PATIENCE_MS / 4)) * NSEC_PER_MSEC;
	count_grey(t, sizeof(msg));
}

unsigned wire_send(struct soak *s, struct tenant *t, uint8_t (*messages)[SOAK_MESSAGE_MAX],
		   const size_t *lens, unsigned n)
{
	struct mmsghdr msgs[SOAK_BURST];
	struct aead_op ops[SOAK_BURST];
	struct iovec iov[SOAK_BURST];
	struct skey *k = wire_key(s, t);
	size_t bytes = 0;
	int sent;

	if (!k || t->now.fd < 0)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		/* Padding (paper §5.4.6): what lies behind the packet must be zero. */
		size_t len = ALIGN_UP(lens[i], (size_t)PADDING_MULTIPLE);
		uint8_t *m = messages[i];

		memset(m + sizeof(struct message_data) + lens[i], 0, len - lens[i]);
		store_le32(m, MESSAGE_DATA);
		store_le32(m + 4, k->s.remote_index);
		store_le64(m + 8, k->counter);
		ops[i] = (struct aead_op){ .data = m + sizeof(struct message_data), .len = len,
					   .key = k->s.send_key, .nonce = k->counter++ };
		iov[i] = (struct iovec){ m, len + MESSAGE_DATA_OVERHEAD };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	aead_seal_burst(s->aead, ops, n);
	sent = sendmmsg(t->now.fd, msgs, n, 0);
	if (sent < 0)
		sent = sendmmsg(t->now.fd, msgs, n, 0);
	for (int i = 0; i < sent; i++)
		bytes += iov[i].iov_len;
	if (sent <= 0)
		return 0;
	count_sent(s, t, (unsigned)sent, bytes);
	t->unanswered = 0;
	if (t->life == LIVE && lens[0]) {
		memcpy(recorded.data, messages[0], iov[0].iov_len);
		recorded.len = iov[0].iov_len;
		recorded.whose = t;
		recorded.life = t->lives;
	}
	return (unsigned)sent;
}

static void keepalive(struct soak *s, struct tenant *t)
{
	static uint8_t message[1][SOAK_MESSAGE_MAX];
	size_t len = 0;

	(void)wire_send(s, t, message, &len, 1);
}

/* Receiving */

static void take_response(struct soak *s, struct tenant *t, const void *data)
{
	struct message_response msg;

	memcpy(&msg, data, sizeof(msg));
	if (t->account.grey)
		settle_grey(s, t, sizeof(struct message_initiation));
	/* Of an older one, or crossed by one of the gateway's: it is called again. */
	if (!t->calling || noise_consume_response(&t->gateway, &t->local, &msg) != NOISE_OK)
		return;
	t->calling = false;
	add_key(s, t, true);
	keepalive(s, t);
}

static struct noise_remote *find_gateway(void *arg, const uint8_t key[NOISE_KEY_LEN])
{
	struct tenant *t = arg;

	return memcmp(t->gateway.public_key, key, NOISE_KEY_LEN) ? NULL : &t->gateway;
}

/* The gateway calls: it has something to send, and no key, or no answer for long. */
static void take_initiation(struct soak *s, struct tenant *t, const void *data)
{
	struct noise_upcalls up = { .arg = t, .find_remote = find_gateway,
				    .random = noise_random_sodium };
	struct message_initiation msg;
	struct message_response answer;
	struct noise_remote *remote;
	enum noise_result result;

	if (t->asleep || t->life != LIVE)
		return;
	memcpy(&msg, data, sizeof(msg));
	result = noise_consume_initiation(&t->local, &up, s->now, &msg, &remote);
	if (result != NOISE_OK) {
		soak_fault(s, "t%05u: the gateway's initiation: %s", t->number,
			   noise_result_text(result));
		return;
	}
	if (noise_create_response(remote, &up, next_index(t), &answer) != NOISE_OK)
		load_die("noise_create_response");
	cookie_add_macs(&t->macs, &answer, sizeof(answer), s->now);
	add_key(s, t, false);
	t->calling = false;
	if (send_one(t, &answer, sizeof(answer)))
		count_grey(t, sizeof(answer));
	soak_count(s, ANSWERED_CALLS);
}

static void take_cookie(struct soak *s, struct tenant *t, const void *data)
{
	struct message_cookie_reply msg;

	memcpy(&msg, data, sizeof(msg));
	soak_count(s, COOKIES);
	(void)!cookie_consume_reply(&t->macs, &msg, s->now);
}

static void take_data(struct soak *s, struct tenant *t, uint8_t *msg, size_t len)
{
	uint32_t index = load_le32(msg + 4);
	struct skey *k = key_of_index(t, index);
	struct aead_op op = { .data = msg + sizeof(struct message_data),
			      .len = len - sizeof(struct message_data),
			      .nonce = load_le64(msg + 8) };

	if (index >> 16 != t->number) {
		soak_fault(s, "t%05u: got a packet under an index of t%05u", t->number,
			   index >> 16);
		return;
	}
	if (!k) {
		t->account.blind += len > MESSAGE_DATA_OVERHEAD;
		return;
	}
	op.key = k->s.recv_key;
	aead_open_burst(s->aead, &op, 1);
	if (!op.ok || !replay_check(&k->replay, op.nonce)) {
		soak_fault(s, "t%05u: a packet that %s", t->number,
			   op.ok ? "was there before" : "does not authenticate");
		return;
	}
	if (!k->usable) {
		k->usable = true;
		if (t->account.grey)
			settle_grey(s, t, sizeof(struct message_response));
	}
	if (len == MESSAGE_DATA_OVERHEAD)
		return;
	if (!t->unanswered)
		t->unanswered = s->now;
	traffic_inner(s, t, op.data, len - MESSAGE_DATA_OVERHEAD);
}

/* Not one packet may come to who was revoked; answers to load are for anybody. */
static void check_late(struct soak *s, struct tenant *t, uint64_t stamp)
{
	uint64_t late = stamp > t->ended_utc ? stamp - t->ended_utc : 0;

	if (late <= SOAK_LAG_NS + s->o.slack_ms * NSEC_PER_MSEC) {
		s->lag_last.worst = max(s->lag_last.worst, late);
		return;
	}
	soak_count(s, LATE_PACKETS);
	soak_fault(s, "t%05u: got a packet %llu ms after it was revoked", t->number,
		   (unsigned long long)(late / NSEC_PER_MSEC));
}

static void take(struct soak *s, struct tenant *t, uint8_t *msg, size_t len, uint64_t stamp)
{
	uint32_t type = len >= sizeof(le32) ? load_le32(msg) : 0;

	if (type == MESSAGE_COOKIE_REPLY && len == sizeof(struct message_cookie_reply)) {
		take_cookie(s, t, msg);
		return;
	}
	if (t->ended_utc)
		check_late(s, t, stamp);
	t->account.got++;
	t->account.got_bytes += len;
	if (type == MESSAGE_INITIATION && len == sizeof(struct message_initiation))
		take_initiation(s, t, msg);
	else if (type == MESSAGE_RESPONSE && len == sizeof(struct message_response))
		take_response(s, t, msg);
	else if (type == MESSAGE_DATA && len >= MESSAGE_DATA_OVERHEAD)
		take_data(s, t, msg, len);
	else
		soak_fault(s, "t%05u: got %zu bytes that are no message", t->number, len);
}

struct taking {
	struct soak *s;
	struct outer *o;
};

static void take_datagram(void *arg, const struct load_datagram *d)
{
	struct taking *t = arg;

	take(t->s, t->o->tenant, d->data, d->len, d->stamp);
}

void wire_receive(struct soak *s, struct outer *o)
{
	load_receive(o->fd, take_datagram, &(struct taking){ s, o });
}
