# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Labs of network namespaces, for tests/netns, tools/demo and tools/bench.
#
# A script sources this file, calls lab_begin, builds its topology, and checks:
#
#	. "$(dirname "$0")/../../tools/lab/lab.sh"
#	lab_begin wg iperf3                  # tools that the script cannot do without
#	lab_netns vps home
#	lab_link vps eth0 home eth0
#	lab_addr vps eth0 192.0.2.1/24
#	lab_start gateway vps "$BERTHD" -c "$LAB_DIR/berth.conf"
#	check "the gateway answers" lab_in home ping -c1 192.0.2.1
#
# The rest happens by itself when the script ends, however it ends: processes
# are stopped (by pid, only our own), namespaces, links, sockets and files are
# removed, leaks and sanitizer reports are failures, and the last line says
# how it went. Exit status: 0 passed, 77 skipped, else failed.
#
# Namespaces, sockets and interface names that live in the file system carry
# LAB_ID, so any number of labs run side by side. Inside a namespace names are
# free ("eth0"). A wait is for an event, with a bound; LAB_SLOW multiplies the
# bounds (sanitizers are slow).

set -Eeuo pipefail
export LC_ALL=C

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BERTHD=${BERTHD:-$ROOT/build/berthd}
BERTH=${BERTH:-$ROOT/build/berth}
LAB_SLOW=${LAB_SLOW:-1}
LAB_NAME=$(basename "$0" .sh)
UAPI_DIR=/var/run/wireguard
# The distribution's own interpreter starts faster than whatever shims PATH has.
PYTHON=/usr/bin/python3
[ -x $PYTHON ] || PYTHON=python3

LAB_ID='' LAB_DIR='' LAB_SKIP='' LAB_STATUS=0
lab_checks=0 lab_failed=0 lab_start_us=0
lab_order=()			# processes, in the order they were started
declare -A lab_pid=() lab_mark_of=()
# shellcheck disable=SC2034 # PUB is read by the scripts
declare -A KEY=() PUB=()	# made by lab_keys

# ---- time ----------------------------------------------------------------

lab_us()
{
	echo "${EPOCHREALTIME/[.,]/}"
}

# Milliseconds since the time $1 (of lab_us), with one decimal.
lab_ms_since()
{
	local d=$(($(lab_us) - $1))

	echo "$((d / 1000)).$((d / 100 % 10))"
}

# Seconds since the script began.
lab_elapsed()
{
	local d=$((($(lab_us) - lab_start_us) / 100000))

	echo "$((d / 10)).$((d % 10))"
}

# Waits at most $1 seconds for a command to succeed; $2 says for what.
lab_wait()
{
	local limit=$(($1 * LAB_SLOW * 1000000)) what=$2 t0

	shift 2
	t0=$(lab_us)
	until "$@" >"$LAB_DIR/wait.$BASHPID" 2>&1; do
		if (($(lab_us) - t0 > limit)); then
			echo "waited $((limit / 1000000)) s in vain for $what"
			head -n 5 "$LAB_DIR/wait.$BASHPID"
			return 1
		fi
		sleep 0.02
	done
}

not()
{
	! "$@"
}

# ---- what is checked -----------------------------------------------------

lab_say()
{
	printf '%s\n' "$*"
}

# Last lines of every log of the run: what somebody needs who reads a failure.
# LAB_VERBOSE=n shows them for the first n failures.
lab_show_logs()
{
	local log

	for log in "$LAB_DIR"/*.log; do
		[ -s "$log" ] || continue
		printf '     --- %s, last lines\n' "$(basename "$log")"
		tail -n "${LAB_LINES:-12}" "$log" | cut -c1-300 | sed 's/^/     | /'
	done
}

lab_fail()
{
	lab_failed=$((lab_failed + 1))
	printf ' FAIL %5s s  %s\n' "$(lab_elapsed)" "$1"
	if [ -n "${2:-}" ]; then
		printf '%s\n' "$2" | tail -n 20 | cut -c1-300 | sed 's/^/     > /'
	fi
	[ -z "$LAB_DIR" ] || [ $lab_failed -gt "${LAB_VERBOSE:-1}" ] || lab_show_logs
}

# check "what" command...: counts, says what came out, goes on either way.
check()
{
	local what=$1 status=0

	shift
	lab_checks=$((lab_checks + 1))
	"$@" >"$LAB_DIR/check.out" 2>&1 || status=$?
	if [ $status -eq 0 ]; then
		printf ' ok   %5s s  %s\n' "$(lab_elapsed)" "$what"
	else
		lab_fail "$what" "status $status: $*
$(cat "$LAB_DIR/check.out")"
	fi
	LAB_STATUS=$status
}

# As check, for what the rest of the script stands on.
need()
{
	check "$@"
	[ "$LAB_STATUS" -eq 0 ] || lab_die "cannot go on without: $1"
}

lab_die()
{
	lab_fail "$1"
	exit 1
}

# Ends the script as skipped, for a reason that lies in the machine.
lab_skip()
{
	LAB_SKIP=$1
	exit 77
}

# is GOT WANT: for check; prints both.
is()
{
	echo "got:    $1"
	echo "wanted: $2"
	[ "$1" = "$2" ]
}

# at_least GOT WANT, at_most GOT WANT: decimal numbers.
at_least()
{
	echo "got: $1, wanted at least $2"
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && a >= b) }'
}

at_most()
{
	echo "got: $1, wanted at most $2"
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && a <= b) }'
}

# has TEXT PATTERN: an extended regular expression in a text.
has()
{
	grep -qE -e "$2" <<<"$1" || {
		echo "no /$2/ in:"
		echo "$1"
		return 1
	}
}

# contains TEXT STRING: the same with a fixed string, such as a key.
contains()
{
	grep -qF -e "$2" <<<"$1" || {
		echo "no $2 in:"
		echo "$1"
		return 1
	}
}

# ---- namespaces, links, addresses ----------------------------------------

# The full name of namespace $1: what goes into a configuration file.
lab_ns()
{
	echo "berth-$LAB_ID-$1"
}

# A name of at most 15 characters that no other run has, for an interface
# whose socket lies in the file system.
lab_if()
{
	echo "$1$LAB_ID"
}

lab_in()
{
	local ns=$1

	shift
	ip netns exec "berth-$LAB_ID-$ns" "$@"
}

lab_ip()
{
	local ns=$1

	shift
	ip -n "berth-$LAB_ID-$ns" "$@"
}

# lab_sysctl NS key=value...
lab_sysctl()
{
	local ns=$1 kv path

	shift
	for kv; do
		path=/proc/sys/${kv%%=*}
		lab_in "$ns" sh -c "echo '${kv#*=}' > ${path//.//}"
	done
}

# Namespaces whose addresses are usable at once: no duplicate address
# detection, no router solicitations.
lab_netns()
{
	local ns

	for ns; do
		ip netns add "$(lab_ns "$ns")"
		lab_sysctl "$ns" net/ipv6/conf/all/accept_dad=0 net/ipv6/conf/default/accept_dad=0 \
			net/ipv6/conf/default/router_solicitations=0
		lab_ip "$ns" link set lo up
	done
}

# lab_link NSA IFA NSB IFB: a cable, both ends up.
lab_link()
{
	ip link add name "$2" netns "$(lab_ns "$1")" type veth \
		peer name "$4" netns "$(lab_ns "$3")"
	lab_ip "$1" link set "$2" up
	lab_ip "$3" link set "$4" up
}

# lab_steer NS...: packets of one flow wait for one processor, as on a network card
# (receive packet steering). A cable between namespaces has a queue for each processor
# that sends, so without this it reorders by itself when a sender changes processors.
lab_steer()
{
	local ns mask

	mask=$(printf %x $(((1 << $(nproc)) - 1)))
	for ns; do
		# shellcheck disable=SC2016 # the variable is that shell's
		lab_in "$ns" sh -c 'for q in /sys/class/net/*/queues/rx-*/rps_cpus; do
			echo '"$mask"' >"$q"; done'
	done
}

# lab_addr NS IF ADDRESS/LEN...
lab_addr()
{
	local ns=$1 dev=$2 a

	shift 2
	for a; do
		case $a in
		*:*) lab_ip "$ns" address add "$a" dev "$dev" nodad ;;
		*) lab_ip "$ns" address add "$a" dev "$dev" ;;
		esac
	done
}

# lab_route NS PREFIX via|dev ...
lab_route()
{
	local ns=$1

	shift
	lab_ip "$ns" route replace "$@"
}

lab_forward()
{
	lab_sysctl "$1" net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
}

# lab_nat NS IF: forward, and masquerade what leaves through IF. New port
# numbers at random, as a carrier's NAT has them.
lab_nat()
{
	lab_forward "$1"
	lab_in "$1" nft -f - <<-END
		table inet nat {
			chain out {
				type nat hook postrouting priority srcnat;
				oifname "$2" masquerade random
			}
		}
	END
}

# ---- processes -----------------------------------------------------------

lab_log()
{
	echo "$LAB_DIR/$1.log"
}

# lab_start NAME NS command...: in the background, output to NAME.log. A name
# may be used again once its process has been stopped; the log goes on.
lab_start()
{
	local name=$1 ns=$2

	shift 2
	lab_mark "$name"
	ip netns exec "$(lab_ns "$ns")" "$@" >>"$(lab_log "$name")" 2>&1 </dev/null &
	lab_pid[$name]=$!
	lab_order+=("$name")
}

lab_alive()
{
	[ -n "${lab_pid[$1]:-}" ] && kill -0 "${lab_pid[$1]}" 2>/dev/null
}

# Stops a process and waits until it is gone. Its exit status is LAB_STATUS.
lab_stop()
{
	local name=$1 sig=${2:-TERM} pid=${lab_pid[$1]:-}

	[ -n "$pid" ] || return 0
	kill -"$sig" "$pid" 2>/dev/null || :
	if ! lab_wait 5 "$name to end" lab_reaped "$pid"; then
		lab_fail "$name ends within 5 s of SIG$sig"
		kill -KILL "$pid" 2>/dev/null || :
	fi
	LAB_STATUS=0
	wait "$pid" 2>/dev/null || LAB_STATUS=$?
	unset "lab_pid[$name]"
}

# Waits for a process to end by itself, $2 seconds at most.
lab_join()
{
	local name=$1 pid=${lab_pid[$1]}

	LAB_STATUS=124
	lab_wait "$2" "$name to end" lab_reaped "$pid" || return 1
	LAB_STATUS=0
	wait "$pid" 2>/dev/null || LAB_STATUS=$?
	unset "lab_pid[$name]"
	return "$LAB_STATUS"
}

# A child that has ended is a zombie until we wait for it.
lab_reaped()
{
	[ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# From here on lab_wait_log and lab_since look at what NAME logs anew.
lab_mark()
{
	local log

	log=$(lab_log "$1")
	touch "$log"
	lab_mark_of[$1]=$(stat -c %s "$log")
}

lab_since()
{
	tail -c +$((${lab_mark_of[$1]:-0} + 1)) "$(lab_log "$1")"
}

lab_logged()
{
	# Not -q: it would close the pipe early and fail the pipeline.
	lab_since "$1" | grep -E -e "$2" >/dev/null
}

# lab_wait_log NAME PATTERN [SECONDS]
lab_wait_log()
{
	lab_wait "${3:-5}" "/$2/ in the log of $1" lab_logged "$1" "$2"
}

# lab_wait_socket PATH [SECONDS]: the socket of a program of ours, which listens when it appears.
lab_wait_socket()
{
	lab_wait "${2:-5}" "the socket $1" test -S "$1"
}


lab_uapi()
{
	echo "$UAPI_DIR/$1.sock"
}

# lab_wait_uapi NS IF: until anybody's program listens for `wg`. Its file may be there before
# that, and `wg` would remove it for that of a dead process.
lab_wait_uapi()
{
	lab_wait 5 "$2 to listen for wg" lab_uapi_listens "$1" "$(lab_uapi "$2")"
}

# Flag 0x10000: it listens. The kernel shows the name that was bound, and ours is renamed after.
lab_uapi_listens()
{
	[ -S "$2" ] &&
		lab_in "$1" grep -qE "^([^ ]+ ){3}00010000 .* ($2|$UAPI_DIR/\.berth\.new)\$" /proc/net/unix
}

# ---- WireGuard -----------------------------------------------------------

# lab_keys NAME...: KEY[NAME], PUB[NAME] and the file NAME.key.
lab_keys()
{
	local n

	for n; do
		KEY[$n]=$(wg genkey)
		# shellcheck disable=SC2034
		PUB[$n]=$(wg pubkey <<<"${KEY[$n]}")
		(umask 077 && echo "${KEY[$n]}" >"$LAB_DIR/$n.key")
	done
}

# lab_file PATH: standard input into a file of mode 0600, by rename, as an
# editor or a deployment would do it.
lab_file()
{
	local tmp

	tmp=$(dirname "$1")/.$(basename "$1").$$
	(umask 077 && cat >"$tmp")
	mv "$tmp" "$1"
}

# lab_wggo NAME NS IF: Debian's wireguard-go, ready for `wg`.
lab_wggo()
{
	LOG_LEVEL=${LOG_LEVEL:-error} WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 \
		lab_start "$1" "$2" wireguard-go -f "$3"
	lab_wait_uapi "$2" "$3"
}

# lab_dropin NAME NS IF: our program in the same place.
lab_dropin()
{
	LOG_LEVEL=${LOG_LEVEL:-verbose} lab_start "$1" "$2" "$BERTHD" -f "$3"
	lab_wait_socket "$(lab_uapi "$3")"
}

# lab_router NAME NS SOCKET: our program with NAME.conf; ready when it listens
# on SOCKET (its UAPI or control socket).
lab_router()
{
	rm -f "$3"
	lab_start "$1" "$2" "$BERTHD" -c "$LAB_DIR/$1.conf"
	lab_wait 10 "$1 to listen on $3" lab_up_or_dead "$1" "$3"
	lab_alive "$1"
}

lab_up_or_dead()
{
	[ -S "$2" ] || ! lab_alive "$1" || lab_reaped "${lab_pid[$1]}"
}

# Seconds since 1970 of the latest handshake with peer $2 on interface $1; 0
# when there was none.
lab_handshake()
{
	wg show "$1" latest-handshakes | awk -v k="$2" '$1 == k { print $2 }'
}

lab_has_handshake()
{
	[ "$(lab_handshake "$1" "$2")" -gt 0 ]
}

# lab_transfer IF PUBLICKEY rx|tx: bytes.
lab_transfer()
{
	wg show "$1" transfer |
		awk -v k="$2" -v c="$3" '$1 == k { print c == "rx" ? $2 : $3 }'
}

# lab_ping NS ADDRESS [COUNT [more arguments]]: every one must be answered.
lab_ping()
{
	local ns=$1 addr=$2 count=${3:-3}

	shift $(($# < 3 ? $# : 3))
	lab_in "$ns" ping -n -i 0.05 -W $((2 * LAB_SLOW)) -c "$count" "$@" "$addr" |
		tee "$LAB_DIR/ping.out" | grep -E ", 0% packet loss" || {
		cat "$LAB_DIR/ping.out"
		return 1
	}
}

# lab_no_gap LOG: a ping that was told to stop lost nothing. Its answers are
# numbered without a gap from the first on; the request that was on its way when
# the signal came is nobody's loss, though ping counts it.
lab_no_gap()
{
	awk -F 'icmp_seq=' '
		NF > 1 { n++; if ($2 + 0 != n) { print "number " n " is missing"; bad = 1; exit } }
		END { if (!n) print "no answer at all"; exit bad || !n }' "$(lab_log "$1")" ||
		{ cat "$(lab_log "$1")"; return 1; }
}

# One answer within $3 seconds, for tunnels that are still shaking hands.
lab_reaches()
{
	lab_wait "${3:-10}" "an answer from $2 to $1" lab_in "$1" ping -n -c1 -W1 "$2"
}

# No answer to three requests, and none expected.
lab_silent()
{
	not lab_in "$1" ping -n -i 0.05 -W 1 -c 3 "$2"
}

# lab_control SOCKET REQUEST: what the control socket answers (src/manage/control.h).
lab_control()
{
	"$PYTHON" -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\n")
print(s.makefile().readline(), end="")' "$1" "$2"
}

# lab_drops SOCKET TENANT REASON: a tenant's drop counter.
lab_drops()
{
	lab_control "$1" "{\"do\":\"show\",\"name\":\"$2\"}" |
		jq --arg r "$3" '.tenant.drops[$r] // 0'
}

# lab_drops_of_nobody SOCKET REASON: what was dropped before a tenant was known.
lab_drops_of_nobody()
{
	lab_control "$1" '{"do":"status"}' | jq --arg r "$2" '.status.drops[$r] // 0'
}

lab_drops_at_least()
{
	local n

	n=$(lab_drops "$1" "$2" "$3")
	echo "$3: $n, wanted at least $4"
	[ "$n" -ge "$4" ]
}

# ---- begin and end -------------------------------------------------------

# Everything of this run that could still be running: whatever sits in our
# namespaces, and whatever carries our mark in its environment.
lab_pids()
{
	local ns

	for ns in $(ip netns list 2>/dev/null | awk -v p="berth-$LAB_ID-" 'index($1, p) == 1 { print $1 }'); do
		ip netns pids "$ns" 2>/dev/null || :
	done
	grep -lsz "^BERTH_LAB=$LAB_ID\$" /proc/[0-9]*/environ | tr -dc '0-9\n' || :
}

# Those of lab_pids that are alive, without this shell and its helpers, which
# have ended by the time they are looked at.
lab_left()
{
	local p

	for p in $(lab_pids | sort -un); do
		[ "$p" != $$ ] && [ "$p" != "$BASHPID" ] && ! lab_reaped "$p" && echo "$p"
	done
	return 0
}

lab_nobody_left()
{
	[ -z "$(lab_left)" ]
}

lab_remove()
{
	local p ns

	for p in $(lab_left); do
		kill -TERM "$p" 2>/dev/null || :
	done
	lab_wait 3 "processes to end" lab_nobody_left >/dev/null || :
	for p in $(lab_left); do
		kill -KILL "$p" 2>/dev/null || :
	done
	lab_wait 3 "processes to die" lab_nobody_left >/dev/null || :

	for ns in $(ip netns list | awk -v p="berth-$LAB_ID-" 'index($1, p) == 1 { print $1 }'); do
		ip netns delete "$ns" || :
		rm -rf "/etc/netns/$ns"
	done
	# /etc/netns itself stays: a router beside us may write there, and no rule of its follows
	# to another folder of that name.
	rm -f "$UAPI_DIR/"*"$LAB_ID"*.sock "$UAPI_DIR/.$LAB_ID"
	rm -rf "$LAB_DIR"
}

# Whatever still bears our name.
lab_leaks()
{
	local p

	for p in $(lab_left); do
		echo "process $p: $(tr '\0' ' ' <"/proc/$p/cmdline")"
	done
	ip netns list | grep -F "berth-$LAB_ID-" || :
	ip -o link show | grep -F "$LAB_ID" || :
	find /etc/netns /run/netns "$UAPI_DIR" "$LAB_DIR" -name "*$LAB_ID*" 2>/dev/null || :
}

lab_sanitizer_reports()
{
	local f

	for f in "$LAB_DIR"/sanitizer.*; do
		[ -s "$f" ] || continue
		lab_fail "no sanitizer report" "$(head -n 40 "$f")"
	done
}

lab_end()
{
	local status=$1 leaks

	set +e
	trap - ERR
	trap '' INT TERM HUP
	if [ -n "$LAB_ID" ]; then
		lab_remove_and_report
		leaks=$(lab_leaks)
		[ -z "$leaks" ] || lab_fail "nothing is left over" "$leaks"
	fi
	if [ "$status" -eq 77 ] && [ $lab_failed -eq 0 ]; then
		printf '%s: skipped: %s\n' "$LAB_NAME" "$LAB_SKIP"
		exit 77
	fi
	printf '%s: %d checks, %d failed, %s s\n' "$LAB_NAME" $lab_checks $lab_failed "$(lab_elapsed)"
	[ $lab_failed -eq 0 ] || exit 1
	[ "$status" -eq 0 ] || exit "$status"
	[ $lab_checks -gt 0 ] || exit 1
	exit 0
}

# Sanitizers write when a process ends: stop, then look, then remove.
lab_remove_and_report()
{
	local name i

	for ((i = ${#lab_order[@]} - 1; i >= 0; i--)); do
		name=${lab_order[i]}
		[ -z "${lab_pid[$name]:-}" ] || lab_stop "$name" >/dev/null
	done
	lab_sanitizer_reports
	if [ -n "${LAB_LOGS:-}" ]; then
		rm -rf "$LAB_LOGS"
		mkdir -p "$LAB_LOGS"
		cp "$LAB_DIR"/*.log "$LAB_DIR"/sanitizer.* "$LAB_LOGS" 2>/dev/null
	fi
	lab_remove
}

# A command of the script itself failed, outside of any check.
lab_err()
{
	local status=$? cmd=$1 frame=$((${#BASH_LINENO[@]} - 2))

	[ "$BASHPID" = $$ ] || exit "$status"
	trap - ERR
	lab_fail "line ${BASH_LINENO[frame]} of $LAB_NAME" "status $status: $cmd"
	exit 1
}

# lab_begin TOOL...: makes sure that this machine can hold a lab.
lab_begin()
{
	local tool probe

	lab_start_us=$(lab_us)
	trap 'lab_end $?' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	trap 'lab_err "$BASH_COMMAND"' ERR
	[ "$(id -u)" -eq 0 ] || lab_skip "needs root"
	for tool in ip nft ping jq "$PYTHON" "$@"; do
		command -v "$tool" >/dev/null || lab_skip "$tool is not installed: make deps"
	done
	[ -c /dev/net/tun ] || lab_skip "this machine has no /dev/net/tun"

	LAB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/berth-lab.XXXXXX")
	LAB_ID=${LAB_DIR##*.}
	export BERTH_LAB=$LAB_ID
	chmod 755 "$LAB_DIR"
	probe=$(lab_ns probe)
	ip netns add "$probe" 2>/dev/null || lab_skip "network namespaces cannot be made here"
	ip netns exec "$probe" true || lab_skip "network namespaces cannot be entered here"
	ip netns delete "$probe"
	mkdir -p "$UAPI_DIR"
	# Who leaves last may take the folder along, while somebody is coming in.
	: >"$UAPI_DIR/.$LAB_ID"

	# A report goes into a file, also that of a process in the background.
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$LAB_DIR/sanitizer
	export UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}print_stacktrace=1:log_path=$LAB_DIR/sanitizer
	export TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$LAB_DIR/sanitizer
}

# As lab_begin, for a script that runs our daemon.
lab_begin_berth()
{
	lab_begin wg "$@"
	[ -x "$BERTHD" ] || lab_die "$BERTHD is not there: make"
}
