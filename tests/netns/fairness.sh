#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One tenant takes all it can get, by 64 streams and by floods of small packets, up and
# down, and the other one has its share. The gateway has one worker: both are at home there.
#
#   internet ------- vps        gateway, one worker
#      +--- fat                 berthd -f IF
#      +--- thin                berthd -f IF

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth iperf3 jq taskset
UDPBLAST=$(dirname "$BERTHD")/bench/udpblast
[ -x "$UDPBLAST" ] || lab_die "$UDPBLAST is not there: make check-net"

GW=$(lab_if gw)
# Addresses whose hashes differ: two of one hash share a ring (tun/steer.h).
FAT=203.0.113.61 THIN=203.0.113.62
# The thin one's partner: udpblast has ports of its own for each address.
WORLD_THIN=198.18.0.3
SECONDS_EACH=3

lab_world
lab_addr internet lo $WORLD_THIN/32
lab_keys gw fat thin
lab_gateway_conf gw "$GW" "Workers = 1"
lab_tenant gw fat $FAT/32
lab_tenant gw thin $THIN/32
need "the gateway starts" lab_gateway gw vps "$GW"
for tenant in fat:61:$FAT thin:62:$THIN; do
	IFS=: read -r who n address <<<"$tenant"
	dev=$(lab_if "t$n")
	lab_house "$who" "$n"
	lab_dropin "$who" "$who" "$dev"
	wg set "$dev" private-key "$LAB_DIR/$who.key" peer "${PUB[gw]}" \
		endpoint "$(lab_endpoint 4)" allowed-ips 0.0.0.0/0
	lab_tunnel_up "$who" "$dev" "$address/32"
	lab_route "$who" $WORLD_THIN/32 dev "$dev"
	need "$who: reaches the world" lab_reaches "$who" $WORLD4
done

# start_streams NAME NS ADDRESS SECONDS [words]: iperf3 from internet to NS.
start_streams()
{
	local name=$1 ns=$2 address=$3 seconds=$4

	shift 4
	lab_start "$name-server" "$ns" iperf3 -s -1 -B "$address" --forceflush
	lab_wait_log "$name-server" 'Server listening' >&2
	lab_start "$name" internet iperf3 -J -B $WORLD4 -c "$address" -t "$seconds" "$@"
}

end_streams()
{
	lab_join "$1" $((SECONDS_EACH + 15)) && lab_join "$1-server" 5
}

transferred()
{
	wg show "$GW" transfer | awk '{ sum += $2 + $3 } END { printf "%.0f\n", sum }'
}

# through WHO: bytes that the gateway has carried for it.
through()
{
	wg show "$GW" transfer | awk -v key="${PUB[$1]}" '$1 == key { printf "%.0f\n", $2 + $3 }'
}

moves()
{
	at_least "$(through "$1")" $(($2 + 1000000))
}

# streams WHAT PERCENT [words]: from the moment that both send until one has ended.
streams()
{
	local what=$1 percent=$2 fat thin share

	shift 2
	fat=$(through fat) thin=$(through thin)
	start_streams "$what-64" fat $FAT $((SECONDS_EACH + 2)) -P 64 "$@"
	need "$what: 64 streams run" lab_wait 10 "them" moves fat $((fat + 99000000))
	start_streams "$what-1" thin $THIN $SECONDS_EACH "$@"
	need "$what: one stream beside them" lab_wait 10 "it" moves thin "$thin"
	fat=$(through fat) thin=$(through thin)
	need "$what: one stream comes to its end" end_streams "$what-1"
	share=$((100 * ($(through thin) - thin) / ($(through thin) - thin + $(through fat) - fat)))
	need "$what: 64 streams come to an end" end_streams "$what-64"
	lab_say "              $share % for the one"
	check "$what: the one stream has its share" at_least $share "$percent"
}

# run_on CPUS: those who carry packets.
run_on()
{
	local who

	for who in gw fat thin; do
		taskset -apc "$1" "${lab_pid[$who]}" >>"$LAB_DIR/taskset"
	done
}

# flood WHAT FROM ADDRESS TO ADDRESS, and the same for the thin one, who sends 2,000 packets a
# second.
flood()
{
	local what=$1 fat=("$2" "$3" "$4" "$5") thin=("$6" "$7" "$8" "$9") before

	before=$(transferred)
	lab_start "$what" vps nice -n -5 "$UDPBLAST" -s 200 -f 8 -r 3000000 \
		-t $((SECONDS_EACH * 1000 + 3000)) "$(lab_ns "${fat[0]}")" "${fat[1]}" \
		"$(lab_ns "${fat[2]}")" "${fat[3]}"
	need "$what: the flood comes" lab_wait 10 "20 MB" \
		eval "at_least \"\$(transferred)\" $((before + 20000000))"
	"$UDPBLAST" -s 200 -r 2000 -t $((SECONDS_EACH * 1000)) "$(lab_ns "${thin[0]}")" \
		"${thin[1]}" "$(lab_ns "${thin[2]}")" "${thin[3]}" >"$LAB_DIR/thin.json"
	need "$what: the flood ends" lab_join "$what" 15
	lab_say "              lost: $(jq -r '.loss * 1000 | round / 10' "$(lab_log "$what")") % of the" \
		"flood, $(jq -r '.loss * 1000 | round / 10' "$LAB_DIR/thin.json") % beside it"
	check "$what: was too much" at_least "$(jq .loss "$(lab_log "$what")")" 0.05
	# Next to nothing, unless what else the machine does keeps a socket full for a while.
	check "$what: the other loses little" at_most "$(jq .loss "$LAB_DIR/thin.json")" 0.2
	check "$what: and all in its order" is "$(jq .reordered "$LAB_DIR/thin.json")" 0
}

# What makes a flood too much wherever this runs: the gateway and both homes share a processor,
# while the flood has all of them and comes first.
cpus=$(taskset -pc $$ | sed 's/.*: //')
run_on "${cpus%%[,-]*}"
flood flood-down internet $WORLD4 fat $FAT internet $WORLD_THIN thin $THIN
flood flood-up fat $FAT internet $WORLD4 thin $THIN internet $WORLD_THIN
run_on "$cpus"
streams download 25
streams upload 25 -R
