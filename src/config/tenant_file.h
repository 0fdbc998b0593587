/* SPDX-License-Identifier: MIT */
/* Reads config.d/NAME.conf, and the key files it names. Any thread. */
#ifndef BERTH_CONFIG_TENANT_FILE_H
#define BERTH_CONFIG_TENANT_FILE_H

#include "file.h"
#include "tenant.h"

/*
 * Reads NAME.conf in the folder dirfd, whose name (for messages) is dir.
 *
 * 0: *out is a value. Faults may have got warnings; beside TENANT_REVOKED also
 *    errors, which do not keep the tenant alive: whoever blanks a key means it,
 *    whatever else is in the file; but a key whose section has a mistyped name is
 *    not gone. Beside TENANT_EXPIRED there is one, that it has.
 * -EINVAL: broken, faults were added; the last good configuration stays.
 * -EAGAIN: it, or a key file, was being written: read again. -ENOMEM. Both without faults.
 * In every case but 0, *out is NULL.
 */
must_check int tenant_file_read(struct config_tenant **out, int dirfd, const char *dir,
				const char *name, struct fault_list *faults);

/* The same from memory: text is what NAME.conf holds, text->mode its permissions. */
must_check int tenant_file_parse(struct config_tenant **out, int dirfd, const char *dir,
				 const char *name, const struct file_text *text,
				 struct fault_list *faults);

#endif
