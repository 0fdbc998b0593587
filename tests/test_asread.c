/* SPDX-License-Identifier: MIT */
/* berth.conf is edited while a router of it runs. */
#include <errno.h>

#include "../src/base/log.h"
#include "../src/manage/asread.h"
#include "config_files.h"

#define CONF "[Interface]\nName = berth0\nPrivateKeyFile = own.key\n" \
	     "[Router]\nUplink = eth0\nPrefix = 2001:db8::/64\n"

static struct asread a;
static char logged[4096];

static void on_line(enum log_level level, const char *text, void *arg)
{
	size_t len = strlen(logged);

	(void)level, (void)arg;
	snprintf(logged + len, sizeof(logged) - len, "%s\n", text);
}

static void begin(void)
{
	static const struct log_hook hook = { .line = on_line };
	struct fault_list faults = { 0 };

	files_begin();
	log_set_hook(&hook);
	files_put("own.key", 0600, KEY("b") "\n");
	files_put("berth.conf", 0600, CONF);
	ck_assert_int_eq(asread_start(&a, "berth.conf", &faults), 0);
	fault_list_free(&faults);
}

static void end(void)
{
	router_free(a.router);
	log_set_hook(NULL);
	files_end();
}

static const struct edit {
	const char *command, *said; /* "": nothing */
} edits[] = {
	{ "true", "" },
	{ "touch berth.conf", "" },
	{ "cp berth.conf b; mv b berth.conf", "" },
	{ "echo MTU = 1400 >> berth.conf; sed -i /MTU/d berth.conf", "" },
	{ "sed -i s/berth0/berth1/ berth.conf", "berth.conf has changed: that takes a restart\n" },
	{ "sed -i s/:db8:/:db9:/ berth.conf", "berth.conf has changed: that takes a restart\n" },
	{ "echo '# a word' >> berth.conf", "berth.conf has changed: that takes a restart\n" },
	{ "tr b c < own.key > own.new; cat own.new > own.key",
	  "berth.conf: the key in own.key has changed: that takes a restart\n" },
	{ "sed -i s/Uplink/Uplnk/ berth.conf",
	  "berth.conf:5: unknown key 'Uplnk'; is 'Uplink' meant?\n"
	  "berth.conf has changed, and is faulty: what was read at the start stays in force, and a "
	  "restart would fail\n" },
	{ "rm berth.conf",
	  "berth.conf: No such file or directory\n"
	  "berth.conf has changed, and is faulty: what was read at the start stays in force, and a "
	  "restart would fail\n" },
};

START_TEST(what_has_changed_is_said)
{
	const struct edit *edit = &edits[_i];

	ck_assert_int_eq(system(edit->command), 0);
	ck_assert_int_eq(asread_differs(&a), *edit->said != '\0');
	ck_assert_str_eq(logged, "");
	asread_complain(&a);
	ck_assert_str_eq(logged, edit->said);
	/* Whoever asks again is told again. */
	logged[0] = '\0';
	asread_complain(&a);
	ck_assert_str_eq(logged, edit->said);
}
END_TEST

START_TEST(a_faulty_one_does_not_start)
{
	struct fault_list faults = { 0 };
	struct asread b;

	ck_assert_int_eq(asread_start(&b, "nowhere.conf", &faults), -EINVAL);
	ck_assert_ptr_null(b.router);
	ck_assert_uint_eq(faults.n_errors, 1);
	fault_list_free(&faults);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("asread");
	TCase *tc = tcase_create("asread");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_loop_test(tc, what_has_changed_is_said, 0, ARRAY_SIZE(edits));
	tcase_add_test(tc, a_faulty_one_does_not_start);
	suite_add_tcase(suite, tc);
	return files_run_all(suite);
}
