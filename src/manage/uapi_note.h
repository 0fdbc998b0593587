/* SPDX-License-Identifier: MIT */
/*
 * What a request of wg(8) changes of a gateway is said: files say something else, and take
 * effect again at the next SIGHUP (restore.h). Control thread.
 */
#ifndef BERTH_MANAGE_UAPI_NOTE_H
#define BERTH_MANAGE_UAPI_NOTE_H

#include "../config/change.h"
#include "../path/device.h"

struct uapi_note;

/*
 * Notes how what n changes are about is now, before they are applied; they must live as
 * long. NULL: no memory, and nothing will be said.
 */
struct uapi_note *uapi_note_take(struct device *dev, const struct change *changes, size_t n);

/* Looks again, logs what is another now, and frees the note. NULL is fine. */
void uapi_note_say(struct uapi_note *note);

#endif
