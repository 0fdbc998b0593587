/* SPDX-License-Identifier: MIT */
/* The file for a tenant's home. */
#include "homefile.h"

/* NAT forgets a silent flow, some after half a minute (RFC 4787 §4.3 asks for two). */
enum { KEEPALIVE_S = 25 };

static bool has_family(const struct homefile *home, uint8_t family)
{
	for (size_t i = 0; i < home->n_addresses; i++)
		if (home->addresses[i].family == family)
			return true;
	return false;
}

static void write_interface(struct draft *draft, const struct homefile *home)
{
	char text[PREFIX_STRLEN];

	draft_add(draft, "[Interface]\n");
	if (home->private_key)
		draft_add_key(draft, "PrivateKey", home->private_key);
	else
		draft_add(draft, "PrivateKey = REPLACE-WITH-THE-PRIVATE-KEY-OF-%s\n",
			  key_to_base64(home->public_key, text));
	for (size_t i = 0; i < home->n_addresses; i++)
		draft_add(draft, "Address = %s\n", prefix_format(&home->addresses[i], text));
	if (home->dns)
		draft_add(draft, "DNS = %s\n", home->dns);
	if (home->mtu)
		draft_add(draft, "MTU = %u\n", home->mtu);
}

static void write_peer(struct draft *draft, const struct homefile *home)
{
	bool v4 = has_family(home, AF_INET), v6 = has_family(home, AF_INET6);

	draft_add(draft, "\n[Peer]\n");
	draft_add_key(draft, "PublicKey", home->gateway_key);
	if (home->preshared_key)
		draft_add_key(draft, "PresharedKey", home->preshared_key);
	draft_add(draft, "Endpoint = %s\n", home->endpoint);
	draft_add(draft, "AllowedIPs = %s%s%s\n", v4 ? "0.0.0.0/0" : "", v4 && v6 ? ", " : "",
		  v6 ? "::/0" : "");
	draft_add(draft, "PersistentKeepalive = %d\n", KEEPALIVE_S);
}

void homefile_write(struct draft *draft, const struct homefile *home)
{
	draft_add(draft, "# %s, at home\n", home->name);
	write_interface(draft, home);
	if (home->netns)
		draft_add(draft, "\n[Container]\nNetns = %s\nName = wg0\n", home->netns);
	write_peer(draft, home);
}
