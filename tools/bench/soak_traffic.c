/* SPDX-License-Identifier: MIT */
/* Transfers through the gateway: each packet is compared with what it must be, and comes once. */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <sys/socket.h>

#include "load.h"
#include "soak.h"

enum {
	GIVE_UP_MS = 1500, /* after the last packet was sent or came */
	SOCKET_BUFFER = 16 << 20
};

static int world_socket(int family, const char *address, struct sockaddr *at, socklen_t len)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int size = SOCKET_BUFFER, one = 1;

	if (fd < 0 || bind(fd, at, len) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)))
		load_die(address);
	return fd;
}

void traffic_open(struct soak *s)
{
	int old = load_enter(s->o.world);

	s->world_at4 = (struct sockaddr_in){ .sin_family = AF_INET,
					     .sin_port = htobe16(SOAK_PORT) };
	s->world_at6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = htobe16(SOAK_PORT) };
	if (inet_pton(AF_INET, s->o.world4, &s->world_at4.sin_addr) != 1 ||
	    inet_pton(AF_INET6, s->o.world6, &s->world_at6.sin6_addr) != 1)
		load_die("addresses of the world");
	s->world4 = world_socket(AF_INET, s->o.world4, (struct sockaddr *)&s->world_at4,
				 sizeof(s->world_at4));
	s->world6 = world_socket(AF_INET6, s->o.world6, (struct sockaddr *)&s->world_at6,
				 sizeof(s->world_at6));
	load_leave(old);
}

/* What arrives */

static struct tenant *tenant_of(struct soak *s, uint32_t number)
{
	return number && number <= s->o.tenants ? &s->tenants[number - 1] : NULL;
}

/* The label is true; is it also the first of its kind, and of a transfer that is under way? */
static void note_arrival(struct soak *s, const struct soak_label *l)
{
	struct transfer *x = &s->transfers[l->transfer % SOAK_TRANSFERS];
	uint64_t bit = UINT64_C(1) << l->seq % 64;

	if (x->id != l->transfer || l->seq >= SOAK_TRANSFER_MAX)
		return; /* given up before: it was compared all the same */
	if (x->seen[l->seq / 64] & bit)
		soak_fault(s, "transfer %u: packet %u came twice", l->transfer, l->seq);
	x->seen[l->seq / 64] |= bit;
	x->got++;
	x->last = s->now;
}

/* from and to are whom the addresses belong to. */
static bool check_content(struct soak *s, const uint8_t *payload, size_t len, uint32_t from,
			  uint32_t to, struct soak_label *l)
{
	if (!soak_verify(payload, len, l, s->o.seed)) {
		soak_fault(s, "from t%05u to t%05u: %zu bytes came that are not what was sent",
			   from, to, len);
		return false;
	}
	if (l->magic == SOAK_SPOOFED) {
		soak_fault(s, "a packet of t%05u under the address of t%05u came out at t%05u",
			   l->from, from, to);
		return false;
	}
	if (l->from != from || l->to != to) {
		soak_fault(s, "from t%05u to t%05u: came what was sent from t%05u to t%05u",
			   from, to, l->from, l->to);
		return false;
	}
	s->counts[PACKETS_CHECKED]++;
	s->counts[BYTES_CHECKED] += len;
	note_arrival(s, l);
	return true;
}

/* From a tenant to the world, at the time utc. */
static void take_up(struct soak *s, uint32_t number, const uint8_t *payload, size_t len,
		    uint64_t utc)
{
	struct tenant *t = tenant_of(s, number);
	uint64_t allowed = SOAK_LAG_NS + s->o.slack_ms * NSEC_PER_MSEC;
	struct soak_label l;

	if (!t) {
		soak_fault(s, "a packet came from an address of nobody (%u)", number);
		return;
	}
	if (!check_content(s, payload, len, number, 0, &l))
		return;
	if (t->lives == l.life)
		t->account.up_got++;
	if (t->lives != l.life || !t->ended_utc || utc <= t->ended_utc)
		return;
	s->lag_last.worst = max(s->lag_last.worst, min(utc - t->ended_utc, allowed));
	if (utc - t->ended_utc <= allowed)
		return;
	soak_count(s, LATE_PACKETS);
	soak_fault(s, "t%05u: a packet of it came out %llu ms after it was revoked", number,
		   (unsigned long long)((utc - t->ended_utc) / NSEC_PER_MSEC));
}

/*
 * What goes from one tenant to another leaves by the interface that it came in by, of which the
 * kernel tells its sender (RFC 4861 §8.2).
 */
static bool is_redirect(const uint8_t *data, size_t len, int family)
{
	return family == AF_INET6 && data[6] == IPPROTO_ICMPV6 && len > 40 && data[40] == ND_REDIRECT;
}

void traffic_inner(struct soak *s, struct tenant *t, const uint8_t *data, size_t len)
{
	int family = data[0] >> 4 == 4 ? AF_INET : AF_INET6;
	size_t headers = soak_headers(family), whole;
	struct in_addr mine4 = soak_inner4(t->number), from4;
	struct in6_addr mine6 = soak_inner6(t->number);
	uint32_t from = 0;
	struct soak_label l;

	if (len < headers) {
		soak_fault(s, "t%05u: got an inner packet of %zu bytes", t->number, len);
		return;
	}
	whole = family == AF_INET ? load_be16(data + 2) : load_be16(data + 4) + 40U;
	memcpy(&from4, data + 12, sizeof(from4));
	if (whole < headers || whole > len ||
	    memcmp(family == AF_INET ? data + 16 : data + 24,
		   family == AF_INET ? (void *)&mine4 : (void *)&mine6, family == AF_INET ? 4 : 16)) {
		soak_fault(s, "t%05u: got an inner packet that is not for it", t->number);
		return;
	}
	if (family == AF_INET ? memcmp(&from4, &s->world_at4.sin_addr, 4) :
				memcmp(data + 8, &s->world_at6.sin6_addr, 16))
		from = family == AF_INET ? soak_owner4(&from4) :
					   soak_owner6((const struct in6_addr *)(data + 8));
	if (is_redirect(data, whole, family))
		return;
	if ((family == AF_INET ? data[9] : data[6]) != IPPROTO_UDP) {
		soak_fault(s, "t%05u: got a packet of another protocol", t->number);
		return;
	}
	if (!check_content(s, data + headers, whole - headers, from, t->number, &l))
		return;
	if (!from)
		t->account.down_got += l.life == t->lives;
	else if (tenant_of(s, from) && tenant_of(s, from)->lives == l.life)
		tenant_of(s, from)->account.up_got++;
}

struct taking {
	struct soak *s;
	int fd;
};

static void take_datagram(void *arg, const struct load_datagram *d)
{
	const struct sockaddr_in6 *in6 = d->from;
	const struct sockaddr_in *in = d->from;
	struct taking *t = arg;

	take_up(t->s, t->fd == t->s->world4 ? soak_owner4(&in->sin_addr) :
					      soak_owner6(&in6->sin6_addr),
		d->data, d->len, d->stamp);
}

void traffic_world(struct soak *s, int fd)
{
	load_receive(fd, take_datagram, &(struct taking){ s, fd });
}

/* What is sent */

static struct tenant *choose(struct soak *s)
{
	for (int i = 0; i < 8; i++) {
		struct tenant *t = &s->tenants[soak_random(s, s->o.tenants)];

		if (soak_is_up(t) && !t->paused && wire_key(s, t) && t->transfers < 3)
			return t;
	}
	return NULL;
}

static bool is_unlimited(const struct tenant *t)
{
	return !t->rate && !*t->quota && !t->expires;
}

static void take_part(struct transfer *x, int n)
{
	if (x->from)
		x->from->transfers += (unsigned)n;
	if (x->to)
		x->to->transfers += (unsigned)n;
	if (x->from && x->to) {
		x->from->across += (unsigned)n;
		x->to->across += (unsigned)n;
	}
}

void traffic_begin(struct soak *s)
{
	unsigned way = (unsigned)soak_random(s, 7); /* across: 1 of 7 */
	struct transfer *x = NULL;
	struct tenant *t = choose(s), *other = NULL;

	for (unsigned i = 0; i < SOAK_TRANSFERS && !x; i++)
		if (!s->transfers[i].n)
			x = &s->transfers[i];
	if (!x || !t)
		return;
	if (!way) {
		other = choose(s);
		if (!other || other == t || !is_unlimited(t) || !is_unlimited(other))
			return;
	}
	/* Slots are found by number, and another transfer in one has another. */
	*x = (struct transfer){ .id = ++s->last_transfer * SOAK_TRANSFERS +
				      (uint32_t)(x - s->transfers),
				.life = t->lives,
				.from = way % 2 || !way ? t : NULL,
				.to = way % 2 ? NULL : way ? t : other,
				.family = soak_chance(s, 50) ? AF_INET : AF_INET6,
				.size = SOAK_HEADER + (unsigned)soak_random(s, SOAK_PAYLOAD_MAX -
									     SOAK_HEADER + 1),
				.n = 1 + (unsigned)soak_random(s, soak_chance(s, 20) ?
									  SOAK_TRANSFER_MAX :
									  SOAK_TRANSFER_MAX / 8),
				.last = s->now };
	if (soak_chance(s, 25))
		x->size = SOAK_PAYLOAD_MAX;
	if (!way)
		x->n = 1 + x->n / 8;
	take_part(x, 1);
	soak_count(s, way % 2 ? TRANSFERS_UP : way ? TRANSFERS_DOWN : TRANSFERS_ACROSS);
}

static void end(struct soak *s, struct transfer *x)
{
	take_part(x, -1);
	soak_count(s, x->got == x->n ? TRANSFERS_WHOLE : TRANSFERS_SHORT);
	x->n = 0;
}

static struct soak_label label_of(const struct transfer *x, unsigned seq)
{
	return (struct soak_label){ .magic = SOAK_GOOD, .from = x->from ? x->from->number : 0,
				    .to = x->to ? x->to->number : 0, .life = x->life,
				    .transfer = x->id, .seq = seq };
}

/* The next n packets, from a tenant. */
static unsigned send_up(struct soak *s, const struct transfer *x, unsigned n)
{
	static uint8_t messages[SOAK_BURST][SOAK_MESSAGE_MAX];
	size_t lens[SOAK_BURST], headers = soak_headers(x->family);
	struct in_addr from4 = soak_inner4(x->from->number);
	struct in6_addr from6 = soak_inner6(x->from->number);
	struct in_addr to4 = x->to ? soak_inner4(x->to->number) : s->world_at4.sin_addr;
	struct in6_addr to6 = x->to ? soak_inner6(x->to->number) : s->world_at6.sin6_addr;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *inner = messages[i] + sizeof(struct message_data);
		struct soak_label l = label_of(x, x->sent + i);

		soak_fill(inner + headers, x->size, &l, s->o.seed);
		lens[i] = x->family == AF_INET ?
				  soak_lay(inner, AF_INET, &from4, &to4, x->size) :
				  soak_lay(inner, AF_INET6, &from6, &to6, x->size);
	}
	n = wire_send(s, x->from, messages, lens, n);
	x->from->account.up += n;
	return n;
}

static unsigned send_down(struct soak *s, const struct transfer *x, unsigned n)
{
	static uint8_t payloads[SOAK_BURST][SOAK_PAYLOAD_MAX];
	struct sockaddr_in to4 = s->world_at4;
	struct sockaddr_in6 to6 = s->world_at6;
	struct mmsghdr msgs[SOAK_BURST];
	struct iovec iov[SOAK_BURST];
	int sent;

	to4.sin_addr = soak_inner4(x->to->number);
	to6.sin6_addr = soak_inner6(x->to->number);
	for (unsigned i = 0; i < n; i++) {
		struct soak_label l = label_of(x, x->sent + i);

		soak_fill(payloads[i], x->size, &l, s->o.seed);
		iov[i] = (struct iovec){ payloads[i], x->size };
		msgs[i].msg_hdr = (struct msghdr){
			.msg_name = x->family == AF_INET ? (void *)&to4 : (void *)&to6,
			.msg_namelen = x->family == AF_INET ? sizeof(to4) : sizeof(to6),
			.msg_iov = &iov[i], .msg_iovlen = 1
		};
	}
	sent = sendmmsg(x->family == AF_INET ? s->world4 : s->world6, msgs, n, 0);
	if (sent < 0)
		return 0;
	x->to->account.down += (unsigned)sent;
	return (unsigned)sent;
}

/* Is whoever takes part the same as when it began? One who was revoked tries on for a while. */
static bool goes_on(const struct transfer *x)
{
	const struct tenant *t = x->from ? x->from : x->to;

	return t && t->lives == x->life && (t->life == LIVE || t->life == LEAVING);
}

static void run(struct soak *s, struct transfer *x)
{
	unsigned left = min((unsigned)SOAK_BURST, x->n - x->sent), n = min(left, (unsigned)s->tokens);
	bool paused = (x->from && x->from->paused) || (x->to && x->to->paused);

	/* Nor does it give up for want of a turn. */
	if (paused || (!n && x->sent < x->n))
		x->last = s->now;
	if (!goes_on(x) || x->got == x->n ||
	    s->now - x->last > GIVE_UP_MS * NSEC_PER_MSEC) {
		end(s, x);
		return;
	}
	/* To one whose key was changed it is another's already, who is nowhere yet. */
	if (!n || paused || s->calm || (x->to && x->to->rotated && x->to->life == LEAVING))
		return;
	n = x->from ? send_up(s, x, n) : send_down(s, x, n);
	x->sent += n;
	s->tokens -= n;
	if (n)
		x->last = s->now;
}

void traffic_run(struct soak *s)
{
	unsigned first = (unsigned)soak_random(s, SOAK_TRANSFERS);

	for (unsigned i = 0; i < SOAK_TRANSFERS; i++) {
		struct transfer *x = &s->transfers[(first + i) % SOAK_TRANSFERS];

		if (x->n)
			run(s, x);
	}
}

bool traffic_idle(const struct soak *s)
{
	for (unsigned i = 0; i < SOAK_TRANSFERS; i++)
		if (s->transfers[i].n)
			return false;
	return true;
}
