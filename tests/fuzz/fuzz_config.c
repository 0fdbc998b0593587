/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: no text that lies in config.d may crash the daemon, be taken by
 * half, or lead to changes that do not fit what it says.
 *
 *	clang -D_GNU_SOURCE -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined \
 *		-o fuzz_config tests/fuzz/fuzz_config.c src/config/[a-z]*.c \
 *		src/base/prefix.c src/base/endpoint.c src/base/encoding.c -lsodium -linih
 *	./fuzz_config -max_len=2000 -max_total_time=120
 *
 * The input is a mode (even: 0600, odd: 0644) and up to three texts, divided by
 * bytes 0xff: two states of one tenant, and berth.conf.
 */
#include <errno.h>
#include <stdlib.h>

#include "../../src/config/claims.h"
#include "../../src/config/config.h"
#include "../../src/config/diff.h"
#include "../../src/config/tenant_file.h"

/* No folder: key files that are not absolute are not to be found. */
enum { NO_FOLDER = -1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* Cuts the text up to the next 0xff off. The buffer is as long as the text, for the sanitizer. */
static struct file_text next_text(const uint8_t **data, size_t *size, mode_t mode)
{
	const uint8_t *end = *size ? memchr(*data, 0xff, *size) : NULL;
	struct file_text text = { .mode = mode };

	text.len = end ? (size_t)(end - *data) : *size;
	text.data = malloc(text.len ? text.len : 1);
	require(text.data != NULL);
	if (text.len)
		memcpy(text.data, *data, text.len);
	*data += text.len + (end != NULL);
	*size -= text.len + (end != NULL);
	return text;
}

static struct config_tenant *parse_tenant(struct file_text *text)
{
	struct fault_list faults = { 0 };
	struct config_tenant *tenant;
	int err = tenant_file_parse(&tenant, NO_FOLDER, "config.d", "fuzz", text, &faults);

	require(!err == (tenant != NULL));
	require(err != -EINVAL || faults.n_errors);
	require(err || !faults.n_errors || tenant->state != TENANT_OK);
	require(!tenant || tenant->kind == TENANT_TUNNEL || tenant->state == TENANT_REVOKED ||
		tenant->n_peers == 1);
	for (size_t i = 0; i < faults.n; i++)
		require(faults.faults[i].text && *faults.faults[i].text);
	fault_list_free(&faults);
	return tenant;
}

static void check_diff(const struct config_tenant *old, const struct config_tenant *new)
{
	struct change_list changes = { 0 };

	require(diff_tenant(new, new, &changes) == 0);
	require(changes.n == 0);
	if (!old || old->kind == new->kind)
		require(diff_tenant(old, new, &changes) == 0);
	for (size_t i = 0; i < changes.n; i++)
		require(!(changes.changes[i].flags & PEER_MAY_TAKE));
	change_list_free(&changes);
	if (old && old->kind == TENANT_TUNNEL && new->kind == TENANT_TUNNEL &&
	    old->state == TENANT_OK && new->state == TENANT_OK)
		require(diff_link(new, new) == 0 && diff_link(old, new) == diff_link(new, old));
}

static void check_claims(const struct config_tenant *old, const struct config_tenant *new)
{
	struct fault_list faults = { 0 };
	struct claims *claims = claims_new();

	require(claims != NULL);
	require(!old || claims_try(claims, old, &faults) == 0);
	require(claims_try(claims, new, &faults) == 0);
	require(claims_try(claims, new, &faults) == 0);
	claims_release(claims, new->name);
	require(faults.n == 0);
	claims_free(claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fault_list faults = { 0 };
	struct config_tenant *old, *new;
	struct config_router *router;
	struct file_text text;
	mode_t mode;

	if (!size)
		return 0;
	mode = *data & 1 ? 0644 : 0600;
	data++, size--;
	text = next_text(&data, &size, mode);
	old = parse_tenant(&text);
	file_text_free(&text);
	text = next_text(&data, &size, mode);
	new = parse_tenant(&text);
	file_text_free(&text);
	text = next_text(&data, &size, mode);
	if (router_parse(&router, "berth.conf", &text, &faults) == 0 && new)
		require((config_check_tenant(router, new, &faults) == 0) == !faults.n_errors);
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
