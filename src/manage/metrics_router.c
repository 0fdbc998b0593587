/* SPDX-License-Identifier: MIT */
/* What is exported of the router as a whole: drops, handshakes, workers, neighbours, process. */
#include <sodium.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/version.h"
#include "../path/handshake.h"
#include "metrics_tables.h"

#define COUNTER(name, help) { name, help, METRIC_COUNTER, 0 }
#define COUNTER_NS(name, help) { name, help, METRIC_COUNTER, 9 }
#define GAUGE(name, help) { name, help, METRIC_GAUGE, 0 }
#define GAUGE_NS(name, help) { name, help, METRIC_GAUGE, 9 }

/* A family of one sample without labels. */
static void add_one(struct rope *out, const struct metric *metric, uint64_t value)
{
	const struct metric_labels none = { 0 };

	metric_head(out, metric);
	metric_sample(out, metric, &none, value);
}

/* One sample of a family, with one label. */
static void add_labelled(struct rope *out, const struct metric *metric, const char *label,
			 const char *of, uint64_t value)
{
	struct metric_labels labels = { 0 };

	metric_label(&labels, label, of);
	metric_sample(out, metric, &labels, value);
}

/* The process */

static uint64_t nanoseconds(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * NSEC_PER_SEC + (uint64_t)t->tv_usec * 1000;
}

static uint64_t resident_bytes(void)
{
	unsigned long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	(void)fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void add_process(struct rope *out, const struct metrics_sources *sources)
{
	static const struct metric build = GAUGE("berth_build_info", "Always 1; its labels tell "
						 "the version and what does the encryption.");
	static const struct metric processor =
		COUNTER_NS("process_cpu_seconds_total", "Processor time of all threads.");
	static const struct metric resident =
		GAUGE("process_resident_memory_bytes", "Memory that is resident.");
	struct metric_labels labels = { 0 };
	struct rusage used;

	metric_head(out, &build);
	metric_label(&labels, "version", BERTH_VERSION);
	metric_label(&labels, "crypto", workers_crypto(sources->workers));
	metric_sample(out, &build, &labels, 1);
	if (!getrusage(RUSAGE_SELF, &used))
		add_one(out, &processor, nanoseconds(&used.ru_utime) + nanoseconds(&used.ru_stime));
	add_one(out, &resident, resident_bytes());
}

/* Threads */

enum { WORKER_FAMILIES = 4 };

static void add_workers(struct rope *out, const struct workers *workers)
{
	static const struct metric metrics[WORKER_FAMILIES] = {
		COUNTER_NS("berth_worker_busy_seconds_total",
			   "Processor time of the worker, by the kernel's account."),
		COUNTER("berth_worker_bursts_total", "Turns of the worker that carried packets."),
		COUNTER("berth_worker_receive_packets_total", "Datagrams that the worker received."),
		COUNTER("berth_worker_transmit_packets_total",
			"Packets that the worker read from TUN devices."),
	};

	for (unsigned i = 0; i < WORKER_FAMILIES; i++) {
		metric_head(out, &metrics[i]);
		for (unsigned w = 0; w < workers->n; w++) {
			struct worker_load load;
			char number[12];

			workers_load(workers, w, &load);
			(void)snprintf(number, sizeof(number), "%u", w);
			add_labelled(out, &metrics[i], "worker", number,
				     (const uint64_t[]){ load.processor, load.bursts,
							 load.received, load.sent }[i]);
		}
	}
}

static void add_handshake_thread(struct rope *out, const struct workers *workers)
{
	static const struct metric busy =
		COUNTER_NS("berth_handshake_busy_seconds_total",
			   "Processor time of the handshake thread, by the kernel's account.");
	static const struct metric queued =
		GAUGE("berth_handshake_queue_messages",
		      "Handshake messages that wait; from an eighth of the limit on, senders must "
		      "prove their address.");
	static const struct metric room =
		GAUGE("berth_handshake_queue_limit_messages",
		      "How many can wait before further ones are dropped.");
	struct handshake_load load;

	handshake_load(workers->handshake, &load);
	add_one(out, &busy, load.processor);
	add_one(out, &queued, load.queued);
	add_one(out, &room, load.room);
}

/* The device */

/* Handshakes that came to nothing, among the drops. */
static const enum drop_reason refusals[] = {
	DROP_NO_IDENTITY, DROP_BAD_MAC1, DROP_UNDER_LOAD, DROP_SOURCE_RATE,
	DROP_HANDSHAKE_QUEUE_FULL, DROP_UNKNOWN_PEER, DROP_BAD_HANDSHAKE,
	DROP_UNEXPECTED_RESPONSE, DROP_REPLAYED_INITIATION, DROP_INITIATION_FLOOD,
	DROP_BAD_COOKIE
};

static void add_handshakes(struct rope *out, const struct datapath *dp)
{
	static const struct metric results =
		COUNTER("berth_handshakes_total",
			"Handshakes by result: completed, unanswered (given up), or why a message "
			"was refused.");
	static const struct metric initiated =
		COUNTER("berth_handshake_initiations_total",
			"Initiations sent, repeated ones included.");
	static const struct metric answered =
		COUNTER("berth_handshake_responses_total", "Responses sent.");

	metric_head(out, &results);
	add_labelled(out, &results, "result", "completed",
		     counter_read(&dp->handshakes.completed));
	add_labelled(out, &results, "result", "unanswered",
		     counter_read(&dp->handshakes.unanswered));
	for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++)
		add_labelled(out, &results, "result", drop_name(refusals[i]),
			     counter_read(&dp->drops.n[refusals[i]]));
	add_one(out, &initiated, counter_read(&dp->handshakes.initiated));
	add_one(out, &answered, counter_read(&dp->handshakes.answered));
}

static void add_drops(struct rope *out, const struct datapath *dp)
{
	static const struct metric drops =
		COUNTER("berth_drops_total",
			"Packets that died, by reason, those of tenants included.");

	metric_head(out, &drops);
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		add_labelled(out, &drops, "reason", drop_name((enum drop_reason)i),
			     counter_read(&dp->drops.n[i]));
}

static void add_offloads(struct rope *out, struct device *dev)
{
	static const struct metric offload =
		GAUGE("berth_offload", "Whether the kernel helps so: 1 or 0.");
	struct device_info info;

	device_get(dev, &info);
	sodium_memzero(info.private_key, sizeof(info.private_key));
	metric_head(out, &offload);
	add_labelled(out, &offload, "kind", "tun", info.tun_offload);
	add_labelled(out, &offload, "kind", "tun-steering", info.tun_steering);
	add_labelled(out, &offload, "kind", "udp-gso", info.gso);
	add_labelled(out, &offload, "kind", "udp-gro", info.gro);
}

static void add_device(struct rope *out, struct device *dev, const struct metrics_sums *sums)
{
	static const struct metric tenants =
		GAUGE("berth_tenants", "Tenants of the gateway that are in force, by state.");
	static const struct metric staged =
		GAUGE("berth_staged_bytes", "Packets that wait for a handshake.");
	const struct datapath *dp = device_datapath(dev);

	metric_head(out, &tenants);
	add_labelled(out, &tenants, "state", "connected", sums->connected);
	add_labelled(out, &tenants, "state", "idle", sums->tenants - sums->connected);
	add_handshakes(out, dp);
	add_drops(out, dp);
	add_one(out, &staged,
		atomic_load_explicit(&dp->peers.staged_bytes, memory_order_relaxed));
	add_offloads(out, dev);
}

/* Neighbours */

enum uplink_family { ASKED, ANSWERED, REFUSED, REPEATED, ANNOUNCED, FAILED, LOST, UPLINK_FAMILIES };

static const struct metric uplink_metrics[UPLINK_FAMILIES] = {
	[ASKED] = COUNTER("berth_uplink_solicitations_total",
			  "Neighbours' questions by whose the address was: here (to be answered), "
			  "away (Announce = connected), unowned (nobody has it), foreign."),
	[ANSWERED] = COUNTER("berth_uplink_answers_total", "Questions answered."),
	[REFUSED] = COUNTER("berth_uplink_malformed_total",
			    "Questions with a fault, by what was wrong; others are left out."),
	[REPEATED] = COUNTER("berth_uplink_repeated_answers_total",
			     "Answers from other source addresses, to who asked again."),
	[ANNOUNCED] = COUNTER("berth_uplink_announcements_total",
			      "Addresses announced without a question."),
	[FAILED] = COUNTER("berth_uplink_send_failures_total",
			   "Answers and announcements that the kernel refused."),
	[LOST] = COUNTER("berth_uplink_overruns_total",
			 "Questions lost because berthd was too slow."),
};

static void add_uplink_number(struct rope families[], enum uplink_family family,
			      const char *name, uint64_t value)
{
	add_labelled(&families[family], &uplink_metrics[family], "uplink", name, value);
}

static void add_protocol(struct rope families[], const char *name, const char *protocol,
			 const uint64_t asked[NEIGH_OWNERS], uint64_t answered)
{
	static const char *const owners[] = { [NEIGH_FOREIGN] = "foreign",
					      [NEIGH_UNOWNED] = "unowned",
					      [NEIGH_AWAY] = "away",
					      [NEIGH_HERE] = "here" };
	struct metric_labels labels = { 0 };

	metric_label(&labels, "uplink", name);
	metric_label(&labels, "protocol", protocol);
	for (unsigned i = 0; i < NEIGH_OWNERS; i++) {
		struct metric_labels owner = labels;

		metric_label(&owner, "address", owners[i]);
		metric_sample(&families[ASKED], &uplink_metrics[ASKED], &owner, asked[i]);
	}
	metric_sample(&families[ANSWERED], &uplink_metrics[ANSWERED], &labels, answered);
}

static void add_fault(struct rope families[], const char *name, const char *protocol,
		      const char *verdict, uint64_t n)
{
	struct metric_labels labels = { 0 };

	if (!n)
		return;
	metric_label(&labels, "uplink", name);
	metric_label(&labels, "protocol", protocol);
	metric_label(&labels, "fault", verdict);
	metric_sample(&families[REFUSED], &uplink_metrics[REFUSED], &labels, n);
}

static void add_uplink(const char *name, const struct neigh_stats *stats, void *arg)
{
	struct rope *families = arg;

	add_protocol(families, name, "ndp", stats->ndp_asked, stats->ndp_answered);
	add_protocol(families, name, "arp", stats->arp_asked, stats->arp_answered);
	for (unsigned i = NDP_OK + 1; i < NDP_VERDICTS; i++)
		if (i != NDP_NOT_SOLICITATION)
			add_fault(families, name, "ndp", ndp_verdict_name((enum ndp_verdict)i),
				  stats->ndp[i]);
	for (unsigned i = ARP_OK + 1; i < ARP_VERDICTS; i++)
		if (i != ARP_NOT_REQUEST && i != ARP_ANNOUNCEMENT)
			add_fault(families, name, "arp", arp_verdict_name((enum arp_verdict)i),
				  stats->arp[i]);
	add_uplink_number(families, REPEATED, name, stats->repeated);
	add_uplink_number(families, ANNOUNCED, name, stats->announced);
	add_uplink_number(families, FAILED, name, stats->send_failures);
	add_uplink_number(families, LOST, name, stats->overruns);
}

static void add_uplinks(struct rope *out, struct uplinks *uplinks)
{
	struct rope families[UPLINK_FAMILIES] = { 0 };

	for (unsigned i = 0; i < UPLINK_FAMILIES; i++)
		metric_head(&families[i], &uplink_metrics[i]);
	uplinks_each(uplinks, add_uplink, families);
	for (unsigned i = 0; i < UPLINK_FAMILIES; i++)
		rope_join(out, &families[i]);
}

/* Files */

static void add_files(struct rope *out, const struct reload *reload)
{
	static const struct metric files =
		GAUGE("berth_files", "Files of config.d by what became of them.");
	static const struct metric revoked =
		COUNTER("berth_revocations_total", "Tenants and tunnels that were revoked.");
	struct reload_counts counts;

	reload_counts(reload, &counts);
	metric_head(out, &files);
	add_labelled(out, &files, "state", "tenant", counts.tenants);
	add_labelled(out, &files, "state", "tunnel", counts.tunnels);
	add_labelled(out, &files, "state", "refused", counts.refused);
	add_one(out, &revoked, counts.revoked);
}

void metrics_router_add(struct rope *out, const struct metrics_sources *sources,
			const struct metrics_sums *sums)
{
	static const struct metric took =
		GAUGE_NS("berth_metrics_duration_seconds",
			 "Time of the control thread that this text took, in slices.");

	add_process(out, sources);
	add_workers(out, sources->workers);
	add_handshake_thread(out, sources->workers);
	if (sources->gateway) {
		add_device(out, gateway_device(sources->gateway), sums);
		add_uplinks(out, gateway_uplinks(sources->gateway));
	}
	if (sources->reload)
		add_files(out, sources->reload);
	add_one(out, &took, sums->took);
}
