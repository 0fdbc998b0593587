#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `berthd IFNAME` as a process: how it begins and ends, what it takes from its
# environment, and a crowd of peers that comes and goes while packets pass.
#
#   here ------------------- there
#   berthd      eth0         berthd
#   10.9.0.1    192.0.2.0/24 10.9.0.2

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth ss

A=$(lab_if la) B=$(lab_if lb) D=$(lab_if ld)
lab_netns here there
lab_link here eth0 there eth0
lab_addr here eth0 192.0.2.1/24
lab_addr there eth0 192.0.2.2/24
lab_keys a b

no_socket()
{
	lab_wait 5 "the socket of $1 to go" not test -e "$(lab_uapi "$1")"
}

no_device()
{
	lab_wait 5 "the device $1 to go" not lab_ip here link show "$1"
}

# The process behind a device, though it has gone to the background.
pid_of()
{
	# Other processes end while we look: no match is what counts.
	{ grep -lsF "iff:	$1" /proc/[0-9]*/fdinfo/* || :; } | sed -n '1s,/proc/\([0-9]*\)/.*,\1,p'
}

# ---- how it ends -----------------------------------------------------------------

for sig in TERM INT; do
	lab_dropin d here "$D"
	lab_stop d $sig
	check "SIG$sig: status 0" is "$LAB_STATUS" 0
	check "SIG$sig: no socket" not test -e "$(lab_uapi "$D")"
	check "SIG$sig: no device" not lab_ip here link show "$D"
done
lab_dropin d here "$D"
rm "$(lab_uapi "$D")"
check "the socket is removed: it ends, with status 0" lab_join d 5
check "and its device with it" not lab_ip here link show "$D"
lab_dropin d here "$D"
lab_ip here link delete "$D"
check "the device is deleted: it ends, with status 0" lab_join d 5
check "and its socket with it" not test -e "$(lab_uapi "$D")"
lab_dropin d here "$D"
lab_ip here link set "$D" down
lab_ip here link set "$D" mtu 1280 up
check "down and up again is no reason" wg show "$D"
lab_stop d KILL
# Its socket lies there, unless somebody has called `wg`, which removes what does not answer.
lab_start d here "$BERTHD" -f "$D"
check "the next one takes its place" lab_wait_log d ready
check "and answers" wg show "$D"
lab_stop d

# The name is used again at once: no waiting for the one before.
again()
{
	local i

	for i in $(seq 1 20); do
		echo "round $i"
		lab_in here "$BERTHD" "$D" || return 1
		wg set "$D" listen-port 5009 || return 1
		lab_ip here link delete "$D" || return 1
	done
}
check "made and deleted twenty times without a pause" again
check "the last one ends too" no_socket "$D"

# ---- the background ----------------------------------------------------------------

log=$LAB_DIR/background.log
LOG_LEVEL=verbose lab_in here "$BERTHD" "$D" >"$log" 2>&1
pid=$(pid_of "$D")
check "in the background it leads a session of its own" \
	is "$(cut -d ' ' -f 6 "/proc/$pid/stat")" "$pid"
check "LOG_LEVEL=verbose: the log stays where it was" is "$(readlink "/proc/$pid/fd/2")" "$log"
wg set "$D" listen-port 5009
kill "$pid"
check "SIGTERM in the background" no_device "$D"
check "what it says at the end is there too" lab_wait 5 "the last words" grep -q stopping "$log"

for level in '' silent; do
	LOG_LEVEL=$level lab_in here "$BERTHD" "$D" >"$log" 2>&1
	pid=$(pid_of "$D")
	check "LOG_LEVEL='$level': nobody's terminal is held" is "$(readlink "/proc/$pid/fd/2")" /dev/null
	kill "$pid"
	check "and it ends" no_device "$D"
done
check "silent is silent" is "$(cat "$log")" ""
WG_PROCESS_FOREGROUND=1 lab_start d here "$BERTHD" "$D"
check "WG_PROCESS_FOREGROUND=1" lab_wait_socket "$(lab_uapi "$D")"
check "is the foreground" lab_alive d
check "a second one of the name fails, in the background too" not lab_in here "$BERTHD" "$D"
check "and the first one works on" wg show "$D"
lab_stop d

# ---- what it is given --------------------------------------------------------------

# give.py TUN SOCKET command...: a TUN device and a listening socket, handed down.
cat >"$LAB_DIR/give.py" <<'END'
import fcntl, os, socket, struct, sys
tun, path, *command = sys.argv[1:]
if tun:
	fd = os.open("/dev/net/tun", os.O_RDWR)
	fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", tun.encode(), 0x1001))
	os.set_inheritable(fd, True)
	os.environ["WG_TUN_FD"] = str(fd)
if path:
	s = socket.socket(socket.AF_UNIX)
	s.bind(path)
	s.listen(16)
	s.set_inheritable(True)
	os.environ["WG_UAPI_FD"] = str(s.detach())
os.execvp(command[0], command)
END
give()
{
	lab_in here "$PYTHON" "$LAB_DIR/give.py" "$@"
}

lab_start d here "$PYTHON" "$LAB_DIR/give.py" "$D" "$(lab_uapi "$D")" "$BERTHD" -f anyname
check "WG_TUN_FD and WG_UAPI_FD" lab_wait_log d "$D: ready"
check "the name is that of the device" wg set "$D" listen-port 5009
check "and its MTU is set" has "$(lab_ip here link show "$D")" 'mtu 1420'
rm "$(lab_uapi "$D")"
check "the given socket is removed: it ends" lab_join d 5
check "the device goes with it" no_device "$D"
check "WG_TUN_FD in the background" give "$D" '' "$BERTHD" anyname
check "its socket has the device's name" wg show "$D"
lab_ip here link delete "$D"
check "and it ends with its device" no_socket "$D"

# refused PATTERN [VARIABLE=VALUE...] IFNAME: one line that says why; nothing is left.
refused()
{
	local pattern=$1 out

	shift
	! out=$(lab_in here env "$@" 2>&1) || { echo "it started"; return 1; }
	has "$out" "$pattern" && is "$(wc -l <<<"$out")" 1
}
check "WG_TUN_FD is no number" refused "WG_TUN_FD: 'x'" WG_TUN_FD=x "$BERTHD" "$D"
check "WG_TUN_FD is no TUN device" refused "WG_TUN_FD" WG_TUN_FD=0 "$BERTHD" "$D"
check "WG_TUN_FD is not open" refused "WG_TUN_FD" WG_TUN_FD=77 "$BERTHD" "$D"
check "WG_UAPI_FD is no socket" refused "WG_UAPI_FD" WG_UAPI_FD=0 "$BERTHD" "$D"
check "a name that is too long" refused "name of an interface" "$BERTHD" abcdefghijklmnop
check "a name with a path in it" refused "name of an interface" "$BERTHD" ../wg0
check "a name that is somebody else's" refused "already" "$BERTHD" eth0
check "nothing is left of those" not test -e "$(lab_uapi "$D")"

# ---- a crowd comes and goes ----------------------------------------------------------

need "here" lab_dropin a here "$A"
need "there" lab_dropin b there "$B"
wg set "$A" private-key "$LAB_DIR/a.key" listen-port 5001 peer "${PUB[b]}" allowed-ips 10.9.0.2/32
wg set "$B" private-key "$LAB_DIR/b.key" peer "${PUB[a]}" endpoint 192.0.2.1:5001 \
	allowed-ips 10.9.0.1/32
lab_addr here "$A" 10.9.0.1/24
lab_addr there "$B" 10.9.0.2/24
lab_ip here link set "$A" mtu 1420 up
lab_ip there link set "$B" mtu 1420 up
need "the tunnel works" lab_reaches there 10.9.0.1

# crowd.py SOCKET LINES: a set of 10,000 peers in pieces of any size.
cat >"$LAB_DIR/crowd.py" <<'END'
import hashlib, socket, sys
path, lines = sys.argv[1:]
text = ["set=1\n"]
for i in range(10000):
	text.append("public_key=%s\n" % hashlib.sha256(b"%d" % i).hexdigest())
	text.append(lines.replace("IP4", "10.%d.%d.%d" % (100 + i // 65536, i // 256 % 256, i % 256)) \
		.replace("IP6", "fd66::%x" % i).replace(" ", "\n") + "\n")
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(path)
data = ("".join(text) + "\n").encode()
for at in range(0, len(data), 7919):
	s.sendall(data[at:at + 7919])
print(s.recv(4096).decode().strip())
END
crowd()
{
	is "$("$PYTHON" "$LAB_DIR/crowd.py" "$(lab_uapi "$A")" "$1")" errno=0
}

peers()
{
	wg show "$A" peers | wc -l
}

lab_start ping there ping -n -i 0.01 10.9.0.1
lab_wait_log ping 'icmp_seq=5 '
check "10,000 peers in one request" crowd "replace_allowed_ips=true allowed_ip=IP4/32 allowed_ip=IP6/128"
check "are there" is "$(peers)" 10001
check "changed, all of them" crowd "update_only=true allowed_ip=-IP4/32 persistent_keepalive_interval=0"
check "have one address each" is "$(wg show "$A" allowed-ips | grep -c '	fd66::[0-9a-f]*/128$')" 10000
# Somebody stops in the middle of a request: nobody waits for him, nothing is done.
lab_start mute here "$PYTHON" -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b"set=1\nreplace_peers=true\n")
print("half", flush=True)
time.sleep(60)' "$(lab_uapi "$A")"
lab_wait_log mute half
check "an unfinished request does nothing" is "$(peers)" 10001
lab_stop mute
check "nor when its sender is gone" is "$(peers)" 10001
check "removed, all of them" crowd "remove=true"
check "and only those" is "$(wg show "$A" peers)" "${PUB[b]}"
lab_mark ping
lab_wait_log ping 'icmp_seq=.*'
lab_stop ping INT
check "the peer that was there lost no packet" lab_no_gap ping
