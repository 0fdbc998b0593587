#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Containers restart a hundred times, with traffic and without, and the tunnel is there
# each time at once, by one handshake; nothing is left over. Namespaces of processes
# are followed as well, and endpoints that are names.
#
#   vps ------- internet ------- home       --- wg0 in box
#  berthd        name server    berthd -c
#
# Limit: 240

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth nsenter unshare

ROUNDS=${QUICK:+20}
ROUNDS=${ROUNDS:-100}
GW=$(lab_if gw) BOX=$(lab_ns box)
A6=${PREFIX6}b0 B6=${PREFIX6}b1
ETC=/etc/netns/$(lab_ns home)

lab_world
lab_house home 31
lab_keys gw box two
lab_gateway_conf gw "$GW"
lab_tenant gw box $A6/128
lab_tenant gw two $B6/128
need "the gateway starts" lab_gateway gw vps "$GW"

# The daemon at home asks this one for names.
mkdir -p "$ETC"
echo "nameserver 10.31.0.1" >"$ETC/resolv.conf"
echo "hosts: files dns" >"$ETC/nsswitch.conf"
: >"$LAB_DIR/zone"
lab_start dnsd internet "$ROOT/tools/lab/dnsd" 10.31.0.1 "$LAB_DIR/zone"
need "the name server starts" lab_wait_log dnsd answering

lab_home_conf home

# tunnel_file NAME ADDRESS NETNS ENDPOINT
tunnel_file()
{
	lab_tunnel home "$1" "$2/128" "$4" '[Container]' "Netns = $3" 'Name = wg0'
}

# ---- what must not leak ------------------------------------------------------------------

fds()
{
	find "/proc/${lab_pid[home]}/fd" -lname '*' 2>/dev/null | wc -l
}

# Devices, routes and rules at home, and descriptors of the daemon.
inventory()
{
	lab_ip home -o link show | wc -l
	lab_ip home -4 route show table all | wc -l
	lab_ip home -6 route show table all | wc -l
	lab_ip home -4 rule show | wc -l
	lab_ip home -6 rule show | wc -l
	fds
}

same_inventory()
{
	is "$(inventory | paste -s)" "$1"
}

# KiB
resident()
{
	awk '/^VmRSS/ { print $2 }' "/proc/${lab_pid[home]}/status"
}

# Initiations are the only packets of that length.
lab_in home nft -f - <<-END
	table inet count {
		counter initiations { }
		chain out {
			type filter hook output priority filter;
			udp dport $PORT udp length 156 counter name initiations
		}
	}
END

initiations()
{
	lab_in home nft -j list counter inet count initiations |
		jq '.nftables[] | select(.counter).counter.packets'
}

# An answer, asked for every 20 ms: who asks once a second learns of it late.
answers()
{
	lab_in internet ping -n -q -i 0.02 -c 1 -w $((3 * LAB_SLOW)) "$1"
}

# Milliseconds until command... succeeds, asked for without a pause.
ms_until()
{
	local t0

	t0=$(lab_us)
	until "$@" >"$LAB_DIR/until.out" 2>&1; do
		if (($(lab_us) - t0 > 5000000 * LAB_SLOW)); then
			cat "$LAB_DIR/until.out"
			break
		fi
	done
	lab_ms_since "$t0"
}

# ---- a hundred restarts -------------------------------------------------------------------

# restart ROUND: the container is deleted and made again; every third time it is made
# a moment later.
restart()
{
	ip netns delete "$BOX"
	[ $(($1 % 3)) -ne 0 ] || lab_wait 5 "wg0 to go" home_waits
	ip netns add "$BOX"
}

home_waits()
{
	lab_logged home 'is not there yet'
}

restarts()
{
	local i failed=0

	: >"$LAB_DIR/times"
	for ((i = 1; i <= $1; i++)); do
		lab_mark home
		restart $i
		ms_until lab_ip box link show wg0 >>"$LAB_DIR/times"
		answers $A6 >"$LAB_DIR/answers.out" || {
			echo "round $i: no answer"
			cat "$LAB_DIR/answers.out"
			failed=$((failed + 1))
		}
	done
	[ $failed -eq 0 ]
}

# run_restarts "what" N: all that is asked of N restarts.
run_restarts()
{
	local before sent rss median

	before=$(inventory | paste -s) sent=$(initiations) rss=$(resident)
	check "$1: traffic is back each time of $2" restarts "$2"
	sort -n "$LAB_DIR/times" -o "$LAB_DIR/times"
	median=$(sed -n "$((($2 + 1) / 2))p" "$LAB_DIR/times")
	lab_say "      ms until the interface was there: median $median, most $(tail -n 1 "$LAB_DIR/times")"
	# Now and then the kernel is busy with the end of other namespaces, which it does under a lock.
	check "$1: followed within 200 ms" at_most "$median" $((200 * LAB_SLOW))
	check "$1: by one handshake each" at_most $(($(initiations) - sent)) $(($2 + 1))
	check "$1: no device, route, rule or descriptor is left over" \
		lab_wait 5 "what was there before: $before" same_inventory "$before"
	# Sanitizers keep what was freed.
	[ "$LAB_SLOW" -gt 1 ] ||
		check "$1: no memory" at_most $(($(resident) - rss)) 1024
	check "$1: nothing was there already" not grep -qi 'already' "$(lab_log home)"
}

ip netns add "$BOX"
tunnel_file box $A6 "$BOX" "$(lab_endpoint 6)"
need "home starts" lab_router home home "$LAB_DIR/home.control"
need "the container is reached" lab_reaches internet $A6
restarts 5 >/dev/null || :	# what is allocated once
run_restarts "idle" $((ROUNDS / 2))
lab_start load internet ping -n -q -i 0.001 $A6
run_restarts "under load" $((ROUNDS * 2 / 5))
lab_stop load INT

# The old namespace lives on with somebody in it who goes on sending.
busy_restarts()
{
	local i

	for ((i = 0; i < $1; i++)); do
		lab_start "busy$i" box ping -n -q -i 0.002 $WORLD6
		lab_wait 5 "busy$i to move in" grep -q ping "/proc/${lab_pid[busy$i]}/comm"
		lab_mark home
		ip netns delete "$BOX"
		ip netns add "$BOX"
		# Until then it answers where it was.
		lab_wait_log home "wg0 is up in namespace $BOX" 5 || return 1
		answers $A6 || return 1
		not nsenter -t "${lab_pid[busy$i]}" -n ip link show wg0 || return 1
		lab_stop "busy$i" INT
	done
}

before=$(inventory | paste -s)
check "deleted with somebody in it who sends" busy_restarts $((ROUNDS / 10))
check "deleted with somebody in it: nothing is left over" \
	lab_wait 5 "what was there before: $before" same_inventory "$before"

# ---- processes --------------------------------------------------------------------------------

# A container without a name: a process in a namespace of its own.
begin_process()
{
	lab_start "$1" home unshare -n sleep 1000
	lab_wait 5 "$1 to move in" grep -q sleep "/proc/${lab_pid[$1]}/comm"
}

has_wg0()
{
	nsenter -t "${lab_pid[$1]}" -n ip link show wg0
}

# followed "what" NETNS: the process called inside is, by that word for it.
followed()
{
	check "$1: it has its interface" lab_wait 5 wg0 has_wg0 inside
	check "$1: it is reached" answers $A6
}

begin_process inside
tunnel_file box $A6 "pid:${lab_pid[inside]}" "$(lab_endpoint 6)"
followed "by pid"
lab_mark home
lab_stop inside
check "by pid: its end is said" lab_wait_log home 'process that Netns = pid:.* is not there'
begin_process inside
tunnel_file box $A6 "/proc/${lab_pid[inside]}/ns/net" "$(lab_endpoint 6)"
followed "by path"
lab_mark home
lab_stop inside
check "by path: its end is said" lab_wait_log home 'process that Netns = /proc/.* is not there'

# What the hook of a container's start does.
name_process()
{
	ln -sfn "/proc/${lab_pid[inside]}/ns/net" "/run/netns/$(lab_ns named)"
}

tunnel_file box $A6 "$(lab_ns named)" "$(lab_endpoint 6)"
for round in 1 2 3; do
	begin_process inside
	name_process
	followed "by a link, start $round"
	lab_mark home
	lab_stop inside
	check "by a link, start $round: its end is said" lab_wait_log home 'is not there'
done
rm "/run/netns/$(lab_ns named)"
tunnel_file box $A6 "$LAB_DIR/not/yet/there" "$(lab_endpoint 6)"
mkdir -p "$LAB_DIR/not/yet"
begin_process inside
ln -s "/proc/${lab_pid[inside]}/ns/net" "$LAB_DIR/not/yet/there"
followed "in a folder that comes later"
lab_stop inside
tunnel_file box $A6 "$BOX" "$(lab_endpoint 6)"
check "back: it is reached" lab_reaches internet $A6

# ---- names ----------------------------------------------------------------------------------------

ip netns add "$(lab_ns two)"
echo "vps.test $VPS4 $VPS6" >"$LAB_DIR/zone"
tunnel_file two $B6 "$(lab_ns two)" slow.test:$PORT
BOX=$(lab_ns other)	# a new tunnel: where the gateway is, it does not know yet
ip netns add "$BOX"
tunnel_file box $A6 "$BOX" vps.test:$PORT
check "a name, beside one that nobody answers for" lab_wait_log home 'vps\.test is \[' 2
check "a name: reached" answers $A6
lab_mark home
tunnel_file two $B6 "$(lab_ns two)" nobody.test:$PORT
check "a name that is none: said" lab_wait_log home 'nobody\.test: .*trying again'
echo "nobody.test $VPS4" >>"$LAB_DIR/zone"
check "a name that was none: reached" lab_reaches internet $B6

# Both families have a route, but one of them leads nowhere; in neither direction, or the gateway,
# which has a session with the box that was, may call it there.
lab_in internet nft -f - <<-END
	table inet wall {
		chain forward {
			type filter hook forward priority filter;
			ip6 daddr $VPS6 udp dport $PORT drop
			ip6 saddr $VPS6 udp sport $PORT drop
		}
	}
END
lab_mark home
ip netns delete "$BOX"
ip netns add "$BOX"
check "IPv6 leads nowhere: IPv4 is next" lab_wait_log home "vps\.test is $VPS4:" 15
check "IPv6 leads nowhere: reached" answers $A6
lab_in internet nft delete table inet wall

# ---- the end --------------------------------------------------------------------------------------

tunnel_file two $B6 "$(lab_ns two)" slow.test:$PORT
lab_mark home
tunnel_file box $A6 "$BOX" slower.test:$PORT
check "both ask a resolver that hangs" lab_wait 5 "two threads that hang" \
	at_least "$(find "/proc/${lab_pid[home]}/task" -maxdepth 1 -type d | wc -l)" 6
t0=$(lab_us)
lab_stop home
check "stopped with look-ups under way" at_most "$(lab_ms_since "$t0")" $((1000 * LAB_SLOW))
check "stopped with success" is "$LAB_STATUS" 0
