#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Floods of every kind, 50,000 packets a second for half a second each, while one tenant transfers.
# Of each: the transfer goes on, each packet is counted for its reason, nothing is logged and no
# memory is held for it, less comes back than came, and somebody new is let in meanwhile.
# The topology is drawn in tools/lab/floods.sh. What it costs exactly: make bench-floods.

# shellcheck source=tools/lab/floods.sh
. "$(dirname "$0")/../../tools/lab/floods.sh"
lab_begin_berth iperf3 jq

RATE=50000
MS=500
# Of what a closed port leaves, %. What is typical is in SECURITY.md.
SHARE=40
ERRORS=4000 # errors that may be sent meanwhile: 1,280 a second and worker, and 320 at once
BOB=10.47.0.2
closed=0 open=0 back=0

need "the gateway starts" floods_world
need "alice is there" lab_reaches alice $WORLD4
lab_start world internet iperf3 -s -1 -B $WORLD4 --forceflush
lab_wait_log world 'Server listening'
lab_start upload alice iperf3 -c $WORLD4 -C cubic -t 100
carries()
{
	at_least "$(floods_carried rx)" 20000000
}
need "alice transfers" lab_wait 10 "20 MB" carries
session=$(lab_handshake "$GW" "${PUB[alice]}")
floods_flood data 4 65536 $RATE $MS $CLOSED_PORT	# the first one warms caches
memory=$(floods_memory)

# grown REASON...: sum of these counters, in after.json and not in before.json.
grown()
{
	local IFS=,

	jq -s --arg r "$*" '[($r / ",")[] as $k | (.[1][$k] // 0) - (.[0][$k] // 0)] | add' \
		"$LAB_DIR/before.json" "$LAB_DIR/after.json"
}

# measured KIND FAMILY SOURCES PORT: floods; Mbit/s of alice meanwhile.
measured()
{
	local t0 before

	before=$(floods_carried rx) t0=$(lab_us)
	floods_flood "$1" "$2" "$3" $RATE $MS "$4"
	echo $((($(floods_carried rx) - before) * 8 / ($(lab_us) - t0)))
}

# goes_on KIND FAMILY SOURCES: beside a flood that has just been, open and closed say how well.
# Who else uses this machine may have used it then: so three times more, if need be.
goes_on()
{
	local again

	for again in 1 2 3; do
		[ "$open" -lt $((closed * SHARE / 100)) ] || break
		echo "$open beside it, $closed beside a closed port: once more ($again)"
		closed=$(measured data 4 65536 $CLOSED_PORT)
		open=$(measured "$@" $PORT)
	done
	at_least "$open" $((closed * SHARE / 100))
}

# flood KIND FAMILY SOURCES [REASON...]: at least one packet of ten has the first reason, and
# all have one of them, or came when there was no time for them.
n=0
flood()
{
	local kind=$1 family=$2 sources=$3 what="$1, IPv$2, $3 sources" sent bytes lines

	shift 3
	[ $((n++ % 4)) -ne 0 ] || closed=$(measured data 4 65536 $CLOSED_PORT)
	floods_counts >"$LAB_DIR/before.json"
	back=$(floods_replied) lines=$(wc -l <"$(lab_log gw)")
	lab_start "new$n" bob "$FLOODS_BENCH/scale" meet "$(lab_ns bob)" $BOB $VPS4 "${PUB[gw]}" $n $n
	open=$(measured "$kind" "$family" "$sources" $PORT)
	floods_counts >"$LAB_DIR/after.json"
	sent=$(jq .sent "$LAB_DIR/$kind.json") bytes=$(jq .bytes "$LAB_DIR/$kind.json")
	back=$(($(floods_replied) - back))
	lab_say "$what: $sent sent, $back B came back; $open Mbit/s beside it, $closed" \
		"beside a closed port"
	if [ $# -gt 0 ]; then
		check "$what: dropped as $1" at_least "$(grown "$1")" $((sent / 10))
		check "$what: all are accounted for" at_least \
			"$(grown "$@" overload socket-full tun-full)" $((sent * 98 / 100))
	fi
	check "$what: no more comes back than came" at_most "$back" "$bytes"
	check "$what: the log is silent" at_most \
		$(($(wc -l <"$(lab_log gw)") - lines)) $((10 * MS / 1000))
	lab_join "new$n" 10 || :
	check "$what: a tenant is let in" is "$(cat "$(lab_log "new$n")")" 1
	check "$what: the transfer goes on" goes_on "$kind" "$family" "$sources"
}

flood bad-mac1 4 65536 bad-mac1
flood bad-mac1 6 1 bad-mac1
flood response 4 65536 unknown-index under-load
flood cookie 4 1 unknown-index
flood cookie-live 4 1 source-rate bad-cookie unknown-index handshake-queue-full
flood data 6 65536 unknown-index
flood data-live 4 1 bad-tag
flood malformed 4 65536 malformed
flood fragment 4 65536
flood fragment 6 65536
flood unknown 4 65536 no-tenant
flood unknown 6 65536 no-tenant
check "errors go back to few" at_most "$back" $((ERRORS * 200))

# The kernel holds 1,024 neighbours; who makes more of them up must not push its router out.
neighbors()
{
	lab_ip vps "-$1" neighbor show dev eth0 | wc -l
}

lab_route internet $ALICE4/32 dev cable
lab_start asker internet "$FLOODS_BENCH/asker" "$(lab_ns internet)" cable "$VPS_MAC" \
	$FLOODS_CROWD 200 $((2 * MS)) multicast
flood ns 6 65536
check "ns: the kernel hears few of them" at_most "$(neighbors 6)" 700
lab_join asker 10
check "ns: neighbours are answered meanwhile" at_least "$(jq .share "$(lab_log asker)")" 0.9
lab_ip internet neighbor flush dev cable
lab_start arping internet ping -n -c 1 -W 3 $ALICE4
flood arp 4 65536
check "arp: the kernel hears few of them" at_most "$(neighbors 4)" 700
check "arp: a neighbour is answered meanwhile" lab_join arping 5
lab_ip internet route delete $ALICE4/32 dev cable

flood garbage 4 65536 under-load bad-handshake handshake-queue-full
flood garbage 6 1 under-load bad-handshake handshake-queue-full
flood stranger 6 65536 under-load unknown-peer handshake-queue-full
flood replay 4 1 under-load replayed-initiation handshake-queue-full

check "alice's session is the same" is "$(lab_handshake "$GW" "${PUB[alice]}")" "$session"
grown=$(($(floods_memory) - memory))
lab_say "              $grown KiB more after $n floods"
check "memory is bounded" at_most "$grown" 8192
lab_stop upload
lab_stop world

# ---- with the protocol's own patience ------------------------------------------------

# An initiation is answered by a cookie, the next one, five seconds later, brings it along.
lab_start flood internet "$FLOODS_BENCH/flood" garbage -n "$(lab_ns internet)" -i cable \
	-v "$VPS_MAC" -a $VPS4 -k "${PUB[gw]}" -s 65536 -r $RATE -m 30000
under_load()
{
	floods_counts >"$LAB_DIR/after.json"
	[ "$(grown under-load)" -gt $((RATE / 2)) ]
}
floods_counts >"$LAB_DIR/before.json"
need "cookies are asked for" lab_wait 10 "load" under_load
wg set "$ALICE" peer "${PUB[gw]}" remove
floods_tenant
t0=$(lab_us)
check "a tenant who begins anew is let in" lab_reaches alice $WORLD4 17
lab_say "              after $(lab_ms_since "$t0") ms"
check "while the flood lasts" lab_alive flood
check "by a new handshake" not is "$(lab_handshake "$GW" "${PUB[alice]}")" "$session"
lab_stop flood
