/* SPDX-License-Identifier: MIT */
/* One clear sentence each. */
#include "complain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "../base/log.h"
#include "../host/owner.h"
#include "stamp.h"

static const char *tun_owner(const char *ifname, char buf[OWNER_STRLEN])
{
	struct owner owner;

	return owner_format(owner_of_tun(ifname, &owner) ? &owner : NULL, buf);
}

static const char *port_owner(uint16_t port, char buf[OWNER_STRLEN])
{
	struct owner owner;

	return owner_format(owner_of_udp_port(port, &owner) ? &owner : NULL, buf);
}

void complain_tun(const char *ifname, int err)
{
	char who[OWNER_STRLEN];

	switch (err) {
	case -ENOENT:
	case -ENODEV:
		log_error("%s: there is no /dev/net/tun: load the module with 'modprobe tun', or "
			  "let the container have the device", ifname);
		return;
	case -EPERM:
	case -EACCES:
		log_error("%s: not allowed to make a TUN device: run as root, or with "
			  "CAP_NET_ADMIN and access to /dev/net/tun", ifname);
		return;
	case -EBUSY:
	case -EEXIST:
		log_error("%s: there is an interface of that name already, of %s", ifname,
			  tun_owner(ifname, who));
		return;
	case -ENAMETOOLONG:
	case -EINVAL:
		log_error("%s: the kernel does not take this as the name of an interface", ifname);
		return;
	default:
		log_error("%s: cannot open a TUN device: %s", ifname, strerror(-err));
	}
}

void complain_port(const char *ifname, uint16_t port, int err)
{
	char who[OWNER_STRLEN];

	if (err == -EADDRINUSE)
		log_error("%s: UDP port %u is in use by %s", ifname, port,
			  port_owner(port, who));
	else if (err == -EACCES)
		log_error("%s: not allowed to use UDP port %u: ports below 1024 need "
			  "CAP_NET_BIND_SERVICE", ifname, port);
	else
		log_error("%s: cannot open UDP port %u: %s", ifname, port, strerror(-err));
}

void complain_address(const char *ifname, const struct config_address *address, int err)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(address->family, address->addr, text, sizeof(text));
	/* What Linux says when IPv6 is disabled on the interface, or not there at all. */
	if (address->family == AF_INET6 && (err == -EACCES || err == -EPERM ||
					    err == -EAFNOSUPPORT || err == -EOPNOTSUPP))
		log_error("%s: cannot add %s: this kernel has IPv6 switched off: "
			  "sysctl -w net.ipv6.conf.all.disable_ipv6=0", ifname, text);
	else
		log_error("%s: cannot add %s: %s", ifname, text, strerror(-err));
}

/* Is a sysctl set to this? Unreadable ones are somebody else's business. */
static bool sysctl_is(const char *path, char value)
{
	FILE *f = fopen(path, "re");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c == value;
}

/* Set to 1, it means "unless we forward". */
static void complain_accept_ra(const struct config_router *r, const char *uplink)
{
	char path[64 + IFNAMSIZ];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", uplink);
	if (sysctl_is(path, '1') && sysctl_is("/proc/sys/net/ipv6/conf/all/forwarding", '1'))
		log_warning("%s: with forwarding on, %s ignores router advertisements and may "
			    "lose its default route: sysctl -w net.ipv6.conf.%s.accept_ra=2",
			    r->name, uplink, uplink);
}

void complain_sysctls(const struct config_router *r)
{
	bool has4 = false, has6 = false;

	for (uint32_t i = 0; i < r->prefixes.n; i++) {
		has4 |= r->prefixes.v[i].prefix.family == AF_INET;
		has6 |= r->prefixes.v[i].prefix.family == AF_INET6;
	}
	if (has6 && sysctl_is("/proc/sys/net/ipv6/conf/all/forwarding", '0'))
		log_warning("%s: the kernel does not forward IPv6, so no tenant is reached: "
			    "sysctl -w net.ipv6.conf.all.forwarding=1", r->name);
	if (has4 && sysctl_is("/proc/sys/net/ipv4/ip_forward", '0'))
		log_warning("%s: the kernel does not forward IPv4, so no tenant is reached: "
			    "sysctl -w net.ipv4.ip_forward=1", r->name);
	for (unsigned i = 0; has6 && i < r->n_uplinks; i++)
		complain_accept_ra(r, r->uplinks[i]);
}

void complain_socket(const char *path, int err)
{
	struct owner owner;
	char who[OWNER_STRLEN];

	if (err == -EADDRINUSE)
		log_error("%s is in use by %s", path,
			  owner_format(owner_of_socket(path, &owner) ? &owner : NULL, who));
	else
		log_error("cannot listen on %s: %s", path, strerror(-err));
}

bool complain_faults(uint64_t *said, const char *tenant, const struct fault_list *faults)
{
	uint64_t hash = STAMP_HASH_INIT, before = *said;
	char text[LOG_TEXT_MAX];

	*said = 0;
	if (!faults->n && !faults->n_errors)
		return false;
	for (size_t i = 0; i < faults->n; i++) {
		fault_format(&faults->faults[i], text, sizeof(text));
		hash = stamp_hash(hash, text, strlen(text));
	}
	*said = hash | !hash;
	if (*said == before)
		return false;
	for (size_t i = 0; i < faults->n; i++)
		log_event(faults->faults[i].warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, tenant,
			  "fault", faults->faults[i].text, "%s",
			  fault_format(&faults->faults[i], text, sizeof(text)));
	if (faults->n_errors > faults->n)
		log_error("%zu faults more", faults->n_errors - faults->n);
	return true;
}
