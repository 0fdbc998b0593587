# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The world that berth lives in, on top of lab.sh.
#
#   internet                              router of the provider, and everybody else:
#     lo   198.18.0.1, 2001:db8:ffff::1   somebody out there
#     cable 192.0.2.1, 2001:db8:beef::1    the VPS's cable: its /64 is on-link
#     NAME 10.N.0.1, 2001:db8:N::1        one cable per house
#   vps
#     eth0 192.0.2.2, 2001:db8:beef::2
#   NAME                                  a house: lab_house NAME N
#     eth0 10.N.0.2, 2001:db8:N::2
#
# 203.0.113.0/24 is routed to the vps: public IPv4 addresses of tenants.

# shellcheck source=tools/lab/lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

WORLD4=198.18.0.1 WORLD6=2001:db8:ffff::1
VPS4=192.0.2.2 VPS6=2001:db8:beef::2
PREFIX6=2001:db8:beef::
PORT=51820

lab_world()
{
	lab_netns internet vps
	lab_link internet cable vps eth0
	lab_addr internet lo $WORLD4/32 $WORLD6/128
	lab_addr internet cable 192.0.2.1/24 2001:db8:beef::1/64
	lab_addr vps eth0 $VPS4/24 $VPS6/64
	lab_route vps default via 192.0.2.1
	lab_route vps default via 2001:db8:beef::1
	lab_route internet 203.0.113.0/24 via $VPS4
	lab_forward internet
	lab_forward vps
}

# lab_house NAME N: a namespace with a cable to the internet, no NAT.
lab_house()
{
	lab_netns "$1"
	lab_link internet "$1" "$1" eth0
	lab_addr internet "$1" "10.$2.0.1/24" "2001:db8:$2::1/64"
	lab_addr "$1" eth0 "10.$2.0.2/24" "2001:db8:$2::2/64"
	lab_route "$1" default via "10.$2.0.1"
	lab_route "$1" default via "2001:db8:$2::1"
}

# Where a tenant calls the gateway: lab_endpoint 4|6.
lab_endpoint()
{
	case $1 in
	4) echo "$VPS4:$PORT" ;;
	6) echo "[$VPS6]:$PORT" ;;
	esac
}

# ---- our gateway -----------------------------------------------------------

# lab_gateway_conf NAME IF [line of [Router]...]: writes NAME.conf, with its
# tenants in the folder NAME.d, key NAME.key (lab_keys), socket NAME.control.
# UPLINK= goes without an uplink.
lab_gateway_conf()
{
	local name=$1 dev=$2

	shift 2
	(umask 077 && mkdir -p "$LAB_DIR/$name.d" "$LAB_DIR/$name.state")
	{
		cat <<-END
			[Interface]
			Name = $dev
			PrivateKeyFile = $name.key
			ListenPort = $PORT

			[Router]
			${UPLINK-Uplink = eth0}
			Prefix = $PREFIX6/64
			Prefix = 203.0.113.0/24
			Tenants = $name.d
			Control = $LAB_DIR/$name.control
			State = $LAB_DIR/$name.state
		END
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} | lab_file "$LAB_DIR/$name.conf"
}

# lab_tenant GATEWAY TENANT ALLOWEDIPS [line of [Peer]...]: drops the file. The
# key is TENANT's of lab_keys.
lab_tenant()
{
	local file=$LAB_DIR/$1.d/$2.conf name=$2 ips=$3

	shift 3
	{
		printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' "${PUB[$name]}" "$ips"
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} | lab_file "$file"
}

# lab_gateway NAME NS IF: starts it and waits for its UAPI socket.
lab_gateway()
{
	lab_router "$1" "$2" "$(lab_uapi "$3")"
}

lab_has_peer()
{
	wg show "$1" peers | grep -qxF "$2"
}

# lab_wait_peer IF PUBLICKEY, lab_wait_no_peer IF PUBLICKEY
lab_wait_peer()
{
	lab_wait 5 "peer $2 on $1" lab_has_peer "$1" "$2"
}

lab_wait_no_peer()
{
	lab_wait 5 "peer $2 to leave $1" not lab_has_peer "$1" "$2"
}

# ---- a tenant with wireguard-go ----------------------------------------------

# lab_wggo_tenant NAME NS IF GATEWAYKEY ENDPOINT ADDRESS,... [wg set words...]:
# wireguard-go in NS with NAME's key, everything of the world behind the tunnel.
lab_wggo_tenant()
{
	local name=$1 ns=$2 dev=$3 key=$4 endpoint=$5 addresses=$6

	shift 6
	lab_wggo "$name" "$ns" "$dev"
	wg set "$dev" private-key "$LAB_DIR/$name.key" peer "$key" endpoint "$endpoint" \
		allowed-ips ::/0,0.0.0.0/0 "$@"
	lab_tunnel_up "$ns" "$dev" "$addresses"
}

# Addresses, up, and the world's addresses through it.
lab_tunnel_up()
{
	local a

	for a in ${3//,/ }; do
		lab_addr "$1" "$2" "$a"
	done
	lab_ip "$1" link set "$2" mtu 1420 up
	case $3 in *.*) lab_route "$1" $WORLD4/32 dev "$2" ;; esac
	case $3 in *:*) lab_route "$1" $WORLD6/128 dev "$2" ;; esac
}

# ---- measured in passing -----------------------------------------------------

# lab_iperf NS ADDRESS SECONDS [iperf3 words]: Mbit/s to a server in internet.
lab_iperf()
{
	local ns=$1 addr=$2 seconds=$3 log

	shift 3
	log=$(lab_log iperf)
	lab_start iperf internet iperf3 -s -1 -B "$addr" --forceflush
	lab_wait_log iperf 'Server listening' >&2
	lab_in "$ns" timeout $((seconds + 15)) iperf3 -J -c "$addr" -t "$seconds" "$@" \
		>"$LAB_DIR/iperf.json" || { cat "$LAB_DIR/iperf.json" "$log" >&2; return 1; }
	lab_join iperf 5 >&2 || :
	jq '.end.sum_received.bits_per_second / 1e6 * 10 | round / 10' "$LAB_DIR/iperf.json"
}

# lab_carries NS ADDRESS SECONDS MBIT [iperf3 words]
lab_carries()
{
	local got

	got=$(lab_iperf "$1" "$2" "$3" "${@:5}") && at_least "$got" "$4"
}

# lab_home_conf NAME [lines of [Router]]: NAME.conf for tunnels of ours, with NAME.d and
# NAME.state beside it.
lab_home_conf()
{
	local name=$1

	shift
	mkdir -m 700 "$LAB_DIR/$name.d" "$LAB_DIR/$name.state"
	lab_file "$LAB_DIR/$name.conf" <<-END
		[Router]
		Tenants = $name.d
		Control = $LAB_DIR/$name.control
		State = $LAB_DIR/$name.state
		$(printf '%s\n' "$@")
	END
}

# lab_tunnel HOME NAME ADDRESS/LEN,... ENDPOINT [line...]: drops the file of a tunnel to the
# gateway of key gw, for all that such addresses can reach. Lines are of [Interface], behind
# "[Container]" of that. KEEPALIVE= other seconds.
lab_tunnel()
{
	local file=$LAB_DIR/$1.d/$2.conf name=$2 addresses=$3 endpoint=$4 all=''

	shift 4
	case $addresses in *:*) all=::/0 ;; esac
	case $addresses in *.*) all=${all:+$all, }0.0.0.0/0 ;; esac
	lab_file "$file" <<-END
		[Interface]
		PrivateKeyFile = ../$name.key
		Address = $addresses
		$(printf '%s\n' "$@")

		[Peer]
		PublicKey = ${PUB[gw]}
		Endpoint = $endpoint
		AllowedIPs = $all
		PersistentKeepalive = ${KEEPALIVE:-25}
	END
}

# lab_clock: LAB_CLOCK becomes what a program takes as LD_PRELOAD whose clock lab_set_clock
# sets. What says how is mapped, as threads that touch packets may not look at files.
lab_clock()
{
	LAB_CLOCK=$LAB_DIR/clock.so
	printf 0 >"$LAB_DIR/clock"
	cat >"$LAB_DIR/clock.c" <<-END
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <fcntl.h>
		#include <sys/mman.h>
		#include <time.h>

		static int (*real)(clockid_t, struct timespec *);
		static const volatile char *way;

		__attribute__((constructor)) static void map(void)
		{
			real = dlsym(RTLD_NEXT, "clock_gettime");
			way = mmap(0, 1, PROT_READ, MAP_SHARED, open("$LAB_DIR/clock", O_RDONLY | O_CLOEXEC), 0);
		}

		int clock_gettime(clockid_t id, struct timespec *ts)
		{
			int err = real ? real(id, ts) : -1;

			if (id == CLOCK_REALTIME && way)
				ts->tv_sec += *way == '+' ? 3600 : *way == '-' ? -3600 : 0;
			return err;
		}
	END
	cc -shared -fPIC -o "$LAB_CLOCK" "$LAB_DIR/clock.c" -ldl
}

# lab_set_clock +|0|-: an hour ahead, right, or an hour behind. By one write in place: a file
# that is cut first would end the mapping under a reader.
lab_set_clock()
{
	printf %s "$1" | dd of="$LAB_DIR/clock" conv=notrunc status=none
}
