#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A thousand tenants with sessions ask something now and then, and are answered, while one
# more sends more than can be carried, and twenty others come. The gateway has one worker.
# RATE=n: packets of 1,024 bytes a second of that one.
#
#   internet ------- vps     gateway, one worker
#      +--- crowd            tools/bench/malice: 10.8.0.0/16

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth jq
MALICE=$(dirname "$BERTHD")/bench/malice
[ -x "$MALICE" ] || lab_die "$MALICE is not there: make check-net makes it"

GW=$(lab_if gw)
N=1021 SECONDS_EACH=4 RATE=${RATE:-100000}
SERVED=$((N - 21)) # the flood and the newcomers take no part

lab_world
lab_house crowd 97
lab_keys gw
lab_gateway_conf gw "$GW" "Prefix = 10.8.0.0/16" "Workers = 1"
lab_route internet 10.8.0.0/16 via $VPS4
"$MALICE" files $N "$LAB_DIR/gw.d"
need "the gateway starts" lab_gateway gw vps "$GW"
need "the files are read" lab_wait 10 "the last tenant" lab_has_peer "$GW" "$("$MALICE" key $N)"

lab_start crowd crowd "$MALICE" crowd $N $((SECONDS_EACH * 1000)) "$RATE" "$(lab_ns crowd)" 10.97.0.2 $VPS4 \
	"${PUB[gw]}" $WORLD4
need "all have met, asked, and asked again" lab_join crowd 60
for row in "alone" "beside the flood"; do
	read -r line
	lab_say "              $row: $(jq -r '"\(.answered) of \(.asked) answered, \(.flood_packets_per_s) packets/s of one, \(.met) of \(.newcomers) newcomers"' <<<"$line")"
done <"$(lab_log crowd)"
calm=$(sed -n 1p "$(lab_log crowd)") flood=$(sed -n 2p "$(lab_log crowd)")
check "alone: all are answered" at_most "$(jq .loss <<<"$calm")" 0.01
check "each of the thousand asks" is "$(jq .asked <<<"$flood")" $((SERVED * SECONDS_EACH))
check "beside the flood: newcomers come" is "$(jq .met <<<"$flood")" "$(jq .newcomers <<<"$flood")"
check "beside the flood: hardly anybody is without an answer" at_most "$(jq .unserved <<<"$flood")" \
	$((SERVED / 100))
check "it was a flood" at_least "$(jq .flood_packets_per_s <<<"$flood")" 20000

# What comes faster than the worker can take it from the socket the kernel loses, of everybody
# alike; what it can take, it takes at the expense of who sends most.
sent=$(jq .flood_sent <<<"$flood")
taken=$(lab_control "$LAB_DIR/gw.control" "{\"do\":\"show\",\"name\":\"t0$N\"}" | jq .tenant.rx_packets)
lost=$(awk -v s="$sent" -v t="$taken" 'BEGIN { print 1 - t / s }')
lab_say "              lost: $lost of the flood, $(jq .loss <<<"$flood") of all others"
check "beside the flood: the others lose little, or much less" at_most "$(jq .loss <<<"$flood")" \
	"$(awk -v l="$lost" 'BEGIN { print (l * 0.6 > 0.1 ? l * 0.6 : 0.1) }')"
