/* SPDX-License-Identifier: MIT */
/*
 * Answers Neighbour Discovery and ARP on one uplink for the addresses of
 * tenants (DESIGN §1): to the provider's router each of them sits on the link,
 * at our hardware address. ndp and arp know the frames, rawsock the socket;
 * here they meet the loop. RFC 4861 §7.2.8, RFC 1027.
 *
 * All functions are called on the thread that runs the loop (control). Any
 * number of struct neigh live side by side, on one loop or several.
 */
#ifndef BERTH_NEIGHBOR_NEIGH_H
#define BERTH_NEIGHBOR_NEIGH_H

#include <uv.h>

#include "../../tun/netlink.h"
#include "../config/router.h"
#include "arp.h"
#include "ndp.h"

struct neigh;

/* Whose is the address that somebody asks for? */
enum neigh_owner {
	NEIGH_FOREIGN, /* outside all of our prefixes: somebody else's business */
	NEIGH_UNOWNED, /* ours to give, and nobody has it */
	NEIGH_AWAY,    /* a tenant's, who is to be announced only while he is connected */
	NEIGH_HERE,    /* to be answered for */
	NEIGH_OWNERS
};

struct neigh_ops {
	/*
	 * addr: family AF_INET: 4 bytes, AF_INET6: 16 bytes, network order. Called
	 * for every well-formed request, 50,000 times a second if it must be.
	 * It must not close or refresh this neigh.
	 */
	enum neigh_owner (*owner)(void *arg, int family, const uint8_t *addr);
};

/* Counters since neigh_open(). A frame is counted in exactly one verdict. */
struct neigh_stats {
	uint64_t ndp[NDP_VERDICTS]; /* [NDP_OK] valid solicitations */
	uint64_t arp[ARP_VERDICTS]; /* [ARP_OK] valid requests */
	uint64_t ndp_asked[NEIGH_OWNERS]; /* the valid ones, by whose address they were for */
	uint64_t arp_asked[NEIGH_OWNERS];
	uint64_t ndp_answered;
	uint64_t arp_answered;
	uint64_t repeated; /* answers from other sources, to who asked again */
	uint64_t announced;
	uint64_t send_failures; /* answers and announcements that the kernel refused */
	uint64_t overruns;      /* requests lost because we were too slow */
};

/*
 * Starts to answer on the link called ifname of the caller's network
 * namespace. *ops is copied; arg is handed to its functions.
 *
 * 0; -ENODEV no such link, -EMEDIUMTYPE it is not Ethernet and so has neither
 * NDP nor ARP to answer, -EPERM without CAP_NET_RAW, -ENAMETOOLONG, -ENOMEM,
 * or what netlink.h says. *neigh is NULL then.
 */
must_check int neigh_open(struct neigh **neigh, uv_loop_t *loop, const char *ifname,
			  const struct neigh_ops *ops, void *arg);

/*
 * Falls silent at once. neigh is gone when this returns, but the loop has to
 * turn once more before uv_loop_close(). NULL is fine.
 */
void neigh_close(struct neigh *neigh);

/*
 * Where advertisements come from, beginning with the next: the address asked
 * for, or an address of the uplink, which is the address asked for if the uplink
 * has none of that kind. Automatic, as it is from the start: link-local, until
 * an asker shows that it does not believe that (askers.h).
 */
void neigh_set_source(struct neigh *neigh, enum router_neighbor_source source);

/*
 * From now on the kernel has no say of its own on the prefixes (silence.h, which
 * tells what table is); both must live as long. That it cannot be done is logged, and
 * how neighbours then see two answers; ours goes on.
 */
void neigh_silence_kernel(struct neigh *neigh, const char *table,
			  const struct config_ranges *prefixes);

/*
 * The kernel reported this link or address (nlmon.h): call with all of them,
 * others than ours are ignored. Ours is followed: a new hardware or link-local
 * address is used from now on; a link that is deleted silences us until one of
 * its name appears. Down and up need no help.
 *
 * 1: the neighbours remember what no longer holds; neigh_announce() every
 * address. 0: nothing to do. Negative errno as neigh_open(): the uplink is
 * there and cannot be used; the next event tries again.
 */
must_check int neigh_link_changed(struct neigh *neigh, const struct netlink_link *link);
must_check int neigh_addr_changed(struct neigh *neigh, const struct netlink_addr *addr);

/* Looks at everything anew, after lost events; returns as neigh_link_changed(). */
must_check int neigh_refresh(struct neigh *neigh);

/*
 * Tells everybody on the link that addr (as for answer) is here from now on:
 * one unsolicited advertisement or ARP announcement (RFC 4861 §7.2.6, RFC 5227
 * §2.3). For a tenant that is new or has moved; whoever announces thousands
 * spreads them over time.
 *
 * 0, or a negative errno: -ENETDOWN the link is down or gone, -ENOBUFS or
 * -EAGAIN too many at once, -EAFNOSUPPORT.
 */
int neigh_announce(struct neigh *neigh, int family, const uint8_t *addr);

void neigh_stats(struct neigh *neigh, struct neigh_stats *out);

/*
 * Nanoseconds since somebody asked for that IPv6 address and was answered; UINT64_MAX: long
 * ago, or never. Remembered are the last thousand, and with the automatic source only.
 */
uint64_t neigh_asked_ago(const struct neigh *neigh, const uint8_t addr[NDP_ADDR_LEN]);

#endif
