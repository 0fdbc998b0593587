#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tenants that are kept apart: by one's own file while all of it runs, by berth.conf for all,
# over IPv4 and IPv6, straight and by way of an address of the gateway.
#
#   internet ------- vps     gateway; for management 10.77.0.1 and fd00:1::1
#      +--- alice            wireguard-go; 2001:db8:beef::a1, 203.0.113.1
#      +--- bob              berthd -f IF; 2001:db8:beef::b0, 203.0.113.2

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go jq

GW=$(lab_if gw) ALICE=$(lab_if al) BOB=$(lab_if bo)
CONTROL=$LAB_DIR/gw.control
A6=${PREFIX6}a1 A4=203.0.113.1 B6=${PREFIX6}b0 B4=203.0.113.2

lab_world
lab_house alice 95
lab_house bob 96
lab_keys gw alice bob
lab_gateway_conf gw "$GW"
sed -i '/^ListenPort/a Address = 10.77.0.1/32, fd00:1::1/128' "$LAB_DIR/gw.conf"
lab_tenant gw alice "$A6/128, $A4/32"
lab_tenant gw bob "$B6/128, $B4/32"
need "the gateway starts" lab_gateway gw vps "$GW"
need "the files are read" lab_wait_peer "$GW" "${PUB[bob]}"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" "$A6/128,$A4/32" \
	persistent-keepalive 1
lab_dropin bob bob "$BOB"
wg set "$BOB" private-key "$LAB_DIR/bob.key" peer "${PUB[gw]}" endpoint "$(lab_endpoint 4)" \
	allowed-ips ::/0,0.0.0.0/0 persistent-keepalive 1
lab_tunnel_up bob "$BOB" "$B6/128,$B4/32"
for where in "alice $ALICE" "bob $BOB"; do
	read -r ns dev <<<"$where"
	lab_route "$ns" $PREFIX6/64 dev "$dev"
	lab_route "$ns" 203.0.113.0/24 dev "$dev"
	lab_route "$ns" 10.77.0.1/32 dev "$dev"
	lab_route "$ns" fd00:1::1/128 dev "$dev"
	need "$ns is there" lab_reaches "$ns" $WORLD6
done

isolated()
{
	lab_drops "$CONTROL" "$1" isolated
}

is_isolated()
{
	[ "$(lab_control "$CONTROL" "{\"do\":\"show\",\"name\":\"$1\"}" |
		jq '.tenant.isolated // false')" = "$2" ]
}

# Each reaches the other, and is seen under its own address.
together()
{
	check "$1: bob from alice" lab_ping alice $B6
	check "$1: over IPv4" lab_ping alice $B4
	check "$1: alice from bob" lab_ping bob $A6
	check "$1: over IPv4" lab_ping bob $A4
}

# told NS ADDRESS: one packet, and the answer that says why it went nowhere.
told()
{
	has "$(lab_in "$1" ping -n -c 1 -W 2 "$2" 2>&1)" \
		'Packet filtered|[Aa]dministratively prohibited|Dest Unreachable, Bad Code: 13'
}

apart()
{
	local a b

	a=$(isolated alice) b=$(isolated bob)
	check "$1: alice does not reach bob, and is told" told alice $B6
	check "$1: over IPv4" told alice $B4
	check "$1: bob does not reach alice, and is told" told bob $A6
	check "$1: over IPv4" told bob $A4
	check "$1: counted" is "$(($(isolated alice) - a)) $(($(isolated bob) - b))" "2 2"
	check "$1: TCP fails at once" at_most "$(
		t0=$(lab_us)
		lab_in alice timeout 10 bash -c "exec 3<>/dev/tcp/$B4/80" 2>/dev/null || :
		lab_ms_since "$t0")" $((3000 * LAB_SLOW))
	check "$1: alice reaches the world" lab_ping alice $WORLD6
	check "$1: over IPv4" lab_ping alice $WORLD4
	check "$1: and the world bob" lab_ping internet $B6
	check "$1: the gateway's own address is no tenant's" lab_ping alice fd00:1::1
	check "$1: over IPv4" lab_ping bob 10.77.0.1
}

together "not isolated"
session=$(lab_handshake "$GW" "${PUB[alice]}")
lab_start watch alice ping -n -i 0.02 -W 2 $WORLD6

lab_tenant gw alice "$A6/128, $A4/32" '[Tenant]' 'Isolate = yes'
need "alice's file says Isolate = yes" lab_wait 5 "the change" is_isolated alice true
check "she keeps her session" is "$(lab_handshake "$GW" "${PUB[alice]}")" "$session"
apart "alice isolated"
check "berth show says so" has "$("$BERTH" show alice --control "$CONTROL")" 'isolated +from all other'
check "and of bob does not" not has "$("$BERTH" show bob --control "$CONTROL")" 'isolated +from'
check "and of what happened" has "$("$BERTH" show alice --control "$CONTROL")" 'its file changed: isolation'
check "berth trace says so" has "$(lab_in vps "$BERTH" trace -c "$LAB_DIR/gw.conf" $A6)" \
	'isolated +from the world'

# What bob's side has received that somebody sent him unasked. His answers to it would be
# dropped and counted as well, so that the counter alone does not say that it never came.
arrived()
{
	lab_in bob nstat -asz UdpNoPorts Udp6NoPorts IcmpInEchos Icmp6InEchos |
		awk '{ sum += $2 } END { print sum + 0 }'
}

# By way of the gateway: the host gives the packet another destination.
lab_in vps nft -f - <<-END
	table inet detour {
		chain in {
			type nat hook prerouting priority dstnat;
			ip daddr 10.77.0.1 udp dport 7 dnat ip to $B4
			ip6 daddr fd00:1::1 udp dport 7 dnat ip6 to $B6
		}
	}
END
b=$(isolated bob) before=$(arrived)
counted_for_bob()
{
	[ "$(isolated bob)" -ge $((b + $1)) ]
}
lab_in alice bash -c 'echo x >/dev/udp/10.77.0.1/7; echo x >/dev/udp/fd00:1::1/7'
check "nor by way of the gateway" lab_wait 5 "both on their way to bob" counted_for_bob 2
check "and nothing has come to him" is "$(arrived)" "$before"
lab_in vps nft delete table inet detour

# Somebody outside says that he is alice: bob does not get that either, and she hears nothing.
lab_sysctl vps net/ipv4/conf/all/rp_filter=0 net/ipv4/conf/eth0/rp_filter=0
lab_in internet ip address add $A4/32 dev lo
b=$(isolated bob) before=$(arrived)
lab_in internet ping -n -c 2 -i 0.1 -W 1 -I $A4 $B4 >/dev/null 2>&1 || :
lab_in internet ip address del $A4/32 dev lo
check "nor does who pretends to be her" lab_wait 5 "both to be dropped" counted_for_bob 2
check "and of that nothing has come either" is "$(arrived)" "$before"
check "it would have been seen" lab_ping internet $B4 1
check "by its count" is "$(arrived)" $((before + 1))

lab_tenant gw alice "$A6/128, $A4/32"
need "her file says nothing of it" lab_wait 5 "the change" is_isolated alice false
together "isolated no more"
lab_stop watch INT
check "all the while she lost no packet to the world" lab_no_gap watch

# For all, but those who say otherwise.
lab_stop gw
sed -i '/^\[Router\]/a Isolate = yes' "$LAB_DIR/gw.conf"
need "the gateway starts with Isolate = yes" lab_gateway gw vps "$GW"
for ns in alice bob; do
	need "$ns is there again" lab_reaches "$ns" $WORLD6 20
	check "$ns is isolated" is_isolated "$ns" true
done
apart "all isolated"

# The gateway's own addresses are the firewall's business: what SECURITY.md says to do.
lab_in vps nft -f - <<-END
	table inet berth-guard {
		chain in {
			type filter hook input priority filter;
			iifname "$GW" ip daddr 10.77.0.1 drop
			iifname "$GW" ip6 daddr fd00:1::1 drop
		}
	}
END
check "with a rule they are out of reach" lab_silent alice fd00:1::1
check "over IPv4" lab_silent bob 10.77.0.1
check "and the world is not" lab_ping alice $WORLD6
lab_in vps nft delete table inet berth-guard

for who in "alice $A6/128, $A4/32" "bob $B6/128, $B4/32"; do
	read -r name ips <<<"$who"
	lab_tenant gw "$name" "$ips" '[Tenant]' 'Isolate = no'
	need "$name's file says Isolate = no" lab_wait 5 "the change" is_isolated "$name" false
done
together "neither isolated, by their files"

printf 'Isolate = perhaps\n' >>"$LAB_DIR/gw.d/alice.conf"
check "a value that is none is a fault" has \
	"$("$BERTHD" -n -c "$LAB_DIR/gw.conf" 2>&1 || :)" \
	"gw.d/alice.conf:[0-9]+: Isolate: "
