#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Three containers on a server at home, which is behind NAT and has no IPv6, each with a
# public address out of the /64 of a VPS: with berth, as the README's chapter on it says,
# and by hand with wireguard-go, ndppd, ip, sysctl and wg. The hand does as little as
# will do: `wg set` needs no file, though nothing of it would survive a reboot.
#
#   internet ---- vps                         its provider asks for each single address
#       |
#      nat ------ home --- mail, blog, chat   2001:db8:beef::25, ::b109, ::c4a7
#
# Limit: 200

# shellcheck source=tools/lab/story.sh
. "$(dirname "$0")/../../tools/lab/story.sh"
lab_begin wg wireguard-go ndppd nsenter unshare sysctl

BOXES='mail blog chat'
declare -A ADDRESS=([mail]=${PREFIX6}25 [blog]=${PREFIX6}b109 [chat]=${PREFIX6}c4a7)
GATEWAY=''

# ---- with berth ------------------------------------------------------------

berth_box()
{
	local printed

	run vps "berth add $1 --netns $1 --endpoint vps.example.com"
	# In front of the file stands what is said about it.
	printed=$(sed -n '/^# /,$p' <<<"$OUT")
	ADDRESS[$1]=$(sed -n 's,^Address = \(.*\)/128$,\1,p' <<<"$printed")
	run home "ip netns add $1"
	put home "/etc/berth/config.d/$1.conf" <<<"$printed"
}

build_berth()
{
	local c

	run vps 'berth init'
	run vps 'sysctl -w net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth0.accept_ra=2'
	run vps 'systemctl enable --now berthd'
	for c in $BOXES; do
		berth_box "$c"
	done
	run home 'touch /etc/berth/berth.conf'
	run home 'systemctl enable --now berthd-home'
}

# ---- by hand ---------------------------------------------------------------

hand_box()
{
	run home "ip netns add $1"
	run home "ip -n $1 link set lo up"
	run home "(umask 077; wg genkey > $1.key)"
	run home "wg pubkey < $1.key"
	PUB[$1]=$OUT
	run home "wireguard-go wg-$1"
	run home "wg set wg-$1 private-key $1.key peer $GATEWAY endpoint vps.example.com:51820 allowed-ips ::/0 persistent-keepalive 25"
	run home "ip link set wg-$1 netns $1"
	run home "ip -n $1 address add ${ADDRESS[$1]}/128 dev wg-$1"
	run home "ip -n $1 link set wg-$1 mtu 1420 up"
	run home "ip -n $1 -6 route add default dev wg-$1"
}

build_hand()
{
	local c peers=''

	run vps 'cd /etc/wireguard'
	run vps '(umask 077; wg genkey > gateway.key)'
	run vps 'wg pubkey < gateway.key'
	GATEWAY=$OUT
	run home 'cd /etc/wireguard'
	for c in $BOXES; do
		hand_box "$c"
		peers+=" peer ${PUB[$c]} allowed-ips ${ADDRESS[$c]}/128"
	done
	run vps 'sysctl -w net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth0.accept_ra=2'
	run vps 'wireguard-go wg0'
	run vps "wg set wg0 listen-port 51820 private-key gateway.key$peers"
	run vps 'ip link set wg0 mtu 1420 up'
	for c in $BOXES; do
		run vps "ip -6 route add ${ADDRESS[$c]}/128 dev wg0"
	done
	# wg0 is no Ethernet and cannot be asked: `static` answers without asking.
	put vps /etc/ndppd.conf <<-END
		proxy eth0 {
			$(for c in $BOXES; do echo "rule ${ADDRESS[$c]}/128 { static }"; done)
		}
	END
	run vps 'ndppd -d -c /etc/ndppd.conf'
}

# ---- the same for both ---------------------------------------------------------

box_is_public()
{
	local c=$1 a=${ADDRESS[$1]}

	story_server "$c"
	story_forget
	check "$WAY: $c is reached from outside" story_reached "$a"
	check "$WAY: $c takes mail, and sees who sends it" \
		story_mail "$c" "$a" $WORLD6 $WORLD6 lab_in internet
	check "$WAY: $c sends mail, and is seen under its own address" \
		story_mail internet $WORLD6 "$a" - story_box "$c"
	story_probed "$a"
}

all_is_well()
{
	local c

	check "$WAY: home has no IPv6 of its own" \
		is "$(lab_ip home -6 address show scope global; lab_ip home -6 route show default)" ''
	for c in $BOXES; do
		box_is_public "$c"
	done
	check "$WAY: containers reach each other" \
		story_mail chat "${ADDRESS[chat]}" "${ADDRESS[mail]}" - story_box mail
	check "$WAY: nobody answers for an address that nobody has" \
		story_unanswered ${PREFIX6}dead
	check "$WAY: the vps is there itself" story_reached $VPS6
}

for WAY in berth hand; do
	lab_say "---- $WAY"
	story_world
	build_$WAY
	all_is_well
	story_over
done

# ---- the README says the same ------------------------------------------------------

# Its commands are run by the test `readme`; here they are those that are counted.
# chapter LANGUAGE: lines of its blocks in the two chapters on it.
# shellcheck disable=SC2016 # backquotes of Markdown
chapter()
{
	sed -n '/^## A gateway in /,/^## See it/p' "$ROOT/README.md" |
		sed -n '/^```'"$1"' /,/^```$/p' | grep -v '^```'
}

# Those of the first container; the others are named in passing.
readme_commands_were_typed()
{
	local line n=0 shown

	shown=$(chapter sh)
	while read -r line; do
		n=$((n + 1))
		grep -qxF -e "$line" <<<"$shown" || { echo "not in the README: $line"; return 1; }
	done < <(grep -v 'mail\|chat' "$LAB_DIR/berth.typed")
	at_least $n 7
}

readme_files_were_written()
{
	local line n=0

	while read -r line; do
		n=$((n + 1))
		grep -qxF -e "$line" "$LAB_DIR/berth.written" ||
			{ echo "not written: $line"; return 1; }
	done < <(chapter ini | grep -v '(what\|(the ')
	at_least $n 10
}

check "the commands are those of the README" readme_commands_were_typed
check "and its files" readme_files_were_written
story_table
