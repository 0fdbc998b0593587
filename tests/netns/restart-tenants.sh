#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A restart keeps tenants: none of them keeps a tunnel alive by itself, and yet each
# is reached after it, where it was last; and what was recorded before is old.
#
#   vps ------- internet ---+--- alice   wireguard-go, has changed its port
#  berthd        sink: 4000 |            a thief replays her first handshake
#                dead ones  +--- bob     berthd -f
#                           +--- carol   wireguard-go, new

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go tcpdump

GW=$(lab_if gw) ALICE=$(lab_if al) BOB=$(lab_if bo) CAROL=$(lab_if ca)
DEAD=4000 SINK=198.18.0.9
STATE=$LAB_DIR/gw.state

endpoint_is()
{
	contains "$(wg show "$GW" endpoints)" "${PUB[$1]}	$2"
}

# In the files that a restart will read.
remembered()
{
	grep -hF "key=${PUB[$1]}" "$STATE"/tenants* | tail -n 1 | grep -F "endpoint=$2 "
}

# replay PCAP: sends the datagram that was recorded once more, from alice's house.
replay()
{
	lab_in alice "$PYTHON" -c '
import socket, struct, sys
data = open(sys.argv[1], "rb").read()
frame = data[40:40 + struct.unpack("<I", data[32:36])[0]]
assert len(frame) == 14 + 20 + 8 + 148 and frame[42] == 1, "no initiation"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[2], 1000))
s.sendto(frame[42:], (sys.argv[3], int(sys.argv[4])))' "$1" 10.41.0.2 $VPS4 $PORT
}

# began PCAP SOURCE...: these have sent one initiation (148 bytes) each, and nobody else.
began()
{
	is "$(tcpdump -nr "$1" 2>"$LAB_DIR/began.err" | awk '/length 148$/ { print $3 }' |
		sort | tr '\n' ' ')" "${*:2} "
}

# is_at TENANT ENDPOINT: as soon as its file is read.
is_at()
{
	lab_wait 5 "the endpoint $2 of $1" endpoint_is "$1" "$2"
}

sunk()
{
	lab_in internet nft -j list chain inet sink in | jq '[.. | .counter? | .packets?] | add'
}

has_sunk()
{
	local n

	n=$(sunk)
	echo "$n of $1"
	[ "$n" -ge "$1" ] || {
		lab_control "$LAB_DIR/gw.control" '{"do":"status"}'
		return 1
	}
}

lab_world
lab_house alice 41
lab_house bob 42
lab_house carol 43
lab_keys gw alice bob carol
lab_gateway_conf gw "$GW"
lab_tenant gw alice ${PREFIX6}41/128
lab_tenant gw bob ${PREFIX6}42/128
rmdir "$STATE"
need "the gateway starts, and makes the folder" lab_gateway gw vps "$GW"
check "for itself alone" is "$(stat -c %a "$STATE")" 700
lab_start record internet tcpdump --immediate-mode -U -ni alice -c 1 -w "$LAB_DIR/first.pcap" \
	"udp dst port $PORT and udp[8] = 1"
lab_wait_log record listening
lab_wggo alice alice "$ALICE"
wg set "$ALICE" private-key "$LAB_DIR/alice.key" listen-port 1000 peer "${PUB[gw]}" \
	endpoint "$(lab_endpoint 4)" allowed-ips ::/0
lab_tunnel_up alice "$ALICE" ${PREFIX6}41/128
lab_dropin bob bob "$BOB"
wg set "$BOB" private-key "$LAB_DIR/bob.key" listen-port 2000 peer "${PUB[gw]}" \
	endpoint "$(lab_endpoint 6)" allowed-ips ::/0
lab_tunnel_up bob "$BOB" ${PREFIX6}42/128
need "alice speaks once" lab_reaches alice $WORLD6
need "bob speaks once" lab_reaches bob $WORLD6
need "alice's first handshake is recorded" lab_join record 5
wg set "$ALICE" listen-port 1111
need "alice speaks from another port" lab_reaches alice $WORLD6
check "the gateway follows" endpoint_is alice 10.41.0.2:1111

for signal in TERM KILL; do
	# One that is killed has a second for what it has just learned.
	[ $signal = TERM ] || need "SIG$signal: alice's place is written down" \
		lab_wait 5 "the journal" remembered alice 10.41.0.2:1111
	lab_stop gw $signal
	check "SIG$signal: alice's place is on the disk" remembered alice 10.41.0.2:1111
	check "SIG$signal: for root alone" is "$(stat -c %a "$STATE"/tenants* | sort -u)" 600
	lab_start "wire$signal" vps tcpdump --immediate-mode -U -ni eth0 -w "$LAB_DIR/$signal.pcap" "udp port $PORT"
	lab_wait_log "wire$signal" listening
	need "SIG$signal: the gateway starts again" lab_gateway gw vps "$GW"
	check "SIG$signal: alice is where she was" is_at alice 10.41.0.2:1111
	check "SIG$signal: bob is where he was" is_at bob '[2001:db8:42::2]:2000'
	check "SIG$signal: alice has a session" \
		lab_wait 5 "a handshake" lab_has_handshake "$GW" "${PUB[alice]}"
	check "SIG$signal: bob has a session" \
		lab_wait 5 "a handshake" lab_has_handshake "$GW" "${PUB[bob]}"
	check "SIG$signal: alice is reached" lab_ping internet ${PREFIX6}41 3
	check "SIG$signal: bob is reached" lab_ping internet ${PREFIX6}42 3
	check "SIG$signal: it was the gateway who began" lab_wait 5 "the record" \
		began "$LAB_DIR/$signal.pcap" "$VPS4.$PORT" "$VPS6.$PORT"
	lab_stop "wire$signal"
	replay "$LAB_DIR/first.pcap"
	check "SIG$signal: a recorded handshake is old" \
		lab_wait 5 "the drop" lab_drops_at_least "$LAB_DIR/gw.control" alice \
		replayed-initiation 1
	check "SIG$signal: and moves nobody" endpoint_is alice 10.41.0.2:1111
done

# A tenant who goes and comes back, while the gateway runs and over a restart.
rm "$LAB_DIR/gw.d/alice.conf"
need "alice is revoked" lab_wait_no_peer "$GW" "${PUB[alice]}"
check "her place is forgotten" lab_wait 5 "the journal" not remembered alice 10.41.0.2:1111
lab_stop gw KILL
lab_tenant gw alice ${PREFIX6}41/128
need "the gateway starts with alice's file back" lab_gateway gw vps "$GW"
check "it does not know where she is" is_at alice '(none)'
replay "$LAB_DIR/first.pcap"
check "but what is old" lab_wait 5 "the drop" lab_drops_at_least \
	"$LAB_DIR/gw.control" alice replayed-initiation 1

# What the folder is worth: without it, all that was tested above is otherwise.
lab_stop gw
rm -r "$STATE"
need "the gateway starts without its memory" lab_gateway gw vps "$GW"
check "bob is nowhere" is_at bob '(none)'
check "and not reached" lab_silent internet ${PREFIX6}42
replay "$LAB_DIR/first.pcap"
check "a recorded handshake moves alice" is_at alice 10.41.0.2:1000

# Four thousand who are not there any more.
lab_stop gw
rm "$STATE"/*
lab_addr internet lo $SINK/32
lab_in internet nft -f - <<-END
	table inet sink {
		chain in {
			type filter hook input priority filter;
			ip daddr $SINK udp dport 9 counter drop
		}
	}
END
"$PYTHON" - "$LAB_DIR/gw.d" "$STATE/tenants" $DEAD ${PREFIX6}d: $SINK:9 <<-'END'
	import base64, os, sys
	folder, state, n, prefix, endpoint = sys.argv[1:]
	def fnv(data):
	    h = 0xcbf29ce484222325
	    for byte in data:
	        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
	    return h
	os.umask(0o77)
	with open(state, "w") as out:
	    print("berth-state 1", file=out)
	    for i in range(int(n)):
	        key = base64.b64encode(os.urandom(32)).decode()
	        with open(f"{folder}/dead{i}.conf", "w") as tenant:
	            tenant.write(f"[Peer]\nPublicKey = {key}\nAllowedIPs = {prefix}{i:x}/128\n")
	        line = f"key={key} name=dead{i} stamp=4000000065{i:014x} endpoint={endpoint}"
	        print(f"{line} sum={fnv(line.encode()):016x}", file=out)
END
lab_tenant gw carol ${PREFIX6}43/128
t0=$(lab_us)
need "the gateway starts with $DEAD dead tenants" lab_gateway gw vps "$GW"
check "it knows them" lab_wait_log gw "$DEAD tenants are known from before"
check "and begins to call them" lab_wait 10 "calls" has_sunk 10
t1=$(lab_us)
lab_wggo_tenant carol carol "$CAROL" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}43/128
check "carol, who is new, gets an answer" lab_reaches carol $WORLD6 5
lab_say "              after $(lab_ms_since "$t1") ms"
check "while they are being called" at_most "$(sunk)" $((DEAD - 1))
check "each is called" lab_wait 30 "all calls" has_sunk $DEAD
lab_say "              $DEAD calls within $(lab_ms_since "$t0") ms"
check "and not all at once" at_least "$(lab_ms_since "$t0")" $((DEAD * 2 * 8 / 10))
# A second attempt would come after 5 s, and 0.3 at most.
lab_in carol ping -n -q -i 0.2 -c 32 $WORLD6 >"$LAB_DIR/carol.out"
check "carol has lost nothing meanwhile" has "$(cat "$LAB_DIR/carol.out")" ' 0% packet loss'
check "and nobody is called twice" is "$(sunk)" $DEAD
