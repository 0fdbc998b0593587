#!/bin/bash
# SPDX-License-Identifier: MIT
# Clock: 40
# Limit: 180
#
# What a machine runs out of, and what stands still: the disk, descriptors, netlink's memory, a
# thread, the whole process, the clock, the interface. Tenants do not notice, it is said
# once, and it is as before when the fault is over.
#
#   vps ------- internet ---+--- alice   wireguard-go
#  berthd                   +--- bob     berthd -f, comes late
#  state: 64 KiB            +--- home    berthd -c, wg0 in box

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go curl nsenter prlimit

GW=$(lab_if gw) BOX=$(lab_ns box)
CONTROL=$LAB_DIR/gw.control DISK=$LAB_DIR/disk
ALICE=${PREFIX6}a1 BOB=${PREFIX6}b0 BOX6=${PREFIX6}c0
METRICS=http://127.0.0.1:9586/metrics

# ---- what is seen ----------------------------------------------------------------------

# The disk is in the mount namespace of the gateway's process, and gone with it.
on_disk()
{
	nsenter -t "${lab_pid[gw]}" -m "$@"
}

ticks()
{
	awk '{ print $14 + $15 }' "/proc/${lab_pid[$1]}/stat"
}

fds()
{
	find "/proc/${lab_pid[$1]}/fd" -mindepth 1 | wc -l
}

has_fds()
{
	is "$(fds "$1")" "$2"
}

# The first descriptor that the process would get now.
next_fd()
{
	local fd=0

	while [ -L "/proc/${lab_pid[$1]}/fd/$fd" ]; do
		fd=$((fd + 1))
	done
	echo $fd
}

# Of alice: what was received, as the gateway says, and as it is on the disk.
received()
{
	lab_control "$CONTROL" '{"do":"show","name":"alice"}' | jq .tenant.rx_packets
}

on_disk_received()
{
	local n

	# The journal is younger than the rest, and its end than its beginning.
	n=$(on_disk cat "$DISK/state/tenants" "$DISK/state/tenants.journal" 2>/dev/null |
		sed -n 's/.* name=alice .* rx=[0-9]*,\([0-9]*\).*/\1/p' | tail -n 1)
	echo "$n"
	[ "${n:-0}" -ge "$1" ]
}

alice_is_well()
{
	check "$1: alice is reached" lab_ping internet $ALICE 3
	check "$1: in the same session" is "$(lab_handshake "$GW" "${PUB[alice]}")" "$session"
}

# Who tries to write everything down anew lets go of it.
holds_journal()
{
	[ -n "$(find "/proc/${lab_pid[gw]}/fd" -lname '*tenants*')" ]
}

nobody_asks()
{
	[ -z "$(lab_in vps ss -Htn state established sport = :9586)" ]
}

# limit_of PROCESS: of descriptors, soft and hard.
limit_of()
{
	prlimit --pid "${lab_pid[$1]}" --nofile --output SOFT,HARD --noheadings |
		awk '{ print $1 ":" $2 }'
}

followed_again()
{
	! lab_logged home 'cannot follow changes' || lab_logged home 'can be followed again'
}

said_times()
{
	is "$(lab_since gw | grep -cE -e "$1")" "$2"
}

lab_world
lab_house alice 31
lab_house bob 32
lab_house home 33
lab_netns box
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=2
lab_keys gw alice bob box two carol
lab_gateway_conf gw "$GW" "MetricsListen = 9586"
sed -i "s|^State = .*|State = $DISK/state|" "$LAB_DIR/gw.conf"
mkdir "$DISK"
lab_tenant gw alice $ALICE/128
lab_tenant gw box $BOX6/128
need "a clock that can be set" lab_clock
LD_PRELOAD=$LAB_CLOCK ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 \
	lab_start gw vps sh -c "LD_PRELOAD= mount -t tmpfs -o size=64k,mode=700 tmpfs '$DISK'
	exec '$BERTHD' -c '$LAB_DIR/gw.conf'"
need "the gateway starts" lab_wait_socket "$(lab_uapi "$GW")" 10
lab_wggo_tenant alice alice "$(lab_if al)" "${PUB[gw]}" "$(lab_endpoint 4)" $ALICE/128 \
	persistent-keepalive 1
need "alice is reached" lab_reaches internet $ALICE
session=$(lab_handshake "$GW" "${PUB[alice]}")

# ---- the disk ---------------------------------------------------------------------------
# (it is tried again each 5 s, and other faults come meanwhile)

need "alice is on the disk" lab_wait 5 "her line" on_disk_received 1
lab_mark gw
# All of it, and the rest of the journal's last page.
on_disk sh -c "cat /dev/zero >$DISK/fill; tr '\0' '\n' </dev/zero >>$DISK/state/tenants.journal" \
	>"$LAB_DIR/fill.out" 2>&1 || :
need "the disk is full" has "$(cat "$LAB_DIR/fill.out")" 'No space left'
check "full disk: said" lab_wait_log gw 'disk is full: make room; until then a restart forgets' 5
alice_is_well "full disk"

# ---- the process and its clock ---------------------------------------------------------------

kill -STOP "${lab_pid[gw]}"
check "stopped: nobody is reached" lab_silent internet $ALICE
kill -CONT "${lab_pid[gw]}"
alice_is_well "goes on"

for way in +:ahead -:behind; do
	lab_set_clock "${way%:*}"
	alice_is_well "the clock is an hour ${way#*:}"
	lab_set_clock 0
	alice_is_well "the clock was ${way#*:}"
done

# ---- and the disk is read-only --------------------------------------------------------------

check "full disk: the journal is not held open" \
	lab_wait 8 "it" not holds_journal
on_disk mount -o remount,ro tmpfs "$DISK"

# ---- descriptors of a tunnel ------------------------------------------------------------------

lab_home_conf home
box_file()
{
	lab_tunnel home box $BOX6/128 "$(lab_endpoint 6)" '[Container]' "Netns = $BOX" 'Name = wg0'
}
# Each time another one is the first that is missing: of a file, of a socket, of the device.
for spare in 0 3 6; do
	need "home starts" lab_router home home "$LAB_DIR/home.control"
	limit=$(limit_of home)
	lab_mark home
	prlimit --pid "${lab_pid[home]}" --nofile="$(($(next_fd home) + spare)):${limit#*:}"
	box_file
	check "$spare descriptors at home: said" lab_wait_log home 'Too many open files'
	lab_wait 1 "an attempt" false >/dev/null || :
	prlimit --pid "${lab_pid[home]}" --nofile="$limit"
	check "descriptors again at home: the tunnel is up" lab_wait_log home 'tunnel box: wg0 is up'
	check "descriptors again at home: it follows the network" followed_again
	check "descriptors again at home: nothing was said twice" is \
		"$(lab_since home | cut -d' ' -f2- | sort | uniq -d)" ""
	[ $spare = 6 ] || { lab_stop home; rm "$LAB_DIR/home.d/box.conf"; }
done
check "descriptors again at home: the container is reached" lab_reaches internet $BOX6 5

check "read-only disk: said" lab_wait_log gw 'not allowed to write there: name a folder that is' 10
alice_is_well "read-only disk"
check "each is said once" said_times 'until then' 2
on_disk mount -o remount,rw,size=64k tmpfs "$DISK"
on_disk rm "$DISK/fill"
kept=$(received)

# ---- netlink ------------------------------------------------------------------------------------

has_route()
{
	has "$(lab_ip vps -6 route show $ALICE dev "$GW")" "$ALICE"
}

# Of all netlink sockets there: events that found no room.
lost_events()
{
	# shellcheck disable=SC2016 # the variables are awk's
	lab_in vps awk 'NR > 1 { n += $9 } END { print n + 0 }' /proc/net/netlink
}

before=$(lost_events)
lab_start hold vps "$PYTHON" -u "$ROOT/tools/lab/holdthread" "${lab_pid[gw]}"
lab_wait_log hold '^held'
for i in {1..4000}; do
	echo "route add 2001:db8:0:$(printf %x "$i")::/64 dev lo"
done >"$LAB_DIR/batch"
lab_ip vps -6 -batch "$LAB_DIR/batch"
check "control stands still, netlink overflows" at_least "$(lost_events)" $((before + 1))
lab_ip vps route del $ALICE/128 dev "$GW"
lab_stop hold
check "overflown: what was not told of is found out" lab_wait 10 "the route" has_route
alice_is_well "overflown"

# ---- and the disk is well again ---------------------------------------------------------------

check "room again: said" lab_wait_log gw 'State = .*: can be written again' 10
check "room again: all was kept" lab_wait 5 "her line" on_disk_received "$kept"

lab_mark gw
on_disk find "$DISK/state" -type f -delete
before=$(received)
check "the files are deleted: said" lab_wait_log gw 'taken the folder .* away: all of it is written anew'
check "the files are deleted: all of it is there again" lab_wait 5 "her line" on_disk_received "$before"
check "the files are deleted: for itself alone" \
	is "$(on_disk find "$DISK/state" -type f -printf "%m\\n" | sort -u)" 600
alice_is_well "the files are deleted"

# ---- descriptors -----------------------------------------------------------------------------

# ask NAME COMMAND...: somebody who has to wait for his answer.
ask()
{
	lab_start "$1" vps "${@:2}"
}

curl_metrics()
{
	lab_in vps curl -sS --fail --max-time 20 -o "$LAB_DIR/metrics" $METRICS
}

need "metrics come" curl_metrics
need "and are over" lab_wait 5 "it" nobody_asks
open=$(fds gw)
limit=$(limit_of gw)
lab_mark gw
prlimit --pid "${lab_pid[gw]}" --nofile="$(next_fd gw):${limit#*:}"
lab_tenant gw carol ${PREFIX6}ca/128
ask late-control "$BERTH" list --control "$CONTROL"
ask late-metrics curl -sS --fail --max-time 30 $METRICS
check "no descriptors: said" lab_wait_log gw 'Too many open files'
before=$(ticks gw)
check "no descriptors: alice is reached" lab_ping internet $ALICE 3
lab_wait 2 "two seconds to pass" false >/dev/null || :
check "no descriptors: nobody spins" at_most $(($(ticks gw) - before)) $((40 * LAB_SLOW))
check "no descriptors: said once" said_times 'gw.d: Too many open files' 1
check "no descriptors: of State, too" said_times 'State = .*Too many open files' 1
prlimit --pid "${lab_pid[gw]}" --nofile="$limit"
check "descriptors again: the new tenant is in force" lab_wait_peer "$GW" "${PUB[carol]}"
check "descriptors again: who asked is answered" lab_join late-control 10
check "descriptors again: rightly" lab_logged late-control carol
check "descriptors again: and the metrics" lab_join late-metrics 20
check "descriptors again: rightly" lab_logged late-metrics 'berth_'
alice_is_well "descriptors again"
check "descriptors again: none is lost" lab_wait 15 "them" has_fds gw "$open"
lab_say "              $(lab_since gw | grep -E 'open files|again' | tail -n 3 | cut -c1-150)"

# ---- sockets --------------------------------------------------------------------------------------

lab_mark gw
rm "$CONTROL" "$(lab_uapi "$GW")"
check "sockets are deleted: said" lab_wait_log gw 'control: somebody has removed this socket'
check "sockets are deleted: berth is answered" lab_wait 5 "an answer" "$BERTH" show alice --control "$CONTROL"
check "sockets are deleted: for root alone" is "$(stat -c %a "$CONTROL")" 600
alice_is_well "sockets are deleted"
# As long as it is somebody else's, it stays so.
lab_start squatter vps "$PYTHON" -uc 'import os, socket, sys, signal
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1] + ".his")
s.listen()
os.rename(sys.argv[1] + ".his", sys.argv[1])
print("there")
signal.pause()' "$CONTROL"
lab_wait_log squatter there
check "another's socket in its place: said whose" lab_wait_log gw 'control.*python'
lab_wait 2 "two attempts" false >/dev/null || :
check "another's socket in its place: once" said_times 'control.*python' 1
lab_stop squatter
check "another's socket in its place: gone with him" \
	lab_wait 5 "an answer" "$BERTH" show alice --control "$CONTROL"

# ---- threads ---------------------------------------------------------------------------------------

# Good first initiations of strangers, whose tenants there are none of: as far as mac1 goes.
initiations()
{
	lab_in internet "$PYTHON" -c '
import base64, hashlib, os, socket, struct, sys
key = hashlib.blake2s(b"mac1----" + base64.b64decode(sys.argv[2])).digest()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[3])):
    m = b"\1\0\0\0" + os.urandom(112)
    s.sendto(m + hashlib.blake2s(m, digest_size=16, key=key).digest() + bytes(16),
             (sys.argv[1], '$PORT'))' $VPS4 "${PUB[gw]}" "$1"
}

asked_for_cookie()
{
	at_least "$(lab_drops_of_nobody "$CONTROL" under-load)" 1
}

thread=$(grep -lx handshake "/proc/${lab_pid[gw]}/task"/*/comm)
lab_tenant gw bob $BOB/128
lab_wait_peer "$GW" "${PUB[bob]}"
lab_start hold vps "$PYTHON" -u "$ROOT/tools/lab/holdthread" "$(basename "${thread%/comm}")"
lab_wait_log hold '^held'
initiations 1000
check "no handshakes: who asks is asked to prove his address" lab_wait 5 "it" asked_for_cookie
alice_is_well "no handshakes"
lab_dropin bob bob "$(lab_if bo)"
wg set "$(lab_if bo)" private-key "$LAB_DIR/bob.key" peer "${PUB[gw]}" \
	endpoint "$(lab_endpoint 6)" allowed-ips ::/0
lab_tunnel_up bob "$(lab_if bo)" $BOB/128
check "no handshakes: none for new ones" not lab_in bob ping -n -c 1 -W 1 $WORLD6
lab_stop hold
check "handshakes again: the new one is let in" lab_reaches bob $WORLD6 15

# ---- the interface ----------------------------------------------------------------------------------

lab_ip vps link set "$GW" down
before=$(lab_drops_of_nobody "$CONTROL" tun-write)
lab_in alice ping -n -i 0.05 -c 3 -W 1 $WORLD6 >/dev/null || :
check "the interface is down: what it does not take is counted" \
	at_least "$(lab_drops_of_nobody "$CONTROL" tun-write)" $((before + 3))
lab_ip vps link set "$GW" up
check "the interface is up" lab_reaches internet $ALICE
alice_is_well "the interface is up"

# Without Landlock it would simply be made anew.
lab_mark gw
on_disk rm -r "$DISK/state"
check "the folder of State is deleted: said" \
	lab_wait_log gw 'a folder in its place is out of reach|State = .*: can be written again' 10
alice_is_well "the folder of State is deleted"

lab_mark home
lab_ip box link delete wg0
check "a tunnel's interface is deleted: made anew" lab_wait_log home 'its interface is gone: making it anew'
check "a tunnel's interface is deleted: reached" lab_reaches internet $BOX6
lab_ip vps link delete "$GW"
check "the gateway's is deleted: said, and the end" lab_wait_log gw 'interface was deleted: stopping'
lab_join gw 5 || :
check "the gateway's is deleted: a failure, for the service manager to start it anew" is "$LAB_STATUS" 1
