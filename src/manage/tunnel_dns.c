/* SPDX-License-Identifier: MIT */
/* Name servers of a namespace with a name. */
#include "tunnel_dns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"

#define RESOLV_CONF "resolv.conf"
#define NEW_FILE ".resolv.conf.berth" /* beside it, until it takes its place */
#define OWNER_BEGIN "# Made by berthd, and gone with it: tunnel "

enum { OWNER_MAX = 4096 + 256 }; /* a path and some words */

enum whose { NOBODYS, OURS, SOMEBODYS };

/* The folder of tenants in the same words in every run. Allocated. NULL: no memory. */
static char *real_folder(const char *tenants)
{
	char *real = realpath(tenants, NULL);

	return real ? real : strdup(tenants);
}

static char *owner_line(const struct config_tenant *conf)
{
	const char *slash = strrchr(conf->file, '/');
	char *dir = slash ? strndup(conf->file, (size_t)(slash - conf->file)) : strdup(".");
	char *real = dir ? real_folder(dir) : NULL;
	char *line = NULL;

	if (real && asprintf(&line, OWNER_BEGIN "%s of %s", conf->name, real) < 0)
		line = NULL;
	free(real);
	free(dir);
	return line;
}

/* The first line of the file in the folder dir, as far as it fits. 0 or -errno. */
static int read_owner(int dir, char line[OWNER_MAX])
{
	int fd = openat(dir, RESOLV_CONF, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, line, OWNER_MAX - 1);
	close(fd);
	line[max(n, (ssize_t)0)] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static enum whose whose_file(int dir, const char *owner)
{
	char line[OWNER_MAX];
	int err = read_owner(dir, line);

	if (err == -ENOENT)
		return NOBODYS;
	return !err && strcmp(line, owner) == 0 ? OURS : SOMEBODYS;
}

static int write_text(int fd, const struct config_tunnel *tunnel, const char *owner)
{
	FILE *f = fdopen(fd, "w");
	char *words, *rest, *word;
	int err = 0;

	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	fprintf(f, "%s\n", owner);
	words = strdup(tunnel->dns_servers ? tunnel->dns_servers : "");
	if (!words)
		err = -ENOMEM;
	rest = words;
	while ((word = strsep(&rest, " ")))
		if (*word)
			fprintf(f, "nameserver %s\n", word);
	free(words);
	if (tunnel->dns_search)
		fprintf(f, "search %s\n", tunnel->dns_search);
	/* Whoever lives in the namespace reads it, whatever our umask. */
	if (!err && (fflush(f) || fchmod(fd, 0644) || fsync(fd)))
		err = -errno;
	if (fclose(f) && !err)
		err = -errno;
	return err;
}

/* Whole or not at all, and not in the place of a file that has come meanwhile. */
static int write_file(int dir, const struct config_tunnel *tunnel, const char *owner, bool replace)
{
	int fd, err;

	(void)unlinkat(dir, NEW_FILE, 0);
	fd = openat(dir, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	err = write_text(fd, tunnel, owner);
	if (!err && renameat2(dir, NEW_FILE, dir, RESOLV_CONF, replace ? 0 : RENAME_NOREPLACE))
		err = -errno;
	if (err)
		(void)unlinkat(dir, NEW_FILE, 0);
	return err;
}

/* A folder for everybody to read. -EEXIST: it was there. */
static int make_folder(int at, const char *name)
{
	if (mkdirat(at, name, 0755))
		return -errno;
	return fchmodat(at, name, 0755, 0) ? -errno : 0;
}

static int open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static const char *folder_of(const struct tunnel_dns *dns)
{
	return dns->folder ? dns->folder : TUNNEL_DNS_FOLDER;
}

static void forget(struct tunnel_dns *dns)
{
	free(dns->netns);
	free(dns->owner);
	dns->netns = dns->owner = NULL;
	dns->made_folder = false;
}

/* Removes what is still ours, and the folder if we made it and nobody else is in it. */
static void withdraw(struct tunnel_dns *dns)
{
	int all = open_folder(AT_FDCWD, folder_of(dns)), dir;

	dir = all < 0 ? all : open_folder(all, dns->netns);
	if (dir >= 0 && whose_file(dir, dns->owner) == OURS)
		(void)unlinkat(dir, RESOLV_CONF, 0);
	if (all >= 0 && dns->made_folder)
		(void)unlinkat(all, dns->netns, AT_REMOVEDIR);
	if (dir >= 0)
		close(dir);
	if (all >= 0)
		close(all);
	forget(dns);
}

static void complain(struct tunnel_dns *dns, const struct config_tenant *conf, int err)
{
	const char *folder = folder_of(dns), *netns = conf->tunnel->netns;

	if (err == -EEXIST && !dns->said)
		log_event(LOG_LEVEL_WARNING, conf->name, "dns", "not ours",
			  "tunnel %s: %s/%s/" RESOLV_CONF " is not ours and is left alone, so DNS "
			  "of %s does nothing: remove one of the two, then 'touch %s'", conf->name,
			  folder, netns, conf->file, conf->file);
	else if (err == -EACCES)
		log_event(LOG_LEVEL_ERROR, conf->name, "dns", strerror(-err),
			  "tunnel %s: not allowed to write %s/%s/" RESOLV_CONF ": if %s was made anew "
			  "since berthd started, start it again", conf->name, folder, netns, folder);
	else if (err != -EEXIST)
		log_event(LOG_LEVEL_ERROR, conf->name, "dns", strerror(-err),
			  "tunnel %s: cannot write %s/%s/" RESOLV_CONF ": %s", conf->name, folder,
			  netns, strerror(-err));
	dns->said = err == -EEXIST;
}

/* 0; -EEXIST: there is one that is not ours. */
static int put(struct tunnel_dns *dns, const struct config_tenant *conf)
{
	enum whose whose;
	int all, dir, err;

	err = make_folder(AT_FDCWD, folder_of(dns));
	all = err && err != -EEXIST ? err : open_folder(AT_FDCWD, folder_of(dns));
	if (all < 0)
		return all;
	err = make_folder(all, dns->netns);
	dns->made_folder |= !err;
	dir = err && err != -EEXIST ? err : open_folder(all, dns->netns);
	close(all);
	if (dir < 0)
		return dir;
	whose = whose_file(dir, dns->owner);
	err = whose == SOMEBODYS ? -EEXIST
				 : write_file(dir, conf->tunnel, dns->owner, whose == OURS);
	close(dir);
	return err;
}

static bool is_wanted(const struct config_tenant *conf)
{
	return conf && conf->tunnel->netns_kind == TUNNEL_NETNS_NAME &&
	       (conf->tunnel->dns_servers || conf->tunnel->dns_search);
}

void tunnel_dns_update(struct tunnel_dns *dns, const struct config_tenant *conf)
{
	int err;

	if (dns->netns && (!is_wanted(conf) || strcmp(dns->netns, conf->tunnel->netns) != 0))
		withdraw(dns);
	if (!is_wanted(conf)) {
		dns->said = false;
		return;
	}
	if (!dns->netns) {
		dns->netns = strdup(conf->tunnel->netns);
		dns->owner = owner_line(conf);
	}
	err = dns->netns && dns->owner ? put(dns, conf) : -ENOMEM;
	if (err)
		complain(dns, conf, err);
	else
		dns->said = false;
	if (err == -ENOMEM)
		forget(dns);
	else if (err == -EEXIST)
		withdraw(dns);
}

/* Left over */

static bool is_left_over(const char *line, const char *tenants)
{
	const char *of = strstr(line, " of ");

	return strncmp(line, OWNER_BEGIN, strlen(OWNER_BEGIN)) == 0 && of &&
	       strcmp(of + 4, tenants) == 0;
}

static void sweep_one(int all, const char *netns, const char *tenants)
{
	int dir = open_folder(all, netns);
	char line[OWNER_MAX];

	if (dir < 0)
		return;
	if (!read_owner(dir, line) && is_left_over(line, tenants)) {
		(void)unlinkat(dir, RESOLV_CONF, 0);
		(void)unlinkat(all, netns, AT_REMOVEDIR); /* not, if something else is there */
		log_info(RESOLV_CONF " of namespace %s is from an earlier run: removed", netns);
	}
	close(dir);
}

void tunnel_dns_sweep_in(const char *folder, const char *tenants)
{
	char *real = real_folder(tenants);
	struct dirent *entry;
	DIR *dir = real ? opendir(folder) : NULL;

	while (dir && (entry = readdir(dir)))
		if (*entry->d_name != '.')
			sweep_one(dirfd(dir), entry->d_name, real);
	if (dir)
		closedir(dir);
	free(real);
}

void tunnel_dns_sweep(const char *tenants)
{
	tunnel_dns_sweep_in(TUNNEL_DNS_FOLDER, tenants);
}
