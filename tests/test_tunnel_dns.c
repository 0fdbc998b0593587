/* SPDX-License-Identifier: MIT */
/* resolv.conf of a namespace: ours is written and removed whole, others' are left alone. */
#include "../src/base/log.h"
#include "../src/manage/tunnel_dns.h"
#include "config_files.h"
#include "config_values.h"

static char said[4096];

static void on_line(enum log_level level, const char *text, void *arg)
{
	size_t len = strlen(said);

	(void)level;
	(void)arg;
	snprintf(said + len, sizeof(said) - len, "%s\n", text);
}

static void begin(void)
{
	static const struct log_hook hook = { .line = on_line };

	said[0] = '\0';
	log_set_hook(&hook);
	umask(077);
}

static struct config_tenant *tunnel_with(const char *netns, const char *servers,
					 const char *search)
{
	struct config_tenant *t = make_tunnel("t", netns, "wg0");

	t->tunnel->dns_servers = servers ? strdup(servers) : NULL;
	t->tunnel->dns_search = search ? strdup(search) : NULL;
	return t;
}

/* The file is this, and everybody can read it; NULL: there is none. */
static void expect_file(const char *netns, const char *expected)
{
	char path[128], text[4096] = "";
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "netns/%s/resolv.conf", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(fd >= 0, expected != NULL);
	if (fd < 0)
		return;
	ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	close(fd);
	snprintf(path, sizeof(path), "netns/%s", netns);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0755);
	snprintf(path, sizeof(path), "netns/%s/.resolv.conf.berth", netns);
	ck_assert_int_ne(stat(path, &st), 0);
}

static const char *first_line(void)
{
	static char line[8192];
	char cwd[4096];

	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	snprintf(line, sizeof(line), "# Made by berthd, and gone with it: tunnel t of %s/config.d\n",
		 cwd);
	return line;
}

static const char *with_line(const char *text)
{
	static char all[16384];

	snprintf(all, sizeof(all), "%s%s", first_line(), text);
	return all;
}

START_TEST(test_life)
{
	struct config_tenant *one = tunnel_with("mail", "9.9.9.9 2001:db8::53", "a.example lan");
	struct config_tenant *two = tunnel_with("mail", "1.1.1.1", NULL);
	struct config_tenant *web = tunnel_with("web", NULL, "lan");
	struct config_tenant *none = tunnel_with("mail", NULL, NULL);
	struct config_tenant *host = tunnel_with(NULL, "9.9.9.9", NULL);
	struct tunnel_dns dns = { .folder = "netns" };

	begin();
	tunnel_dns_update(&dns, none);
	ck_assert_int_ne(access("netns", F_OK), 0);
	tunnel_dns_update(&dns, one);
	expect_file("mail", with_line("nameserver 9.9.9.9\nnameserver 2001:db8::53\n"
				      "search a.example lan\n"));
	tunnel_dns_update(&dns, two);
	expect_file("mail", with_line("nameserver 1.1.1.1\n"));
	tunnel_dns_update(&dns, web);
	ck_assert_int_ne(access("netns/mail", F_OK), 0);
	expect_file("web", with_line("search lan\n"));
	/* A folder with something else in it stays, and so does one that was there. */
	files_put("netns/web/hosts", 0644, "");
	tunnel_dns_update(&dns, host);
	expect_file("web", NULL);
	ck_assert_int_eq(access("netns/web/hosts", F_OK), 0);
	mkdir("netns/mail", 0755);
	chmod("netns/mail", 0755);
	tunnel_dns_update(&dns, one);
	tunnel_dns_update(&dns, NULL);
	expect_file("mail", NULL);
	ck_assert_int_eq(access("netns/mail", F_OK), 0);
	ck_assert_str_eq(said, "");
	tenant_free(one);
	tenant_free(two);
	tenant_free(web);
	tenant_free(none);
	tenant_free(host);
}
END_TEST

#define NOT_OURS                                                                                 \
	"tunnel t: netns/mail/resolv.conf is not ours and is left alone, so DNS of "              \
	"config.d/t.conf does nothing: remove one of the two, then 'touch config.d/t.conf'\n"

START_TEST(test_somebodys)
{
	struct config_tenant *t = tunnel_with("mail", "9.9.9.9", NULL);
	struct tunnel_dns dns = { .folder = "netns" };

	begin();
	mkdir("netns", 0755);
	mkdir("netns/mail", 0755);
	chmod("netns/mail", 0755);
	files_put("netns/mail/resolv.conf", 0644, "nameserver 8.8.8.8\n");
	tunnel_dns_update(&dns, t);
	tunnel_dns_update(&dns, t);
	ck_assert_str_eq(said, NOT_OURS);
	tunnel_dns_update(&dns, NULL);
	expect_file("mail", "nameserver 8.8.8.8\n");

	/* A link is somebody's, wherever it leads; so is what another tunnel has written. */
	said[0] = '\0';
	ck_assert_int_eq(rename("netns/mail/resolv.conf", "netns/there"), 0);
	ck_assert_int_eq(symlink("../there", "netns/mail/resolv.conf"), 0);
	tunnel_dns_update(&dns, t);
	ck_assert_str_eq(said, NOT_OURS);
	tunnel_dns_update(&dns, NULL);
	expect_file("mail", "nameserver 8.8.8.8\n");
	ck_assert_int_eq(unlink("netns/mail/resolv.conf"), 0);

	/* When it is out of the way, and when somebody takes the place of ours. */
	said[0] = '\0';
	tunnel_dns_update(&dns, t);
	expect_file("mail", with_line("nameserver 9.9.9.9\n"));
	files_put("netns/mail/resolv.conf", 0644, "nameserver 7.7.7.7\n");
	tunnel_dns_update(&dns, NULL);
	expect_file("mail", "nameserver 7.7.7.7\n");
	ck_assert_str_eq(said, "");
	tenant_free(t);
}
END_TEST

START_TEST(test_sweep)
{
	struct config_tenant *t = tunnel_with("mail", "9.9.9.9", NULL);
	struct tunnel_dns killed = { .folder = "netns" }, dns = { .folder = "netns" };

	begin();
	tunnel_dns_update(&killed, t);
	mkdir("netns/web", 0755);
	chmod("netns/web", 0755);
	files_put("netns/web/resolv.conf", 0644, "# somebody's\n");
	mkdir("other.d", 0700);
	tunnel_dns_sweep_in("netns", "other.d");
	expect_file("mail", with_line("nameserver 9.9.9.9\n"));
	ck_assert_str_eq(said, "");
	/* The same one, started again, goes on with it; and else it is removed. */
	tunnel_dns_update(&dns, t);
	ck_assert_str_eq(said, "");
	tunnel_dns_sweep_in("netns", "./config.d");
	expect_file("mail", NULL);
	ck_assert_int_ne(access("netns/mail", F_OK), 0);
	expect_file("web", "# somebody's\n");
	ck_assert_str_eq(said, "resolv.conf of namespace mail is from an earlier run: removed\n");
	tunnel_dns_sweep_in("nowhere", "config.d");
	tunnel_dns_update(&dns, NULL);
	tunnel_dns_update(&killed, NULL);
	tenant_free(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tunnel_dns");
	TCase *tcase;

	tcase = tcase_create("life");
	tcase_add_test(tcase, test_life);
	files_add(suite, tcase);
	tcase = tcase_create("somebodys");
	tcase_add_test(tcase, test_somebodys);
	files_add(suite, tcase);
	tcase = tcase_create("sweep");
	tcase_add_test(tcase, test_sweep);
	files_add(suite, tcase);
	return files_run_all(suite);
}
