#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A new key after 120 s of traffic (paper §6.1), on the real clock, and not one
# packet lost over it. Both roles: the side that initiated the session renews it.
# Clock: 150
# Limit: 240
#
#   vps ------- internet ---+--- alice   wireguard-go, initiates
#  berthd                   +--- bob     wireguard-go, berthd initiates

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) ALICE=$(lab_if al) BOB=$(lab_if bo)
# Waits here are for the protocol's own clock, which no sanitizer slows.
LAB_SLOW=1

lab_world
lab_house alice 41
lab_house bob 42
lab_keys gw alice bob
lab_gateway_conf gw "$GW"
lab_tenant gw alice ${PREFIX6}a1/128
lab_tenant gw bob ${PREFIX6}b0/128 "Endpoint = 10.42.0.2:777"
need "the gateway starts" lab_gateway gw vps "$GW"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}a1/128
lab_wggo bob bob "$BOB"
wg set "$BOB" private-key "$LAB_DIR/bob.key" listen-port 777 \
	peer "${PUB[gw]}" allowed-ips ::/0
lab_tunnel_up bob "$BOB" ${PREFIX6}b0/128

need "alice calls the gateway" lab_reaches alice $WORLD6
need "the gateway calls bob" lab_reaches internet ${PREFIX6}b0
first_a=$(lab_handshake "$GW" "${PUB[alice]}")
first_b=$(lab_handshake "$GW" "${PUB[bob]}")

# 20 packets a second each way, and on for ten seconds under the new keys: a key that is not
# there in time, or an old one that goes too early, loses some of them.
lab_start ping-a alice ping -n -i 0.05 $WORLD6
lab_start ping-b internet ping -n -i 0.05 ${PREFIX6}b0

has_answered()
{
	[ "$(lab_since "$1" | grep -c 'bytes from')" -ge 200 ]
}

renewed()
{
	[ "$(lab_handshake "$GW" "$1")" -gt "$2" ]
}

check "alice's key is renewed" lab_wait 130 "a new handshake" renewed "${PUB[alice]}" "$first_a"
age_a=$(($(lab_handshake "$GW" "${PUB[alice]}") - first_a))
check "bob's key is renewed" lab_wait 20 "a new handshake" renewed "${PUB[bob]}" "$first_b"
age_b=$(($(lab_handshake "$GW" "${PUB[bob]}") - first_b))
check "alice's at 120 s, not before" at_least $age_a 119
check "bob's at 120 s, not before" at_least $age_b 119
check "alice's at 120 s, not much later" at_most $age_a 127
check "bob's at 120 s, not much later" at_most $age_b 127
lab_mark ping-a
lab_mark ping-b
check "alice's goes on" lab_wait 40 "200 answers" has_answered ping-a
check "bob's goes on" lab_wait 40 "200 answers" has_answered ping-b
lab_stop ping-a INT
lab_stop ping-b INT
check "alice lost nothing" lab_no_gap ping-a
check "bob lost nothing" lab_no_gap ping-b
check "once each, no storm of handshakes" at_most \
	"$(($(lab_handshake "$GW" "${PUB[alice]}") - first_a))" 127
