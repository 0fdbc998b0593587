/* SPDX-License-Identifier: MIT */
/* QR codes of half blocks: two rows of the code in one of the terminal. */
#include "qr.h"

#include <errno.h>
#include <qrencode.h>
#include <sodium.h>

#include "people.h"

enum {
	QUIET = 4, /* white modules around the code, ISO/IEC 18004 §6.3.8 */
	DARK = 1   /* bit of a module in libqrencode's data */
};

static bool is_white(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return true;
	return !(code->data[y * code->width + x] & DARK);
}

/* White is drawn, and what is dark is left black: as most terminals are, without colours. */
static const char *half_blocks(bool upper, bool lower)
{
	if (upper)
		return lower ? "\u2588" : "\u2580";
	return lower ? "\u2584" : " ";
}

int qr_print(const char *text, FILE *to)
{
	/* The least correction: a screen has no scratches, and the code is as small as can be. */
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	bool colours = *people_colour(COLOUR_NONE);

	if (!code)
		return errno == ERANGE ? -ERANGE : -ENOMEM;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		if (colours)
			(void)fputs("\033[97;40m", to);
		for (int x = -QUIET; x < code->width + QUIET; x++)
			(void)fputs(half_blocks(is_white(code, x, y), is_white(code, x, y + 1)), to);
		if (colours)
			(void)fputs("\033[0m", to);
		(void)fputc('\n', to);
	}
	sodium_memzero(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
	return 0;
}
