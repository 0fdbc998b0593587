/* SPDX-License-Identifier: MIT */
/* The names of the tenants in config.d, in order. Any thread. */
#ifndef BERTH_CONFIG_FOLDER_H
#define BERTH_CONFIG_FOLDER_H

#include "fault.h"

struct folder {
	char **names; /* of tenants, without ".conf", sorted bytewise */
	size_t n;
	char *text; /* what the names point into */
	int dirfd;  /* of the folder, for tenant_file_read() */
};

/*
 * Lists the folder at path. Files are not looked into. 0: *out is filled and
 * owns a descriptor; entries that look like tenants but have no valid name were
 * added to faults. Otherwise -errno of opening or reading, with a fault, or
 * -ENOMEM; *out is empty.
 */
must_check int folder_read(struct folder *out, const char *path, struct fault_list *faults);

/* Closes and frees. */
void folder_free(struct folder *folder);

#endif
