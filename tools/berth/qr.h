/* SPDX-License-Identifier: MIT */
/* QR codes for the camera of a phone. */
#ifndef BERTH_TOOLS_QR_H
#define BERTH_TOOLS_QR_H

#include <stdio.h>

#include "../../src/base.h"

/*
 * Writes the text as a QR code of half blocks (UTF-8), light on dark whatever the colours of
 * the terminal are. 0; -ERANGE: too long for a code; -ENOMEM.
 */
must_check int qr_print(const char *text, FILE *to);

#endif
