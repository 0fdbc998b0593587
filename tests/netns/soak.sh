#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tenants that come, go, roam, transfer, spoof and flood at random; at the end counters add
# up, memory and descriptors are where they were after the first minute, and every byte that
# arrived was right.
#
#	make soak			1,000 tenants for 30 minutes
#	MINUTES=60 TENANTS=4000 SEED=7 EVENTS=100 PACKETS=8000 make soak
#					EVENTS and PACKETS a second, at the most
#
#   internet ------------ vps ---+--- crowd    all of them (build/bench/soak plays both ends)
#   sends, is sent to     berthd +--- alice    wireguard-go: TCP, compared
#   asks for neighbours          +--- bob      berthd -f: TCP, compared

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth jq wireguard-go
SOAK=$(dirname "$BERTHD")/bench/soak
[ -x "$SOAK" ] || lab_die "$SOAK is not there: make check-net makes it"

GW=$(lab_if gw) ALICE=$(lab_if al) BOB=$(lab_if bo)
D=$LAB_DIR/gw.d
CONTROL=$LAB_DIR/gw.control
TRAFFIC=$ROOT/tools/lab/traffic
RUN=$((${MINUTES:-0} * 60)) WARM=60
[ $RUN -gt 0 ] || RUN=18 WARM=9
TENANTS=${TENANTS:-200} SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
EVENTS=${EVENTS:-60} PACKETS=${PACKETS:-2500}
METRICS=9587

# got FIELD: of the report.
got()
{
	jq -r ".$1" "$LAB_DIR/report.json"
}

asked()
{
	lab_control "$CONTROL" "{\"do\":\"$1\"}"
}

lab_world
lab_house crowd 71
lab_house alice 72
lab_house bob 73
lab_ip crowd address add 10.71.1.1/24 dev lo
for i in 1 2 3 4 5 6 7 8; do
	lab_addr crowd lo "2001:db8:71:1::$i/128"
done
lab_route internet 10.71.0.0/16 via 10.71.0.2
lab_route internet 2001:db8:71:1::/64 via 2001:db8:71::2

# Also after its cable was pulled, which is what the program calls this for.
cat >"$LAB_DIR/routes" <<END
ip -n $(lab_ns internet) route replace 203.0.113.0/24 via $VPS4
ip -n $(lab_ns internet) route replace 10.8.0.0/16 via $VPS4
ip -n $(lab_ns internet) address replace ${PREFIX6}1/64 dev cable nodad
ip -n $(lab_ns internet) route replace ${PREFIX6%:}0:1::/80 via $VPS6
END
{
	printf '#!/bin/bash -e\nip -n %s link set cable down\nsleep 0.5\nip -n %s link set cable up\n' \
		"$(lab_ns internet)" "$(lab_ns internet)"
	cat "$LAB_DIR/routes"
} >"$LAB_DIR/flap"
chmod +x "$LAB_DIR/flap"
bash -e "$LAB_DIR/routes"
# Who is not there goes nowhere, lest packets go to and fro on the cable.
lab_ip vps route add blackhole 10.8.0.0/16
lab_ip vps route add blackhole ${PREFIX6%:}0:1::/80
lab_sysctl vps net/ipv4/conf/all/send_redirects=0 net/ipv4/conf/default/send_redirects=0

lab_keys gw alice bob
lab_gateway_conf gw "$GW" "Prefix = 10.8.0.0/16" "MetricsListen = $METRICS"
lab_tenant gw alice 203.0.113.1/32
lab_tenant gw bob ${PREFIX6}b0b/128
need "the gateway starts" lab_gateway gw vps "$GW"
lab_ip vps link set "$GW" txqueuelen 10000
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" 203.0.113.1/32
lab_dropin bob bob "$BOB"
wg set "$BOB" private-key "$LAB_DIR/bob.key" peer "${PUB[gw]}" endpoint "$(lab_endpoint 6)" \
	allowed-ips ::/0
lab_tunnel_up bob "$BOB" ${PREFIX6}b0b/128
need "alice is there" lab_reaches alice $WORLD4
need "bob is there" lab_reaches bob $WORLD6

# ---- the run -------------------------------------------------------------------------

# streams NAME FROM TO: TCP there and back, whole and compared, again and again.
streams()
{
	# shellcheck disable=SC2016 # the variables are that shell's
	lab_start "$1.streams" "$1" bash -ec '
		until [ -e "$4" ]; do "$1" bulk "$2" "$3"; echo whole; sleep 1; done' \
		streams "$TRAFFIC" "$2" "$3" "$LAB_DIR/quiet"
}

lab_start echo internet "$TRAFFIC" serve $WORLD4 $WORLD6
lab_say "              SEED=$SEED TENANTS=$TENANTS, $RUN s"
lab_mark gw
lab_start players crowd "$SOAK" tenants=$TENANTS seconds=$RUN warm=$WARM seed="$SEED" \
	events=$EVENTS packets=$PACKETS slack_ms=$((400 * LAB_SLOW)) pid="${lab_pid[gw]}" \
	crowd="$(lab_ns crowd)" world="$(lab_ns internet)" vps="$(lab_ns vps)" \
	network4=10.71.1. network6=2001:db8:71:1:: gateway4=$VPS4 gateway6=$VPS6 \
	world4=$WORLD4 world6=$WORLD6 link=cable key="${PUB[gw]}" control="$CONTROL" folder="$D" \
	metrics=$METRICS flap="$LAB_DIR/flap" report="$LAB_DIR/report.json"
streams alice 203.0.113.1 $WORLD4
streams bob ${PREFIX6}b0b $WORLD6
lab_wait_log players 'soak: quiet|: ' $((RUN + 60)) >/dev/null
need "the time is over" lab_wait_log players 'soak: quiet' $((RUN + 60))
touch "$LAB_DIR/quiet"
check "alice's streams were whole" lab_join alice.streams 40
check "bob's streams were whole" lab_join bob.streams 40
lab_join players 180 >"$LAB_DIR/joined" || :
lab_since players | sed 's/^/              /'
need "there is a report" test -s "$LAB_DIR/report.json"
[ -z "${REPORT:-}" ] || cp "$LAB_DIR/report.json" "$REPORT"

# ---- what came of it -----------------------------------------------------------------

check "nothing was as it must not be" is "$(got faults)" 0
