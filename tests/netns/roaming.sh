#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A tenant changes port, address and address family in the middle of a TCP
# transfer; the gateway follows the first authenticated packet (paper §6.5).
# Limit: 180
#
#   vps ------- internet ---+--- alice   wireguard-go: 10.51.0.2 → .3, ::2 → ::3
#  berthd                   +--- bob     berthd -f IF: the same

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go iperf3

GW=$(lab_if gw)
SECONDS_LONG=14

lab_world
lab_keys gw alice bob
lab_gateway_conf gw "$GW"
lab_tenant gw alice ${PREFIX6}51/128
lab_tenant gw bob ${PREFIX6}52/128
need "the gateway starts" lab_gateway gw vps "$GW"

endpoint_is()
{
	contains "$(wg show "$GW" endpoints)" "${PUB[$1]}	$2"
}

# moves WHO WHAT ENDPOINT: within 5 s.
moves()
{
	check "$1: $2" lab_wait 5 "the endpoint $3" endpoint_is "$1" "$3"
}

# calls WHO DEVICE 4|6 WHAT ENDPOINT: the tenant turns to another address of the
# gateway. What was under way from the old one turns it back (roaming, again):
# so it insists.
calls()
{
	check "$1: $4" lab_wait 5 "the endpoint $5" insists "$@"
}

insists()
{
	endpoint_is "$1" "$5" && return 0
	wg set "$2" peer "${PUB[gw]}" endpoint "$(lab_endpoint "$3")"
	return 1
}

roam()
{
	local who=$1 n=$2 dev=$3 handshake=$4 transfer=$1-transfer

	lab_start "$who-server" internet iperf3 -s -1 -B $WORLD6 -p "52$n" --forceflush
	lab_wait_log "$who-server" 'Server listening'
	lab_start "$transfer" "$who" iperf3 -J -c $WORLD6 -p "52$n" -t $SECONDS_LONG -b 50M
	lab_wait 5 "data" lab_flows "$n"

	wg set "$dev" listen-port 1111
	moves "$who" "another port" "10.$n.0.2:1111"
	lab_sysctl "$who" net/ipv4/conf/eth0/promote_secondaries=1
	lab_addr "$who" eth0 "10.$n.0.3/24"
	lab_ip "$who" address del "10.$n.0.2/24" dev eth0
	lab_route "$who" default via "10.$n.0.1"
	# wireguard-go clings to the old source address on newer kernels (it knows
	# EINVAL, they say ENETUNREACH); ours must let go of it by itself.
	[ "$who" = bob ] || wg set "$dev" peer "${PUB[gw]}" endpoint "$(lab_endpoint 4)"
	moves "$who" "another address" "10.$n.0.3:1111"
	calls "$who" "$dev" 6 "from IPv4 to IPv6" "[2001:db8:$n::2]:1111"
	lab_addr "$who" eth0 "2001:db8:$n::3/64"
	lab_ip "$who" address del "2001:db8:$n::2/64" dev eth0
	[ "$who" = bob ] || wg set "$dev" peer "${PUB[gw]}" endpoint "$(lab_endpoint 6)"
	moves "$who" "another IPv6 address" "[2001:db8:$n::3]:1111"
	calls "$who" "$dev" 4 "back to IPv4" "10.$n.0.3:1111"

	check "$who: the transfer comes to its end" lab_join "$transfer" 30
	check "$who: and moved data until then" at_least "$(
		jq '.intervals[-1].sum.bytes' "$(lab_log "$transfer")")" 100000
	check "$who: one handshake was enough" \
		is "$(lab_handshake "$GW" "${PUB[$who]}")" "$handshake"
}

lab_flows()
{
	lab_in internet ss -Htn state established "sport = :52$1" | grep -q .
}

for tenant in alice:51 bob:52; do
	IFS=: read -r who n <<<"$tenant"
	dev=$(lab_if "t$n")
	lab_house "$who" "$n"
	if [ "$who" = alice ]; then
		lab_wggo "$who" "$who" "$dev"
	else
		lab_dropin "$who" "$who" "$dev"
	fi
	wg set "$dev" private-key "$LAB_DIR/$who.key" listen-port 1000 peer "${PUB[gw]}" \
		endpoint "$(lab_endpoint 4)" allowed-ips ::/0
	lab_tunnel_up "$who" "$dev" "${PREFIX6}$n/128"
	need "$who: reaches the world" lab_reaches "$who" $WORLD6
	check "$who: at first" endpoint_is "$who" "10.$n.0.2:1000"
	roam "$who" "$n" "$dev" "$(lab_handshake "$GW" "${PUB[$who]}")"
done

# The program starts anew on another port: a new session, the same TCP connection.
dev=$(lab_if t51)
lab_start server internet iperf3 -s -1 -B $WORLD6 --forceflush
lab_wait_log server 'Server listening'
lab_start transfer alice iperf3 -J -c $WORLD6 -t $SECONDS_LONG -b 20M
lab_wait 5 "data" lab_flows 01
lab_stop alice
lab_wggo_tenant alice alice "$dev" "${PUB[gw]}" "$(lab_endpoint 6)" ${PREFIX6}51/128 \
	persistent-keepalive 1
wg set "$dev" listen-port 2222
check "alice restarted on another port" \
	lab_wait 10 "the endpoint" endpoint_is alice "[2001:db8:51::3]:2222"
check "the transfer comes to its end" lab_join transfer 30
