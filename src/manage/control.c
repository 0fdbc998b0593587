/* SPDX-License-Identifier: MIT */
/* The control socket: JSON requests of `berth`, one per line. */
#include "control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "../base/log.h"
#include "lineserver.h"

/* The longest request holds one name. */
enum { REQUEST_MAX = 16 << 10 };

struct control {
	struct lineserver *server;
	struct control_ops ops;
	void *arg;
};

/* A tree of 100,000 tenants would be ten times as large as its text. */
struct control_list {
	struct text *answer;
	bool any;
};

static int write_text(const char *data, size_t len, void *arg)
{
	struct text *out = arg;

	text_add(out, data, len);
	return out->failed ? -1 : 0;
}

static void add_json(struct text *out, const json_t *value)
{
	if (!value || json_dump_callback(value, write_text, out, JSON_COMPACT))
		out->failed = true;
}

void control_list_add(struct control_list *list, json_t *tenant)
{
	if (list->any)
		text_add(list->answer, ",", 1);
	list->any = true;
	add_json(list->answer, tenant);
	json_decref(tenant);
}

/* {"error":"…"} and nothing else, whatever stood in the answer. */
static void printf_like(2, 3) answer_error(struct text *answer, const char *fmt, ...)
{
	char words[256], sentence[256];
	json_t *error;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	/* JSON is UTF-8, and a terminal is where it ends up. */
	(void)log_sanitise(sentence, sizeof(sentence), words);
	error = json_pack("{s:s}", "error", sentence);
	text_consume(answer, answer->len);
	add_json(answer, error);
	json_decref(error);
}

/* {"what":value} */
static void answer_with(struct text *answer, const char *what, const json_t *value)
{
	text_add_string(answer, "{\"");
	text_add_string(answer, what);
	text_add_string(answer, "\":");
	add_json(answer, value);
	text_add_string(answer, "}");
}

static void answer_failure(struct text *answer, int err)
{
	answer_error(answer, "berthd could not answer: %s", strerror(-err));
}

static void do_list(struct control *control, struct text *answer)
{
	struct control_list list = { .answer = answer };
	int err;

	text_add_string(answer, "{\"tenants\":[");
	err = control->ops.list(control->arg, &list);
	text_add_string(answer, "]}");
	if (err)
		answer_failure(answer, err);
}

static void do_show(struct control *control, const json_t *request, struct text *answer)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	json_t *tenant;
	int err;

	if (!name) {
		answer_error(answer, "this request needs a name");
		return;
	}
	tenant = json_object();
	err = tenant ? control->ops.show(control->arg, name, tenant) : -ENOMEM;
	if (err == -ENOENT)
		answer_error(answer, "there is no tenant '%s'", name);
	else if (err)
		answer_failure(answer, err);
	else
		answer_with(answer, "tenant", tenant);
	json_decref(tenant);
}

static void do_reset_quota(struct control *control, const json_t *request, struct text *answer)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	int err = name ? control->ops.reset_quota(control->arg, name) : 0;

	if (err == -ENODATA)
		answer_error(answer, "tenant '%s' has no quota", name);
	else if (err && err != -ENOENT)
		answer_failure(answer, err);
	else
		do_show(control, request, answer); /* says also that there is no such tenant */
}

static void do_status(struct control *control, struct text *answer)
{
	json_t *status = json_object();
	int err = status ? control->ops.status(control->arg, status) : -ENOMEM;

	if (err)
		answer_failure(answer, err);
	else
		answer_with(answer, "status", status);
	json_decref(status);
}

static void dispatch(struct control *control, const json_t *request, struct text *answer)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	if (!what)
		answer_error(answer, "not a request: an object with \"do\" is wanted");
	else if (strcmp(what, "list") == 0)
		do_list(control, answer);
	else if (strcmp(what, "show") == 0)
		do_show(control, request, answer);
	else if (strcmp(what, "quota-reset") == 0 && control->ops.reset_quota)
		do_reset_quota(control, request, answer);
	else if (strcmp(what, "status") == 0)
		do_status(control, answer);
	else
		answer_error(answer, "this berthd cannot do '%s'", what);
}

static bool on_request(void *arg, char *text, size_t len, struct text *answer)
{
	json_error_t error;
	json_t *request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (request)
		dispatch(arg, request, answer);
	else
		answer_error(answer, "not JSON: %s", error.text);
	json_decref(request);
	text_add(answer, "\n", 1);
	return true;
}

static void on_too_long(void *arg, struct text *answer)
{
	(void)arg;
	answer_error(answer, "a request is at most %d bytes long", REQUEST_MAX);
	text_add(answer, "\n", 1);
}

static void on_gone(void *arg)
{
	struct control *control = arg;

	if (control->ops.gone)
		control->ops.gone(control->arg);
}

int control_open(struct control **out, uv_loop_t *loop, const char *path,
		 const struct control_ops *ops, void *arg)
{
	static const struct lineserver_ops server_ops = { .end = "\n",
							  .max = REQUEST_MAX,
							  .request = on_request,
							  .too_long = on_too_long,
							  .gone = on_gone };
	struct control *control = calloc(1, sizeof(*control));
	int err;

	*out = NULL;
	if (!control)
		return -ENOMEM;
	control->ops = *ops;
	control->arg = arg;
	err = lineserver_open(&control->server, loop, path, &server_ops, control);
	if (err) {
		free(control);
		return err;
	}
	*out = control;
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	lineserver_close(control->server);
	free(control);
}
