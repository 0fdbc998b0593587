/* SPDX-License-Identifier: MIT */
/* Datagrams to the journal. */
#include "journal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "log.h"

enum {
	FIELD_MAX = 256, /* a tenant's name has 64 bytes, an event fewer; a reason is a sentence */
	ENTRY_MAX = LOG_TEXT_MAX + 3 * (FIELD_MAX + 16) + 128
};

/* No value has a newline once it is sanitised: the short form of a field does for all. */
static size_t add_field(char *out, const char *name, const char *value)
{
	char clean[FIELD_MAX];

	if (!value || !*value)
		return 0;
	log_sanitise(clean, sizeof(clean), value);
	return (size_t)sprintf(out, "%s=%s\n", name, clean);
}

int journal_send(int fd, int priority, const char *text, const struct log_about *about)
{
	char entry[ENTRY_MAX];
	size_t len = (size_t)sprintf(entry, "PRIORITY=%d\nSYSLOG_IDENTIFIER=berthd\nMESSAGE=%s\n",
				     priority, text);

	if (about) {
		len += add_field(entry + len, "BERTH_TENANT", about->tenant);
		len += add_field(entry + len, "BERTH_EVENT", about->event);
		len += add_field(entry + len, "BERTH_REASON", about->reason);
	}
	return send(fd, entry, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
