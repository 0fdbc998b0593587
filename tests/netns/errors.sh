#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What is wrong is said in one clear sentence; what comes in broken is dropped
# under a name and counted.
#
#   internet ------------- vps ------- (tunnel) alice
#   sends garbage          berthd
#
#   bare: a namespace of its own for machines that lack something

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go setpriv unshare

GW=$(lab_if gw) ALICE=$(lab_if al) TWO=$(lab_if g2)
CONTROL=$LAB_DIR/gw.control

lab_world
lab_netns bare
lab_house alice 95
lab_keys gw alice two
lab_gateway_conf gw "$GW"
lab_tenant gw alice ${PREFIX6}a1/128
need "the gateway starts" lab_gateway gw vps "$GW"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" ${PREFIX6}a1/128
need "alice is there" lab_reaches alice $WORLD6
# She has something to say all the time, so that she notices when nobody answers.
lab_start alice-ping alice ping -n -q -i 0.5 $WORLD6

# fails NAME NS WHAT PATTERN COMMAND...: ends by itself, not with 0, and says PATTERN.
fails()
{
	local name=$1 ns=$2 what=$3 pattern=$4

	shift 4
	lab_start "$name" "$ns" "$@"
	lab_join "$name" 10 || :
	check "$what: ends, not with 0" not is "$LAB_STATUS" 0
	check "$what: by itself" not is "$LAB_STATUS" 124
	check "$what: not by a crash" at_most "$LAB_STATUS" 123
	lab_stop "$name"
	check "$what: says /$pattern/" lab_logged "$name" "$pattern"
	check "$what: in a line or two" at_most "$(lab_since "$name" | wc -l)" 4
	lab_say "              $(lab_since "$name" | tail -n 1 | cut -c1-200)"
}

# A second configuration that shares one thing with the first.
second()
{
	lab_gateway_conf two "$TWO"
	sed -i -e "/^Prefix = 2/d" -e "s|^Uplink = .*|Prefix = 198.51.100.0/24|" -e "s|ListenPort = .*|ListenPort = 51999|" \
		-e "$1" "$LAB_DIR/two.conf"
}

# ---- somebody else is here already -------------------------------------------------

pid=${lab_pid[gw]}
second "s|^Name = .*|Name = $GW|"
fails second vps "the same interface name" "$GW.*($pid|berthd)" \
	"$BERTHD" -c "$LAB_DIR/two.conf"
second "s|ListenPort = .*|ListenPort = $PORT|"
fails second vps "the same port" "$PORT.*($pid|berthd)" \
	"$BERTHD" -c "$LAB_DIR/two.conf"
second "s|^Control = .*|Control = $CONTROL|"
fails second vps "the same control socket" "gw.control.*($pid|berthd)" \
	"$BERTHD" -c "$LAB_DIR/two.conf"
check "the first one never noticed" lab_ping internet ${PREFIX6}a1
check "its sockets are still its own" has "$(wg show "$GW" peers)" '='
lab_stop gw KILL
check "what a killed one left is in nobody's way" lab_gateway gw vps "$GW"
need "alice is back" lab_reaches internet ${PREFIX6}a1 30

# ---- the machine lacks something ----------------------------------------------------

second "s|^$||"
fails bare bare "no /dev/net/tun" "/dev/net/tun" \
	unshare -m sh -c "mount -t tmpfs none /dev/net && exec $BERTHD -c $LAB_DIR/two.conf"
fails dropin bare "no /dev/net/tun, drop-in" "/dev/net/tun" \
	unshare -m sh -c "mount -t tmpfs none /dev/net && exec $BERTHD -f $TWO"

mkdir "$LAB_DIR/nobody"
cp -r "$LAB_DIR/two.conf" "$LAB_DIR/two.d" "$LAB_DIR/two.state" "$LAB_DIR/two.key" "$LAB_DIR/nobody"
sed -i "s|$LAB_DIR/|$LAB_DIR/nobody/|" "$LAB_DIR/nobody/two.conf"
chown -R 65534:65534 "$LAB_DIR/nobody"
fails bare bare "not root" "CAP_NET_ADMIN|root|privilege|permi" \
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all \
	"$BERTHD" -c "$LAB_DIR/nobody/two.conf"

lab_sysctl bare net/ipv6/conf/all/disable_ipv6=1 net/ipv6/conf/default/disable_ipv6=1
second "s|^$||"
check "IPv6 switched off: a gateway for IPv4 starts" lab_router two bare "$(lab_uapi "$TWO")"
check "and shows itself" is "$(wg show "$TWO" listen-port)" 51999
check "and does not complain without end" at_most "$(lab_since two | wc -l)" 20
lab_stop two
check "and ends with status 0" is "$LAB_STATUS" 0

# ---- wrong words -----------------------------------------------------------------------

usage()
{
	local status=0

	"$BERTHD" "$@" </dev/null >"$LAB_DIR/usage.out" 2>&1 || status=$?
	cat "$LAB_DIR/usage.out"
	[ $status -eq 2 ] && grep -qi usage "$LAB_DIR/usage.out"
}
check "no arguments: usage, status 2" usage
check "an unknown option: usage, status 2" usage --nonsense
fails word vps "a file that is not there" "nowhere.conf" "$BERTHD" -c "$LAB_DIR/nowhere.conf"
fails word vps "an interface name that is too long" "abcdefghijklmnop" "$BERTHD" -f abcdefghijklmnop

# berthd -n: every fault of every file, and status 1.
second "s|^$||"
sed -i -e 's|^ListenPort.*|ListenPort = 65536|' "$LAB_DIR/two.conf"
printf '[Peer]\nPublicKey = short\nAllowedIPs = 300.0.0.0/8\nEndpiont = x:1\n' |
	lab_file "$LAB_DIR/two.d/bad.conf"
faults=$(lab_in bare "$BERTHD" -n -c "$LAB_DIR/two.conf" 2>&1) && status=0 || status=$?
check "berthd -n: status 1" is "$status" 1
check "berthd -n: the port" has "$faults" 'two.conf:[0-9]+: .*65536'
check "berthd -n: the key" has "$faults" 'bad.conf:2: '
check "berthd -n: the address" has "$faults" 'bad.conf:3: .*300.0.0.0'
check "berthd -n: the unknown word" has "$faults" 'bad.conf:4: .*Endpiont'
check "berthd -n: a good configuration, status 0" \
	lab_in bare "$BERTHD" -n -c "$LAB_DIR/gw.conf"
chmod 644 "$LAB_DIR/gw.key"
faults=$(lab_in bare "$BERTHD" -n -c "$LAB_DIR/gw.conf" 2>&1) && status=0 || status=$?
check "berthd -n: a key that others can read, status 1" is "$status" 1
check "berthd -n: and how to mend it" has "$faults" 'chmod'
chmod 600 "$LAB_DIR/gw.key"

# ---- garbage from the internet ------------------------------------------------------------

# garbage REASON COUNT WHAT PYTHON: sends the datagrams that the expression makes.
garbage()
{
	local reason=$1 count=$2 what=$3 expression=$4 before

	before=$(lab_drops_of_nobody "$CONTROL" "$reason")
	lab_in internet "$PYTHON" -c "
import os, random, socket, struct
r = random.Random(5)
for host, family in (('$VPS4', socket.AF_INET), ('$VPS6', socket.AF_INET6)):
    s = socket.socket(family, socket.SOCK_DGRAM)
    for data in $expression:
        s.sendto(data, (host, $PORT))
"
	check "$what: counted as $reason" lab_wait 5 "$count more" \
		counted "$reason" $((before + 2 * count))
}

counted()
{
	[ "$(lab_drops_of_nobody "$CONTROL" "$1")" -ge "$2" ] ||
		{ lab_control "$CONTROL" '{"do":"status"}' | jq -c .status.drops; return 1; }
}

garbage malformed 5 "no message at all" "[b'', b'x', b'xx', b'xxx', b'xxxx']"
garbage malformed 4 "a type that is none" "[bytes([t]) + bytes(147) for t in (0, 5, 77, 255)]"
garbage malformed 3 "reserved bytes that are not zero" \
	"[bytes([4, 0, 0, 1]) + bytes(60), bytes([4, 1, 0, 0]) + bytes(60), bytes([1, 0, 9, 0]) + bytes(144)]"
garbage malformed 8 "handshakes of a wrong length" \
	"[bytes([t, 0, 0, 0]) + bytes(n - 4) for t, m in ((1, 148), (2, 92), (3, 64), (4, 32)) for n in (m - 1, 4)]"
garbage malformed 3 "handshakes that are too long" \
	"[bytes([t, 0, 0, 0]) + bytes(n - 3) for t, n in ((1, 148), (2, 92), (3, 64))]"
garbage bad-mac1 3 "handshakes without a mac1" \
	"[bytes([t, 0, 0, 0]) + x for t, x in ((1, r.randbytes(144)), (1, bytes(144)), (2, r.randbytes(88)))]"
garbage unknown-index 1 "a cookie for nothing" "[bytes([3, 0, 0, 0]) + r.randbytes(60)]"
garbage unknown-index 20 "data for no session" \
	"[bytes([4, 0, 0, 0]) + r.randbytes(28 + 16 * n) for n in range(20)]"
garbage unknown-index 1 "as large as they get" "[bytes([4, 0, 0, 0]) + bytes(65000)]"
# Noise of every length: only that nothing breaks.
lab_in internet "$PYTHON" -c "
import random, socket
r = random.Random(6)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(3000):
    s.sendto(bytes([r.randrange(6), 0, 0, 0])[:n] + r.randbytes(max(0, n % 1500 - 4)), ('$VPS4', $PORT))
"
check "after all that, alice is there" lab_ping internet ${PREFIX6}a1 10
check "and has lost nothing but time" lab_has_handshake "$GW" "${PUB[alice]}"
lab_stop gw
check "the gateway ends with status 0" is "$LAB_STATUS" 0
