#!/bin/bash
# SPDX-License-Identifier: MIT
#
# berth trace: where a packet to a tenant goes, and where it ends.
#
#   internet ------------- vps            berthd
#        |                    eth0
#        └------------- alice             wireguard-go
#        └------------- house             berthd, a tunnel of our own into box

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) ALICE=$(lab_if al)
D=$LAB_DIR/gw.d
A=${PREFIX6}a1 B=${PREFIX6}b1 C=203.0.113.1 N=${PREFIX6}ffff
OUT=$LAB_DIR/trace.json

lab_world
lab_house alice 85
lab_house house 86
lab_netns box
lab_keys gw alice bob carol house
lab_gateway_conf gw "$GW"
lab_tenant gw alice "$A/128, $C/32"
lab_tenant gw bob "$B/128"
need "the gateway starts" lab_gateway gw vps "$GW"
need "its tenants are read" lab_wait_peer "$GW" "${PUB[bob]}"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 6)" $A/128,$C/32 \
	persistent-keepalive 1
need "alice is reached" lab_reaches internet $A

trace()
{
	lab_in vps "$BERTH" trace --json -c "$LAB_DIR/gw.conf" "$1" >"$OUT"
}

# hop NAME FIELD
hop()
{
	jq -r ".hops[] | select(.hop == \"$1\") | .$2" "$OUT"
}

# stops "what" ADDRESS HOP PATTERN [COMMAND]: there, and nowhere before.
stops()
{
	local status=0

	trace "$2" || status=$?
	check "$1: stops at $3" is "$(jq -r .stops "$OUT") $status" "$3 1"
	check "$1: said" has "$(hop "$3" what)" "$4"
	[ $# -lt 5 ] || check "$1: '$5'" is "$(hop "$3" command)" "$5"
}

passes()
{
	local status=0

	trace "$2" || status=$?
	check "$1: passes" is "$(jq -r .stops "$OUT") $status" "null 0"
}

passes "a tenant who is there" $A
check "every hop of it" is "$(jq -r '[.hops[].hop] | join(" ")' "$OUT")" \
	"prefix tenant uplink neighbour forwarding firewall route session endpoint dropped"
check "whose it is" has "$(hop tenant what)" "alice's"
check "somebody has asked for it" has "$(hop neighbour what)" 'asked for it at eth0 [0-9]+ s ago'
check "the session" has "$(hop session what)" 'alice is connected, the last handshake was [0-9]+ s ago'
check "where she is" has "$(hop endpoint what)" '^it is at \[2001:db8:85::2\]:[0-9]+, by eth0'
passes "over IPv4" $C
lab_in vps "$BERTH" trace -c "$LAB_DIR/gw.conf" $A >"$LAB_DIR/table"
check "people are told, too" has "$(cat "$LAB_DIR/table")" '^ok    session    alice is connected'
check "in 80 columns" is "$(awk 'length > 80' "$LAB_DIR/table")" ''
check "in the end" has "$(tail -n 1 "$LAB_DIR/table")" 'nothing on this machine stops it'

stops "who was never there" $B session 'bob has never been connected'
lab_tenant gw bob "$B/128" '[Tenant]' 'Announce = connected'
away()
{
	trace $B || [ "$(jq -r .stops "$OUT")" = neighbour ]
}
need "Announce = connected is read" lab_wait 5 "it" away
stops "who is announced when he is there" $B neighbour 'no answer while bob is not connected'
check "and is not" not lab_in internet ping -n -c 1 -W 1 $B
lab_tenant gw alice "$A/128, $C/32" '[Tenant]' 'Announce = connected' 'Quota = 1KB/month' 'Blocked = yes'
its_quota()
{
	trace $A || :
	[ "$(jq -r .stops "$OUT")" = quota ] || ! lab_in internet ping -q -i 0.1 -c 10 -W 1 $A >/dev/null
}
need "alice uses up her quota" lab_wait 20 "it" its_quota
stops "a quota that is used up" $A quota 'alice has used up its quota, and is blocked until 2' "berth quota alice"
lab_tenant gw alice "$A/128, $C/32"
lab_tenant gw bob "$B/128"
its_way()
{
	trace $A && { trace $B || [ "$(jq -r .stops "$OUT")" = session ]; }
}
need "all is as it was" lab_wait 5 "it" its_way

stops "nobody's" $N tenant "nobody's: a file in .*gw.d that has AllowedIPs = $N/128" "berth add NAME --address $N"
check "nobody's: neighbours" has "$(hop neighbour what)" 'gets no answer'
stops "elsewhere" 2001:db8:1::1 prefix 'in no Prefix'
check "no address" not trace alice
lab_in vps "$BERTH" trace -c "$LAB_DIR/gw.conf" alice >"$LAB_DIR/table" 2>&1 || LAB_STATUS=$?
check "no address: usage" is "$LAB_STATUS" 2

lab_sysctl vps net/ipv6/conf/all/forwarding=0
stops "no forwarding" $A forwarding 'does not forward IPv6' 'sysctl -w net.ipv6.conf.all.forwarding=1'
lab_sysctl vps net/ipv6/conf/all/forwarding=1
lab_in vps nft -f - <<-END
	table ip6 f {
		chain forwarded {
			type filter hook forward priority 0; policy drop
			ip6 daddr $A accept
		}
	}
END
stops "a firewall" $B firewall 'policy of chain forwarded of ip6 f drops it'
passes "a firewall with her exception" $A
lab_in vps nft delete table ip6 f

lab_ip vps -6 route add $PREFIX6/64 dev eth0 table 77
lab_ip vps -6 rule add to $PREFIX6/64 table 77
stops "a rule" $A route 'a rule sends them to table 77' 'ip -6 rule show'
lab_ip vps -6 rule del to $PREFIX6/64 table 77
lab_ip vps -6 route add blackhole $A/128 metric 1
stops "a blackhole" $A route 'a route or rule of type blackhole wins'
lab_ip vps -6 route del blackhole $A/128 metric 1
lab_ip vps link set "$GW" down
stops "our interface is down: no route" $A route 'no route for it to'
lab_ip vps link set "$GW" up
its_route()
{
	trace $A
}
need "the route is back" lab_wait 10 "the route" its_route
lab_ip vps link set eth0 down
stops "the uplink is down" $A uplink 'eth0 is down' 'ip link set eth0 up'
lab_ip vps link set eth0 up
lab_addr vps eth0 $VPS6/64 || :
lab_route vps default via 192.0.2.1
lab_ip vps -6 route replace default via 2001:db8:beef::1
need "she is back" lab_reaches internet $A

sed -i 's/^PublicKey = .*/PublicKey =/' "$D/alice.conf"
need "alice is revoked" lab_wait_no_peer "$GW" "${PUB[alice]}"
stops "revoked" $A tenant "alice's, who is revoked: .*alice.conf has no public key" "berth check -c $LAB_DIR/gw.conf"
sed -i 's/^PublicKey =.*/PublicKey = x/' "$D/alice.conf"
stops "a fault in her file" $A tenant "alice's by a file that is not in force: .*alice.conf:2: "
lab_tenant gw carol "$B/128" '[Tenant]' 'OnSharedKey = quarantine'
rm "$D/bob.conf"
lab_stop gw
stops "no berthd" $B tenant "carol's, and berthd does not run" 'systemctl start berthd'
# What is remembered of her: that her key was in use from two places.
"$PYTHON" - "key=${PUB[carol]} name=carol held=1" >>"$LAB_DIR/gw.state/tenants.journal" <<-'END'
	import functools, sys
	line = sys.argv[1]
	print("%s sum=%016x" % (line, functools.reduce(
	    lambda h, c: (h ^ c) * 0x100000001b3 % 2**64, line.encode(), 0xcbf29ce484222325)))
END
need "it starts again" lab_gateway gw vps "$GW"
need "carol is read" lab_wait_peer "$GW" "${PUB[carol]}"
stops "quarantined" $B neighbour 'carol is quarantined' 'berth release carol'
check "quarantined: her session" has "$(hop session what)" 'carol is quarantined'
check "and is released so" "$BERTH" release carol --control "$LAB_DIR/gw.control"
stops "no more" $B session 'carol has never been connected'

# ---- at home ---------------------------------------------------------------------------------------

lab_home_conf home
KEEPALIVE=1 lab_tunnel home carol $B/128 "$(lab_endpoint 6)" \
	'[Container]' "Netns = $(lab_ns box)" 'Name = wg0'
home()
{
	lab_in house "$BERTH" trace --json -c "$LAB_DIR/home.conf" $B >"$OUT"
}
check "at home, no berthd" not home
check "at home, no berthd: said" is "$(jq -r .stops "$OUT")" berthd
lab_router home house "$LAB_DIR/home.control"
check "at home" lab_wait 10 "the tunnel" home
has_session()
{
	home
	has "$(hop session what)" 'the last handshake was'
}
check "at home: the session" lab_wait 15 "the session" has_session
check "at home: the interface" has "$(hop interface what)" 'wg0 is up and has the address'
check "and the gateway sees it" lab_wait 10 "carol" trace $B
lab_ip box link set wg0 down
check "its interface is down" not home
check "its interface is down: said" is "$(jq -r .stops "$OUT")" interface
