/* SPDX-License-Identifier: MIT */
/* Known answers of every primitive and AEAD provider, before any of them is trusted. */
#ifndef BERTH_CRYPTO_SELFTEST_H
#define BERTH_CRYPTO_SELFTEST_H

#include "../src/base.h"

/*
 * Computes known answers of BLAKE2s, the key derivation, X25519, ChaCha20-Poly1305,
 * XChaCha20-Poly1305 and each AEAD provider that this machine can run; checks also
 * that what must be refused is refused. Initialises libsodium, and chooses which BLAKE2s
 * is used from here on. About a millisecond.
 * Once, at start, before other threads; keeps no memory.
 *
 * 0; -EIO: wrong answers, and *failed is the name of what gave them, for the log
 * (a constant): the program must not go on; -ENOMEM or -ENOTSUP: what *failed
 * names could not be tried.
 */
must_check int selftest_run(const char **failed);

#endif
