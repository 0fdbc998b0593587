/* SPDX-License-Identifier: MIT */
/* The gateway's configuration as an operator's command finds it. */
#include "holdings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "../../src/config/tenant_file.h"
#include "whereabouts.h"

/* A file that is being written is looked at again: it takes a moment. */
enum { READINGS_MAX = 5 };

static int read_router(struct holdings *h, const char *path)
{
	struct fault_list faults = { 0 };
	int err = -EAGAIN;

	if (access(path, R_OK) && errno == ENOENT)
		return complain("there is no %s: `berth init` writes one", path);
	if (access(path, R_OK) && errno == EACCES)
		return complain("no permission to read %s: run this as root", path);
	for (int i = 0; err == -EAGAIN && i < READINGS_MAX; i++)
		err = router_read(&h->router, path, &faults);
	if (err) {
		fault_print(&faults, stderr);
		(void)complain("cannot read %s: %s", path,
			       err == -EINVAL ? "mend what is said above" : strerror(-err));
	}
	fault_list_free(&faults);
	return err ? EXIT_FAULT : EXIT_GOOD;
}

/* Says what is wrong, and goes on with what is known nevertheless. */
static int read_anyway(struct holdings *h, const char *path)
{
	struct config_router *found = NULL;
	bool missing = access(path, F_OK) && errno == ENOENT;

	if (missing) {
		/* Only where somebody has had tenants. */
		if (whereabouts_read(&found, path) || access(found->tenants, F_OK)) {
			router_free(found);
			return read_router(h, path);
		}
		(void)complain("there is no %s", path);
	} else if (!read_router(h, path)) {
		return EXIT_GOOD;
	} else if (whereabouts_read(&found, path)) {
		return EXIT_FAULT;
	}
	h->router = found;
	h->faulty = true;
	(void)complain("going on all the same, with the tenants in %s and berthd at %s",
		       found->tenants, found->control);
	return EXIT_GOOD;
}

static int list_folder(struct holdings *h)
{
	struct fault_list faults = { 0 };
	int err = folder_read(&h->folder, h->router->tenants, &faults);

	fault_list_free(&faults);
	if (err == -ENOENT && h->faulty)
		return complain("there is no %s: rm FOLDER/NAME.conf in the one that berthd reads "
				"ends a tenant at once", h->router->tenants);
	if (err == -ENOENT)
		return complain("there is no %s: mkdir -m 700 %s", h->router->tenants,
				h->router->tenants);
	if (err == -EACCES)
		return complain("no permission to read %s: run this as root", h->router->tenants);
	if (err)
		return complain("cannot read %s: %s", h->router->tenants, strerror(-err));
	return EXIT_GOOD;
}

/* The list is made twice, as only the descriptor of the first can be locked. */
static int lock_folder(struct holdings *h)
{
	int status = list_folder(h), fd;

	if (status)
		return status;
	fd = dup(h->folder.dirfd);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		if (fd >= 0)
			close(fd);
		return complain("cannot lock %s: %s", h->router->tenants, strerror(errno));
	}
	folder_free(&h->folder);
	status = list_folder(h);
	if (status) {
		close(fd);
		return status;
	}
	close(h->folder.dirfd);
	h->folder.dirfd = fd; /* of the same open file as that which is locked */
	return EXIT_GOOD;
}

static int open_by(struct holdings *h, const char *path,
		   int (*read)(struct holdings *h, const char *path))
{
	int status;

	*h = (struct holdings){ .folder.dirfd = -1 };
	status = read(h, path);
	if (!status)
		status = lock_folder(h);
	if (status)
		holdings_free(h);
	return status;
}

int holdings_open(struct holdings *h, const char *path)
{
	return open_by(h, path, read_router);
}

int holdings_open_anyway(struct holdings *h, const char *path)
{
	return open_by(h, path, read_anyway);
}

bool holdings_take(struct holdings *h, const struct prefix *range)
{
	if (h->n_taken == h->room) {
		size_t room = 2 * h->room + 16;
		struct prefix *grown = reallocarray(h->taken, room, sizeof(*grown));

		if (!grown)
			return false;
		h->taken = grown;
		h->room = room;
	}
	h->taken[h->n_taken++] = *range;
	return true;
}

static int take_tenant(struct holdings *h, const struct config_tenant *tenant,
		       struct fault_list *faults)
{
	const struct config_ranges *ranges;

	if (tenant->state == TENANT_REVOKED || tenant->kind == TENANT_TUNNEL)
		return 0;
	ranges = &tenant->peers[0].allowed_ips;
	for (uint32_t i = 0; i < ranges->n; i++)
		if (!holdings_take(h, &ranges->v[i].prefix))
			return -ENOMEM;
	return claims_try(h->claims, tenant, faults);
}

static int read_tenant(struct holdings *h, const char *name)
{
	struct fault_list faults = { 0 };
	struct config_tenant *tenant = NULL;
	int err = -EAGAIN;

	for (int i = 0; err == -EAGAIN && i < READINGS_MAX; i++)
		err = tenant_file_read(&tenant, h->folder.dirfd, h->router->tenants, name,
				       &faults);
	if (!err)
		err = take_tenant(h, tenant, &faults);
	tenant_free(tenant);
	fault_list_free(&faults);
	return err;
}

int holdings_read(struct holdings *h)
{
	int err = 0;

	h->claims = claims_new();
	if (!h->claims)
		err = -ENOMEM;
	for (size_t i = 0; !err && i < h->folder.n; i++) {
		err = read_tenant(h, h->folder.names[i]);
		if (err && err != -ENOMEM) {
			h->n_faulty++;
			err = 0;
		}
	}
	for (uint32_t i = 0; !err && i < h->router->addresses.n; i++) {
		const struct config_address *own = &h->router->addresses.v[i];
		struct prefix host = prefix_host(own->family, own->addr);

		err = holdings_take(h, &host) ? 0 : -ENOMEM;
	}
	return err ? complain("not enough memory for all tenants") : EXIT_GOOD;
}

static int compare_name(const void *name, const void *element)
{
	return strcmp(name, *(char *const *)element);
}

bool holdings_has(const struct holdings *h, const char *name)
{
	return h->folder.n && bsearch(name, h->folder.names, h->folder.n, sizeof(char *),
				      compare_name);
}

char *holdings_path(const struct holdings *h, const char *name, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s/%s%s", h->router->tenants, name, suffix) < 0 ? NULL : path;
}

void holdings_free(struct holdings *h)
{
	folder_free(&h->folder);
	claims_free(h->claims);
	router_free(h->router);
	free(h->taken);
	*h = (struct holdings){ .folder.dirfd = -1 };
}
