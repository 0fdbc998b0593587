/* SPDX-License-Identifier: MIT */
/* Which files and ports a thread may reach, by Landlock. */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

/* Later than the headers of Linux 6.1. */
#define RIGHT_TRUNCATE (1ULL << 14)  /* version 3 */
#define RIGHT_IOCTL_DEV (1ULL << 15) /* version 5 */
#define RIGHT_BIND_TCP (1ULL << 0)   /* version 4 */
#define RIGHT_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* version 6 */
#define SCOPE_SIGNAL (1ULL << 1)

enum { RULE_NET_PORT = 2 };

struct ruleset {
	uint64_t files;
	uint64_t net;
	uint64_t scoped;
};

/* cppcheck-suppress-begin unusedStructMember ; the kernel reads them */
struct port_rule {
	uint64_t rights;
	uint64_t port;
};
/* cppcheck-suppress-end unusedStructMember */

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define REMOVES (LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define WRITES (LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE)
#define MAKES (LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR)
/* What a rule about something other than a folder may hold. */
#define OF_A_FILE (LANDLOCK_ACCESS_FS_READ_FILE | WRITES | RIGHT_IOCTL_DEV)

static uint64_t known_rights(int version)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (version >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		rights |= RIGHT_TRUNCATE;
	if (version >= 5)
		rights |= RIGHT_IOCTL_DEV;
	return rights;
}

int landlock_begin(struct landlock *rules, bool tcp)
{
	struct ruleset set = { 0 };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);

	*rules = (struct landlock){ .fd = -1 };
	if (version < 1)
		return 0;
	rules->version = (int)version;
	rules->files = known_rights(rules->version);
	set.files = rules->files;
	if (rules->version >= 4 && tcp)
		set.net = RIGHT_BIND_TCP | RIGHT_CONNECT_TCP;
	if (rules->version >= 6)
		set.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	/* An older kernel takes a longer structure whose rest is zero. */
	rules->fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
	return rules->fd < 0 ? -errno : 0;
}

static uint64_t rights_of(enum landlock_right right)
{
	switch (right) {
	case LANDLOCK_READ:
		return READS;
	case LANDLOCK_WRITE:
		return READS | WRITES | MAKES | REMOVES;
	case LANDLOCK_SOCKET:
		return READS | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
	case LANDLOCK_DEVICE:
		return LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
		       RIGHT_IOCTL_DEV;
	}
	return 0;
}

int landlock_allow(struct landlock *rules, const char *path, enum landlock_right right)
{
	struct landlock_path_beneath_attr rule = { 0 };
	struct stat st;
	int err = 0;

	if (rules->fd < 0)
		return 0;
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	rule.allowed_access = rights_of(right) & rules->files;
	if (fstat(rule.parent_fd, &st))
		err = -errno;
	else if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_A_FILE;
	if (!err && syscall(SYS_landlock_add_rule, rules->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		err = -errno;
	close(rule.parent_fd);
	return err;
}

int landlock_allow_port(struct landlock *rules, uint16_t port)
{
	struct port_rule rule = { .rights = RIGHT_BIND_TCP, .port = port };

	if (rules->fd < 0 || rules->version < 4)
		return 0;
	return syscall(SYS_landlock_add_rule, rules->fd, RULE_NET_PORT, &rule, 0) ? -errno : 0;
}

int landlock_enforce(struct landlock *rules)
{
	int err = 0;

	if (rules->fd < 0)
		return 0;
	if (syscall(SYS_landlock_restrict_self, rules->fd, 0))
		err = -errno;
	close(rules->fd);
	rules->fd = -1;
	return err;
}
