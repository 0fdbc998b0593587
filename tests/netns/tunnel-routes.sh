#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a wg-quick file says about an interface, on the host itself and in a
# namespace: Table, FwMark, MTU, DNS. Somebody out there says which source
# address he sees.
#
#   vps ------- internet ------- home  wg0, wg1: tunnels of the host itself
#  berthd      (says who)      berthd --- wg0 in box

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth sed

GW=$(lab_if gw) BOX=$(lab_ns box)
A4=203.0.113.10 A6=${PREFIX6}a0 B4=203.0.113.11 B6=${PREFIX6}a1 C4=203.0.113.12 C6=${PREFIX6}a2
HOME4=10.31.0.2 HOME6=2001:db8:31::2
outside=6			# over what the tunnels go
RESOLV=/etc/netns/$BOX/resolv.conf

lab_world
lab_house home 31
lab_netns box
lab_keys gw wg0 wg1 box
lab_gateway_conf gw "$GW"
lab_tenant gw wg0 "$A6/128, $A4/32"
lab_tenant gw wg1 "$B6/128, $B4/32"
lab_tenant gw box "$C6/128, $C4/32"
need "the gateway starts" lab_gateway gw vps "$GW"

# Says to whoever asks, in UDP, from where he asks.
cat >"$LAB_DIR/who.py" <<-END
	import select, socket
	socks = []
	for family, addr in (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"):
	    s = socket.socket(family, socket.SOCK_DGRAM)
	    if family == socket.AF_INET6:
	        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
	    s.bind((addr, 9))
	    socks.append(s)
	print("listening", flush=True)
	while True:
	    for s in select.select(socks, [], [])[0]:
	        _, peer = s.recvfrom(100)
	        s.sendto(peer[0].encode(), peer)
END
cat >"$LAB_DIR/ask.py" <<-END
	import socket, sys
	s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(0.5)
	if len(sys.argv) > 2:
	    s.bind((sys.argv[2], 0))
	for _ in range(10):
	    try:
	        s.sendto(b"?", (sys.argv[1], 9))
	        print(s.recv(100).decode())
	        break
	    except socket.timeout:
	        pass
END
# As providers do: a tenant's address does not come from the house but by the tunnel.
lab_in internet nft -f - <<-END
	table inet bcp38 {
		chain in {
			type filter hook prerouting priority -300
			iifname home ip saddr != 10.31.0.0/24 drop
			iifname home ip6 saddr != { 2001:db8:31::/64, fe80::/10 } drop
		}
	}
END
lab_start who internet "$PYTHON" "$LAB_DIR/who.py"
need "somebody is out there" lab_wait_log who listening

# seen NS TO [FROM]: as whom he sees us.
seen()
{
	lab_in "$1" "$PYTHON" "$LAB_DIR/ask.py" "${@:2}"
}

lab_home_conf home

# file NAME ADDRESSES ALLOWEDIPS [line of [Interface]...]: as providers hand them out.
file()
{
	local name=$1 addresses=$2 ips=$3

	shift 3
	{
		printf '# a VPN\n[Interface]\nPrivateKey = %s\nAddress = %s\n' "${KEY[$name]}" \
			"$addresses"
		[ $# -eq 0 ] || printf '%s\n' "$@"
		[ "$name" != box ] || printf '[Container]\nNetns = %s\nName = wg0\n' "$BOX"
		cat <<-END
			[Peer] # the gateway
			PublicKey = ${PUB[gw]}
			Endpoint = $(lab_endpoint $outside)
			AllowedIPs = $ips
			PersistentKeepalive = 25
		END
	} | lab_file "$LAB_DIR/home.d/$name.conf"
}

home_starts()
{
	lab_router home home "$LAB_DIR/home.control"
}

# What there is of ours among the rules, priorities left out.
rules()
{
	local f

	for f in -4 -6; do
		lab_ip home $f rule show | grep -E '51820|5182[1-9]|suppress| lookup 77|0x7' |
			sed -E 's/^[0-9]+:[[:space:]]*//; s/ proto [^ ]+//' || :
	done
}

no_rules()
{
	[ -z "$(rules)" ]
}

ours()
{
	[ "$(rules)" = "$1" ]
}

gone()
{
	check "$1: the interface is gone" lab_wait 5 "wg0 to go" not lab_ip home link show wg0
	check "$1: no rule stays" lab_wait 5 "rules to go" no_rules
	check "$1: no route stays" is "$(lab_ip home route show table all proto 146)$(
		lab_ip home -6 route show table all proto 146)" ""
	check "$1: IPv4 goes as before" is "$(seen home $WORLD4)" $HOME4
	check "$1: IPv6 goes as before" is "$(seen home $WORLD6)" $HOME6
}

AUTO="from all lookup main suppress_prefixlength 0
not from all fwmark 0xca6c lookup 51820
from all lookup main suppress_prefixlength 0
not from all fwmark 0xca6c lookup 51820"

# ---- Table = auto: the default route of the host --------------------------------------

lab_sysctl home net/ipv4/conf/all/rp_filter=0 net/ipv4/conf/eth0/rp_filter=0
file wg0 "$A4/32, $A6/128" "0.0.0.0/0, ::/0" "DNS = 9.9.9.9, lan # not for the host"
need "home starts" home_starts
check "a default route: the interface is there" lab_wait 5 wg0 lab_ip home link show wg0
check "a default route: IPv6 by the tunnel" is "$(seen home $WORLD6)" $A6
check "a default route: IPv4 by the tunnel" is "$(seen home $WORLD4)" $A4
check "a default route: the neighbours as ever" is "$(seen home 10.31.0.1)" $HOME4
check "a default route: wg-quick's rules" is "$(rules)" "$AUTO"
check "a default route: its own packets do not go in" \
	has "$(lab_ip home route get $VPS6 mark 51820)" 'dev eth0'
check "a default route: the machine's own one stays" \
	has "$(lab_ip home route show default)" '^default via 10.31.0.1 dev eth0'
check "src_valid_mark is set" is "$(lab_in home cat /proc/sys/net/ipv4/conf/all/src_valid_mark)" 1
check "src_valid_mark: said" lab_logged home 'src_valid_mark is set to 1'
check "DNS on the host: said, with the command" lab_logged home 'DNS: .*resolvectl dns wg0 9.9.9.9'
check "inbound" lab_reaches internet $A4

# ---- what others take away comes back ------------------------------------------------------

# All that leads into wg0 is there.
whole()
{
	ours "$AUTO" && [ "$(lab_ip home route show table 51820 | wc -l)" = 1 ] &&
		[ "$(lab_ip home -6 route show table 51820 | wc -l)" = 1 ] &&
		has "$(lab_ip home address show dev wg0)" "inet6 $A6/" &&
		has "$(lab_ip home address show dev wg0)" "inet $A4/"
}

back()
{
	check "$1: comes back" lab_wait 5 "all of wg0's" whole
	check "$1: IPv4 by the tunnel" is "$(seen home $WORLD4)" $A4
	check "$1: IPv6 by the tunnel" is "$(seen home $WORLD6)" $A6
}

lab_mark home
lab_ip home link set wg0 down
check "down: said" lab_wait_log home 'somebody has set wg0 down'
lab_ip home link set wg0 up
back "down and up"
check "down and up: said" lab_wait_log home \
	'wg0 had gone and is put back: addresses: 1, routes: 2, routing rules: 0$'
for f in -4 -6; do
	lab_ip home $f rule del pref 32600
	lab_ip home $f rule del pref 32680
done
back "rules removed"
check "rules removed: who does that is named" lab_wait_log home 'ManageForeignRoutingPolicyRules=no'
lab_ip home route flush table 51820
back "routes removed"
lab_ip home address flush dev wg0
back "addresses removed"
# Again and again: put back once a second at most, and said no more.
lab_mark home
for i in 1 2 3 4 5; do
	lab_ip home rule del pref 32680 2>/dev/null || :
	lab_wait 1 "a while to pass" false || :
done
back "removed again and again"
check "removed again and again: not said each time" not lab_logged home 'put back'
rm "$LAB_DIR/home.d/wg0.conf"
gone "revoked"

# Over IPv4 outside, and where the reverse path filter is strict: said.
lab_sysctl home net/ipv4/conf/eth0/rp_filter=1
lab_mark home
outside=4
file wg0 "$A4/32, $A6/128" "0.0.0.0/1, 128.0.0.0/1, ::/0"
check "strict filter: said" lab_wait_log home 'reverse path filter of eth0 .*rp_filter=2'
lab_sysctl home net/ipv4/conf/all/rp_filter=2
check "in halves: reached" lab_reaches home $WORLD4
check "in halves: by the tunnel" is "$(seen home $WORLD4)" $A4
check "in halves: its own packets do not go in" \
	has "$(lab_ip home route get $VPS4 mark 51820)" 'dev eth0'

# ---- two at a time ---------------------------------------------------------------------

file wg0 "$A4/32" "0.0.0.0/0"
file wg1 "$B4/32, $B6/128" "0.0.0.0/0, ::/0"
need "two: the second is there" lab_wait_log home 'tunnel wg1: added'
check "two: IPv4 by the first" is "$(seen home $WORLD4)" $A4
check "two: IPv6 by the second" is "$(seen home $WORLD6)" $B6
check "two: tables of their own" has "$(rules)" 'lookup 51821'
rm "$LAB_DIR/home.d/wg0.conf"
check "one of them goes" lab_wait 5 "wg0 to go" not lab_ip home link show wg0
check "one of them goes: IPv4 by the other" is "$(seen home $WORLD4)" $B4
check "one of them goes: IPv6 by the other" is "$(seen home $WORLD6)" $B6
rm "$LAB_DIR/home.d/wg1.conf"
check "the other goes" lab_wait 5 "wg1 to go" not lab_ip home link show wg1
gone "both are gone"

# ---- Table = N: only who asks for it ------------------------------------------------------

# The network that the address names is the gateway's own: it must not be led away.
file wg0 "$A4/24, $A6/64" "0.0.0.0/0, ::/0" "Table = 77"
check "a table: inbound, IPv4" lab_reaches internet $A4
check "a table: inbound, IPv6" lab_reaches internet $A6
check "a table: IPv4 of the host as ever" is "$(seen home $WORLD4)" $HOME4
check "a table: IPv6 of the host as ever" is "$(seen home $WORLD6)" $HOME6
check "a table: who has the address, IPv4" is "$(seen home $WORLD4 $A4)" $A4
check "a table: who has the address, IPv6" is "$(seen home $WORLD6 $A6)" $A6
check "a table: a rule for each" is "$(rules)" "from $A4 lookup 77
from $A6 lookup 77"
check "a table: no default route in the main one" is \
	"$(lab_ip home route show default; lab_ip home -6 route show default | wc -l)" \
	"default via 10.31.0.1 dev eth0 
1"
check "a table: the network of the address is where it was" has \
	"$(lab_ip home route get ${PREFIX6}99)" 'dev eth0'

# Led from one to another, with the session.
session=$(lab_handshake "$GW" "${PUB[wg0]}")
file wg0 "$A4/32, $A6/128" "0.0.0.0/0, ::/0"
check "changed to auto" lab_wait 5 "rules" ours "$AUTO"
check "changed to auto: by the tunnel" is "$(seen home $WORLD4)" $A4
check "changed to auto: by the tunnel, IPv6" is "$(seen home $WORLD6)" $A6
file wg0 "$A4/32, $A6/128" "0.0.0.0/0, ::/0" "Table = off" "FwMark = 0x7"
check "changed to off" lab_wait 5 "rules to go" no_rules
check "changed to off: as ever" is "$(seen home $WORLD4)" $HOME4
lab_in home nft -f - <<-END
	table inet count {
		chain out {
			type filter hook output priority 0
			udp dport $PORT meta mark 7 counter
		}
	}
END
file wg0 "$A4/32, $A6/128" "0.0.0.0/0, ::/0" "Table = 77" "FwMark = 0x7"
check "changed to a table" lab_wait 5 "rules" ours "from $A4 lookup 77
from $A6 lookup 77"
check "changed to a table: by the tunnel" is "$(seen home $WORLD4 $A4)" $A4
check "FwMark: the tunnel's packets bear it" has "$(lab_in home nft list table inet count)" \
	'counter packets [1-9]'
lab_in home nft delete table inet count
check "all in the same session" is "$(lab_handshake "$GW" "${PUB[wg0]}")" "$session"

# ---- killed --------------------------------------------------------------------------------

file box "$C4/32, $C6/128" "0.0.0.0/0, ::/0" "DNS = 9.9.9.9" "DNS = 2001:db8::53 lan"
check "DNS: written" lab_wait 5 "$RESOLV" test -e "$RESOLV"
check "DNS: what it says" is "$(cat "$RESOLV")" \
	"# Made by berthd, and gone with it: tunnel box of $LAB_DIR/home.d
nameserver 9.9.9.9
nameserver 2001:db8::53
search lan"
check "DNS: the container has it" contains "$(lab_in box cat /etc/resolv.conf)" 'nameserver 9.9.9.9'
check "the container is reached" lab_reaches internet $C6
file wg1 "$B4/32, $B6/128" "0.0.0.0/0, ::/0"
check "a default route again" lab_wait 5 "wg1" lab_ip home link show wg1
lab_ip home rule add from 10.9.9.9 lookup 77 pref 32500
lab_stop home KILL
check "killed: rules stay" has "$(rules)" 'lookup 51820'
rm "$LAB_DIR/home.d/"wg?.conf "$LAB_DIR/home.d/box.conf"
need "started again" home_starts
check "started again: rules are swept, but not somebody's" lab_wait 5 "rules" ours \
	"from 10.9.9.9 lookup 77"
check "started again: said" lab_logged home 'routing rules of an earlier run are removed'
check "started again: DNS is swept" not test -e "$RESOLV"
lab_ip home rule del pref 32500
gone "swept"

# ---- DNS: somebody else's ---------------------------------------------------------------------

mkdir -p "/etc/netns/$BOX"
echo '# mine' >"$RESOLV"
lab_mark home
file box "$C4/32, $C6/128" "0.0.0.0/0, ::/0" "DNS = 9.9.9.9"
check "somebody's resolv.conf: said" lab_wait_log home 'resolv.conf is not ours and is left alone'
check "somebody's resolv.conf: left alone" is "$(cat "$RESOLV")" "# mine"
rm "$RESOLV"
touch "$LAB_DIR/home.d/box.conf"
check "out of the way: ours comes" lab_wait 5 "$RESOLV" grep -qsx 'nameserver 9.9.9.9' "$RESOLV"

# ---- MTU ---------------------------------------------------------------------------------------

mtu_is()
{
	has "$(lab_ip box -o link show wg0)" "mtu $1 "
}

check "MTU: as Ethernet carries it" lab_wait 5 "1420" mtu_is 1420
check "MTU: the container is reached" lab_reaches internet $C6
lab_ip home link set eth0 mtu 1480
check "MTU: of the link" lab_wait 5 "1400" mtu_is 1400
lab_ip home route add $VPS4/32 via 10.31.0.1 mtu 1450
check "MTU: of the route" lab_wait 5 "1370" mtu_is 1370
lab_ip home route replace $VPS4/32 via 10.31.0.1 mtu 1300
check "MTU: no less than IPv6 must have" lab_wait 5 "1280" mtu_is 1280
file box "$C4/32, $C6/128" "0.0.0.0/0, ::/0" "MTU = 1390"
check "MTU: a number is that number" lab_wait 5 "1390" mtu_is 1390
lab_ip home route del $VPS4/32
file box "$C4/32, $C6/128" "0.0.0.0/0, ::/0" "MTU = auto"
check "MTU: auto" lab_wait 5 "1400" mtu_is 1400
check "DNS gone from the file: gone" not test -e "$RESOLV"

# ---- a table in the container ---------------------------------------------------------------

box_has_rule()
{
	contains "$(lab_ip box -6 rule)" "from $C6 lookup 77"
}

file box "$C4/32, $C6/128" "::/0" "Table = 77"
check "in the container: a rule" lab_wait 5 "the rule" box_has_rule
check "in the container: reached" lab_reaches internet $C6

box_is_whole()
{
	box_has_rule && has "$(lab_ip box -6 route show table 77)" 'default dev wg0' &&
		has "$(lab_ip box address show dev wg0)" "inet6 $C6/"
}

lab_ip box link set wg0 down
lab_ip box link set wg0 up
lab_ip box -6 rule del pref 32500
touch "$LAB_DIR/home.d/box.conf"
check "in the container: down and up, and the file touched" \
	lab_wait 5 "it to come back" box_is_whole
check "in the container: reached again" lab_reaches internet $C6
# Nobody tells of it there; it is looked every 30 s, and when something is mounted.
lab_ip box link set wg0 down
lab_ip box link set wg0 up
ip netns add "$BOX-other"
check "in the container: when it is looked" lab_wait 5 "it to come back" box_is_whole
ip netns delete "$BOX-other"
lab_stop home
check "stopped: no rule in the container" not box_has_rule
gone "stopped"
