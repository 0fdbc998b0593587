#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `berthd IFNAME` in the place of `wireguard-go IFNAME`: everything `wg` can say.
#
#   here ------------------- there
#   berthd -f IF    eth0     wireguard-go -f IF
#   192.0.2.1                192.0.2.2
#   10.9.0.1, fd09::1        10.9.0.2, fd09::2 (and more, for moved addresses)

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

A=$(lab_if da) B=$(lab_if db) D=$(lab_if dd)
SOCK=$(lab_uapi "$A")
lab_netns here there
lab_link here eth0 there eth0
lab_addr here eth0 192.0.2.1/24 2001:db8::1/64
lab_addr there eth0 192.0.2.2/24 2001:db8::2/64
lab_keys a b c d new
wg genpsk | lab_file "$LAB_DIR/psk"

need "berthd -f IFNAME starts" lab_dropin a here "$A"
lab_wggo b there "$B"

# ---- an empty interface ------------------------------------------------------

check "wg show lists the interface" has "$(wg show interfaces)" "$A"
check "no key yet" is "$(wg show "$A" private-key)" "(none)"
check "no peers yet" is "$(wg show "$A" peers)" ""
check "the device is there, down" has "$(lab_ip here -o link show "$A")" 'state DOWN'

# ---- wg set, every field -----------------------------------------------------

check "wg set: private key, port, mark" \
	wg set "$A" private-key "$LAB_DIR/a.key" listen-port 5001 fwmark 0x77
check "wg set: a peer with everything" wg set "$A" peer "${PUB[b]}" \
	preshared-key "$LAB_DIR/psk" endpoint 192.0.2.2:5002 persistent-keepalive 33 \
	allowed-ips 10.9.0.2/32,fd09::2/128
check "shown: public key" is "$(wg show "$A" public-key)" "${PUB[a]}"
check "shown: private key" is "$(wg show "$A" private-key)" "${KEY[a]}"
check "shown: port" is "$(wg show "$A" listen-port)" 5001
check "shown: mark" is "$(wg show "$A" fwmark)" 0x77
check "shown: peer" is "$(wg show "$A" peers)" "${PUB[b]}"
check "shown: preshared key" is "$(wg show "$A" preshared-keys)" \
	"${PUB[b]}	$(cat "$LAB_DIR/psk")"
check "shown: endpoint" is "$(wg show "$A" endpoints)" "${PUB[b]}	192.0.2.2:5002"
check "shown: keepalive" is "$(wg show "$A" persistent-keepalive)" "${PUB[b]}	33"
check "shown: no handshake yet" is "$(lab_handshake "$A" "${PUB[b]}")" 0
check "shown: allowed IPs" has "$(wg show "$A" allowed-ips)" \
	"(10.9.0.2/32 fd09::2/128|fd09::2/128 10.9.0.2/32)"
wg set "$A" fwmark 0
check "mark off" is "$(wg show "$A" fwmark)" off

# ---- it carries --------------------------------------------------------------

wg set "$B" private-key "$LAB_DIR/b.key" listen-port 5002 peer "${PUB[a]}" \
	preshared-key "$LAB_DIR/psk" endpoint 192.0.2.1:5001 allowed-ips 10.9.0.1/32,fd09::1/128
lab_addr here "$A" 10.9.0.1/24 fd09::1/64
lab_addr there "$B" 10.9.0.2/24 fd09::2/64
lab_ip here link set "$A" mtu 1420 up
lab_ip there link set "$B" mtu 1420 up
check "tunnel, IPv4 inside" lab_reaches here 10.9.0.2
check "tunnel, IPv6 inside" lab_ping here fd09::2 10
check "shown: a handshake" lab_has_handshake "$A" "${PUB[b]}"
check "shown: bytes received" at_least "$(lab_transfer "$A" "${PUB[b]}" rx)" 1000
check "shown: bytes sent" at_least "$(lab_transfer "$A" "${PUB[b]}" tx)" 1000
check "wg show in full prints it for people" has "$(wg show "$A")" 'latest handshake: '

# Down and up again, as wg-quick and ifupdown do it.
lab_ip here link set "$A" down
check "down: nothing passes" lab_silent there 10.9.0.1
lab_ip here link set "$A" up
check "up again: passes" lab_reaches here 10.9.0.2

# IPv6 outside
wg set "$A" peer "${PUB[b]}" endpoint '[2001:db8::2]:5002'
check "IPv6 outside" lab_ping here 10.9.0.2 5
check "the other side follows" has "$(wg show "$B" endpoints)" '\[2001:db8::1\]:5001'

# ---- allowed IPs -------------------------------------------------------------

wg set "$A" peer "${PUB[c]}" allowed-ips 10.9.0.3/32,10.8.0.0/16
wg set "$A" peer "${PUB[b]}" allowed-ips 10.9.0.2/32,fd09::2/128,10.9.0.3/32
check "an address moves to the peer that asked last" \
	is "$(wg show "$A" allowed-ips | grep "^${PUB[c]}")" "${PUB[c]}	10.8.0.0/16"
lab_addr there "$B" 10.9.0.3/32
check "and its packets go there" lab_ping here 10.9.0.3
wg set "$A" peer "${PUB[b]}" allowed-ips 10.9.0.2/32
check "allowed-ips replaces" \
	is "$(wg show "$A" allowed-ips | grep "^${PUB[b]}")" "${PUB[b]}	10.9.0.2/32"
check "what was replaced is silent" lab_silent here 10.9.0.3
check "host bits are masked" wg set "$A" peer "${PUB[c]}" allowed-ips 10.8.7.6/16,fd08::77/64
check "masked as the kernel does" has "$(wg show "$A" allowed-ips)" "10.8.0.0/16.*fd08::/64|fd08::/64.*10.8.0.0/16"
wg set "$A" peer "${PUB[c]}" allowed-ips ''
check "no addresses at all" is "$(wg show "$A" allowed-ips | grep "^${PUB[c]}")" "${PUB[c]}	(none)"
check "keepalive off" wg set "$A" peer "${PUB[b]}" persistent-keepalive off
check "preshared key off" wg set "$A" peer "${PUB[b]}" preshared-key /dev/null
check "shown: off" is "$(wg show "$A" preshared-keys | grep "^${PUB[b]}")" "${PUB[b]}	(none)"
wg set "$B" peer "${PUB[a]}" preshared-key /dev/null
check "the session outlives the change of the preshared key" lab_ping here 10.9.0.2 5

# ---- peers come and go ---------------------------------------------------------

wg set "$A" peer "${PUB[d]}" allowed-ips 10.7.0.0/24
wg set "$A" peer "${PUB[c]}" remove
check "removed" not lab_has_peer "$A" "${PUB[c]}"
check "others stay" lab_has_peer "$A" "${PUB[d]}"
check "removing what is not there is fine" wg set "$A" peer "${PUB[c]}" remove
wg set "$A" peer "${PUB[b]}" remove
check "the removed peer's session is dead" lab_silent there 10.9.0.1
wg set "$A" peer "${PUB[b]}" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 192.0.2.2:5002
check "added again, it talks again" lab_reaches here 10.9.0.2

# ---- port and key --------------------------------------------------------------

check "listen port changes" wg set "$A" listen-port 5011
check "shown" is "$(wg show "$A" listen-port)" 5011
check "the old port is free" not has "$(lab_in here ss -Hnlu)" ':5001 '
check "the tunnel goes on from the new port" lab_reaches here 10.9.0.2
check "the other side has learned it" has "$(wg show "$B" endpoints)" ':5011$'
wg set "$A" listen-port 0
check "port 0 is a port of the kernel's choice" \
	at_least "$(wg show "$A" listen-port)" 1024
wg set "$A" listen-port 5011
check "private key changes" wg set "$A" private-key "$LAB_DIR/new.key"
check "shown" is "$(wg show "$A" public-key)" "${PUB[new]}"
check "old key: no longer accepted by the other side" lab_silent here 10.9.0.2
wg set "$B" peer "${PUB[a]}" remove peer "${PUB[new]}" allowed-ips 10.9.0.1/32,fd09::1/128 \
	endpoint 192.0.2.1:5011
check "the tunnel comes back with the new key" lab_reaches there 10.9.0.1
check "a peer with our own key is not taken" not lab_has_peer "$A" "$(
	wg set "$A" peer "${PUB[new]}" allowed-ips 10.6.0.0/24 >/dev/null 2>&1 || :
	echo "${PUB[new]}"
)"

# ---- setconf, syncconf, showconf -----------------------------------------------

cat >"$LAB_DIR/wg.conf" <<-END
	[Interface]
	PrivateKey = ${KEY[a]}
	ListenPort = 5001

	[Peer]
	PublicKey = ${PUB[b]}
	PresharedKey = $(cat "$LAB_DIR/psk")
	AllowedIPs = 10.9.0.2/32, fd09::2/128
	Endpoint = 192.0.2.2:5002
	PersistentKeepalive = 25

	[Peer]
	PublicKey = ${PUB[c]}
	AllowedIPs = 10.8.0.0/16
END
check "wg setconf" wg setconf "$A" "$LAB_DIR/wg.conf"
check "replaces all peers" not lab_has_peer "$A" "${PUB[d]}"
check "brings the new ones" is "$(wg show "$A" peers | sort)" \
	"$(printf '%s\n' "${PUB[b]}" "${PUB[c]}" | sort)"
wg showconf "$A" >"$LAB_DIR/shown.conf"
wg setconf "$A" "$LAB_DIR/shown.conf"
check "wg showconf, read back, is the same" is "$(wg showconf "$A")" "$(cat "$LAB_DIR/shown.conf")"
wg set "$B" peer "${PUB[new]}" remove peer "${PUB[a]}" preshared-key "$LAB_DIR/psk" \
	endpoint 192.0.2.1:5001 allowed-ips 10.9.0.1/32,fd09::1/128
check "and carries" lab_reaches there 10.9.0.1

seen=$(lab_handshake "$A" "${PUB[b]}")
sed "s|AllowedIPs = 10.8.0.0/16|AllowedIPs = 10.5.0.0/16|" "$LAB_DIR/wg.conf" >"$LAB_DIR/sync.conf"
lab_start ping there ping -n -i 0.02 10.9.0.1
lab_wait_log ping 'icmp_seq=5 '
check "wg syncconf" wg syncconf "$A" "$LAB_DIR/sync.conf"
lab_mark ping
lab_wait_log ping 'icmp_seq=.*'
check "changes what differs" contains "$(wg show "$A" allowed-ips)" "${PUB[c]}	10.5.0.0/16"
check "keeps the session of who did not change" is "$(lab_handshake "$A" "${PUB[b]}")" "$seen"
lab_stop ping INT
check "who lost no packet" lab_no_gap ping
check "wg addconf" wg addconf "$A" <(printf '[Peer]\nPublicKey = %s\nAllowedIPs = fd07::/64\n' "${PUB[d]}")
check "adds and keeps" is "$(wg show "$A" peers | wc -l)" 3

# ---- the socket itself ---------------------------------------------------------

# uapi TEXT: sends it as it stands, prints the answer.
uapi()
{
	printf '%b' "$1" | "$PYTHON" -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
out = b""
while not out.endswith(b"\n\n"):
    got = s.recv(65536)
    if not got:
        break
    out += got
print(out.decode())' "$SOCK"
}

hex()
{
	base64 -d <<<"$1" | od -An -vtx1 | tr -d ' \n'
}

B_HEX=$(hex "${PUB[b]}")
check "get=1 ends with errno=0" is "$(uapi 'get=1\n\n' | grep . | tail -n 1)" errno=0
check "get=1 is in protocol version 1" has "$(uapi 'get=1\n\n')" '^protocol_version=1$'
# "operation EINVAL": -EINVAL is 22.
while read -r what text; do
	check "refused: $what" has "$(uapi "$text")" '^errno=-?(22|71|5)$'
done <<-END
	unknown-word set=1\nnonsense=1\n\n
	no-value set=1\nlisten_port\n\n
	port-too-large set=1\nlisten_port=65536\n\n
	port-negative set=1\nlisten_port=-1\n\n
	port-with-tail set=1\nlisten_port=51x\n\n
	short-key set=1\nprivate_key=abcd\n\n
	key-not-hex set=1\npublic_key=${B_HEX%?}g\n\n
	peer-word-first set=1\nallowed_ip=10.0.0.0/8\n\n
	bad-address set=1\npublic_key=$B_HEX\nallowed_ip=10.0.0/8\n\n
	prefix-too-long set=1\npublic_key=$B_HEX\nallowed_ip=10.0.0.0/33\n\n
	endpoint-no-port set=1\npublic_key=$B_HEX\nendpoint=192.0.2.2\n\n
	endpoint-a-name set=1\npublic_key=$B_HEX\nendpoint=example.invalid:1\n\n
	keepalive-too-large set=1\npublic_key=$B_HEX\npersistent_keepalive_interval=65536\n\n
	protocol-version-2 set=1\npublic_key=$B_HEX\nprotocol_version=2\n\n
END
check "after all that, all is as it was" is "$(wg show "$A" peers | wc -l)" 3
check "update_only makes no peer" has "$(uapi "set=1\npublic_key=$(hex "${PUB[new]}")\nupdate_only=true\nallowed_ip=10.4.0.0/16\n\n")" '^errno=0$'
check "no peer came of it" not lab_has_peer "$A" "${PUB[new]}"
check "several requests on one connection" \
	is "$(printf 'get=1\n\nget=1\n\n' | timeout 5 "$PYTHON" -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(3)
s.connect(sys.argv[1])
n = 0
for _ in range(2):
    s.sendall(b"get=1\n\n")
    out = b""
    while not out.endswith(b"\n\n"):
        got = s.recv(65536)
        if not got:
            sys.exit("closed")
        out += got
    n += out.count(b"errno=0\n\n")
print(n)' "$SOCK")" 2

# Several clients at once, one of which says nothing and one half a line.
lab_start mute here "$PYTHON" -c '
import socket, sys, time
a = socket.socket(socket.AF_UNIX); a.connect(sys.argv[1])
b = socket.socket(socket.AF_UNIX); b.connect(sys.argv[1]); b.sendall(b"set=1\nlisten_p")
print("connected", flush=True)
time.sleep(60)' "$SOCK"
lab_wait_log mute connected
many()
{
	local i pids=()

	for i in $(seq 1 20); do
		wg set "$A" peer "${PUB[d]}" allowed-ips "10.3.$i.0/24" &
		pids+=($!)
		wg show "$A" dump >>"$LAB_DIR/many.out" &
		pids+=($!)
	done
	wait "${pids[@]}"
}
check "forty clients at once, and two that dawdle" many
check "each got a whole answer" is "$(wc -l <"$LAB_DIR/many.out")" 80
lab_stop mute
check "the tunnel never noticed" lab_ping there 10.9.0.1

# ---- beginning and end -----------------------------------------------------------

check "a second one on the same name says who has it" not lab_in here "$BERTHD" -f "$A"
check "and does no harm" lab_ping there 10.9.0.1
lab_stop a
check "ends with status 0" is "$LAB_STATUS" 0
check "takes its socket with it" not test -e "$SOCK"
check "and its device" not lab_ip here link show "$A"

# Without -f: the shell returns when the interface is there.
check "berthd IFNAME goes into the background" lab_in here "$BERTHD" "$D"
check "when it returns, wg answers" wg show "$D"
lab_ip here link delete "$D"
check "it ends when its device is deleted" lab_wait 5 "the socket to go" not test -e "$(lab_uapi "$D")"
