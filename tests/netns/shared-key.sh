#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A key in use from two places: wireguard-go in one house and our own program in another
# have the same. It is noticed and said, and with OnSharedKey = quarantine nothing passes
# any more until `berth release`, a restart in between included. Who moves with all he has
# is never taken for two.
# Limit: 240
#
#   internet ---------- vps            one       wireguard-go  \ the same key
#                      berthd          two       berthd -f     /
#                                      roamer    wireguard-go, changes its port all the time

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) ONE=$(lab_if on) TWO=$(lab_if tw) ROAMER=$(lab_if ro)
CONTROL=$LAB_DIR/gw.control

lab_world
lab_house one 61
lab_house two 62
lab_house roamer 63
lab_keys gw shared roamer new
lab_gateway_conf gw "$GW"
lab_tenant gw shared ${PREFIX6}5a/128
lab_tenant gw roamer ${PREFIX6}63/128 '[Tenant]' 'OnSharedKey = quarantine'
need "the gateway starts" lab_gateway gw vps "$GW"
need "the files are read" lab_wait_peer "$GW" "${PUB[roamer]}"

field()
{
	lab_control "$CONTROL" "{\"do\":\"show\",\"name\":\"$1\"}" | jq -r ".tenant.$2 // 0"
}

field_is()
{
	is "$(field "$1" "$2")" "$3"
}

lab_last_is_held()
{
	grep -h 'name=shared ' "$LAB_DIR/gw.state"/tenants.journal | tail -n 1 | grep -q held=1
}

# Both send a packet ten times a second, and are answered as long as they have the last word.
speak()
{
	lab_start "ping-$1" "$1" ping -q -i 0.1 $WORLD6
}

lab_wggo_tenant roamer roamer "$ROAMER" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}63/128 \
	persistent-keepalive 1
need "the roamer is there" lab_reaches roamer $WORLD6

lab_wggo one one "$ONE"
lab_dropin two two "$TWO"
for who in "one $ONE" "two $TWO"; do
	read -r ns dev <<<"$who"
	wg set "$dev" private-key "$LAB_DIR/shared.key" peer "${PUB[gw]}" \
		endpoint "$(lab_endpoint 4)" allowed-ips ::/0
	lab_tunnel_up "$ns" "$dev" ${PREFIX6}5a/128
	speak "$ns"
done

# Meanwhile the roamer takes its session from port to port, back and forth.
lab_start wander vps bash -c "while :; do
	for port in 1111 2222; do wg set $ROAMER listen-port \$port; sleep 1.2; done; done"

need "it is noticed" lab_wait 100 "the count" field_is shared shared_key 1
check "and said, with both places" lab_wait_log gw \
	'shared: its key is in use from two places, 10\.6[12]\.0\.2:[0-9]+ and 10\.6[12]\.0\.2:[0-9]+: give'
check "but no more than that" not field_is shared state quarantined
check "berth show says it" has "$("$BERTH" show shared --control "$CONTROL")" \
	'shared key +in use from two places, 10\..* and 10\..*, noticed 1 time$'

# Held.
lab_tenant gw shared ${PREFIX6}5a/128 '[Tenant]' 'OnSharedKey = quarantine'
need "with OnSharedKey = quarantine it is held" lab_wait 100 "the state" \
	field_is shared state quarantined
check "said so" lab_wait_log gw 'shared: .*it is held until .berth release. names it'
lab_start watch one ping -O -i 0.2 -c 20 -W 1 $WORLD6
lab_join watch 30 || :
check "nothing passes" has "$(cat "$(lab_log watch)")" ' 0 received'
check "the world is told" has "$(lab_in internet ping -n -c 1 -W 2 ${PREFIX6}5a 2>&1)" 'nreachable'
check "counted" lab_drops_at_least "$CONTROL" shared quarantined 1
check "its route stays" has "$(lab_ip vps -6 route show ${PREFIX6}5a)" "$GW"
check "berth list says it" has "$("$BERTH" list --control "$CONTROL")" 'shared +quarantined'

# A neighbour is not answered any more.
lab_ip internet neigh flush dev cable
check "and no neighbour is answered" not lab_in internet ping -n -c 1 -W 1 ${PREFIX6}5a

check "it was not the roamer" field_is roamer shared_key 0
check "though it moved" at_least "$(field roamer endpoint_changes)" 20
lab_stop wander
check "and it never noticed" lab_reaches roamer $WORLD6

# It is written down, and survives even that the program is killed.
check "written down" lab_wait 5 "the record" grep -rq 'name=shared .*held=1' "$LAB_DIR/gw.state"
lab_stop gw KILL
need "the gateway starts again" lab_gateway gw vps "$GW"
need "the files are read" lab_wait_peer "$GW" "${PUB[shared]}"
check "held after a restart" field_is shared state quarantined

check "the roamer is not" lab_reaches roamer $WORLD6 30

# Released: one of them alone, and nobody minds.
lab_stop ping-two
lab_stop two
check "berth release" is "$("$BERTH" release shared --control "$CONTROL")" "shared is released"
check "not twice" has "$("$BERTH" release shared --control "$CONTROL" 2>&1 || :)" 'is not quarantined'
check "nobody of that name" has "$("$BERTH" release nobody --control "$CONTROL" 2>&1 || :)" \
	"there is no tenant 'nobody'"
check "the other one is there again" lab_reaches one $WORLD6 30
check "no word of it is left" lab_wait 5 "the record" \
	not lab_last_is_held
check "connected" lab_wait 5 "the state" field_is shared state connected
