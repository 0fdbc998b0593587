# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Two machines as their operator sees them, on top of lab.sh: a VPS, and a server at
# home behind NAT. What is typed and what is written there is counted, so that a result
# can be had in two ways and the ways compared.
#
#   internet                              router of the provider, and everybody else:
#     lo    198.18.0.1, 2001:db8:ffff::1  somebody out there
#     cable 192.0.2.1, 2001:db8:beef::1   the VPS's cable: its /64 is on-link
#     dsl   198.51.100.1
#   vps
#     eth0  192.0.2.2, 2001:db8:beef::2   vps.example.com
#   nat                                   the home router: IPv4 only, masquerades
#     wan   198.51.100.2
#     lan   192.168.7.1
#   home
#     eth0  192.168.7.2                   no IPv6; containers are namespaces of its own
#
# Each machine has an /etc, a /run and a /var/lib of its own besides its network, so that
# names are those that an operator would take.

# shellcheck source=tools/lab/lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

WORLD4=198.18.0.1 WORLD6=2001:db8:ffff::1
VPS4=192.0.2.2 VPS6=2001:db8:beef::2
PREFIX6=2001:db8:beef::
MAIL=$ROOT/tools/lab/mail

WAY=''				# of building: what is counted goes there
OUT=''				# what the latest command printed
story_mails=0
declare -A story_cwd=() story_commands=() story_files=()

story_world()
{
	lab_netns internet vps nat home
	lab_link internet cable vps eth0
	lab_link internet dsl nat wan
	lab_link nat lan home eth0
	lab_addr internet lo $WORLD4/32 $WORLD6/128
	lab_addr internet cable 192.0.2.1/24 ${PREFIX6}1/64
	lab_addr internet dsl 198.51.100.1/24
	lab_addr vps eth0 $VPS4/24 $VPS6/64
	lab_addr nat wan 198.51.100.2/24
	lab_addr nat lan 192.168.7.1/24
	lab_addr home eth0 192.168.7.2/24
	lab_route vps default via 192.0.2.1
	lab_route vps default via ${PREFIX6}1
	lab_route nat default via 198.51.100.1
	lab_route home default via 192.168.7.1
	lab_forward internet
	lab_nat nat wan
	story_machine vps
	story_machine home
	lab_start internet.mail internet "$PYTHON" "$MAIL" serve 25
	lab_wait_log internet.mail listening
}

# What a fresh installation has. Its name for the VPS is what DNS would say.
story_machine()
{
	local m=$1 etc=$LAB_DIR/$1.etc f

	rm -rf "$etc"
	mkdir -p "$etc/wireguard"
	for f in passwd group nsswitch.conf protocols services iproute2 alternatives ld.so.cache; do
		[ ! -e "/etc/$f" ] || cp -a "/etc/$f" "$etc/"
	done
	printf '127.0.0.1 localhost\n%s vps.example.com\n' $VPS4 >"$etc/hosts"
	install -d -m 700 "$etc/berth" "$etc/berth/config.d"
	# shellcheck disable=SC2016 # the variables are that shell's
	lab_start "$m.machine" "$m" unshare -m sh -ec '
		mount --bind "$1" /etc
		mount -t tmpfs run /run
		mount -t tmpfs lib /var/lib
		echo ready
		exec sleep infinity' machine "$etc"
	lab_wait_log "$m.machine" ready
	story_cwd[$m]=/
}

# Away with all of it; the counts stay.
story_over()
{
	local i p ns

	for ((i = ${#lab_order[@]} - 1; i >= 0; i--)); do
		lab_stop "${lab_order[i]}"
	done
	for p in $(lab_left); do
		kill -TERM "$p" 2>/dev/null || :
	done
	lab_wait 5 "processes to end" lab_nobody_left
	for ns in internet vps nat home; do
		ip netns delete "$(lab_ns $ns)"
	done
}

# ---- on a machine --------------------------------------------------------

# story_in MACHINE command...: not counted.
story_in()
{
	local m=$1

	shift
	WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 LOG_LEVEL=error \
		PATH=$(dirname "$BERTHD"):$PATH \
		lab_in "$m" nsenter -m -t "${lab_pid[$m.machine]}" "$@"
}

# story_box CONTAINER command...: in a container at home; not counted.
story_box()
{
	story_in home ip netns exec "$@"
}

# run MACHINE LINE: what is typed there, a line at a time; counted.
run()
{
	local m=$1 line=$2

	story_commands[$WAY]=$((${story_commands[$WAY]:-0} + 1))
	printf '%s\n' "$line" >>"$LAB_DIR/$WAY.typed"
	case $line in
	'cd '*)
		story_cwd[$m]=${line#cd }
		need "$m\$ $line" story_in "$m" test -d "${story_cwd[$m]}"
		;;
	'systemctl enable --now berthd' | 'systemctl enable --now berthd-home')
		need "$m\$ $line" story_service "$m"
		;;
	*)
		need "$m\$ $line" story_in "$m" bash -c "cd ${story_cwd[$m]} && $line"
		# shellcheck disable=SC2034 # read by the scripts
		OUT=$(cat "$LAB_DIR/check.out")
		;;
	esac
}

# A namespace has no systemd: this is what the unit does.
story_service()
{
	lab_start "$1.berthd" "$1" nsenter -m -t "${lab_pid[$1.machine]}" \
		"$BERTHD" -c /etc/berth/berth.conf
	lab_wait 10 "berthd" story_in "$1" test -S /run/berth/control.sock
}

# put MACHINE PATH: standard input into a file there, for root alone; counted, so not for a pipeline.
put()
{
	story_files[$WAY]=$((${story_files[$WAY]:-0} + 1))
	# shellcheck disable=SC2016 # the variable is that shell's
	tee -a "$LAB_DIR/$WAY.written" | story_in "$1" sh -c 'umask 077; cat >"$1"' put "$2"
	lab_say "              $1: wrote $2"
}

# ---- what is checked in the same way however it was built --------------------

# Programs of the script itself, in a container at home.
story_server()
{
	lab_start "$1.mail" home nsenter -m -t "${lab_pid[home.machine]}" \
		ip netns exec "$1" "$PYTHON" "$MAIL" serve 25
	lab_wait_log "$1.mail" listening
}

story_reached()
{
	lab_wait 10 "an answer from $1" lab_in internet ping -n -c1 -W1 "$1"
}

# story_mail SERVER ADDRESS FROM SOURCE command...: a mail that the machine of
# `command...` sends to ADDRESS, from SOURCE or what its kernel takes (-), arrives at
# SERVER (internet, or a container), which sees it come from FROM.
story_mail()
{
	local server=$1 to=$2 from=$3 source=$4 subject

	shift 4
	story_mails=$((story_mails + 1))
	subject=mail-$story_mails
	# Long enough that packets must have the right size.
	"$@" "$PYTHON" "$MAIL" send "$source" "$to" $subject 100000
	has "$(lab_since "$server.mail")" "^took $subject, [0-9]{5,} bytes, from $from\$"
}

# Asks the VPS for an address as routers do that want to know whether a neighbour is
# still there: by a question to it alone (RFC 4861 §7.3.3). ADDRESS must be resolved.
story_unicast()
{
	lab_in internet "$PYTHON" -c '
import socket, sys, time
target = socket.inet_pton(socket.AF_INET6, sys.argv[1])
mac = open("/sys/class/net/cable/address").read().strip().replace(":", "")
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
s.sendto(bytes([135, 0, 0, 0, 0, 0, 0, 0]) + target + bytes([1, 1]) + bytes.fromhex(mac),
	 (sys.argv[1], 0))
end = time.monotonic() + 2
while (left := end - time.monotonic()) > 0:
    s.settimeout(left)
    try:
        data, _ = s.recvfrom(2048)
    except socket.timeout:
        break
    if data[0] == 136 and data[8:24] == target:
        sys.exit(0)
sys.exit("not answered")' "$1"
}

# The router has forgotten its neighbours, as it does after a while: it must ask.
story_forget()
{
	lab_ip internet neighbor flush dev cable >/dev/null 2>&1 || :
}

# Nobody answers the router's question for an address.
story_unanswered()
{
	lab_in internet ping -n -c 1 -W 1 "$1" || :
	has "$(lab_ip internet neighbor show "$1" dev cable)" 'INCOMPLETE|FAILED'
}

# story_probed ADDRESS: a check with berth. What ndppd cannot do is only said.
story_probed()
{
	if [ "$WAY" = berth ]; then
		check "berth: asked for $1 in unicast, it is answered" story_unicast "$1"
	elif story_unicast "$1" >/dev/null 2>&1; then
		lab_say " --           by hand: asked for $1 in unicast, it is answered"
	else
		lab_say " --           by hand: asked for $1 in unicast, nobody answers: ndppd does not"
	fi
}

# ---- the result --------------------------------------------------------------

story_table()
{
	local way c f
	local -A both=()

	printf '\n%-10s %10s %10s %10s\n' '' commands files both
	for way in berth hand; do
		c=${story_commands[$way]} f=${story_files[$way]}
		both[$way]=$((c + f))
		printf '%-10s %10d %10d %10d\n' "$way" "$c" "$f" "${both[$way]}"
	done
	echo
	check "berth needs fewer commands" \
		test "${story_commands[berth]}" -lt "${story_commands[hand]}"
	check "and fewer commands and files together" test "${both[berth]}" -lt "${both[hand]}"
}
