#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The operator's command as somebody types it who has read the README: from `berth init` on a
# fresh VPS to a tenant that is reached from outside, and to the end of one; and what is
# said to whoever makes a mistake.
#
#   internet ---- vps                  its provider asks for each single address
#       |
#      nat ------ home --- blog        no IPv6, and behind NAT

# shellcheck source=tools/lab/story.sh
. "$(dirname "$0")/../../tools/lab/story.sh"
lab_begin wg wg-quick nsenter unshare sysctl script

story_world
V4=203.0.113.8/30
lab_route internet $V4 via $VPS4
CONF=/etc/berth/berth.conf
STATUS=0 ERR=''

# on MACHINE LINE: types it. OUT and ERR are what it printed, STATUS how it ended.
on()
{
	STATUS=0
	lab_say "              $1\$ $2"
	story_in "$1" bash -c "$2" >"$LAB_DIR/on.out" 2>"$LAB_DIR/on.err" </dev/null || STATUS=$?
	OUT=$(cat "$LAB_DIR/on.out")
	ERR=$(cat "$LAB_DIR/on.err")
	sed 's/^/              | /' "$LAB_DIR/on.out" "$LAB_DIR/on.err" |
		sed 's/\(PrivateKey = \).*/\1.../' | cut -c1-120
}

ended_with()
{
	[ "$STATUS" -eq "$1" ] || { echo "status $STATUS: $OUT $ERR"; return 1; }
}

# good WHAT MACHINE LINE, fails WHAT MACHINE LINE SENTENCE: the only one that is said.
good()
{
	on "$2" "$3"
	check "$1" ended_with 0
}

fails()
{
	on "$2" "$3"
	check "$1: status 1" ended_with 1
	check "$1: in one sentence" is "$OUT$ERR" "berth: $4"
}

usage()
{
	on "$2" "$3"
	check "$1: status 2" ended_with 2
	check "$1: in one sentence" is "$(head -n 1 <<<"$ERR")" "$4"
}

# The IPv6 address of a tenant by its file.
address_of()
{
	story_in vps sed -n 's,^AllowedIPs = \(.*:.*\)/128$,\1,p' "/etc/berth/config.d/$1.conf"
}

# "live after 34 ms": within $1 ms.
live_within()
{
	local ms

	ms=$(grep -oE '(live|revoked) after [0-9]+ ms' <<<"$OUT$ERR" | tr -dc 0-9)
	at_most "$ms" $(($1 * LAB_SLOW))
}

# ---- a gateway -------------------------------------------------------------

fails "no gateway yet" vps 'berth add blog' "there is no $CONF: \`berth init\` writes one"
fails "an uplink that is not there" vps 'berth init --uplink eth7' "there is no interface 'eth7'"
usage "a prefix that is none" vps 'berth init --prefix 2001:db8::/200' \
	"berth init: '2001:db8::/200' is no prefix: 2001:db8:beef::/64 is meant"
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=1
good "init" vps "berth init --prefix $V4"
check "it found the uplink" has "$OUT" 'uplink +eth0: the default route leads there'
check "and the prefix" has "$OUT" '2001:db8:beef::/64'
check "and that the router asks for each address" has "$OUT" 'on-link: the router asked'
check "and says what is left to do" has "$OUT" 'accept_ra=2'
check "its files are for root alone" \
	is "$(story_in vps stat -c %a /etc/berth/gateway.key $CONF /etc/berth/config.d | xargs)" '600 600 700'
fails "init again" vps 'berth init' \
	"there is a $CONF already, and init overwrites nothing: move it away, or name another by -c"
good "the gateway's key is kept" vps "berth init --listen 0 -c /etc/berth/second.conf; rm /etc/berth/second.conf"
check "and said to be" has "$OUT" 'kept +/etc/berth/gateway.key'
check "nothing was listened for, and that is said" has "$OUT" 'cannot tell: assumed on-link'
good "check" vps 'berth check'
check "check finds nothing" is "$OUT" "$CONF: good"

# What init told to do is done as it stands.
lab_sysctl vps net/ipv6/conf/all/forwarding=0 net/ipv4/ip_forward=0
good "init says it all" vps 'berth init --prefix 203.0.113.8/30 --listen 0 -c /etc/berth/third.conf; rm /etc/berth/third.conf'
story_in vps sed -n 's/^    \(sysctl -w .*\)/\1/p' /dev/stdin <<<"$OUT" >"$LAB_DIR/sysctls"
check "three settings" is "$(wc -l <"$LAB_DIR/sysctls")" 3
while read -r line; do
	good "it can be typed" vps "$line"
done <"$LAB_DIR/sysctls"

# ---- before berthd runs ----------------------------------------------------------

RUN=/run/berth/control.sock
fails "berthd is not running" vps 'berth list' \
	"berthd is not running (nothing listens at $RUN): systemctl start berthd"
good "a tenant, beforehand" vps 'berth add early --home-file /root/early.conf; mv /root/early.conf /etc/berth/early.home'
check "it is said that nobody is there to take it" has "$OUT" 'berthd is not running: systemctl start berthd'
story_service vps
check "and berthd takes it at its start" lab_wait 5 "early" story_in vps berth show early
on vps 'berth doctor'
check "one is one" has "$OUT" ' 1 tenant and 0 tunnels'

# ---- tenants ------------------------------------------------------------------------

good "a container's tenant" vps 'berth add blog --netns blog --psk --home-file /etc/berth/blog.home'
check "live at once" live_within 150
BLOG=$(address_of blog)
check "its home file is for its owner alone" \
	is "$(story_in vps stat -c %a /etc/berth/blog.home)" 600
good "one whose key was made elsewhere" vps \
	"berth add phone --v4 --public-key $(wg genkey | wg pubkey) --endpoint vps.example.com 2>/dev/null"
check "the home file has a place for it" has "$OUT" '^PrivateKey = REPLACE-WITH'
check "and both families" has "$OUT" '^AllowedIPs = 0.0.0.0/0, ::/0$'
check "and the name of the gateway" has "$OUT" '^Endpoint = vps.example.com:51820$'
good "one with addresses of its own" vps \
	"berth add web --address ${PREFIX6}80 --address 203.0.113.10 --announce connected --json"
check "as JSON" is "$(jq -c '[.name, .allowed_ips, (.live_ms | type)]' <<<"$OUT")" \
	"[\"web\",[\"${PREFIX6}80/128\",\"203.0.113.10/32\"],\"number\"]"
check "its home file is one of wg-quick" \
	has "$(jq -r .home <<<"$OUT" >"$LAB_DIR/web.conf"; chmod 600 "$LAB_DIR/web.conf"
	       wg-quick strip "$LAB_DIR/web.conf")" '^\[Peer\]'
good "list" vps 'berth list'
check "all are there" is "$(awk 'NR > 1 { print $1 }' <<<"$OUT" | xargs)" 'blog early phone web'
good "names alone" vps 'berth list --names'
check "one to a line" is "$OUT" $'blog\nearly\nphone\nweb'

# A camera is not to be had; what the code says is, if zbarimg is.
good "a phone's QR code" vps 'berth add qr --qr'
check "as half blocks" has "$OUT" '█ ▄▄▄▄▄ █'
if command -v zbarimg >/dev/null; then
	"$PYTHON" -c '
import sys
rows = []
for line in sys.stdin.read().splitlines():
    rows.append([c in "█▀" for c in line]); rows.append([c in "█▄" for c in line])
print("P1", 8 * len(rows[0]), 8 * len(rows))
for r in rows:
    for _ in range(8):
        print(" ".join("0 0 0 0 0 0 0 0" if c else "1 1 1 1 1 1 1 1" for c in r))' \
		<<<"$OUT" >"$LAB_DIR/qr.pbm"
	check "it is the home file" has "$(zbarimg -q --nodbus --raw "$LAB_DIR/qr.pbm" 2>/dev/null)" '^AllowedIPs = ::/0'
fi

# ---- limits -----------------------------------------------------------------------

good "one with every limit" vps "berth add limited --rate 20mbit --rate-down 100mbit --quota 50GB/month \
	--quota-rate 1mbit --expires 2099-01-01 --mtu 1380 --on-shared-key quarantine --announce connected --isolate"
# shellcheck disable=SC2016 # sed's own sign for the last line
check "they are in its file" is "$(story_in vps sed -n '/^\[Tenant\]/,$p' /etc/berth/config.d/limited.conf)" \
	"[Tenant]
RateLimit = 20mbit
RateDown = 100mbit
Quota = 50GB/month
QuotaRate = 1mbit
Expires = 2099-01-01
MTU = 1380
OnSharedKey = quarantine
Announce = connected
Isolate = yes"
good "show" vps 'berth show limited'
for row in 'MTU +1380' 'isolated +from all other tenants' 'rate up +20mbit' 'rate down +100mbit' 'expires +2099-01-01T00:00:00Z' \
	'quota +50GB/month, 0 B used \(0 %\), 47 GiB left' 'begins anew at .*-01T00:00:00Z, in '; do
	check "it has: $row" has "$OUT" "$row"
done
good "show, for programs" vps 'berth show limited --json'
check "has them all" is "$(jq -c '[.mtu, .isolated, .rate_up, .rate_down, .expires, (.quota | .limit, .used,
	.period, .rate, .state, (.resets_at | type))]' <<<"$OUT")" \
	'[1380,true,20000000,100000000,"2099-01-01T00:00:00Z",50000000000,0,"month",1000000,"ok","string"]'
good "one that is cut off" vps 'berth add cut --rate-up 1mbit --quota 1GB --blocked'
good "its quota" vps 'berth quota cut'
# shellcheck disable=SC2016 # backquotes that are printed
check "has no end by itself" has "$OUT" 'begins anew with `berth quota cut --reset`'
good "a fresh one" vps 'berth quota cut --reset'
fails "a tenant without one" vps 'berth quota early' \
	'early has no quota: Quota = 500GB/month in [Tenant] gives it one'
fails "a rate without a unit" vps 'berth add x --rate 20' \
	"RateLimit: '20' has no unit: write 20mbit, or another of (bit, kbit, mbit, gbit or tbit: bits per second)"
fails "a quota of bits" vps 'berth add x --quota 50gbit' \
	"Quota: '50gbit' is of bits, and a quota is of bytes, like 500GB/month (KB, MB, GB, TB, or KiB, MiB, GiB, TiB; then perhaps /day, /week or /month)"
fails "a day that is over" vps 'berth add x --expires 2001-01-01' \
	"Expires: 2001-01-01T00:00:00Z has passed: the tenant is revoked"
good "away with both" vps 'berth revoke limited --purge; berth revoke cut --purge'

# ---- at home -----------------------------------------------------------------------

cp "$LAB_DIR/vps.etc/berth/blog.home" "$LAB_DIR/home.etc/berth/config.d/blog.conf"
on home 'touch /etc/berth/berth.conf; ip netns add blog; berth check'
check "home takes the file as it is" ended_with 0
story_service home
check "blog is reached from outside" story_reached "$BLOG"
good "show" vps 'berth show blog'
check "it is connected" has "$OUT" 'blog +connected'
check "a preshared key is in it, and is not shown" not has "$OUT" 'reshared'

# ---- mistakes ----------------------------------------------------------------------------

fails "an unknown tenant" vps 'berth show blgo' "there is no tenant 'blgo'; did you mean 'blog'?"
fails "one to revoke" vps 'berth revoke blgo' "there is no tenant 'blgo'; did you mean 'blog'?"
fails "one like nobody" vps 'berth show nonsense' \
	"there is no tenant 'nonsense'; \`berth list\` shows who is there"
fails "a name that is taken" vps 'berth add blog' \
	"there is a tenant 'blog' already (/etc/berth/config.d/blog.conf): take another name, or \`berth revoke blog\` first"
usage "a name that is none" vps 'berth add my/blog' \
	"berth add: 'my/blog' cannot be a tenant's name: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot"
usage "no name" vps 'berth add' "berth add: the name of one new tenant is wanted"
fails "an address in use" vps "berth add x --address $BLOG" \
	"$BLOG is in use by blog: take another, or leave --address away for the next free one"
fails "an address of the machine" vps "berth add x --address $VPS6" \
	"$VPS6 is in use by this machine or a neighbour of it: take another, or leave --address away for the next free one"
fails "an address of its router" vps "berth add x --address ${PREFIX6}1" \
	"${PREFIX6}1 is in use by this machine or a neighbour of it: take another, or leave --address away for the next free one"
fails "an address of nobody's prefix" vps 'berth add x --address 2001:db8:1::1' \
	"2001:db8:1::1 lies in no Prefix of $CONF, which has $V4, 2001:db8:beef::/64"
fails "the address of all routers" vps "berth add x --address ${PREFIX6}" \
	"${PREFIX6} is that of all routers of ${PREFIX6}/64: take another, or leave --address away for the next free one"
fails "an address with a length" vps "berth add x --address ${PREFIX6}1:0:0:5/80" \
	"'${PREFIX6}1:0:0:5/80' has bits behind its length: 2001:db8:beef:0:1::/80 is the range, and an address has no length"
fails "no address" vps 'berth add x --address home' \
	"'home' is no address: 2001:db8::5, or 192.0.2.5, is meant"
fails "a key that is none" vps 'berth add x --public-key abc' \
	"'abc' is no public key: 44 characters of base64, as \`berth pubkey\` writes them"
on vps 'berth show --json blog | jq -r .public_key'
fails "a key in use" vps "berth add x --public-key $OUT" \
	"PublicKey: '$OUT' is already in /etc/berth/config.d/blog.conf"
fails "an announcement that is none" vps 'berth add x --announce never' \
	"Announce: 'never' is none of: always, connected"
# 203.0.113.8/30 has two addresses, and phone and web have them.
fails "a full prefix" vps 'berth add x --v4' \
	"every address of $V4 is in use: revoke a tenant, or add a Prefix to $CONF"
fails "a home file that is there" vps 'berth add x --home-file /etc/berth/blog.home' \
	"there is a /etc/berth/blog.home already, and nothing is overwritten"
fails "no permission" vps 'setpriv --reuid 65534 --clear-groups berth add x' \
	"no permission to read $CONF: run this as root"
fails "no permission to check" vps 'setpriv --reuid 65534 --clear-groups berth check' \
	"no permission to read $CONF: run this as root"
fails "no permission to ask" vps "chmod 755 /run/berth; setpriv --reuid 65534 --clear-groups berth list --control $RUN" \
	"no permission to talk to berthd at $RUN: run this as root"
check "nothing is left of all that" \
	is "$(story_in vps ls -A /etc/berth/config.d | xargs)" 'blog.conf early.conf phone.conf qr.conf web.conf'

# A file with a fault, which berthd says.
story_in vps bash -c 'printf "[Peer]\nPublicKey = x\n" >/etc/berth/config.d/bad.conf'
check "a faulty file" lab_wait 5 "its being read" lab_logged vps.berthd 'bad.conf:2'
fails "a tenant whose file is refused" vps 'berth show bad' \
	"bad is not in force: /etc/berth/config.d/bad.conf:2: PublicKey: 'x' is not a key (44 characters of base64 expected)"
good "it can be revoked" vps 'berth revoke --purge bad'

# ---- the end of a tenant -----------------------------------------------------------------

good "revoke" vps 'berth revoke blog'
check "at once" live_within 150
story_forget
check "nobody answers for its address" story_unanswered "$BLOG"
check "its file is gone" not story_in vps test -e /etc/berth/config.d/blog.conf
check "its keys are" not story_in vps grep -E '^(PublicKey|PresharedKey)' /etc/berth/config.d/blog.conf.revoked
check "the rest of it is kept" story_in vps grep -qxF "AllowedIPs = $BLOG/128" /etc/berth/config.d/blog.conf.revoked
good "without a trace" vps 'berth revoke web --purge'
check "nothing is kept" not story_in vps test -e /etc/berth/config.d/web.conf.revoked
good "the same name again" vps 'berth add blog >/dev/null'
check "has the same address again" is "$(address_of blog)" "$BLOG"

# ---- completion ---------------------------------------------------------------------------

# complete WORD... : what bash offers for the last word.
complete()
{
	# shellcheck disable=SC2016 # that shell's variables
	story_in vps bash -c '. <(berth completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
		_berth; echo "${COMPREPLY[*]}"' bash "$@"
}
check "a command is completed" is "$(complete berth rev)" revoke
check "a tenant's name" is "$(complete berth show ea)" early
check "an option" is "$(complete berth add x --home)" --home-file
check "a shell" is "$(complete berth completion z)" zsh
for shell in zsh fish; do
	command -v $shell >/dev/null || continue
	story_in vps berth completion $shell >"$LAB_DIR/completion.$shell"
	check "$shell reads its own" "$shell" -n "$LAB_DIR/completion.$shell"
done
