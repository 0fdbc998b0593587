#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Files come, change, break and go in config.d/, while somebody else's packets
# flow. Times are from the file to its effect at the gateway.
#
#   vps ------- internet ---+--- alice   her file comes and goes
#  berthd                   +--- bob     pings all the time and must not notice

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

GW=$(lab_if gw) ALICE=$(lab_if al) BOB=$(lab_if bo)
D=$LAB_DIR/gw.d
CONTROL=$LAB_DIR/gw.control
A6=${PREFIX6}a1 A4=203.0.113.1

lab_world
lab_house alice 71
lab_house bob 72
lab_keys gw alice bob carol dora
lab_gateway_conf gw "$GW"
need "starts with an empty folder" lab_gateway gw vps "$GW"

is_empty()
{
	[ -z "$("$@")" ]
}

# Alice's side forgets its session and calls anew.
alice_calls()
{
	wg set "$ALICE" peer "${PUB[gw]}" remove
	wg set "$ALICE" peer "${PUB[gw]}" endpoint "$(lab_endpoint 4)" \
		allowed-ips ::/0,0.0.0.0/0 persistent-keepalive 1
}

# here "what": Alice's file has just been written at t0.
here()
{
	need "$1: the gateway has her" lab_wait_peer "$GW" "${PUB[alice]}"
	ms=$(lab_ms_since "$t0")
	lab_say "              after $ms ms"
	check "$1: in good time" at_most "$ms" $((1000 * LAB_SLOW))
	alice_calls
	check "$1: she is reached" lab_reaches internet $A6
}

# gone "what": Alice has just been revoked at t0.
gone()
{
	check "$1: the gateway has forgotten her" lab_wait_no_peer "$GW" "${PUB[alice]}"
	ms=$(lab_ms_since "$t0")
	lab_say "              after $ms ms"
	check "$1: in good time" at_most "$ms" $((1000 * LAB_SLOW))
	check "$1: her route is gone" is "$(lab_ip vps -6 route show $A6/128)" ""
	check "$1: she is silent" lab_silent internet $A6
	check "$1: and deaf" lab_silent alice $WORLD6
	check "$1: the log says so" lab_wait_log gw 'alice.*(revoked|removed|gone)'
	lab_mark gw
}

# undisturbed "what": alice's session is the one that began at $session.
undisturbed()
{
	check "$1: the session goes on" lab_ping internet $A6 5
	check "$1: no new handshake" is "$(lab_handshake "$GW" "${PUB[alice]}")" "$session"
}

# refused FILE PATTERN...: the log names the file, and everybody lives.
refused()
{
	local file=$1 what=$2 pattern

	shift 2
	for pattern; do
		check "$what: the log says /$pattern/" lab_wait_log gw "$pattern"
	done
	check "$what: Alice still has her session" lab_ping internet $A6 2
	rm -f "$D/$file"
	lab_mark gw
}

# ---- bob, for the whole time -----------------------------------------------------

lab_tenant gw bob ${PREFIX6}b0/128
need "bob's file is read" lab_wait_peer "$GW" "${PUB[bob]}"
lab_wggo_tenant bob bob "$BOB" "${PUB[gw]}" "$(lab_endpoint 6)" ${PREFIX6}b0/128
need "bob is there" lab_reaches bob $WORLD6
lab_start bob-ping bob ping -n -i 0.02 -W 2 $WORLD6

# ---- alice comes, and stays -----------------------------------------------------

lab_wggo alice alice "$ALICE"
wg set "$ALICE" private-key "$LAB_DIR/alice.key"
lab_tunnel_up alice "$ALICE" $A6/128,$A4/32
check "nobody is there before her file is" lab_silent internet $A6
lab_mark gw
t0=$(lab_us)
lab_tenant gw alice "$A6/128, $A4/32"
here "dropped"
check "her route is there" has "$(lab_ip vps -6 route show $A6/128)" "$GW"
check "IPv4 as well" lab_ping internet $A4

session=$(lab_handshake "$GW" "${PUB[alice]}")
cp "$D/alice.conf" "$LAB_DIR/alice.orig"
lab_start alice-ping internet ping -n -i 0.02 -W 2 $A6
cat "$LAB_DIR/alice.orig" >"$D/alice.conf"
undisturbed "rewritten in place"
lab_file "$D/alice.conf" <"$LAB_DIR/alice.orig"
undisturbed "rewritten by rename"
touch "$D/alice.conf"
undisturbed "touched"
# Slowly, as over a network: empty for a moment is not revoked, if only the
# writer has not yet closed it.
{
	head -c 20 "$LAB_DIR/alice.orig"
	sleep 0.3
	tail -c +21 "$LAB_DIR/alice.orig"
} >"$D/alice.conf"
undisturbed "written slowly"
{ echo '; a comment'; cat "$LAB_DIR/alice.orig"; } | lab_file "$D/alice.conf"
undisturbed "a comment more"
kill -HUP "${lab_pid[gw]}"
undisturbed "SIGHUP"
lab_stop alice-ping INT
check "in all this Alice lost nothing" lab_no_gap alice-ping

# ---- a change --------------------------------------------------------------------

lab_addr alice "$ALICE" ${PREFIX6}a2/128
lab_mark gw
lab_tenant gw alice "$A6/128, $A4/32, ${PREFIX6}a2/128"
check "one address more: reached" lab_reaches internet ${PREFIX6}a2
undisturbed "one address more"
lab_tenant gw alice "$A6/128, $A4/32"
check "one address less: its route goes" lab_wait 5 "the route to go" \
	is_empty lab_ip vps -6 route show ${PREFIX6}a2/128
check "one address less: silent" lab_silent internet ${PREFIX6}a2
undisturbed "one address less"

# Two swap addresses in one go; nobody is behind the other one.
lab_tenant gw dora ${PREFIX6}a2/128
need "dora's file is read" lab_wait_peer "$GW" "${PUB[dora]}"
check "hers is another address" lab_silent internet ${PREFIX6}a2
lab_tenant gw alice "${PREFIX6}a2/128, $A4/32"
lab_tenant gw dora $A6/128
check "a swap: Alice is at the other address" lab_reaches internet ${PREFIX6}a2
check "a swap: and not at the first" lab_silent internet $A6
check "a swap: IPv4 as ever" lab_ping internet $A4
check "a swap: no new handshake" is "$(lab_handshake "$GW" "${PUB[alice]}")" "$session"
check "a swap: both routes are there" is "$(lab_ip vps -6 route show dev "$GW" |
	grep -cE "^${PREFIX6}a[12] ")" 2
lab_tenant gw dora ${PREFIX6}a2/128
lab_tenant gw alice "$A6/128, $A4/32"
check "a swap back: reached" lab_reaches internet $A6
undisturbed "a swap back"
rm "$D/dora.conf"
check "dora goes" lab_wait_no_peer "$GW" "${PUB[dora]}"

# ---- faults: said, and nobody disturbed -------------------------------------------

lab_mark gw
printf '[Peer]\nPublicKey = nonsense\n' | lab_file "$D/carol.conf"
refused carol.conf "a bad key" 'carol.conf:2: .*(PublicKey|nonsense)'
printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' "${PUB[carol]}" "${PREFIX6}zz/128" |
	lab_file "$D/carol.conf"
refused carol.conf "a bad address" 'carol.conf:3: .*zz'
printf '[Peer]\nPublicKey = %s\nAllowedIP = %s\n' "${PUB[carol]}" "${PREFIX6}c/128" |
	lab_file "$D/carol.conf"
refused carol.conf "an unknown key" 'carol.conf:3: .*AllowedIP'
printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n[Tenant]\nRateLimit = 1mbps\n' \
	"${PUB[carol]}" "${PREFIX6}c/128" | lab_file "$D/carol.conf"
refused carol.conf "a rate that is none" "carol.conf:5: .*RateLimit: '1mbps' .* write 1mbit"
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 2001:db8:1::1/128\n' "${PUB[carol]}" |
	lab_file "$D/carol.conf"
refused carol.conf "an address of somebody else" 'carol.conf:3: .*2001:db8:1::1.*'
lab_mark gw
lab_tenant gw carol "${PREFIX6}a1/128"
refused carol.conf "Alice's address" 'carol.conf.*alice.conf|alice.conf.*carol.conf'
PUB[carol]=${PUB[alice]}
lab_tenant gw carol "${PREFIX6}c/128"
refused carol.conf "Alice's key" 'carol.conf.*alice.conf|alice.conf.*carol.conf'
PUB[carol]=${PUB[gw]}
lab_tenant gw carol "${PREFIX6}c/128"
refused carol.conf "the gateway's own key" "carol.conf:2: PublicKey: this is the gateway's own key"
lab_keys carol
wg genpsk >"$LAB_DIR/open.psk"
chmod 644 "$LAB_DIR/open.psk"
lab_tenant gw carol "${PREFIX6}c/128" "PresharedKeyFile = ../open.psk"
refused carol.conf "a key that others can read" 'carol.conf:4: .*chmod'
for name in .carol.conf carol.conf~ carol.swp '#carol.conf#' carol.tmp carol.bak carol.dpkg-new; do
	printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' "${PUB[carol]}" "${PREFIX6}c/128" |
		(umask 077 && cat >"$D/$name")
done
kill -HUP "${lab_pid[gw]}"
lab_tenant gw dora "${PREFIX6}d/128"
check "a real file beside them is read" lab_wait_peer "$GW" "${PUB[dora]}"
check "left-overs of editors are not tenants" not lab_has_peer "$GW" "${PUB[carol]}"
rm -f "$D"/.carol.conf "$D"/*carol* "$D/dora.conf"
lab_mark gw
sed 's/^AllowedIPs.*/AllowedIPs = broken/' "$LAB_DIR/alice.orig" | lab_file "$D/alice.conf"
check "Alice's own file broken: said" lab_wait_log gw 'alice.conf:3: '
undisturbed "Alice's own file broken: last good one counts"
lab_file "$D/alice.conf" <"$LAB_DIR/alice.orig"
lab_mark gw
mv "$D" "$D.away"
kill -HUP "${lab_pid[gw]}"
check "folder gone: said" lab_wait_log gw "gw\\.d"
undisturbed "folder gone: last good state counts"
mv "$D.away" "$D"
kill -HUP "${lab_pid[gw]}"
undisturbed "folder back"

# ---- changed by wg, which no file tells ----------------------------------------------

lab_mark gw
wg set "$GW" peer "${PUB[alice]}" remove
check "wg removes alice: gone" lab_silent internet $A6
check "and that is said" lab_wait_log gw 'tenant alice: removed by wg; its file puts it back at'
wg set "$GW" peer "${PUB[carol]}" allowed-ips ${PREFIX6}c/128
touch "$D/alice.conf"
lab_mark gw
t0=$(lab_us)
kill -HUP "${lab_pid[gw]}"
here "SIGHUP puts alice back"
check "it is said" lab_logged gw 'tenant alice: put back as its file says: wg had removed it'
check "and whom no file has goes" lab_wait_no_peer "$GW" "${PUB[carol]}"
wg set "$GW" peer "${PUB[alice]}" allowed-ips $A6/128
check "wg takes an address: its route goes" is_empty lab_ip vps route show $A4
check "wg takes an address: said" lab_wait_log gw 'tenant alice: AllowedIPs changed by wg;'
session=$(lab_handshake "$GW" "${PUB[alice]}")
kill -HUP "${lab_pid[gw]}"
check "SIGHUP gives it back" lab_reaches internet $A4
undisturbed "an address given back"

# status_says FIELD VALUE
status_says()
{
	is "$(lab_control "$CONTROL" '{"do":"status"}' | jq -c ".status.$1")" "$2"
}
check "the tenants of the start are all read" status_says starting false
check "berth.conf is as it was at the start" status_says restart_needed false
lab_mark gw
echo "# a word" >>"$LAB_DIR/gw.conf"
kill -HUP "${lab_pid[gw]}"
check "berth.conf edited: said" lab_wait_log gw 'gw.conf has changed: that takes a restart'
check "berth.conf edited: so says the status" status_says restart_needed true
sed -i '$d' "$LAB_DIR/gw.conf"
check "berth.conf as before: so says the status" status_says restart_needed false

# ---- revoked, in every way ----------------------------------------------------------

lab_mark gw
t0=$(lab_us)
rm "$D/alice.conf"
gone "file deleted"
t0=$(lab_us)
lab_file "$D/alice.conf" <"$LAB_DIR/alice.orig"
here "file back"

t0=$(lab_us)
sed -i 's/^PublicKey.*/PublicKey =/' "$D/alice.conf"
gone "PublicKey emptied"
t0=$(lab_us)
cat "$LAB_DIR/alice.orig" >"$D/alice.conf"
here "PublicKey back"

t0=$(lab_us)
sed -i '/^PublicKey/d' "$D/alice.conf"
gone "PublicKey line deleted"
t0=$(lab_us)
lab_file "$D/alice.conf" <"$LAB_DIR/alice.orig"
here "PublicKey line back"

t0=$(lab_us)
: >"$D/alice.conf"
gone "file emptied"
t0=$(lab_us)
lab_file "$D/alice.conf" <"$LAB_DIR/alice.orig"
here "file filled"

t0=$(lab_us)
"$PYTHON" -c 'import os, sys; os.truncate(sys.argv[1], 0)' "$D/alice.conf"
gone "file truncated by its path, and never closed"
t0=$(lab_us)
lab_file "$D/alice.conf" <"$LAB_DIR/alice.orig"
here "file filled again"

t0=$(lab_us)
mv "$D/alice.conf" "$D/.alice.conf"
gone "renamed away"
t0=$(lab_us)
mv "$D/.alice.conf" "$D/alice.conf"
here "renamed back"

mkdir "$LAB_DIR/keys"
echo "${PUB[alice]}" >"$LAB_DIR/keys/alice.pub"
session=$(lab_handshake "$GW" "${PUB[alice]}")
printf '[Peer]\nPublicKeyFile = %s\nAllowedIPs = %s\n' "$LAB_DIR/keys/alice.pub" "$A6/128, $A4/32" |
	lab_file "$D/alice.conf"
undisturbed "the same key in a file of its own"
lab_mark gw
t0=$(lab_us)
rm "$LAB_DIR/keys/alice.pub"
gone "PublicKeyFile deleted"
t0=$(lab_us)
echo "${PUB[alice]}" >"$LAB_DIR/keys/alice.pub"
here "PublicKeyFile back"

# ---- bob -------------------------------------------------------------------------------

lab_stop bob-ping INT
check "in all this Bob lost nothing" lab_no_gap bob-ping
lab_say "              $(grep transmitted "$(lab_log bob-ping)")"
check "the control socket lists both" is "$(lab_control "$CONTROL" '{"do":"list"}' |
	jq -r '[.tenants[].name] | sort | join(" ")')" "alice bob"
check "and shows one" is "$(lab_control "$CONTROL" '{"do":"show","name":"bob"}' |
	jq -r '.tenant.public_key')" "${PUB[bob]}"
check "and says when there is none" has "$(lab_control "$CONTROL" '{"do":"show","name":"carol"}')" \
	'"error": *"'

# ---- wg changes the gateway itself: all sessions begin anew ------------------------------

is_himself()
{
	is "$(wg show "$GW" public-key) $(wg show "$GW" listen-port)" "${PUB[gw]} $PORT"
}

wg genkey >"$LAB_DIR/other.key"
wg set "$GW" listen-port $((PORT + 1)) private-key "$LAB_DIR/other.key"
check "another key and port" not is_himself
check "another key and port: said" lab_wait_log gw 'private key changed by wg; berth.conf puts'
kill -HUP "${lab_pid[gw]}"
check "SIGHUP: key and port are those of berth.conf" lab_wait 5 "key and port" is_himself
alice_calls
check "and alice is reached" lab_reaches internet $A6 30
