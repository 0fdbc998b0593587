#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the router has given up, seen from outside; and that all it has to do later
# still works: tenants and tunnels that come and go, uplinks that go and come, a
# restart after a crash, keys that are root's alone.
#
#   vps ------- internet ------- home       --- wg0 in box
#  berthd                       berthd        (a namespace that comes and goes)
#  User = nobody                User = nobody

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth nsenter

GW=$(lab_if gw) BOX=$(lab_ns box)
A6=${PREFIX6}b0
STATE=$LAB_DIR/gw.state
NOBODY=$(id -u nobody)

# Bits of linux/capability.h, in hexadecimal as /proc has them.
NET_ADMIN=0x1000 NET_BIND_SERVICE=0x400 DAC_OVERRIDE=0x2 IPC_LOCK=0x4000
caps()
{
	printf '%016x' $(($1))
}
NONE=$(caps 0)
# Where the limit of locked memory cannot be raised, who holds keys may lock them without.
LOCK=0
MEMLOCK=$(ulimit -H -l)
[ "$MEMLOCK" = unlimited ] || "$PYTHON" -c 'import resource as r
r.setrlimit(r.RLIMIT_MEMLOCK, (r.RLIM_INFINITY, r.RLIM_INFINITY))' 2>/dev/null || LOCK=$IPC_LOCK
# CAP_BPF; before Linux 5.8 CAP_SYS_ADMIN was it, too.
BPF=0x8000000000 SYS_ADMIN=0x200000
[ "$(cat /proc/sys/kernel/cap_last_cap)" -ge 39 ] || BPF=$SYS_ADMIN
# CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE.
BROKER_CAPS=$(caps "0x83004|$SYS_ADMIN|$BPF")
# CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE: neither namespaces nor packet sockets.
DROPIN_BROKER_CAPS=$(caps "0x80004|$BPF")

# A sanitizer's build has no filter: its runtime needs more calls.
FILTER=2
! grep -q __asan_init "$BERTHD" && ! grep -q __tsan_init "$BERTHD" || FILTER=0

# field PID[/task/TID] NAME
field()
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

# threads PID: "name effective permitted bounding no_new_privs seccomp", each once.
threads()
{
	local t

	for t in "/proc/$1/task"/*; do
		t=$1/task/$(basename "$t")
		echo "$(field "$t" Name) $(field "$t" CapEff) $(field "$t" CapPrm)" \
			"$(field "$t" CapBnd) $(field "$t" NoNewPrivs) $(field "$t" Seccomp)"
	done | sort -u
}

# threads_are PID BITS KIND...: those kinds are there; the first thread has these capabilities,
# and none has more than its own.
threads_are()
{
	local pid=$1 all kept locks override kind

	kept=$(caps "$2|$LOCK") locks=$(caps "$LOCK") override=$(caps $DAC_OVERRIDE) all=$(threads "$1")
	shift 2
	echo "$pid, expected: $kept"
	echo "$all"
	not grep -vE "^(berthd $kept $kept|(worker|handshake) $locks $locks|(reclaim|lookup) $NONE $NONE|writer $override $override) $NONE 1 $FILTER\$" <<<"$all" ||
		return 1
	for kind; do
		grep -q "^$kind " <<<"$all" || { echo "no $kind"; return 1; }
	done
}
ROUTER=(berthd worker handshake reclaim lookup)

broker_of()
{
	tr -d ' ' <"/proc/$1/task/$1/children"
}

fds()
{
	find "/proc/$1/fd" -type l -printf '%l\n' | sed 's/\[[0-9]*\]/[N]/' | sort | uniq -c |
		sed 's/^ *//' | tr '\n' ' '
}

lab_world
lab_house home 31
lab_keys gw box two
lab_gateway_conf gw "$GW" 'User = nobody' "Metrics = $STATE/metrics.prom"
lab_tenant gw box $A6/128
need "the gateway starts" lab_gateway gw vps "$GW"
PID=${lab_pid[gw]}
lab_home_conf home "User = nobody"
need "the other side starts" lab_router home home "$LAB_DIR/home.control"

# ---- what is given up --------------------------------------------------------------

check "each thread has its own rights, and no more" threads_are "$PID" "$NET_ADMIN|$DAC_OVERRIDE" "${ROUTER[@]}"
check "it is another user" is "$(field "$PID" Uid)" "$NOBODY	$NOBODY	$NOBODY	$NOBODY"
check "of no group but his" is "$(field "$PID" Groups)" ''
check "no core dumps" is "$(awk '/^Max core/ { print $5, $6 }' "/proc/$PID/limits")" "0 0"
check "and nobody of his looks inside: /proc belongs to root" \
	is "$(stat -c %u "/proc/$PID/mem")" 0
[ $LOCK != 0 ] || check "locked memory needs no capability" \
	is "$(awk '/^Max locked/ { print $4 }' "/proc/$PID/limits")" unlimited
check "keys are locked" at_least "$(field "$PID" VmLck | tr -dc 0-9)" 64
B=$(broker_of "$PID")
check "the broker, and nobody else, has what it opens things with" \
	is "$(threads "$B")" "berth-broker $BROKER_CAPS $BROKER_CAPS $NONE 1 $FILTER"
check "it holds nothing but our socket and its namespace" \
	is "$(fds "$B")" "3 /dev/null 1 net:[N] 1 socket:[N] "

# Landlock, with the right to read everything: a key outside of the configuration's folder.
has_landlock()
{
	"$PYTHON" -c 'import ctypes, sys
sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)'
}
if has_landlock; then
	printf '[Peer]\nPublicKeyFile = /etc/passwd\nAllowedIPs = %s/128\n' ${PREFIX6}66 |
		lab_file "$LAB_DIR/gw.d/spy.conf"
	check "a file elsewhere is not read, and that is said" \
		lab_wait_log gw 'spy.conf:2: .*/etc/passwd.*[Pp]ermission denied'
	check "nobody else is disturbed" lab_has_peer "$GW" "${PUB[box]}"
	rm "$LAB_DIR/gw.d/spy.conf"
else
	check "no Landlock here: it is said" lab_logged gw 'no Landlock'
fi

# ---- and what works ------------------------------------------------------------------

lab_tunnel home box $A6/128 "$(lab_endpoint 6)" 'DNS = 2001:db8:ffff::53' \
	'[Container]' "Netns = $BOX" 'Name = wg0'
check "a tunnel waits for its namespace" lab_wait_log home 'is not there yet'
lab_netns box
check "which is entered through the broker" lab_reaches box $WORLD6
check "its name servers are written" grep -q 2001:db8:ffff::53 "/etc/netns/$BOX/resolv.conf"
ip netns delete "$BOX"
lab_netns box
check "made anew, it is entered again" lab_reaches box $WORLD6

lab_tenant gw two ${PREFIX6}b2/128
check "a tenant is added" lab_wait_peer "$GW" "${PUB[two]}"
rm "$LAB_DIR/gw.d/two.conf"
check "and revoked" lab_wait_no_peer "$GW" "${PUB[two]}"
kill -HUP "$PID"
check "SIGHUP" lab_wait_log gw 'reading .* again'

lab_ip vps link delete eth0
check "the uplink goes" lab_wait_log gw eth0
lab_link internet cable vps eth0
lab_addr internet cable 192.0.2.1/24 2001:db8:beef::1/64
lab_addr vps eth0 $VPS4/24 $VPS6/64
lab_route vps default via 192.0.2.1
lab_route vps default via 2001:db8:beef::1
check "and comes: neighbours are answered, by a new packet socket" lab_reaches internet $A6 20

has_record()
{
	grep -qsF "key=${PUB[box]}" "$STATE"/tenants*
}
check "state is written" lab_wait 5 "his record" has_record
check "by its user, for nobody else" \
	is "$(stat -c '%u %a' "$STATE"/tenants* | sort -u)" "$NOBODY 600"
check "metrics are written" lab_wait 5 "metrics" test -s "$STATE/metrics.prom"
check "berth asks" "$BERTH" status -c "$LAB_DIR/gw.conf"

lab_stop gw KILL
check "killed: the broker goes with it" lab_wait 5 "its end" not test -e "/proc/$B"
check "after a crash it takes its place again" lab_gateway gw vps "$GW"
check "and its tenants are where they were" lab_reaches internet $A6
check "with the same rights" threads_are "${lab_pid[gw]}" "$NET_ADMIN|$DAC_OVERRIDE" "${ROUTER[@]}"
lab_stop gw
check "it ends with status 0" is "$LAB_STATUS" 0
check "and leaves no socket" not test -e "$(lab_uapi "$GW")"
check "nor control socket" not test -e "$LAB_DIR/gw.control"

# What could not be written is written anew, by a thread of libuv's pool.
exec 7<"$STATE"
flock 7
check "its state in use: it starts" lab_gateway gw vps "$GW" 7<&-
exec 7<&-
check "a thread that may only write writes it, later" lab_wait 15 "the writer" threads_are \
	"${lab_pid[gw]}" "$NET_ADMIN|$DAC_OVERRIDE" "${ROUTER[@]}" writer
lab_stop gw

# ---- the others ----------------------------------------------------------------------

sed -i 's/^User = .*/User = berth-is-not-here/' "$LAB_DIR/gw.conf"
lab_start gw vps "$BERTHD" -c "$LAB_DIR/gw.conf"
check "a user that is not there: not started" not lab_join gw 10
check "which is said" lab_logged gw 'User = berth-is-not-here: there is no such user'

# crash: a drop-in that is killed by a signal that dumps core; prints whether it did.
crash()
{
	"$PYTHON" - "$BERTHD" "$1" "$(lab_uapi "$1")" <<-'END'
		import os, resource, signal, subprocess, sys, time
		everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
		resource.setrlimit(resource.RLIMIT_CORE, everything)
		p = subprocess.Popen([sys.argv[1], "-f", sys.argv[2]])
		end = time.monotonic() + 20
		while not os.path.exists(sys.argv[3]) and time.monotonic() < end:
		    time.sleep(0.01)
		os.kill(p.pid, signal.SIGSEGV)
		status = os.waitpid(p.pid, 0)[1]
		print(os.WTERMSIG(status), os.WCOREDUMP(status))
	END
}
[ $FILTER = 0 ] || check "a crash leaves no core" is "$(cd "$LAB_DIR" && crash "$(lab_if d1)" 2>/dev/null)" "11 False"
rm -f "$(lab_uapi "$(lab_if d1)")"

lab_dropin d vps "$(lab_if d2)"
check "a drop-in stays its user, with as little" threads_are "${lab_pid[d]}" \
	"$NET_ADMIN|$NET_BIND_SERVICE" berthd worker handshake reclaim
check "and a broker with less" is "$(threads "$(broker_of "${lab_pid[d]}")")" \
	"berth-broker $DROPIN_BROKER_CAPS $DROPIN_BROKER_CAPS $NONE 1 $FILTER"
