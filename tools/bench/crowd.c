/* SPDX-License-Identifier: MIT */
/* Handshakes and sealed packets of many tenants, by our own crypto/. */
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "../../crypto/tai64n.h"
#include "../../tun/checksum.h"
#include "load.h"

static const struct noise_upcalls upcalls = { .random = noise_random_sodium };

void crowd_local(uint32_t number, struct noise_local *local)
{
	uint8_t private_key[NOISE_KEY_LEN] = { 0x5a };

	store_le32(private_key + 4, number);
	if (noise_local_init(local, private_key) != NOISE_OK)
		load_die("noise_local_init");
}

void crowd_member(struct member *m, uint32_t number, const uint8_t gateway_key[NOISE_KEY_LEN],
		  const uint8_t *psk)
{
	static const uint8_t nobody[NOISE_KEY_LEN] = { 9 };

	if (!gateway_key)
		gateway_key = nobody;
	memset(m, 0, sizeof(*m));
	m->number = number;
	crowd_local(number, &m->local);
	if (noise_remote_init(&m->gateway, &m->local, gateway_key, psk) != NOISE_OK)
		load_die("noise_remote_init");
	cookie_maker_init(&m->macs, gateway_key);
}

struct in_addr crowd_address(uint32_t number)
{
	return (struct in_addr){ .s_addr = htobe32(CROWD_NETWORK + number) };
}

const char *crowd_path(const char *folder, uint32_t number)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/t%05u.conf", folder, number);
	return path;
}

void crowd_write(const char *folder, const struct member *m, const char *more)
{
	struct in_addr in = crowd_address(m->number);
	char address[INET_ADDRSTRLEN], key[KEY_BASE64_STRLEN], psk[KEY_BASE64_STRLEN];
	const char *path = crowd_path(folder, m->number);
	FILE *f = load_open(path, "wxe");

	fprintf(f, "[Peer]\nPublicKey = %s\nAllowedIPs = %s/32%s\n",
		key_to_base64(m->local.public_key, key),
		inet_ntop(AF_INET, &in, address, sizeof(address)), more);
	if (!key_is_zero(m->gateway.preshared_key))
		fprintf(f, "PresharedKey = %s\n", key_to_base64(m->gateway.preshared_key, psk));
	if (fclose(f))
		load_die(path);
}

int crowd_socket(const char *netns, const char *address, uint16_t port, const char *gateway)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htobe16(CROWD_GATEWAY_PORT) };
	int fd = load_socket(netns, address, port);

	if (inet_pton(AF_INET, gateway, &in.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&in, sizeof(in)))
		load_die(gateway);
	return fd;
}

void crowd_key(uint8_t key[NOISE_KEY_LEN], const char *text)
{
	if (key_from_base64(key, text)) {
		errno = EINVAL;
		load_die("a key");
	}
}

void crowd_initiation(struct member *m, int ahead, struct message_initiation *msg)
{
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += ahead;
	tai64n_encode(timestamp, &ts);
	if (noise_create_initiation(&m->gateway, &m->local, &upcalls, m->number, timestamp,
				    msg) != NOISE_OK)
		load_die("noise_create_initiation");
	cookie_add_macs(&m->macs, msg, sizeof(*msg), load_now());
}

static void dh(uint8_t out[NOISE_KEY_LEN], const uint8_t private_key[NOISE_KEY_LEN],
	       const uint8_t public_key[NOISE_KEY_LEN])
{
	if (crypto_scalarmult(out, private_key, public_key))
		load_die("crypto_scalarmult");
}

/* What was computed until the initiation was sent. */
static void keep_first(const struct member *m, struct crowd_secrets *s)
{
	const struct noise_remote *r = &m->gateway;

	memcpy(s->key[CROWD_PRESHARED], r->preshared_key, NOISE_KEY_LEN);
	memcpy(s->key[CROWD_STATIC_STATIC], r->static_static, NOISE_KEY_LEN);
	memcpy(s->key[CROWD_CHAIN_FIRST], r->handshake.symmetric.chaining_key, NOISE_KEY_LEN);
	dh(s->key[CROWD_EPHEMERAL_STATIC], r->handshake.ephemeral_private, r->public_key);
	/* The response wipes it; until then it stands where its product will. */
	memcpy(s->key[CROWD_EPHEMERAL], r->handshake.ephemeral_private, NOISE_KEY_LEN);
}

/* What the response added. */
static void keep_second(const struct member *m, const struct message_response *msg,
			struct crowd_secrets *s)
{
	uint8_t ephemeral[NOISE_KEY_LEN];

	memcpy(ephemeral, s->key[CROWD_EPHEMERAL], NOISE_KEY_LEN);
	dh(s->key[CROWD_EPHEMERAL], ephemeral, msg->ephemeral);
	dh(s->key[CROWD_STATIC_EPHEMERAL], m->local.private_key, msg->ephemeral);
	memcpy(s->key[CROWD_CHAIN_SECOND], m->gateway.handshake.symmetric.chaining_key,
	       NOISE_KEY_LEN);
}

/* Takes the answer that lies in buf. */
static bool take_answer(struct member *m, const void *buf, size_t len, struct crowd_secrets *s)
{
	struct message_cookie_reply cookie;
	struct message_response second;

	if (len == sizeof(cookie)) {
		memcpy(&cookie, buf, sizeof(cookie));
		/* Its fruit is in the next initiation. */
		(void)!cookie_consume_reply(&m->macs, &cookie, load_now());
		return false;
	}
	if (len != sizeof(second))
		return false;
	memcpy(&second, buf, sizeof(second));
	if (noise_consume_response(&m->gateway, &m->local, &second) != NOISE_OK)
		return false;
	if (s)
		keep_second(m, &second, s);
	if (noise_begin_session(&m->gateway, &m->session) != NOISE_OK)
		load_die("noise_begin_session");
	m->counter = 0;
	if (s) {
		memcpy(s->key[CROWD_SEND], m->session.send_key, NOISE_KEY_LEN);
		memcpy(s->key[CROWD_RECEIVE], m->session.recv_key, NOISE_KEY_LEN);
	}
	return true;
}

/* An empty packet under the new key. */
static void confirm(struct member *m, int fd, struct aead *aead)
{
	uint8_t msg[MESSAGE_DATA_OVERHEAD];
	struct aead_op op = { .data = msg + sizeof(struct message_data),
			      .key = m->session.send_key,
			      .nonce = m->counter };

	store_le32(msg, MESSAGE_DATA);
	store_le32(msg + 4, m->session.remote_index);
	store_le64(msg + 8, m->counter++);
	aead_seal_burst(aead, &op, 1);
	if (send(fd, msg, sizeof(msg), 0) != sizeof(msg))
		load_die("send");
}

bool crowd_meet(struct member *m, int fd, struct aead *aead, unsigned attempts, int ms,
		struct crowd_secrets *secrets)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct message_initiation first;
	uint8_t buf[256];

	while (attempts--) {
		ssize_t len = 0;

		crowd_initiation(m, 0, &first);
		if (secrets)
			keep_first(m, secrets);
		if (send(fd, &first, sizeof(first), 0) != sizeof(first))
			load_die("send");
		/* A cookie reply is an answer too: the next attempt brings it along. */
		while (len != sizeof(struct message_cookie_reply) && poll(&p, 1, ms) > 0) {
			len = recv(fd, buf, sizeof(buf), 0);
			if (len > 0 && take_answer(m, buf, (size_t)len, secrets)) {
				confirm(m, fd, aead);
				return true;
			}
		}
	}
	return false;
}

void crowd_lay(struct crowd_burst *b, const struct member *m, unsigned n, size_t size,
	       struct in_addr to, uint16_t port)
{
	struct in_addr from = crowd_address(m->number);

	memset(b, 0, sizeof(*b));
	b->n = n;
	b->size = size;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *ip = b->data[i] + sizeof(struct message_data), *udp = ip + 20;

		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)size);
		ip[8] = 64;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, &from, sizeof(from));
		memcpy(ip + 16, &to, sizeof(to));
		checksum_store(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
		store_be16(udp, port);
		store_be16(udp + 2, port);
		store_be16(udp + 4, (uint16_t)(size - 20)); /* no checksum: RFC 768 */
	}
}

unsigned crowd_send(struct crowd_burst *b, struct member *m, int fd, struct aead *aead)
{
	struct mmsghdr msgs[CROWD_BURST];
	struct iovec iov[CROWD_BURST];
	struct aead_op ops[CROWD_BURST];
	int sent;

	for (unsigned i = 0; i < b->n; i++) {
		uint8_t *msg = b->data[i];

		store_le32(msg, MESSAGE_DATA);
		store_le32(msg + 4, m->session.remote_index);
		store_le64(msg + 8, m->counter);
		ops[i] = (struct aead_op){ .data = msg + sizeof(struct message_data),
					   .len = b->size,
					   .key = m->session.send_key,
					   .nonce = m->counter++ };
		iov[i] = (struct iovec){ msg, b->size + MESSAGE_DATA_OVERHEAD };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	aead_seal_burst(aead, ops, b->n);
	sent = sendmmsg(fd, msgs, b->n, 0);
	return sent < 0 ? 0 : (unsigned)sent;
}
