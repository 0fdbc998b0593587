/* SPDX-License-Identifier: MIT */
/* revoke: the end of a tenant. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/base/clock.h"
#include "../../src/config/file.h"
#include "../../src/config/tenant.h"
#include "client.h"
#include "holdings.h"
#include "newfile.h"
#include "revoked.h"

/* Of one name: more are for somebody to tidy up. */
enum { KEPT_MAX = 1000 };

struct revoking {
	const char *name, *config;
	bool purge, json;
	struct holdings holdings;
	char *path, *kept; /* NAME.conf, and what stays of it */
	const char *outcome;
	double ms; /* negative: berthd is not running */
};

static int parse(struct revoking *r, const struct command *self, int argc, char **argv)
{
	static const struct option options[] = { { "purge", no_argument, NULL, 'p' },
						 { "json", no_argument, NULL, 'j' },
						 { "config", required_argument, NULL, 'c' },
						 { 0 } };
	int c;

	*r = (struct revoking){ .config = DEFAULT_CONFIG, .holdings.folder.dirfd = -1, .ms = -1 };
	while ((c = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			r->purge = true;
			break;
		case 'j':
			r->json = true;
			break;
		case 'c':
			r->config = optarg;
			break;
		default:
			return complain_option(self, c, argv);
		}
	}
	if (argc - optind != 1)
		return complain_usage(self, "the name of one tenant is wanted");
	r->name = argv[optind];
	return EXIT_GOOD;
}

static int find(struct revoking *r)
{
	const struct folder *folder = &r->holdings.folder;
	int status = holdings_open_anyway(&r->holdings, r->config);

	if (status)
		return status;
	if (r->holdings.faulty && tenant_name_valid(r->name) &&
	    !holdings_has(&r->holdings, r->name))
		return complain("there is no tenant '%s' in %s: if berthd has another folder, "
				"rm FOLDER/%s.conf there ends it at once", r->name,
				r->holdings.router->tenants, r->name);
	if (!tenant_name_valid(r->name) || !holdings_has(&r->holdings, r->name))
		return client_complain_unknown(r->name, (const char *const *)folder->names,
					       folder->n);
	r->path = holdings_path(&r->holdings, r->name, ".conf");
	return r->path ? EXIT_GOOD : complain("not enough memory");
}

/* Does the file at path hold just that? */
static bool holds(const char *path, const struct draft *draft)
{
	struct file_text text;
	bool same;

	if (file_read(&text, AT_FDCWD, path, FILE_CONFIG_MAX))
		return false;
	same = text.len == draft->len && memcmp(text.data, draft->text, text.len) == 0;
	file_text_free(&text);
	return same;
}

/*
 * What an earlier tenant of that name left is not lost for this one: it is kept under the
 * next name that is free, "NAME.conf.revoked.2", unless it is the same.
 */
static int keep_beside(struct revoking *r, const struct draft *draft)
{
	char number[16], suffix[32];
	int err = -EEXIST;

	for (unsigned i = 1; err == -EEXIST && i <= KEPT_MAX; i++) {
		(void)snprintf(number, sizeof(number), ".%u", i);
		(void)snprintf(suffix, sizeof(suffix), ".conf.revoked%s", i > 1 ? number : "");
		free(r->kept);
		r->kept = holdings_path(&r->holdings, r->name, suffix);
		if (!r->kept)
			return -ENOMEM;
		if (holds(r->kept, draft))
			return 0;
		err = newfile_make(r->kept, draft->text, draft->len);
	}
	return err;
}

/* The file without its keys, before it goes. */
static int keep(struct revoking *r)
{
	struct file_text text;
	struct draft draft;
	int err = -EAGAIN;

	for (int i = 0; err == -EAGAIN && i < 5; i++)
		err = file_read(&text, AT_FDCWD, r->path, FILE_CONFIG_MAX);
	if (err)
		return complain("'%s': %s; --purge removes it as it is", r->path, file_error(err));
	revoked_write(&draft, text.data, text.len);
	err = draft_failed(&draft) ? -EFBIG : keep_beside(r, &draft);
	draft_free(&draft);
	file_text_free(&text);
	if (err)
		return complain("cannot write %s: %s; --purge keeps nothing",
				r->kept ? r->kept : r->path, strerror(-err));
	return EXIT_GOOD;
}

static int end(struct revoking *r)
{
	uint64_t start = clock_now();
	int err = newfile_remove(r->path);
	char why[CLIENT_WHY_MAX];

	if (err == -EACCES || err == -EPERM)
		return complain("no permission to remove %s: run this as root", r->path);
	if (err)
		return complain("cannot remove %s: %s", r->path, strerror(-err));
	switch (client_wait(r->holdings.router->control, r->name, NULL, why)) {
	case CLIENT_DONE:
		r->ms = client_ms_since(start);
		return EXIT_GOOD;
	case CLIENT_NOT_RUNNING:
		if (!r->holdings.faulty)
			return EXIT_GOOD;
		return complain("%s is removed, but nothing listens at %s: if berthd runs with "
				"another Control, `berth show %s --control PATH` tells whether '%s' "
				"is out", r->path, r->holdings.router->control, r->name, r->name);
	default:
		return complain("%s is removed, but berthd did not say that '%s' is out: %s", r->path,
				r->name, why);
	}
}

static int print(const struct revoking *r)
{
	json_t *out;

	if (!r->json) {
		if (r->ms < 0)
			(void)printf("%s: revoked; berthd is not running, so nobody was in\n",
				     r->name);
		else
			(void)printf("%s: revoked after %.0f ms\n", r->name, r->ms);
		if (!r->purge)
			(void)printf("%s: what else its file said\n", r->kept);
		return EXIT_GOOD;
	}
	out = json_pack("{s:s, s:o, s:s?}", "name", r->name, "revoked_ms",
			r->ms < 0 ? json_null() : json_real(r->ms), "kept",
			r->purge ? NULL : r->kept);
	if (!out)
		return complain("not enough memory");
	client_print_json(out);
	json_decref(out);
	return EXIT_GOOD;
}

static int run_revoke(const struct command *self, int argc, char **argv)
{
	struct revoking r;
	int status = parse(&r, self, argc, argv);

	if (!status)
		status = find(&r);
	if (!status && !r.purge)
		status = keep(&r);
	if (!status)
		status = end(&r);
	if (!status)
		status = print(&r);
	free(r.path);
	free(r.kept);
	holdings_free(&r.holdings);
	return status;
}

const struct command command_revoke = {
	.name = "revoke",
	.arguments = "NAME [--purge] [--json] [-c FILE]",
	.summary = "the end of a tenant, or of a tunnel of our own",
	.help = "Removes config.d/NAME.conf and waits until berthd has thrown the tenant out. What\n"
		"else the file said is kept in NAME.conf.revoked, without its keys; a public key\n"
		"stays there as a comment. If there is one already, it is .revoked.2, and so on.\n"
		"Files that it named are left alone.\n\n"
		"  --purge            keep nothing\n"
		"  --json             for programs\n"
		"  -c, --config FILE  instead of " DEFAULT_CONFIG "\n",
	.run = run_revoke,
};
