/* SPDX-License-Identifier: MIT */
/* The reverse path filter looks where a packet's source would be reached, and drops. */
#include "tunnel_rpfilter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/log.h"

#define CONF "/proc/sys/net/ipv4/conf"

/* The digit; '\0' if it cannot be read. */
static char read_digit(const char *dev, const char *key)
{
	char path[sizeof(CONF) + NAME_MAX + 32], value = '\0';
	int fd;

	snprintf(path, sizeof(path), CONF "/%s/%s", dev, key);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return '\0';
	if (read(fd, &value, 1) != 1)
		value = '\0';
	close(fd);
	return value;
}

static void set_valid_mark(const char *tunnel)
{
	static const char path[] = TUNNEL_RPFILTER_SETTING;
	int fd, err = 0;

	if (read_digit("all", "src_valid_mark") == '1')
		return;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1\n", 2) != 2)
		err = errno;
	if (fd >= 0)
		close(fd);
	if (err)
		log_event(LOG_LEVEL_WARNING, tunnel, "routes", strerror(err),
			  "tunnel %s: cannot set net.ipv4.conf.all.src_valid_mark, which a default "
			  "route by FwMark needs: %s", tunnel, strerror(err));
	else
		log_event(LOG_LEVEL_INFO, tunnel, "routes", NULL,
			  "tunnel %s: net.ipv4.conf.all.src_valid_mark is set to 1 and stays so, for "
			  "its default route by FwMark", tunnel);
}

/* The greater one of "all" and the interface's own counts; 1 is strict, 2 is loose. */
static void complain_strict(const char *tunnel)
{
	char all = read_digit("all", "rp_filter");
	struct dirent *entry;
	DIR *dir;

	if (all == '2')
		return;
	dir = opendir(CONF);
	while (dir && (entry = readdir(dir))) {
		const char *dev = entry->d_name;
		char own;

		if (*dev == '.' || !strcmp(dev, "all") || !strcmp(dev, "default") ||
		    !strcmp(dev, "lo"))
			continue;
		own = read_digit(dev, "rp_filter");
		if (own == '2' || (own != '1' && all != '1'))
			continue;
		log_event(LOG_LEVEL_WARNING, tunnel, "routes", "rp_filter",
			  "tunnel %s: the strict reverse path filter of %s drops what its peers send "
			  "over IPv4, as all other ways lead into the tunnel: "
			  "sysctl -w net.ipv4.conf.all.rp_filter=2", tunnel, dev);
		break;
	}
	if (dir)
		closedir(dir);
}

void tunnel_rpfilter_prepare(const char *tunnel)
{
	set_valid_mark(tunnel);
	complain_strict(tunnel);
}
