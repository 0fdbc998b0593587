#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Providers whose routers are not like everybody's. What each of them does is
# done here by nftables and sysctls in front of Linux's own neighbour discovery.
#
#   far ----- internet ------------- vps ------- (tunnel) alice
#             cable, 2001:db8:beef::1   eth0, 2001:db8:beef::2, berthd
#
# Clock: 40
# Limit: 400
# LONG=1 bash tests/netns/providers.sh goes on pinging for five minutes beside probes every 15 seconds, with
# nothing else running, and then no answer may take more than 5 ms.

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go tcpdump nft

GW=$(lab_if gw) ALICE=$(lab_if al)
A=${PREFIX6}a1

lab_world
lab_house alice 82
lab_house far 83
lab_keys gw alice bob carol dora erin
lab_gateway_conf gw "$GW"
lab_tenant gw alice "$A/128, 203.0.113.1/32"
# Nobody calls from there, but all of it has to resolve.
lab_tenant gw bob "$(printf "${PREFIX6}b%x/128 " 0 1 2 3 4 5 6 7 | sed 's/ $//; s/ /, /g')"
MAC=$(lab_ip vps -j link show eth0 | jq -r '.[0].address')
need "the gateway starts" lab_gateway gw vps "$GW"
need "its tenants are read" lab_wait_peer "$GW" "${PUB[bob]}"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" $A/128,203.0.113.1/32 \
	persistent-keepalive 1
need "alice reaches the world" lab_reaches alice $WORLD6
lab_start tcpdump internet tcpdump -l --immediate-mode -n -v -i cable \
	'icmp6 and (ip6[40] < 128 or ip6[40] == 135 or ip6[40] == 136)'
lab_wait_log tcpdump 'listening on'

neighbor()
{
	lab_ip internet neighbor show "$1" dev cable
}

forget()
{
	lab_ip internet -6 neighbor flush dev cable >/dev/null 2>&1 || :
	lab_mark tcpdump
}

is_resolved()
{
	has "$(neighbor "$1")" "lladdr $MAC"
}

# The router asks for $1, because a packet comes for it.
look_for()
{
	lab_in internet ping -n -c 1 -W 1 "$1" >/dev/null 2>&1 || :
	lab_wait 4 "the address of $1" is_resolved "$1"
}

# How many questions for $1 since the mark.
questions()
{
	lab_since tcpdump | grep -cE "who has $1(,|$)" || :
}

# The rules of this provider's router, for what comes in from the cable.
router()
{
	lab_in internet nft -f - <<-END
		table netdev strict
		delete table netdev strict
		table netdev strict {
			chain in {
				type filter hook ingress device "cable" priority 0;
				$1
			}
		}
	END
}

ADVERT='icmpv6 type nd-neighbor-advert'

# ---- it drops what comes from a link-local address, or not from the target --------------------

# learns "what": found at the second question at the latest, and soon at the first.
learns()
{
	local i last

	for i in 0 1 2 3 4 5 6 7; do
		forget
		check "$1: address $i is found" look_for ${PREFIX6}b$i
		last=$(questions ${PREFIX6}b$i)
		check "$1: by the second question" at_most "$last" 2
		[ "$last" -gt 1 ] || break
	done
	check "$1: in the end by the first" is "$last" 1
	forget
	check "$1: alice is reached" lab_ping internet $A
}

learns "a router like any other"
check "which believes a link-local source" has "$(lab_since tcpdump | grep advertisement)" 'fe80::'
router "$ADVERT ip6 saddr fe80::/10 drop"
learns "no link-local sources"
router "$ADVERT ip6 saddr $VPS6 drop; $ADVERT ip6 saddr fe80::/10 drop"
learns "the source must be the target"
check "it is" has "$(lab_since tcpdump | grep advertisement)" "$A > "
router "$ADVERT ip6 saddr != $VPS6 drop"
learns "a global source of the sender's own"
router ''

# ---- it learns from unsolicited advertisements only -------------------------------------------

lab_in internet nft -f - <<-END
	table ip6 mute {
		chain out {
			type filter hook output priority 0;
			icmpv6 type nd-neighbor-solicit drop
		}
	}
END
if lab_sysctl internet net/ipv6/conf/cable/accept_untracked_na=1 2>/dev/null; then
	forget
	lab_tenant gw carol ${PREFIX6}c0/128
	check "a router that never asks hears of a new tenant" lab_wait 5 "the announcement" \
		is_resolved ${PREFIX6}c0
	forget
	lab_ip vps link set eth0 address 02:00:00:00:00:99
	MAC=02:00:00:00:00:99
	check "and of other hardware, by all addresses" lab_wait 5 "the announcement" \
		is_resolved ${PREFIX6}b7
	check "those of old tenants too" lab_wait 5 "the announcement" is_resolved $A
fi
lab_in internet nft delete table ip6 mute
# The machine's own addresses are the kernel's to announce.
lab_ip internet neighbor flush dev cable
check "alice is reached at the new hardware" lab_reaches internet $A

# ---- a part of the prefix is on the vps's own link ------------------------------------------------

lab_ip vps address add ${PREFIX6}d2/124 dev eth0 nodad
lab_tenant gw dora ${PREFIX6}d1/128
need "dora's file is read" lab_wait_peer "$GW" "${PUB[dora]}"
forget
check "a tenant inside an on-link /124 is answered for" look_for ${PREFIX6}d1
check "and packets to it go to the tunnel" has \
	"$(lab_ip vps -6 route get ${PREFIX6}d1 from $WORLD6 iif eth0)" "dev $GW"
check "while the vps is there itself" lab_ping internet ${PREFIX6}d2
check "and only the kernel answers for that" at_most \
	"$(lab_since tcpdump | grep -cE "tgt is ${PREFIX6}d2," || :)" 1

# ---- its router advertisements are the only way to a default route ---------------------------------

# Router advertisements with a lifetime of $1 seconds, one after the other.
advertise()
{
	lab_in internet "$PYTHON" -c '
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
index = socket.if_nametoindex("cable")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, int(sys.argv[1]), 0, 0),
	 ("ff02::1", 0, 0, index))' "$1"
}

has_default()
{
	has "$(lab_ip vps -6 route show default proto ra)" 'dev eth0'
}

lab_ip vps -6 route del default
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=1
advertise 3
check "with accept_ra = 1 a machine that forwards hears no router" not has_default
lab_stop gw
lab_mark gw
need "the gateway starts again" lab_gateway gw vps "$GW"
check "it says so, with the sysctl that mends it" lab_wait_log gw 'net.ipv6.conf.eth0.accept_ra=2'
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=2
advertise 600
check "with 2 it does" lab_wait 5 "the default route" has_default
# Her side has not noticed the restart, and begins anew.
wg set "$ALICE" peer "${PUB[gw]}" remove
wg set "$ALICE" peer "${PUB[gw]}" endpoint "$(lab_endpoint 4)" allowed-ips ::/0,0.0.0.0/0 \
	persistent-keepalive 1
need "alice is back" lab_reaches internet $A

# ---- it checks all the time whether its neighbours are there -----------------------------------------

# steady NS ADDRESS COUNT: ten echo requests a second; prints how many were answered
# and the longest wait in ms. ping(8) will not do: it tells the kernel that its
# neighbour is there (MSG_CONFIRM), and in a lab on one machine that mark stays on the
# packet across namespaces, so no router ever has to ask.
steady()
{
	lab_start steady "$1" "$PYTHON" -c '
import socket, struct, sys, time
addr, count = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sent, worst, answered = {}, 0, set()
start = time.monotonic()
def listen(until):
    global worst
    while (left := until - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            data, who = s.recvfrom(2048)
        except socket.timeout:
            return
        if data[0] == 129 and who[0] == addr:
            number = struct.unpack("!H", data[6:8])[0]
            answered.add(number)
            worst = max(worst, time.monotonic() - sent[number])
for i in range(count):
    sent[i] = time.monotonic()
    s.sendto(struct.pack("!BBHHH", 128, 0, 0, 7, i), (addr, 0))
    listen(start + 0.1 * (i + 1))
listen(time.monotonic() + 2)
print("answered", len(answered), "of", count, "the slowest after", round(1000 * worst, 2), "ms")
' "$2" "$3"
	lab_join steady $(($3 / 10 + 30))
}

slowest()
{
	sed -n 's/.*after \([0-9]*\).*ms$/\1/p' "$(lab_log steady)"
}

probes()
{
	lab_since tcpdump | grep -cE "> $A: .*who has $A(,|$)" || :
}

if [ -n "${LONG:-}" ]; then
	reachable=15000 delay=1 seconds=300 worst=4 # and a fraction
else
	reachable=1000 delay=1 seconds=15 worst=$((1000 * LAB_SLOW))
fi
lab_sysctl internet net/ipv6/neigh/cable/base_reachable_time_ms=$reachable \
	net/ipv6/neigh/cable/delay_first_probe_time=$delay
forget
lab_start watch internet ip -6 monitor neigh
need "pinged for $seconds s" steady far $A $((10 * seconds))
check "strict unreachability detection: nothing lost" has "$(cat "$(lab_log steady)")" \
	"answered $((10 * seconds)) of"
check "no answer after more than $worst ms" at_most "$(slowest)" "$worst"
check "there were probes" at_least "$(probes)" $((seconds * 1000 / (2 * reachable + 1000 * delay)))
lab_stop watch
check "every one was answered" not lab_logged watch "$A.*(FAILED|INCOMPLETE)"
check "and the kernel of the vps kept silent" not has "$(lab_since tcpdump)" 'unreachable'
lab_say "              $(probes) probes; $(cat "$(lab_log steady)")"
