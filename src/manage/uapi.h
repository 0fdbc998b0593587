/* SPDX-License-Identifier: MIT */
/*
 * WireGuard's cross-platform configuration protocol, version 1
 * (https://www.wireguard.com/xplatform/), as text: what `wg` says to a
 * userspace implementation and what it wants to hear. Where the specification
 * is silent, wireguard-go is followed, down to the sign of errno.
 *
 * No sockets, no device. Any thread. The one thing asked of the system is the
 * number of an interface that an endpoint's scope names.
 */
#ifndef BERTH_MANAGE_UAPI_H
#define BERTH_MANAGE_UAPI_H

#include "../config/change.h"
#include "../path/device.h"
#include "text.h"

enum uapi_kind {
	UAPI_GET,
	UAPI_SET,
	UAPI_UNKNOWN /* not this protocol, or a version that is not ours */
};

/* Which request is it? By its first line. len bytes. */
enum uapi_kind uapi_request_kind(const char *text, size_t len);

/* Where a request is wrong. No value is quoted: it may be a secret. */
struct uapi_fault {
	unsigned line;    /* from 1, "set=1" being the first */
	char key[32];     /* what stands before the '=', if that is a word; or "" */
	const char *what; /* half a sentence */
};

enum uapi_flags {
	UAPI_MAY_TAKE = 1 << 0 /* sets PEER_MAY_TAKE: a drop-in does, a router does not */
};

/*
 * Reads a `set` request of len bytes, "set=1" and all, without the empty line
 * at its end, into changes in the order of the text. Each public_key begins a
 * change of its own, so a peer may be named twice. An endpoint is a number;
 * its scope may be an interface of our namespace. Addresses that are added and
 * taken away in turns are further changes of their peer (PEER_UPDATE_ONLY).
 *
 * 0: *out was filled; nothing is checked against a device. -EPROTO: a line is
 * not key=value; -EINVAL: a key or value is not in the protocol; both with
 * *fault. -ENOMEM. *out, empty before, is empty again after an error.
 */
must_check int uapi_parse_set(struct change_list *out, const char *text, size_t len,
			      unsigned flags, struct uapi_fault *fault);

/* "line 3, listen_port: not a number up to 65535". Returns buf. */
enum { UAPI_FAULT_STRLEN = 160 };
const char *uapi_fault_format(const struct uapi_fault *fault, char buf[UAPI_FAULT_STRLEN]);

/* The change in words, for a log that says which one failed; no secrets. Returns buf. */
const char *uapi_change_format(const struct change *change, char buf[UAPI_FAULT_STRLEN]);

/*
 * The answer to `get`: the device, each peer, the end. What is unset is left
 * out. The text then holds the private key and all preshared keys.
 */
void uapi_format_device(struct text *out, const struct device_info *info);
void uapi_format_peer(struct text *out, const struct device_peer *peer);

/* "errno=…" and the empty line that end every answer. err: 0 or negative. */
void uapi_format_end(struct text *out, int err);

#endif
