#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Paths that carry less than Ethernet does: whatever fits gets through, and whatever does
# not gets its error. Nothing just vanishes. Three houses at once:
#
#   internet ------------------- vps         path   outside  MTU of the tenant
#     |                         berthd  pad  1280   IPv4     1280: the outside is cut
#     +--- pad, cell, dsl               cell 1400   IPv6     1320
#          berthd, MTU = auto           dsl  1492   IPv6     1412
#          (namespace): box-pad, ...
#
# Between internet and vps the cable carries 1500: the gateway sees nothing of the rest.
# In the end the gateway is told of no MTU: then it is the outside that is cut.
# Limit: 120

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth nft

GW=$(lab_if gw)
CONTROL=$LAB_DIR/gw.control
HOUSES=(pad:71:1280:4:1280 cell:72:1400:6:1320 dsl:73:1492:6:1412)

lab_world
lab_keys gw pad cell dsl
lab_gateway_conf gw "$GW"

for house in "${HOUSES[@]}"; do
	IFS=: read -r name n path family mtu <<<"$house"
	lab_house "$name" "$n"
	lab_ip "$name" link set eth0 mtu "$path"
	lab_ip internet link set "$name" mtu "$path"
	lab_netns "box-$name"
	lab_tenant gw "$name" "${PREFIX6}$n/128, 203.0.113.$n/32" '[Tenant]' "MTU = $mtu"
	lab_home_conf "$name"
	lab_tunnel "$name" "$name" "${PREFIX6}$n/128, 203.0.113.$n/32" "$(lab_endpoint "$family")" \
		'[Container]' "Netns = $(lab_ns "box-$name")" 'Name = wg0'
done
need "the gateway starts" lab_gateway gw vps "$GW"

lab_start echo internet "$PYTHON" "$ROOT/tools/lab/traffic" serve $WORLD4 $WORLD6
need "the echo listens" lab_wait_log echo ready
for house in "${HOUSES[@]}"; do
	IFS=: read -r name n path family mtu <<<"$house"
	need "$name starts" lab_router "$name" "$name" "$LAB_DIR/$name.control"
done
for house in "${HOUSES[@]}"; do
	IFS=: read -r name n path family mtu <<<"$house"
	need "$name reaches the world" lab_reaches "box-$name" $WORLD6
	check "$name: MTU = auto at home" has "$(lab_ip "box-$name" -o link show wg0)" \
		"mtu $((path - 80 > 1280 ? path - 80 : 1280)) "
done

# goes NAME N KIND...: IPv4 and IPv6, one line each in NAME.goes.
goes()
{
	local name=$1 n=$2 kind from to out status

	shift 2
	for kind; do
		for from in "203.0.113.$n" "${PREFIX6}$n"; do
			to=$WORLD6
			case $from in *.*) to=$WORLD4 ;; esac
			[ "$kind $to" != "sizes-cut $WORLD6" ] || continue
			status=good
			out=$(lab_in "box-$name" timeout $((40 * LAB_SLOW)) "$PYTHON" \
				"$ROOT/tools/lab/traffic" "$kind" "$from" "$to" 2>&1) || status=BAD
			echo "$status $kind to $to: $(tail -n 1 <<<"$out")"
		done
	done >"$LAB_DIR/$name.goes"
}

# all_go WHAT KIND...: in all houses at once.
all_go()
{
	local what=$1 pids=() house name n path family mtu

	shift
	for house in "${HOUSES[@]}"; do
		IFS=: read -r name n path family mtu <<<"$house"
		goes "$name" "$n" "$@" &
		pids+=($!)
	done
	wait "${pids[@]}"
	for house in "${HOUSES[@]}"; do
		IFS=: read -r name n path family mtu <<<"$house"
		check "$what, a path of $path: all get there, or are told" all_good "$name"
		sed 's/^good/             /' "$LAB_DIR/$name.goes"
	done
}

all_good()
{
	cat "$LAB_DIR/$1.goes"
	[ -s "$LAB_DIR/$1.goes" ] && ! grep -v '^good' "$LAB_DIR/$1.goes"
}

all_go "MTU of the tenant" bulk hello sizes sizes-df sizes-cut
for house in "${HOUSES[@]}"; do
	IFS=: read -r name n path family mtu <<<"$house"
	check "$name: what was too large is counted" lab_drops_at_least "$CONTROL" "$name" too-big 2
	check "and was not much" at_most "$(lab_drops "$CONTROL" "$name" too-big)" 20
	check "berth show knows its MTU" has "$("$BERTH" show "$name" --control "$CONTROL")" "MTU +$mtu\$"
done

# Where errors are thrown away, TCP still knows: from its SYNs. The box's own MTU says too
# much here, so it is the gateway alone that lowers them. What was learned is forgotten.
before=$(lab_drops "$CONTROL" pad too-big)
lab_in internet nft -f - <<-END
	table inet deaf {
		chain in {
			type filter hook input priority filter;
			icmp type destination-unreachable drop
			icmpv6 type packet-too-big drop
		}
	}
END
sed 's/^Name = wg0/&\n/; s/^\[Container\]/MTU = 1420\n\n&/' "$LAB_DIR/pad.d/pad.conf" >"$LAB_DIR/pad.1420"
lab_file "$LAB_DIR/pad.d/pad.conf" <"$LAB_DIR/pad.1420"
lab_ip internet -4 route flush cache
lab_ip internet -6 route flush cache
box_has()
{
	has "$(lab_ip box-pad -o link show wg0)" "mtu $1 "
}
need "pad's box is told of 1420" lab_wait 5 "the MTU" box_has 1420
goes pad 71 bulk hello
check "no error arrives: TCP gets there all the same" all_good pad
check "and nothing was too large" is "$(lab_drops "$CONTROL" pad too-big)" "$before"
lab_in internet nft delete table inet deaf

# Without it, the gateway's packets are cut outside: slower, but nothing is lost for good.
for house in "${HOUSES[@]}"; do
	IFS=: read -r name n path family mtu <<<"$house"
	lab_tenant gw "$name" "${PREFIX6}$n/128, 203.0.113.$n/32"
done
no_mtu()
{
	not has "$("$BERTH" show "$1" --control "$CONTROL")" '^ *MTU '
}
for house in "${HOUSES[@]}"; do
	check "${house%%:*}: the MTU is gone" lab_wait 5 "the change" no_mtu "${house%%:*}"
done
all_go "no MTU" bulk hello sizes sizes-df
