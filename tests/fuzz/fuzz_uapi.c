/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer over `set` requests.
 *
 * Length: 1500
 *
 * What is accepted is written as the answer to a `get` would be, read again,
 * and must be the same changes: neither direction forgets what the other knows.
 */
#include <errno.h>

#include "../../src/manage/uapi.h"
#include "fuzz.h"

static void check_fault(const struct uapi_fault *fault, int err)
{
	char words[UAPI_FAULT_STRLEN];

	must(err == -EPROTO || err == -EINVAL);
	must(fault->line >= 1);
	must(strlen(uapi_fault_format(fault, words)) < UAPI_FAULT_STRLEN);
}

static void write_peer(struct text *out, const struct change *c)
{
	struct device_peer peer = { .name = c->name,
				    .public_key = c->key,
				    .endpoint = c->endpoint,
				    .keepalive = c->keepalive,
				    .allowed_ips = c->allowed_ips,
				    .n_allowed_ips = c->n_allowed_ips };

	memcpy(peer.preshared_key, c->preshared_key, sizeof(peer.preshared_key));
	uapi_format_peer(out, &peer);
}

/* The lines of an answer that a `set` knows too. */
static void keep_settable(struct text *out, const struct text *answer)
{
	static const char *const measured[] = { "last_handshake_time", "tx_bytes", "rx_bytes" };

	text_add_string(out, "set=1\n");
	for (size_t at = 0; at < answer->len;) {
		const char *line = answer->data + at;
		const char *end = memchr(line, '\n', answer->len - at);
		size_t len = (size_t)(end - line) + 1;
		bool keep = true;

		for (size_t i = 0; i < ARRAY_SIZE(measured); i++)
			if (!strncmp(line, measured[i], min(len, strlen(measured[i]))))
				keep = false;
		if (keep)
			text_add(out, line, len);
		at += len;
	}
}

static void check_peer(const struct change *c)
{
	struct text answer = { 0 }, request = { 0 };
	struct change_list again = { 0 };
	struct uapi_fault fault;

	write_peer(&answer, c);
	keep_settable(&request, &answer);
	must(!uapi_parse_set(&again, request.data, request.len, 0, &fault));
	must(again.n == 1 && again.changes[0].kind == CHANGE_PEER);
	must(!memcmp(again.changes[0].key, c->key, sizeof(c->key)));
	must(!memcmp(again.changes[0].preshared_key, c->preshared_key, sizeof(c->key)));
	must(endpoint_equal(&again.changes[0].endpoint, &c->endpoint));
	must(again.changes[0].keepalive == c->keepalive);
	must(again.changes[0].n_allowed_ips == c->n_allowed_ips);
	for (size_t i = 0; i < c->n_allowed_ips; i++)
		must(prefix_equal(&again.changes[0].allowed_ips[i], &c->allowed_ips[i]));
	change_list_free(&again);
	text_free(&answer);
	text_free(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct change_list changes = { 0 };
	char words[UAPI_FAULT_STRLEN];
	struct uapi_fault fault;
	int err = uapi_parse_set(&changes, (const char *)data, size, 0, &fault);

	if (err) {
		check_fault(&fault, err);
		must(!changes.n && !changes.changes);
		return 0;
	}
	for (size_t i = 0; i < changes.n; i++) {
		(void)uapi_change_format(&changes.changes[i], words);
		if (changes.changes[i].kind == CHANGE_PEER)
			check_peer(&changes.changes[i]);
	}
	change_list_free(&changes);
	return 0;
}
