#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The host routes to the tenants stay where they are, whoever removes them, and
# win; where something else wins, the log says what, and what to do.
#
#   internet ------------- vps
#                             eth0, berthd; its routes are pulled at here

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw)
D=$LAB_DIR/gw.d
A=${PREFIX6}a1 B=${PREFIX6}b0 C=203.0.113.1

lab_world
lab_keys gw alice bob carol dora
lab_gateway_conf gw "$GW"
lab_tenant gw alice "$A/128, $C/32"
lab_tenant gw bob "$B/128"
need "the gateway starts" lab_gateway gw vps "$GW"
need "its tenants are read" lab_wait_peer "$GW" "${PUB[bob]}"

is_routed()
{
	local family=-4

	case $1 in *:*) family=-6 ;; esac
	has "$(lab_ip vps $family route show "$1" dev "$GW" proto 146)" "${1%/*}"
}

count_is()
{
	is "$(lab_ip vps -6 route show dev "$GW" proto 146 | wc -l)" "$1"
}

# said WHAT PATTERN: by the log, since the mark.
said()
{
	check "$1: said" lab_wait_log gw "$2"
	lab_mark gw
}

check "one route to each address, with our number" is_routed $A/128
check "IPv4 too" is_routed $C/32
check "and nothing is wrong with them" not lab_logged gw 'do not come to us'
lab_mark gw

# ---- somebody removes them ------------------------------------------------------------

lab_ip vps route del $A/128 dev "$GW"
check "a route that is deleted comes back" lab_wait 5 "the route" is_routed $A/128
said "a route that is deleted" "1 route to tenants had gone \($A/128\)"
lab_ip vps route flush dev "$GW" proto 146
check "flushed: IPv4 comes back" lab_wait 5 "the route" is_routed $C/32
said "flushed" "1 route to tenants had gone \($C/32\)"
lab_ip vps -6 route flush proto 146
check "flushed: IPv6 comes back" lab_wait 5 "the routes" count_is 2
said "again and again" 'ManageForeignRoutes=no'
mapfile -t lines < <(printf "AllowedIPs = ${PREFIX6}d:%x/128\n" {1..2000})
lab_tenant gw dora ${PREFIX6}d:0/128 "${lines[@]}"
check "two thousand more" lab_wait 5 "the routes" count_is 2003
lab_mark gw
lab_ip vps -6 route flush proto 146
check "all of them come back" lab_wait $((10 * LAB_SLOW)) "the routes" count_is 2003
said "all of them" '[0-9]+ routes to tenants had gone'
rm "$D/dora.conf"
check "and go with their tenant" lab_wait 5 "the routes to go" count_is 2
lab_mark gw
rm "$D/bob.conf"
check "our own removals stay" lab_wait 5 "the route to go" count_is 1
need "bob has gone" lab_wait_no_peer "$GW" "${PUB[bob]}"
check "without a word" not lab_logged gw 'had gone'

# ---- the interface ---------------------------------------------------------------------

lab_ip vps link set "$GW" down
said "set down" 'somebody has set the interface down'
check "the kernel has dropped them" count_is 0
lab_ip vps link set "$GW" up
check "up again: they are back" lab_wait 5 "the routes" is_routed $A/128
check "IPv4 as well" lab_wait 5 "the route" is_routed $C/32
check "and that is nobody's removal" not lab_logged gw 'had gone'
lab_sysctl vps "net/ipv6/conf/$GW/disable_ipv6=1"
check "IPv6 switched off: gone" lab_wait 5 "the route to go" not is_routed $A/128
lab_sysctl vps "net/ipv6/conf/$GW/disable_ipv6=0"
check "and on again: back" lab_wait $((10 * LAB_SLOW)) "the route" is_routed $A/128
lab_ip vps address add 10.99.0.1/24 dev "$GW"
lab_mark gw
lab_ip vps address del 10.99.0.1/24 dev "$GW"
said "its last IPv4 address goes, and with it silently the routes" "1 route to tenants had gone \($C/32\)"
check "they are back" is_routed $C/32
lab_ip vps link set eth0 down
lab_ip vps link set eth0 up
check "the uplink's flaps do not touch them" is_routed $A/128
lab_addr vps eth0 $VPS6/64 || :
lab_route vps default via 192.0.2.1
lab_mark gw

# ---- something else wins -----------------------------------------------------------------

lab_ip vps -6 route add $A/128 dev eth0 metric 10
said "a better metric" "packets to $A/128 do not come to us: the route to $A/128 via eth0 .*metric 10.* wins: 'ip -6 route del $A/128 metric 10'"
lab_ip vps -6 route del $A/128 metric 10
lab_ip vps address add $A/128 dev eth0 nodad
said "the machine's own address" "$A/128 .*has that address itself, on eth0: the tenant needs another one$"
lab_ip vps address del $A/128 dev eth0
lab_ip vps -6 route add $PREFIX6/64 dev eth0 table 77
lab_ip vps -6 rule add to $PREFIX6/64 table 77
said "a rule" "$A/128 .*rule sends them to table 77.*ip -6 rule show"
lab_ip vps -6 rule del to $PREFIX6/64 table 77
lab_ip vps -6 route flush table 77
lab_ip vps address add $C/32 dev lo
said "IPv4" "$C/32 .*has that address itself, on lo: the tenant needs another one$"
lab_ip vps address del $C/32 dev lo
lab_ip vps route del $C/32 dev "$GW"
lab_ip vps route add blackhole $C/32
said "a blackhole" "$C/32 .*of type blackhole wins"
lab_ip vps route del blackhole $C/32
said "a blackhole that goes" "packets to $C/32 come to us again"
lab_ip vps rule add iif eth0 table 77
lab_ip vps route add default dev lo table 77
said "a rule for what comes in" "$C/32 .*rule sends them to table 77"
lab_ip vps rule del iif eth0 table 77
lab_ip vps route flush table 77
lab_wait_log gw "packets to $C/32 come to us again" || :
lab_mark gw
lab_ip vps address add ${PREFIX6}a0/124 dev eth0 nodad
lab_tenant gw bob ${PREFIX6}a7/128
need "bob is back, inside an on-link /124" lab_wait_peer "$GW" "${PUB[bob]}"
check "the /124 does not win" has "$(lab_ip vps -6 route get ${PREFIX6}a7 from $WORLD6 iif eth0)" "dev $GW"
check "and nobody says so" not lab_logged gw 'do not come to us'

# ---- it is somebody else's -----------------------------------------------------------------

lab_ip vps -6 route add $B/128 dev eth0 proto static
lab_mark gw
lab_tenant gw carol $B/128
said "somebody else's" "the route to $B/128 via eth0 \(protocol 4, metric 1024\), which is not ours, wins"
check "it is left alone" has "$(lab_ip vps -6 route show $B/128)" 'dev eth0 proto static'
lab_ip vps -6 route del $B/128 dev eth0 proto static
check "when it goes, ours comes" lab_wait 5 "the route" is_routed $B/128

# ---- a crash, and a stop ---------------------------------------------------------------------

lab_ip vps -6 route add ${PREFIX6}ffff/128 dev eth0 proto 146
lab_stop gw KILL
check "with the descriptor go the routes" count_is 0
need "started again" lab_gateway gw vps "$GW"
need "its tenants are read again" lab_wait_peer "$GW" "${PUB[carol]}"
check "they are there" lab_wait 5 "the routes" is_routed $A/128
check "what is on another's interface is not ours to sweep" has \
	"$(lab_ip vps -6 route show ${PREFIX6}ffff/128)" 'dev eth0'
lab_stop gw
check "a clean stop leaves none" is "$(lab_ip vps -6 route show dev "$GW" 2>/dev/null)" ''

# An interface that was made to stay keeps the routes of who was there before.
lab_ip vps tuntap add "$GW" mode tun multi_queue vnet_hdr
lab_ip vps link set "$GW" up
lab_ip vps -6 route add ${PREFIX6}eeee/128 dev "$GW" proto 146
lab_mark gw
need "started on an interface that was there" lab_gateway gw vps "$GW"
said "left-overs" '1 routes of an earlier run are removed'
check "they are gone" is "$(lab_ip vps -6 route show ${PREFIX6}eeee/128)" ''
need "tenants" lab_wait 5 "the routes" is_routed $A/128
lab_stop gw
check "a clean stop leaves none there either" lab_wait 5 "no routes" count_is 0
lab_ip vps tuntap del "$GW" mode tun multi_queue
