#!/bin/bash
# SPDX-License-Identifier: MIT
#
# wg-quick with berthd in the place of wireguard-go: a road warrior whose every
# packet goes through the tunnel, and the server that it calls.
#
#   internet ----------- vps                        server file, SaveConfig
#     |                   10.77.0.1, fd77::1        masquerades what comes out
#     +------- warrior    10.77.0.2, fd77::2        0.0.0.0/0, ::/0, DNS, hooks
#     +------- guest      10.77.0.3, fd77::3        the same server, by wireguard-go

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wg-quick wireguard-go sysctl
[ ! -e /sys/module/wireguard ] ||
	lab_skip "this kernel has WireGuard: wg-quick never looks for another one"

S=$(lab_if qs) W=$(lab_if qw) G=$(lab_if qg)
FWMARK=51820

lab_world
lab_house warrior 41
lab_house guest 42
lab_keys s w g late
wg genpsk | lab_file "$LAB_DIR/psk"
PSK=$(cat "$LAB_DIR/psk")

# berthd by its name in PATH, and somebody who keeps name servers, as files.
mkdir "$LAB_DIR/bin" "$LAB_DIR/dns"
ln -s "$BERTHD" "$LAB_DIR/bin/berthd"
cat >"$LAB_DIR/bin/resolvconf" <<-END
	#!/bin/sh
	case \$1 in
	-a) exec cat >"$LAB_DIR/dns/\$2" ;;
	-d) exec rm -f "$LAB_DIR/dns/\$2" ;;
	-l) exec cat "$LAB_DIR/dns/\$2" ;;
	esac
END
chmod 755 "$LAB_DIR/bin/resolvconf"

# quick NS up|down IF
quick()
{
	lab_in "$1" env PATH="$LAB_DIR/bin:$PATH" WG_QUICK_USERSPACE_IMPLEMENTATION=berthd \
		wg-quick "$2" "$LAB_DIR/$3.conf"
}

gone()
{
	lab_wait 5 "the end of $2" eval "! test -e '$(lab_uapi "$2")' && ! lab_ip $1 link show $2"
}

# What a namespace has of interfaces, addresses, routes, rules and firewall.
inventory()
{
	lab_ip "$1" -o address show | sed 's/valid_lft.*//'
	lab_ip "$1" -4 route show table all
	lab_ip "$1" -6 route show table all | grep -v '^\(multicast\|ff00\)'
	lab_ip "$1" -4 rule show
	lab_ip "$1" -6 rule show
	lab_in "$1" nft list ruleset
}

lab_file "$LAB_DIR/$S.conf" <<-END
	# the server
	[Interface]
	Address = 10.77.0.1/24, fd77::1/64
	ListenPort = 51820
	PrivateKey = ${KEY[s]}
	SaveConfig = true
	PostUp = nft add table inet nat-%i; nft add chain inet nat-%i out '{ type nat hook postrouting priority srcnat; }'; nft add rule inet nat-%i out oifname eth0 masquerade
	PreDown = echo "%i goes" > $LAB_DIR/predown; wg show %i peers >> $LAB_DIR/predown
	PostDown = nft delete table inet nat-%i

	[Peer] # the warrior
	PublicKey = ${PUB[w]}
	PresharedKey = $PSK
	AllowedIPs = 10.77.0.2/32, fd77::2/128

	[Peer]
	PublicKey = ${PUB[g]}
	AllowedIPs = 10.77.0.3/32
	AllowedIPs = fd77::3/128
END
lab_file "$LAB_DIR/$W.conf" <<-END
	[Interface]
	PrivateKey = ${KEY[w]}
	Address = 10.77.0.2/32
	Address = fd77::2/128
	DNS = 10.77.0.1, fd77::1, tunnel.example
	PreUp = echo "preup \$(ip -o link show %i 2>/dev/null | wc -l)" >> $LAB_DIR/hooks
	PostUp = echo "postup \$(wg show %i peers | wc -l)" >> $LAB_DIR/hooks
	PreDown = echo "predown \$(wg show %i latest-handshakes | cut -f 2)" >> $LAB_DIR/hooks
	PostDown = echo "postdown %i" >> $LAB_DIR/hooks

	[Peer]
	PublicKey = ${PUB[s]}
	PresharedKey = $PSK
	AllowedIPs = 0.0.0.0/0, ::/0
	Endpoint = $VPS4:51820
	PersistentKeepalive = 25
END
inventory vps >"$LAB_DIR/vps.before"
inventory warrior >"$LAB_DIR/warrior.before"

# ---- up ------------------------------------------------------------------------

need "server: wg-quick up" quick vps up "$S"
check "server: shown as the file has it" is "$(wg show "$S" allowed-ips | sort)" \
	"$(printf '%s\t10.77.0.2/32 fd77::2/128\n%s\t10.77.0.3/32 fd77::3/128\n' "${PUB[w]}" "${PUB[g]}" | sort)"
check "server: its port" is "$(wg show "$S" listen-port)" 51820
check "server: its addresses" has "$(lab_ip vps address show "$S")" 'inet 10.77.0.1/24'
check "server: its own hook ran" has "$(lab_in vps nft list tables)" "nat-$S"

need "road warrior: wg-quick up" quick warrior up "$W"
check "road warrior: MTU for a path of 1500" has "$(lab_ip warrior link show "$W")" 'mtu 1420'
check "road warrior: mark" is "$(wg show "$W" fwmark)" 0xca6c
check "road warrior: name servers" is "$(cat "$LAB_DIR/dns/$W")" \
	"$(printf 'nameserver 10.77.0.1\nnameserver fd77::1\nsearch tunnel.example')"
check "road warrior: hooks, before and after" is "$(cat "$LAB_DIR/hooks")" "$(printf 'preup 0\npostup 1')"
check "road warrior: the server is reached" lab_reaches warrior 10.77.0.1
check "road warrior: the world, IPv4" lab_reaches warrior $WORLD4
check "road warrior: the world, IPv6" lab_reaches warrior $WORLD6
check "road warrior: through the tunnel" has "$(lab_ip warrior route get $WORLD4)" "dev $W"
check "road warrior: its own packets are not caught" \
	has "$(lab_ip warrior route get $VPS4 mark $FWMARK)" 'dev eth0'

# The world sees the server's address: nothing goes around the tunnel.
lab_in internet nft -f - <<-END
	table inet seen {
		counter warrior { }
		chain in {
			type filter hook input priority 0;
			ip saddr 10.41.0.2 icmp type echo-request counter name warrior
			ip6 saddr 2001:db8:41::2 icmpv6 type echo-request counter name warrior
		}
	}
END
lab_ping warrior $WORLD4 >/dev/null
lab_ping warrior $WORLD6 >/dev/null
check "nothing goes around the tunnel" has "$(lab_in internet nft list counter inet seen warrior)" 'packets 0 '

# ---- another implementation calls the same server ---------------------------------

lab_wggo g guest "$G"
wg set "$G" private-key "$LAB_DIR/g.key" peer "${PUB[s]}" endpoint $VPS4:51820 \
	allowed-ips 10.77.0.0/24,fd77::/64
lab_addr guest "$G" 10.77.0.3/24 fd77::3/64
lab_ip guest link set "$G" mtu 1420 up
check "wireguard-go reaches the server" lab_reaches guest 10.77.0.1
check "and the road warrior" lab_reaches guest 10.77.0.2

# ---- down ------------------------------------------------------------------------

# While the server runs, somebody adds a peer by hand: saved when it goes down.
wg set "$S" peer "${PUB[late]}" allowed-ips 10.77.0.9/32 persistent-keepalive 33
check "road warrior: wg-quick down" quick warrior down "$W"
check "road warrior: berthd has ended" gone warrior "$W"
check "road warrior: the hooks of the end" has "$(tail -n 2 "$LAB_DIR/hooks" | xargs)" \
	"^predown [1-9][0-9]+ postdown $W\$"
check "road warrior: name servers are gone" not test -e "$LAB_DIR/dns/$W"
inventory warrior >"$LAB_DIR/warrior.after"
check "road warrior: as it was before" diff "$LAB_DIR/warrior.before" "$LAB_DIR/warrior.after"
check "road warrior: the world without a tunnel" lab_reaches warrior $WORLD4

check "server: wg-quick down" quick vps down "$S"
check "server: berthd has ended" gone vps "$S"
check "server: its hook saw three peers" is "$(wc -l <"$LAB_DIR/predown")" 4
inventory vps >"$LAB_DIR/vps.after"
check "server: as it was before" diff "$LAB_DIR/vps.before" "$LAB_DIR/vps.after"
saved=$(cat "$LAB_DIR/$S.conf")
check "SaveConfig: the new peer is in the file" contains "$saved" "${PUB[late]}"
check "SaveConfig: with its keepalive" has "$saved" '^PersistentKeepalive = 33$'
check "SaveConfig: the preshared key" contains "$saved" "PresharedKey = $PSK"
check "SaveConfig: where the warrior was" has "$saved" '^Endpoint = 10\.41\.0\.2:[0-9]+$'
check "SaveConfig: the file is still its owner's alone" is "$(stat -c %a "$LAB_DIR/$S.conf")" 600

# ---- again, from what was saved ------------------------------------------------------

need "server: up from the saved file" quick vps up "$S"
check "with all its peers" is "$(wg show "$S" peers | sort)" \
	"$(printf '%s\n' "${PUB[w]}" "${PUB[g]}" "${PUB[late]}" | sort)"
check "it calls the guest where he was" lab_reaches vps 10.77.0.3

# Nobody waits between: the next one must not stumble over what the last one leaves.
up_and_down()
{
	local i

	for i in $(seq 1 10); do
		echo "round $i"
		quick warrior up "$W" || return 1
		quick warrior down "$W" || return 1
	done
}
check "ten times up and down without a pause" up_and_down
check "up once more" quick warrior up "$W"
check "and carries" lab_reaches warrior $WORLD4
check "up twice is refused" not quick warrior up "$W"
check "and harms nobody" lab_reaches warrior $WORLD4

# A file that wg refuses: nothing is left of it.
faulty=$(sed 's/^PresharedKey = .*/PresharedKey = nonsense/' "$LAB_DIR/$W.conf")
check "down" quick warrior down "$W"
lab_file "$LAB_DIR/$W.conf" <<<"$faulty"
check "a faulty file: wg-quick up fails" not quick warrior up "$W"
check "and nothing is left of it" gone warrior "$W"
inventory warrior >"$LAB_DIR/warrior.after"
check "all as it was" diff "$LAB_DIR/warrior.before" "$LAB_DIR/warrior.after"
check "the server goes too" quick vps down "$S"
check "and all of it" gone vps "$S"
