#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A tenant uses up its quota: it is throttled there, or blocked; more in its file or a reset
# frees it; SIGKILL changes nothing of that, and its file takes all with it.
#
#   internet ---- vps ---- alice   wireguard-go
#   iperf3 -s     berthd

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go iperf3 jq

GW=$(lab_if gw) ALICE=$(lab_if al)
CONTROL=$LAB_DIR/gw.control
MB=1000000

# alice_may LINE...: of her [Tenant].
alice_may()
{
	lab_tenant gw alice ${PREFIX6}41/128 '[Tenant]' "$@"
}

quota()
{
	lab_control "$CONTROL" '{"do":"show","name":"alice"}' | jq -r ".tenant.quota.$1"
}

quota_is()
{
	is "$(quota "$1")" "$2"
}

# send BYTES SECONDS: alice sends so many in that time, if she can. The first number of the file
# "sent" is how many came, the second how fast (bit/s).
send()
{
	lab_start sink internet "$PYTHON" -u -c '
import socket, sys, time
s = socket.create_server((sys.argv[1], 4000), family=socket.AF_INET6)
print("ready")
c, _ = s.accept()
n, begin, last = 0, time.monotonic(), 0
while data := c.recv(1 << 16):
    n, last = n + len(data), time.monotonic()
    print(n, n * 8 / max(last - begin, 1e-9))' $WORLD6
	lab_wait_log sink ready
	lab_in alice timeout "$2" "$PYTHON" -c '
import socket, sys
c = socket.create_connection((sys.argv[1], 4000))
c.sendall(bytes(int(sys.argv[2])))
c.shutdown(socket.SHUT_WR)
c.recv(1)' $WORLD6 "$1" || :
	lab_join sink 1 >/dev/null 2>&1 || lab_stop sink
	tail -n 1 "$(lab_log sink)" >"$LAB_DIR/sent"
	: >"$(lab_log sink)"
}

sent()
{
	cut -d ' ' -f 1 "$LAB_DIR/sent"
}

speed()
{
	cut -d ' ' -f 2 "$LAB_DIR/sent"
}

ping_now()
{
	lab_ping alice $WORLD6 1
}

lab_world
lab_house alice 41
lab_keys gw alice
lab_gateway_conf gw "$GW"
alice_may 'Quota = 5MB/month' 'QuotaRate = 1mbit'
need "the gateway starts" lab_gateway gw vps "$GW"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}41/128
need "alice speaks" lab_reaches alice $WORLD6
check "little is used" at_most "$(quota used)" 10000
check "until the first of the next month" quota_is resets_at \
	"$(date -u -d "$(date -u +%Y-%m-01) + 1 month" +%Y-%m-%dT00:00:00Z)"

# ---- throttled ------------------------------------------------------------------------

send $((3 * MB)) 20
check "three megabytes pass" is "$(sent)" $((3 * MB))
check "at full speed" at_least "$(speed)" $((20 * MB))
check "and count" at_least "$(quota used)" $((3 * MB))
check "both ways, from the IP header on, and no more" at_most "$(quota used)" $((3 * MB * 11 / 10))
send $((4 * MB)) 8
check "past five it is throttled" quota_is state throttled
check "used is what has passed" at_least "$(quota used)" $((5 * MB))
check "by no more than a second of the rate and a burst" at_most "$(quota used)" $((7 * MB))
check "80 % were said" lab_wait_log gw 'tenant alice: 80 % of its quota of 5MB is used'
check "and 100 %" lab_wait_log gw 'tenant alice: its quota of 5MB is used up: 1mbit each way until'
check "a ping passes" ping_now
for way in '' -R; do
	# shellcheck disable=SC2086 # a word or none
	rate=$(lab_iperf alice $WORLD6 5 $way) || rate=
	check "the rate is that of QuotaRate${way:+, down}" at_most "$rate" 1.1
	check "and not less" at_least "$rate" 0.6
done
check "drops have their reason" lab_drops_at_least "$CONTROL" alice quota 1
check "berth quota says it" has "$("$BERTH" quota alice --control "$CONTROL")" 'used up: 1mbit each way'
check "berth show, too" has "$("$BERTH" show alice --control "$CONTROL")" 'quota +5MB/month, .* used'

# ---- more, by the file ------------------------------------------------------------------

alice_may 'Quota = 100MB/month' 'QuotaRate = 1mbit'
need "a greater quota lifts it at once" lab_wait 5 "it" quota_is state ok
before=$(quota used)
check "what was used counts on" at_least "$before" $((5 * MB))
send $((2 * MB)) 20
check "full speed again" at_least "$(speed)" $((20 * MB))

# ---- blocked, and killed ------------------------------------------------------------------

alice_may 'Quota = 6MB/month' 'Blocked = yes'
need "less than is used blocks at once" lab_wait 5 "it" quota_is state blocked
used=$(quota used)
check "nothing passes" not ping_now
check "and nothing is counted for it" is "$(quota used)" "$used"
lab_stop gw KILL
need "the gateway starts again" lab_gateway gw vps "$GW"
need "it knows alice" lab_wait_peer "$GW" "${PUB[alice]}"
check "what was used survives, but for a second" at_least "$(quota used)" "$used"
check "she is blocked still" quota_is state blocked
check "nothing passes" not ping_now
out=$("$BERTH" quota alice --reset --control "$CONTROL")
check "berth quota --reset says what is used now" has "$out" 'quota +6MB/month, 0 B used'
check "and frees her" lab_wait 20 "a ping" ping_now
lab_stop gw KILL
need "the gateway starts again" lab_gateway gw vps "$GW"
need "it knows alice" lab_wait_peer "$GW" "${PUB[alice]}"
check "the reset survives, too" at_most "$(quota used)" 100000

# ---- gone with the file -----------------------------------------------------------------

check "she speaks" lab_wait 20 "a ping" ping_now
send $MB 20
check "a megabyte is used" at_least "$(quota used)" $MB
rm "$LAB_DIR/gw.d/alice.conf"
need "alice is revoked" lab_wait_no_peer "$GW" "${PUB[alice]}"
alice_may 'Quota = 6MB'
need "and back" lab_wait_peer "$GW" "${PUB[alice]}"
check "with nothing used" quota_is used 0
check "for ever" is "$(quota period) $(quota resets_at)" "null null"
alice_may 'RateLimit = 10mbit'
need "without a quota" lab_wait 5 "it" quota_is limit null
check "berth quota says how to give one" has \
	"$("$BERTH" quota alice --control "$CONTROL" 2>&1 || :)" 'Quota = 500GB/month in \[Tenant\]'

# ---- what is none --------------------------------------------------------------------------

lab_mark gw
alice_may 'Quota = 500/month'
check "a fault names file, line, word and a right one" lab_wait_log gw \
	"gw.d/alice.conf:5: Quota: '500/month' has no unit: write 500GB/month"
check "and she keeps what she had" lab_wait_log gw 'tenant alice: keeps its last good configuration'
