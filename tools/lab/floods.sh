# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# A gateway that is flooded from its uplink while a tenant transfers, for tests/netns/floods.sh
# and tools/bench/bench-floods, on top of berth.sh.
#
#   internet ------------------ vps          gateway, an on-link and a routed prefix
#     tools/bench/flood, cable    eth0       and tenants 1 to FLOODS_CROWD of tools/bench/scale
#      +--- alice                            berthd -f IF, transfers
#      +--- bob                              scale meet, 10.47.0.2
#
# Frames go to the vps as its router would send them, with sources in 198.19.0.0/16 or
# 2001:db8:f1::/48: what is sent back to those is counted and dropped by the internet.

# shellcheck source=tools/lab/berth.sh
. "$(dirname "${BASH_SOURCE[0]}")/berth.sh"

FLOODS_BENCH=$(dirname "$BERTHD")/bench
FLOODS_CROWD=2000
ROUTED6=2001:db8:aaaa::
# shellcheck disable=SC2034 # for whoever sources this
CLOSED_PORT=51821
ALICE4=203.0.113.1
GW='' ALICE='' CONTROL='' VPS_MAC=''

floods_world()
{
	local tool

	for tool in flood scale asker; do
		[ -x "$FLOODS_BENCH/$tool" ] || lab_die "$FLOODS_BENCH/$tool is not there: make check-net"
	done
	GW=$(lab_if gw) ALICE=$(lab_if al) CONTROL=$LAB_DIR/gw.control
	lab_world
	lab_house alice 46
	lab_house bob 47
	lab_keys gw alice
	lab_gateway_conf gw "$GW" "Prefix = $ROUTED6/64"
	lab_tenant gw alice "$ALICE4/32, ${ROUTED6}a1/128"
	"$FLOODS_BENCH/scale" write "$LAB_DIR/gw.d" 1 $FLOODS_CROWD
	lab_gateway gw vps "$GW"
	lab_wait_log gw "tenants $((FLOODS_CROWD + 1))" 20
	lab_route internet $ROUTED6/64 via $VPS6
	lab_route vps $ROUTED6/64 dev "$GW"
	lab_route vps 203.0.113.0/24 dev "$GW"
	VPS_MAC=$(lab_ip vps -j link show eth0 | jq -r '.[0].address')
	# shellcheck disable=SC2034 # for the scripts
	VPS_PID=${lab_pid[gw]}
	lab_in internet nft -f - <<-END
		table inet floods {
			counter replies4 { }
			counter replies6 { }
			chain back {
				type filter hook prerouting priority raw;
				ip daddr 198.19.0.0/16 counter name replies4 drop
				ip6 daddr 2001:db8:f1::/48 counter name replies6 drop
			}
		}
	END
	LOG_LEVEL=error lab_dropin alice alice "$ALICE"
	wg set "$ALICE" private-key "$LAB_DIR/alice.key"
	floods_tenant
	lab_tunnel_up alice "$ALICE" "$ALICE4/32,${ROUTED6}a1/128"
}

# Alice knows her gateway, and has no session with it.
floods_tenant()
{
	wg set "$ALICE" peer "${PUB[gw]}" endpoint "$(lab_endpoint 4)" allowed-ips ::/0,0.0.0.0/0
}

# floods_flood KIND FAMILY SOURCES RATE MS PORT: the report in KIND.json. The addresses of nobody
# lie in the routed prefix (unknown), or in the one that is on-link (on-link).
floods_flood()
{
	local kind=$1 name=$1 family=$2 sources=$3 rate=$4 ms=$5 port=$6 to=$VPS4 prefix=203.0.113.0

	if [ "$family" = 6 ]; then
		to=$VPS6 prefix=$PREFIX6
		[ "$kind" != unknown ] || prefix=$ROUTED6
		[ "$kind" != on-link ] || kind=unknown
	fi
	"$FLOODS_BENCH/flood" "$kind" -n "$(lab_ns internet)" -i cable -v "$VPS_MAC" -a "$to" \
		-p "$port" -k "${PUB[gw]}" -t $FLOODS_CROWD -x "$prefix" \
		-g "$([ "$kind" = unknown ] && echo 100000 || echo $FLOODS_CROWD)" \
		-s "$sources" -r "$rate" -m "$ms" >"$LAB_DIR/$name.json"
}

# Bytes that came back to the sources, of IP packets.
floods_replied()
{
	lab_in internet nft -j list counters table inet floods |
		jq '[.nftables[].counter.bytes // 0] | add'
}

# Bytes that alice's upload has brought, and her download.
floods_carried()
{
	lab_ip vps -s -j link show dev "$GW" | jq ".[0].stats64.$1.bytes"
}

# What the gateway's kernel and the gateway have dropped, as JSON.
floods_counts()
{
	local kernel tun

	# RcvbufErrors, of IPv4 and of IPv6.
	# shellcheck disable=SC2016 # the fields are awk's
	kernel=$(lab_in vps awk '/^Udp: [0-9]/ { n += $6 } /^Udp6RcvbufErrors/ { n += $2 }
		END { print n }' /proc/net/snmp /proc/net/snmp6)
	tun=$(lab_ip vps -s -j link show dev "$GW" | jq '.[0].stats64.tx.dropped')
	lab_control "$CONTROL" '{"do":"status"}' | jq -c --argjson k "$kernel" --argjson t "$tun" \
		'.status.drops + { "socket-full": $k, "tun-full": $t }'
}

# Resident memory of the gateway, KiB.
floods_memory()
{
	awk '/^VmRSS/ { print $2 }' "/proc/$VPS_PID/status"
}
