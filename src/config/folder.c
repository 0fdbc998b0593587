/* SPDX-License-Identifier: MIT */
/* The tenants of config.d by name. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "file.h"
#include "folder.h"
#include "tenant.h"

/* Names in the order in which the folder gives them, NUL behind each: 100,000 in one buffer. */
struct names {
	char *text;
	size_t len, room;
	size_t n;
};

static int add_name(struct names *names, const char *name)
{
	size_t len = strlen(name) + 1;

	if (names->room - names->len < len) {
		size_t room = 2 * names->room + 4096;
		char *grown = realloc(names->text, room);

		if (!grown)
			return -ENOMEM;
		names->text = grown;
		names->room = room;
	}
	memcpy(names->text + names->len, name, len);
	names->len += len;
	names->n++;
	return 0;
}

static int read_entries(DIR *dir, const char *path, struct names *names,
			struct fault_list *faults)
{
	char name[TENANT_NAME_MAX + 1];
	struct dirent *entry;
	int err = 0;

	while (!err && (errno = 0, entry = readdir(dir))) {
		switch (tenant_entry_kind(entry->d_name, name)) {
		case TENANT_ENTRY:
			err = add_name(names, name);
			break;
		case TENANT_ENTRY_BAD:
			fault_add(faults, path, 0,
				  "'%s' is no name for a tenant: NAME.conf is, with 1 to %d of "
				  "A-Z a-z 0-9 . _ -", entry->d_name, TENANT_NAME_MAX);
			break;
		case TENANT_ENTRY_IGNORED:
			break;
		}
	}
	return err ? err : -errno;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Hands the buffer over to *out, with pointers into it in order. */
static int sort_names(struct folder *out, struct names *names)
{
	char *name = names->text;

	out->names = reallocarray(NULL, names->n ? names->n : 1, sizeof(*out->names));
	if (!out->names)
		return -ENOMEM;
	for (size_t i = 0; i < names->n; i++) {
		out->names[i] = name;
		name += strlen(name) + 1;
	}
	qsort(out->names, names->n, sizeof(*out->names), compare_names);
	out->n = names->n;
	out->text = names->text;
	names->text = NULL;
	return 0;
}

int folder_read(struct folder *out, const char *path, struct fault_list *faults)
{
	struct names names = { 0 };
	DIR *dir = NULL;
	int fd, err;

	*out = (struct folder){ .dirfd = -1 };
	out->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* closedir() closes what readdir() used, so that one is a copy. */
	fd = out->dirfd < 0 ? -1 : fcntl(out->dirfd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		goto out;
	}
	err = read_entries(dir, path, &names, faults);
	closedir(dir);
	if (!err)
		err = sort_names(out, &names);
out:
	free(names.text);
	if (err) {
		if (err != -ENOMEM)
			fault_add(faults, path, 0, "%s", file_error(err));
		folder_free(out);
	}
	return err;
}

void folder_free(struct folder *folder)
{
	if (folder->dirfd >= 0)
		close(folder->dirfd);
	free(folder->names);
	free(folder->text);
	*folder = (struct folder){ .dirfd = -1 };
}
