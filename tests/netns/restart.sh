#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Either side dies and comes back; traffic returns by itself.
#
#   vps ------- internet ---+--- alice   wireguard-go
#  berthd                   +--- bob     berthd -c, wg0 in box

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) ALICE=$(lab_if al)

start_alice()
{
	lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" \
		${PREFIX6}a1/128 persistent-keepalive 1
}

start_bob()
{
	lab_router bob bob "$LAB_DIR/bob.control"
}

lab_world
lab_house alice 31
lab_house bob 32
lab_netns box
lab_keys gw aaron alice bob
lab_gateway_conf gw "$GW"
lab_tenant gw alice ${PREFIX6}a1/128
lab_tenant gw bob ${PREFIX6}b0/128
lab_home_conf bob
KEEPALIVE=1 lab_tunnel bob bob ${PREFIX6}b0/128 "$(lab_endpoint 6)" \
	'[Container]' "Netns = $(lab_ns box)" 'Name = wg0'
need "the gateway starts" lab_gateway gw vps "$GW"
start_alice
need "bob starts" start_bob
need "alice is there" lab_reaches internet ${PREFIX6}a1
# First by name, but not the first who came: alice keeps her address, restart or not.
lab_tenant gw aaron ${PREFIX6}a1/128
check "aaron asks for alice's address: refused" lab_wait_log gw \
	'aaron.conf:[0-9]+: .* is already in .*/alice.conf'
need "bob is there" lab_reaches internet ${PREFIX6}b0
# A tenant notices a restarted gateway by what it does not answer (paper §6.2).
lab_start alice-ping alice ping -n -q -i 0.2 $WORLD6
lab_start bob-ping box ping -n -q -i 0.2 $WORLD6

for signal in TERM KILL; do
	lab_stop gw $signal
	[ $signal = KILL ] || check "the gateway ends with status 0" is "$LAB_STATUS" 0
	check "SIG$signal: the gateway starts again" lab_gateway gw vps "$GW"
	t0=$(lab_us)
	check "SIG$signal: alice is back" lab_reaches internet ${PREFIX6}a1 30
	check "SIG$signal: bob is back" lab_reaches internet ${PREFIX6}b0 30
	lab_say "              after $(lab_ms_since "$t0") ms"
	check "SIG$signal: aaron is refused again" lab_wait_log gw \
		'aaron.conf:[0-9]+: .* is already in .*/alice.conf'
	check "SIG$signal: and stay" lab_ping internet ${PREFIX6}a1 5
done

lab_stop alice-ping
lab_stop bob-ping
lab_stop alice
check "alice's wireguard-go gone: silent" lab_silent internet ${PREFIX6}a1
start_alice
check "alice's wireguard-go is back" lab_reaches internet ${PREFIX6}a1 30

for signal in TERM KILL; do
	lab_stop bob $signal
	[ $signal = KILL ] || check "bob ends with status 0" is "$LAB_STATUS" 0
	check "bob, SIG$signal: his container has no tunnel" not lab_ip box link show wg0
	check "bob starts again after SIG$signal" start_bob
	check "bob is back after SIG$signal" lab_reaches internet ${PREFIX6}b0 30
done
check "alice was there all the time" lab_ping internet ${PREFIX6}a1 5
