/* SPDX-License-Identifier: MIT */
/*
 * berth.conf as a plain value: what the gateway is, and where its tenants are.
 * Any thread; nothing here touches anything but files, and those for reading.
 */
#ifndef BERTH_CONFIG_ROUTER_H
#define BERTH_CONFIG_ROUTER_H

#include "file.h"
#include "value.h"

/* Source address of our neighbour advertisements. */
enum router_neighbor_source {
	NEIGHBOR_SOURCE_AUTO,
	NEIGHBOR_SOURCE_TARGET,
	NEIGHBOR_SOURCE_LINK_LOCAL,
	NEIGHBOR_SOURCE_GLOBAL
};

enum router_crypto { ROUTER_CRYPTO_AUTO, ROUTER_CRYPTO_LIBSODIUM, ROUTER_CRYPTO_IPSEC_MB };

/* Linux gives a TUN device at most 256 queues (MAX_TAP_QUEUES), a worker needs one. */
enum { ROUTER_WORKERS_MAX = 256, ROUTER_PORT_DEFAULT = 51820, ROUTER_MTU_DEFAULT = 1420 };

/* Each is a socket and a look-up per solicitation; machines have one or two. */
enum { ROUTER_UPLINKS_MAX = 16 };

struct config_router {
	char *file;   /* berth.conf as it was named: for messages */
	char *folder; /* where it lies; relative paths start there */

	/* [Interface]; without it there is no gateway and nothing below counts */
	bool gateway;
	char name[IFNAMSIZ];
	uint8_t private_key[VALUE_KEY_LEN]; /* secret */
	char *private_key_file;             /* path, or NULL: the key stands in the file itself */
	uint16_t listen_port;
	uint16_t mtu;
	uint32_t fwmark; /* 0: off */
	struct config_addresses addresses;

	/* [Router] */
	char uplinks[ROUTER_UPLINKS_MAX][IFNAMSIZ];
	unsigned n_uplinks; /* 0: the prefixes are routed to us, nobody asks for addresses */
	struct config_ranges prefixes;
	enum announce announce; /* of tenants that do not say; never ANNOUNCE_DEFAULT */
	enum isolate isolate;   /* the same; never ISOLATE_DEFAULT */
	enum router_neighbor_source neighbor_source;
	enum router_crypto crypto;
	uint32_t workers; /* 0: auto */
	bool no_offload;
	char *tenants; /* the folder config.d */
	char *control; /* the socket */
	char *metrics; /* the file; NULL: none */
	struct endpoint metrics_listen; /* unset: nowhere */
	char *state;   /* the folder of what survives a restart */
	char *user;    /* whom berthd becomes; NULL: not said */
};

/*
 * The text of the file at path, for router_parse(). 0; -EINVAL: a fault was added; -EAGAIN: it was
 * being written, read again; -ENOMEM; both without faults.
 */
must_check int router_read_text(struct file_text *text, const char *path,
				struct fault_list *faults);

/*
 * Reads the file at path. 0: *out is a complete value (faults may have got
 * warnings); -EINVAL: faults were added; -EAGAIN: it was being written, read
 * again; -ENOMEM; both without faults. In every case but 0, *out is NULL.
 */
must_check int router_read(struct config_router **out, const char *path,
			   struct fault_list *faults);

/* The same from memory: text is what the file at path holds, text->mode its permissions. */
must_check int router_parse(struct config_router **out, const char *path,
			    const struct file_text *text, struct fault_list *faults);

/*
 * Where the tenants of the file at path lie, even if something else in it is
 * faulty: a check goes on there and finds the faults of all files at once.
 * Allocated. NULL: no memory, or the file cannot be read.
 */
char *router_tenants_folder(const char *path);

/* Wipes and frees; NULL is fine. */
void router_free(struct config_router *router);

/* Does it lie inside one Prefix? */
bool router_has_range(const struct config_router *router, const struct prefix *range);

/* Does it hold an Address of the gateway itself? */
bool router_is_within(const struct config_router *router, const struct prefix *range);

#endif
