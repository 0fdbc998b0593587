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
[ $RUN -gt 0 ] || RUN=13 WARM=6
TENANTS=${TENANTS:-200} SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
EVENTS=${EVENTS:-60} PACKETS=${PACKETS:-2500}
METRICS=9587

# got FILTER: of the report, by jq.
got()
{
	jq -r "$1" "$LAB_DIR/report.json"
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
lab_start players crowd "$SOAK" tenants="$TENANTS" seconds=$RUN warm=$WARM seed="$SEED" \
	events="$EVENTS" packets="$PACKETS" slack_ms=$((400 * LAB_SLOW)) pid="${lab_pid[gw]}" \
	crowd="$(lab_ns crowd)" world="$(lab_ns internet)" vps="$(lab_ns vps)" \
	network4=10.71.1. network6=2001:db8:71:1:: gateway4=$VPS4 gateway6=$VPS6 \
	world4=$WORLD4 world6=$WORLD6 link=cable key="${PUB[gw]}" control="$CONTROL" folder="$D" \
	metrics=$METRICS flap="$LAB_DIR/flap" report="$LAB_DIR/report.json"
streams alice 203.0.113.1 $WORLD4
streams bob ${PREFIX6}b0b $WORLD6
need "the time is over" lab_wait_log players 'soak: quiet' $((RUN + 60))
touch "$LAB_DIR/quiet"
check "alice's streams were whole" lab_join alice.streams 40
check "bob's streams were whole" lab_join bob.streams 40
lab_join players 180 >"$LAB_DIR/joined" || :
lab_since players | sed 's/^/              /'
need "there is a report" test -s "$LAB_DIR/report.json"
[ -z "${REPORT:-}" ] || cp "$LAB_DIR/report.json" "$REPORT"

# ---- what came of it -----------------------------------------------------------------

check "nothing was as it must not be" is "$(got .faults)" 0
for what in revoked expired rotated rewritten broken handshakes roamed forgot transfers_up \
	transfers_down spoofs flood_packets neighbours_answered audits scrapes; do
	check "it was a soak: $what" at_least "$(got .counts.$what)" 1
done
check "most accounts are exact" at_least "$(got .accounts.exact)" $((TENANTS * 8 / 10))
check "nine of ten are there at the end" is "$(got .accounts.tenants)" \
	$((TENANTS - (TENANTS + 7) / 10))
share=$((100 - 5 * LAB_SLOW))
for what in added_within revoked_within; do
	check "$what 100 ms: $share of a hundred" at_least "$(got ".$what.within_100_ms * 100")" \
		"$(got ".$what.n * $share")"
done

# What a tenant comes to have in time: keys before the current ones (1.3 KiB each), its events, places
# and drops, its limits; and of up to 10,000 keys that were revoked a record of 160 bytes each.
grown=$(got '.last.pss - .warm.pss') later=$(got '.last.pss - .half.pss')
lab_say "              memory: $(got .warm.pss) bytes, then $grown more, $later in the second half"
check "memory is where it was" at_most "$grown" $((TENANTS * 3072 + 1536 * 1024))
[ $RUN -lt 600 ] ||
	check "all the more in the second half" at_most "$later" $((TENANTS * 1024 + 1024 * 1024))
# One for whoever asks just then.
check "so are descriptors" at_most "$(got '[.last.descriptors - .warm.descriptors, .warm.descriptors - .last.descriptors] | max')" 2
# libuv makes its four for work on files when there is some first.
check "and threads" at_most "$(got '.last.threads - .warm.threads')" 4
check "and timers" is "$(got .last.timers)" "$(got .warm.timers)"
check "it is the process that it was" is "$(got .last.started)" "$(got .warm.started)"
check "which still runs" lab_alive gw

# ---- the routes, the log, the state are those of the tenants ---------------------------

asked list >"$LAB_DIR/list.json"
jq -r '.tenants[].allowed_ips[]' "$LAB_DIR/list.json" | sed 's,/32$,,; s,/128$,,' | sort \
	>"$LAB_DIR/addresses"
{
	lab_ip vps route show dev "$GW" proto 146
	lab_ip vps -6 route show dev "$GW" proto 146
} | awk '{ print $1 }' | sort >"$LAB_DIR/routed"
check "the routes are those of the tenants" diff "$LAB_DIR/addresses" "$LAB_DIR/routed"

# What may stand in the log: each of these was caused. The quota's lines are two a change.
lab_since gw >"$LAB_DIR/said"
# Without a cable nobody can be answered.
lost=''
[ "$(got .counts.flaps)" -eq 0 ] || lost='| warning uplink eth0: answers to neighbours are lost'
unexpected()
{
	! grep -vE ' (info|debug) | (error|warning) .*/gw\.d/[tx][0-9]{5}\.conf(:[0-9]+)?: | warning tenant (t[0-9]{5}: keeps its last good configuration|t[0-9]{5}: .*quota)'"$lost" \
		"$LAB_DIR/said"
}
check "no fault is in the log that nobody caused" unexpected
check "and no more lines than there were causes" at_most "$(wc -l <"$LAB_DIR/said")" \
	"$(got '.counts | 2 * (.added + .revoked + .expired + .rotated + .relimited + .rewritten)
		+ 4 * (.broken + .mended + .stray_files) + 2 * .resaid + .reloads + 20 * .flaps + 50')"

lab_stop gw
check "it ends by itself" is "$LAB_STATUS" 0
# remembered TENANTS STATE...: the records of names are those of tenants that were there.
check "what is remembered is the living" "$PYTHON" - "$LAB_DIR/list.json" "$LAB_DIR"/gw.state/tenants* <<-'END'
	import json, sys
	living = {t["name"]: t for t in json.load(open(sys.argv[1]))["tenants"]}
	records = {}
	for path in sys.argv[2:]:
	    for line in open(path):
	        words = dict(w.split("=", 1) for w in line.split() if "=" in w)
	        if "key" in words:
	            records[words["key"]] = words
	named = {w["name"]: w for w in records.values() if "name" in w}
	dead = sorted(set(named) - set(living))
	lost = sorted(n for n, t in living.items() if t["rx_packets"] and n not in named)
	wrong = sorted(n for n, w in named.items() if n in living and n[0] == "t" and
	               w.get("rx", "0,0") != "%d,%d" % (living[n]["rx_bytes"], living[n]["rx_packets"]))
	print(len(living), "living,", len(named), "remembered; dead:", dead, "lost:", lost, "wrong:", wrong)
	sys.exit(bool(dead or lost or wrong))
END

printf '\n'
jq -r '(.counts | to_entries[] | "  \(.key)\t\(.value)"),
	"  last packet of a revoked one\t\(.last_packet_ms) ms",
	"  added within 100 ms\t\(.added_within.within_100_ms) of \(.added_within.n), \(.added_within.worst_ms) ms at worst",
	"  revoked within 100 ms\t\(.revoked_within.within_100_ms) of \(.revoked_within.n), \(.revoked_within.worst_ms) ms at worst",
	"  memory\t\(.warm.pss / 1048576 * 10 | round / 10) MiB warm, \(.last.pss / 1048576 * 10 | round / 10) at the end, \(.most_pss / 1048576 * 10 | round / 10) at most",
	"  lost by the kernel\t\(.lost)",
	"  accounts that are exact\t\(.accounts.exact) of \(.accounts.tenants)"' \
	"$LAB_DIR/report.json" | column -t -s $'\t'
printf '\n'
