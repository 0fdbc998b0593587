/* SPDX-License-Identifier: MIT */
/* Neighbour Solicitations read, Neighbour Advertisements written: RFC 4861. */
#include "../../tun/checksum.h"
#include "../../tun/inet.h"
#include "ndp.h"

/* In the IPv6 header. */
enum {
	IP6_SOURCE = IP6_ADDRS,
	IP6_DESTINATION = IP6_ADDRS + NDP_ADDR_LEN,

	NEXT_HEADER_FRAGMENT = 44,
	NEXT_HEADER_ICMP6 = 58,
	/* What no router forwards can have come from this link only. */
	NDP_HOP_LIMIT = 255
};

/* Offsets in both messages, RFC 4861 §4.3 and §4.4. */
enum {
	ND_TYPE = 0,
	ND_CODE = 1,
	ND_CHECKSUM = 2,
	ND_FLAGS = 4,
	ND_TARGET = 8,
	ND_LEN = 24,

	ND_SOLICITATION = 135,
	ND_ADVERTISEMENT = 136,

	ND_FLAG_ROUTER = 0x80,
	ND_FLAG_SOLICITED = 0x40,
	ND_FLAG_OVERRIDE = 0x20
};

/* Options, RFC 4861 §4.6: type, length in units of 8 bytes, content. */
enum {
	OPT_UNIT = 8,
	OPT_HEADER_LEN = 2,
	OPT_SOURCE_LINK_ADDRESS = 1,
	OPT_TARGET_LINK_ADDRESS = 2,
	OPT_NONCE = 14,      /* RFC 3971 §5.3.2 */
	OPT_LINK_ADDRESS_LEN = 8 /* on Ethernet, RFC 2464 §6 */
};

/* Fragment header, RFC 8200 §4.5. */
enum {
	FRAG_NEXT_HEADER = 0,
	FRAG_OFFSET = 2,
	FRAG_OFFSET_MASK = 0xfff8,
	FRAG_LEN = 8
};

static const uint8_t addr_unspecified[NDP_ADDR_LEN];
static const uint8_t addr_all_nodes[NDP_ADDR_LEN] = { 0xff, 0x02, [15] = 1 };
/* The first 13 bytes of every solicited-node group, RFC 4291 §2.7.1. */
static const uint8_t addr_solicited_node[13] = { 0xff, 0x02, [11] = 1, [12] = 0xff };
/* Where Ethernet carries ff02::1, RFC 2464 §7. */
static const uint8_t ether_all_nodes[ETHER_ADDR_LEN] = { 0x33, 0x33, 0, 0, 0, 1 };

const char *ndp_verdict_name(enum ndp_verdict verdict)
{
	static const char *const names[NDP_VERDICTS] = {
		[NDP_OK] = "ok",
		[NDP_NOT_SOLICITATION] = "not-solicitation",
		[NDP_TRUNCATED] = "truncated",
		[NDP_BAD_VERSION] = "bad-version",
		[NDP_FRAGMENT] = "fragment",
		[NDP_BAD_HOP_LIMIT] = "bad-hop-limit",
		[NDP_BAD_LENGTH] = "bad-length",
		[NDP_BAD_CHECKSUM] = "bad-checksum",
		[NDP_BAD_CODE] = "bad-code",
		[NDP_BAD_TARGET] = "bad-target",
		[NDP_BAD_OPTION] = "bad-option",
		[NDP_BAD_DAD_DESTINATION] = "bad-dad-destination",
		[NDP_BAD_DAD_OPTION] = "bad-dad-option",
		[NDP_BAD_SOURCE] = "bad-source",
		[NDP_BAD_LINK_ADDRESS] = "bad-link-address",
	};

	return (unsigned)verdict < NDP_VERDICTS ? names[verdict] : "unknown";
}

static bool addr_is_multicast(const uint8_t *addr)
{
	return addr[0] == 0xff;
}

static bool addr_is_unspecified(const uint8_t *addr)
{
	return memcmp(addr, addr_unspecified, NDP_ADDR_LEN) == 0;
}

static bool addr_is_solicited_node(const uint8_t *addr)
{
	return memcmp(addr, addr_solicited_node, sizeof(addr_solicited_node)) == 0;
}

/* The ICMPv6 message inside its frame. */
struct message {
	const uint8_t *ip;
	const uint8_t *icmp;
	size_t len; /* of the ICMPv6 message */
};

/* A fragment that shows by its first bytes that it was a solicitation? */
static bool is_fragmented_solicitation(const uint8_t *fragment, size_t len)
{
	return len > FRAG_LEN && fragment[FRAG_NEXT_HEADER] == NEXT_HEADER_ICMP6 &&
	       (load_be16(fragment + FRAG_OFFSET) & FRAG_OFFSET_MASK) == 0 &&
	       fragment[FRAG_LEN + ND_TYPE] == ND_SOLICITATION;
}

/* Finds the message behind the Ethernet header; NDP_OK when it is a solicitation. */
static enum ndp_verdict find_message(const uint8_t *ip, size_t room, struct message *msg)
{
	if (room < IP6_HDR)
		return NDP_TRUNCATED;
	if (ip[0] >> 4 != 6)
		return NDP_BAD_VERSION;
	msg->ip = ip;
	msg->icmp = ip + IP6_HDR;
	/* Not what is left of the frame: short frames are padded. */
	msg->len = load_be16(ip + IP6_LEN);
	if (msg->len > room - IP6_HDR)
		return NDP_TRUNCATED;

	/* RFC 6980 §5; counted, where the rest of what is not NDP is not. */
	if (ip[IP6_NEXT] == NEXT_HEADER_FRAGMENT &&
	    is_fragmented_solicitation(msg->icmp, msg->len))
		return NDP_FRAGMENT;
	if (ip[IP6_NEXT] != NEXT_HEADER_ICMP6 || msg->len == 0 ||
	    msg->icmp[ND_TYPE] != ND_SOLICITATION)
		return NDP_NOT_SOLICITATION;
	return NDP_OK;
}

/* The part of the ICMPv6 checksum that is not the message, RFC 4443 §2.3. */
static uint64_t pseudo_header(const uint8_t *ip, size_t len)
{
	return checksum_pseudo6(ip + IP6_ADDRS, NEXT_HEADER_ICMP6, len);
}

/* What RFC 4861 §7.1.1 demands of the message without its options. */
static enum ndp_verdict check_message(const struct message *msg)
{
	if (msg->ip[IP6_HOPS] != NDP_HOP_LIMIT)
		return NDP_BAD_HOP_LIMIT;
	if (msg->len < ND_LEN)
		return NDP_BAD_LENGTH;
	if (!checksum_good(checksum_add(pseudo_header(msg->ip, msg->len), msg->icmp, msg->len)))
		return NDP_BAD_CHECKSUM;
	if (msg->icmp[ND_CODE] != 0)
		return NDP_BAD_CODE;
	if (addr_is_multicast(msg->icmp + ND_TARGET))
		return NDP_BAD_TARGET;
	if (addr_is_multicast(msg->ip + IP6_SOURCE))
		return NDP_BAD_SOURCE;
	return NDP_OK;
}

/*
 * Walks the options. *link_address: that of the first source link-layer address
 * option, or unchanged. Unknown options are skipped (RFC 4861 §4.3).
 */
static enum ndp_verdict parse_options(const struct message *msg, const uint8_t **link_address,
				      struct ndp_solicitation *out)
{
	const uint8_t *opt = msg->icmp + ND_LEN;
	size_t left = msg->len - ND_LEN;
	size_t len;

	for (; left > 0; opt += len, left -= len) {
		if (left < OPT_HEADER_LEN)
			return NDP_BAD_OPTION;
		len = (size_t)opt[1] * OPT_UNIT;
		if (len == 0 || len > left)
			return NDP_BAD_OPTION;
		if (opt[0] == OPT_SOURCE_LINK_ADDRESS && !*link_address) {
			if (len != OPT_LINK_ADDRESS_LEN)
				return NDP_BAD_OPTION;
			*link_address = opt + OPT_HEADER_LEN;
		} else if (opt[0] == OPT_NONCE && !out->nonce) {
			out->nonce = opt + OPT_HEADER_LEN;
			out->nonce_len = len - OPT_HEADER_LEN;
		}
	}
	return NDP_OK;
}

enum ndp_verdict ndp_parse_solicitation(const uint8_t *frame, size_t len,
					struct ndp_solicitation *out)
{
	const uint8_t *link_address = NULL;
	enum ndp_verdict verdict;
	struct ether_frame ether;
	struct message msg;

	if (!ether_parse(frame, len, &ether))
		return NDP_TRUNCATED;
	if (ether.type != ETHER_TYPE_IPV6)
		return NDP_NOT_SOLICITATION;
	verdict = find_message(frame + ether.len, len - ether.len, &msg);
	if (verdict != NDP_OK)
		return verdict;
	verdict = check_message(&msg);
	if (verdict != NDP_OK)
		return verdict;
	out->nonce = NULL;
	out->nonce_len = 0;
	verdict = parse_options(&msg, &link_address, out);
	if (verdict != NDP_OK)
		return verdict;

	out->is_dad = addr_is_unspecified(msg.ip + IP6_SOURCE);
	if (out->is_dad && !addr_is_solicited_node(msg.ip + IP6_DESTINATION))
		return NDP_BAD_DAD_DESTINATION;
	if (out->is_dad && link_address)
		return NDP_BAD_DAD_OPTION;
	/* Unicast probes need not carry the option (§4.3): the frame tells then. */
	if (!link_address)
		link_address = ether.source;
	/* The answer is sent there: to a group it would be a reflector. */
	if (!ether_is_station(link_address))
		return NDP_BAD_LINK_ADDRESS;

	memcpy(out->target, msg.icmp + ND_TARGET, NDP_ADDR_LEN);
	memcpy(out->source, msg.ip + IP6_SOURCE, NDP_ADDR_LEN);
	memcpy(out->link_address, link_address, ETHER_ADDR_LEN);
	out->tag = ether.tag;
	out->is_unicast = !addr_is_multicast(msg.ip + IP6_DESTINATION);
	return NDP_OK;
}

/*
 * The Router flag: it speaks of the sender (§4.4), and a gateway forwards, so
 * it is set (§7.2.4). The kernel's own proxy does the same.
 */
void ndp_answer(struct ndp_advertisement *out, const struct ndp_solicitation *solicitation,
		const uint8_t link_source[ETHER_ADDR_LEN], const uint8_t source[NDP_ADDR_LEN])
{
	*out = (struct ndp_advertisement){
		.tag = solicitation->tag,
		.router = true,
		/* Whoever detects duplicates has no address to confirm us to: §7.2.4 */
		.solicited = !solicitation->is_dad,
		/*
		 * Never in an answer of a proxy (§7.2.8): should the address's
		 * real owner sit on this very link, its answer, with the flag,
		 * wins over ours. It costs nothing: an asker who has no address
		 * yet, or whose probe of the old one has failed, takes
		 * ours without the flag too (§7.2.5).
		 *
		 * §7.2.8 also wants a random delay of up to a second, lest
		 * several proxies answer at once. We are the only one here,
		 * and that second is what users suffer from.
		 */
		.override = false,
	};
	memcpy(out->link_source, link_source, ETHER_ADDR_LEN);
	memcpy(out->source, source, NDP_ADDR_LEN);
	memcpy(out->target, solicitation->target, NDP_ADDR_LEN);
	if (solicitation->is_dad) {
		memcpy(out->link_destination, ether_all_nodes, ETHER_ADDR_LEN);
		memcpy(out->destination, addr_all_nodes, NDP_ADDR_LEN);
	} else {
		memcpy(out->link_destination, solicitation->link_address, ETHER_ADDR_LEN);
		memcpy(out->destination, solicitation->source, NDP_ADDR_LEN);
	}
}

void ndp_announcement(struct ndp_advertisement *out, const uint8_t target[NDP_ADDR_LEN],
		      const uint8_t link_source[ETHER_ADDR_LEN],
		      const uint8_t source[NDP_ADDR_LEN])
{
	*out = (struct ndp_advertisement){
		.router = true,
		.solicited = false,
		/*
		 * Here the flag is the point, and §7.2.8 allows it: an address
		 * that has moved to us from another gateway, or with us to other
		 * hardware, replaces what the neighbours remember.
		 */
		.override = true,
	};
	memcpy(out->link_source, link_source, ETHER_ADDR_LEN);
	memcpy(out->link_destination, ether_all_nodes, ETHER_ADDR_LEN);
	memcpy(out->source, source, NDP_ADDR_LEN);
	memcpy(out->destination, addr_all_nodes, NDP_ADDR_LEN);
	memcpy(out->target, target, NDP_ADDR_LEN);
}

static uint8_t flags_of(const struct ndp_advertisement *advertisement)
{
	return (advertisement->router ? ND_FLAG_ROUTER : 0) |
	       (advertisement->solicited ? ND_FLAG_SOLICITED : 0) |
	       (advertisement->override ? ND_FLAG_OVERRIDE : 0);
}

size_t ndp_build_advertisement(uint8_t *frame, size_t room,
			       const struct ndp_advertisement *advertisement)
{
	const size_t icmp_len = ND_LEN + OPT_LINK_ADDRESS_LEN;
	const size_t ip_len = IP6_HDR + icmp_len;
	uint8_t *ip, *icmp, *opt;

	if (room < ether_header_len(advertisement->tag) + ip_len)
		return 0;
	ip = ether_build(frame, advertisement->link_destination, advertisement->link_source,
			 advertisement->tag, ETHER_TYPE_IPV6);
	memset(ip, 0, ip_len);
	ip[0] = 6 << 4;
	store_be16(ip + IP6_LEN, (uint16_t)icmp_len);
	ip[IP6_NEXT] = NEXT_HEADER_ICMP6;
	ip[IP6_HOPS] = NDP_HOP_LIMIT;
	memcpy(ip + IP6_SOURCE, advertisement->source, NDP_ADDR_LEN);
	memcpy(ip + IP6_DESTINATION, advertisement->destination, NDP_ADDR_LEN);

	icmp = ip + IP6_HDR;
	icmp[ND_TYPE] = ND_ADVERTISEMENT;
	icmp[ND_FLAGS] = flags_of(advertisement);
	memcpy(icmp + ND_TARGET, advertisement->target, NDP_ADDR_LEN);

	/* Without it a multicast asker could not resolve anything: §4.4. */
	opt = icmp + ND_LEN;
	opt[0] = OPT_TARGET_LINK_ADDRESS;
	opt[1] = OPT_LINK_ADDRESS_LEN / OPT_UNIT;
	memcpy(opt + OPT_HEADER_LEN, advertisement->link_source, ETHER_ADDR_LEN);
	checksum_store(icmp + ND_CHECKSUM,
		       checksum_finish(checksum_add(pseudo_header(ip, icmp_len), icmp, icmp_len)));
	return (size_t)(ip - frame) + ip_len;
}
