/* SPDX-License-Identifier: MIT */
/* doctor: the machine as such, and the programs on it. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "../../src/base/log.h"
#include "../../src/base/version.h"
#include "../../src/config/config.h"
#include "../../src/host/owner.h"
#include "answer.h"
#include "doctor.h"
#include "people.h"

enum { BUFFER_WANTED = 8 << 20 /* src/path/udp.h */ };

pid_t doctor_daemon(const struct doctor *d)
{
	struct owner owner;

	return d->status && owner_of_socket(d->router->control, &owner) ? owner.pid : 0;
}

/* Configuration */

static void say_missing(struct doctor *d)
{
	bool usual = strcmp(d->config, DEFAULT_CONFIG) == 0;
	struct doctor_row *row;

	row = doctor_say(d, FINDING_FAIL, "there is no %s: at home an empty one will do, and the "
			 "command writes that of a gateway", d->config);
	doctor_mend(row, "berth init%s%s", usual ? "" : " -c ", usual ? "" : d->config);
}

static void check_config(struct doctor *d)
{
	struct fault_list faults = { 0 };
	char text[DOCTOR_WORDS];
	struct doctor_row *row;
	size_t first = 0;
	int err;

	if (access(d->config, F_OK) && errno == ENOENT) {
		say_missing(d);
		return;
	}
	err = config_check(d->config, &faults);
	while (first < faults.n && faults.faults[first].warning)
		first++;
	if (err && first < faults.n) {
		fault_format(&faults.faults[first], text, sizeof(text));
		row = doctor_say(d, FINDING_FAIL, "%s%s", text,
				 faults.n_errors > 1 ? ", and more" : "");
		doctor_mend(row, "berth check -c %s", d->config);
	} else if (err) {
		doctor_say(d, FINDING_FAIL, "%s cannot be checked: %s", d->config, strerror(-err));
	} else if (faults.n) {
		row = doctor_say(d, FINDING_WARN, "%s", fault_format(&faults.faults[0], text,
								   sizeof(text)));
		doctor_mend(row, "berth check -c %s", d->config);
	} else {
		doctor_say(d, FINDING_OK, "%s and its tenants are without a fault", d->config);
	}
	fault_list_free(&faults);
}

static void check_daemon(struct doctor *d)
{
	const char *version = answer_text(d->status, "version");
	uint64_t tenants, tunnels;
	struct doctor_row *row;

	if (!d->router)
		return;
	if (!d->status && (d->daemon_error == -EACCES || d->daemon_error == -EPERM)) {
		doctor_say(d, FINDING_FAIL, "berthd may not be asked at %s: run this as root",
			   d->router->control);
	} else if (!d->status && d->daemon_error == -ETIMEDOUT) {
		row = doctor_say(d, FINDING_FAIL, "berthd does not answer at %s", d->router->control);
		doctor_mend(row, "systemctl restart berthd");
	} else if (!d->status) {
		row = doctor_say(d, FINDING_WARN, "berthd does not run: nobody answers at %s",
				 d->router->control);
		doctor_mend(row, "systemctl start berthd");
	} else if (*version && strcmp(version, BERTH_VERSION) != 0) {
		row = doctor_say(d, FINDING_WARN, "berthd %s runs, and what is installed is %s", version,
				 BERTH_VERSION);
		doctor_mend(row, "systemctl restart berthd");
	} else {
		tenants = answer_number(d->status, "tenants");
		tunnels = answer_number(d->status, "tunnels");
		doctor_say(d, FINDING_OK, "berthd runs with %" PRIu64 " tenant%s and %" PRIu64
			   " tunnel%s", tenants, people_plural(tenants), tunnels,
			   people_plural(tunnels));
	}
}

static void check_tun(struct doctor *d)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int err = fd < 0 ? errno : 0;
	struct doctor_row *row;

	if (fd >= 0)
		close(fd);
	if (!err) {
		doctor_say(d, FINDING_OK, "/dev/net/tun can be opened");
	} else if (err == ENOENT || err == ENODEV || err == ENXIO) {
		row = doctor_say(d, FINDING_FAIL, "there is no /dev/net/tun: load its module; a container "
				 "must be given the device");
		doctor_mend(row, "modprobe tun");
	} else {
		doctor_say(d, FINDING_FAIL, "/dev/net/tun cannot be opened: %s%s", strerror(err),
			   geteuid() ? "; run this as root" : "");
	}
}

/* Capabilities */

static uint64_t capabilities_of(pid_t pid)
{
	char path[64] = "/proc/self/status", line[256];
	uint64_t set = 0;
	FILE *file;

	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %" SCNx64, &set) == 1)
			break;
	(void)fclose(file);
	return set;
}

/*
 * berthd's own, and those of the process that opens for it what it may not itself
 * (tun/broker.h): together they are what it can do. 0: of whoever runs this.
 */
static uint64_t capabilities_of_daemon(pid_t pid)
{
	uint64_t set = capabilities_of(pid);
	char path[64];
	FILE *file;
	int child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = pid ? fopen(path, "re") : NULL;
	while (file && fscanf(file, "%d", &child) == 1)
		set |= capabilities_of(child);
	if (file)
		(void)fclose(file);
	return set;
}

static bool enters_namespaces(const struct doctor *d)
{
	for (size_t i = 0; i < d->n_tunnels; i++)
		if (d->tunnels[i]->tunnel->netns_kind != TUNNEL_NETNS_HOST)
			return true;
	return false;
}

static void check_capabilities(struct doctor *d)
{
	const struct {
		const char *name, *what;
		int number;
		bool wanted;
	} all[] = {
		{ "CAP_NET_ADMIN", "make interfaces and routes", CAP_NET_ADMIN, true },
		{ "CAP_NET_RAW", "answer neighbours", CAP_NET_RAW,
		  d->gateway && d->router->n_uplinks },
		{ "CAP_NET_BIND_SERVICE", "use a port below 1024", CAP_NET_BIND_SERVICE,
		  d->gateway && d->router->listen_port < 1024 },
		{ "CAP_SYS_ADMIN", "go into namespaces", CAP_SYS_ADMIN, enters_namespaces(d) },
	};
	pid_t pid = doctor_daemon(d);
	uint64_t has = capabilities_of_daemon(pid);
	struct doctor_row *row;
	bool said = false;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!all[i].wanted || has & UINT64_C(1) << all[i].number)
			continue;
		said = true;
		if (!pid) {
			doctor_say(d, FINDING_WARN, "without %s berthd could not %s: run this as root",
				   all[i].name, all[i].what);
			continue;
		}
		row = doctor_say(d, FINDING_FAIL, "berthd (pid %d) is without %s and cannot %s",
				 (int)pid, all[i].name, all[i].what);
		/* A gateway's unit must not have it. */
		doctor_mend(row, all[i].number == CAP_SYS_ADMIN ?
			    "systemctl disable --now berthd; systemctl enable --now berthd-home" :
			    "systemctl revert berthd && systemctl restart berthd");
	}
	if (!said)
		doctor_say(d, FINDING_OK, "%s the capabilities it needs", pid ? "berthd has" :
			   "whoever runs this has");
}

/* The port */

static void check_listen(struct doctor *d)
{
	uint16_t wanted = d->gateway ? d->router->listen_port : 0;
	uint64_t port = d->status ? answer_number(d->status, "listen_port") : 0;
	pid_t pid = doctor_daemon(d);
	char who[OWNER_STRLEN];
	struct doctor_row *row;
	struct owner owner;

	if (!wanted)
		return;
	if (d->status && port != wanted) {
		row = doctor_say(d, FINDING_WARN, "berthd listens on UDP port %" PRIu64 ", and the file says "
				 "%u", port, wanted);
		doctor_mend(row, "wg set %s listen-port %u", d->router->name, wanted);
	} else if (!owner_of_udp_port(wanted, &owner)) {
		doctor_say(d, d->status ? FINDING_WARN : FINDING_OK, "%s UDP port %u",
			   d->status ? "nobody is seen at" : "nobody else has", wanted);
	} else if (pid && owner.pid == pid) {
		doctor_say(d, FINDING_OK, "berthd has UDP port %u", wanted);
	} else if (owner.pid) {
		row = doctor_say(d, FINDING_FAIL, "UDP port %u is in use by %s", wanted,
				 owner_format(&owner, who));
		doctor_mend(row, "kill %d", (int)owner.pid);
	} else {
		row = doctor_say(d, FINDING_FAIL, "UDP port %u is in use by the kernel, such as its own "
				 "WireGuard", wanted);
		doctor_mend(row, "wg show all listen-port");
	}
}

/* Time */

static void check_clock(struct doctor *d)
{
	struct timex timex = { 0 };
	struct doctor_row *row;
	struct stat self;
	time_t now = time(NULL);
	char date[32];

	if (!stat("/proc/self/exe", &self) && now < self.st_mtime) {
		(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M", gmtime(&now));
		row = doctor_say(d, FINDING_FAIL, "it is %s UTC by the clock, which is before this program "
				 "was made: handshakes are refused as old", date);
		doctor_mend(row, "timedatectl set-ntp true");
	} else if (adjtimex(&timex) == TIME_ERROR && timex.status & STA_UNSYNC) {
		row = doctor_say(d, FINDING_WARN, "nobody keeps the clock right: one that is set back makes "
				 "handshakes old");
		doctor_mend(row, "timedatectl set-ntp true");
	} else {
		doctor_say(d, FINDING_OK, "the clock is kept right");
	}
}

/* Buffers */

/* The last column of /proc/net/udp: datagrams that found no room. */
static uint64_t dropped_at(uint16_t port)
{
	static const char *const tables[] = { "/proc/self/net/udp", "/proc/self/net/udp6" };
	uint64_t sum = 0;
	char line[256];

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		FILE *file = fopen(tables[i], "re");

		while (file && fgets(line, sizeof(line), file)) {
			char *last = strrchr(line, ' ');
			unsigned local;

			/* "… pointer drops", with blanks behind. */
			while (last && last > line && !isdigit((unsigned char)last[1])) {
				*last = '\0';
				last = strrchr(line, ' ');
			}
			if (last && sscanf(line, " %*[^:]: %*[0-9A-Fa-f]:%x", &local) == 1 &&
			    local == port)
				sum += strtoull(last, NULL, 10);
		}
		if (file)
			(void)fclose(file);
	}
	return sum;
}

static void check_buffers(struct doctor *d)
{
	bool forced = capabilities_of(doctor_daemon(d)) & UINT64_C(1) << CAP_NET_ADMIN;
	static const char *const settings[] = { "rmem_max", "wmem_max" };
	uint64_t dropped = d->status && d->gateway ? dropped_at(d->router->listen_port) : 0;
	uint64_t received = answer_number(d->status, "rx_packets");
	struct doctor_row *row = NULL;
	char path[SYSCTL_PATH_MAX];
	int64_t most;

	/* One in a thousand; a burst at the start is nothing. */
	if (dropped > 1000 && dropped > received / 1000) {
		doctor_say(d, FINDING_WARN, "%" PRIu64 " datagrams came faster than they could be "
			   "read, of %" PRIu64 ": the processor is too slow for them", dropped, received);
		return;
	}
	for (size_t i = 0; !forced && i < ARRAY_SIZE(settings); i++) {
		(void)snprintf(path, sizeof(path), "net/core/%s", settings[i]);
		if (sysctl_read(path, &most) || most >= BUFFER_WANTED)
			continue;
		if (!row)
			row = doctor_say(d, FINDING_WARN, "without CAP_NET_ADMIN sockets have %" PRId64
					 " KiB instead of 8 MiB: bursts are lost", most / 1024);
		doctor_set(row, "8388608", "%s", path);
	}
	if (!row)
		doctor_say(d, FINDING_OK, "sockets have room for 8 MiB, and %" PRIu64 " datagrams were lost",
			   dropped);
}

static void check_offloads(struct doctor *d)
{
	static const struct {
		const char *name, *what;
	} all[] = { { "tun", "of the TUN device" }, { "udp_gso", "of sending UDP" },
		    { "udp_gro", "of receiving UDP" } };
	const json_t *offloads = json_object_get(d->status, "offloads");
	bool said = false;

	if (!offloads)
		return;
	if (d->router->no_offload) {
		doctor_say(d, FINDING_OK, "segmentation offload is switched off in %s", d->router->file);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!json_is_false(json_object_get(offloads, all[i].name)))
			continue;
		doctor_say(d, FINDING_WARN, "the kernel does not do the segmentation offload %s: packets "
			   "go one by one, at a third of the speed", all[i].what);
		said = true;
	}
	if (!said)
		doctor_say(d, FINDING_OK, "packets are handed to the kernel in bulk");
}

/* Connection tracking drops what finds no room in its table. */
static void check_conntrack(struct doctor *d)
{
	int64_t n, most;
	struct doctor_row *row;

	if (!d->gateway || sysctl_read("net/netfilter/nf_conntrack_count", &n) ||
	    sysctl_read("net/netfilter/nf_conntrack_max", &most) || most <= 0)
		return;
	if (n < most / 10 * 9) {
		doctor_say(d, FINDING_OK, "%" PRId64 " of %" PRId64 " connections are tracked", n, most);
		return;
	}
	row = doctor_say(d, n >= most ? FINDING_FAIL : FINDING_WARN, "%" PRId64 " of %" PRId64
			 " connections are tracked: the next ones are dropped", n, most);
	doctor_mend(row, "sysctl -w net.netfilter.nf_conntrack_max=%" PRId64, 4 * most);
}

/* Other responders */

static bool is_here(const char *pid)
{
	struct stat ours, theirs;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	return !stat("/proc/self/ns/net", &ours) && !stat(path, &theirs) &&
	       ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

static bool is_responder(const char *pid, char name[32])
{
	static const char *const others[] = { "ndppd", "npd6", "parprouted", "ndprbrd" };
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, 32, file))
		*name = '\0';
	(void)fclose(file);
	name[strcspn(name, "\n")] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!strcmp(name, others[i]))
			return is_here(pid);
	return false;
}

static void check_responders(struct doctor *d)
{
	DIR *dir = d->gateway && d->router->n_uplinks ? opendir("/proc") : NULL;
	struct dirent *entry;
	bool said = false;
	char name[32];

	while (dir && (entry = readdir(dir))) {
		struct doctor_row *row;

		if (!isdigit((unsigned char)entry->d_name[0]) || !is_responder(entry->d_name, name))
			continue;
		row = doctor_say(d, FINDING_WARN, "%s (pid %.20s) answers neighbours, too: berthd is enough",
				 name, entry->d_name);
		doctor_mend(row, "kill %.20s", entry->d_name);
		said = true;
	}
	if (dir && !said)
		doctor_say(d, FINDING_OK, "no other program answers neighbours");
	if (dir)
		closedir(dir);
}

const struct doctor_check doctor_machine[] = {
	{ "config", check_config },
	{ "berthd", check_daemon },
	{ "tun-device", check_tun },
	{ "capabilities", check_capabilities },
	{ "port", check_listen },
	{ "clock", check_clock },
	{ "buffers", check_buffers },
	{ "offloads", check_offloads },
	{ "conntrack", check_conntrack },
	{ "responders", check_responders },
	{ 0 },
};
