#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A tenant expires while it sends and is sent to: at its second nothing passes any more, its
# route is withdrawn, and the other one loses nothing. A later date brings it back with what was
# counted of it.
#
#   internet ---- vps -----+- alice   wireguard-go, expires
#                 berthd   +- bob     wireguard-go

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go jq

GW=$(lab_if gw) ALICE=$(lab_if al) BOB=$(lab_if bo)
CONTROL=$LAB_DIR/gw.control

state_of()
{
	lab_control "$CONTROL" "{\"do\":\"show\",\"name\":\"$1\"}" | jq -r '.tenant.state'
}

# alice_until DATE
alice_until()
{
	lab_tenant gw alice ${PREFIX6}41/128 '[Tenant]' "Expires = $1"
}

# "12:34:56.789" of the log line, as seconds of the day.
seconds_of_log()
{
	sed -nE "s/^([0-9:.]+) .*$1.*/\1/p" "$(lab_log gw)" | tail -n 1 |
		awk -F: '{ print $1 * 3600 + $2 * 60 + $3 }'
}

lab_world
lab_house alice 41
lab_house bob 42
lab_keys gw alice bob
lab_gateway_conf gw "$GW"
lab_tenant gw bob ${PREFIX6}42/128
alice_until 2099-12-31
need "the gateway starts" lab_gateway gw vps "$GW"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}41/128
lab_wggo_tenant bob bob "$BOB" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}42/128
need "alice speaks" lab_reaches alice $WORLD6
need "bob speaks" lab_reaches bob $WORLD6
check "berth show says until when" has "$("$BERTH" show alice --control "$CONTROL")" \
	'expires +2099-12-31T00:00:00Z'

for who in alice bob; do
	lab_start "ping-$who" $who ping -n -D -O -i 0.05 $WORLD6
	lab_wait_log "ping-$who" 'icmp_seq=5 '
done
at=$(($(date +%s) + 2 * LAB_SLOW))
alice_until "$(date -u -d "@$at" +%Y-%m-%dT%H:%M:%SZ)"
need "alice is revoked" lab_wait 20 "her revocation" lab_logged gw 'tenant alice: revoked: it has expired'
last=$(sed -nE 's/^\[([0-9.]+)\].*bytes from.*/\1/p' "$(lab_log ping-alice)" | tail -n 1)
now=$(date +%s.%N)
check "not before its second" at_least "$now" "$at"
check "she had answers until then" at_least "$last" $((at - 1))
check "and none behind it" at_most "$last" "$at.1"
late=$(awk -v a="$(seconds_of_log 'tenant alice: revoked')" -v b="$(date -d "@$at" +%H:%M:%S |
	awk -F: '{ print $1 * 3600 + $2 * 60 + $3 }')" 'BEGIN { printf "%.3f", a - b }')
check "within a tenth of a second" at_most "$late" "0.$LAB_SLOW"
check "her peer is gone" not lab_has_peer "$GW" "${PUB[alice]}"
check "her route, too" is "$(lab_ip vps route show ${PREFIX6}41)" ""
check "berth show says so" has "$("$BERTH" show alice --control "$CONTROL")" 'alice +expired'
check "berth list as well" has "$("$BERTH" list --control "$CONTROL")" 'alice +expired'
check "berth status counts it" is \
	"$(lab_control "$CONTROL" '{"do":"status"}' | jq .status.expired)" 1
check "berthd -n names file and line" has "$("$BERTHD" -n -c "$LAB_DIR/gw.conf" || :)" \
	'gw\.d/alice\.conf:5: Expires: .* has passed: the tenant is revoked'
lab_stop ping-alice
lab_stop ping-bob INT
check "bob has lost nothing" has "$(tail -n 3 "$(lab_log ping-bob)")" ' 0% packet loss'

# A restart with the date in the past, and a later one.
lab_stop gw KILL
lab_mark gw
need "the gateway starts again" lab_gateway gw vps "$GW"
need "a past date is an error line" lab_wait 5 "it" lab_logged gw \
	'gw\.d/alice\.conf:5: Expires: .* has passed: the tenant is revoked'
check "and a tenant that is not there" not lab_has_peer "$GW" "${PUB[alice]}"
check "which has expired" is "$(state_of alice)" expired
alice_until 2099-12-31
need "a later date brings her back" lab_wait_peer "$GW" "${PUB[alice]}"
check "with what was counted of her" at_least "$(lab_transfer "$GW" "${PUB[alice]}" rx)" 1000
check "and she is heard" lab_reaches alice $WORLD6 20
