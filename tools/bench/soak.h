/* SPDX-License-Identifier: MIT */
/*
 * The soak: very many tenants in one program, who come, go, roam, transfer, spoof and flood
 * at random, while every byte that arrives is compared and every packet is counted.
 *
 *	soak.c          arguments, the loop, the report
 *	soak_plan.c     what happens next, by the dice; each tenant's timers
 *	soak_files.c    files of tenants: written, broken, mended, gone; what the gateway says
 *	soak_wire.c     sessions: handshakes, sealed packets, sockets that move
 *	soak_packet.c   inner packets, each byte of which says whose it is
 *	soak_traffic.c  transfers: up, down, and from tenant to tenant
 *	soak_hostile.c  what nobody should send
 *	soak_account.c  do the gateway's counters say what was done?
 *	soak_watch.c    memory, descriptors, threads, and what the kernel has dropped
 *
 * One thread does all of it but the watching (soak_watch.c), so nothing here is locked.
 * Times are monotonic ns unless they are called utc.
 */
#ifndef BERTH_TOOLS_BENCH_SOAK_H
#define BERTH_TOOLS_BENCH_SOAK_H

#include <jansson.h>
#include <netinet/in.h>

#include "../../crypto/aead.h"
#include "../../crypto/cookie.h"
#include "../../crypto/noise.h"
#include "../../crypto/replay.h"
#include "../../src/table/counters.h"

enum {
	SOAK_TENANTS_MAX = 4000,
	SOAK_KEYS = 3,          /* of one tenant: the newest first */
	SOAK_BURST = 16,
	SOAK_HEADER = 24,       /* of a payload: struct soak_label */
	SOAK_PAYLOAD_MAX = 1340,
	SOAK_MESSAGE_MAX = 1500,
	SOAK_TRANSFERS = 96,    /* at a time */
	SOAK_TRANSFER_MAX = 512, /* packets of one */
	SOAK_ASKS = 12,         /* requests under way */
	SOAK_HOSTS = 8,         /* addresses of the crowd, of either family */
	SOAK_PORT = 7300        /* of the world */
};

enum soak_life {
	ABSENT,  /* has no file */
	COMING,  /* its file was written; the gateway has not said that it is in force */
	LIVE,
	LEAVING  /* revoked: it still tries, and nothing may pass */
};

/* What a packet says of itself; the rest of its payload follows from that. */
struct soak_label {
	uint32_t magic, from, to; /* numbers of tenants; 0: the world */
	uint32_t life;            /* of the tenant, or of from */
	uint32_t transfer, seq;
};

enum { SOAK_GOOD = 0x534f414b, SOAK_SPOOFED = 0x53504f46 };

struct skey {
	struct noise_session s;
	struct replay replay;
	uint64_t counter; /* next nonce */
	uint64_t birth;   /* 0: no key */
	bool usable;      /* the gateway has shown that it has it, too */
};

/* One life of a tenant, as the gateway should have counted it. */
struct account {
	uint64_t sent, sent_bytes; /* messages that were good */
	uint64_t grey, grey_bytes; /* handshake messages that were not answered */
	uint64_t got, got_bytes;   /* messages that came */
	uint64_t up, up_got, down, down_got; /* inner packets of transfers */
	uint64_t blind;            /* came under keys that the tenant had forgotten */
	uint64_t drops[DROP_REASON_COUNT]; /* that it is to blame for */
};

struct tenant;

struct outer {
	int fd; /* -1: none */
	int family;
	struct tenant *tenant;
};

struct tenant {
	uint32_t number;     /* from 1 */
	uint32_t generation; /* of its key */
	enum soak_life life;
	uint32_t lives;
	struct noise_local local;
	struct noise_remote gateway;
	struct cookie_maker macs;
	struct skey keys[SOAK_KEYS];
	struct outer now, before; /* where it is, and was last */
	uint64_t moved;
	struct account account;

	uint32_t index;       /* last one given out */
	bool calling;         /* an initiation is not answered yet */
	uint64_t called, patience;
	uint64_t rekey_after; /* age of a key */
	uint64_t unanswered;  /* since when we owe the gateway a keepalive; 0: not at all */
	uint64_t asleep;      /* until then it neither sends nor answers */

	/* its file */
	unsigned rate;        /* kbit/s each way; 0: none */
	const char *quota;    /* lines of [Tenant], or "" */
	bool faulty;          /* says something that is refused: the last good one stays in force */
	int64_t expires;      /* UTC s; 0: never */
	uint64_t changed;     /* when it was written or unlinked */
	uint64_t ended_utc;   /* when it was revoked, ns; 0: not since it last came */
	bool gone;            /* the gateway has said so */
	bool rotated;         /* LEAVING: in favour of another key */
	uint64_t until;       /* LEAVING, ABSENT: then it goes on */

	unsigned transfers;   /* that it takes part in, */
	unsigned across;      /* and of these, with another tenant */
	uint64_t recent;      /* since then, not long ago, it has sent */
	unsigned recent_n;    /* so many messages */
	uint64_t blamed;      /* when it was last to blame for a drop, */
	unsigned blamed_n;    /* and for how many */
	bool paused;          /* is being audited: nothing is sent from or to it */
	unsigned audits;      /* attempts */
	uint64_t audit_at;
};

struct transfer {
	struct tenant *from, *to; /* NULL: the world */
	uint32_t id, life;
	int family;
	unsigned size, n, sent, got; /* payload bytes; packets */
	uint64_t last;
	uint64_t seen[SOAK_TRANSFER_MAX / 64];
};

struct ask {
	int fd;
	bool busy;
	enum ask_kind { ASK_LIVE, ASK_GONE, ASK_SHOW } kind;
	struct tenant *tenant;
	uint32_t life;
	uint64_t since;
	size_t len;
	char text[32 << 10];
};

/* How long something took: the greatest, and how many within so many ms. */
struct lag {
	uint64_t n, within; /* SOAK_LAG_NS */
	uint64_t worst;     /* ns */
};

#define SOAK_LAG_NS (100 * NSEC_PER_MSEC)

enum soak_count {
	ADDED, REVOKED, EXPIRED, ROTATED, REWRITTEN, RELIMITED, BROKEN, MENDED, STRAY_FILES,
	HANDSHAKES, ANSWERED_CALLS, FORGOT, ROAMED, SLEPT, KEEPALIVES, COOKIES,
	TRANSFERS_UP, TRANSFERS_DOWN, TRANSFERS_ACROSS, TRANSFERS_WHOLE, TRANSFERS_SHORT,
	PACKETS_CHECKED, BYTES_CHECKED, SPOOFS, FLOODS, FLOOD_PACKETS, NEIGHBOURS_ASKED,
	NEIGHBOURS_ANSWERED, RELOADS, REQUESTS, SCRAPES, FLAPS, AUDITS, LATE_PACKETS,
	RESAID, /* faults that a reload says again */
	SOAK_COUNTS
};

extern const char *const soak_count_names[SOAK_COUNTS];

/* What may be lost on the way without anybody's fault: the kernel's own counters. */
struct losses_seen {
	uint64_t sockets, links, backlog, closed;
};

struct soak_options {
	unsigned tenants, seconds, warm; /* warm: s until memory is looked at first */
	uint64_t seed;
	unsigned events, packets; /* a second, at most */
	unsigned slack_ms;        /* beyond 100 ms, for a busy machine */
	const char *crowd, *world, *vps; /* namespaces */
	const char *network4, *network6; /* of the crowd's addresses: "10.71.1", "2001:db8:71:1:" */
	const char *gateway4, *gateway6, *world4, *world6;
	const char *link;         /* in the world, where neighbours are asked for */
	const char *key, *control, *folder, *metrics, *flap, *report;
	int pid;
};

struct watch;

struct soak {
	struct soak_options o;
	uint64_t now, begun, random;
	struct tenant *tenants; /* o.tenants of them */
	struct transfer transfers[SOAK_TRANSFERS];
	uint32_t last_transfer;
	double tokens;          /* packets that may be sent now */
	struct ask asks[SOAK_ASKS];
	struct aead *aead;
	struct cookie_maker gateway_macs; /* for forgers */
	uint8_t gateway_key[NOISE_KEY_LEN];
	int epoll, world4, world6;
	struct sockaddr_in world_at4;
	struct sockaddr_in6 world_at6;
	struct hostile *hostile;
	struct watch *watch;

	bool calm;              /* nobody begins anything, */
	bool ending;            /* and who is away comes back */
	uint64_t next_event, next_look;
	unsigned look;          /* whose timers are next */
	uint64_t late_loop;     /* ns: the longest turn of our own */

	uint64_t counts[SOAK_COUNTS];
	/* what the device should have dropped, of nobody; and what it may have besides */
	uint64_t drops[DROP_REASON_COUNT], grey[DROP_REASON_COUNT];
	uint64_t device_before[DROP_REASON_COUNT]; /* of lives that are over */
	uint64_t unsure;        /* of these, packets that may have come when it was over */
	struct lag lag_add, lag_revoke, lag_last; /* until the gateway says so; until the last packet */
	unsigned stray_files;   /* broken ones that are there */
	unsigned faults;
	json_t *fault_texts;
};

/* ---- soak.c ---- */

/* A violation: said, counted, and in the report. */
void soak_fault(struct soak *s, const char *fmt, ...) printf_like(2, 3);

/* 0 to n - 1, by the seed. */
uint64_t soak_random(struct soak *s, uint64_t n);
bool soak_chance(struct soak *s, unsigned percent);

static inline void soak_count(struct soak *s, enum soak_count c)
{
	s->counts[c]++;
}

void soak_lag(struct lag *lag, uint64_t ns);

/* May the tenant be sent to, and send, as one who is there and awake? */
bool soak_is_up(const struct tenant *t);

/* Is it to be gone at the end, so that what remains of the gone can be seen? */
bool soak_ends_absent(const struct soak *s, const struct tenant *t);

/* Lets the loop turn for so long. */
void soak_turns(struct soak *s, unsigned ms);

/* ---- soak_packet.c ---- */

struct in_addr soak_inner4(uint32_t number);
struct in6_addr soak_inner6(uint32_t number);
/* Whose inner address it is; 0: nobody's. */
uint32_t soak_owner4(const struct in_addr *a);
uint32_t soak_owner6(const struct in6_addr *a);

/* Fills a payload of len bytes, SOAK_HEADER at least. */
void soak_fill(uint8_t *payload, size_t len, const struct soak_label *label, uint64_t seed);
/* Is every byte of it what its label demands? */
must_check bool soak_verify(const uint8_t *payload, size_t len, struct soak_label *label,
			    uint64_t seed);

/*
 * Lays an inner UDP packet out, its payload in place behind the headers; from and to are addresses
 * of the family. Returns its length. soak_headers() says how long headers are.
 */
size_t soak_headers(int family);
size_t soak_lay(uint8_t *inner, int family, const void *from, const void *to, size_t payload);

/* ---- soak_wire.c ---- */

void wire_open(struct soak *s);
/* Its keys, of its generation; the preshared one is zero if it has none. */
void wire_identity(const struct tenant *t, struct noise_local *local, uint8_t psk[NOISE_KEY_LEN]);
/* Begins anew with the keys of its generation, in a new place. */
void wire_reset(struct soak *s, struct tenant *t);
void wire_move(struct soak *s, struct tenant *t);
void wire_forget(struct tenant *t);
void wire_call(struct soak *s, struct tenant *t);
/* The key to send with; NULL: none. */
struct skey *wire_key(const struct soak *s, struct tenant *t);
/* Seals and sends n inner packets of these lengths (0: keepalive). Returns how many went. */
unsigned wire_send(struct soak *s, struct tenant *t,
		   uint8_t (*messages)[SOAK_MESSAGE_MAX], const size_t *lens, unsigned n);
void wire_receive(struct soak *s, struct outer *o);
/* The last whole data message that was sent, for who replays it; 0: none. */
size_t wire_recorded(uint8_t *out, struct tenant **whose);

/* A UDP socket of the crowd in a place by chance, connected to the gateway; both families. */
int wire_socket(struct soak *s, int family);

/* ---- soak_traffic.c ---- */

void traffic_open(struct soak *s);
void traffic_begin(struct soak *s);
void traffic_run(struct soak *s);
void traffic_world(struct soak *s, int fd);
/* An inner packet that came to a tenant. */
void traffic_inner(struct soak *s, struct tenant *t, const uint8_t *data, size_t len);
bool traffic_idle(const struct soak *s);

/* ---- soak_files.c ---- */

void files_open(struct soak *s);
void files_come(struct soak *s, struct tenant *t);
void files_leave(struct soak *s, struct tenant *t);
void files_expire(struct soak *s, struct tenant *t);
void files_rotate(struct soak *s, struct tenant *t);
/* LEAVING is over. */
void files_left(struct soak *s, struct tenant *t);
/* With the same content, or after a change of rate and quota. */
void files_rewrite(struct soak *s, struct tenant *t);
void files_break(struct soak *s, struct tenant *t);
void files_mend(struct soak *s, struct tenant *t);
void files_stray(struct soak *s);
void files_no_strays(struct soak *s);
/* False: too many requests under way. */
bool files_ask(struct soak *s, enum ask_kind kind, struct tenant *t);
bool files_may_ask(const struct soak *s);
void files_answer(struct soak *s, struct ask *a);
/* One request and its answer, at once. The caller's reference. */
json_t *files_request(struct soak *s, const char *line);

/* ---- soak_hostile.c ---- */

void hostile_open(struct soak *s);
void hostile_spoof(struct soak *s, struct tenant *t);
void hostile_garbage(struct soak *s, struct tenant *t);
void hostile_flood(struct soak *s);
void hostile_ask(struct soak *s);
void hostile_read(struct soak *s);

/* ---- soak_account.c ---- */

/* The gateway's word about one tenant that is silent. NULL: all is right; else what is not. */
const char *account_differs(const struct tenant *t, const json_t *shown,
			    uint64_t lost);
/* All tenants and the device, when all is silent. Adds to the report. */
void account_final(struct soak *s, json_t *report);
/* Has nothing been counted since the last call? */
bool account_is_still(struct soak *s);

/* ---- soak_plan.c ---- */

void plan_run(struct soak *s);
void plan_look(struct soak *s);
void plan_audit(struct soak *s, struct tenant *t, const json_t *shown);

/* ---- soak_watch.c ---- */

struct process {
	uint64_t pss, rss;                   /* bytes */
	unsigned descriptors, threads, timers;
	uint64_t started;                    /* of /proc/PID/stat */
	unsigned tenants, sessions, strays;  /* at that time, as status says */
};

void watch_start(struct soak *s);
void watch_stop(struct soak *s);
void watch_process(struct soak *s, struct process *p);
json_t *watch_json(const struct process *p);
void watch_losses(struct soak *s, struct losses_seen *l);
uint64_t watch_lost(struct soak *s); /* since the start, all of it */

#endif
