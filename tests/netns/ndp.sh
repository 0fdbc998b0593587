#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The provider's router asks the cable for every single address of the /64. We
# answer for the tenants that exist and for nobody else.
#
#   internet ------------- vps ------- (tunnel) alice
#   cable, 2001:db8:beef::1   eth0, 2001:db8:beef::2, berthd
#   kernel's resolver      tcpdump

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go tcpdump

GW=$(lab_if gw) ALICE=$(lab_if al)
A=${PREFIX6}a1 B=${PREFIX6}b0

lab_world
lab_house alice 81
lab_keys gw alice bob
# The router here asks again as it likes, and gets one answer each time.
lab_gateway_conf gw "$GW" "NeighborSource = link-local"
lab_tenant gw alice $A/128
MAC=$(lab_ip vps -j link show eth0 | jq -r '.[0].address')

# What the machine is like without us.
shape()
{
	lab_in vps nft list ruleset
	lab_ip vps maddress show dev eth0 | sed 's/ users.*//'
	lab_in vps cat /proc/sys/net/ipv6/conf/eth0/proxy_ndp
	lab_ip vps -6 neighbor show proxy
	lab_ip vps -6 route show | sed 's/ expires.*//'
}
before=$(shape)

need "the gateway starts" lab_gateway gw vps "$GW"
need "alice's file is read" lab_wait_peer "$GW" "${PUB[alice]}"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" $A/128
need "alice reaches the world" lab_reaches alice $WORLD6

lab_start tcpdump vps tcpdump -l --immediate-mode -n -v -i eth0 'icmp6 and (ip6[40] < 128 or ip6[40] == 135 or ip6[40] == 136)'
lab_wait_log tcpdump 'listening on'

neighbor()
{
	lab_ip internet -6 neighbor show "$1" dev cable
}

forget()
{
	lab_ip internet -6 neighbor flush dev cable >/dev/null 2>&1 || :
	lab_mark tcpdump
}

probed_ok()
{
	has "$(neighbor $A)" REACHABLE
}

# How many advertisements for $1 since the mark.
answers()
{
	lab_since tcpdump | grep -cE "advertisement.* tgt is $1," || :
}

taken()
{
	contains "$(lab_ip internet -6 address show dev cable dadfailed)" "$A"
}

# ---- a tenant --------------------------------------------------------------------

forget
check "the world reaches Alice" lab_ping internet $A
check "her address resolves to the vps" has "$(neighbor $A)" "lladdr $MAC"
check "tcpdump saw the advertisement" lab_wait_log tcpdump "advertisement.* tgt is $A,"
check "solicited, and not overriding (RFC 4861 7.2.8)" \
	not has "$(lab_since tcpdump | grep -E "tgt is $A,")" 'override'
check "solicited" has "$(lab_since tcpdump | grep -E "tgt is $A,")" 'Flags \[.*solicited'
check "one question, one answer" is "$(answers $A)" 1

# The kernel asks again, in unicast, whom it has not heard of for a while.
forget
lab_ip internet neighbor replace $A dev cable lladdr "$MAC" nud probe
check "a unicast probe is answered" lab_wait 5 "REACHABLE" probed_ok
check "tcpdump saw it" lab_wait_log tcpdump "advertisement.* tgt is $A,"
check "a unicast probe, once" is "$(answers $A)" 1
check "and no error of the kernel beside it" not has "$(lab_since tcpdump)" 'unreachable'

# Somebody else tries to take her address: duplicate address detection.
lab_sysctl internet net/ipv6/conf/cable/accept_dad=1 net/ipv6/conf/all/accept_dad=1
lab_ip internet address add $A/128 dev cable
check "whoever takes her address is told that it is taken" lab_wait 5 "dadfailed" taken
check "to all nodes" lab_wait_log tcpdump "> ff02::1: .*advertisement.* tgt is $A,"
check "not solicited" not lab_logged tcpdump "> ff02::1: .* tgt is $A,.*Flags.*solicited"
lab_ip internet address del $A/128 dev cable
lab_sysctl internet net/ipv6/conf/cable/accept_dad=0 net/ipv6/conf/all/accept_dad=0

# ---- nobody ------------------------------------------------------------------------

forget
check "an address of nobody is silent" lab_silent internet ${PREFIX6}dead
check "and unresolved" not has "$(neighbor ${PREFIX6}dead)" lladdr
check "and nobody answered for it" is "$(answers ${PREFIX6}dead)" 0
check "neither for its neighbour in the solicited-node group" \
	lab_silent internet ${PREFIX6}1:0:a1
check "the vps itself still answers for itself" lab_ping internet $VPS6
check "and only the kernel does" at_most "$(answers $VPS6)" 1

# ---- come and gone --------------------------------------------------------------------

lab_tenant gw bob $B/128
need "bob's file is read" lab_wait_peer "$GW" "${PUB[bob]}"
forget
lab_in internet ping -n -c 1 -W 1 $B >/dev/null 2>&1 || :
check "a new tenant resolves at once" has "$(neighbor $B)" "lladdr $MAC"
rm "$LAB_DIR/gw.d/alice.conf"
need "alice is revoked" lab_wait_no_peer "$GW" "${PUB[alice]}"
forget
check "revoked: silent" lab_silent internet $A
check "revoked: unresolved" not has "$(neighbor $A)" lladdr
check "revoked: nobody answered for her" is "$(answers $A)" 0

# ---- we leave no trace -------------------------------------------------------------------

lab_stop tcpdump
lab_stop gw
check "the machine is as it was before us" is "$(shape)" "$before"
