#!/bin/bash
# SPDX-License-Identifier: MIT
#
# berthd without memory: at its start, where it says so and leaves nothing behind; and while it
# runs, where it goes on, and all is as the files say once there is memory again.
#
#   internet ------------- vps ------- (tunnel) alice
#                          berthd, with an allocator that refuses (tests/nomem.c)
#
# STARTS=n: so many starts, each with another allocation that fails.

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go jq nft

SO=$(dirname "$BERTHD")/tests/nomem.so
[ -r "$SO" ] || lab_die "$SO is not there: make $SO"
grep -qsE '__[at]san_init' "$BERTHD" && lab_skip "a sanitizer has an allocator of its own"
GW=$(lab_if gw) ALICE=$(lab_if al)
CONTROL=$LAB_DIR/gw.control CTL=$LAB_DIR/nomem.ctl

lab_world
lab_house alice 95
lab_keys gw alice bob carol dave
lab_gateway_conf gw "$GW" "MetricsListen = 9586" "Metrics = $LAB_DIR/m.prom"
lab_tenant gw alice ${PREFIX6}a1/128
lab_tenant gw bob ${PREFIX6}b1/128

# Words of struct nomem (tests/nomem.h), 64 bit each, low byte first.
word()
{
	local i v=$1

	for i in 0 8 16 24 32 40 48 56; do
		# shellcheck disable=SC2059 # the format is what is made
		printf "\\x$(printf %02x $((v >> i & 255)))"
	done
}

# refuse ON AT EVERY: and counts from there.
refuse()
{
	{ word 0; word "$2"; word "$3"; word 0; word 0; } |
		dd of="$CTL" bs=40 conv=notrunc status=none
	word "$1" | dd of="$CTL" bs=8 conv=notrunc status=none
}

# counted FIELD: 3 calls, 4 failed.
counted()
{
	od -An -tu8 -j $((8 * $1)) -N8 "$CTL" | tr -d ' '
}

gateway()
{
	rm -f "$(lab_uapi "$GW")"
	lab_start gw vps env LD_PRELOAD="$SO" NOMEM_CTL="$CTL" "$BERTHD" -c "$LAB_DIR/gw.conf"
	lab_wait 20 "berthd to listen, or to end" lab_up_or_dead gw "$(lab_uapi "$GW")"
}

is_ready()
{
	local pid=${lab_pid[gw]}

	lab_reaped "$pid" || lab_control "$CONTROL" '{"do":"list"}' 2>/dev/null |
		jq -e '.tenants | length == 2' >/dev/null
}

nothing_is_left()
{
	lab_in vps ip -o link show "$GW" 2>/dev/null && return 1
	lab_in vps nft list ruleset | grep . && return 1
	lab_in vps ip -6 route show | grep -F "$GW" && return 1
	return 0
}

head -c 64 /dev/zero >"$CTL"

# ---- the start ------------------------------------------------------------------------

refuse 1 0 0
need "it starts with memory" gateway
need "both tenants are there" lab_wait 10 "two tenants" is_ready
total=$(counted 3)
lab_say "              $total allocations until both tenants are there"
lab_stop gw
check "and leaves nothing" nothing_is_left

was_odd()
{
	odd=$((odd + 1))
	lab_say "allocation $at: $1"
}

# Of each run: it ends by itself, not with a crash of ours, and says why; or it comes up all the
# same, and all of it, a second later perhaps. 134 is the abort() of a library; 159 the kernel's
# word for a system call that libseccomp had no memory to allow.
ended=0 aborted=0 came_up=0 silent=0 odd=0
starts=${STARTS:-20}
for ((i = 0; i < starts; i++)); do
	at=$((1 + i * total / starts)) every=$((i % 3 == 2))
	refuse 1 $at $every
	gateway || :
	[ $every = 0 ] || { sleep 0.05; refuse 0 0 0; }
	lab_wait 10 "tenants, or the end (allocation $at)" is_ready || was_odd "not ready"
	refuse 0 0 0
	if lab_alive gw && ! lab_reaped "${lab_pid[gw]}"; then
		came_up=$((came_up + 1))
		lab_stop gw
		[ "$LAB_STATUS" = 0 ] || was_odd "ended with $LAB_STATUS when it was stopped"
		nothing_is_left || was_odd "left something"
		continue
	fi
	lab_join gw 1 2>/dev/null || :
	[ -z "${STARTS:-}" ] || lab_say "$at: $LAB_STATUS: $(lab_since gw | tail -n 1)"
	case $LAB_STATUS in
	1 | 127) ended=$((ended + 1)); nothing_is_left || was_odd "left something" ;;
	134 | 159) aborted=$((aborted + 1)) ;;
	*) was_odd "ended with $LAB_STATUS" ;;
	esac
	[ -n "$(lab_since gw)" ] || { silent=$((silent + 1)); lab_say "allocation $at: $LAB_STATUS, silent"; }
done
lab_say "              $starts starts: $ended ended, $aborted aborted by a library, $came_up came up"
check "some ended with a sentence" at_least $ended 1
check "some came up all the same" at_least $came_up 1
check "none crashed, hung or left anything" is $odd 0
check "the silent ones were ended by a library" at_most $silent $aborted

# ---- while it runs ----------------------------------------------------------------------

need "it starts after all that" gateway
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}a1/128
need "alice is there" lab_reaches alice $WORLD6

names()
{
	lab_control "$CONTROL" '{"do":"list"}' | jq -r '[.tenants[].name] | sort | join(" ")'
}

names_are()
{
	[ "$(names)" = "$1" ]
}

failed=0
for every in 3 5 11 23 47; do
	refuse 1 1 $every
	lab_tenant gw carol ${PREFIX6}c1/128 "[Tenant]" "RateLimit = 10mbit" "Quota = 1GB/month"
	lab_tenant gw dave ${PREFIX6}d$every/128
	rm -f "$LAB_DIR/gw.d/bob.conf"
	kill -HUP "${lab_pid[gw]}"
	wg set "$ALICE" peer "${PUB[gw]}" remove
	wg set "$ALICE" peer "${PUB[gw]}" endpoint "$(lab_endpoint 4)" allowed-ips ::/0
	lab_in alice ping -6 -n -q -c 5 -i 0.1 -W 1 $WORLD6 >/dev/null || :
	for what in list status names; do
		lab_control "$CONTROL" "{\"do\":\"$what\"}" >/dev/null 2>&1 || :
	done
	lab_control "$CONTROL" '{"do":"show","name":"alice"}' >/dev/null 2>&1 || :
	lab_in vps timeout 3 curl -s http://127.0.0.1:9586/metrics >/dev/null 2>&1 || :
	timeout 3 wg show "$GW" dump >/dev/null 2>&1 || :
	failed=$((failed + $(counted 4)))
	refuse 0 0 0
	need "it lives, every $every" lab_alive gw
	check "all is as the files say" lab_wait 10 "alice, carol, dave" names_are "alice carol dave"
	check "alice is reached" lab_reaches alice $WORLD6 20
	lab_tenant gw bob ${PREFIX6}b1/128
	rm -f "$LAB_DIR/gw.d/carol.conf"
	check "and can be changed" lab_wait 10 "alice, bob, dave" names_are "alice bob dave"
done
lab_say "              $failed allocations failed meanwhile"
check "allocations failed" at_least $failed 50
check "it said so" lab_logged gw 'no memory|Cannot allocate'
lab_stop gw
check "it ends well" is "$LAB_STATUS" 0
check "and nothing is left" nothing_is_left
