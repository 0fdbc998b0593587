/* SPDX-License-Identifier: MIT */
/* The control socket: JSON requests of `berth`, one per line. */
#include "control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <urcu/list.h>

#include "../base/log.h"
#include "lineserver.h"

enum {
	REQUEST_MAX = 16 << 10, /* the longest request holds one name */
	SENTENCE_MAX = 512,
	SLICE_NS = 200 * 1000   /* of a list: others wait meanwhile, neighbours among them */
};

struct control {
	struct lineserver *server;
	struct control_ops ops;
	void *arg;
	struct cds_list_head waits;
	struct cds_list_head lists; /* that are being answered; each has its turn */
	uv_idle_t idle;             /* runs while there are any */
};

/* Somebody waits for what comes of a file. */
struct wait {
	struct cds_list_head link;
	struct text *answer;
	bool gone;                   /* waits for the end of the tenant */
	uint8_t public_key[KEY_LEN]; /* else for this one to be in force */
	char name[];
};

/* A tree of 100,000 tenants would be ten times as large as its text. */
struct control_list {
	struct cds_list_head link;
	struct control *control;
	struct text *answer;
	bool any;
	void *state; /* of ops.list between two calls */
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
	char words[SENTENCE_MAX], sentence[SENTENCE_MAX];
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

/* True: the tenants of the start are not all there, and that was answered. */
static bool answer_starting(struct control *control, struct text *answer)
{
	json_t *error;

	if (!control->ops.starting || !control->ops.starting(control->arg))
		return false;
	error = json_pack("{s:s, s:s}", "error", "berthd is still reading its tenants", "code",
			  "starting");
	add_json(answer, error);
	json_decref(error);
	return true;
}

/* Nobody of that name is in force: is there a file, and what is wrong with it? */
static void answer_absent(struct control *control, const char *name, struct text *answer)
{
	char why[SENTENCE_MAX], known[128];
	json_t *error;

	if (control->ops.refused(control->arg, name, why, sizeof(why))) {
		answer_error(answer, "%s is not in force: %s", name, why);
		return;
	}
	if (answer_starting(control, answer))
		return;
	(void)log_sanitise(known, sizeof(known), name);
	error = json_pack("{s:o, s:s}", "error", json_sprintf("there is no tenant '%s'", known),
			  "code", "no-tenant");
	add_json(answer, error);
	json_decref(error);
}

/* Lists */

void *control_list_state(struct control_list *list, size_t size)
{
	if (!list->state)
		list->state = calloc(1, size);
	return list->state;
}

static void free_list(void *arg)
{
	struct control_list *list = arg;

	cds_list_del(&list->link);
	if (cds_list_empty(&list->control->lists))
		(void)uv_idle_stop(&list->control->idle);
	free(list->state);
	free(list);
}

static void end_list(struct control_list *list, int err)
{
	struct text *answer = list->answer;

	text_add_string(answer, "]}");
	if (err)
		answer_failure(answer, err);
	text_add(answer, "\n", 1);
	free_list(list);
	lineserver_now(answer);
}

/* A part of the list whose turn it is. */
static void on_idle(uv_idle_t *idle)
{
	struct control *control = idle->data;
	struct control_list *list =
		cds_list_first_entry(&control->lists, struct control_list, link);
	uint64_t began = uv_hrtime();
	int more;

	do {
		more = control->ops.list(control->arg, list);
	} while (more > 0 && uv_hrtime() - began < SLICE_NS);
	if (more <= 0) {
		end_list(list, more);
		return;
	}
	cds_list_del(&list->link);
	cds_list_add_tail(&list->link, &control->lists);
}

/* False: the answer comes later. */
static bool do_list(struct control *control, struct text *answer)
{
	struct control_list *list;

	if (answer_starting(control, answer))
		return true;
	list = calloc(1, sizeof(*list));
	if (!list) {
		answer_failure(answer, -ENOMEM);
		return true;
	}
	*list = (struct control_list){ .control = control, .answer = answer };
	text_add_string(answer, "{\"tenants\":[");
	cds_list_add_tail(&list->link, &control->lists);
	(void)uv_idle_start(&control->idle, on_idle);
	lineserver_later(answer, free_list, list);
	return false;
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
		answer_absent(control, name, answer);
	else if (err)
		answer_failure(answer, err);
	else
		answer_with(answer, "tenant", tenant);
	json_decref(tenant);
}

static void do_release(struct control *control, const json_t *request, struct text *answer)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	json_t *released;
	int err;

	if (!name) {
		answer_error(answer, "a request to release needs a name");
		return;
	}
	err = control->ops.release(control->arg, name);
	if (err == -ENOENT) {
		answer_absent(control, name, answer);
	} else if (err == -EALREADY) {
		answer_error(answer, "'%s' is not quarantined", name);
	} else if (err) {
		answer_failure(answer, err);
	} else {
		released = json_pack("{s:s}", "name", name);
		answer_with(answer, "released", released);
		json_decref(released);
	}
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

static void do_owner(struct control *control, const json_t *request, struct text *answer)
{
	const char *text = json_string_value(json_object_get(request, "address"));
	struct prefix address;
	json_t *owner;
	int err;

	if (!text || prefix_parse(&address, text) || !prefix_is_host(&address)) {
		answer_error(answer, "a request for the owner needs an address");
		return;
	}
	if (answer_starting(control, answer))
		return;
	owner = json_object();
	err = owner ? control->ops.owner(control->arg, &address, owner) : -ENOMEM;
	if (err)
		answer_failure(answer, err);
	else
		answer_with(answer, "owner", owner);
	json_decref(owner);
}

static void do_names(struct control *control, struct text *answer)
{
	json_t *names;
	int err;

	if (answer_starting(control, answer))
		return;
	names = json_array();
	err = names ? control->ops.names(control->arg, names) : -ENOMEM;
	if (err)
		answer_failure(answer, err);
	else
		answer_with(answer, "names", names);
	json_decref(names);
}

/* Waiting */

static bool is_live(struct control *control, const struct wait *wait)
{
	uint8_t key[KEY_LEN];

	return control->ops.in_force(control->arg, wait->name, key) &&
	       !memcmp(key, wait->public_key, KEY_LEN);
}

static void answer_wait(struct text *answer, const char *state, const char *why)
{
	char sentence[SENTENCE_MAX];
	json_t *wait;

	(void)log_sanitise(sentence, sizeof(sentence), why ? why : "");
	wait = json_pack("{s:s, s:s*}", "state", state, "why", why ? sentence : NULL);
	answer_with(answer, "wait", wait);
	json_decref(wait);
}

/* True: what is waited for has come, and stands in the answer. */
static bool has_come(struct control *control, struct wait *wait)
{
	char why[SENTENCE_MAX];
	uint8_t key[KEY_LEN];

	if (wait->gone && !control->ops.in_force(control->arg, wait->name, key))
		answer_wait(wait->answer, "gone", NULL);
	else if (wait->gone)
		return false;
	else if (control->ops.refused(control->arg, wait->name, why, sizeof(why)))
		answer_wait(wait->answer, "refused", why);
	else if (is_live(control, wait))
		answer_wait(wait->answer, "live", NULL);
	else
		return false;
	return true;
}

static void free_wait(void *arg)
{
	struct wait *wait = arg;

	cds_list_del(&wait->link);
	free(wait);
}

/* False: the answer comes later. */
static bool do_wait(struct control *control, const json_t *request, struct text *answer)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	const char *key = json_string_value(json_object_get(request, "public_key"));
	size_t len = name ? strlen(name) + 1 : 0;
	struct wait *wait = calloc(1, sizeof(*wait) + len);

	if (!name || !wait) {
		answer_error(answer, name ? "berthd has no memory" : "a request to wait needs a name");
		free(wait);
		return true;
	}
	wait->answer = answer;
	wait->gone = !key;
	memcpy(wait->name, name, len);
	CDS_INIT_LIST_HEAD(&wait->link);
	if (key && key_from_base64(wait->public_key, key))
		answer_error(answer, "a request to wait needs a whole public key, or none");
	else if (!has_come(control, wait)) {
		cds_list_add_tail(&wait->link, &control->waits);
		lineserver_later(answer, free_wait, wait);
		return false;
	}
	free(wait);
	return true;
}

void control_changed(struct control *control)
{
	struct wait *wait, *next;

	cds_list_for_each_entry_safe(wait, next, &control->waits, link) {
		struct text *answer = wait->answer;

		/* cppcheck-suppress uninitvar ; the macro sets it */
		if (!has_come(control, wait))
			continue;
		text_add(answer, "\n", 1);
		free_wait(wait);
		lineserver_now(answer);
	}
}

/* False: the answer comes later. */
static bool dispatch(struct control *control, const json_t *request, struct text *answer)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	if (!what)
		answer_error(answer, "not a request: an object with \"do\" is wanted");
	else if (strcmp(what, "list") == 0)
		return do_list(control, answer);
	else if (strcmp(what, "show") == 0)
		do_show(control, request, answer);
	else if (strcmp(what, "owner") == 0)
		do_owner(control, request, answer);
	else if (strcmp(what, "quota-reset") == 0 && control->ops.reset_quota)
		do_reset_quota(control, request, answer);
	else if (strcmp(what, "names") == 0)
		do_names(control, answer);
	else if (strcmp(what, "release") == 0)
		do_release(control, request, answer);
	else if (strcmp(what, "status") == 0)
		do_status(control, answer);
	else if (strcmp(what, "wait") == 0)
		return do_wait(control, request, answer);
	else
		answer_error(answer, "this berthd cannot do '%s'", what);
	return true;
}

static bool on_request(void *arg, char *text, size_t len, struct text *answer)
{
	json_error_t error;
	json_t *request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	bool whole = true;

	if (request)
		whole = dispatch(arg, request, answer);
	else
		answer_error(answer, "not JSON: %s", error.text);
	json_decref(request);
	if (whole)
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
	CDS_INIT_LIST_HEAD(&control->waits);
	CDS_INIT_LIST_HEAD(&control->lists);
	err = lineserver_open(&control->server, loop, path, &server_ops, control);
	if (err) {
		free(control);
		return err;
	}
	(void)uv_idle_init(loop, &control->idle);
	control->idle.data = control;
	*out = control;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void control_close(struct control *control)
{
	if (!control)
		return;
	lineserver_close(control->server);
	uv_close((uv_handle_t *)&control->idle, on_closed);
}
