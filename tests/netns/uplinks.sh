#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Two providers at one gateway; and tenants who are answered for only while they
# are there.
#
#   internet --- cable ---- eth0    vps ------- (tunnel) bob
#   2001:db8:beef::/64               |
#   other ------ line ----- eth1 ----+ berthd
#   2001:db8:cafe::/64, 198.51.100.0/24

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) BOB=$(lab_if bo)
CONTROL=$LAB_DIR/gw.control
CAFE=2001:db8:cafe::

lab_world
lab_netns other
lab_link other line vps eth1
lab_addr other line ${CAFE}1/64 198.51.100.1/24
lab_addr vps eth1 ${CAFE}2/64 198.51.100.2/24
lab_house bob 84
lab_keys gw alice bob
UPLINK='Uplink = eth0, eth1' lab_gateway_conf gw "$GW" "Prefix = $CAFE/64" \
	"Prefix = 198.51.100.0/24" "Announce = connected" "NeighborSource = link-local"
# Alice is to be answered for though she never comes.
lab_tenant gw alice "${PREFIX6}a1/128, ${CAFE}a1/128, 198.51.100.77/32" '[Tenant]' 'Announce = always'
lab_tenant gw bob "${PREFIX6}b0/128, ${CAFE}b0/128, 198.51.100.78/32"
need "the gateway starts" lab_gateway gw vps "$GW"
need "its tenants are read" lab_wait_peer "$GW" "${PUB[bob]}"
MAC0=$(lab_ip vps -j link show eth0 | jq -r '.[0].address')
MAC1=$(lab_ip vps -j link show eth1 | jq -r '.[0].address')
# has_neighbor NS IF ADDRESS MAC: asked for it just now, it is there.
has_neighbor()
{
	lab_ip "$1" neighbor flush to "$3" dev "$2" >/dev/null 2>&1 || :
	lab_in "$1" ping -n -c 1 -W 1 "$3" >/dev/null 2>&1 || :
	has "$(lab_ip "$1" neighbor show "$3" dev "$2")" "lladdr $4"
}

# count UPLINK PROTOCOL WORD: a counter of the gateway.
count()
{
	lab_control "$CONTROL" '{"do":"status"}' | jq ".status.uplinks[] |
		select(.name == \"$1\") | .$2.$3 // 0"
}

# ---- two uplinks ---------------------------------------------------------------------

check "alice resolves at the first" has_neighbor internet cable ${PREFIX6}a1 "$MAC0"
check "and at the second, by her address there" has_neighbor other line ${CAFE}a1 "$MAC1"
check "ARP too" has_neighbor other line 198.51.100.77 "$MAC1"
check "each has its own counters" at_least "$(count eth1 arp answered)" 1
check "nothing was asked by ARP at the first" is "$(count eth0 arp answered)" 0

unowned=$(count eth1 ndp unowned)
check "nobody's address is silent" not has_neighbor other line ${CAFE}dead "$MAC1"
check "and counted" at_least "$(count eth1 ndp unowned)" $((unowned + 1))

# ---- announced while connected ---------------------------------------------------------

check "bob, who is not there, is not answered for" not has_neighbor internet cable ${PREFIX6}b0 "$MAC0"
check "nor at the second" not has_neighbor other line ${CAFE}b0 "$MAC1"
check "nor by ARP" not has_neighbor other line 198.51.100.78 "$MAC1"
check "that is counted as away" at_least "$(count eth0 ndp away)" 1
check "as away by ARP" at_least "$(count eth1 arp away)" 1
lab_wggo_tenant bob bob "$BOB" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}b0/128,198.51.100.78/32 \
	persistent-keepalive 1
need "bob calls" lab_wait 10 "bob's handshake" lab_has_handshake "$GW" "${PUB[bob]}"
check "now he is answered for" has_neighbor internet cable ${PREFIX6}b0 "$MAC0"
check "at both" has_neighbor other line ${CAFE}b0 "$MAC1"
check "by ARP" has_neighbor other line 198.51.100.78 "$MAC1"
check "and reached" lab_ping internet ${PREFIX6}b0

lab_tenant gw alice "${PREFIX6}a1/128, ${CAFE}a1/128, 198.51.100.77/32" '[Tenant]' 'Announce = connected'
check "alice's file says otherwise: silent at once" lab_wait 5 "silence" \
	not has_neighbor internet cable ${PREFIX6}a1 "$MAC0"

# ---- one of them goes -------------------------------------------------------------------

lab_ip vps link del eth1
check "without the second, said" lab_wait_log gw 'uplink eth1 is gone'
check "the first goes on" has_neighbor internet cable ${PREFIX6}b0 "$MAC0"
