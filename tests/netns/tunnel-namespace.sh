#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tunnels of our own follow their containers: the namespace that is not there
# yet, that goes with our device in it, that is made again under its name
# while the old one lives on.
#
#   vps ------- internet ------- home       --- wg0 in box
#  berthd                       berthd -c

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth nsenter

GW=$(lab_if gw) BOX=$(lab_ns box)
A6=${PREFIX6}b0

lab_world
lab_house home 31
lab_keys gw box two
lab_gateway_conf gw "$GW"
lab_tenant gw box $A6/128
need "the gateway starts" lab_gateway gw vps "$GW"

lab_home_conf home

box_file()
{
	lab_tunnel home box $A6/128 "$(lab_endpoint 6)" '[Container]' "Netns = ${1:-$BOX}" 'Name = wg0'
}

fds()
{
	find "/proc/${lab_pid[home]}/fd" -lname '*' 2>/dev/null | wc -l
}

has_fds()
{
	[ "$(fds)" -le "$1" ]
}

ticks()
{
	awk '{ print $14 + $15 }' "/proc/${lab_pid[home]}/stat"
}


home_is_clean()
{
	not has "$(lab_ip home -o link show)" ': (wg0|berth-[0-9])'
}

works()
{
	check "$1: the container has its interface" lab_wait 5 wg0 lab_ip box link show wg0
	check "$1: it is reached" lab_reaches internet $A6
	check "$1: home has nothing of it" home_is_clean
}

box_file
need "home starts" lab_router home home "$LAB_DIR/home.control"
check "the namespace is not there: said" \
	lab_wait_log home "namespace $BOX is not there yet: waiting"
lab_netns box
works "made later"
check "the kernel has no address of its own there to speak from" is \
	"$(lab_ip box -6 -o address show dev wg0 scope link)" ""
check "it was said once" is "$(grep -c 'not there yet' "$(lab_log home)")" 1
check "the namespace is not held from outside" is \
	"$(find "/proc/${lab_pid[home]}/fd" -lname 'net:*' | wc -l)" 0
open=$(fds)

# ---- it goes, and comes again -----------------------------------------------------

for round in 1 2 3; do
	lab_mark home
	ip link add "c$LAB_ID" type veth peer name inner netns "$BOX"
	ip netns delete "$BOX"
	# A cable into it ends with it: who held the namespace would hold the cable.
	check "deleted, round $round: it really goes" lab_wait 5 "the cable to go" \
		not ip link show "c$LAB_ID"
	check "deleted, round $round: noticed" lab_wait_log home 'box: its interface is gone'
	check "deleted, round $round: waiting" lab_wait_log home 'is not there yet'
	lab_netns box
	works "made again, round $round"
done
check "no descriptor is lost" lab_wait 5 "descriptors to be $open" has_fds "$open"

# While nothing is there, nothing is done.
ip netns delete "$BOX"
check "gone again" lab_wait_log home 'is not there yet'
before=$(ticks)
lab_wait 2 "two seconds to pass" false || :
check "waiting costs nothing" at_most $(($(ticks) - before)) $((20 * LAB_SLOW))
lab_netns box
works "and again"

# ---- another one under the name, while the old one lives on ----------------------------

# Somebody lives in box, and is in there when this returns.
lodge()
{
	lab_start lodger box sleep 1000
	lab_wait 5 "the lodger to move in" grep -q sleep "/proc/${lab_pid[lodger]}/comm"
}

lodge
lab_mark home
ip netns delete "$BOX"
lab_netns box
check "another namespace: noticed" lab_wait_log home 'another namespace'
works "another namespace"
check "the old one has lost it" not has \
	"$(nsenter -t "${lab_pid[lodger]}" -n ip -o link show)" 'wg0'
lab_stop lodger

# ---- the interface is taken away ---------------------------------------------------------

lab_mark home
lab_ip box link delete wg0
check "interface deleted: noticed" lab_wait_log home 'its interface is gone'
works "interface deleted"

# ---- in the way ----------------------------------------------------------------------------

rm "$LAB_DIR/home.d/box.conf"
check "revoked: gone" lab_wait 5 "wg0 to go" not lab_ip box link show wg0
check "revoked: no route stays" is "$(lab_ip box -6 route show default)" ""
lab_ip box link add wg0 type veth peer name wg1
lab_mark home
box_file
check "the name is taken: said" lab_wait_log home 'has an interface wg0 already: give this one'
check "the name is taken: nothing stays at home" lab_wait 5 "berth-0 to go" \
	home_is_clean
lab_ip box link delete wg0
works "the name is free again"

# ---- two in one namespace ----------------------------------------------------------------------

lab_mark home
lab_tunnel home two ${PREFIX6}b1/128 "$(lab_endpoint 6)" '[Container]' "Netns = $BOX" 'Name = wg1'
check "two in one namespace: it is said which has the route" lab_wait_log home \
	"tunnel two: namespace $BOX has its route to ::/0 by tunnel box already"
check "two in one namespace: no command that would take it from the first" not grep -q \
	'route del' "$(lab_log home)"
lab_ip box link set wg1 down
touch "$LAB_DIR/home.d/two.conf"
check "set down: the command to set it up goes to the namespace" lab_wait_log home \
	"'ip -n $BOX link set wg1 up'"
rm "$LAB_DIR/home.d/two.conf"
check "the second goes" lab_wait 5 "wg1 to go" not lab_ip box link show wg1
lab_ip box -6 route replace default dev lo metric 1024
lab_mark home
lab_tunnel home two ${PREFIX6}b1/128 "$(lab_endpoint 6)" '[Container]' "Netns = $BOX" 'Name = wg1'
check "somebody's route: the command goes to the namespace" lab_wait_log home \
	"'ip -n $BOX -6 route del ::/0 dev lo table 254'"
rm "$LAB_DIR/home.d/two.conf"
lab_ip box -6 route replace default dev wg0 metric 1024
check "the second goes again" lab_wait 5 "wg1 to go" not lab_ip box link show wg1

# ---- a file moves to another namespace, and by other ways of naming it -------------------------

lab_netns two
box_file "/run/netns/$(lab_ns two)"
check "moved: there" lab_wait 5 wg0 lab_ip two link show wg0
check "moved: not here" lab_wait 5 "wg0 to go" not lab_ip box link show wg0
lodge
box_file "pid:${lab_pid[lodger]}"
works "by process"
lab_mark home
box_file /nowhere
check "nowhere: said" lab_wait_log home '/nowhere is not there yet'
box_file /nowhere-else
check "nowhere else: said as well" lab_wait_log home '/nowhere-else is not there yet'
box_file /etc/passwd
check "no namespace: said" lab_wait_log home '/etc/passwd is no network namespace'
box_file
works "back"
lab_stop home
check "stopped: nothing stays in the container" is "$(lab_ip box -o link show wg0 2>/dev/null)" ""
