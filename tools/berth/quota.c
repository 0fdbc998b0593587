/* SPDX-License-Identifier: MIT */
/* quota: what a tenant has used of it, and a fresh one. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "../../src/base/utc.h"
#include "../../src/config/limits.h"
#include "answer.h"
#include "client.h"
#include "people.h"
#include "quota.h"

/* "in 3 d": so long until then. */
static const char *in(int64_t when, char buf[PEOPLE_STRLEN])
{
	int64_t now = time(NULL);

	return people_age(now, max(when, now + 1), buf);
}

static void print_used(const json_t *quota)
{
	uint64_t limit = answer_number(quota, "limit"), used = answer_number(quota, "used");
	const char *period = answer_text(quota, "period");
	char of[QUOTA_STRLEN], size[PEOPLE_STRLEN], left[PEOPLE_STRLEN];

	people_field("quota", "%s%s%s, %s used (%" PRIu64 " %%), %s left",
		     quota_format_bytes(limit, of), *period ? "/" : "", period,
		     people_size(used, size), limit ? used / (limit / 100 + !(limit / 100)) : 0,
		     people_size(limit - min(used, limit), left));
}

static void print_state(const json_t *quota)
{
	const char *state = answer_text(quota, "state");
	char rate[LIMITS_RATE_STRLEN];

	if (strcmp(state, "throttled") == 0)
		people_field("", "used up: %s each way",
			     limits_format_rate(answer_number(quota, "rate"), rate));
	else if (strcmp(state, "blocked") == 0)
		people_field("", "used up: nothing passes");
}

void quota_print(const json_t *tenant)
{
	const json_t *quota = json_object_get(tenant, "quota");
	const char *resets_at = answer_text(quota, "resets_at");
	char until[PEOPLE_STRLEN];
	int64_t when;

	if (!quota)
		return;
	print_used(quota);
	print_state(quota);
	if (*resets_at && !utc_parse(resets_at, &when))
		people_field("", "begins anew at %s, in %s", resets_at, in(when, until));
	else if (!*resets_at)
		people_field("", "begins anew with `berth quota %s --reset`",
			     answer_text(tenant, "name"));
}

static int quota(const struct command *self, int argc, char **argv)
{
	struct client_options options;
	json_t *request, *tenant;
	const json_t *quota;
	int status = client_parse(self, argc, argv, "reset", &options);

	if (status)
		return status;
	if (argc - optind != 1)
		return complain_usage(self, "the name of one tenant is wanted");
	request = json_pack("{s:s, s:s}", "do", options.own ? "quota-reset" : "show", "name",
			    argv[optind]);
	if (!request)
		return complain("that name is not text: tenants are called by A-Z a-z 0-9 . _ -");
	status = client_ask(&options, request, "tenant", JSON_OBJECT, &tenant);
	if (status)
		return status;
	quota = json_object_get(tenant, "quota");
	if (!quota)
		status = complain("%s has no quota: Quota = 500GB/month in [Tenant] gives it one",
				  answer_text(tenant, "name"));
	else if (options.json)
		client_print_json(quota);
	else
		quota_print(tenant);
	json_decref(tenant);
	return status;
}

const struct command command_quota = {
	.name = "quota",
	.arguments = "NAME [--reset] " CLIENT_ARGUMENTS,
	.summary = "what a tenant has used of its quota",
	.help = "  --reset         nothing is used, from now on\n" CLIENT_HELP,
	.run = quota,
};
