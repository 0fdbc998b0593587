#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The public IPv4 and IPv6 address of a VPS move into a namespace at home, behind NAT and
# without IPv6, and with them its services, which live only there; the VPS keeps another
# address for SSH. With berth, and by hand with wireguard-go, ndppd, ip, sysctl and wg.
#
#   internet ---- vps     192.0.2.2, 2001:db8:beef::2: SSH, nothing else
#       |
#      nat ------ home --- public   192.0.2.10, 2001:db8:beef::10: port 25 and all the rest
#
# Limit: 200

# shellcheck source=tools/lab/story.sh
. "$(dirname "$0")/../../tools/lab/story.sh"
lab_begin wg wireguard-go ndppd nsenter unshare sysctl

PUBLIC4=192.0.2.10 PUBLIC6=${PREFIX6}10
GATEWAY=''

# Its old place must let go of the addresses, whatever carries them then.
let_go()
{
	run vps "ip address del $PUBLIC4/32 dev eth0"
	run vps "ip address del $PUBLIC6/128 dev eth0"
	run vps 'sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth0.accept_ra=2'
}

build_berth()
{
	run vps 'cd /etc/berth'
	run vps '(umask 077; berth keygen > gateway.key)'
	run vps 'berth pubkey < gateway.key'
	GATEWAY=$OUT
	run home 'cd /etc/berth'
	run home 'ip netns add public'
	run home '(umask 077; berth keygen > public.key)'
	run home 'berth pubkey < public.key'
	put vps /etc/berth/config.d/public.conf <<-END
		[Peer]
		PublicKey = $OUT
		AllowedIPs = $PUBLIC4/32, $PUBLIC6/128
	END
	put vps /etc/berth/berth.conf <<-END
		[Interface]
		PrivateKeyFile = gateway.key

		[Router]
		Uplink = eth0
		Prefix = $PUBLIC4/32
		Prefix = $PUBLIC6/128
	END
	# berthd.service runs as the user whom the folder belongs to.
	run vps 'chown -R --reference=. .'
	let_go
	run vps 'systemctl enable --now berthd'
	put home /etc/berth/berth.conf </dev/null
	put home /etc/berth/config.d/public.conf <<-END
		[Interface]
		PrivateKeyFile = ../public.key
		Address = $PUBLIC4/32, $PUBLIC6/128

		[Container]
		Netns = public
		Name = wg0

		[Peer]
		PublicKey = $GATEWAY
		Endpoint = vps.example.com:51820
		AllowedIPs = 0.0.0.0/0, ::/0
		PersistentKeepalive = 25
	END
	run home 'systemctl enable --now berthd-home'
}

build_hand()
{
	local public

	run vps 'cd /etc/wireguard'
	run vps '(umask 077; wg genkey > gateway.key)'
	run vps 'wg pubkey < gateway.key'
	GATEWAY=$OUT
	run home 'cd /etc/wireguard'
	run home 'ip netns add public'
	run home 'ip -n public link set lo up'
	run home '(umask 077; wg genkey > public.key)'
	run home 'wg pubkey < public.key'
	public=$OUT
	let_go
	run vps 'wireguard-go wg0'
	run vps "wg set wg0 listen-port 51820 private-key gateway.key peer $public allowed-ips $PUBLIC4/32,$PUBLIC6/128"
	run vps 'ip link set wg0 mtu 1420 up'
	run vps "ip route add $PUBLIC4/32 dev wg0"
	run vps "ip -6 route add $PUBLIC6/128 dev wg0"
	run vps 'sysctl -w net.ipv4.conf.eth0.proxy_arp=1'
	put vps /etc/ndppd.conf <<-END
		proxy eth0 {
			rule $PUBLIC6/128 { static }
		}
	END
	run vps 'ndppd -d -c /etc/ndppd.conf'
	run home 'wireguard-go wg-public'
	run home "wg set wg-public private-key public.key peer $GATEWAY endpoint vps.example.com:51820 allowed-ips 0.0.0.0/0,::/0 persistent-keepalive 25"
	run home 'ip link set wg-public netns public'
	run home "ip -n public address add $PUBLIC4/32 dev wg-public"
	run home "ip -n public address add $PUBLIC6/128 dev wg-public"
	run home 'ip -n public link set wg-public mtu 1420 up'
	run home 'ip -n public route add default dev wg-public'
	run home 'ip -n public -6 route add default dev wg-public'
}

# says ADDRESS PORT PATTERN: who is there, seen from outside.
says()
{
	has "$(lab_in internet "$PYTHON" "$MAIL" banner "$1" "$2")" "$3"
}

# The VPS as it was: all of its addresses, and SSH, or somebody who says as much.
old_place()
{
	lab_addr vps eth0 $PUBLIC4/32 $PUBLIC6/128
	lab_start vps.ssh vps "$PYTHON" "$MAIL" serve 22
	lab_wait_log vps.ssh listening
	check "$WAY: before, the vps has the addresses" says $PUBLIC4 22 '^220 '
	check "$WAY: before, IPv6 too" says $PUBLIC6 22 '^220 '
}

# address_moved PUBLIC WORLD
address_moved()
{
	check "$WAY: $1 is reached from outside" story_reached "$1"
	check "$WAY: $1 takes mail, and sees who sends it" \
		story_mail public "$1" "$2" "$2" lab_in internet
	check "$WAY: mail that is sent comes from $1" \
		story_mail internet "$2" "$1" - story_box public
	check "$WAY: SSH at $1 is not the vps any more" says "$1" 22 'refused'
}

all_is_well()
{
	check "$WAY: home has no IPv6 of its own" \
		is "$(lab_ip home -6 address show scope global; lab_ip home -6 route show default)" ''
	check "$WAY: the vps has the addresses no more" \
		not has "$(lab_ip vps address)" "$PUBLIC4/|$PUBLIC6/"
	story_server public
	story_forget
	address_moved $PUBLIC4 $WORLD4
	address_moved $PUBLIC6 $WORLD6
	story_probed $PUBLIC6
	check "$WAY: SSH of the vps is at its other address" says $VPS4 22 '^220 '
	check "$WAY: by IPv6 too" says $VPS6 22 '^220 '
	check "$WAY: which has nothing else" says $VPS4 25 'refused'
	check "$WAY: nobody answers for an address that nobody has" \
		story_unanswered ${PREFIX6}dead
}

for WAY in berth hand; do
	lab_say "---- $WAY"
	story_world
	old_place
	build_$WAY
	all_is_well
	story_over
done
story_table
