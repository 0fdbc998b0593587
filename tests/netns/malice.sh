#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A tenant with a good key and a prefix of its own sends whatever it can think of, the
# packets of malice.py: what must not pass is dropped, counted under its reason, and not seen
# behind the gateway.
#
#   internet ------- vps             gateway: also 203.0.113.65 and 2001:db8:beef:0:aa::1,
#      |             berthd          and for management 10.77.0.1 and fd00:1::1
#      +--- mallory  tools/bench/malice: 203.0.113.64/28, 2001:db8:beef:0:aa::/80
#           bob      is not there: 203.0.113.10, 2001:db8:beef::b0b; from wg 203.0.113.77 and
#                    2001:db8:beef:0:aa::77 as well, in the middle of mallory's

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth jq tcpdump
MALICE=$(dirname "$BERTHD")/bench/malice
[ -x "$MALICE" ] || lab_die "$MALICE is not there: make check-net makes it"

GW=$(lab_if gw)
CONTROL=$LAB_DIR/gw.control
NUMBER=66

lab_world
lab_house mallory 94
lab_keys gw bob
PUB[mallory]=$("$MALICE" key $NUMBER)
lab_gateway_conf gw "$GW"
sed -i '/^ListenPort/a Address = 10.77.0.1/32, fd00:1::1/128' "$LAB_DIR/gw.conf"
lab_tenant gw bob "203.0.113.10/32, 2001:db8:beef::b0b/128"
# The kernel is left as open as it can be: what stops packets is to be the gateway.
lab_sysctl vps net/ipv4/conf/all/rp_filter=0 net/ipv4/conf/default/rp_filter=0 \
	net/ipv4/conf/all/accept_local=1 net/ipv4/conf/all/accept_source_route=1 \
	net/ipv6/conf/all/accept_ra=2 net/ipv6/conf/default/accept_ra=2
need "the gateway starts" lab_gateway gw vps "$GW"
need "bob's file is read" lab_wait_peer "$GW" "${PUB[bob]}"
lab_sysctl vps "net/ipv4/conf/$GW/rp_filter=0" "net/ipv6/conf/$GW/accept_ra=2"

# bob gets addresses from wg, of which no file knows: so there are two tenants of whom one has
# addresses inside the other's prefix, when a file gives it to mallory. An address of the machine
# comes while it runs.
need "wg gives bob what nobody has" wg set "$GW" peer "${PUB[bob]}" allowed-ips \
	203.0.113.10/32,2001:db8:beef::b0b/128,203.0.113.77/32,2001:db8:beef:0:aa::77/128
lab_tenant gw mallory "203.0.113.64/28, 2001:db8:beef:0:aa::/80"
need "mallory's file is read" lab_wait_peer "$GW" "${PUB[mallory]}"
lab_addr vps lo 203.0.113.65/32 2001:db8:beef:0:aa::1/128

# wg_cannot ERROR PREFIXES REASON: give them to bob, who keeps what he has.
wg_cannot()
{
	local before error=$1 given=$2 reason=$3

	before=$(wg show "$GW" allowed-ips; lab_ip vps route; lab_ip vps -6 route)
	not wg set "$GW" peer "${PUB[bob]}" allowed-ips "$given" >"$LAB_DIR/wg.out" 2>&1 &&
		has "$(cat "$LAB_DIR/wg.out")" "$error" &&
		lab_logged gw "peer ${PUB[bob]//+/.}: $reason" &&
		is "$(wg show "$GW" allowed-ips; lab_ip vps route; lab_ip vps -6 route)" "$before"
}
check "wg cannot give the whole world" wg_cannot "Cannot assign" 203.0.113.10/32,0.0.0.0/0,::/0 \
	"0.0.0.0/0 is in no Prefix of "
check "nor what is not the gateway's" wg_cannot "Cannot assign" 198.18.0.1/32 \
	"198.18.0.1/32 is in no Prefix of "
check "nor what is mallory's" wg_cannot "Address already in use" 203.0.113.66/32 \
	"203.0.113.66/32 overlaps 203.0.113.64/28, which belongs to tenant mallory"
check "nor what mallory's is part of" wg_cannot "Address already in use" 203.0.113.0/25 \
	"203.0.113.0/25 overlaps 203.0.113.64/28, which belongs to tenant mallory"
check "nor what is the gateway's own" wg_cannot "Cannot assign" 10.77.0.1/32 \
	"10.77.0.1/32 is in no Prefix of "

lab_start dump internet tcpdump -n -U -i cable -w "$LAB_DIR/cable.pcap" \
	"ether src $(lab_in vps cat /sys/class/net/eth0/address)"
need "the cable is watched" lab_wait_log dump 'listening on'
need "every packet has the fate that its row says" lab_in vps "$PYTHON" \
	"$(dirname "$0")/malice.py" "$CONTROL" mallory "$GW" \
	"$MALICE" send "$(lab_ns mallory)" 10.94.0.2 $VPS4 "${PUB[gw]}" $NUMBER
cat "$LAB_DIR/check.out"

# seen FILTER: packets of the gateway on the cable.
seen()
{
	tcpdump -n -r "$LAB_DIR/cable.pcap" "$1" 2>/dev/null | tee "$LAB_DIR/seen" | wc -l
}

# nothing_of WHAT FILTER
nothing_of()
{
	local n

	n=$(seen "$2")
	check "on the cable: nothing $1" is "$n $(cat "$LAB_DIR/seen")" "0 "
}

came_out()
{
	[ "$(seen "(src net 203.0.113.64/28 or src net 2001:db8:beef:0:aa::/80) and udp")" -ge 8 ]
}
check "on the cable: what passed" lab_wait 5 "honest packets" came_out
lab_stop dump INT
nothing_of "of addresses that are not mallory's, nor the gateway's" \
	"(ip and not src net 203.0.113.64/28 and not src host $VPS4) or (ip6 and
	not src net 2001:db8:beef:0:aa::/80 and not src host $VPS6 and not src net fe80::/10)"
nothing_of "of bob's" "src host 203.0.113.77 or src host 2001:db8:beef:0:aa::77"
nothing_of "of mallory's as a router or neighbour" \
	"src net 2001:db8:beef:0:aa::/80 and icmp6 and ip6[40] >= 133 and ip6[40] <= 137"

check "the gateway has no other default route" is \
	"$(lab_ip vps -6 route show default | grep -c .)" 1
check "nor another way to anybody" is "$(lab_ip vps -6 route show cache | grep -c redirect || :)" 0
check "berth show says why" has "$("$BERTH" show mallory --control "$CONTROL")" 'link-scope'
check "bob has nothing to do with it" is "$(lab_control "$CONTROL" '{"do":"show","name":"bob"}' |
	jq -c .tenant.drops)" '{}'
