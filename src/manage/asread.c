/* SPDX-License-Identifier: MIT */
/* berth.conf, then and now. */
#include "asread.h"

#include <errno.h>
#include <sodium.h>

#include "../base/log.h"
#include "complain.h"
#include "stamp.h"

/* A file that is never still for that many readings in a row is another one. */
enum { READINGS_MAX = 5 };

/* As router_read(), and *hash is of the text. */
static int read_once(const char *path, struct config_router **out, uint64_t *hash,
		     struct fault_list *faults)
{
	struct file_text text;
	int err = router_read_text(&text, path, faults);

	*out = NULL;
	if (err)
		return err;
	*hash = stamp_hash(STAMP_HASH_INIT, text.data, text.len);
	err = router_parse(out, path, &text, faults);
	file_text_free(&text);
	return err;
}

int asread_start(struct asread *a, const char *path, struct fault_list *faults)
{
	int err;

	do {
		err = read_once(path, &a->router, &a->text, faults);
	} while (err == -EAGAIN);
	return err;
}

/* What there is to be said of it. */
enum now { SAME, OTHER_TEXT, OTHER_KEY, FAULTY, NOT_KNOWN };

static enum now look(const struct asread *a, struct fault_list *faults)
{
	struct config_router *router;
	enum now now = SAME;
	uint64_t text = 0;
	int err = -EAGAIN;

	for (int i = 0; err == -EAGAIN && i < READINGS_MAX; i++)
		err = read_once(a->router->file, &router, &text, faults);
	if (err == -EINVAL)
		return FAULTY;
	if (err == -ENOMEM)
		return NOT_KNOWN;
	if (err || text != a->text)
		now = OTHER_TEXT;
	else if (sodium_memcmp(router->private_key, a->router->private_key, VALUE_KEY_LEN))
		now = OTHER_KEY;
	router_free(router);
	return now;
}

bool asread_differs(const struct asread *a)
{
	struct fault_list faults = { 0 };
	enum now now = look(a, &faults);

	fault_list_free(&faults);
	return now != SAME && now != NOT_KNOWN;
}

void asread_complain(const struct asread *a)
{
	const char *path = a->router->file;
	struct fault_list faults = { 0 };
	uint64_t said = 0;

	switch (look(a, &faults)) {
	case OTHER_TEXT:
		log_warning("%s has changed: that takes a restart", path);
		break;
	case OTHER_KEY:
		log_warning("%s: the key in %s has changed: that takes a restart", path,
			    a->router->private_key_file);
		break;
	case FAULTY:
		(void)complain_faults(&said, NULL, &faults);
		log_warning("%s has changed, and is faulty: what was read at the start stays in force, "
			    "and a restart would fail", path);
		break;
	case NOT_KNOWN:
		log_error("%s: no memory to see whether it has changed", path);
		break;
	case SAME:
		break; /* its warnings were said at the start */
	}
	fault_list_free(&faults);
}
