#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Debian's wireguard-go as gateway, our program at home: once with a file whose
# tunnel lives in a container's namespace, once in the place of wireguard-go.
#
#   vps ---------- internet ---------- home                --- wg0 in box, boxes
#  wireguard-go                       berthd -c, UDP here
#                    |
#                    +---------------- shed
#                                     berthd -f IF, set up by wg
#
# Behind the gateway: 2001:db8:aaaa::/64 and 203.0.113.0/24, routed to the vps.

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go iperf3

GW=$(lab_if gw) SHED=$(lab_if sh)
INSIDE=2001:db8:aaaa::

lab_world
lab_house home 21
lab_house shed 22
lab_netns box boxes
lab_keys gw box boxes shed
lab_route internet ${INSIDE}/64 via $VPS6
wg genpsk | lab_file "$LAB_DIR/psk"
lab_wggo gw vps "$GW"
wg set "$GW" private-key "$LAB_DIR/gw.key" listen-port $PORT \
	peer "${PUB[box]}" allowed-ips ${INSIDE}21/128,203.0.113.21/32 \
	peer "${PUB[boxes]}" allowed-ips ${INSIDE}23/128,203.0.113.23/32 \
	preshared-key "$LAB_DIR/psk" \
	peer "${PUB[shed]}" allowed-ips ${INSIDE}22/128,203.0.113.22/32
lab_ip vps link set "$GW" mtu 1420 up
lab_route vps ${INSIDE}/64 dev "$GW"
lab_route vps 203.0.113.0/24 dev "$GW"

# ---- home: a file for each container -------------------------------------------

lab_home_conf home

# home_file NAME HOST OUTSIDE [line of [Peer]]...
home_file()
{
	local name=$1 host=$2 outside=$3

	shift 3
	{
		cat <<-END
			[Interface]
			PrivateKey = ${KEY[$name]}
			Address = ${INSIDE}$host/128, 203.0.113.$host/32
			MTU = 1420

			[Container]
			Netns = $(lab_ns "$name")
			Name = wg0

			[Peer]
			PublicKey = ${PUB[gw]}
			Endpoint = $(lab_endpoint "$outside")
			AllowedIPs = ::/0, 0.0.0.0/0
			PersistentKeepalive = 25
		END
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} | lab_file "$LAB_DIR/home.d/$name.conf"
}

wg0_is_up()
{
	has "$(lab_ip "$1" -o link show wg0)" '<.*UP.*>' && lab_ip "$1" -6 route show default | grep .
}

home_file box 21 4
need "home starts" lab_router home home "$LAB_DIR/home.control"
need "the container has its interface" lab_wait 5 wg0 lab_ip box link show wg0
check "up" lab_wait 5 "wg0 to be up" wg0_is_up box
check "with its address" has "$(lab_ip box address show dev wg0)" "${INSIDE}21/128"
check "and its IPv4 address" has "$(lab_ip box address show dev wg0)" "203.0.113.21/32"
check "with the MTU of the file" has "$(lab_ip box -o link show wg0)" 'mtu 1420'
check "and both default routes" is \
	"$(lab_ip box -4 route show default | wc -l) $(lab_ip box -6 route show default | wc -l)" "1 1"
check "home itself has no such interface" not lab_ip home link show wg0
check "the socket stays at home" is "$(lab_in box ss -Hanu | wc -l)" 0
check "keepalive alone brings the handshake" \
	lab_wait 10 handshake lab_has_handshake "$GW" "${PUB[box]}"

# A second container while the first one lives, IPv6 outside, preshared key.
home_file boxes 23 6 "PresharedKey = $(cat "$LAB_DIR/psk")"
check "a second file, a second container" lab_wait 5 wg0 lab_ip boxes link show wg0
check "its handshake, IPv6 outside" \
	lab_wait 10 handshake lab_has_handshake "$GW" "${PUB[boxes]}"

# ---- shed: wg sets it up ---------------------------------------------------------

lab_dropin shed shed "$SHED"
cat >"$LAB_DIR/shed.conf" <<-END
	[Interface]
	PrivateKey = ${KEY[shed]}

	[Peer]
	PublicKey = ${PUB[gw]}
	Endpoint = $(lab_endpoint 6)
	AllowedIPs = ::/0, 0.0.0.0/0
END
check "wg setconf" wg setconf "$SHED" "$LAB_DIR/shed.conf"
lab_tunnel_up shed "$SHED" "${INSIDE}22/128,203.0.113.22/32"

# ---- all of them -------------------------------------------------------------------

for who in box:21:4 boxes:23:6 shed:22:6; do
	IFS=: read -r ns host outside <<<"$who"
	what="$ns, IPv$outside outside"
	check "$what: reaches the world" lab_reaches "$ns" $WORLD6
	check "$what: no ping lost, IPv6 inside" lab_ping "$ns" $WORLD6 20
	check "$what: no ping lost, IPv4 inside" lab_ping "$ns" $WORLD4 20
	check "$what: the largest packet" lab_ping "$ns" $WORLD6 3 -M "do" -s 1372
	check "$what: is reached from the world, IPv6" lab_ping internet "${INSIDE}$host"
	check "$what: is reached from the world, IPv4" lab_ping internet "203.0.113.$host"
	check "$what: TCP up" lab_carries "$ns" $WORLD6 2 20
	check "$what: TCP down" lab_carries "$ns" $WORLD4 2 20 -R
done

# ---- and gone again -------------------------------------------------------------

rm "$LAB_DIR/home.d/boxes.conf"
check "its file deleted: the container's interface goes" \
	lab_wait 5 "wg0 to go" not lab_ip boxes link show wg0
check "the other container never noticed" lab_ping box $WORLD6 5
lab_stop home
check "home ends with status 0" is "$LAB_STATUS" 0
check "and takes the container's interface with it" not lab_ip box link show wg0
