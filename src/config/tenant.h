/* SPDX-License-Identifier: MIT */
/*
 * config.d/NAME.conf as a plain value: a tenant of the gateway (one [Peer],
 * perhaps a [Tenant]) or a tunnel of our own ([Interface], [Peer]s, perhaps a
 * [Container]). Any thread; a value has one owner.
 */
#ifndef BERTH_CONFIG_TENANT_H
#define BERTH_CONFIG_TENANT_H

#include "../base/endpoint.h"
#include "change.h"
#include "limits.h"
#include "value.h"

enum tenant_kind {
	TENANT_OF_GATEWAY, /* a peer of the gateway */
	TENANT_TUNNEL      /* an interface of its own */
};

enum tenant_state {
	TENANT_OK,
	TENANT_REVOKED, /* no file, an empty one, or no public key (any more): not a fault */
	TENANT_EXPIRED  /* all is there, but its time is over: revoked */
};

struct config_peer {
	uint8_t public_key[VALUE_KEY_LEN];
	uint8_t *preshared_key; /* secret, in locked memory; NULL or all zero: none */
	struct config_ranges allowed_ips; /* sorted, without duplicates */
	char *endpoint;                   /* "host:port" as written, or NULL */
	unsigned line;                    /* of the public key */
	unsigned endpoint_line;
	unsigned keepalive_line;
	uint16_t keepalive; /* seconds, 0: off */
};

enum tunnel_netns {
	TUNNEL_NETNS_HOST,
	TUNNEL_NETNS_NAME, /* under /run/netns */
	TUNNEL_NETNS_PATH,
	TUNNEL_NETNS_PID
};

enum tunnel_table {
	TUNNEL_TABLE_AUTO,  /* the main one; a default route for the host as wg-quick does it */
	TUNNEL_TABLE_OFF,   /* no routes */
	TUNNEL_TABLE_NUMBER /* one of its own, for packets from our addresses */
};

/* What only a tunnel of our own has. Between guard pages, locked. */
struct config_tunnel {
	uint8_t private_key[VALUE_KEY_LEN]; /* secret */
	char ifname[IFNAMSIZ];              /* inside its namespace */
	unsigned ifname_line;               /* 0: taken from the file's name */
	enum tunnel_netns netns_kind;
	char *netns;        /* the name, the path or the digits of the PID; NULL for the host */
	enum tunnel_table table_kind;
	uint32_t table;       /* of TUNNEL_TABLE_NUMBER, else 0 */
	uint32_t fwmark;      /* FwMark; 0: off. What is set on the socket: tunnel_mark() */
	uint16_t mtu;         /* 0: auto, as the way to the peers carries */
	uint16_t listen_port; /* 0: the kernel picks */
	unsigned dns_line;    /* of the first DNS; 0: none */
	char *dns_servers, *dns_search; /* words with a blank between them; NULL: none */
	struct config_addresses addresses;
};

struct config_tenant {
	char name[TENANT_NAME_MAX + 1];
	bool quarantine; /* of a tenant of the gateway: OnSharedKey */
	uint8_t isolate; /* of a tenant of the gateway: enum isolate */
	enum tenant_kind kind;
	enum tenant_state state;
	char *file; /* "config.d/NAME.conf", for messages */
	struct config_peer *peers; /* sorted by public key; one for a tenant of the gateway */
	size_t n_peers;
	enum announce announce; /* of a tenant of the gateway */
	uint16_t mtu;           /* the same, if config_check_tenant() took it; 0: the gateway's */
	uint16_t mtu_line;      /* 0: none, or behind line 65535 */
	struct limits *limits;  /* of a tenant of the gateway; NULL: none */
	int64_t expires;        /* of a tenant of the gateway: seconds of UTC; 0: never */
	unsigned expires_line;
	struct config_tunnel *tunnel; /* NULL for a tenant of the gateway */
	char **key_files;             /* paths the file names: their change is a change of it */
	size_t n_key_files;
};

/*
 * The rule for names: only NAME.conf is a tenant, NAME being 1 to 64 of
 * A-Z a-z 0-9 . _ -, and none that editors and packagers leave behind.
 */
bool tenant_name_valid(const char *name);

enum tenant_entry {
	TENANT_ENTRY,         /* a tenant; its name was written */
	TENANT_ENTRY_IGNORED, /* something else lies there: no matter */
	TENANT_ENTRY_BAD      /* ends in .conf, but NAME is none: worth a fault */
};

/* What a directory entry is. */
enum tenant_entry tenant_entry_kind(const char *entry, char name[TENANT_NAME_MAX + 1]);

/*
 * An empty tenant: kind TENANT_OF_GATEWAY, state TENANT_REVOKED, the file
 * named by its folder dir. NULL: no memory.
 */
struct config_tenant *tenant_new(const char *dir, const char *name);

/* Wipes and frees; NULL is fine. */
void tenant_free(struct config_tenant *tenant);

/* Makes it a tunnel, with all of that zeroed. 0 or -ENOMEM. Not twice. */
must_check int tenant_make_tunnel(struct config_tenant *tenant);

/* Appends a zeroed peer. NULL: no memory. Valid until the next call. */
struct config_peer *tenant_add_peer(struct config_tenant *tenant);

/* Where the peer's preshared key is to be written, zeroed if it had none. NULL: no memory. */
must_check uint8_t *tenant_make_preshared_key(struct config_peer *peer);

/* Removes peer number i. */
void tenant_drop_peer(struct config_tenant *tenant, size_t i);

/* Canonical order of peers and ranges, so that equal configurations are equal values. */
void tenant_sort(struct config_tenant *tenant);

/* Is its time over? now: seconds of UTC. */
static inline bool tenant_is_past(const struct config_tenant *tenant, int64_t now)
{
	return tenant->expires && tenant->expires <= now;
}

/* The peer's preshared key; all zero: none. */
const uint8_t *tenant_peer_preshared_key(const struct config_peer *peer);

/* Is the peer's endpoint a number, no name to look up? If so, *out is it. */
bool tenant_peer_endpoint(const struct config_peer *peer, struct endpoint *out);

#endif
