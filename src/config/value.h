/* SPDX-License-Identifier: MIT */
/*
 * The values that stand behind keys, each parsed by one function that adds
 * its own fault (`where` says for which file, line and key) and returns
 * -EINVAL. Secrets are never quoted. Any thread.
 */
#ifndef BERTH_CONFIG_VALUE_H
#define BERTH_CONFIG_VALUE_H

#include <net/if.h>

#include "../base/prefix.h"
#include "change.h"
#include "rules.h"

enum { VALUE_KEY_LEN = 32 };

/* An address range of AllowedIPs or Prefix, and the line where it stands. */
struct config_range {
	struct prefix prefix;
	uint16_t line; /* 0: behind line 65535 */
};

struct config_ranges {
	struct config_range *v;
	uint32_t n;
};

/* The address of an interface: all its bits, and the length of its network. */
struct config_address {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t length;
	uint8_t addr[16]; /* network order, IPv4 in the first 4 bytes */
};

struct config_addresses {
	struct config_address *v;
	uint32_t n;
};

/* A decimal number without sign in [low, high]. */
must_check int value_number(const struct rules_where *where, const char *text, uint32_t low,
			    uint32_t high, uint32_t *out);

/* "off" (0), or a number, decimal or 0x…, for SO_MARK. */
must_check int value_fwmark(const struct rules_where *where, const char *text, uint32_t *out);

/*
 * Below 576 bytes not even IPv4 works (RFC 791), below 1280 no IPv6 (RFC 8200 §5); above,
 * 65535 bytes less IPv4 (20), UDP (8) and the header and tag of a data message (32) are left.
 */
enum { VALUE_MTU_MIN = 576, VALUE_MTU_IPV6 = 1280, VALUE_MTU_MAX = 65475 };

/*
 * MTU of a tunnel interface, as any number: what its range is shows when all of the file is
 * known, and then value_check_mtu() says it.
 */
must_check int value_mtu(const struct rules_where *where, const char *text, uint32_t *out);

/*
 * The range that the MTU at `where` is to be in, and why it is that; low_why and high_why
 * are "" or begin with a blank. 0 or -EINVAL.
 */
struct value_mtu_range {
	uint32_t low, high;
	const char *low_why, *high_why;
};

must_check int value_check_mtu(const struct rules_where *where, uint32_t mtu,
			       const struct value_mtu_range *range);

/* "off" (0) or seconds, up to 65535. */
must_check int value_keepalive(const struct rules_where *where, const char *text, uint16_t *out);

/* One of words, in any case; *out becomes its index. */
must_check int value_choice(const struct rules_where *where, const char *text,
			    const char *const *words, size_t n_words, unsigned *out);

/* May an interface be called so (dev_valid_name of Linux)? */
bool value_is_ifname(const char *text);
must_check int value_ifname(const struct rules_where *where, const char *text,
			    char out[IFNAMSIZ]);

/* "notice" or "quarantine", of which *out tells. */
must_check int value_on_shared_key(const struct rules_where *where, const char *text, bool *out);

/* "always" or "connected". */
must_check int value_announce(const struct rules_where *where, const char *text,
			      enum announce *out);

/* "no" or "yes"; never ISOLATE_DEFAULT. */
must_check int value_isolate(const struct rules_where *where, const char *text, enum isolate *out);

/*
 * Calls take for each item of a comma list, trimmed, also behind one that it
 * refuses; what ("an address") is said to be missing where an item is empty. An
 * empty text has no items. 0, or the last error; -ENOMEM ends it.
 */
must_check int value_each_item(const struct rules_where *where, const char *text,
			       const char *what, rules_set_fn *take, void *target);

/* A path, relative to the folder dir unless absolute. *out is freed and replaced. -ENOMEM. */
must_check int value_path(const struct rules_where *where, const char *dir, const char *text,
			  char **out);

/*
 * A comma list of addresses with or without length; bits behind the length
 * are cleared, with a warning, since 2001:db8::5/64 is rarely meant. Appends
 * those that are good; an empty text adds none. -ENOMEM.
 */
must_check int value_ranges(const struct rules_where *where, const char *text,
			    struct config_ranges *out);

/* Order by family, address, length, line; for qsort(). */
int value_compare_ranges(const void *a, const void *b);

/* Canonical order without duplicates, so that equal sets are equal arrays. */
void value_sort_ranges(struct config_ranges *ranges);

/* A comma list of interface addresses; without a length the whole address. -ENOMEM. */
must_check int value_addresses(const struct rules_where *where, const char *text,
			       struct config_addresses *out);

/* "host:port", "192.0.2.1:port" or "[2001:db8::1]:port"; a copy in *out, freed before. -ENOMEM. */
must_check int value_endpoint(const struct rules_where *where, const char *text, char **out);

/* 44 characters of base64, not all zero. A secret one is not quoted. */
must_check int value_key(const struct rules_where *where, const char *text, bool secret,
			 uint8_t out[VALUE_KEY_LEN]);

/*
 * The key in the file at path, relative to dirfd; dir is the name of that
 * folder. A secret one must be for its owner's eyes only. 0; -ENOENT: there is
 * no such file, or nothing in it (no fault is added: the caller knows what
 * that means); -EAGAIN: read again; -EINVAL; -ENOMEM.
 */
must_check int value_key_file(const struct rules_where *where, int dirfd, const char *dir,
			      const char *path, bool secret, uint8_t out[VALUE_KEY_LEN]);

#endif
