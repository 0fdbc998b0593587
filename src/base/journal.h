/* SPDX-License-Identifier: MIT */
/*
 * Lines as entries of systemd's journal, with fields that programs can ask for
 * (`journalctl BERTH_TENANT=blog`). The protocol is systemd's "Native Journal
 * Protocol": a datagram of NAME=value lines. log.h is what the rest of us uses.
 */
#ifndef BERTH_BASE_JOURNAL_H
#define BERTH_BASE_JOURNAL_H

#include "../base.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct log_about;

/*
 * Sends one entry by a socket of datagram_connect(): text (one line, sanitised already),
 * priority as in syslog(3), and the fields of about, which are sanitised here and left out
 * when NULL; about may be NULL. Never blocks. 0; -EAGAIN: the journal does not keep up; -errno. Any thread.
 */
must_check int journal_send(int fd, int priority, const char *text, const struct log_about *about);

#endif
