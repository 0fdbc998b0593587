#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Our gateway, tenants with Debian's wireguard-go, each in its own house.
#
#                     +-- alice  IPv4 outside
#   vps --- internet -+-- bob    IPv4 outside, preshared key
#  berthd             +-- carol  IPv6 outside
#                     +-- dave   IPv6 outside, preshared key
#
# Inside, each has a public IPv6 and a public IPv4 address.

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go iperf3

GW=$(lab_if gw)
CONTROL=$LAB_DIR/gw.control
declare -A OUTSIDE=([alice]=4 [bob]=4 [carol]=6 [dave]=6)
declare -A PSK=([bob]=y [dave]=y)

lab_world
lab_keys gw alice bob carol dave
lab_gateway_conf gw "$GW"
n=10
for t in alice bob carol dave; do
	n=$((n + 1))
	lab_house $t $n
	psk=()
	if [ -n "${PSK[$t]:-}" ]; then
		wg genpsk | lab_file "$LAB_DIR/$t.psk"
		psk=("PresharedKeyFile = ../$t.psk")
	fi
	lab_tenant gw $t "$PREFIX6$n/128, 203.0.113.$n/32" "${psk[@]}"
done
need "the gateway starts" lab_gateway gw vps "$GW"
need "it has read the last file" lab_wait_peer "$GW" "${PUB[dave]}"
check "wg show lists four peers" is "$(wg show "$GW" peers | wc -l)" 4
check "wg show knows the port" is "$(wg show "$GW" listen-port)" $PORT
check "wg show knows the key" is "$(wg show "$GW" public-key)" "${PUB[gw]}"

n=10
for t in alice bob carol dave; do
	n=$((n + 1))
	dev=$(lab_if "t$n")
	psk=()
	[ -z "${PSK[$t]:-}" ] || psk=(preshared-key "$LAB_DIR/$t.psk")
	what="$t, IPv${OUTSIDE[$t]} outside${psk[0]:+, preshared key}"
	lab_wggo_tenant $t $t "$dev" "${PUB[gw]}" "$(lab_endpoint "${OUTSIDE[$t]}")" \
		"$PREFIX6$n/128,203.0.113.$n/32" "${psk[@]}"

	check "$what: shakes hands, reaches the world" lab_reaches $t $WORLD6
	check "$what: no ping lost, IPv6 inside" lab_ping $t $WORLD6 20
	check "$what: no ping lost, IPv4 inside" lab_ping $t $WORLD4 20
	check "$what: the largest packet, IPv6" lab_ping $t $WORLD6 3 -M "do" -s 1372
	check "$what: the largest packet, IPv4" lab_ping $t $WORLD4 3 -M "do" -s 1392
	check "$what: is reached from the world, IPv6" lab_ping internet $PREFIX6$n
	check "$what: is reached from the world, IPv4" lab_ping internet 203.0.113.$n
	check "$what: wg shows the handshake" lab_has_handshake "$GW" "${PUB[$t]}"
	check "$what: wg shows bytes received" \
		at_least "$(lab_transfer "$GW" "${PUB[$t]}" rx)" 5000
	check "$what: wg shows bytes sent" \
		at_least "$(lab_transfer "$GW" "${PUB[$t]}" tx)" 5000
	case ${OUTSIDE[$t]} in
	4) from="10.$n.0.2:" ;;
	6) from="[2001:db8:$n::2]:" ;;
	esac
	check "$what: wg shows the endpoint" contains "$(wg show "$GW" endpoints)" "${PUB[$t]}	$from"

	before=$(lab_drops "$CONTROL" $t source-not-allowed)
	lab_addr $t "$dev" ${PREFIX6}bad/128 203.0.113.250/32
	check "$what: a foreign IPv6 source goes nowhere" \
		not lab_in $t ping -n -i 0.05 -W 1 -c 3 -I ${PREFIX6}bad $WORLD6
	check "$what: a foreign IPv4 source goes nowhere" \
		not lab_in $t ping -n -i 0.05 -W 1 -c 3 -I 203.0.113.250 $WORLD4
	lab_ip $t address del ${PREFIX6}bad/128 dev "$dev"
	lab_ip $t address del 203.0.113.250/32 dev "$dev"
	check "$what: those six packets are counted" \
		lab_drops_at_least "$CONTROL" $t source-not-allowed $((before + 6))
done

check "TCP up, IPv6 inside IPv4" lab_carries bob $WORLD6 2 20
check "TCP down, IPv6 inside IPv6" lab_carries dave $WORLD6 2 20 -R
check "TCP up, IPv4 inside IPv6" lab_carries carol $WORLD4 2 20
check "TCP down, IPv4 inside IPv4" lab_carries alice $WORLD4 2 20 -R
check "tenants reach each other" lab_ping alice ${PREFIX6}14
check "the wrong preshared key is no way in" not test -z "$(
	wg genpsk >"$LAB_DIR/wrong.psk"
	wg set "$(lab_if t14)" peer "${PUB[gw]}" remove
	wg set "$(lab_if t14)" peer "${PUB[gw]}" endpoint "$(lab_endpoint 6)" \
		allowed-ips ::/0 preshared-key "$LAB_DIR/wrong.psk"
	lab_silent dave $WORLD6 && echo silent
)"
lab_stop gw
check "the gateway ends with status 0" is "$LAB_STATUS" 0
check "its UAPI socket is gone" not test -e "$(lab_uapi "$GW")"
check "its device is gone" not lab_ip vps link show "$GW"
