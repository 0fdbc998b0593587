/* SPDX-License-Identifier: MIT */
/* Where the tenants and berthd's socket are by a faulty berth.conf. */
#include "whereabouts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Is it "KEY = ..." or, for a section, "[KEY]"? In any case, as everywhere. */
static bool begins_with(const char *line, size_t len, const char *key, char then)
{
	size_t n = strlen(key);

	if (len <= n || strncasecmp(line, key, n) != 0)
		return false;
	while (n < len && isblank((unsigned char)line[n]))
		n++;
	return n < len && line[n] == then;
}

static bool is_router(const char *line, size_t len)
{
	size_t blanks = 1;

	while (blanks < len && isblank((unsigned char)line[blanks]))
		blanks++;
	return blanks < len && begins_with(line + blanks, len - blanks, "Router", ']');
}

/* The first line of that key in [Router]. NULL: there is none. */
static const char *find_line(const struct file_text *text, const char *key, size_t *len)
{
	const char *at = text->data, *end = text->data + text->len;
	bool inside = false;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		*len = (size_t)((newline ? newline : end) - at);
		if (*len && *at == '[')
			inside = is_router(at, *len);
		else if (inside && begins_with(at, *len, key, '='))
			return at;
		at += *len + 1;
	}
	return NULL;
}

/* The router of a file that has nothing but this line; with len 0, of an empty one. */
static int parse_line(struct config_router **out, const char *path, const char *line, size_t len)
{
	struct fault_list faults = { 0 }; /* told by whoever read the file before */
	struct file_text text = { .mode = 0600 };
	int n = asprintf(&text.data, "[Router]\n%.*s\n", (int)len, line), err;

	*out = NULL;
	if (n < 0)
		return -ENOMEM;
	text.len = (size_t)n;
	err = router_parse(out, path, &text, &faults);
	fault_list_free(&faults);
	free(text.data);
	return err;
}

static void swap(char **a, char **b)
{
	char *other = *a;

	*a = *b;
	*b = other;
}

int whereabouts_read(struct config_router **out, const char *path)
{
	struct file_text text = { 0 };
	struct config_router *other;
	const char *line;
	size_t len;
	int err = file_read(&text, AT_FDCWD, path, FILE_CONFIG_MAX);

	*out = NULL;
	if (err == -EACCES || err == -ENOMEM)
		return err;
	err = parse_line(out, path, "", 0);
	line = err ? NULL : find_line(&text, "Tenants", &len);
	if (line && !parse_line(&other, path, line, len)) {
		swap(&(*out)->tenants, &other->tenants);
		router_free(other);
	}
	line = err ? NULL : find_line(&text, "Control", &len);
	if (line && !parse_line(&other, path, line, len)) {
		swap(&(*out)->control, &other->control);
		router_free(other);
	}
	file_text_free(&text);
	return err;
}
