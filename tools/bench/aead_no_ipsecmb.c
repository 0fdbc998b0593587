/* SPDX-License-Identifier: MIT */
/*
 * A machine without ipsec-mb: linked in front of crypto's archive, so that
 * "auto" becomes libsodium. `berthd IFNAME` has no option that says so.
 */
#include <errno.h>

#include "../../crypto/aead.h"

static int create(struct aead **out)
{
	(void)out;
	return -ENOTSUP;
}

/* Nothing else is called where there is no context. */
const struct aead_provider aead_ipsecmb = {
	.name = "ipsec-mb",
	.create = create,
};
