#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The same requests to our UAPI socket and to wireguard-go's: the same answers,
# and the same state behind them.
#
#   ours               theirs
#   berthd -f IF       wireguard-go -f IF        no cable: nobody talks here

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go

A=$(lab_if ua) B=$(lab_if ub)
lab_netns ours theirs
need "berthd starts" lab_dropin a ours "$A"
lab_wggo b theirs "$B"
lab_ip ours link set "$A" up
lab_ip theirs link set "$B" up

# ask.py OURS THEIRS BASE REQUEST [ANSWER,ANSWER]: sends both to both sockets.
cat >"$LAB_DIR/ask.py" <<'END'
import socket, sys

ours, theirs, base, request = sys.argv[1:5]
unescape = lambda s: s.encode().decode("unicode_escape").encode("latin-1")

def ask(path, data):
	s = socket.socket(socket.AF_UNIX)
	s.settimeout(10)
	s.connect(path)
	s.sendall(data)
	out = b""
	while not out.endswith(b"\n\n"):
		got = s.recv(65536)
		if not got:
			break
		out += got
	return out.decode()

# What both say, in an order of its own; zeroes may be said or left out.
def state(path):
	blocks = [[]]
	for line in ask(path, b"get=1\n\n").split("\n"):
		key, _, value = line.partition("=")
		if key == "public_key":
			blocks.append([])
		if not value.strip("0") or key in ("tx_bytes", "rx_bytes"):
			continue
		blocks[-1].append(line)
	return [sorted(blocks[0])] + sorted(b[:1] + sorted(b[1:]) for b in blocks[1:])

def answer(path):
	got = ask(path, unescape(base))
	if got != "errno=0\n\n":
		sys.exit("%s: the base is refused: %s" % (path, got))
	before = state(path)
	got = [l for l in ask(path, unescape(request)).split("\n") if l.startswith("errno=")]
	return (got or ["hung-up"])[-1], before, state(path)

us, them = answer(ours), answer(theirs)
if len(sys.argv) > 5:
	wanted = tuple(sys.argv[5].split(","))
	if (us[0], them[0]) != wanted:
		sys.exit("answers %s and %s, wanted %s and %s" % ((us[0], them[0]) + wanted))
elif us[0] != them[0]:
	sys.exit("we answer %s, wireguard-go %s" % (us[0], them[0]))
elif us[0] == "errno=0" and us[2] != them[2]:
	sys.exit("ours   %s\ntheirs %s" % (us[2], them[2]))
if us[0] != "errno=0" and us[1] != us[2]:
	sys.exit("refused, and yet it changed something:\n%s\n%s" % (us[1], us[2]))
print(us[0])
END

same()
{
	"$PYTHON" "$LAB_DIR/ask.py" "$(lab_uapi "$A")" "$(lab_uapi "$B")" "$BASE" "$@"
}

hex()
{
	wg pubkey <<<"$1" | base64 -d | od -An -vtx1 | tr -d ' \n'
}

lab_keys me
P=$(hex "$(wg genkey)") Q=$(hex "$(wg genkey)") N=$(hex "$(wg genkey)")
ME=$(hex "${KEY[me]}") PRIVATE=$(base64 -d <<<"${KEY[me]}" | od -An -vtx1 | tr -d ' \n')
ZERO=$(printf '0%.0s' {1..64})
BASE="set=1\nprivate_key=$PRIVATE\nlisten_port=7001\nfwmark=0\nreplace_peers=true\n"
BASE+="public_key=$P\nallowed_ip=10.1.0.0/16\nallowed_ip=fd01::/64\n"
BASE+="public_key=$Q\nallowed_ip=10.2.0.0/16\npreshared_key=$N\npersistent_keepalive_interval=25\n\n"

# A port that is in use on both sides.
for ns in ours theirs; do
	lab_start "taken-$ns" "$ns" "$PYTHON" -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 7002))
t = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
t.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1); t.bind(("", 7002))
print("bound", flush=True)
time.sleep(300)'
	lab_wait_log "taken-$ns" bound
done

# ---- the same answer, the same state -------------------------------------------

while read -r what text; do
	check "as wireguard-go: $what" same "$text"
done <<-END
	nothing-to-set set=1\n\n
	get-with-a-tail get=1\nx\n\n
	port set=1\nlisten_port=7003\n\n
	port-in-use set=1\nlisten_port=7002\n\n
	port-empty set=1\nlisten_port=\n\n
	port-too-large set=1\nlisten_port=65536\n\n
	port-negative set=1\nlisten_port=-1\n\n
	port-in-hex set=1\nlisten_port=0x10\n\n
	port-leading-zero set=1\nlisten_port=07003\n\n
	mark set=1\nfwmark=51820\n\n
	mark-largest set=1\nfwmark=4294967295\n\n
	mark-too-large set=1\nfwmark=4294967296\n\n
	mark-in-hex set=1\nfwmark=0x10\n\n
	mark-as-a-word set=1\nfwmark=off\n\n
	no-private-key set=1\nprivate_key=$ZERO\n\n
	private-key-of-a-peer set=1\nprivate_key=$PRIVATE\n\n
	private-key-short set=1\nprivate_key=${PRIVATE%?}\n\n
	private-key-odd set=1\nprivate_key=${PRIVATE%?}z\n\n
	private-key-in-capitals set=1\nprivate_key=${PRIVATE^^}\n\n
	no-peers set=1\nreplace_peers=true\n\n
	replace-peers-false set=1\nreplace_peers=false\n\n
	replace-peers-by-one set=1\nreplace_peers=true\npublic_key=$P\nallowed_ip=10.9.0.0/16\n\n
	unknown-of-the-device set=1\nnonsense=1\n\n
	unknown-of-a-peer set=1\npublic_key=$P\nnonsense=1\n\n
	no-equals-sign set=1\nlisten_port\n\n
	no-key set=1\n=1\n\n
	peer-word-of-the-device set=1\nallowed_ip=10.0.0.0/8\n\n
	device-word-of-a-peer set=1\npublic_key=$P\nlisten_port=1\n\n
	replace-peers-of-a-peer set=1\npublic_key=$P\nreplace_peers=true\n\n
	new-peer set=1\npublic_key=$N\n\n
	new-peer-in-capitals set=1\npublic_key=${N^^}\n\n
	public-key-short set=1\npublic_key=${N%??}\n\n
	ourselves set=1\npublic_key=$ME\nallowed_ip=10.3.0.0/16\n\n
	ourselves-and-then-another set=1\npublic_key=$ME\nallowed_ip=10.3.0.0/16\npublic_key=$N\nallowed_ip=10.4.0.0/16\n\n
	remove set=1\npublic_key=$P\nremove=true\n\n
	remove-a-stranger set=1\npublic_key=$N\nremove=true\n\n
	remove-what-has-more-to-say set=1\npublic_key=$P\nremove=true\nallowed_ip=10.3.0.0/16\n\n
	remove-and-add set=1\npublic_key=$P\nremove=true\npublic_key=$P\nallowed_ip=10.3.0.0/16\n\n
	remove-false set=1\npublic_key=$P\nremove=false\n\n
	update-only set=1\npublic_key=$P\nupdate_only=true\nallowed_ip=10.3.0.0/16\n\n
	update-only-stranger set=1\npublic_key=$N\nupdate_only=true\nallowed_ip=10.3.0.0/16\n\n
	update-only-stranger-takes-nothing set=1\npublic_key=$N\nupdate_only=true\nallowed_ip=10.1.0.0/16\n\n
	update-only-1 set=1\npublic_key=$P\nupdate_only=1\n\n
	add-an-address set=1\npublic_key=$P\nallowed_ip=10.3.0.0/16\n\n
	add-one-that-is-there set=1\npublic_key=$P\nallowed_ip=10.1.0.0/16\n\n
	host-bits set=1\npublic_key=$P\nallowed_ip=10.3.4.5/16\nallowed_ip=fd03::1/64\n\n
	default-routes set=1\npublic_key=$P\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n\n
	within-another set=1\npublic_key=$Q\nallowed_ip=10.1.2.0/24\n\n
	move set=1\npublic_key=$Q\nallowed_ip=10.1.0.0/16\n\n
	move-in-one-request set=1\npublic_key=$P\nallowed_ip=10.3.0.0/16\npublic_key=$Q\nallowed_ip=10.3.0.0/16\n\n
	replace-addresses set=1\npublic_key=$P\nreplace_allowed_ips=true\nallowed_ip=10.3.0.0/16\n\n
	replace-by-none set=1\npublic_key=$P\nreplace_allowed_ips=true\n\n
	replace-afterwards set=1\npublic_key=$P\nallowed_ip=10.3.0.0/16\nreplace_allowed_ips=true\nallowed_ip=10.4.0.0/16\n\n
	replace-addresses-no set=1\npublic_key=$P\nreplace_allowed_ips=no\n\n
	address-without-length set=1\npublic_key=$P\nallowed_ip=10.0.0.1\n\n
	address-too-long set=1\npublic_key=$P\nallowed_ip=10.0.0.0/33\n\n
	address-of-six-too-long set=1\npublic_key=$P\nallowed_ip=fd01::/129\n\n
	address-with-a-plus set=1\npublic_key=$P\nallowed_ip=+10.0.0.0/8\n\n
	address-length-negative set=1\npublic_key=$P\nallowed_ip=10.0.0.0/-1\n\n
	address-leading-zero set=1\npublic_key=$P\nallowed_ip=010.3.0.0/16\n\n
	address-with-a-scope set=1\npublic_key=$P\nallowed_ip=fe80::1%lo/128\n\n
	preshared-key set=1\npublic_key=$P\npreshared_key=$N\n\n
	preshared-key-off set=1\npublic_key=$Q\npreshared_key=$ZERO\n\n
	preshared-key-empty set=1\npublic_key=$P\npreshared_key=\n\n
	endpoint set=1\npublic_key=$P\nendpoint=192.0.2.1:51820\n\n
	endpoint-of-six set=1\npublic_key=$P\nendpoint=[2001:db8::1]:51820\n\n
	endpoint-without-port set=1\npublic_key=$P\nendpoint=192.0.2.1\n\n
	endpoint-a-name set=1\npublic_key=$P\nendpoint=localhost.invalid:51820\n\n
	endpoint-port-too-large set=1\npublic_key=$P\nendpoint=192.0.2.1:65536\n\n
	endpoint-without-brackets set=1\npublic_key=$P\nendpoint=2001:db8::1:51820\n\n
	keepalive set=1\npublic_key=$P\npersistent_keepalive_interval=65535\n\n
	keepalive-off set=1\npublic_key=$Q\npersistent_keepalive_interval=0\n\n
	keepalive-too-large set=1\npublic_key=$P\npersistent_keepalive_interval=65536\n\n
	keepalive-as-a-word set=1\npublic_key=$P\npersistent_keepalive_interval=off\n\n
	version-1 set=1\npublic_key=$P\nprotocol_version=1\n\n
	version-2 set=1\npublic_key=$P\nprotocol_version=2\n\n
	a-peer-twice set=1\npublic_key=$N\nallowed_ip=10.3.0.0/16\npublic_key=$N\nallowed_ip=10.4.0.0/16\n\n
	good-then-bad set=1\nlisten_port=7003\npublic_key=$P\nremove=true\npublic_key=$Q\nendpoint=x\n\n
END

# ---- where we differ, and mean to ------------------------------------------------

# What we answer, what Debian's wireguard-go answers.
while read -r what answers text; do
	check "not as wireguard-go: $what" same "$text" "$answers"
done <<-END
	no-such-operation errno=-71,hung-up put=1\n\n
	version-2 errno=-71,hung-up get=2\n\n
	length-leading-zero errno=-22,errno=0 set=1\npublic_key=$P\nallowed_ip=10.3.0.0/016\n\n
	nobody-has-a-key-of-zeroes errno=-22,errno=0 set=1\npublic_key=$ZERO\n\n
	nobody-is-at-port-0 errno=-22,errno=0 set=1\npublic_key=$P\nendpoint=192.0.2.1:0\n\n
	take-away,-as-of-2025 errno=0,errno=-22 set=1\npublic_key=$P\nallowed_ip=-10.1.0.0/16\n\n
END

# The answer of "get" after that of a "set".
ours_now()
{
	wg show "$A" allowed-ips | cut -f 2 | tr ' ' '\n' | sort | xargs
}

ours_after()
{
	"$PYTHON" "$LAB_DIR/ask.py" "$(lab_uapi "$A")" "$(lab_uapi "$A")" "$BASE" "$1" && ours_now
}

while read -r what text want; do
	check "addresses are taken away: $what" is "$(ours_after "$text" | tail -n 1)" "${want//,/ }"
done <<-END
	one set=1\npublic_key=$P\nallowed_ip=-10.1.0.0/16\n\n 10.2.0.0/16,fd01::/64
	one-that-is-not-there set=1\npublic_key=$P\nallowed_ip=-10.1.0.0/24\n\n 10.1.0.0/16,10.2.0.0/16,fd01::/64
	not-another-peer's set=1\npublic_key=$Q\nallowed_ip=-10.1.0.0/16\n\n 10.1.0.0/16,10.2.0.0/16,fd01::/64
	added-before set=1\npublic_key=$P\nallowed_ip=10.3.0.0/16\nallowed_ip=-10.3.0.0/16\n\n 10.1.0.0/16,10.2.0.0/16,fd01::/64
	added-after set=1\npublic_key=$P\nallowed_ip=-10.1.0.0/16\nallowed_ip=10.1.0.0/16\n\n 10.1.0.0/16,10.2.0.0/16,fd01::/64
	a-stranger's,-update-only set=1\npublic_key=$N\nallowed_ip=-10.1.0.0/16\nallowed_ip=10.1.0.0/16\nupdate_only=true\n\n 10.1.0.0/16,10.2.0.0/16,fd01::/64
END

# ---- how an answer looks -----------------------------------------------------------

check "every key of an answer is one of the protocol" is "$(
	"$PYTHON" -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"get=1\n\n")
out = b""
while not out.endswith(b"\n\n"): out += s.recv(65536)
print(*sorted({l.split("=")[0] for l in out.decode().split()}))' "$(lab_uapi "$A")"
)" "allowed_ip errno last_handshake_time_nsec last_handshake_time_sec listen_port persistent_keepalive_interval preshared_key private_key protocol_version public_key rx_bytes tx_bytes"
