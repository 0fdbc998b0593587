/* SPDX-License-Identifier: MIT */
/* Tables by number or name, DNS servers and domains. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "file.h"
#include "tunnel_value.h"

enum { RT_TABLES_MAX = 1 << 20, DOMAIN_MAX = 253 };

/* Where iproute2 keeps names of tables; what comes first wins. */
static const char *const table_files[] = {
	"/etc/iproute2/rt_tables",
	"/usr/share/iproute2/rt_tables",
	"/usr/lib/iproute2/rt_tables",
};

static const char table_folder[] = "/etc/iproute2/rt_tables.d";

/* Tables */

static bool parse_number(const char *text, uint32_t *out)
{
	unsigned long long n;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	n = strtoull(text, &end, strncasecmp(text, "0x", 2) ? 10 : 16);
	*out = n;
	return !*end && !errno && n <= UINT32_MAX;
}

int tunnel_value_table_in(const char *path, const char *name, uint32_t *out)
{
	char *rest, *line, *saved, *number, *word;
	struct file_text text;
	int err = file_read(&text, AT_FDCWD, path, RT_TABLES_MAX);

	if (err)
		return err == -ENOMEM ? err : -ENOENT;
	err = -ENOENT;
	rest = text.data;
	while (err && (line = strsep(&rest, "\n"))) {
		line[strcspn(line, "#")] = '\0';
		number = strtok_r(line, " \t", &saved);
		word = number ? strtok_r(NULL, " \t", &saved) : NULL;
		if (word && strcmp(word, name) == 0 && parse_number(number, out))
			err = 0;
	}
	file_text_free(&text);
	return err;
}

static int find_in_folder(const char *folder, const char *name, uint32_t *out)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int err = -ENOENT;

	while (dir && err == -ENOENT && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);
		char *path;

		if (len < 6 || strcmp(entry->d_name + len - 5, ".conf") != 0)
			continue;
		path = file_join(folder, entry->d_name);
		err = path ? tunnel_value_table_in(path, name, out) : -ENOMEM;
		free(path);
	}
	if (dir)
		closedir(dir);
	return err;
}

static int find_table(const char *name, uint32_t *out)
{
	int err = -ENOENT;

	if (strcmp(name, "main") == 0 || strcmp(name, "default") == 0) {
		*out = *name == 'm' ? RT_TABLE_MAIN : RT_TABLE_DEFAULT;
		return 0;
	}
	for (size_t i = 0; err == -ENOENT && i < ARRAY_SIZE(table_files); i++)
		err = tunnel_value_table_in(table_files[i], name, out);
	return err == -ENOENT ? find_in_folder(table_folder, name, out) : err;
}

int tunnel_value_table(const struct rules_where *where, const char *text,
		       struct config_tunnel *tunnel)
{
	uint32_t number = 0;
	int err = 0;

	if (strcasecmp(text, "auto") == 0 || strcasecmp(text, "off") == 0) {
		tunnel->table_kind = strcasecmp(text, "off") ? TUNNEL_TABLE_AUTO
							     : TUNNEL_TABLE_OFF;
		return 0;
	}
	if (!parse_number(text, &number))
		err = *text ? find_table(text, &number) : -ENOENT;
	if (err == -ENOENT) {
		rules_fault(where, "'%s' is neither auto, off, nor a number or a name in "
			    "/etc/iproute2/rt_tables", text);
		return -EINVAL;
	}
	if (err)
		return err;
	if (number == RT_TABLE_UNSPEC || number == RT_TABLE_LOCAL) {
		rules_fault(where, "'%s' is not a table for routes of ours: take another number",
			    text);
		return -EINVAL;
	}
	tunnel->table_kind = TUNNEL_TABLE_NUMBER;
	tunnel->table = number;
	return 0;
}

/* DNS */

static int append_word(char **list, const char *word)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", *list ? *list : "", *list ? " " : "", word) < 0)
		return -ENOMEM;
	free(*list);
	*list = longer;
	return 0;
}

/* The resolver takes a scope behind a link-local address. */
static bool is_server(const char *text)
{
	char host[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "%");
	uint8_t addr[16];

	if (len >= sizeof(host) || (text[len] && !text[len + 1]))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return (!text[len] && inet_pton(AF_INET, host, addr) == 1) ||
	       inet_pton(AF_INET6, host, addr) == 1;
}

static bool is_domain(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > DOMAIN_MAX || *text == '-')
		return false;
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("-._", *text))
			return false;
	}
	return true;
}

/* What has only digits and dots, or a colon, wants to be an address (wg-quick(8)). */
static bool looks_like_address(const char *text)
{
	return strspn(text, "0123456789.") == strlen(text) || strchr(text, ':');
}

static int take_dns(const struct rules_where *where, const char *item,
		    struct config_tunnel *tunnel)
{
	if (is_server(item))
		return append_word(&tunnel->dns_servers, item);
	if (*item == '~') {
		rules_warn(where, "'%s' is for systemd-resolved, a resolv.conf has no such thing: "
			   "left out", item);
		return 0;
	}
	if (!looks_like_address(item) && is_domain(item))
		return append_word(&tunnel->dns_search, item);
	rules_fault(where, "'%s' is neither the address of a server nor a domain", item);
	return -EINVAL;
}

int tunnel_value_dns(const struct rules_where *where, const char *text,
		     struct config_tunnel *tunnel)
{
	char *copy = strdup(text), *saved, *item;
	int ret = copy ? 0 : -ENOMEM;

	for (item = copy ? strtok_r(copy, ", \t", &saved) : NULL; item && ret != -ENOMEM;
	     item = strtok_r(NULL, ", \t", &saved)) {
		int err = take_dns(where, item, tunnel);

		ret = err ? err : ret;
	}
	free(copy);
	return ret;
}
