#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The file of a tunnel of our own changes while it carries packets: what can
# be changed in place is, and the session goes on.
#
#   vps ------- internet ------- home       --- wg0 in box
#  berthd                       berthd -c

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth awk

GW=$(lab_if gw) BOX=$(lab_ns box)
A6=${PREFIX6}b0 B6=${PREFIX6}b1 A4=203.0.113.10 B4=203.0.113.11

lab_world
lab_house home 31
lab_netns box
lab_keys gw box box2
lab_gateway_conf gw "$GW"
lab_tenant gw box "$A6/128, $B6/128, $A4/32, $B4/32"
need "the gateway starts" lab_gateway gw vps "$GW"

lab_home_conf home

# box_file [key=value...]: the file, with some of it otherwise.
box_file()
{
	local -A v=([Address]="$A6/128, $A4/32" [MTU]=1420 [Endpoint]=$(lab_endpoint 6)
		[AllowedIPs]="::/0, 0.0.0.0/0" [PersistentKeepalive]=25 [Table]=auto
		[ListenPort]=40000 [PrivateKey]=${KEY[box]} [Name]=wg0)
	local kv

	for kv; do
		v[${kv%%=*}]=${kv#*=}
	done
	lab_file "$LAB_DIR/home.d/box.conf" <<-END
		[Interface]
		PrivateKey = ${v[PrivateKey]}
		Address = ${v[Address]}
		ListenPort = ${v[ListenPort]}
		MTU = ${v[MTU]}
		Table = ${v[Table]}
		[Container]
		Netns = $BOX
		Name = ${v[Name]}
		[Peer]
		PublicKey = ${PUB[gw]}
		Endpoint = ${v[Endpoint]}
		AllowedIPs = ${v[AllowedIPs]}
		PersistentKeepalive = ${v[PersistentKeepalive]}
	END
}

shows()
{
	has "$(lab_ip box "${@:2}")" "$1"
}

# becomes "what" PATTERN ip-words...: soon, in the container.
becomes()
{
	check "$1" lab_wait 5 "$1" shows "$2" "${@:3}"
}

has_endpoint()
{
	has "$(wg show "$GW" endpoints)" "$1"
}

# Of the latest ping.
pings_lost()
{
	awk '/transmitted/ { n = $1 - $4 } END { print n }' "$(lab_log ping)"
}

# The session is the first one, and the interface the same.
undisturbed()
{
	check "$1: no new handshake" is "$(lab_handshake "$GW" "${PUB[box]}")" "$session"
	check "$1: the same interface" is "$(lab_ip box -o link show wg0 | cut -d: -f1)" "$index"
}

box_file
need "home starts" lab_router home home "$LAB_DIR/home.control"
need "the container is reached" lab_reaches internet $A6
check "over IPv4 as well" lab_reaches internet $A4
session=$(lab_handshake "$GW" "${PUB[box]}")
index=$(lab_ip box -o link show wg0 | cut -d: -f1)
lab_start ping internet ping -n -i 0.02 -W 2 $A6

# ---- in place -----------------------------------------------------------------------

lab_mark home
box_file
touch "$LAB_DIR/home.d/box.conf"
kill -HUP "${lab_pid[home]}"
check "the same content" lab_wait_log home 'reading .* again'
box_file MTU=1380
becomes "MTU" 'mtu 1380' -o link show wg0
box_file "Address=$A6/128, $B6/128, $A4/32"
becomes "an address more" "$B6/128" address show dev wg0
check "an address more: reached" lab_ping internet $B6
box_file "Address=$A6/128, $B4/32"
becomes "one for another" "$B4/32" address show dev wg0
check "one for another: the old one goes" \
	lab_wait 5 "$A4 to go" not shows "$A4" address show dev wg0
check "one for another: reached" lab_ping internet $B4
check "one for another: the default route is there" shows default -4 route show default
undisturbed "addresses"
box_file "AllowedIPs=::/0, 203.0.113.0/24, 198.18.0.0/16"
becomes "routes" '203.0.113.0/24 dev wg0' -4 route show
check "routes: those that are not meant any more go" lab_wait 5 "the default route to go" \
	not shows default -4 route show
check "routes: there is a way" lab_reaches box $WORLD4 2
box_file "AllowedIPs=::/0, 0.0.0.0/0" Table=off
check "Table = off" lab_wait 5 "routes to go" not shows wg0 -4 route show
box_file
becomes "Table = auto" 'default dev wg0' -4 route show
becomes "Table = auto, IPv6" 'default dev wg0' -6 route show
box_file PersistentKeepalive=1
undisturbed "routes and keepalive"
lab_stop ping INT
lost=$(pings_lost)
# While its file says Table = off, the container has no way back.
check "in all this hardly a packet is lost" at_most "$lost" $((25 * LAB_SLOW))

# Nobody sends: it is home that says where it is.
box_file "Endpoint=$(lab_endpoint 4)"
check "endpoint: IPv4 outside" \
	lab_wait 5 "the gateway to see IPv4" has_endpoint '10\.31\.0\.2:'
lab_start ping internet ping -n -i 0.02 -W 2 $A6
box_file "Endpoint=$(lab_endpoint 4)" ListenPort=40001
check "port: another one" lab_wait 5 "the port to change" has_endpoint ':40001$'
undisturbed "endpoint and port"
lab_stop ping INT
lost=$(pings_lost)
check "hardly a packet is lost there" at_most "$lost" $((10 * LAB_SLOW))

# ---- what cannot be done in place ---------------------------------------------------------

lab_start taken home "$PYTHON" -c 'import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 40002)); print("bound", flush=True)
time.sleep(1000)'
need "the port is taken" lab_wait_log taken bound
lab_mark home
box_file ListenPort=40002
check "a port that is taken: said" lab_wait_log home 'UDP port 40002 is in use by python'
lab_wait 3 "some tries" false || :
check "a port that is taken: not again each second" at_most \
	"$(lab_since home | grep -c 'UDP port 40002')" 2
lab_stop taken
check "a port that was taken" lab_reaches internet $A6
box_file Name=wg7
check "another name" lab_wait 5 wg7 lab_ip box link show wg7
check "another name: reached" lab_reaches internet $A6
check "another name: the old one goes" not lab_ip box link show wg0
lab_mark home
box_file Endpoint=nowhere.invalid:51820
check "a name that is none: said, and tried again" \
	lab_wait_log home 'nowhere.invalid: .*trying again' 20
box_file
check "a number again" lab_reaches internet $A6
lab_mark home
box_file "PrivateKey=${KEY[box2]}"
check "another key: not let in" lab_wait 5 "silence" lab_silent internet $A6
PUB[box]=${PUB[box2]}
lab_tenant gw box "$A6/128, $A4/32"
check "another key: let in" lab_reaches internet $A6
lab_stop home
check "nothing stays" not shows 'wg' -o link show
