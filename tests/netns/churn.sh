#!/bin/bash
# SPDX-License-Identifier: MIT
#
# 1,000 tenants come and go under a storm of handshakes, and the gateway's memory,
# descriptors and routes are what they were.
#
#   internet ------------- vps ------- crowd    10.71.1.*: who comes and goes
#                          berthd               10.71.2.*: the storm

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth jq
CHURN=$(dirname "$BERTHD")/bench/churn
[ -x "$CHURN" ] || lab_die "$CHURN is not there: make check-net makes it"

GW=$(lab_if gw)
D=$LAB_DIR/gw.d
CONTROL=$LAB_DIR/gw.control
STAY=100 WARM=${WARM:-300} ROUNDS=${ROUNDS:-1000}

# status FIELD: of the gateway.
status()
{
	lab_control "$CONTROL" '{"do":"status"}' | jq ".status.$1"
}

has_peers()
{
	[ "$(status peers)" = "$1" ]
}

got()
{
	jq -r ".$1" "$LAB_DIR/result.json"
}

routes()
{
	lab_ip vps route show
	lab_ip vps -6 route show | sed 's/ expires.*//'
}

lab_world
lab_house crowd 71
# Whole networks of its own.
lab_ip crowd address add 10.71.1.1/24 dev lo
lab_ip crowd address add 10.71.2.1/24 dev lo
lab_route internet 10.71.0.0/16 via 10.71.0.2
lab_keys gw
lab_gateway_conf gw "$GW" "Prefix = 10.8.0.0/16"
umask 077
"$CHURN" files $STAY "$D"
need "the gateway starts" lab_gateway gw vps "$GW"
need "it has all who stay" lab_wait 10 "$STAY tenants" has_peers $STAY
before=$(routes)
lab_start players crowd "$CHURN" run $STAY "$WARM" "$ROUNDS" "$(lab_ns crowd)" 10.71 $VPS4 \
	"${PUB[gw]}" "${lab_pid[gw]}" "$CONTROL" "$D"
need "all rounds are played" lab_join players $((90 * LAB_SLOW))
tail -n 1 "$(lab_log players)" >"$LAB_DIR/result.json"
lab_say "              $(cat "$LAB_DIR/result.json")"
check "it was a storm" at_least "$(got initiations)" 20000
check "now more than could be answered" at_least "$(got cookies)" 1000
check "now of strangers" at_least "$(status 'drops["unknown-peer"]')" 500
check "of forgers" at_least "$(status 'drops["bad-handshake"]')" 500
check "and said again" at_least "$(status 'drops["replayed-initiation"]')" 500
# Less than 100 bytes a round, and the pages of buffers for what waits (64 slots of two
# workers), which a storm may take into use at any time, once.
check "memory is where it was" at_most "$(got grown)" $((ROUNDS * 100 + 2 * 64 * 4096))
check "and so are the descriptors" is "$(got descriptors_after)" "$(got descriptors)"
check "and the routes" is "$(routes)" "$before"
check "and the tenants" is "$(status peers)" $STAY
check "who came was revoked" is "$(lab_since gw | grep -c ': revoked')" $((WARM + ROUNDS))
