/* SPDX-License-Identifier: MIT */
/*
 * Reads files of config.d and brings what they say into force: all that wants
 * something is weighed together, and who cannot have it waits. Control thread.
 */
#ifndef BERTH_MANAGE_INTAKE_H
#define BERTH_MANAGE_INTAKE_H

#include "alarm.h"
#include "enforce.h"
#include "entries.h"
#include "watch.h"

struct intake {
	const char *folder;  /* config.d */
	struct watch *watch; /* is told of key files */
	struct alarm *alarm; /* is told of dates */
	struct entries entries;
	struct enforce enforce;
	uint8_t own_key[VALUE_KEY_LEN]; /* the gateway's public key; all zero: there is no gateway */
	size_t n_refused; /* files that are not in force as they are */
	/* Is it the turn of what a scan has read? NULL: always. What it is not is as if unread. */
	bool (*is_turn)(void *arg, const struct config_tenant *conf);
	void *is_turn_arg;
	void (*changed)(void *arg); /* some files have been dealt with; NULL: nobody asks */
	void *changed_arg;
	/* To be looked at again in a second: a scan has seen what is believed when it is seen
	 * twice, or something could not be read for want of descriptors. */
	bool doubts;
	bool starved; /* memory was missing: the same, and who waits is weighed again */
};

/* Learns the public key of the gateway from in->enforce.router. Before the first file. */
void intake_learn_key(struct intake *in);

/*
 * Reads the files of these n tenants in the folder dirfd. scanning: no event
 * has told of them, so one that looks emptied is looked at twice (in->doubts).
 * Faults are logged, once each. Names of entries that are freed may be given.
 */
void intake_names(struct intake *in, int dirfd, const char *const *names, size_t n, bool scanning);

/* Whoever waits for what others have held gets what is free by now. */
void intake_settle(struct intake *in);

/* Adds the faults for which the file of an entry is refused; it is read again for them. */
void intake_explain(struct intake *in, const struct file_entry *e, struct fault_list *faults);

#endif
