/* SPDX-License-Identifier: MIT */
/* trace: from the Internet to a tenant of the gateway. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "../../src/base/endpoint.h"
#include "../../src/config/file.h"
#include "../../src/config/folder.h"
#include "../../src/config/inifile.h"
#include "../../src/config/tenant_file.h"
#include "../../src/host/firewall.h"
#include "../../src/host/verdict.h"
#include "answer.h"
#include "people.h"
#include "trace.h"

static const char *family_name(const struct trace *t)
{
	return t->address.family == AF_INET6 ? "IPv6" : "IPv4";
}

/* Whose it is */

static bool hop_prefix(struct trace *t)
{
	struct trace_hop *hop;

	if (router_has_range(t->d.router, &t->address)) {
		trace_pass(t, "prefix", "lies in a Prefix of %s", t->d.router->file);
		return true;
	}
	hop = trace_stop(t, "prefix", "lies in no Prefix of %s: no tenant can have it here",
			 t->d.router->file);
	trace_mend(hop, "grep -n Prefix %s", t->d.router->file);
	return false;
}

/* Does a list of AllowedIPs hold the address? What is wrong with it is not looked for here. */
static bool lists(const char *value, const struct prefix *address)
{
	char item[PREFIX_STRLEN];
	struct prefix p;
	int n = 0;

	for (; *value; value += n, value += *value == ',') {
		n = (int)strcspn(value, ",");
		if (sscanf(value, " %49[0-9a-fA-F:./]", item) == 1 && !prefix_parse(&p, item) &&
		    prefix_contains(&p, address))
			return true;
	}
	return false;
}

/* A file without a key makes nobody a tenant, so that it has to be looked into here. */
static bool claims(struct trace *t, int dirfd, const char *name)
{
	struct fault_list faults = { 0 };
	char path[TENANT_NAME_MAX + sizeof(".conf")];
	struct file_text text;
	struct inifile ini;
	bool found = false;

	(void)snprintf(path, sizeof(path), "%s.conf", name);
	if (file_read(&text, dirfd, path, FILE_CONFIG_MAX))
		return false;
	if (!inifile_parse(&ini, path, text.data, text.len, &faults)) {
		for (unsigned i = 0; i < ini.n_entries; i++)
			found |= !strcasecmp(ini.entries[i].key, "AllowedIPs") &&
				lists(ini.entries[i].value, &t->address);
		inifile_free(&ini);
	}
	fault_list_free(&faults);
	file_text_free(&text);
	return found;
}

/* Does the file of the tenant claim the address, though it is not in force? */
static bool hop_file(struct trace *t, int dirfd, const char *name)
{
	const char *dir = t->d.router->tenants;
	struct fault_list faults = { 0 };
	struct config_tenant *tenant = NULL;
	char fault[DOCTOR_WORDS] = "its log says why";
	bool revoked;

	if (!claims(t, dirfd, name))
		return false;
	revoked = !tenant_file_read(&tenant, dirfd, dir, name, &faults) &&
		tenant->state == TENANT_REVOKED;
	if (faults.n)
		fault_format(&faults.faults[0], fault, sizeof(fault));
	fault_list_free(&faults);
	tenant_free(tenant);
	if (revoked)
		trace_mend(trace_stop(t, "tenant", "is %s's, who is revoked: %s/%s.conf has no public key",
				      name, dir, name), "berth check -c %s", t->d.config);
	else
		trace_mend(trace_stop(t, "tenant", "is %s's by a file that is not in force: %s", name,
				      fault), "berth check -c %s", t->d.config);
	return true;
}

/* In force it is nobody's: is there a file that would make it somebody's? */
static void hop_nobody(struct trace *t)
{
	struct fault_list faults = { 0 };
	struct folder folder;
	bool found = false;

	if (!folder_read(&folder, t->d.router->tenants, &faults)) {
		for (size_t i = 0; !found && i < folder.n; i++)
			found = hop_file(t, folder.dirfd, folder.names[i]);
		folder_free(&folder);
	}
	fault_list_free(&faults);
	if (!found)
		trace_mend(trace_stop(t, "tenant", "is nobody's: a file in %s that has AllowedIPs = %s/%u "
				      "makes it a tenant's", t->d.router->tenants, t->text,
				      prefix_bits(t->address.family)),
			   "berth add NAME --address %s", t->text);
}

static void hop_tenant(struct trace *t)
{
	const struct doctor_address *owner = doctor_owner(&t->d, t->address.family, t->address.addr);

	if (t->tenant)
		trace_pass(t, "tenant", "is %s's", answer_text(t->tenant, "name"));
	else if (!t->d.status && owner)
		trace_mend(trace_stop(t, "tenant", "is %s's, and berthd does not run", owner->tenant),
			   "systemctl start berthd");
	else
		hop_nobody(t);
}

/* Whoever sends decides, too: for another tenant it may end here, for the world it does not. */
static void hop_isolated(struct trace *t)
{
	if (t->tenant && json_is_true(json_object_get(t->tenant, "isolated")))
		trace_pass(t, "isolated", "from the world; packets of other tenants are dropped (Isolate)");
}

static bool is_held(const struct trace *t)
{
	return !strcmp(answer_text(t->tenant, "state"), "quarantined");
}

static void stop_held(struct trace *t, const char *hop)
{
	const char *name = answer_text(t->tenant, "name");

	trace_mend(trace_stop(t, hop, "%s is quarantined: its key was in use from two places; give it "
			      "another, or release it", name), "berth release %s", name);
}

/* On this side of us */

static void hop_uplink(struct trace *t)
{
	bool any = false;

	for (unsigned i = 0; i < t->d.router->n_uplinks; i++) {
		struct netlink_link link;
		const char *name = t->d.router->uplinks[i];

		if (!t->d.uplinks[i] || netlink_link_get(t->d.nl, t->d.uplinks[i], &link))
			trace_stop(t, "uplink", "there is no interface %s", name);
		else if (!(link.flags & IFF_UP))
			trace_mend(trace_stop(t, "uplink", "%s is down", name), "ip link set %s up", name);
		else if (!link.carrier)
			trace_stop(t, "uplink", "%s has no carrier", name);
		else
			any = true;
	}
	if (any)
		trace_pass(t, "uplink", "%s is up", t->d.router->uplinks[0]);
	else if (!t->d.router->n_uplinks)
		trace_pass(t, "uplink", "there is none: the prefix is to be routed to this machine");
}

/* Who is not answered for, of those who have a tenant. */
static void hop_away(struct trace *t)
{
	if (is_held(t))
		stop_held(t, "neighbour");
	else
		trace_mend(trace_stop(t, "neighbour", "whoever asks for it gets no answer while %s is not "
				      "connected (Announce)", answer_text(t->tenant, "name")),
			   "berth doctor   # there, at the tenant's");
}

/* What berthd remembers of who asked; the provider's router asks before it sends. */
static void hop_neighbor(struct trace *t)
{
	const json_t *asked;
	size_t i;

	if (!t->owner || !t->d.router->n_uplinks)
		return;
	if (!t->tenant) {
		trace_stop(t, "neighbour", "whoever asks for it gets no answer");
		return;
	}
	if (json_is_false(json_object_get(t->owner, "answered"))) {
		hop_away(t);
		return;
	}
	json_array_foreach(json_object_get(t->owner, "asked"), i, asked) {
		const char *uplink = answer_text(asked, "uplink");
		char age[PEOPLE_STRLEN];

		if (!json_is_integer(json_object_get(asked, "ago")))
			continue;
		trace_pass(t, "neighbour", "somebody asked for it at %s %s ago, and was answered", uplink,
			   people_age(1, 1 + (int64_t)answer_number(asked, "ago"), age));
		return;
	}
	if (t->address.family == AF_INET)
		trace_pass(t, "neighbour", "whoever asks for it is answered");
	else
		trace_pass(t, "neighbour", "nobody has asked for it of late; whoever does is answered");
}

static void hop_forwarding(struct trace *t)
{
	bool six = t->address.family == AF_INET6;
	int64_t on = 0;

	if (six)
		on = doctor_setting("ipv6", "all", "forwarding");
	else if (sysctl_read("net/ipv4/ip_forward", &on))
		on = -1;
	if (on)
		trace_pass(t, "forwarding", "the kernel forwards %s", family_name(t));
	else
		trace_mend(trace_stop(t, "forwarding", "the kernel does not forward %s", family_name(t)),
			   "sysctl -w %s=1", six ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward");
}

static void hop_firewall(struct trace *t)
{
	const struct doctor_outside *out = doctor_outside(&t->d, t->address.family);
	int index = out->found ? out->route.oif : t->d.uplinks[0];
	char name[IFNAMSIZ];
	struct firewall_packet packet = { .family = t->address.family,
					  .iif = name,
					  .iifindex = index,
					  .oif = t->d.router->name,
					  .oifindex = t->d.tun,
					  .dst = t->address.addr };
	struct firewall_verdict v = { .fate = FIREWALL_PASSES };
	struct firewall *fw = NULL;
	struct trace_hop *hop;

	if (!index || netlink_link_name(t->d.nl, index, name) || firewall_load(&fw))
		return;
	firewall_ask(fw, NF_INET_FORWARD, &packet, &v);
	if (v.fate == FIREWALL_PASSES)
		(void)!firewall_ask_legacy(NF_INET_FORWARD, &packet, &v);
	if (v.fate == FIREWALL_DROPS) {
		hop = trace_stop(t, "firewall", "the %s of chain %s of %s %s drops it", v.by_policy ?
				 "policy" : "rules", v.chain, v.family, v.table);
		trace_mend(hop, "berth doctor -c %s", t->d.config);
	} else {
		trace_pass(t, "firewall", v.fate == FIREWALL_UNSURE ? "lets some of it pass" :
			   "lets it pass");
	}
	firewall_free(fw);
}

static void hop_route(struct trace *t)
{
	struct verdict_view view = { .nl = t->d.nl, .ifindex = t->d.tun, .router = t->d.router };
	struct verdict_words words;
	struct verdict verdict;
	struct trace_hop *hop;

	verdict_look_around(&view);
	verdict_get(&view, &t->address, &verdict);
	if (verdict.kind == VERDICT_OURS) {
		trace_pass(t, "route", "the kernel sends it to %s", t->d.router->name);
		return;
	}
	verdict_describe(&view, t->d.router->name, &t->address, &verdict, &words);
	if (verdict.kind == VERDICT_MISSING) {
		trace_stop(t, "route", "there is no route for it to %s", t->d.router->name);
		return;
	}
	hop = trace_stop(t, "route", "%s", words.why);
	trace_mend(hop, "%s", words.command);
}

/* Behind us */

static void hop_quota(struct trace *t)
{
	const json_t *quota = json_object_get(t->tenant, "quota");
	const char *name = answer_text(t->tenant, "name"), *date = answer_text(quota, "resets_at");

	if (!strcmp(answer_text(quota, "state"), "blocked"))
		trace_mend(trace_stop(t, "quota", "%s has used up its quota, and is blocked%s%s", name,
				      *date ? " until " : "", date), "berth quota %s", name);
}

static void hop_session(struct trace *t)
{
	const char *name = answer_text(t->tenant, "name");
	int64_t when = (int64_t)answer_number(t->tenant, "last_handshake");
	bool connected = !strcmp(answer_text(t->tenant, "state"), "connected");
	char age[PEOPLE_STRLEN];
	struct trace_hop *hop;

	if (is_held(t)) {
		stop_held(t, "session");
		return;
	}
	people_age(when, time(NULL), age);
	if (connected) {
		trace_pass(t, "session", "%s is connected, the last handshake was %s ago", name, age);
		return;
	}
	if (*answer_text(t->tenant, "endpoint") && when) {
		/* A packet for it asks for a handshake by itself. */
		trace_pass(t, "session", "%s is idle, the last handshake was %s ago; a packet begins "
			   "another", name, age);
		return;
	}
	hop = trace_stop(t, "session", when ? "%s has no session, and nobody knows where it is: the last "
			 "handshake was %s ago" : "%s has never been connected: its side must begin "
			 "(handshake: %s)", name, age);
	trace_mend(hop, "berth doctor   # there, at the tenant's");
}

static void hop_endpoint(struct trace *t)
{
	const char *text = answer_text(t->tenant, "endpoint");
	struct netlink_lookup lookup = { .mark = t->d.router->fwmark };
	struct netlink_route route;
	struct endpoint endpoint;
	char link[IFNAMSIZ];
	int err;

	if (!*text || endpoint_parse(&endpoint, text))
		return; /* the session has stopped it */
	lookup.family = (uint8_t)endpoint.addr.sa_family;
	if (lookup.family == AF_INET)
		memcpy(lookup.dst, &endpoint.addr4.sin_addr, 4);
	else
		memcpy(lookup.dst, &endpoint.addr6.sin6_addr, 16);
	err = netlink_route_get(t->d.nl, &lookup, &route);
	if (err)
		trace_stop(t, "endpoint", "there is no way to %s, where it is: %s", text, strerror(-err));
	else if (route.oif == t->d.tun)
		trace_stop(t, "endpoint", "the way to %s leads into %s itself", text, t->d.router->name);
	else if (!netlink_link_name(t->d.nl, route.oif, link))
		trace_pass(t, "endpoint", "it is at %s, by %s", text, link);
}

static void hop_drops(struct trace *t)
{
	const json_t *drops = json_object_get(t->tenant, "drops"), *n;
	const char *reason, *most = NULL;
	uint64_t greatest = 0, sum = 0;

	answer_foreach(drops, reason, n) {
		uint64_t count = (uint64_t)json_integer_value(n);

		sum += count;
		if (count > greatest) {
			greatest = count;
			most = reason;
		}
	}
	if (most)
		trace_pass(t, "dropped", "%" PRIu64 " packets of it since the start, most of them as %s (%"
			   PRIu64 "); `berth show %s` lists them", sum, most, greatest,
			   answer_text(t->tenant, "name"));
	else
		trace_pass(t, "dropped", "no packet of it since the start");
}

void trace_gateway(struct trace *t)
{
	if (!hop_prefix(t))
		return;
	hop_tenant(t);
	hop_isolated(t);
	hop_uplink(t);
	hop_neighbor(t);
	hop_forwarding(t);
	hop_firewall(t);
	/* Without a tenant there is no route, nor anything behind it. */
	if (!t->tenant)
		return;
	hop_route(t);
	hop_quota(t);
	hop_session(t);
	hop_endpoint(t);
	hop_drops(t);
}
