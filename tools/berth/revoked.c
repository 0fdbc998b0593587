/* SPDX-License-Identifier: MIT */
/* What stays of the file of a tenant that was revoked. */
#include "revoked.h"

#include <strings.h>

enum fate { STAYS, COMMENT, LOSES_VALUE };

static bool is_key(const char *line, size_t len, const char *key)
{
	size_t n = strlen(key);

	while (len && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	if (len < n || strncasecmp(line, key, n) != 0)
		return false;
	while (n < len && (line[n] == ' ' || line[n] == '\t'))
		n++;
	return n < len && line[n] == '=';
}

static enum fate fate_of(const char *line, size_t len)
{
	static const char *const comments[] = { "PublicKey", "PublicKeyFile", "PrivateKeyFile",
						"PresharedKeyFile" };
	static const char *const secrets[] = { "PrivateKey", "PresharedKey" };

	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		if (is_key(line, len, secrets[i]))
			return LOSES_VALUE;
	for (size_t i = 0; i < ARRAY_SIZE(comments); i++)
		if (is_key(line, len, comments[i]))
			return COMMENT;
	return STAYS;
}

void revoked_write(struct draft *draft, const char *text, size_t len)
{
	draft_init(draft);
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		switch (fate_of(text, n)) {
		case LOSES_VALUE:
			draft_add(draft, "# %.*s (was here)\n",
				  (int)strcspn(text, "="), text);
			break;
		case COMMENT:
			draft_add(draft, "# %.*s\n", (int)n, text);
			break;
		default:
			draft_add(draft, "%.*s\n", (int)n, text);
		}
		n += end != NULL;
		text += n;
		len -= n;
	}
}
