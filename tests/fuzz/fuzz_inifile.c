/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: INI text against its grammar (inifile.h), written down once more without inih: both
 * take the same texts, and find the same sections, keys, values and lines in them.
 *
 * Length: 1000
 */
#include <ctype.h>
#include <errno.h>

#include "../../src/config/inifile.h"
#include "fuzz.h"

enum { LINE_MAX_BYTES = 198, NAME_MAX_BYTES = 49 };

static struct inifile ini;
static size_t section, entry; /* how many of them were compared */

static size_t trimmed(const char **text, size_t len)
{
	while (len && isspace((unsigned char)**text))
		++*text, len--;
	while (len && isspace((unsigned char)(*text)[len - 1]))
		len--;
	return len;
}

static bool is(const char *kept, const char *text, size_t len)
{
	return strlen(kept) == len && !memcmp(kept, text, len);
}

/* Without its comment, and the blanks in front of that. */
static size_t bare(const char *line, size_t len)
{
	size_t end = 0;

	while (end < len && line[end] != '#' &&
	       !(line[end] == ';' && (!end || line[end - 1] == ' ' || line[end - 1] == '\t')))
		end++;
	while (end && (line[end - 1] == ' ' || line[end - 1] == '\t'))
		end--;
	return end;
}

/* A line that is good by itself. compare: it is in ini as well. */
static bool take_header(const char *line, size_t len, unsigned number, bool compare)
{
	const char *name = line + 1;

	if (len < 2 || line[len - 1] != ']' || memchr(line, ']', len - 1))
		return false;
	len = trimmed(&name, len - 2);
	if (!len || len > NAME_MAX_BYTES)
		return false;
	if (compare) {
		must(section < ini.n_sections && is(ini.sections[section].name, name, len));
		must(ini.sections[section].line == number && ini.sections[section].first == entry);
	}
	section++;
	return true;
}

static bool take_key(const char *line, size_t len, unsigned number, bool compare)
{
	const char *equals = memchr(line, '=', len), *key = line, *value;
	size_t key_len, value_len;

	if (!equals || equals == line || memchr(line, ':', (size_t)(equals - line)) || !section)
		return false;
	key_len = trimmed(&key, (size_t)(equals - line));
	value = equals + 1;
	value_len = trimmed(&value, len - (size_t)(value - line));
	if (compare) {
		must(entry < ini.n_entries && is(ini.entries[entry].key, key, key_len));
		must(is(ini.entries[entry].value, value, value_len));
		must(ini.entries[entry].line == number && ini.entries[entry].section == section - 1);
	}
	entry++;
	return true;
}

/* 1 good, 0 bad, -1 not for this reading: longer than a line may be, and perhaps a list. */
static int walk(const char *text, size_t len, bool compare)
{
	const char *end = text + len;
	unsigned number = 0;

	section = entry = 0;
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);
		const char *line = text;

		text += n + (newline != NULL);
		number++;
		if (n && line[n - 1] == '\r')
			n--;
		for (size_t i = 0; i < n; i++)
			if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
				return 0;
		n = bare(line, n);
		if (!n)
			continue;
		if (n > LINE_MAX_BYTES)
			return -1;
		if (*line == ' ' || *line == '\t' ||
		    !(*line == '[' ? take_header(line, n, number, compare)
				   : take_key(line, n, number, compare)))
			return 0;
	}
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fault_list faults = { 0 };
	char *text = (char *)take_copy(&in, size, &size);
	int err = inifile_parse(&ini, "fuzz", text, size, &faults), good = walk(text, size, false);

	must(err == 0 || err == -EINVAL);
	must((err != 0) == (faults.n_errors != 0));
	must(good < 0 || good == !err);
	if (err)
		must(!ini.n_sections && !ini.n_entries && !ini.text);
	else if (good > 0) {
		(void)walk(text, size, true);
		must(section == ini.n_sections && entry == ini.n_entries);
	}
	inifile_free(&ini);
	fault_list_free(&faults);
	free(text);
	return 0;
}
