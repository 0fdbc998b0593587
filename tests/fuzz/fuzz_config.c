/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: no text that lies in config.d may crash the daemon, be taken by
 * half, or lead to changes that do not fit what it says.
 *
 * Length: 2000
 *
 * The input is a mode (even: 0600, odd: 0644) and up to three texts, divided by
 * bytes 0xff: two states of one tenant, and berth.conf.
 */
#include <errno.h>

#include "../../src/config/claims.h"
#include "../../src/config/config.h"
#include "../../src/config/diff.h"
#include "../../src/config/tenant_file.h"
#include "fuzz.h"

/* No folder: key files that are not absolute are not to be found. */
enum { NO_FOLDER = -1 };

/* Cuts the text up to the next 0xff off. The buffer is as long as the text, for the sanitizer. */
static struct file_text next_text(struct input *in, mode_t mode)
{
	const uint8_t *end = in->size ? memchr(in->data, 0xff, in->size) : NULL;
	struct file_text text = { .mode = mode };

	text.len = end ? (size_t)(end - in->data) : in->size;
	text.data = (char *)take_copy(in, text.len, &text.len);
	if (end)
		(void)take_u8(in);
	return text;
}

static struct config_tenant *parse_tenant(struct file_text *text)
{
	struct fault_list faults = { 0 };
	struct config_tenant *tenant;
	int err = tenant_file_parse(&tenant, NO_FOLDER, "config.d", "fuzz", text, &faults);

	must(!err == (tenant != NULL));
	must(err != -EINVAL || faults.n_errors);
	must(err || !faults.n_errors || tenant->state != TENANT_OK);
	must(!tenant || tenant->kind == TENANT_TUNNEL || tenant->state == TENANT_REVOKED ||
		tenant->n_peers == 1);
	for (size_t i = 0; i < faults.n; i++)
		must(faults.faults[i].text && *faults.faults[i].text);
	fault_list_free(&faults);
	return tenant;
}

static void check_diff(const struct config_tenant *old, const struct config_tenant *new)
{
	struct change_list changes = { 0 };

	must(diff_tenant(new, new, &changes) == 0);
	must(changes.n == 0);
	if (!old || old->kind == new->kind)
		must(diff_tenant(old, new, &changes) == 0);
	for (size_t i = 0; i < changes.n; i++)
		must(!(changes.changes[i].flags & PEER_MAY_TAKE));
	change_list_free(&changes);
	if (old && old->kind == TENANT_TUNNEL && new->kind == TENANT_TUNNEL &&
	    old->state == TENANT_OK && new->state == TENANT_OK)
		must(diff_link(new, new) == 0 && diff_link(old, new) == diff_link(new, old));
}

static void check_claims(const struct config_tenant *old, const struct config_tenant *new)
{
	struct fault_list faults = { 0 };
	struct claims *claims = claims_new();

	must(claims != NULL);
	must(!old || claims_try(claims, old, &faults) == 0);
	must(claims_try(claims, new, &faults) == 0);
	must(claims_try(claims, new, &faults) == 0);
	claims_release(claims, new->name);
	must(faults.n == 0);
	claims_free(claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fault_list faults = { 0 };
	struct config_tenant *old, *new;
	struct config_router *router;
	struct file_text text;
	mode_t mode;

	mode = take_u8(&in) & 1 ? 0644 : 0600;
	text = next_text(&in, mode);
	old = parse_tenant(&text);
	file_text_free(&text);
	text = next_text(&in, mode);
	new = parse_tenant(&text);
	file_text_free(&text);
	text = next_text(&in, mode);
	if (router_parse(&router, "berth.conf", &text, &faults) == 0 && new)
		must((config_check_tenant(router, new, &faults) == 0) == !faults.n_errors);
	file_text_free(&text);
	router_free(router);
	fault_list_free(&faults);

	if (new) {
		check_diff(old, new);
		check_claims(old, new);
	}
	tenant_free(old);
	tenant_free(new);
	return 0;
}
