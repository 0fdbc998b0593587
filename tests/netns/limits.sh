#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Rates of a tenant: TCP gets what its limit is, up and down, and no more; a change of the
# file takes effect while it flows, and nobody shakes hands for it; a rate that is none
# is refused, and the last one stays.
#
#   vps ------- internet ------- home     wireguard-go: alice, with a limit
#  berthd                                 bob, without

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go iperf3 jq

GW=$(lab_if gw) ALICE=$(lab_if al) BOB=$(lab_if bo)
CONTROL=$LAB_DIR/gw.control

# tenant_now NAME FIELD
tenant_now()
{
	lab_control "$CONTROL" "{\"do\":\"show\",\"name\":\"$1\"}" | jq -r ".tenant.$2"
}

has()
{
	[ "$(tenant_now alice "$1")" = "$2" ]
}

# limit LINE...: the [Tenant] of alice.
limit()
{
	lab_tenant gw alice "203.0.113.1/32" '[Tenant]' "$@"
}

# stream RATE up|down: percent of it that a stream of 4 s brings to the other end.
stream()
{
	local words=(-C cubic -l 16K)

	[ "$2" = up ] || words+=(-R)
	lab_iperf alice $WORLD4 4 "${words[@]}" >&2
	jq --argjson rate "$1" '.end.sum_received.bits_per_second / $rate / 1e4 * 10 | round / 10' \
		"$LAB_DIR/iperf.json"
}

# Mbit/s of messages to alice, over a second and a half; 1,420 bytes of her limit are
# 1,452 of them.
flows()
{
	local t0 before after

	t0=$(lab_us)
	before=$(tenant_now alice tx_bytes)
	sleep 1.5
	after=$(tenant_now alice tx_bytes)
	awk -v b=$((after - before)) -v us=$(($(lab_us) - t0)) 'BEGIN { print b * 8 / us }'
}

flows_at_least()
{
	flows >"$LAB_DIR/flows"
	at_least "$(cat "$LAB_DIR/flows")" "$1" >/dev/null
}

lab_world
for name in alice bob; do
	lab_house $name $((${#name} + 70))
done
lab_keys gw alice bob
lab_gateway_conf gw "$GW"
limit 'RateUp = 2mbit' 'RateDown = 20mbit'
lab_tenant gw bob "203.0.113.2/32"
need "the gateway starts" lab_gateway gw vps "$GW"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" 203.0.113.1/32
lab_wggo_tenant bob bob "$BOB" "${PUB[gw]}" "$(lab_endpoint 4)" 203.0.113.2/32
need "alice speaks" lab_reaches alice $WORLD4 5
need "bob speaks" lab_reaches bob $WORLD4 5
shaken=$(tenant_now alice last_handshake)

# ---- each way its own ---------------------------------------------------------------

check "show says the rates" is "$("$BERTH" show alice --control "$CONTROL" | grep -oE 'rate .*' | tr -s ' ')" \
	"$(printf 'rate up 2mbit\nrate down 20mbit')"
check "and in JSON" is "$(tenant_now alice rate_up) $(tenant_now alice rate_down)" "2000000 20000000"
check "who has none has no such field" is "$(tenant_now bob rate_up)" null

# What TCP carries is 1,368 of 1,420 bytes at most: 96.3 %.
for case in '2 up' '20 down'; do
	read -r rate way <<<"$case"
	got=$(stream "$rate" "$way")
	# 92 and more, if nothing else runs (make bench-limits).
	check "$rate Mbit/s $way: enough" at_least "$got" 80
	check "$rate Mbit/s $way: no more" at_most "$got" 101
	check "$rate Mbit/s $way: what was too much is counted" \
		at_least "$(lab_drops "$CONTROL" alice "rate-$way")" 1
done
limit 'RateUp = 100mbit'
need "the file is read" lab_wait 5 "another rate" has rate_up 100000000
got=$(stream 100 up)
check "100 Mbit/s up: enough" at_least "$got" 80
check "100 Mbit/s up: no more" at_most "$got" 101
limit 'RateLimit = 256kbit' 'RateUp = off'
need "the file is read" lab_wait 5 "another rate" has rate_down 256000
check "one way has none" has rate_up null
got=$(stream 0.256 down)
check "256 kbit/s down: no more" at_most "$got" 103 # a tenth of a second at once, of 4
check "256 kbit/s down: enough" at_least "$got" 80
got=$(lab_iperf bob $WORLD4 1)
check "bob has no limit" at_least "$got" $((150 / LAB_SLOW))

# ---- a change while it flows --------------------------------------------------------

limit 'RateDown = 5mbit'
need "the file is read" lab_wait 5 "another rate" has rate_down 5000000
lab_start server internet iperf3 -s -1 -B $WORLD4 --forceflush
lab_wait_log server 'Server listening'
lab_start flow alice iperf3 -C cubic -R -t $((60 * LAB_SLOW)) -c $WORLD4
check "5 Mbit/s flow" lab_wait 10 "the flow" flows_at_least 4.5
check "and no more" at_most "$(flows)" 5.2
limit 'RateDown = 25mbit'
need "the file is read" lab_wait 5 "another rate" has rate_down 25000000
check "then 25" lab_wait 10 "the flow" flows_at_least 23
check "and no more" at_most "$(flows)" 26
limit 'RateDown = 5mbit'
need "the file is read" lab_wait 5 "another rate" has rate_down 5000000
check "5 again, at once" at_most "$(flows)" 5.3
check "and they flow" lab_wait 10 "the flow" flows_at_least 4.5

lab_mark gw
limit 'RateDown = 50mbps'
check "a rate that is none is refused" lab_wait_log gw \
	"alice.conf:5: RateDown: '50mbps' is bytes to some and bits to others: write 50mbit"
check "and the last one stays" is "$(tenant_now alice rate_down)" 5000000
check "for what flows too" at_most "$(flows)" 5.2

lab_tenant gw alice "203.0.113.1/32"
need "the file is read" lab_wait 5 "no rate" has rate_down null
check "without a limit it flows freely" lab_wait 10 "the flow" flows_at_least $((150 / LAB_SLOW))
lab_stop flow
lab_stop server
check "nobody has shaken hands for any of it" is "$(tenant_now alice last_handshake)" "$shaken"
