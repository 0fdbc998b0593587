#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Who sends to an address that leads nowhere is told so, but not without end.
# The prefix is routed to the vps here, and by its operator into our device.
#
#   internet ------------- vps ------- (tunnel) alice   has called
#   2001:db8:aaaa::/64     berthd               bob     has never called
#   203.0.113.0/24                              ::dead  nobody

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) ALICE=$(lab_if al)
CONTROL=$LAB_DIR/gw.control
P=2001:db8:aaaa::

lab_world
lab_house alice 91
lab_keys gw alice bob
UPLINK='' lab_gateway_conf gw "$GW" "Prefix = $P/64"
lab_tenant gw alice "${P}a1/128, 203.0.113.1/32"
lab_tenant gw bob "${P}b0/128, 203.0.113.2/32"
need "the gateway starts" lab_gateway gw vps "$GW"
need "the files are read" lab_wait_peer "$GW" "${PUB[bob]}"
lab_route internet $P/64 via $VPS6
lab_route vps $P/64 dev "$GW"
lab_route vps 203.0.113.0/24 dev "$GW"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" "${P}a1/128,203.0.113.1/32"
need "alice is there" lab_reaches alice $WORLD6
check "and reached" lab_ping internet ${P}a1

# told WHAT ADDRESS: one answer to one packet, and who sent it.
told()
{
	local out

	out=$(lab_in internet ping -n -c 1 -W 2 "$2" 2>&1 || :)
	check "$1: told" has "$out" 'Destination .*[Uu]nreachable|No route'
	lab_say "              $(grep -iE 'unreachable|no route' <<<"$out" | head -n 1)"
}

told "nobody, IPv6" ${P}dead
told "nobody, IPv4" 203.0.113.99
told "never called, IPv6" ${P}b0
told "never called, IPv4" 203.0.113.2
check "counted for bob" lab_drops_at_least "$CONTROL" bob no-endpoint 2
check "TCP fails at once" at_most "$(
	t0=$(lab_us)
	lab_in internet timeout 10 bash -c "exec 3<>/dev/tcp/${P}dead/80" 2>/dev/null || :
	lab_ms_since "$t0")" $((3000 * LAB_SLOW))
lab_route alice $P/64 dev "$ALICE"
check "a tenant is told as well" has "$(lab_in alice ping -n -c 1 -W 2 ${P}dead 2>&1)" \
	'Destination .*[Uu]nreachable|No route'

# A flood is not answered with a flood.
lab_in internet ping -n -q -c 1000 -i 0.001 -W 1 ${P}dead >"$LAB_DIR/flood.out" 2>&1 || :
errors=$(sed -nE 's/.*\+([0-9]+) errors.*/\1/p' "$LAB_DIR/flood.out")
lab_say "              1000 packets, ${errors:-0} answers"
check "a flood is answered now and then" at_least "${errors:-0}" 1
check "but not each time" at_most "${errors:-0}" 500
check "alice never noticed" lab_ping internet ${P}a1 10
