#!/bin/bash
# SPDX-License-Identifier: MIT
# Limit: 900
#
# SIGKILL at random moments, under load: after each restart the machine is as it was
# before, nothing is there twice, nobody is missing, and everybody is reached again within
# a second. KILLS=100 make check-net ONLY=kill is the long form; SEED=n repeats a run.
#
#   vps ------- internet ---+--- alice   wireguard-go
#  berthd       sends to    +--- bob     berthd -f
#  is killed    all, and    +--- home    berthd -c, is killed every second time; wg0 in
#               they to it               box, with a DNS server, and own, with a table

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) BOX=$(lab_ns box)
CONTROL=$LAB_DIR/gw.control STATE=$LAB_DIR/gw.state
KILLS=${KILLS:-10}
SEED=${SEED:-$(($(lab_us) % 32768))}
declare -A AT=([alice]=${PREFIX6}a1 [bob]=${PREFIX6}b0 [box]=${PREFIX6}c0 [own]=${PREFIX6}d0)
TENANTS='alice bob box own'
# What is counted is on the disk a second later, and one that is busy may be late.
LATE_MS=$((1500 * LAB_SLOW))
RANDOM=$SEED

# ---- the machine, as a text ---------------------------------------------------------

# routing NS...: links, routes and rules, without what the kernel makes up at random.
routing()
{
	local ns

	for ns; do
		echo "== $ns"
		lab_ip "$ns" -o link show | cut -d: -f2 | sort
		lab_ip "$ns" -4 route show table all | sort
		lab_ip "$ns" -6 route show table all | grep -v fe80 | sort
		lab_ip "$ns" -4 rule show
		lab_ip "$ns" -6 rule show
	done
}

gateway_side()
{
	routing vps
	lab_in vps nft -s list ruleset
	wg show "$GW" peers | sort
	ls "$UAPI_DIR/$GW.sock" "$CONTROL"
}

home_side()
{
	routing home box
	cat "/etc/netns/$BOX/resolv.conf"
	ls "$LAB_DIR/home.control"
}

# as_before SIDE: is it what it was when all was well?
as_before()
{
	"${1}_side" 2>&1 | diff "$LAB_DIR/$1.before" -
}

# Each line by its own sum: all are whole, but for one that was being written.
state_is_whole()
{
	"$PYTHON" - "$STATE" <<-'END'
		import os, sys
		def fnv(data):
		    h = 0xcbf29ce484222325
		    for byte in data:
		        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
		    return h
		bad = n = 0
		for name in "tenants", "tenants.journal.old", "tenants.journal":
		    path = f"{sys.argv[1]}/{name}"
		    if not os.path.exists(path):
		        continue
		    text = open(path, "rb").read()
		    lines = [l for l in text.split(b"\n") if l]
		    for i, line in enumerate(lines[1:], 1):
		        body, _, s = line.rpartition(b" sum=")
		        n += 1
		        if s != b"%016x" % fnv(body):
		            print(name, i, line)
		            # The journal alone is written in place.
		            bad += 1 if name != "tenants" else 100
		print(n, "lines,", bad, "bad")
		sys.exit(bad > 1 or n == 0)
	END
}

# The latest of each is what the next one will read.
endpoints_are_saved()
{
	local key endpoint at

	while read -r key endpoint; do
		at=$(grep -hF "key=$key " "$STATE"/tenants "$STATE"/tenants.journal.old \
			"$STATE"/tenants.journal 2>/dev/null | tail -n 1)
		contains "$at" " endpoint=$endpoint " || return 1
	done < <(wg show "$GW" endpoints)
}

# ---- traffic ----------------------------------------------------------------------------

# flood NAME NS ADDRESS...: 1,000 packets a second of 900 bytes to each, whatever happens.
flood()
{
	lab_start "$1" "$2" "$PYTHON" -u -c '
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
data = bytes(900)
while True:
    for to in sys.argv[1:]:
        for _ in range(10):
            try:
                s.sendto(data, (to, 9))
            except OSError:
                pass
    time.sleep(0.01)' "${@:3}"
}

# Since the mark an answer has come from it.
has_answered()
{
	lab_logged "ping-$1" 'bytes from'
}

# first_answer TENANT SINCE: ms from then (lab_us) to its first answer after the mark.
first_answer()
{
	lab_since "ping-$1" | awk -v t="$2" -F '[][]' \
		'/bytes from/ { printf "%.0f\n", $2 * 1000 - t / 1000; exit }'
}

# ---- counters -----------------------------------------------------------------------------

# What has been received of alice and sent to her, each 50 ms while somebody tells: µs, bytes, bytes.
sampler()
{
	lab_start sampler vps "$PYTHON" -u -c '
import json, socket, sys, time
while True:
    try:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(2)
        s.connect(sys.argv[1])
        f = s.makefile("rw")
        while True:
            t = time.time()
            f.write("{\"do\":\"show\",\"name\":\"alice\"}\n")
            f.flush()
            answer = json.loads(f.readline())
            if "tenant" in answer:
                x = answer["tenant"]
                print(int(t * 1e6), x["rx_bytes"], x["tx_bytes"])
            time.sleep(0.05)
    except (OSError, ValueError):
        time.sleep(0.01)' "$CONTROL"
}

# counted FROM TO: the last sample between these times (lab_us).
counted()
{
	awk -v a="$1" -v b="$2" '$1 >= a && $1 <= b { v = $2 " " $3 } END { print v }' \
		"$(lab_log sampler)"
}

has_counted()
{
	[ -n "$(counted "$1" "$(lab_us)")" ]
}

compared=0
# counters_went_on STARTED KILLED RESTARTED (lab_us): of what this process said, none older
# than a second was forgotten by the next one.
counters_went_on()
{
	local before after

	before=$(counted "$1" $(($2 - LATE_MS * 1000)))
	[ -n "$before" ] || return 0
	lab_wait 5 "a sample" has_counted "$3" || return 1
	after=$(awk -v a="$3" '$1 >= a { print $2, $3; exit }' "$(lab_log sampler)")
	echo "before: $before, after: $after"
	compared=$((compared + 1))
	[ "${after% *}" -ge "${before% *}" ] && [ "${after#* }" -ge "${before#* }" ]
}

# ---- the kill ------------------------------------------------------------------------------

# moment LEAST MOST: waits so many milliseconds.
moment()
{
	local ms=$(($1 + RANDOM % ($2 - $1 + 1)))

	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

# Unlike lab_router: what the killed one has left stays in its way.
start()
{
	lab_start "$1" "$2" "$BERTHD" -c "$LAB_DIR/$1.conf"
}

# Each second time the next one is killed as well, somewhere in its first 100 ms.
kill_and_restart()
{
	killed_at=$(lab_us)
	lab_stop "$1" KILL >/dev/null
	if ((round % 2)); then
		start "$1" "$2"
		moment 0 $((100 * LAB_SLOW))
		lab_stop "$1" KILL >/dev/null
	fi
	state_is_whole >"$LAB_DIR/state.out" 2>&1 || state_bad=1
	restarted_at=$(lab_us)
	for t in $TENANTS; do
		lab_mark "ping-$t"
	done
	start "$1" "$2"
}

# back TENANT SINCE: within a second.
back()
{
	local ms

	lab_wait 10 "$1" has_answered "$1" || return 1
	ms=$(first_answer "$1" "$2")
	echo "$ms" >>"$LAB_DIR/times"
	at_most "$ms" $((1000 * LAB_SLOW))
}

all_back()
{
	local t bad=0

	for t in $TENANTS; do
		back "$t" "$1" || { echo "$t"; bad=1; }
	done
	return $bad
}

# No complaint of anybody who found what the killed one had left. This machine need not have
# the user that an installed one has.
nothing_wrong()
{
	! { lab_since gw; lab_since home; } | grep -v 'there is no user berth' | grep -E 'warning|error'
}

lab_world
lab_house alice 31
lab_house bob 32
lab_house home 33
lab_netns box
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=2
lab_keys gw alice bob box own
lab_gateway_conf gw "$GW"
for t in $TENANTS; do
	lab_tenant gw "$t" "${AT[$t]}/128"
done
lab_home_conf home
lab_tunnel home box "${AT[box]}/128" "$(lab_endpoint 6)" 'DNS = 2001:4860:4860::8888' \
	'[Container]' "Netns = $BOX" 'Name = wg0'
lab_tunnel home own "${AT[own]}/128" "$(lab_endpoint 6)" 'Table = 77' '[Container]' 'Name = own'

lab_say "    SEED=$SEED KILLS=$KILLS"
start gw vps
need "the gateway starts" lab_wait_socket "$(lab_uapi "$GW")"
lab_wggo_tenant alice alice "$(lab_if al)" "${PUB[gw]}" "$(lab_endpoint 4)" "${AT[alice]}/128"
lab_dropin bob bob "$(lab_if bo)"
wg set "$(lab_if bo)" private-key "$LAB_DIR/bob.key" peer "${PUB[gw]}" \
	endpoint "$(lab_endpoint 6)" allowed-ips ::/0
lab_tunnel_up bob "$(lab_if bo)" "${AT[bob]}/128"
start home home
for t in $TENANTS; do
	case $t in own) ns=home ;; *) ns=$t ;; esac
	[ "$t" = own ] || need "$t speaks" lab_reaches "$ns" $WORLD6
	need "$t is reached" lab_reaches internet "${AT[$t]}"
	lab_start "ping-$t" internet ping -n -D -i 0.02 "${AT[$t]}"
done
sampler
flood flood-in internet "${AT[@]}"
flood flood-alice alice $WORLD6
flood flood-box box $WORLD6
need "counters are read" lab_wait 5 "a sample" has_counted 0
gateway_side >"$LAB_DIR/gateway.before"
home_side >"$LAB_DIR/home.before"
need "the gateway has its routes" contains "$(cat "$LAB_DIR/gateway.before")" "${AT[box]} dev $GW"
need "and its rule at the uplink" has "$(cat "$LAB_DIR/gateway.before")" 'hook ingress device'
need "home has its table and the name server" has "$(cat "$LAB_DIR/home.before")" 'table 77'

started_at=$(lab_us)
: >"$LAB_DIR/times"
for ((round = 1; round <= KILLS; round++)); do
	# Where they are: home, killed as well, may have other ports now.
	check "before kill $round: endpoints are on the disk" lab_wait 5 "them" endpoints_are_saved
	# Each third has lived long enough for its counters to be there, too.
	if ((round % 3)); then
		moment 0 800
	else
		moment $((LATE_MS + 100)) $((LATE_MS + 400))
	fi
	state_bad=0
	what="kill $round"
	if ((round % 2 == 0)); then
		what+=", home too"
		lab_stop home KILL >/dev/null
		check "$what: it takes its interfaces along" not lab_ip box link show wg0
	fi
	kill_and_restart gw vps
	check "$what: the state is whole" is "$state_bad" 0
	# The one whose call comes before the other listens calls again after 5 s, and home, of
	# another port now, is not found where the gateway calls.
	((round % 2)) || { lab_wait_log gw 'listening on UDP port' 10 && start home home; }
	check "$what: everybody is back within a second" all_back "$restarted_at"
	check "$what: the gateway is as before" lab_wait 2 "it" as_before gateway
	check "$what: home is as before" lab_wait 2 "it" as_before home
	check "$what: counters went on" counters_went_on "$started_at" "$killed_at" "$restarted_at"
	check "$what: nothing to complain of" nothing_wrong
	started_at=$restarted_at
done
check "counters were compared" at_least $compared $((KILLS / 4))
lab_say "    ms to the first answer, of $(wc -l <"$LAB_DIR/times"): $(sort -n "$LAB_DIR/times" | awk '
	{ v[NR] = $1 } END { print "least", v[1], "median", v[int((NR + 1) / 2)], "p95",
	v[int(NR * 0.95 + 0.5)], "most", v[NR] }')"
check "state was remembered over all of them" lab_logged gw 'tenants are known from before'

# Ended in peace, nothing stays.
lab_stop home
lab_stop gw
check "the end: no interface, route or rule is left at home" \
	not has "$(routing home box)" 'wg0|own|table 77'
check "the end: nor at the gateway" not contains "$(routing vps)" "$GW"
check "the end: nor its rule at the uplink" is "$(lab_in vps nft list ruleset)" ""
