#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The same packets into berthd and into wireguard-go, and the same comes of them: which are
# accepted, dropped, answered. tests/differential plays the peer of both, in thousands of
# generated cases; it knows where the two differ, and who is right (known.c).
#
#   ours                        theirs                  each by itself, over its loopback
#   berthd -f IF                wireguard-go -f IF      the same keys and peers, by `wg setconf`
#   differential plays peers    differential plays peers
#
# CASES=n so many, SEED=n others; `make check-differential` is the long form. One case alone, and
# what it sends and gets:
#	ARGS='-c NUMBER' SEED=n make check-net ONLY=differential

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go taskset
PLAY=$(dirname "$BERTHD")/tests/differential/differential
[ -x "$PLAY" ] || lab_die "$PLAY is not there: make check-net makes it"

A=$(lab_if da) B=$(lab_if db)
SEED=${SEED:-1}
[ -z "${QUICK:-}" ] || CASES=${CASES:-600}
read -ra args <<<"${ARGS:-}"

# setup NS IF: what the target has in common with the other.
setup()
{
	check "$1: keys and peers" wg setconf "$2" "$LAB_DIR/wg.conf"
	lab_ip "$1" link set "$2" mtu 1420 up
}

lab_netns ours theirs
# Nothing but what is tried may come out of the tunnel, and no address is needed for it.
lab_sysctl ours net/ipv6/conf/default/disable_ipv6=1
lab_sysctl theirs net/ipv6/conf/default/disable_ipv6=1
# With one processor each they decide in the order in which they receive, which is what
# makes a known packet the sign that all before it have been decided.
cpus=$(taskset -pc $$ | sed 's/.*: //')
taskset -pc "${cpus%%[,-]*}" $$ >/dev/null
need "berthd starts" lab_dropin ours ours "$A"
taskset -pc "${cpus##*[,-]}" $$ >/dev/null
need "wireguard-go starts" lab_wggo theirs theirs "$B"
taskset -pc "$cpus" $$ >/dev/null
(umask 077 && "$PLAY" config >"$LAB_DIR/wg.conf")
setup ours "$A"
setup theirs "$B"
lab_start play ours "$PLAY" -s "$SEED" -n "${CASES:-3000}" -p "$LAB_SLOW" "${args[@]}" play \
	"$(lab_ns ours)" "$A" "$(lab_ns theirs)" "$B"
check "every case of seed $SEED is as the paper has it, or a known difference" \
	lab_join play "${LIMIT:-100}"
lab_say "$(cat "$(lab_log play)")"

check "an IPv6 payload length of 65,496 is dropped" "$PLAY" wrap "$(lab_ns ours)" "$A"
check "wireguard-go ends by it: when not, known.c and this line have become false" \
	not "$PLAY" wrap "$(lab_ns theirs)" "$B"
check "by a panic" lab_wait_log theirs 'index out of range'
