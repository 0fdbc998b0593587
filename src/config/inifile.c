/* SPDX-License-Identifier: MIT */
/* INI text as a list of entries: our reader of lines in front of inih's reader of words. */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <sodium.h>
#include <stdlib.h>

#include "inifile.h"

/* inih keeps section names in 50 bytes and cuts them silently. */
enum { SECTION_NAME_MAX = 49 };

/* inih's own line buffer is on the stack: 200 bytes, and whatever surrounds them. */
enum { INIH_STACK = 1024 };

/* No key that takes a list is as long, with its '='. */
enum { LIST_KEY_MAX = 32 };

/* No key of base64 is as short. */
enum { NAME_MAX_QUOTED = 32 };

/* One file while it is being taken apart. */
struct reading {
	struct inifile *ini;
	const char *file;
	struct fault_list *faults;
	const char *at, *end; /* what is still to be read */
	unsigned line;        /* of the line last given to inih */
	const char *key;      /* "Key =" of a list that goes on; its length and what is left */
	size_t key_len;
	const char *rest;     /* NULL: none goes on */
	size_t rest_len;
	bool broken;
	int err;
};

static void refuse(struct reading *r, const char *what)
{
	fault_add(r->faults, r->file, r->line, "%s", what);
	r->broken = true;
}

/*
 * The length of the word in front of len bytes. 0: it may not be quoted, being no name but
 * perhaps a key in the wrong place: names are letters, and short.
 */
static int length_of_name(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && isalpha((unsigned char)text[n]))
		n++;
	if (n < len && !strchr(" \t:=", text[n]))
		return 0;
	return n <= NAME_MAX_QUOTED ? (int)n : 0;
}

static char *keep(struct inifile *ini, const char *text, size_t len)
{
	char *kept = ini->text + ini->text_used;

	memcpy(kept, text, len);
	kept[len] = '\0';
	ini->text_used += len + 1;
	return kept;
}

/* Room in an array that doubles: full exactly when the number is a power of two. */
static void *room_for_one(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return reallocarray(array, n ? 2 * n : 1, size);
}

static void add_section(struct reading *r, const char *name, size_t len)
{
	struct inifile *ini = r->ini;
	struct inifile_section *grown;

	grown = room_for_one(ini->sections, ini->n_sections, sizeof(*grown));
	if (!grown) {
		r->err = -ENOMEM;
		return;
	}
	ini->sections = grown;
	grown[ini->n_sections++] = (struct inifile_section){
		.name = keep(ini, name, len),
		.line = r->line,
		.first = ini->n_entries,
	};
}

/* Called by inih, once for each key, while the reader's last line is still the current one. */
static int take_entry(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;
	struct inifile *ini = r->ini;
	struct inifile_entry *grown;

	(void)section; /* ours has a number */
	grown = room_for_one(ini->entries, ini->n_entries, sizeof(*grown));
	if (!grown) {
		r->err = -ENOMEM;
		return 0;
	}
	ini->entries = grown;
	grown[ini->n_entries++] = (struct inifile_entry){
		.key = keep(ini, key, strlen(key)),
		.value = keep(ini, value, strlen(value)),
		.line = r->line,
		.section = ini->n_sections - 1,
	};
	ini->sections[ini->n_sections - 1].n++;
	return 1;
}

/* The length of a line up to its comment, without the blanks at its end. */
static size_t length_without_comment(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool starts = i == 0 || isblank((unsigned char)line[i - 1]);

		if (line[i] == '#' || (line[i] == ';' && starts)) {
			len = i;
			break;
		}
	}
	while (len && isblank((unsigned char)line[len - 1]))
		len--;
	return len;
}

/* The bytes that no text file has; the first is enough to doubt all of it. */
static bool is_text(struct reading *r, const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = line[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			fault_add(r->faults, r->file, r->line,
				  "byte 0x%02x: this is no text file", c);
			r->broken = true;
			return false;
		}
	}
	return true;
}

static void refuse_header(struct reading *r, const char *line, size_t len)
{
	int name = length_of_name(line + 1, len - 1);

	if (memchr(line, ']', len))
		refuse(r, "a section is [Name], with nothing behind it");
	else if (name)
		fault_add(r->faults, r->file, r->line, "']' is missing behind '[%.*s'", name,
			  line + 1);
	else
		refuse(r, "']' is missing: a section is [Name]");
	r->broken = true;
}

static bool check_name(struct reading *r, const char *line, size_t len)
{
	const char *name = line + 1;

	if (len < 2 || line[len - 1] != ']' || memchr(line, ']', len - 1)) {
		refuse_header(r, line, len);
		return false;
	}
	len -= 2;
	while (len && isblank((unsigned char)*name))
		name++, len--;
	while (len && isblank((unsigned char)name[len - 1]))
		len--;
	if (len == 0 || len > SECTION_NAME_MAX) {
		refuse(r, len ? "the section's name is too long" : "the section has no name");
		return false;
	}
	add_section(r, name, len);
	return !r->err;
}

static bool check_header(struct reading *r, const char *line, size_t len)
{
	if (check_name(r, line, len))
		return true;
	/* The keys behind it stand in some section, and nothing is wrong with them. */
	if (!r->err)
		add_section(r, "", 0);
	return false;
}

/*
 * A list that is longer than a line of inih's may be: it gets as many lines as it needs, as
 * if somebody had written the key in front of each. False: it has nowhere to be cut.
 */
static bool begin_list(struct reading *r, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);

	if (*line == '[' || !equals || equals - line >= LIST_KEY_MAX)
		return false;
	r->key = line;
	r->key_len = (size_t)(equals - line) + 1;
	r->rest = equals + 1;
	r->rest_len = len - r->key_len;
	return true;
}

/* Lays the next part of the list out, up to a comma that fits. Its length; 0: none fits. */
static size_t give_part(struct reading *r, char *buf, size_t max)
{
	size_t room = max - r->key_len, part = r->rest_len;

	/* Not at the last byte: a comma with nothing behind it is for others to judge. */
	if (part > room)
		for (part = min(room, part - 2); part && r->rest[part] != ',';)
			part--;
	memcpy(buf, r->key, r->key_len);
	memcpy(buf + r->key_len, r->rest, part);
	if (part == r->rest_len) {
		r->rest = NULL;
	} else {
		r->rest += part + 1;
		r->rest_len -= part + 1;
	}
	return part ? r->key_len + part : 0;
}

static void refuse_length(struct reading *r, size_t len, size_t max)
{
	fault_add(r->faults, r->file, r->line,
		  "the line is %zu bytes long, %zu are possible; split it, a list may go on in a "
		  "second line with the same key", len, max);
	r->broken = true;
	r->rest = NULL;
}

/* A line that has no '=', or nothing in front of it. */
static void refuse_words(struct reading *r, const char *line, size_t len)
{
	int name = length_of_name(line, len);

	if (name)
		fault_add(r->faults, r->file, r->line,
			  "'=' is missing behind '%.*s': a line is Key = value, or [Section]",
			  name, line);
	else
		refuse(r, "neither 'Key = value' nor [Section]");
	r->broken = true;
}

static void refuse_headless(struct reading *r, const char *line, size_t len)
{
	int name = length_of_name(line, len);

	if (name)
		fault_add(r->faults, r->file, r->line,
			  "'%.*s' stands in front of the first [Section]", name, line);
	else
		refuse(r, "a key stands in front of the first [Section]");
	r->broken = true;
}

/*
 * The checks that make a line safe for inih, len being without comment. Of the words of the
 * line only names are quoted: the others may be a key that lost its '='.
 */
static bool check_line(struct reading *r, const char *line, size_t len, size_t max)
{
	if (isblank((unsigned char)*line)) {
		refuse(r, "the line is indented; start it in the first column");
		return false;
	}
	if (len > max && !begin_list(r, line, len)) {
		refuse_length(r, len, max);
		return false;
	}
	if (*line == '[')
		return check_header(r, line, len);
	if (*line == '=' || !memchr(line, '=', len)) {
		refuse_words(r, line, len);
		return false;
	}
	if (memchr(line, ':', (const char *)memchr(line, '=', len) - line)) {
		refuse(r, "':' in front of '=': no key is called so");
		return false;
	}
	if (!r->ini->n_sections) {
		refuse_headless(r, line, len);
		return false;
	}
	return true;
}

/* Cuts the next line off. False: there is none. */
static bool next_line(struct reading *r, const char **line, size_t *len)
{
	const char *nl;

	if (r->at == r->end)
		return false;
	*line = r->at;
	nl = memchr(r->at, '\n', r->end - r->at);
	*len = (nl ? nl : r->end) - r->at;
	r->at = nl ? nl + 1 : r->end;
	r->line++;
	if (*len && (*line)[*len - 1] == '\r')
		--*len;
	return true;
}

/* Called by inih: the next good line, which ends in '\n' and fits. Bad ones are skipped. */
static char *give_line(char *buf, int size, void *user)
{
	size_t max = (size_t)size - 2, len, whole;
	struct reading *r = user;
	const char *line;

	while (!r->err && (r->rest || next_line(r, &line, &len))) {
		if (!r->rest) {
			if (!is_text(r, line, len))
				break;
			len = length_without_comment(line, len);
			if (!len || !check_line(r, line, len, max)) {
				r->rest = NULL;
				continue;
			}
		}
		if (r->rest) {
			whole = r->key_len + r->rest_len;
			len = give_part(r, buf, max);
			if (!len) {
				refuse_length(r, whole, max);
				continue;
			}
		} else {
			memcpy(buf, line, len);
		}
		buf[len] = '\n';
		buf[len + 1] = '\0';
		return buf;
	}
	return NULL;
}

int inifile_parse(struct inifile *out, const char *file, const char *text, size_t len,
		  struct fault_list *faults)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct reading r = { .ini = out, .file = file, .faults = faults };
	int bad_line;

	*out = (struct inifile){ 0 };
	if (len >= strlen(bom) && memcmp(text, bom, strlen(bom)) == 0) {
		text += strlen(bom);
		len -= strlen(bom);
	}
	r.at = text;
	r.end = text + len;

	/*
	 * What is kept of a line is shorter than the line: of "k=v\n" the words,
	 * where '=' and '\n' become NULs; of "[s]\n" the name. Only the last line
	 * may lack its '\n'. A list that is cut has its key several times, but two
	 * neighbouring parts make more than a line of inih's, and the key is short.
	 */
	out->text_size = 2 * len + LIST_KEY_MAX + 2;
	out->text = malloc(out->text_size);
	if (!out->text)
		return -ENOMEM;

	bad_line = ini_parse_stream(give_line, &r, take_entry, &r);
	sodium_stackzero(INIH_STACK);
	if (bad_line && !r.err) /* our checks are stricter than inih: not reached */
		refuse(&r, "not understood");
	if (r.broken || r.err)
		inifile_free(out);
	return r.err ? r.err : r.broken ? -EINVAL : 0;
}

void inifile_free(struct inifile *ini)
{
	if (ini->text)
		sodium_memzero(ini->text, ini->text_size);
	free(ini->text);
	free(ini->sections);
	free(ini->entries);
	*ini = (struct inifile){ 0 };
}
