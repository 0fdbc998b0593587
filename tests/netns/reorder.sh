#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One flow is never reordered: two workers at either end, eight flows at once, in
# one direction and in both (replies decide which queue the kernel gives a flow
# to), as fast as it goes and slower. UDP is counted by its numbers, TCP by
# what the kernels' own stacks have noticed.
#
#   internet ------------ vps              gateway, forwards
#        +--- home        berthd, two workers
#             berthd, two workers; its tunnel is wg0 in box
#
#   internet <---> box, 203.0.113.40

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth iperf3
UDPBLAST=$(dirname "$BERTHD")/bench/udpblast
[ -x "$UDPBLAST" ] || lab_die "$UDPBLAST is not there: make check-net"

GW=$(lab_if gw)
BOX=203.0.113.40
MS=2000
[ -z "${QUICK:-}" ] || MS=500

lab_world
lab_house home 31
lab_netns box
lab_keys gw box
lab_gateway_conf gw "$GW" "Workers = 2"
lab_tenant gw box $BOX/32
lab_home_conf home "Workers = 2"
lab_tunnel home box $BOX/32 "$(lab_endpoint 4)" '[Container]' "Netns = $(lab_ns box)" 'Name = wg0'
need "the gateway starts" lab_gateway gw vps "$GW"
need "home starts" lab_router home home "$LAB_DIR/home.control"
need "box is reached" lab_reaches internet $BOX
lab_steer internet vps home box

# How often TCP in NS found its segments out of order, whatever made it notice.
tcp_reorderings()
{
	# shellcheck disable=SC2016 # the fields are awk's
	lab_in "$1" awk '$1 == "TcpExt:" && !n { n = split($0, name); next }
		$1 == "TcpExt:" { for (i = 2; i <= NF; i++)
			if (name[i] ~ /^TCP(SACK|Reno|TS)Reorder$/) sum += $i }
		END { print sum + 0 }' /proc/net/netstat
}

# blast "what" [words of udpblast]: from internet to box.
blast()
{
	local what=$1

	shift
	need "$what" blast_to_file -f 8 -t $MS "$@"
	lab_say "              $(jq -r '"\(.received) of \(.sent) packets arrived"' \
		"$LAB_DIR/blast.json")"
	check "$what: packets arrived" at_least "$(jq .received "$LAB_DIR/blast.json")" 100
	check "$what: none out of order" is "$(jq .reordered "$LAB_DIR/blast.json")" 0
}

blast_to_file()
{
	"$UDPBLAST" "$@" "$(lab_ns internet)" $WORLD4 "$(lab_ns box)" $BOX >"$LAB_DIR/blast.json"
}

for rate in 4000 20000 300000; do
	blast "UDP, $rate packets/s" -s 600 -r $rate
	blast "UDP, $rate packets/s in both directions" -s 600 -d -r $rate
	blast "UDP of mixed sizes, $rate packets/s in both directions" -s imix -d -r $rate
done

for words in '' -R --bidir; do
	# shellcheck disable=SC2086 # none, or one
	check "TCP, eight streams $words" lab_iperf box $WORLD4 $((1 + MS / 1000)) -P 8 $words
done
for ns in internet box; do
	check "TCP in $ns saw nothing out of order" is "$(tcp_reorderings $ns)" 0
done
