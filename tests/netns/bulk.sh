#!/bin/bash
# SPDX-License-Identifier: MIT
#
# 1 GB up and 1 GB down, and every byte is what it was. QUICK=1: 64 MB.
# Limit: 400
#
#   vps ------- internet ---+--- alice   wireguard-go, IPv4 outside
#  berthd                   +--- bob     berthd -f IF, IPv6 outside

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw)
MB=1000
[ -z "${QUICK:-}" ] || MB=64

# One end sends blocks that never repeat, the other one reads; each prints the
# SHA-256 of what went by. Nothing touches a disk.
cat >"$LAB_DIR/bulk.py" <<-'END'
	import hashlib, random, socket, sys
	role, where, megabytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
	MB = 1000 * 1000

	def send(s):
	    block = random.Random(7).randbytes(MB)
	    digest = hashlib.sha256()
	    for i in range(megabytes):
	        data = i.to_bytes(8, "big") + block[i:-8] + block[:i]
	        digest.update(data)
	        s.sendall(data)
	    s.shutdown(socket.SHUT_WR)
	    s.recv(1)
	    return digest

	def receive(s):
	    digest, left = hashlib.sha256(), megabytes * MB
	    while left:
	        data = s.recv(1 << 18)
	        if not data:
	            sys.exit(f"{left} bytes short")
	        digest.update(data)
	        left -= len(data)
	    return digest

	if role.startswith("serve"):
	    listener = socket.create_server((where, 7777), family=socket.AF_INET6)
	    print("listening", flush=True)
	    s, _ = listener.accept()
	else:
	    s = socket.create_connection((where, 7777), timeout=60)
	print(((send if role.endswith("send") else receive)(s)).hexdigest())
END

bulk()
{
	local ns=$1 here=$2 there=$3 t0 mark=$1-$2

	t0=$(lab_us)
	lab_start "$mark-server" internet "$PYTHON" "$LAB_DIR/bulk.py" "serve-$there" $WORLD6 $MB
	lab_wait_log "$mark-server" listening
	lab_start "$mark" "$ns" "$PYTHON" "$LAB_DIR/bulk.py" "call-$here" $WORLD6 $MB
	check "$4: $MB MB arrive" lab_join "$mark" 170
	check "$4: the server is done" lab_join "$mark-server" 5
	lab_say "              $(awk -v mb=$MB -v ms="$(lab_ms_since "$t0")" \
		'BEGIN { printf "%d Mbit/s", mb * 8000 / ms }')"
	check "$4: every byte is what it was" is "$(cat "$(lab_log "$mark")")" \
		"$(tail -n 1 "$(lab_log "$mark-server")")"
}

lab_world
lab_keys gw alice bob
lab_gateway_conf gw "$GW"
lab_tenant gw alice ${PREFIX6}61/128
lab_tenant gw bob ${PREFIX6}62/128
need "the gateway starts" lab_gateway gw vps "$GW"
for tenant in alice:61:4 bob:62:6; do
	IFS=: read -r who n outside <<<"$tenant"
	dev=$(lab_if "t$n")
	lab_house "$who" "$n"
	if [ "$who" = alice ]; then
		lab_wggo "$who" "$who" "$dev"
	else
		lab_dropin "$who" "$who" "$dev"
	fi
	wg set "$dev" private-key "$LAB_DIR/$who.key" peer "${PUB[gw]}" \
		endpoint "$(lab_endpoint "$outside")" allowed-ips ::/0
	lab_tunnel_up "$who" "$dev" "${PREFIX6}$n/128"
	need "$who: reaches the world" lab_reaches "$who" $WORLD6
	bulk "$who" send receive "$who, up"
	bulk "$who" receive send "$who, down"
	check "$who: wg has counted all of it, up" at_least \
		"$(lab_transfer "$GW" "${PUB[$who]}" rx)" ${MB}000000
	check "$who: wg has counted all of it, down" at_least \
		"$(lab_transfer "$GW" "${PUB[$who]}" tx)" ${MB}000000
done
