#!/bin/bash
# SPDX-License-Identifier: MIT
#
# berth doctor: each trap is built, exactly its row turns, its own command mends it.
#
#   internet ------------- vps            a gateway, where the traps are built
#        |                    eth0, berthd
#        └------------- house             tunnels of our own
#
# Limit: 200

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth nft

GW=$(lab_if gw) TUN=$(lab_if tu)
D=$LAB_DIR/gw.d
A=${PREFIX6}a1 RANGE=${PREFIX6}b0/124 C=203.0.113.1
OUT=$LAB_DIR/doctor.json
# Whether anybody keeps the clock of this machine is not the lab's to say.
OTHERS='.check != "clock"'

lab_world
lab_house house 84
lab_keys gw alice bob carol
lab_gateway_conf gw "$GW"
lab_tenant gw alice "$A/128, $C/32"
lab_tenant gw bob "$RANGE"
lab_route vps default via 2001:db8:beef::1 dev eth0
need "the gateway starts" lab_gateway gw vps "$GW"
need "its tenants are read" lab_wait_peer "$GW" "${PUB[bob]}"

# examine [NS CONF WORDS...]: doctor's findings into $OUT, its exit status is returned.
examine()
{
	local ns=${1:-vps} conf=${2:-gw}

	shift $(($# < 2 ? $# : 2))
	lab_in "$ns" "$BERTH" doctor --json -c "$LAB_DIR/$conf.conf" "$@" >"$OUT"
}

# The checks that found something, in alphabetical order.
bad()
{
	jq -r "[.checks[] | select(.finding != \"ok\" and $OTHERS) | .check + \"=\" + .finding] |
		unique | join(\" \")" "$OUT"
}

# row CHECK FIELD: of the first row of the check that is not ok.
row()
{
	jq -r "[.checks[] | select(.finding != \"ok\" and .check == \"$1\")][0].$2" "$OUT"
}

# turns "what" "CHECK=FINDING..." CHECK PATTERN: these rows and no others; CHECK's says so.
turns()
{
	local status=0 want=0

	examine "${NS:-vps}" "${CONF:-gw}" || status=$?
	case $2 in *=fail*) want=1 ;; esac
	check "$1: $2" is "$(bad)" "$2"
	check "$1: exit status" is $status $want
	check "$1: said" has "$(row "$3" why)" "$4"
}

# mends "what" CHECK PATTERN: its command, which is like that, makes all good again.
mends()
{
	local command

	command=$(row "$2" command)
	check "$1: '$command'" has "$command" "$3"
	case $command in
	# One that is made inside another one's mounts is seen nowhere else.
	'ip netns add '*) bash -c "$command" ;;
	*) lab_in "${NS:-vps}" bash -c "$command" >/dev/null 2>&1 || : ;;
	esac
	is_good "$1"
}

is_content()
{
	examine "${NS:-vps}" "${CONF:-gw}" && is "$(bad)" ''
}

is_good()
{
	check "$1: mended" lab_wait 5 "doctor to find nothing" is_content
}

examine || :
need "a gateway without a fault" is "$(bad)" ''
check "every row says something" is "$(jq '[.checks[] | select(.why == "")] | length' "$OUT")" 0
check "its exit status is 0" examine
lab_in vps "$BERTH" doctor -c "$LAB_DIR/gw.conf" >"$LAB_DIR/table"
check "lines fit 80 columns" is "$(grep -vE '^ {21}' "$LAB_DIR/table" | awk 'length > 80')" ''
check "and have no colours" not grep -q $'\033' "$LAB_DIR/table"

# ---- settings of the kernel -----------------------------------------------------------------

lab_sysctl vps net/ipv6/conf/all/forwarding=0
turns "no forwarding" forwarding6=fail forwarding6 'does not forward IPv6'
mends "no forwarding" forwarding6 '^sysctl -w net.ipv6.conf.all.forwarding=1$'
lab_sysctl vps net/ipv4/ip_forward=0
turns "no forwarding of IPv4" forwarding4=fail forwarding4 'does not forward IPv4'
mends "no forwarding of IPv4" forwarding4 '^sysctl -w net.ipv4.ip_forward=1$'
lab_sysctl vps net/ipv4/conf/eth0/forwarding=0
turns "one interface does not" forwarding4=fail forwarding4 'comes in at eth0'
mends "one interface does not" forwarding4 '^sysctl -w net.ipv4.conf.eth0.forwarding=1$'

lab_ip vps -6 route del default
lab_ip vps -6 route add default via 2001:db8:beef::1 dev eth0 proto ra
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=1
turns "deaf to router advertisements" accept-ra=fail accept-ra 'eth0 does not hear .* runs out'
mends "deaf to router advertisements" accept-ra '^sysctl -w net.ipv6.conf.eth0.accept_ra=2$'
lab_sysctl vps net/ipv6/conf/all/forwarding=0 net/ipv6/conf/eth0/accept_ra=1
turns "neither" forwarding6=fail forwarding6 'does not forward IPv6'
check "first what would be lost" is "$(row forwarding6 command)" \
	'sysctl -w net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.all.forwarding=1'
examine vps gw --fix || :
check "--fix mends it" is "$(bad)" ''
check "and says what it did" is "$(jq -r '.fixed | join(" ")' "$OUT")" \
	'net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.all.forwarding=1'
lab_sysctl vps net/ipv6/conf/all/forwarding=0
lab_in vps "$BERTH" doctor --fix -c "$LAB_DIR/gw.conf" >"$LAB_DIR/table"
check "--fix shows it to people" has "$(cat "$LAB_DIR/table")" '^sysctl -w net.ipv6.conf.all.forwarding=1$'
check "and how it lasts" has "$(cat "$LAB_DIR/table")" 'sysctl.d/60-berth.conf'
is_good "--fix"
lab_ip vps -6 route flush default
lab_route vps default via 2001:db8:beef::1 dev eth0

lab_sysctl vps net/ipv6/conf/eth0/proxy_ndp=1
turns "proxy_ndp" proxy-ndp=warn proxy-ndp 'proxy_ndp is on'
mends "proxy_ndp" proxy-ndp '^sysctl -w net.ipv6.conf.eth0.proxy_ndp=0$'
lab_ip vps -6 neigh add proxy $A dev eth0
turns "an entry of before" proxy-ndp=warn proxy-ndp "answer for $A"
mends "an entry of before" proxy-ndp "^ip -6 neigh del proxy $A dev eth0$"
lab_sysctl vps net/ipv4/conf/eth0/proxy_arp=1
turns "proxy_arp" proxy-arp=warn proxy-arp 'proxy_arp is on'
mends "proxy_arp" proxy-arp '^sysctl -w net.ipv4.conf.eth0.proxy_arp=0$'
lab_sysctl vps net/ipv4/conf/eth0/rp_filter=1
is_good "strict, where the default route is"
lab_link internet cable2 vps wan2
lab_route vps default dev wan2
turns "strict, where it is not" rp-filter=warn rp-filter 'eth0: the strict'
mends "strict, where it is not" rp-filter '^sysctl -w net.ipv4.conf.eth0.rp_filter=2$'
lab_route vps default via 192.0.2.1
lab_ip vps link del wan2
lab_sysctl vps net/ipv6/conf/default/disable_ipv6=1
is_good "IPv6 off for interfaces to come, and ours is there"
lab_sysctl vps net/ipv6/conf/default/disable_ipv6=0
lab_sysctl vps "net/ipv6/conf/$GW/disable_ipv6=1"
turns "IPv6 off on our interface" "ipv6=fail tenant-routes=fail" ipv6 "switched off on $GW"
lab_in vps bash -c "$(row ipv6 command)" >/dev/null
need "and on again" lab_wait 10 "the routes" examine

# ---- the firewall ------------------------------------------------------------------------------

nft_is()
{
	lab_in vps nft -f -
}

nft_is <<<'table inet f { chain forwarded { type filter hook forward priority 0; policy drop; }; }'
turns "a policy" forward=fail forward 'policy of chain forwarded of inet f drops'
mends "a policy" forward 'insert rule inet f forwarded iifname "'
lab_in vps nft flush ruleset

nft_is <<-END
	table inet f {
		chain mine { iifname "$GW" accept; oifname { "x", "$GW" } accept; }
		chain forwarded {
			type filter hook forward priority 0; policy drop
			ct state vmap { established : accept, related : accept, invalid : drop }
			ip6 saddr 2001:db8:bad::/48 drop
			jump mine
		}
	}
END
is_good "a policy with exceptions, by a set and a chain"
lab_in vps nft flush ruleset
nft_is <<-END
	table ip6 f {
		chain forwarded {
			type filter hook forward priority 0; policy drop
			ct state established,related accept
			iifname "$GW" accept
		}
	}
END
turns "only from tenants" forward=fail forward 'of ip6 f drops what is forwarded to tenants'
mends "only from tenants" forward 'insert rule ip6 f forwarded'
lab_in vps nft flush ruleset
nft_is <<-END
	table ip6 f {
		chain forwarded {
			type filter hook forward priority 0; policy drop
			ip6 daddr $PREFIX6/64 tcp dport 80 accept
			ip6 saddr $PREFIX6/64 accept
		}
	}
END
turns "only some" forward=warn forward 'but for what other rules let through'
lab_in vps nft flush ruleset

nft_is <<-END
	table ip6 filter {
		chain DOCKER-USER { return; }
		chain FORWARD {
			type filter hook forward priority 0; policy drop
			jump DOCKER-USER
			oifname "docker0" accept
		}
	}
END
turns "Docker" forward=fail forward 'Docker has set the policy'
mends "Docker" forward 'insert rule ip6 filter DOCKER-USER iifname'
lab_in vps nft flush ruleset

if command -v ip6tables-nft >/dev/null; then
	lab_in vps ip6tables-nft -P FORWARD DROP
	lab_in vps ip6tables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	turns "ip6tables" forward=fail forward 'policy of chain FORWARD of ip6 filter'
	lab_in vps ip6tables-nft -A FORWARD -i "$GW" -j ACCEPT
	lab_in vps ip6tables-nft -A FORWARD -o "$GW" -m comment --comment berth -j ACCEPT
	is_good "ip6tables"
	lab_in vps nft flush ruleset
fi
if lab_in vps iptables-legacy -P FORWARD DROP 2>/dev/null; then
	lab_in vps iptables-legacy -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
	turns "iptables-legacy" forward=fail forward 'iptables-legacy: the policy of chain FORWARD'
	mends "iptables-legacy" forward '^iptables-legacy -I FORWARD -i'
	lab_in vps iptables-legacy -F FORWARD
	lab_in vps iptables-legacy -P FORWARD ACCEPT
	lab_in vps iptables-legacy -P INPUT DROP
	turns "iptables-legacy" udp-port=warn udp-port 'chain INPUT of ip '
	mends "iptables-legacy" udp-port "^iptables-legacy -I INPUT -p udp --dport $PORT"
	lab_in vps iptables-legacy -P INPUT ACCEPT
fi

nft_is <<<'table inet f { chain incoming { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }'
turns "a closed port" udp-port=fail udp-port "drops what comes to UDP port $PORT"
mends "a closed port" udp-port "^nft insert rule inet f incoming udp dport $PORT accept"
lab_in vps nft flush ruleset
nft_is <<<'table inet f { chain outgoing { type nat hook postrouting priority 100; oifname "eth0" masquerade; }; }'
turns "masquerading" own-address=fail own-address 'another source address'
lab_in vps bash -c "$(row own-address command)"
turns "masquerading, of both families" own-address=fail own-address 'another source address'
mends "masquerading" own-address 'insert rule inet f outgoing ip saddr 203.0.113.0/24 accept'
lab_in vps nft flush ruleset
lab_stop gw
need "with its own rules again" lab_gateway gw vps "$GW"
need "its tenants are read" lab_wait_peer "$GW" "${PUB[bob]}"

# ---- routes ---------------------------------------------------------------------------------------

lab_ip vps -6 route add $A/128 dev eth0 metric 10
turns "a better metric" tenant-routes=fail tenant-routes "$A/128 \(alice\) .* via eth0"
mends "a better metric" tenant-routes "^ip -6 route del $A/128 metric 10$"
lab_ip vps address add $C/32 dev lo
turns "the machine's own address" tenant-routes=fail tenant-routes 'this machine has that address'
check "the machine's own address: no command takes it away" is "$(row tenant-routes command)" null
lab_ip vps address del $C/32 dev lo
is_good "the machine's own address"
lab_ip vps -6 route add $PREFIX6/64 dev eth0 table 77
lab_ip vps -6 rule add to $PREFIX6/64 table 77
turns "a rule" tenant-routes=fail tenant-routes 'a rule sends them to table 77'
check "a rule: shown" is "$(row tenant-routes command)" 'ip -6 rule show'
lab_ip vps -6 rule del to $PREFIX6/64 table 77
lab_ip vps -6 route flush table 77
is_good "a rule"
lab_ip vps address add ${PREFIX6}b5/128 dev eth0 nodad
lab_ip vps -6 route change default via 2001:db8:beef::1 dev eth0 src ${PREFIX6}b5
turns "the machine speaks as bob" source=fail source "which is bob's"
check "the machine speaks as bob: no command takes it away" is "$(row source command)" null
lab_ip vps address del ${PREFIX6}b5/128 dev eth0
lab_ip vps -6 route del default
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=1
turns "no default route, and deaf" "accept-ra=fail default-route=fail" accept-ra 'there is no default route'
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=0
turns "no default route" default-route=fail default-route 'no route to the Internet over IPv6'
lab_ip vps -6 route add default via 2001:db8:beef::dead dev eth0
lab_in vps ping -c 1 -W 1 2001:db8:beef::dead >/dev/null 2>&1 || :
turns "a router that is not there" router=fail router '2001:db8:beef::dead does not answer'
lab_ip vps -6 route flush default
lab_route vps default via 2001:db8:beef::1 dev eth0
is_good "its true one"

# ---- links -------------------------------------------------------------------------------------------

lab_ip vps link add br0 type bridge
lab_ip vps link set br0 up
lab_ip vps link set eth0 master br0
turns "a port of a bridge" uplink=warn uplink 'eth0 is a port of br0'
lab_ip vps link set eth0 nomaster
lab_ip vps link del br0
is_good "no port any more"
lab_ip vps link set eth0 mtu 1400
turns "too large for the way" interface=warn interface 'more than the 1400 of eth0'
mends "too large for the way" interface "^ip link set $GW mtu 1320$"
lab_ip vps link set eth0 mtu 1500
lab_ip vps link set "$GW" down
turns "our interface is down" "interface=fail tenant-routes=fail" interface "$GW is down"
lab_in vps bash -c "$(row interface command)"
need "up again" lab_wait 10 "the routes" examine

# ---- other programs, and no berthd -----------------------------------------------------------------

printf 'proxy eth0 {\n rule %s/64 {\n static\n }\n}\n' $PREFIX6 >"$LAB_DIR/ndppd.conf"
lab_start ndppd vps ndppd -c "$LAB_DIR/ndppd.conf"
has_responder()
{
	examine || :
	has "$(bad)" responders=warn
}
check "ndppd is seen" lab_wait 5 "ndppd" has_responder
mends "ndppd" responders '^kill [0-9]+$'
lab_join ndppd 5 || :
lab_tenant gw carol 2001:db8:1::1/128
turns "a fault in a file" config=fail config 'carol.conf:[0-9]+: '
rm "$D/carol.conf"
is_good "without that file"

lab_stop gw
turns "no berthd" berthd=warn berthd 'does not run'
lab_start other vps "$PYTHON" -c "import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', $PORT))
print('bound', flush=True)
time.sleep(1000)"
lab_wait_log other bound
turns "the port is taken" "berthd=warn port=fail" port "$PORT is in use by python3"
lab_in vps bash -c "$(row port command)"
lab_join other 5 || :
turns "the port is free" berthd=warn berthd 'does not run'
lab_sysctl vps net/ipv6/conf/default/disable_ipv6=1
turns "IPv6 off for interfaces to come" "berthd=warn ipv6=fail" ipv6 'new interfaces'
lab_sysctl vps net/ipv6/conf/default/disable_ipv6=0
# shellcheck disable=SC2016 # the variables are that shell's
no_tun()
{
	lab_in vps unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$0" doctor --json -c "$1"' \
		"$BERTH" "$LAB_DIR/gw.conf" >"$OUT"
}
check "no /dev/net/tun: exit status" not no_tun
check "no /dev/net/tun" is "$(bad)" 'berthd=warn tun-device=fail'
check "no /dev/net/tun: the command" is "$(row tun-device command)" 'modprobe tun'
lab_in vps setpriv --bounding-set -net_admin,-net_raw "$BERTH" doctor --json -c "$LAB_DIR/gw.conf" >"$OUT" || :
check "who may not" has "$(bad)" 'capabilities=warn'
check "who may not: buffers" not has "$(jq -r '.checks[] | select(.check == "buffers") | .finding' "$OUT")" fail
cp "$BERTH" "$LAB_DIR/berth-of-tomorrow"
touch -d '+2 days' "$LAB_DIR/berth-of-tomorrow"
lab_in vps "$LAB_DIR/berth-of-tomorrow" doctor --json -c "$LAB_DIR/gw.conf" >"$OUT" || :
check "a clock that is behind" is "$(row clock finding) $(row clock command)" 'fail timedatectl set-ntp true'
UPLINK='' lab_gateway_conf bare "$GW"
mkdir -p "$LAB_DIR/bare.d"
cp "$LAB_DIR/gw.key" "$LAB_DIR/bare.key"
CONF=bare turns "a prefix on a link, and no Uplink" "berthd=warn prefix=warn" prefix 'lies on eth0, which is no Uplink'
lab_in vps bash -c "$(row prefix command)"
CONF=bare turns "with it" berthd=warn berthd 'does not run'
check "no configuration" not examine vps none
check "no configuration: said" has "$(row config why)" 'none.conf'

# ---- at home ----------------------------------------------------------------------------------------

lab_home_conf home
# tunnel ENDPOINT [line of [Interface]...]
tunnel()
{
	local endpoint=$1

	shift
	{
		printf '[Interface]\nPrivateKey = %s\nAddress = %s/128\n' "${KEY[alice]}" $A
		[ $# -eq 0 ] || printf '%s\n' "$@"
		printf '[Container]\nNetns = %s\nName = wg0\n' "$(lab_ns box)"
		printf '[Peer]\nPublicKey = %s\nEndpoint = %s\nAllowedIPs = ::/0\nPersistentKeepalive = 1\n' \
			"${PUB[gw]}" "$endpoint"
	} | lab_file "$LAB_DIR/home.d/box.conf"
}
NS=house CONF=home
OTHERS='.check != "clock" and .check != "berthd"'
tunnel "$(lab_endpoint 6)"
turns "no namespace" namespace=fail namespace 'box: its namespace .* is not there'
mends "no namespace" namespace '^ip netns add '
tunnel "nowhere.invalid:$PORT"
turns "a name of nobody" endpoint=fail endpoint 'nowhere.invalid:51820 has no address'
tunnel "$(lab_endpoint 6)" "MTU = 1480"
turns "too large" endpoint=warn endpoint 'more than the 1500 of the way'
check "too large: the command" has "$(row endpoint command)" 's/\^MTU \*=\.\*/MTU = 1420/'
tunnel "$(lab_endpoint 6)"
lab_ip house -6 route del default
turns "no way there" endpoint=fail endpoint 'no way to'
lab_route house default via 2001:db8:84::1
lab_router home house "$LAB_DIR/home.control"
unanswered()
{
	examine house home || :
	is "$(bad)" session=fail
}
check "a gateway that does not answer" lab_wait 10 "the tunnel" unanswered
need "it starts" lab_gateway gw vps "$GW"
answered()
{
	examine house home
	is "$(bad)" ''
}
check "and it answers" lab_wait 15 "the session" answered
if ! grep -q -e __asan_init -e __tsan_init "$BERTHD"; then
	check "what berthd may do is kept small" is \
		"$(jq -r '[.checks[] | select(.check == "confinement")][0].finding' "$OUT")" ok
fi
lab_stop home
LAB_START_CAPS="setpriv --bounding-set -sys_admin"
# shellcheck disable=SC2086
lab_start home house $LAB_START_CAPS "$BERTHD" -c "$LAB_DIR/home.conf"
lab_wait_socket "$LAB_DIR/home.control"
examine house home || :
check "a berthd that may not enter namespaces" has "$(row capabilities why)" 'without CAP_SYS_ADMIN'
lab_stop home
rm "$LAB_DIR/home.d/box.conf"
printf '[Interface]\nPrivateKey = %s\nAddress = 203.0.113.1/32\n[Container]\nName = %s\n[Peer]\nPublicKey = %s\nEndpoint = %s\nAllowedIPs = 0.0.0.0/0\n' \
	"${KEY[alice]}" "$TUN" "${PUB[gw]}" "$(lab_endpoint 4)" | lab_file "$LAB_DIR/home.d/all.conf"
turns "a default route by a mark" default-by-mark=fail default-by-mark 'by a mark'
mends "a default route by a mark" default-by-mark '^sysctl -w net.ipv4.conf.all.src_valid_mark=1$'
lab_sysctl house net/ipv4/conf/eth0/rp_filter=1
turns "strict" default-by-mark=warn default-by-mark 'strict reverse path filter'
mends "strict" default-by-mark '^sysctl -w net.ipv4.conf.all.rp_filter=2$'
lab_sysctl house net/ipv4/conf/eth0/rp_filter=0
LAB_START_CAPS=
lab_router home house "$LAB_DIR/home.control"
leads()
{
	examine house home || :
	is "$(jq -r '[.checks[] | select(.check == "tunnel-routes")][0].finding' "$OUT")" "$1"
}
check "all that leads into a tunnel is there" lab_wait 5 "the routes" leads ok
lab_ip house link set "$TUN" down
check "somebody has set it down" lab_wait 5 "the fault" leads fail
check "somebody has set it down: said" has "$(row tunnel-routes why)" "has set $TUN down"
lab_ip house link set "$TUN" up
check "up again" lab_wait 5 "the routes" leads ok
lab_start remover house sh -c 'while sleep 0.02; do ip rule del pref 32680 2>/dev/null; done'
check "somebody removes its rule" lab_wait 5 "the fault" leads fail
check "somebody removes its rule: said" has "$(row tunnel-routes why)" 'the rule .* is not there'
lab_stop remover
check "nobody does any more" lab_wait 5 "the routes" leads ok
lab_ip house route replace default dev lo table 51820
check "somebody's own route" lab_wait 5 "the fault" leads fail
check "somebody's own route: said" has "$(row tunnel-routes why)" '1 of 1 routes .* are not there'
