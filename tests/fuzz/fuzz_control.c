/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: requests on the control socket. Each is answered by exactly one line of JSON: an
 * object that is an error, or what was asked for. The socket is faked (fuzz_lineserver.c has the
 * real one); there is one tenant, "alice". The input is requests, one a line; a line "!" is a
 * moment in which tenants have changed.
 *
 * Length: 400
 */
#include <errno.h>

#include "../../src/manage/control.h"
#include "../../src/manage/lineserver.h"
#include "fuzz.h"

enum { WAITING_MAX = 32 };

/* lineserver.h, in memory. */
struct lineserver {
	struct lineserver_ops ops;
	void *arg;
};

struct asked {
	struct text answer;
	void (*left)(void *arg); /* not NULL: the answer comes later */
	void *arg;
};

static struct lineserver server;
static struct asked waiting[WAITING_MAX];
static bool changed;

int lineserver_open(struct lineserver **out, uv_loop_t *loop, const char *path,
		    const struct lineserver_ops *ops, void *arg)
{
	(void)loop;
	(void)path;
	server = (struct lineserver){ .ops = *ops, .arg = arg };
	*out = &server;
	return 0;
}

static struct asked *asked_of(struct text *answer)
{
	return container_of(answer, struct asked, answer);
}

void lineserver_close(struct lineserver *s)
{
	(void)s;
}

void lineserver_later(struct text *answer, void (*left)(void *arg), void *arg)
{
	must(!asked_of(answer)->left);
	asked_of(answer)->left = left;
	asked_of(answer)->arg = arg;
}

/* Whole: one line, one object, of one of the shapes of control.h. */
static void check_answer(const struct text *answer)
{
	static const char *const shapes[] = { "error", "tenants", "tenant", "owner",   "status",
					      "names", "wait",	  "released" };
	json_error_t error;
	json_t *value;
	size_t n = 0;

	must(!answer->failed && answer->len && answer->data[answer->len - 1] == '\n');
	must(!memchr(answer->data, '\n', answer->len - 1));
	value = json_loadb(answer->data, answer->len, JSON_REJECT_DUPLICATES, &error);
	must(json_is_object(value));
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		n += json_object_get(value, shapes[i]) != NULL;
	must(n == 1);
	json_decref(value);
}

void lineserver_now(struct text *answer)
{
	struct asked *asked = asked_of(answer);

	must(asked->left);
	asked->left = NULL;
	check_answer(answer);
	text_free(answer);
}

static int list(void *arg, struct control_list *all)
{
	unsigned *n = control_list_state(all, sizeof(*n));

	(void)arg;
	control_list_add(all, json_pack("{s:s}", "name", "alice"));
	return !(*n)++;
}

static bool is_alice(const char *name)
{
	return strcmp(name, "alice") == 0;
}

static int show(void *arg, const char *name, json_t *tenant)
{
	(void)arg;
	return is_alice(name) ? json_object_set_new(tenant, "name", json_string(name)) : -ENOENT;
}

static int owner(void *arg, const struct prefix *address, json_t *answer)
{
	char text[PREFIX_STRLEN];

	(void)arg;
	must(prefix_is_host(address));
	return json_object_set_new(answer, "address", json_string(prefix_format(address, text)));
}

static int reset_quota(void *arg, const char *name)
{
	(void)arg;
	return is_alice(name) ? 0 : *name == 'b' ? -ENODATA : -ENOENT;
}

static int names(void *arg, json_t *all)
{
	(void)arg;
	return json_array_append_new(all, json_string("alice"));
}

static bool in_force(void *arg, const char *name, uint8_t public_key[KEY_LEN])
{
	(void)arg;
	memset(public_key, 0, KEY_LEN);
	return is_alice(name) != changed;
}

static bool refused(void *arg, const char *name, char *why, size_t room)
{
	(void)arg;
	(void)snprintf(why, room, "config.d/%s: \x1b%s", name, name);
	return *name == 'c';
}

static int release(void *arg, const char *name)
{
	(void)arg;
	return is_alice(name) ? 0 : *name == 'b' ? -EALREADY : -ENOENT;
}

static int status(void *arg, json_t *answer)
{
	(void)arg;
	return json_object_set_new(answer, "pid", json_integer(1));
}

static void ask(struct asked *asked, struct input *in)
{
	size_t len;
	char *text = take_text(in, '\n', &len);

	must(server.ops.request(server.arg, text, len, &asked->answer));
	if (!asked->left) {
		check_answer(&asked->answer);
		text_free(&asked->answer);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct control_ops ops = {
		.list = list, .show = show, .owner = owner, .reset_quota = reset_quota,
		.names = names, .in_force = in_force, .refused = refused, .release = release,
		.status = status
	};
	struct input in = { data, size };
	struct control *control;
	uv_loop_t loop;

	changed = false;
	must(!uv_loop_init(&loop) && !control_open(&control, &loop, "", &ops, NULL));
	memset(waiting, 0, sizeof(waiting));
	for (size_t i = 0; in.size && i < WAITING_MAX; i++) {
		if (*in.data == '!') {
			changed = !changed;
			control_changed(control);
			(void)take_u8(&in);
			continue;
		}
		ask(&waiting[i], &in);
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	}
	/* Lists end by themselves; who waits for a tenant hangs up. */
	for (unsigned i = 0; i < 3 * WAITING_MAX; i++)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	for (size_t i = 0; i < WAITING_MAX; i++) {
		if (waiting[i].left)
			waiting[i].left(waiting[i].arg);
		text_free(&waiting[i].answer);
	}
	control_close(control);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	must(!uv_loop_close(&loop));
	return 0;
}
