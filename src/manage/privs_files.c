/* SPDX-License-Identifier: MIT */
/* Files that the router reaches, by Landlock where the kernel has it. */
#include "privs_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/landlock.h"
#include "../base/log.h"
#include "tunnel_dns.h"
#include "tunnel_rpfilter.h"
#include "uapi_sock.h"

/* Allocated; of a path without a slash it is ".". NULL: no memory. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int allow_folder_of(struct landlock *rules, const char *path, enum landlock_right right)
{
	char *folder = folder_of(path);
	int err = folder ? landlock_allow(rules, folder, right) : -ENOMEM;

	free(folder);
	return err;
}

/* What fails here fails once more where it is needed, and is said there. */
static void make_folder(const char *folder, mode_t mode)
{
	(void)mkdir(folder, mode);
}

static void make_folder_of(const char *path)
{
	char *folder = folder_of(path);

	if (folder)
		make_folder(folder, 0755);
	free(folder);
}

void privs_files_make(const struct config_router *router)
{
	make_folder(router->state, 0700);
	make_folder_of(router->control);
	if (router->metrics)
		make_folder_of(router->metrics);
	make_folder(UAPI_SOCK_FOLDER, 0755);
	make_folder(TUNNEL_DNS_FOLDER, 0755);
}

/*
 * Settings of the kernel are nowhere but in its memory, which forgets what nobody has open; a
 * rule would be about nothing then. So this one stays open.
 */
static int allow_setting(struct landlock *rules, const char *path)
{
	static int pinned = -1;

	if (pinned < 0)
		pinned = open(path, O_PATH | O_CLOEXEC);
	return pinned < 0 ? 0 : landlock_allow(rules, path, LANDLOCK_WRITE);
}

/*
 * LeakSanitizer looks into all threads by ptrace(2) at the end, which Landlock forbids where one has
 * other rules, as the one that looks up names has.
 */
static int enforce(struct landlock *rules)
{
	if (!SANITIZED)
		return landlock_enforce(rules);
	if (rules->fd >= 0)
		close(rules->fd);
	return 0;
}

struct allowed {
	const char *path;
	enum landlock_right right;
};

static int allow_all(struct landlock *rules, const struct allowed *list, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = list[i].path ? landlock_allow(rules, list[i].path, list[i].right) : 0;
	return err;
}

static int allow_router(struct landlock *rules, const struct config_router *router)
{
	const struct allowed list[] = {
		{ *router->folder ? router->folder : ".", LANDLOCK_READ },
		{ router->tenants, LANDLOCK_READ },
		{ router->state, LANDLOCK_WRITE },
		{ UAPI_SOCK_FOLDER, LANDLOCK_SOCKET },
		{ TUNNEL_DNS_FOLDER, LANDLOCK_WRITE },
		{ "/dev/net/tun", LANDLOCK_DEVICE },
		{ "/proc", LANDLOCK_READ },
	};
	int err = allow_all(rules, list, ARRAY_SIZE(list));

	if (!err)
		err = allow_folder_of(rules, router->control, LANDLOCK_SOCKET);
	if (!err && router->metrics)
		err = allow_folder_of(rules, router->metrics, LANDLOCK_WRITE);
	if (!err && endpoint_is_set(&router->metrics_listen))
		err = landlock_allow_port(rules, endpoint_port(&router->metrics_listen));
	return err ? err : allow_setting(rules, TUNNEL_RPFILTER_SETTING);
}

int privs_files_router(const struct config_router *router)
{
	struct landlock rules;
	int err = landlock_begin(&rules, true);

	if (!err && rules.fd < 0)
		log_warning("this kernel has no Landlock (lsm=landlock,…): which files are reached is "
			    "up to their modes alone");
	if (!err)
		err = allow_router(&rules, router);
	return err ? err : enforce(&rules);
}

int privs_files_dropin(void)
{
	static const struct allowed list[] = { { UAPI_SOCK_FOLDER, LANDLOCK_SOCKET },
					       { "/dev/net/tun", LANDLOCK_DEVICE },
					       { "/dev/null", LANDLOCK_DEVICE },
					       { "/proc", LANDLOCK_READ } };
	struct landlock rules;
	int err = landlock_begin(&rules, true);

	make_folder(UAPI_SOCK_FOLDER, 0755);
	if (!err)
		err = allow_all(&rules, list, ARRAY_SIZE(list));
	return err ? err : enforce(&rules);
}

int privs_files_lookup(void)
{
	static const struct allowed list[] = {
		{ "/etc", LANDLOCK_READ },   { "/usr", LANDLOCK_READ }, { "/lib", LANDLOCK_READ },
		{ "/lib64", LANDLOCK_READ }, { "/run", LANDLOCK_READ }, { "/proc", LANDLOCK_READ },
	};
	struct landlock rules;
	int err = landlock_begin(&rules, false); /* long answers come by TCP */

	if (!err)
		err = allow_all(&rules, list, ARRAY_SIZE(list));
	return err ? err : enforce(&rules);
}
