/* SPDX-License-Identifier: MIT */
/* Values behind keys: numbers, names, addresses, endpoints, keys. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>

#include "../base/encoding.h"
#include "../base/endpoint.h"
#include "file.h"
#include "value.h"

enum { PORT_TEXT_MAX = 5, HOST_TEXT_MAX = 253 };

/* Digits only. -EINVAL, -ERANGE. */
static int parse_u32(const char *text, int base, uint32_t *out)
{
	unsigned long long n;

	/* strtoull() would take a sign, blanks, and a second 0x. */
	if (!*text || text[strspn(text, base == 16 ? "0123456789abcdefABCDEF" : "0123456789")])
		return -EINVAL;
	errno = 0;
	n = strtoull(text, NULL, base);
	if (errno || n > UINT32_MAX)
		return -ERANGE;
	*out = n;
	return 0;
}

int value_number(const struct rules_where *where, const char *text, uint32_t low, uint32_t high,
		 uint32_t *out)
{
	uint32_t n;

	if (parse_u32(text, 10, &n) || n < low || n > high) {
		rules_fault(where, "'%s' is not a number from %u to %u", text, low, high);
		return -EINVAL;
	}
	*out = n;
	return 0;
}

int value_on_shared_key(const struct rules_where *where, const char *text, bool *out)
{
	static const char *const words[] = { "notice", "quarantine" };
	unsigned i;
	int err = value_choice(where, text, words, ARRAY_SIZE(words), &i);

	if (!err)
		*out = i == 1;
	return err;
}

int value_fwmark(const struct rules_where *where, const char *text, uint32_t *out)
{
	bool hex = strncasecmp(text, "0x", 2) == 0;

	if (strcasecmp(text, "off") == 0) {
		*out = 0;
		return 0;
	}
	if (parse_u32(hex ? text + 2 : text, hex ? 16 : 10, out)) {
		rules_fault(where, "'%s' is neither off nor a number of 32 bits", text);
		return -EINVAL;
	}
	return 0;
}

int value_mtu(const struct rules_where *where, const char *text, uint32_t *out)
{
	if (parse_u32(text, 10, out)) {
		rules_fault(where, "'%s' is not a number of bytes", text);
		return -EINVAL;
	}
	return 0;
}

int value_check_mtu(const struct rules_where *where, uint32_t mtu,
		    const struct value_mtu_range *range)
{
	if (mtu >= range->low && mtu <= range->high)
		return 0;
	rules_fault(where, "'%u' is not a number from %u%s to %u%s", mtu, range->low,
		    range->low_why, range->high, range->high_why);
	return -EINVAL;
}

int value_keepalive(const struct rules_where *where, const char *text, uint16_t *out)
{
	uint32_t seconds = 0;

	if (strcasecmp(text, "off") != 0 &&
	    (parse_u32(text, 10, &seconds) || seconds > UINT16_MAX)) {
		rules_fault(where, "'%s' is neither off nor a number of seconds up to 65535", text);
		return -EINVAL;
	}
	*out = seconds;
	return 0;
}

int value_choice(const struct rules_where *where, const char *text, const char *const *words,
		 size_t n_words, unsigned *out)
{
	int i = rules_find(text, words, n_words);
	char list[128] = "";

	if (i >= 0) {
		*out = i;
		return 0;
	}
	for (size_t k = 0; k < n_words; k++) {
		size_t len = strlen(list);

		snprintf(list + len, sizeof(list) - len, "%s%s", k ? ", " : "", words[k]);
	}
	rules_fault(where, "'%s' is none of: %s", text, list);
	return -EINVAL;
}

int value_announce(const struct rules_where *where, const char *text, enum announce *out)
{
	static const char *const words[] = { "always", "connected" };
	unsigned i;
	int err = value_choice(where, text, words, ARRAY_SIZE(words), &i);

	if (!err)
		*out = i ? ANNOUNCE_CONNECTED : ANNOUNCE_ALWAYS;
	return err;
}

int value_isolate(const struct rules_where *where, const char *text, enum isolate *out)
{
	static const char *const words[] = { "no", "yes" };
	unsigned i;
	int err = value_choice(where, text, words, ARRAY_SIZE(words), &i);

	if (!err)
		*out = i ? ISOLATE_YES : ISOLATE_NO;
	return err;
}

bool value_is_ifname(const char *text)
{
	size_t len = strlen(text);

	if (!len || len >= IFNAMSIZ || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (; *text; text++) {
		if (*text == '/' || *text == ':' || *text == '%' || !isgraph((unsigned char)*text))
			return false;
	}
	return true;
}

int value_ifname(const struct rules_where *where, const char *text, char out[IFNAMSIZ])
{
	if (!value_is_ifname(text)) {
		rules_fault(where, "'%s' is no name for an interface (1 to 15 characters, no '/', "
			    "':', '%%' or blank)", text);
		return -EINVAL;
	}
	strcpy(out, text);
	return 0;
}

int value_path(const struct rules_where *where, const char *dir, const char *text, char **out)
{
	char *path;

	if (!*text) {
		rules_fault(where, "a path is missing");
		return -EINVAL;
	}
	path = file_join(dir, text);
	if (!path)
		return -ENOMEM;
	free(*out);
	*out = path;
	return 0;
}

/*
 * Cuts the next item off a comma list, trimmed; the list is written to. NULL:
 * there is no more.
 */
static char *next_item(char **list)
{
	char *item = strsep(list, ","), *end;

	if (!item)
		return NULL;
	while (isspace((unsigned char)*item))
		item++;
	end = item + strlen(item);
	while (end > item && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return item;
}

int value_each_item(const struct rules_where *where, const char *text, const char *what,
		    rules_set_fn *take, void *target)
{
	char *copy = strdup(text), *list = copy, *item;
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	while (*text && ret != -ENOMEM && (item = next_item(&list))) {
		int err;

		if (*item) {
			err = take(target, where, item);
		} else {
			rules_fault(where, "%s is missing beside ','", what);
			err = -EINVAL;
		}
		ret = err ? err : ret;
	}
	free(copy);
	return ret;
}

static void fault_address(const struct rules_where *where, const char *text)
{
	rules_fault(where, "'%s': an address is expected, like 192.0.2.1/32 or 2001:db8::1/128",
		    text);
}

/* The address without its length. -EINVAL. */
static int parse_host(struct prefix *out, const char *text)
{
	char host[PREFIX_STRLEN];
	size_t len = strcspn(text, "/");

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	return prefix_parse(out, host);
}

/* An array that doubles is full when its number is a power of two. */
static void *room_for_one(void *array, uint32_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return reallocarray(array, n ? (size_t)2 * n : 1, size);
}

static int take_range(void *target, const struct rules_where *where, const char *item)
{
	struct config_ranges *ranges = target;
	struct config_range *grown;
	struct prefix range, host;

	if (prefix_parse(&range, item) || parse_host(&host, item)) {
		fault_address(where, item);
		return -EINVAL;
	}
	if (memcmp(range.addr, host.addr, sizeof(range.addr)) != 0) {
		char text[PREFIX_STRLEN];

		rules_warn(where, "'%s' means the whole range %s", item,
			   prefix_format(&range, text));
	}
	grown = room_for_one(ranges->v, ranges->n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ranges->v = grown;
	grown[ranges->n].prefix = range;
	grown[ranges->n++].line = where->line <= UINT16_MAX ? where->line : 0;
	return 0;
}

int value_ranges(const struct rules_where *where, const char *text, struct config_ranges *out)
{
	return value_each_item(where, text, "an address", take_range, out);
}

int value_compare_ranges(const void *x, const void *y)
{
	const struct config_range *a = x, *b = y;

	if (a->prefix.family != b->prefix.family)
		return a->prefix.family < b->prefix.family ? -1 : 1;
	if (memcmp(a->prefix.addr, b->prefix.addr, sizeof(a->prefix.addr)) != 0)
		return memcmp(a->prefix.addr, b->prefix.addr, sizeof(a->prefix.addr));
	if (a->prefix.cidr != b->prefix.cidr)
		return a->prefix.cidr < b->prefix.cidr ? -1 : 1;
	return (a->line > b->line) - (a->line < b->line);
}

void value_sort_ranges(struct config_ranges *ranges)
{
	struct config_range *v = ranges->v;
	uint32_t n = 0;

	if (ranges->n < 2)
		return;
	qsort(v, ranges->n, sizeof(*v), value_compare_ranges);
	for (uint32_t i = 0; i < ranges->n; i++) {
		if (!n || !prefix_equal(&v[n - 1].prefix, &v[i].prefix))
			v[n++] = v[i];
	}
	ranges->n = n;
	/* Smaller, so the old memory is as good if there is no new. */
	v = reallocarray(v, n, sizeof(*v));
	if (v)
		ranges->v = v;
}

static int take_address(void *target, const struct rules_where *where, const char *item)
{
	struct config_addresses *addresses = target;
	struct config_address *grown;
	struct prefix network, host;

	if (prefix_parse(&network, item) || parse_host(&host, item)) {
		fault_address(where, item);
		return -EINVAL;
	}
	grown = room_for_one(addresses->v, addresses->n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	addresses->v = grown;
	grown += addresses->n++;
	grown->family = network.family;
	grown->length = network.cidr;
	memcpy(grown->addr, host.addr, sizeof(grown->addr));
	return 0;
}

int value_addresses(const struct rules_where *where, const char *text,
		    struct config_addresses *out)
{
	return value_each_item(where, text, "an address", take_address, out);
}

/* A host name, roughly: whether it exists only the resolver can say. */
static bool is_host_name(const char *text, size_t len)
{
	bool has_letter = false;

	if (!len || len > HOST_TEXT_MAX || *text == '-' || *text == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (!isalnum(c) && c != '-' && c != '.' && c != '_')
			return false;
		has_letter = has_letter || isalpha(c);
	}
	return has_letter;
}

static bool is_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':');
	struct endpoint numeric;
	uint32_t port;

	if (!colon || strlen(colon + 1) > PORT_TEXT_MAX || !isdigit((unsigned char)colon[1]) ||
	    parse_u32(colon + 1, 10, &port) || port < 1 || port > UINT16_MAX)
		return false;
	return endpoint_parse(&numeric, text) == 0 || is_host_name(text, colon - text);
}

int value_endpoint(const struct rules_where *where, const char *text, char **out)
{
	char *copy;

	if (!is_endpoint(text)) {
		rules_fault(where, "'%s' is not host:port, 192.0.2.1:port or [2001:db8::1]:port",
			    text);
		return -EINVAL;
	}
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*out);
	*out = copy;
	return 0;
}

int value_key(const struct rules_where *where, const char *text, bool secret,
	      uint8_t out[VALUE_KEY_LEN])
{
	if (key_from_base64(out, text)) {
		if (secret)
			rules_fault(where, "this is not a key (44 characters of base64 expected, "
				    "%zu found)", strlen(text));
		else
			rules_fault(where, "'%s' is not a key (44 characters of base64 expected)",
				    text);
		return -EINVAL;
	}
	if (key_is_zero(out)) {
		rules_fault(where, "a key of nothing but zeros is none");
		return -EINVAL;
	}
	return 0;
}

/* path is what where->key says, full the same for messages. */
static int read_key(const struct rules_where *where, int dirfd, const char *path,
		    const char *full, bool secret, uint8_t out[VALUE_KEY_LEN])
{
	struct file_text text;
	int err = file_read(&text, dirfd, path, FILE_KEY_MAX);

	if (err == -ENOTDIR)
		err = -ENOENT;
	if (err == -ENOENT || err == -EAGAIN || err == -ENOMEM)
		return err;
	if (err) {
		rules_fault(where, "'%s': %s", full, file_error(err));
		return -EINVAL;
	}
	while (text.len && isspace((unsigned char)text.data[text.len - 1]))
		text.data[--text.len] = '\0';
	if (!text.len) {
		err = -ENOENT;
	} else if (secret && file_is_exposed(text.mode)) {
		rules_fault(where, "'%s' is open to group or others: chmod 600 %s", full, full);
		err = -EINVAL;
	} else if (strlen(text.data) != text.len || key_from_base64(out, text.data)) {
		rules_fault(where, "'%s' does not hold a key (44 characters of base64 expected)",
			    full);
		err = -EINVAL;
	} else if (key_is_zero(out)) {
		rules_fault(where, "'%s': a key of nothing but zeros is none", full);
		err = -EINVAL;
	}
	file_text_free(&text);
	return err;
}

int value_key_file(const struct rules_where *where, int dirfd, const char *dir, const char *path,
		   bool secret, uint8_t out[VALUE_KEY_LEN])
{
	char *full = file_join(dir, path);
	int err;

	if (!full)
		return -ENOMEM;
	err = read_key(where, dirfd, path, full, secret, out);
	free(full);
	return err;
}
