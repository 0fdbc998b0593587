#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every command of the README, in its order, on the machines that it names, each of them
# as fresh as a new user's; and what it shows is what is printed.
#
#   internet ---- vps                  its provider asks for each single address
#       |
#      nat ------ home --- blog        no IPv6, and behind NAT
#
#	```sh vps	is typed there, all of the block in one shell that stops at a fault
#	```text		is what the block above it printed: see tools/lab/readme
#	```ini vps:PATH	is written there, with what was printed in place of (words)
#	```sh		cannot run here, and NOT_HERE says why
#
# Limit: 200

# shellcheck source=tools/lab/story.sh
. "$(dirname "$0")/../../tools/lab/story.sh"
lab_begin wg wg-quick wireguard-go ndppd nsenter unshare sysctl make promtool

# How a block begins that is not run, and why.
# shellcheck disable=SC2016 # what is quoted is Markdown and shell, to be compared
declare -A NOT_HERE=(
	['make demo']='this test is a part of `make check`; the demo is a lab of its own'
	['name "$(lxc-info']='container managers bring services of their own'
	['make deb']='`make check-deb` does it, under a systemd of its own'
	['make bench']='takes all processors, for minutes'
	["ROWS='idle"]='takes all processors, for minutes'
	['make bench-tenants']='takes all processors, for minutes'
	['make bench-ndp']='takes all processors, for minutes'
	['make bench-limits']='takes all processors, for minutes'
	['make soak']='takes half an hour; network `soak` is its short form'
)
README=$ROOT/README.md
HOME_KEY=''			# the public key of blog's home

# ---- a machine as a new user has it ------------------------------------------

# Nothing of ours is installed. /usr/local is the machine's own; what the README types is
# typed in the sources, which are the same ones.
machine()
{
	story_in "$1" mount -t tmpfs local /usr/local
	story_in "$1" mkdir -p /usr/local/bin /usr/local/sbin /run/typed
	story_in "$1" ln -s "$LAB_DIR/systemctl" /usr/local/bin/systemctl
	# What is installed here, tools/deps need not fetch.
	[ ! -r /var/lib/dpkg/status ] || {
		cp /var/lib/dpkg/status "$LAB_DIR/packages"
		story_in "$1" install -D -m 644 "$LAB_DIR/packages" /var/lib/dpkg/status
	}
}

# A namespace has no systemd: this starts what the installed unit says.
# shellcheck disable=SC2016 # the variables are that script's
make_systemctl()
{
	cat >"$LAB_DIR/systemctl" <<-'END'
		#!/bin/bash
		# systemctl enable|disable|restart [--now] UNIT...
		set -eu
		verb=$1; shift
		[ "$1" != --now ] || shift
		stop_pid() { kill "$(cat "$1")"; while [ -e "/proc/$(cat "$1")" ]; do sleep 0.02; done; }
		start()
		{
			case $1 in
			berthd*)
				run=$(sed -n 's/^ExecStart=//p' "/usr/local/lib/systemd/system/$1.service")
				setsid $run >>/run/berthd.log 2>&1 </dev/null &
				echo $! >"/run/$1.pid"
				for ((i = 0; i < 500; i++)); do
					[ ! -S /run/berth/control.sock ] || exit 0
					sleep 0.02
				done
				cat /run/berthd.log >&2
				exit 1 ;;
			wg-quick@*) wg-quick up "${1#*@}" ;;
			ndppd) ndppd -d -p /run/ndppd.pid -c /etc/ndppd.conf ;;
			esac
		}
		stop()
		{
			case $1 in
			berthd* | ndppd) stop_pid "/run/$1.pid" ;;
			wg-quick@*) wg-quick down "${1#*@}" ;;
			esac
		}
		for unit; do
			case $verb in
			enable) start "$unit" ;;
			disable) stop "$unit" ;;
			restart) stop "$unit"; start "$unit" ;;
			esac
		done
	END
	chmod 755 "$LAB_DIR/systemctl"
}

# ---- blocks -----------------------------------------------------------------

# on MACHINE command...: out in the internet there is nothing of ours.
on()
{
	local m=$1

	shift
	case $m in
	internet) lab_in internet "$@" ;;
	*) story_in "$m" "$@" ;;
	esac
}

# typed WHERE FILE: the block in one shell; OUT is what it printed.
typed()
{
	local status=0 folder=/run/typed

	[ "$1" != internet ] || folder=/
	! grep -qE '^(make|tools/deps) ' "$2" || folder=$ROOT
	on "$1" env -u MAKEFLAGS -u MAKELEVEL BUILD="$(dirname "$BERTHD")" NO_COLOR=1 \
		PATH="/usr/local/sbin:/usr/local/bin:$PATH" \
		bash -ec "cd '$folder'; $(cat "$2")" >"$LAB_DIR/printed" 2>&1 </dev/null || status=$?
	sed 's/^/              | /; s/\(P[a-z]*Key = \).*/\1.../' "$LAB_DIR/printed" | cut -c1-130
	[ $status -eq 0 ] || { echo "status $status"; cat "$LAB_DIR/printed"; }
	return $status
}

run_block()
{
	local n=$1 line=$2 where=$3 w first

	if [ -z "$where" ]; then
		for first in "${!NOT_HERE[@]}"; do
			[[ $(head -n 1 "$LAB_DIR/blocks/$n") != "$first"* ]] || {
				lab_say " --           line $line is not run: ${NOT_HERE[$first]}"
				return
			}
		done
		check "line $line: \`\`\`sh without a machine has its reason in NOT_HERE" false
		return
	fi
	for w in $where; do
		sed "s/^/              $w\$ /" "$LAB_DIR/blocks/$n"
		typed "$w" "$LAB_DIR/blocks/$n" >"$LAB_DIR/typed" 2>&1 && LAB_STATUS=0 || LAB_STATUS=$?
		cat "$LAB_DIR/typed"
		need "line $line: typed at $w" test $LAB_STATUS -eq 0
		cp "$LAB_DIR/printed" "$LAB_DIR/shown"
		! grep -q '^PrivateKey = ' "$LAB_DIR/printed" || cp "$LAB_DIR/printed" "$LAB_DIR/homefile"
	done
}

# "Key = (words)" takes its value from the home file that was printed; the public
# key of a home is the one of the private key in it.
filled()
{
	local key value line

	while IFS= read -r line; do
		key=${line%% = *}
		value=$(sed -n "s/^$key = //p" "$LAB_DIR/homefile" | head -n 1)
		case $line in
		"PublicKey = (the home's)") echo "PublicKey = $HOME_KEY" ;;
		*' = ('*) echo "$key = $value" ;;
		*) echo "$line" ;;
		esac
	done
}

write_block()
{
	local n=$1 line=$2 machine=${3%%:*} path=${3#*:}

	[ -n "$HOME_KEY" ] ||
		HOME_KEY=$(sed -n 's/^PrivateKey = //p' "$LAB_DIR/homefile" | wg pubkey)
	filled <"$LAB_DIR/blocks/$n" >"$LAB_DIR/written"
	# shellcheck disable=SC2016 # the variable is that shell's
	need "line $line: $path is written at $machine" \
		story_in "$machine" sh -c 'umask 077; cat >"$1"' put "$path" <"$LAB_DIR/written"
	if [ "$machine" = home ]; then
		check "and it is what was printed, but for its comments" \
			is "$(grep -v '^#' "$LAB_DIR/homefile" | sed -n '/^\[/,$p' | grep .)" \
			"$(grep . "$LAB_DIR/written")"
	fi
}

# What Prometheus would be asked.
query_block()
{
	{
		echo 'groups: [ { name: readme, rules: ['
		sed "s/'/''/g; s/.*/{ record: r, expr: '&' },/" "$LAB_DIR/blocks/$1"
		echo '] } ]'
	} >"$LAB_DIR/rules.yml"
	check "line $2: Prometheus understands it" promtool check rules "$LAB_DIR/rules.yml"
}

# ---- what a chapter stands on ---------------------------------------------------

# The machines as the old way has them: `blog` at home with wireguard-go, and a VPS with
# wg-quick, ndppd and a route.
old_world()
{
	local gateway home

	story_over
	story_world
	machine vps
	machine home
	echo 'make install' >"$LAB_DIR/install"
	need "berth is installed" typed vps "$LAB_DIR/install"
	gateway=$(wg genkey)
	home=$(wg genkey)
	story_in vps bash -c 'umask 077; cat >/etc/wireguard/wg0.conf' <<-END
		[Interface]
		PrivateKey = $gateway
		ListenPort = 51820
		PostUp = sysctl -w net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth0.accept_ra=2

		# blog
		[Peer]
		PublicKey = $(wg pubkey <<<"$home")
		AllowedIPs = ${PREFIX6}b109/128
		# mail
		[Peer]
		PublicKey = $(wg genkey | wg pubkey)
		AllowedIPs = ${PREFIX6}25/128
	END
	story_in vps bash -c 'cat >/etc/ndppd.conf' <<-END
		proxy eth0 {
			rule ${PREFIX6}b109/128 { static }
			rule ${PREFIX6}25/128 { static }
		}
	END
	story_in vps systemctl enable --now wg-quick@wg0 ndppd
	need "home as it was" story_in home bash -ec "
		umask 077; cd /run/typed; echo $home >key
		ip netns add blog
		ip -n blog link set lo up
		wireguard-go wg-blog
		wg set wg-blog private-key key peer $(wg pubkey <<<"$gateway") \
			endpoint vps.example.com:51820 allowed-ips ::/0 persistent-keepalive 25
		ip link set wg-blog netns blog
		ip -n blog address add ${PREFIX6}b109/128 dev wg-blog
		ip -n blog link set wg-blog mtu 1420 up
		ip -n blog -6 route add default dev wg-blog"
	need "blog is reached by the old way" story_reached ${PREFIX6}b109
}

# Files for the drop-in, where `wg setconf` and wg-quick look for them.
# shellcheck disable=SC2016 # the substitution is that shell's
drop_in_files()
{
	story_in vps bash -c 'umask 077
		printf "[Interface]\nPrivateKey = %s\n" "$(wg genkey)" | tee /run/typed/wg0.conf >/etc/wireguard/wg1.conf'
}

chapter_begins()
{
	case $1 in
	'From wg-quick'*) old_world ;;
	'In the place of wireguard-go') drop_in_files ;;
	esac
}

chapter_ends()
{
	case $1 in
	'By hand')
		need "home calls again" story_in home systemctl restart berthd-home
		check "blog is reached by the file that was written" \
			story_reached 2001:db8:beef:0:daaf:f4b0:fba5:8ce3
		;;
	'From wg-quick'*)
		check "blog is reached again, and nothing was done at home" \
			story_reached ${PREFIX6}b109
		check "by berthd" has "$(story_in vps berth list)" 'b109'
		;;
	esac
}

# ---- the README ------------------------------------------------------------

make_systemctl
export PATH="$LAB_DIR/bin:/usr/local/sbin:/usr/local/bin:$PATH"
story_world
lab_addr internet lo 2001:4860:4860::8888/128	# a well-known resolver, which answers pings
machine vps
machine home
mkdir "$LAB_DIR/blocks"
"$PYTHON" "$ROOT/tools/lab/readme" blocks "$README" "$LAB_DIR/blocks" >"$LAB_DIR/list" ||
	lab_die "$(cat "$LAB_DIR/list")"
: >"$LAB_DIR/homefile"
chapter='' ran=0
while IFS='|' read -r n line language where heading <&3; do
	if [ "$heading" != "$chapter" ]; then
		chapter_ends "$chapter"
		chapter=$heading
		lab_say "---- $chapter"
		chapter_begins "$chapter"
	fi
	case $language:$where in
	sh:*)
		ran=$((ran + 1))
		run_block "$n" "$line" "$where" ;;
	text:)
		check "line $line: that is what is printed" \
			"$PYTHON" "$ROOT/tools/lab/readme" compare "$LAB_DIR/blocks/$n" "$LAB_DIR/shown" ;;
	ini:*:*)
		write_block "$n" "$line" "$where" ;;
	ini:)
		;; # a fragment: tests/test_docs has berthd read it
	promql:)
		query_block "$n" "$line" ;;
	*)
		check "line $line: a block of a kind that is known" is "$language $where" '' ;;
	esac
done 3<"$LAB_DIR/list"
chapter_ends "$chapter"
check "the README has commands" at_least $ran 15
