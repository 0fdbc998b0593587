/* SPDX-License-Identifier: MIT */
/* Who has it: a walk through /proc. */
#include "owner.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATH_ROOM = 64, LINK_ROOM = 64 };

/* Is this descriptor what we look for? link: where /proc/PID/fd/FD leads. */
typedef bool (*is_wanted)(const char *pid, const char *fd, const char *link, const void *what);

static void strip_newline(char *text)
{
	text[strcspn(text, "\n")] = '\0';
}

static void name_process(const char *pid, struct owner *out)
{
	char path[PATH_ROOM];
	FILE *file;

	out->pid = (pid_t)strtol(pid, NULL, 10);
	(void)snprintf(out->command, sizeof(out->command), "a process");
	(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(out->command, sizeof(out->command), file))
		strip_newline(out->command);
	(void)fclose(file);
}

static bool search_process(const char *pid, is_wanted wanted, const void *what)
{
	char path[PATH_ROOM], link[LINK_ROOM];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false; /* it has ended, or is not for us to see */
	while (!found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		if (n < 0)
			continue;
		link[n] = '\0';
		found = wanted(pid, entry->d_name, link, what);
	}
	closedir(dir);
	return found;
}

static bool search_all(is_wanted wanted, const void *what, struct owner *out)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir = opendir("/proc");

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		found = search_process(entry->d_name, wanted, what);
		if (found)
			name_process(entry->d_name, out);
	}
	closedir(dir);
	return found;
}

/* UDP */

static bool is_socket(const char *pid, const char *fd, const char *link, const void *what)
{
	(void)pid;
	(void)fd;
	return strcmp(link, what) == 0;
}

/*
 * Looks the port up in /proc/net/udp or udp6. A line, behind a heading:
 * "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode".
 */
static bool find_port(const char *table, uint16_t port, uint64_t *inode)
{
	FILE *file = fopen(table, "re");
	char line[256];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		unsigned local;

		if (sscanf(line, " %*[^:]: %*[0-9A-Fa-f]:%x %*s %*s %*s %*s %*s %*s %*s %" SCNu64,
			   &local, inode) == 2)
			found = local == port;
	}
	(void)fclose(file);
	return found;
}

/* The same by the broker. */
static bool ask_broker(struct owner *out, const char *what)
{
	int pid = broker_owner(what, out->command);

	out->pid = max(pid, 0);
	return pid >= 0;
}

bool owner_of_udp_port(uint16_t port, struct owner *out)
{
	char link[LINK_ROOM], what[sizeof("udp:65535")];
	uint64_t inode;

	*out = (struct owner){ 0 };
	(void)snprintf(what, sizeof(what), "udp:%hu", port);
	if (broker_is_on())
		return ask_broker(out, what);
	/* The thread's own namespace: /proc/net is that of the first thread. */
	if (!find_port("/proc/thread-self/net/udp", port, &inode) &&
	    !find_port("/proc/thread-self/net/udp6", port, &inode))
		return false;
	/* Sockets of the kernel, such as those of its own WireGuard, have no inode. */
	if (!inode)
		return true;
	(void)snprintf(link, sizeof(link), "socket:[%" PRIu64 "]", inode);
	return search_all(is_socket, link, out);
}

/* TUN */

/* The kernel tells the name of the interface in fdinfo, as "iff:\tNAME". */
static bool is_tun_called(const char *pid, const char *fd, const char *link, const void *what)
{
	char path[PATH_ROOM], line[128];
	bool found = false;
	FILE *file;

	if (strcmp(link, "/dev/net/tun") != 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		strip_newline(line);
		found = strncmp(line, "iff:\t", 5) == 0 && strcmp(line + 5, what) == 0;
	}
	(void)fclose(file);
	return found;
}

bool owner_of_tun(const char *ifname, struct owner *out)
{
	char what[sizeof("tun:") + 64];

	*out = (struct owner){ 0 };
	(void)snprintf(what, sizeof(what), "tun:%s", ifname);
	if (broker_is_on())
		return ask_broker(out, what);
	return search_all(is_tun_called, ifname, out);
}

int owner_for_broker(const char *what, char command[BROKER_COMMAND])
{
	struct owner owner;
	bool found = strncmp(what, "tun:", 4) ?
			     owner_of_udp_port((uint16_t)strtoul(what + 4, NULL, 10), &owner) :
			     owner_of_tun(what + 4, &owner);

	memcpy(command, owner.command, BROKER_COMMAND);
	return found ? owner.pid : -ESRCH;
}

/* Unix sockets: the kernel remembers who called listen(). */

bool owner_of_socket(const char *path, struct owner *out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	bool found = false;
	char pid[16];
	int fd;

	*out = (struct owner){ 0 };
	if (strlen(path) >= sizeof(addr.sun_path))
		return false;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)) &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.pid > 0) {
		(void)snprintf(pid, sizeof(pid), "%d", (int)peer.pid);
		name_process(pid, out);
		found = true;
	}
	close(fd);
	return found;
}

const char *owner_format(const struct owner *owner, char buf[OWNER_STRLEN])
{
	if (!owner)
		(void)snprintf(buf, OWNER_STRLEN, "another process");
	else if (!owner->pid)
		(void)snprintf(buf, OWNER_STRLEN, "the kernel");
	else
		(void)snprintf(buf, OWNER_STRLEN, "%s (pid %d)", owner->command, (int)owner->pid);
	return buf;
}
