#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What others do to the gateway's interface and routes: set it down and up,
# give it another MTU, have a route to a tenant's address already.
#
#   vps ---------- internet ---------- alice
#  berthd                              wireguard-go

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) ALICE=$(lab_if al)
A6=${PREFIX6}a1 A4=203.0.113.1 OWN=fd00:1::1

lab_world
lab_house alice 71
lab_keys gw alice bob
lab_gateway_conf gw "$GW"
sed -i "s,^ListenPort,Address = $OWN/64\n&," "$LAB_DIR/gw.conf"
lab_tenant gw alice "$A6/128, $A4/32"
need "the gateway starts" lab_gateway gw vps "$GW"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 6)" $A6/128,$A4/32 \
	persistent-keepalive 1
need "alice is reached" lab_reaches internet $A6
session=$(lab_handshake "$GW" "${PUB[alice]}")

# ---- down and up ------------------------------------------------------------------

lab_mark gw
lab_ip vps link set "$GW" down
check "down: said, and what to do" lab_wait_log gw "link set $GW up"
check "down: alice is not reached" lab_silent internet $A6
lab_ip vps link set "$GW" up
check "up: said" lab_wait_log gw 'up again'
check "up: alice is reached" lab_reaches internet $A6
check "up: IPv4 as well" lab_reaches internet $A4
check "up: the gateway has its own address" has "$(lab_ip vps address show dev "$GW")" "$OWN/64"
check "up: the session is the same" is "$(lab_handshake "$GW" "${PUB[alice]}")" "$session"

# ---- MTU --------------------------------------------------------------------------

lab_mark gw
lab_ip vps link set "$GW" mtu 1300
check "another MTU: alice is reached" lab_ping internet $A6 3 -s 1200
check "another MTU: no more than that" not lab_in internet ping -n -c1 -W1 -M "do" -s 1300 $A6
check "another MTU: nothing is said" is "$(lab_since gw)" ""

# ---- a route of somebody else ----------------------------------------------------------

lab_ip vps -6 route add ${PREFIX6}b0/128 dev lo proto static
lab_tenant gw bob ${PREFIX6}b0/128
check "another's route: said whose" lab_wait_log gw "route to ${PREFIX6}b0/128 via lo .*which is not ours, wins"
check "another's route: left alone" \
	has "$(lab_ip vps -6 route show ${PREFIX6}b0)" 'dev lo proto static'
rm "$LAB_DIR/gw.d/bob.conf"
check "bob goes" lab_wait_no_peer "$GW" "${PUB[bob]}"
check "another's route: still there" \
	has "$(lab_ip vps -6 route show ${PREFIX6}b0)" 'dev lo proto static'

# ---- the uplink goes and comes ----------------------------------------------------------

lab_mark gw
lab_ip vps link delete eth0
check "no uplink: said" lab_wait_log gw 'uplink eth0 is gone'
lab_link internet cable vps eth0
lab_addr internet cable 192.0.2.1/24 2001:db8:beef::1/64
lab_addr vps eth0 $VPS4/24 $VPS6/64
lab_route vps default via 192.0.2.1
lab_route vps default via 2001:db8:beef::1
lab_route internet 203.0.113.0/24 via $VPS4
check "uplink back: said" lab_wait_log gw 'announcing all addresses anew'
check "uplink back: alice is reached" lab_reaches internet $A6

# ---- the interface is deleted -------------------------------------------------------------

lab_mark gw
lab_ip vps link delete "$GW"
check "deleted: said, and the end" lab_wait_log gw 'interface was deleted: stopping'
check "deleted: a failure" not lab_join gw 5
