/* SPDX-License-Identifier: MIT */
/* INI text: what is taken, and in which words the rest is refused. */
#include <errno.h>

#include "../src/config/inifile.h"
#include "config_files.h"

#define X10 "xxxxxxxxxx"
#define X90 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X190 X90 X90 X10
#define T(text) text, sizeof(text) - 1

/* "section#ordinal:line key=value" per entry, "[name:line]" per section. */
static const struct {
	const char *text;
	size_t len;
	const char *expected;
} good[] = {
	/* 0 */ { T(""), "" },
	/* 1 */ { T("\n\n"), "" },
	/* 2 */ { T("# only\n; comments\n  # indented\n\t;too\n"), "" },
	/* 3 */ { T("[A]\nk = v\n"), "[A:1]\n0:2 k=v\n" },
	/* 4: no newline at the end */ { T("[A]\nk=v"), "[A:1]\n0:2 k=v\n" },
	/* 5: DOS */ { T("[A]\r\nk = v\r\n\r\n"), "[A:1]\n0:2 k=v\n" },
	/* 6: byte order mark */ { T("\xef\xbb\xbf[A]\nk=v\n"), "[A:1]\n0:2 k=v\n" },
	/* 7: two sections of one name */
	{ T("[Peer]\na=1\n[Peer]\na=2\n"), "[Peer:1]\n0:2 a=1\n[Peer:3]\n1:4 a=2\n" },
	/* 8: sections without keys */ { T("[A]\n[B]\n"), "[A:1]\n[B:2]\n" },
	/* 9: comments behind values */
	{ T("[A] # c\na=1 # c\nb=2 ; c\nc=3#c\nd=4;d\n"),
	  "[A:1]\n0:2 a=1\n0:3 b=2\n0:4 c=3\n0:5 d=4;d\n" },
	/* 10: empty values */
	{ T("[A]\na=\nb =   \nc = # c\n"), "[A:1]\n0:2 a=\n0:3 b=\n0:4 c=\n" },
	/* 11: given twice */ { T("[A]\na=1\na=2\n"), "[A:1]\n0:2 a=1\n0:3 a=2\n" },
	/* 12: '=' and ':' inside values */
	{ T("[A]\nk=AAA=\ne=[::1]:5\n"), "[A:1]\n0:2 k=AAA=\n0:3 e=[::1]:5\n" },
	/* 13: as long as can be: 198 */
	{ T("[A]\nlongkey=" X190 "\n"), "[A:1]\n0:2 longkey=" X190 "\n" },
	/* 14: a comment may be longer */
	{ T("[A]\nk=v #" X190 X190 "\n#" X190 X190 "\n"), "[A:1]\n0:2 k=v\n" },
	/* 15: blanks around */ { T("[ A ]  \nk\t= v w \t\n"), "[A:1]\n0:2 k=v w\n" },
	/* 16: a list may be as long as it likes, with a comment, too */
	{ T("[A]\nlist = " X10 X10 X10 X10 "," X90 ", " X90 "," X10 ", \t" X90 " #" X190 "\nb=1\n"),
	  "[A:1]\n0:2 list=" X10 X10 X10 X10 "," X90 "\n0:2 list=" X90 "," X10 "\n"
	  "0:2 list=" X90 "\n0:3 b=1\n" },
	/* 17: what is missing beside a comma is still missing */
	{ T("[A]\nlongkey=" X90 "," X90 X10 ","),
	  "[A:1]\n0:2 longkey=" X90 "\n0:2 longkey=" X90 X10 ",\n" },
	/* 18: UTF-8 */ { T("[A]\n# gr\xc3\xbc\xc3\x9f\nk=\xc3\xa9\n"), "[A:1]\n0:3 k=\xc3\xa9\n" },
};

START_TEST(test_good)
{
	struct fault_list faults = { 0 };
	struct inifile ini;
	char *text = NULL;
	size_t len, entry = 0;
	FILE *out = open_memstream(&text, &len);

	ck_assert_int_eq(inifile_parse(&ini, "f", good[_i].text, good[_i].len, &faults), 0);
	for (size_t i = 0; i < ini.n_sections; i++) {
		fprintf(out, "[%s:%u]\n", ini.sections[i].name, ini.sections[i].line);
		ck_assert_uint_eq(ini.sections[i].first, entry);
		for (size_t k = 0; k < ini.sections[i].n; k++, entry++)
			fprintf(out, "%u:%u %s=%s\n", ini.entries[entry].section,
				ini.entries[entry].line, ini.entries[entry].key,
				ini.entries[entry].value);
	}
	fclose(out);
	ck_assert_uint_eq(entry, ini.n_entries);
	ck_assert_uint_le(ini.text_used, ini.text_size);
	ck_assert_str_eq(text, good[_i].expected);
	free(text);
	inifile_free(&ini);
	files_expect(&faults, "");
}
END_TEST

#define LINE_IS ": a line is Key = value, or [Section]"
#define SECRET X10 X10 X10 X10 "xxx="

static const struct {
	const char *text;
	size_t len;
	const char *expected;
} bad[] = {
	/* 0 */ { T("k=v\n"), "f:1: 'k' stands in front of the first [Section]\n" },
	/* 1 */ { T("[A]\nk\n"), "f:2: '=' is missing behind 'k'" LINE_IS "\n" },
	/* 2 */ { T("[A]\n=v\n"), "f:2: neither 'Key = value' nor [Section]\n" },
	/* 3: a continuation line in the eyes of inih */
	{ T("[A]\nk=v\n  k2=w\n"),
	  "f:3: the line is indented; start it in the first column\n" },
	/* 4 */ { T("[A]\nk=v\n\tmore\n"),
		  "f:3: the line is indented; start it in the first column\n" },
	/* 5: one byte too long */
	{ T("[A]\nlongkey1=" X190 "\n"),
	  "f:2: the line is 199 bytes long, 198 are possible; split it, a list may go on in a "
	  "second line with the same key\n" },
	/* 6: that inih would cut it to a good value must not matter */
	{ T("[A]\nk=v\nAllowedIPs = " X190 "/24\n"),
	  "f:3: the line is 206 bytes long, 198 are possible; split it, a list may go on in a "
	  "second line with the same key\n" },
	/* 7: nowhere to be cut; in the middle of a list, and a key that is none of a list */
	{ T("[A]\nlist=," X190 X10 "\nlist=" X90 "," X190 X10 "\n" X10 X10 X10 X10 "=" X90 "," X90
	    "\n"),
	  "f:2: the line is 206 bytes long, 198 are possible; split it, a list may go on in a "
	  "second line with the same key\n"
	  "f:3: the line is 205 bytes long, 198 are possible; split it, a list may go on in a "
	  "second line with the same key\n"
	  "f:4: the line is 222 bytes long, 198 are possible; split it, a list may go on in a "
	  "second line with the same key\n" },
	/* 8: that is all that is wrong here */
	{ T("[Peer\nk=v\nk2=v\n"), "f:1: ']' is missing behind '[Peer'\n" },
	{ T("[Peer # of alice\nk=v\n[A\nk=v"), "f:1: ']' is missing behind '[Peer'\n"
						"f:3: ']' is missing behind '[A'\n" },
	{ T("[" SECRET "\nk=v\n"), "f:1: ']' is missing: a section is [Name]\n" },
	/* 8 */ { T("[A] b\n"), "f:1: a section is [Name], with nothing behind it\n" },
	/* 9 */ { T("[]\nk=v\n"), "f:1: the section has no name\n" },
	/* 10 */ { T("[  ]\n"), "f:1: the section has no name\n" },
	/* 11 */ { T("[" X10 X10 X10 X10 X10 "]\n"), "f:1: the section's name is too long\n" },
	/* 12 */ { T("[A]\nk=\0v\n"), "f:2: byte 0x00: this is no text file\n" },
	/* 13 */ { T("\x7f" "ELF\x01\x02\x03\n=\n"), "f:1: byte 0x7f: this is no text file\n" },
	/* 14 */ { T("[A]\n#\x1b[2J\n"), "f:2: byte 0x1b: this is no text file\n" },
	/* 15: CR alone */ { T("[A]\rk=v\n"), "f:1: byte 0x0d: this is no text file\n" },
	/* 16: ':' is not '=' */
	{ T("[A]\nAllowedIPs 2001:db8::1 = x\n"), "f:2: ':' in front of '=': no key is called "
						  "so\n" },
	/* 17 */ { T("[A]\nkey: v\n"), "f:2: '=' is missing behind 'key'" LINE_IS "\n" },
	{ T("[A]\nEndpoint\t192.0.2.1:5\n"), "f:2: '=' is missing behind 'Endpoint'" LINE_IS "\n" },
	/* 17: what may be a key is not quoted */
	{ T("[A]\n" X10 X10 X10 X10 "\n"), "f:2: neither 'Key = value' nor [Section]\n" },
	{ T("[A]\na1/+b c\n"), "f:2: neither 'Key = value' nor [Section]\n" },
	{ T(SECRET "\n"), "f:1: a key stands in front of the first [Section]\n" },
	/* 18: all faults, and in order */
	{ T("x=y\n[A]\nno\n q=r\n"), "f:1: 'x' stands in front of the first [Section]\n"
				    "f:3: '=' is missing behind 'no'" LINE_IS "\n"
				    "f:4: the line is indented; start it in the first column\n" },
	/* 19 */ { T("[[A]]\n"), "f:1: a section is [Name], with nothing behind it\n" },
	/* 20 */ { T("[\n"), "f:1: ']' is missing: a section is [Name]\n" },
	{ T("["), "f:1: ']' is missing: a section is [Name]\n" },
};

START_TEST(test_bad)
{
	struct fault_list faults = { 0 };
	struct inifile ini;

	ck_assert_int_eq(inifile_parse(&ini, "f", bad[_i].text, bad[_i].len, &faults), -EINVAL);
	ck_assert_ptr_null(ini.entries);
	ck_assert_uint_eq(ini.n_entries, 0);
	ck_assert_uint_eq(ini.n_sections, 0);
	files_expect(&faults, bad[_i].expected);
}
END_TEST

/* No text whatever: no crash, and either a fault or a value. */
START_TEST(test_random)
{
	static const char alphabet[] = "[]=:;# \t\r\nabAB1/.,\x01\xff";
	unsigned seed = 1;

	for (int round = 0; round < 20000; round++) {
		struct fault_list faults = { 0 };
		struct inifile ini;
		char *text;
		size_t len;
		int err;

		seed = seed * 1103515245 + 12345;
		len = (seed >> 16) % 64;
		text = malloc(len + 1); /* exactly, for the sanitizer */
		for (size_t i = 0; i < len; i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		err = inifile_parse(&ini, "f", text, len, &faults);
		ck_assert(err == 0 ? faults.n_errors == 0 : faults.n_errors > 0);
		ck_assert_uint_le(ini.text_used, ini.text_size);
		inifile_free(&ini);
		fault_list_free(&faults);
		free(text);
	}
}
END_TEST

/* Garbage says it once per line, but not for ever. */
START_TEST(test_many_faults)
{
	struct fault_list faults = { 0 };
	struct inifile ini;
	char text[2000];

	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "x\n", 2);
	ck_assert_int_eq(inifile_parse(&ini, "f", text, sizeof(text), &faults), -EINVAL);
	ck_assert_uint_eq(faults.n, FAULTS_PER_FILE);
	ck_assert_uint_eq(faults.n_errors, 1000);
	fault_list_free(&faults);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inifile");
	TCase *tcase = tcase_create("inifile");

	tcase_add_loop_test(tcase, test_good, 0, ARRAY_SIZE(good));
	tcase_add_loop_test(tcase, test_bad, 0, ARRAY_SIZE(bad));
	tcase_add_test(tcase, test_random);
	tcase_add_test(tcase, test_many_faults);
	return files_run(suite, tcase);
}
