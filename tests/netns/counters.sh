#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What was counted of a tenant survives the end of the gateway, also by SIGKILL in the middle
# of traffic; it is gone with the tenant's file, and another key begins anew.
#
#   internet ---- vps ---- alice   wireguard-go
#   sink          berthd   sends numbered datagrams at a steady rate

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go jq

GW=$(lab_if gw) ALICE=$(lab_if al)
CONTROL=$LAB_DIR/gw.control
RATE=200	# datagrams a second

# shown FIELD: of alice, by the control socket.
shown()
{
	lab_control "$CONTROL" '{"do":"show","name":"alice"}' | jq ".tenant.$1"
}

shown_at_least()
{
	local n

	n=$(shown "$1")
	echo "$1: $n, wanted at least $2"
	[ "$n" -ge "$2" ]
}

# In the journal: so many packets from alice.
journalled()
{
	grep -hF "key=${PUB[alice]}" "$LAB_DIR"/gw.state/tenants* | tail -n 1 |
		sed -nE 's/.* rx=[0-9]+,([0-9]+).*/\1/p'
}

journalled_at_least()
{
	[ "$(journalled)" -ge "$1" ]
}

is_forgotten()
{
	[ -z "$(journalled)" ]
}

lab_world
lab_house alice 41
lab_keys gw alice other
lab_gateway_conf gw "$GW"
lab_tenant gw alice ${PREFIX6}41/128
need "the gateway starts" lab_gateway gw vps "$GW"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}41/128
need "alice speaks" lab_reaches alice $WORLD6
# One of a source that is not hers.
lab_addr alice "$ALICE" ${PREFIX6}66/128
lab_in alice ping -n -q -c 1 -W 1 -I ${PREFIX6}66 $WORLD6 >"$LAB_DIR/foreign.out" || :
need "a packet of a foreign source is dropped" lab_wait 5 "the drop" \
	lab_drops_at_least "$CONTROL" alice source-not-allowed 1

# It says when it has sent how many, before each.
lab_start sender alice "$PYTHON" -u -c '
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
n, begin = 0, time.monotonic()
while True:
    time.sleep(max(0, begin + n / int(sys.argv[3]) - time.monotonic()))
    s.sendto(b"x" * 100, (sys.argv[2], 9))
    n += 1
    print(time.time_ns() // 1000, n)' ${PREFIX6}41 $WORLD6 $RATE
need "alice sends" lab_wait 5 "100 packets" shown_at_least rx_packets 100
for i in 1 2; do
	before=$(shown rx_packets)
	need "kill $i: alice has sent for two seconds more" lab_wait 10 "packets" \
		shown_at_least rx_packets $((before + 2 * RATE))
	killed=$(shown rx_packets)
	lab_stop gw KILL
	need "kill $i: the gateway starts again" lab_gateway gw vps "$GW"
	again=$(shown rx_packets)
	# Of what was shown a moment before the end, at most one second's traffic is lost; a
	# tick may come late on a machine that is busy.
	check "kill $i: at most a second is lost ($killed shown, $again after)" at_least "$again" \
		$((killed - RATE * LAB_SLOW - RATE / 4))
	check "kill $i: nothing was counted that was not sent" at_most "$again" \
		$(($(wc -l <"$(lab_log sender)") + 100))
	check "kill $i: the drop is remembered" lab_drops_at_least "$CONTROL" alice \
		source-not-allowed 1
	check "kill $i: alice is heard again, and counted on" lab_wait 20 "more packets" \
		shown_at_least rx_packets $((again + RATE))
	check "kill $i: wg counts on as well" at_least "$(lab_transfer "$GW" "${PUB[alice]}" rx)" \
		$(((again + RATE) * 128))
done
lab_stop sender

# An orderly end loses nothing.
need "alice is silent" lab_wait 10 "the journal" journalled_at_least "$(shown rx_packets)"
before=$(shown rx_bytes)
lab_stop gw
need "the gateway starts again" lab_gateway gw vps "$GW"
check "an orderly end loses nothing" at_least "$(shown rx_bytes)" "$before"

# Nobody speaks, nothing is written.
lab_stop alice
need "all is written" lab_wait 10 "the journal" journalled_at_least "$(shown rx_packets)"
size=$(cat "$LAB_DIR"/gw.state/tenants* | wc -c)
lab_wait_idle()
{
	# Two turns of the journal's second have passed since, by the gateway's own clock.
	[ "$(lab_elapsed)" -ge $((from + 3)) ]
}
from=$(lab_elapsed)
lab_wait 10 "three seconds" lab_wait_idle
check "idle tenants write nothing" is "$(cat "$LAB_DIR"/gw.state/tenants* | wc -c)" "$size"

# With the file goes what was counted, and a new key begins anew.
cp "$LAB_DIR/gw.d/alice.conf" "$LAB_DIR/alice.saved"
rm "$LAB_DIR/gw.d/alice.conf"
need "alice is revoked" lab_wait_no_peer "$GW" "${PUB[alice]}"
lab_file "$LAB_DIR/gw.d/alice.conf" <"$LAB_DIR/alice.saved"
need "alice is back" lab_wait_peer "$GW" "${PUB[alice]}"
check "what was counted went with the file" is "$(shown rx_bytes) $(shown rx_packets)" "0 0"
check "drops as well" is "$(shown 'drops | length')" 0
need "which is written down" lab_wait 5 "the journal" is_forgotten
lab_stop gw KILL
need "the gateway starts again" lab_gateway gw vps "$GW"
check "also after a restart" is "$(shown rx_packets)" 0
