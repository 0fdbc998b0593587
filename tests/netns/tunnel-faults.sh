#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What goes wrong on the way between home and its gateway, and that traffic returns.
#
#   vps ------- internet --+-- fibre --+-- home --- wg0 in box
#  berthd      name server +--- lte ---+  berthd -c
#
# fibre and lte are routers that translate addresses, as carriers' do.
#
# Limit: 240

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth iperf3 cc

GW=$(lab_if gw) BOX=$(lab_ns box)
A4=203.0.113.10 A6=${PREFIX6}b0
ETC=/etc/netns/$(lab_ns home)

lab_world
lab_netns home box

# uplink NAME N: a router with NAT between home's cable NAME and the internet.
uplink()
{
	lab_netns "$1"
	lab_link internet "$1" "$1" out
	lab_addr internet "$1" "10.$2.0.1/24"
	lab_addr "$1" out "10.$2.0.2/24"
	lab_route "$1" default via "10.$2.0.1"
	lab_link "$1" in home "$1"
	lab_addr "$1" in "192.168.$2.1/24"
	lab_addr home "$1" "192.168.$2.2/24"
	lab_nat "$1" out
}

uplink fibre 31
uplink lte 32
lab_route home default via 192.168.31.1

lab_keys gw box
lab_gateway_conf gw "$GW"
lab_tenant gw box "$A6/128, $A4/32"
need "the gateway starts" lab_gateway gw vps "$GW"

mkdir -p "$ETC"
echo "nameserver 198.18.0.1" >"$ETC/resolv.conf"
echo "hosts: files dns" >"$ETC/nsswitch.conf"
echo "vps.test $VPS4" >"$LAB_DIR/zone"
lab_start dnsd internet "$ROOT/tools/lab/dnsd" $WORLD4 "$LAB_DIR/zone"
need "the name server starts" lab_wait_log dnsd answering

lab_home_conf home

# box_file ENDPOINT [MTU]
box_file()
{
	lab_tunnel home box "$A6/128, $A4/32" "$1" "MTU = ${2:-1420}" \
		'[Container]' "Netns = $BOX" 'Name = wg0'
}

need "a clock that can be set" lab_clock # home's

start_home()
{
	# Not for sanitizers to find behind another library.
	LD_PRELOAD=$LAB_CLOCK ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 \
		lab_router home home "$LAB_DIR/home.control"
}

sees()
{
	has "$(wg show "$GW" endpoints)" "$1"
}

# An answer within $3 seconds, asked for every 50 ms.
answers()
{
	lab_in "$1" ping -n -q -i 0.05 -c 1 -w $((${3:-3} * LAB_SLOW)) "$2"
}

box_file vps.test:$PORT
need "home starts" start_home
need "the container is reached" lab_reaches internet $A6
check "over IPv4 as well" lab_reaches internet $A4

# ---- the gateway restarts ---------------------------------------------------------------

lab_stop gw
lab_gateway gw vps "$GW" || :
check "the VPS has restarted: outbound" answers box $WORLD6 10
check "the VPS has restarted: inbound" answers internet $A6 10
lab_stop gw KILL
lab_gateway gw vps "$GW" || :
check "the VPS was switched off: outbound" answers box $WORLD6 10
check "the VPS was switched off: inbound" answers internet $A6 10

# ---- home is elsewhere --------------------------------------------------------------------

# Everything that home sends to the gateway.
lab_in home nft -f - <<-END
	table inet count {
		counter sent { }
		chain out {
			type filter hook output priority filter;
			udp dport $PORT counter name sent
		}
	}
END

sent()
{
	lab_in home nft -j list counter inet count sent |
		jq '.nftables[] | select(.counter).counter.packets'
}

check "by fibre" sees '10\.31\.0\.2:'
session=$(lab_handshake "$GW" "${PUB[box]}")
lab_route home default via 192.168.32.1
check "another default route: the gateway hears of it unasked" \
	lab_wait 2 "the gateway to see lte" sees '10\.32\.0\.2:'
check "another default route: inbound" answers internet $A6
lab_route home default via 192.168.31.1
check "back again: the gateway hears of it" \
	lab_wait 3 "the gateway to see fibre" sees '10\.31\.0\.2:'
lab_ip home link set fibre down
lab_route home default via 192.168.32.1
check "the cable is out, and a stick is in: the gateway hears of it" \
	lab_wait 3 "the gateway to see lte" sees '10\.32\.0\.2:'
check "the cable is out: inbound" answers internet $A6
lab_ip home route del default
lab_ip home link set fibre up
lab_wait 2 "one pause to pass" false || :
lab_route home default via 192.168.31.1
check "no network for a while, and then one: the gateway hears of it" \
	lab_wait 3 "the gateway to see fibre" sees '10\.31\.0\.2:'
lab_ip home address del 192.168.31.2/24 dev fibre
lab_addr home fibre 192.168.31.3/24
lab_route home default via 192.168.31.1
check "another address at home: inbound" answers internet $A6
check "all of it within one session" is "$(lab_handshake "$GW" "${PUB[box]}")" "$session"

# What does not matter to the way is not told, and what flaps not each time.
before=$(sent)
for i in 1 2 3 4 5 6 7 8 9 10; do
	lab_ip home address add 192.168.77.$i/32 dev lo
done
lab_wait 2 "one pause to pass" false || :
check "what does not matter is not told" at_most $(($(sent) - before)) 1
before=$(sent) t0=$(lab_us)
for i in $(seq 60); do
	lab_route home default via 192.168.$((31 + i % 2)).1
done
lab_route home default via 192.168.31.1
lab_wait 2 "one pause to pass" false || :
check "flapping routes: a packet a second" \
	at_most $(($(sent) - before)) $((3 + ($(lab_us) - t0) / 1000000))
check "flapping routes: inbound" answers internet $A6

# ---- the NAT has forgotten ------------------------------------------------------------------

port_of()
{
	wg show "$GW" endpoints | sed 's/.*://'
}

# Mappings end when nothing has passed for a second.
lab_sysctl fibre net/netfilter/nf_conntrack_udp_timeout=1 \
	net/netfilter/nf_conntrack_udp_timeout_stream=1
check "before: inbound" answers internet $A6
port=$(port_of)
lab_wait 3 "the mapping to end" false || :
check "the mapping has expired: outbound at once" answers box $WORLD6 1
check "the mapping has expired: it is another one" not is "$(port_of)" "$port"
check "the mapping has expired: inbound" answers internet $A6 1

# ---- the path is narrower -------------------------------------------------------------------

lab_ip internet link set fibre mtu 1280
lab_ip fibre link set out mtu 1280
check "the path has 1,280 bytes: out" lab_carries box $WORLD6 2 1
check "the path has 1,280 bytes: in" lab_carries box $WORLD6 2 1 -R
lab_ip internet link set fibre mtu 1500
lab_ip fibre link set out mtu 1500

# ---- the gateway has another address ----------------------------------------------------------

lab_start load box ping -n -q -i 0.2 $WORLD6
lab_mark home
lab_ip vps address delete $VPS4/24 dev eth0
lab_addr vps eth0 192.0.2.99/24
lab_route vps default via 192.0.2.1
echo "vps.test 192.0.2.99" >"$LAB_DIR/zone"
check "the gateway has moved: its name is asked for again" \
	lab_wait_log home 'vps\.test is 192\.0\.2\.99:' 25
check "the gateway has moved: reached" answers box $WORLD6 2
lab_stop load INT

# ---- the clock goes backwards -------------------------------------------------------------------

# Until the kernel has done away with the namespace, the container's interface answers in it.
restart_box()
{
	lab_mark home
	ip netns delete "$BOX"
	ip netns add "$BOX"
	lab_wait_log home "wg0 is up in namespace $BOX" 5
}

lab_set_clock +
restart_box
check "the clock is ahead: reached" answers internet $A6 10
lab_mark gw
lab_set_clock 0
restart_box
check "the clock was set back: reached all the same" answers internet $A6 10
check "the clock was set back: nothing was refused" not lab_logged gw replayed
lab_stop home
need "home starts anew" start_home
check "home knows nothing of that: explained" \
	lab_wait_log gw 'box: its handshake is refused as a replayed one.*clock' 10
check "home knows nothing of that: not let in" lab_silent internet $A6
check "home knows nothing of that: said once" is "$(lab_since gw | grep -c replayed)" 1
lab_set_clock +
check "the clock is right again: reached" answers internet $A6 10
lab_stop home
