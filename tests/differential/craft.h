/* SPDX-License-Identifier: MIT */
/* Handshake messages that crypto/noise.h does not make, token by token (paper §5.4.2, §5.4.3). */
#ifndef BERTH_TESTS_DIFFERENTIAL_CRAFT_H
#define BERTH_TESTS_DIFFERENTIAL_CRAFT_H

#include "play.h"

/* What an initiation is made of; each secret as its maker likes it. */
struct craft {
	uint8_t ephemeral[NOISE_KEY_LEN];     /* public */
	uint8_t es[NOISE_KEY_LEN];            /* ephemeral with the target's static key */
	uint8_t static_public[NOISE_KEY_LEN];
	uint8_t ss[NOISE_KEY_LEN];
};

/* An honest one, with the private half of its ephemeral key. */
void craft_honest(struct craft *c, const struct meeting *m, uint8_t private_key[NOISE_KEY_LEN]);

/* Writes m->first anew by c, with its macs, and the handshake of m to what it leaves. */
void craft_initiation(struct play *p, struct meeting *m, const struct craft *c);

/*
 * Writes m->second as a responder would whose ephemeral key is a point of low order, so that
 * both shared secrets are zero: all in it is right but that. m->session is what an initiator has
 * who takes it. m is of await_call().
 */
void craft_low_response(struct play *p, struct meeting *m, const uint8_t point[NOISE_KEY_LEN]);

enum { LOW_POINTS = 7 };
/* Those of https://cr.yp.to/ecdh.html: x coordinates of low order, with their doubles past p. */
extern const uint8_t low_points[LOW_POINTS][NOISE_KEY_LEN];

#endif
