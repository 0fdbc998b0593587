#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Ten thousand files come by `cp` and go by `rm`, more than inotify can queue come
# at once, and somebody whose session was there before notices nothing.
#
#   vps ------- internet ------- alice   is pinged all the time
#  berthd

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go
SCALE=$(dirname "$BERTHD")/bench/scale
[ -x "$SCALE" ] || lab_die "$SCALE is not there: make check-net makes it"

GW=$(lab_if gw) ALICE=$(lab_if al)
D=$LAB_DIR/gw.d
A=203.0.113.1
N=10000
[ -z "${QUICK:-}" ] || N=1000
PATIENCE=$((20 * LAB_SLOW))

lab_world
lab_house alice 73
lab_keys gw alice
lab_gateway_conf gw "$GW"
lab_tenant gw alice "$A/32"
need "the gateway starts" lab_gateway gw vps "$GW"
need "alice's file is read" lab_wait_peer "$GW" "${PUB[alice]}"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" $A/32 persistent-keepalive 1
need "alice is there" lab_reaches alice $WORLD4
need "and reached" lab_reaches internet $A

tenants()
{
	lab_control "$LAB_DIR/gw.control" '{"do":"status"}' | jq .status.tenants
}

has_tenants()
{
	[ "$(tenants)" = "$1" ]
}

has_routes()
{
	[ "$(lab_ip vps -6 route show dev "$GW" proto 146 | wc -l)" = "$1" ]
}

# The tenant of that number.
is_routed()
{
	has "$(lab_ip vps -6 route get "$(printf '2001:db8:beef::1:%x' "$1")")" "dev $GW"
}

# all "what" TENANTS: the last of the files was written or deleted at t0.
all()
{
	check "$1: all of them" lab_wait $PATIENCE "$2 tenants" has_tenants "$2"
	lab_say "              $(lab_ms_since "$t0") ms after the last file"
	check "$1: and their routes" lab_wait $PATIENCE "$(($2 - 1)) routes" has_routes $(($2 - 1))
	check "$1: alice's session is the same" is "$(lab_handshake "$GW" "${PUB[alice]}")" "$session"
}

mkdir "$LAB_DIR/many"
"$SCALE" write "$LAB_DIR/many" 1 $N
session=$(lab_handshake "$GW" "${PUB[alice]}")
lab_start ping internet ping -n -i 0.02 -W 2 $A

cp "$LAB_DIR/many"/*.conf "$D/"
t0=$(lab_us)
all "cp" $((N + 1))
cp "$LAB_DIR/many"/*.conf "$D/"
t0=$(lab_us)
all "cp again" $((N + 1))
rm "$D"/t*.conf
t0=$(lab_us)
all "rm" 1
mv "$LAB_DIR/many"/*.conf "$D/"
t0=$(lab_us)
all "mv" $((N + 1))
mkdir "$LAB_DIR/other"
cp "$D/alice.conf" "$LAB_DIR/other/"
mv "$D" "$D.old"
mv "$LAB_DIR/other" "$D"
t0=$(lab_us)
all "another folder in its place" 1
lab_stop ping INT
check "in all this alice lost nothing" lab_no_gap ping

# ---- more than can be queued ---------------------------------------------------------

queue=$(cat /proc/sys/fs/inotify/max_queued_events)
if [ -z "${QUICK:-}" ] && [ "$queue" -le 20000 ]; then
	# Four events each: made, written, closed, and its mode set.
	kill -STOP "${lab_pid[gw]}"
	cp -p "$D.old"/t*.conf "$D/"
	kill -CONT "${lab_pid[gw]}"
	t0=$(lab_us)
	check "an overflow is said" lab_wait_log gw 'too many changes at once'
	check "and nobody is missed" lab_wait $PATIENCE "all tenants" has_tenants $((N + 1))
	kill -STOP "${lab_pid[gw]}"
	rm "$D"/t*.conf
	"$SCALE" write "$D" $((N + 1)) $((2 * N))
	kill -CONT "${lab_pid[gw]}"
	check "gone and come at once: the new ones are there" lab_wait $PATIENCE "the last one" \
		is_routed $((2 * N))
	check "and the old ones are not" lab_wait $PATIENCE "their number" has_tenants $((N + 1))
	check "none of them" not is_routed $N
fi
