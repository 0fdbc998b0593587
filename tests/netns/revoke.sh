#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A tenant is revoked while it sends and is sent to at full rate: nothing more
# passes, nobody answers for its address, its route and its keys are gone, and
# 1,000 others lose nothing.
#
#   internet ------------- vps ------- (tunnels) crowd
#   sends to all of them   berthd      1,001 tenants behind two sockets
#   cable: asks for number 1           (build/bench/revoke plays both ends)

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth jq
REVOKE=$(dirname "$BERTHD")/bench/revoke
[ -x "$REVOKE" ] || lab_die "$REVOKE is not there: make check-net makes it"

GW=$(lab_if gw)
D=$LAB_DIR/gw.d
N=1001
LIMIT=$((100 * LAB_SLOW))	# ms from unlink() to the last packet
[ -z "${QUICK:-}" ] || N=101

# status FIELD: of the gateway.
status()
{
	lab_control "$LAB_DIR/gw.control" '{"do":"status"}' | jq ".status.$1"
}

has_peers()
{
	[ "$(status peers)" = "$1" ]
}

has_connected()
{
	[ "$(status connected)" = "$1" ]
}

has_monitor()
{
	lab_ip vps route add unreachable 198.51.100.99
	lab_ip vps route del unreachable 198.51.100.99
	lab_logged routes 198.51.100.99
}

# Packets that the kernel dropped between namespaces, of all that go on here.
backlog_drops()
{
	local dropped n=0

	while read -r _ dropped _; do
		n=$((n + 16#$dropped))
	done </proc/net/softnet_stat
	echo $n
}

# got FIELD: of what the run has printed.
got()
{
	jq -r ".$1" "$LAB_DIR/result.json"
}

# The milliseconds from unlink() to the withdrawal of the route to $1.
route_gone_ms()
{
	local at

	at=$(sed -nE "s/^\\[(.*)\\] *Deleted $1 .*/\\1/p" "$(lab_log routes)" | tail -n 1)
	[ -n "$at" ] || return 1
	awk -v a="$(date -d "$at" +%s.%N)" -v b="$(got unlinked)" 'BEGIN { printf "%.3f\n", (a - b) * 1000 }'
}

lab_world
lab_house crowd 71
lab_keys gw
lab_gateway_conf gw "$GW" "Prefix = 10.8.0.0/16"
lab_route internet 10.8.0.0/16 via $VPS4
# What has no tenant goes nowhere, lest it go to and fro on the cable.
lab_ip vps route add blackhole 10.8.0.0/16
(umask 077 && wg genpsk >"$LAB_DIR/psk")
umask 077
"$REVOKE" files $N "$D" "$LAB_DIR/psk"
need "the gateway starts" lab_gateway gw vps "$GW"
need "it has all tenants" lab_wait 10 "$N tenants" has_peers $N
lab_ip vps link set "$GW" txqueuelen 10000

lab_start routes vps ip -ts monitor route
lab_wait 5 "the monitor" has_monitor
dropped=$(backlog_drops)
lab_start players crowd "$REVOKE" run $N $LIMIT "$(lab_ns crowd)" 10.71.0.2 $VPS4 "${PUB[gw]}" \
	"$(lab_ns internet)" $WORLD4 cable "${lab_pid[gw]}" "$LAB_DIR/psk" "$D/t00001.conf"
need "both ends have played" lab_join players $((60 * LAB_SLOW))
dropped=$(($(backlog_drops) - dropped))
tail -n 1 "$(lab_log players)" >"$LAB_DIR/result.json"
lab_say "              $(jq -c 'del(.secrets)' "$LAB_DIR/result.json")"

# ---- not one packet more ------------------------------------------------------------

for way in up down neighbor; do
	check "$way: was in full flight" at_least "$(got $way.before_per_s)" \
		"$([ $way = neighbor ] && echo 20 || echo $((5000 / LAB_SLOW)))"
	check "$way: ended by the deletion, in time" at_most "$(got $way.last_ms)" $LIMIT
	check "$way: and not before it" at_least "$(got $way.last_ms)" -$LIMIT
	check "$way: nobody had stopped trying" at_least "$(got $way.sent_after)" 50
done
check "the log says so" lab_wait_log gw 'tenant t00001: revoked'
check "the tenant is gone" is "$(status peers)" $((N - 1))
check "and its session" lab_wait 5 "the others only" has_connected $((N - 1))
for to in 10.8.0.1 ${PREFIX6}a1; do
	check "the route to $to is withdrawn, in time" at_most "$(route_gone_ms "$to")" $LIMIT
	check "and stays so" is "$(lab_ip vps route show "$to")" ""
done

# ---- nobody else has noticed --------------------------------------------------------

# What the kernel's queue between two namespaces had no room for was no loss of ours.
check "the others lost nothing, up" at_most "$(got others.lost_up)" $dropped
check "the others lost nothing, down" at_most "$(got others.lost_down)" $dropped
check "and they have spoken" at_least "$(got others.sent)" $N

# ---- no key is left anywhere in the process -----------------------------------------

secret()
{
	jq -r --arg n "$1" ".secrets[] | select(.name == \$n) | .$2" "$LAB_DIR/result.json"
}

for name in send receive static_static preshared; do
	check "$name: a look into the process finds it while it is in use" \
		at_least "$(secret $name before)" 1
done
for name in send receive static_static es ee se chain_first chain_second; do
	check "$name: nowhere but in locked memory" is "$(secret $name unlocked)" 0
done

check "what only handshakes need is gone when they are over" is "$(jq '[.secrets[]
	| select(.name | test("^(es|ee|se|chain_.*)$")) | .before] | add' "$LAB_DIR/result.json")" 0
for name in $(jq -r '.secrets[].name' "$LAB_DIR/result.json"); do
	check "$name: nowhere after the revocation" is \
		"$(secret "$name" after) $(secret "$name" left_in)" "0 "
done
check "wiped in time" at_most "$(got looked_ms)" $((LIMIT + 100 * LAB_SLOW))
own=$("$REVOKE" look "${lab_pid[gw]}" "$LAB_DIR/gw.key")
lab_say "              our private key: $own"
check "our own private key: is where it is used" at_least "$(jq .places <<<"$own")" 1
check "our own private key: nowhere but in locked memory" is "$(jq .unlocked <<<"$own")" 0
check "our own private key: nowhere as it is written" is "$(jq .as_text <<<"$own")" 0
