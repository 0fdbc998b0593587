#!/bin/bash
# SPDX-License-Identifier: MIT
# Limit: 180
#
# What a gateway tells of its tenants: to Prometheus, over HTTP and in a file, and to the
# operator. Then ten thousand of them.
#
#   vps -------- internet ---+--- alice   sends, and once from an address that is not hers
#  berthd                    +--- bob     has never been there
#  prometheus on loopback

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go promtool prometheus curl ss
SCALE=$(dirname "$BERTHD")/bench/scale
[ -x "$SCALE" ] || lab_die "$SCALE is not there: make check-net makes it"

GW=$(lab_if gw) ALICE=$(lab_if al)
D=$LAB_DIR/gw.d
A=203.0.113.1
AT=127.0.0.1:9586
URL=http://$AT/metrics
FILE=$LAB_DIR/berth.prom
N=10000
[ -z "${QUICK:-}" ] || N=1000
PATIENCE=$((20 * LAB_SLOW))

lab_world
lab_house alice 74
lab_keys gw alice bob
lab_gateway_conf gw "$GW" "Metrics = $FILE" "MetricsListen = 9586"
lab_tenant gw alice "$A/32"
lab_tenant gw bob "203.0.113.2/32"

# Somebody else is there first: the router runs on without metrics, and says so.
lab_start squatter vps "$PYTHON" -c '
import socket, signal
s = socket.create_server(("127.0.0.1", 9586))
print("there", flush=True)
signal.pause()'
need "another program has the port" lab_wait_log squatter there
need "the gateway starts all the same" lab_gateway gw vps "$GW"
check "and says what is wrong" lab_wait_log gw \
	"MetricsListen = $AT: another program listens there; trying again"
check "the file does without" lab_wait 5 "the file" test -s "$FILE"
inode=$(stat -c %i "$FILE")
is_another()
{
	[ "$(stat -c %i "$FILE")" != "$inode" ]
}
lab_stop squatter
need "and listens when it may" lab_wait_log gw "metrics at http://$AT/metrics" $((30 * LAB_SLOW))
need "the tenants are read" lab_wait_peer "$GW" "${PUB[bob]}"
lab_wggo_tenant alice alice "$ALICE" "${PUB[gw]}" "$(lab_endpoint 4)" $A/32
need "alice is there" lab_reaches alice $WORLD4

# scrape FILE: prints the seconds that it took.
scrape()
{
	lab_in vps curl -sS --fail --max-time 20 -o "$1" -w '%{time_total}' "$URL"
}

# Texts are made once a second: another one than the last.
fresh()
{
	took=$(scrape "$LAB_DIR/new") && ! cmp -s "$LAB_DIR/new" "$LAB_DIR/text" &&
		mv "$LAB_DIR/new" "$LAB_DIR/text"
}

next_scrape()
{
	lab_wait "$PATIENCE" "a text that is new" fresh
}

# value 'NAME{LABELS}' [FILE]
value()
{
	awk -v name="$1" '$1 == name { print $2 }' "${2:-$LAB_DIR/text}"
}

# ---- HTTP, and what stands there ------------------------------------------------------

# From an address that is not hers; the route's source decides.
lab_addr alice lo 10.9.9.9/32
lab_in alice ping -n -c 3 -i 0.2 -W 1 -I 10.9.9.9 $WORLD4 >/dev/null 2>&1 || :
check "what is not hers is dropped" lab_wait 5 "the drops" \
	lab_drops_at_least "$LAB_DIR/gw.control" alice source-not-allowed 3
before=$(lab_control "$LAB_DIR/gw.control" '{"do":"show","name":"alice"}' | jq .tenant.rx_bytes)
next_scrape
after=$(lab_control "$LAB_DIR/gw.control" '{"do":"show","name":"alice"}' | jq .tenant.rx_bytes)
got=$(value 'berth_tenant_receive_bytes_total{tenant="alice"}')
check "her bytes are what the control socket says" at_least "${got:-0}" "$before"
check "and no more" at_most "${got:-0}" "$after"
check "she is connected" is "$(value 'berth_tenant_connected{tenant="alice"}')" 1
check "bob is not" is "$(value 'berth_tenant_connected{tenant="bob"}')" 0
check "her handshake has a time" at_least \
	"$(value 'berth_tenant_last_handshake_timestamp_seconds{tenant="alice"}')" \
	$(($(date +%s) - 120))
check "bob's has none" is \
	"$(value 'berth_tenant_last_handshake_timestamp_seconds{tenant="bob"}')" ""
check "her drops have their reason" is \
	"$(value 'berth_tenant_drops_total{tenant="alice",reason="source-not-allowed"}')" 3
check "handshakes are counted" at_least "$(value 'berth_handshakes_total{result="completed"}')" 1
check "one is connected" is "$(value 'berth_tenants{state="connected"}')" 1
check "workers have done something" at_least \
	"$(awk '/^berth_worker_receive_packets_total/ { n += $2 } END { print n }' "$LAB_DIR/text")" 3
check "promtool finds nothing wrong" is \
	"$(promtool check metrics <"$LAB_DIR/text" 2>&1)" ""

status_of()
{
	lab_in vps curl -sS -o /dev/null -w '%{http_code}' "$@"
}

check "elsewhere there is nothing" is "$(status_of "http://$AT/")" 404
check "nor to be written to" is "$(status_of -d x=y "$URL")" 405
check "HEAD is answered" is "$(status_of --head "$URL")" 200
check "the outer world is not listened to" not lab_in internet \
	curl -sS --max-time 2 -o /dev/null "http://$VPS4:9586/metrics"

# ---- the file -------------------------------------------------------------------------

check "the file is there" test -s "$FILE"
check "for everybody to read" is "$(stat -c %a "$FILE")" 644
check "promtool finds nothing wrong in it" is "$(promtool check metrics <"$FILE" 2>&1)" ""
check "and it names both" is "$(grep -c '^berth_tenant_connected{' "$FILE")" 2

check "it is written again" lab_wait 20 "another file in its place" is_another
check "nothing lies beside it" is "$(cd "$LAB_DIR" && echo berth.prom*)" berth.prom

# ---- Prometheus -----------------------------------------------------------------------

cat >"$LAB_DIR/prometheus.yml" <<-END
	global: { scrape_interval: 1s }
	scrape_configs:
	  - job_name: berth
	    static_configs: [{ targets: ["$AT"] }]
END
lab_start prometheus vps prometheus --config.file="$LAB_DIR/prometheus.yml" \
	--storage.tsdb.path="$LAB_DIR/tsdb" --web.listen-address=127.0.0.1:9090 --log.level=warn

# query EXPRESSION: the values, each on a line.
query()
{
	lab_in vps curl -sS --max-time 5 --data-urlencode "query=$1" \
		http://127.0.0.1:9090/api/v1/query 2>&1 | jq -r '.data.result[].value[1]'
}

has_answer()
{
	[ "$(query "$1")" = "$2" ]
}

check "a real Prometheus scrapes it" lab_wait $((30 * LAB_SLOW)) "an answer" \
	has_answer 'up{job="berth"}' 1
check "and knows alice by her name" lab_wait 10 "an answer" \
	has_answer 'berth_tenant_connected{tenant="alice"}' 1
check "and how old her handshake is" lab_wait 10 "an answer" has_answer \
	'time() - berth_tenant_last_handshake_timestamp_seconds{tenant="alice"} < bool 300' 1
check "and why her packets died" lab_wait 10 "an answer" has_answer \
	'berth_tenant_drops_total{tenant="alice",reason="source-not-allowed"}' 3
lab_start load alice ping -n -i 0.02 -W 2 $WORLD4
check "and at what rate she sends" lab_wait $((30 * LAB_SLOW)) "an answer" has_answer \
	'rate(berth_tenant_receive_packets_total{tenant="alice"}[5s]) > bool 5' 1

# What the dashboard asks for is there to be asked for.
for name in $(jq -r '.. | .expr?, .definition? | strings' tools/grafana/berth.json |
	grep -oE '(berth|process)_[a-z_]+' | sort -u); do
	check "the dashboard's $name is exported" grep -q "^# TYPE $name " "$LAB_DIR/text"
done

# ---- the operator ---------------------------------------------------------------------

SHOW=("$BERTH" show alice --control "$LAB_DIR/gw.control")
last_event()
{
	has "$("${SHOW[@]}" --json | jq -r '.events[0].text')" "$1"
}

check "show tells of the handshake" has "$("${SHOW[@]}")" ' ago +handshake: 10\.74\.0\.2:'
check "and of the drops" has "$("${SHOW[@]}")" \
	" ago +packets dropped: inner source is not the tenant's own"
lab_tenant gw alice "$A/32, 203.0.113.3/32"
check "and of a change" lab_wait 5 "the event" last_event '^its file changed: addresses$'
wg set "$ALICE" listen-port 40001
lab_ping alice $WORLD4 2 >/dev/null
check "and of a move" lab_wait 5 "the event" last_event '^moved: 10\.74\.0\.2:[0-9]+ to .*:40001$'

# ---- top ------------------------------------------------------------------------------

TOP=("$BERTH" top --control "$LAB_DIR/gw.control")
rates=$("${TOP[@]}" --json)
rate_of()
{
	jq --arg n "$1" --arg f "$2" '.[] | select(.name == $n) | .[$f]' <<<"$rates"
}
check "top knows at what rate alice sends" at_least "$(rate_of alice rx_packets_per_second)" 20
check "and that bob does not" is "$(rate_of bob rx_packets_per_second)" 0
check "who sends most stands first" is "$(jq -r '.[0].name' <<<"$rates")" alice
check "or who is first by name" is "$("${TOP[@]}" -n 2 --sort name | grep -oE '^(alice|bob)' |
	paste -sd ' ')" "alice bob alice bob"
# On a terminal it draws on a screen of its own until q.
cat >"$LAB_DIR/terminal.py" <<-'END'
	import os, pty, select, sys
	pid, fd = pty.fork()
	if pid == 0:
	    os.execv(sys.argv[1], sys.argv[1:])
	seen, pressed = b"", b""
	while True:
	    if not select.select([fd], [], [], 20)[0]:
	        sys.exit("nothing more came of it: %r" % seen)
	    try:
	        data = os.read(fd, 65536)
	    except OSError:
	        break
	    if not data:
	        break
	    seen += data
	    if b"alice" in seen and not pressed:
	        pressed = os.write(fd, b"d") and b"d"
	    if b"sorted by drops" in seen and pressed == b"d":
	        pressed = os.write(fd, b"q") and b"q"
	status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
	whole = seen.startswith(b"\x1b[?1049h") and seen.endswith(b"\x1b[?1049l")
	sys.exit(0 if status == 0 and whole and pressed == b"q" else "status %d: %r" % (status, seen))
END
check "on a terminal keys sort and end it" env TERM=xterm \
	"$PYTHON" "$LAB_DIR/terminal.py" "${TOP[@]}"
lab_stop load INT
check "in all this alice lost nothing" lab_no_gap load
lab_stop prometheus

# ---- ten thousand ---------------------------------------------------------------------

has_tenants()
{
	[ "$(lab_control "$LAB_DIR/gw.control" '{"do":"status"}' | jq .status.tenants)" = "$1" ]
}

# A text that was made before the last of them came is another one, too.
fresh_of()
{
	fresh && [ "$(grep -c '^berth_tenant_connected{' "$LAB_DIR/text")" = "$1" ]
}

# many TENANTS: so many files are there; least of five scrapes, and of the thread's time.
many()
{
	need "$1 tenants are there" lab_wait $PATIENCE "their number" has_tenants "$1"
	check "$1: all of them are in it" lab_wait $PATIENCE "all of them" fresh_of "$1"
	took_least=999 thread_least=999
	for _ in 1 2 3 4 5; do
		next_scrape
		took_least=$(printf '%s\n' "$took_least" "$took" | sort -g | head -n 1)
		thread_least=$(printf '%s\n' "$thread_least" \
			"$(value berth_metrics_duration_seconds)" | sort -g | head -n 1)
	done
	lab_say "              $1 tenants: $took_least s for a scrape of" \
		"$(stat -c %s "$LAB_DIR/text") bytes, $thread_least s of the control thread"
}

mkdir "$LAB_DIR/many"
"$SCALE" write "$LAB_DIR/many" 1 $N
mapfile -t files < <(find "$LAB_DIR/many" -name '*.conf')
printf '%s\0' "${files[@]:0:N / 10}" | xargs -0 mv -t "$D"
many $((N / 10 + 2))
few=$thread_least
lab_start ping internet ping -n -i 0.01 -W 2 $A
printf '%s\0' "${files[@]:N / 10}" | xargs -0 mv -t "$D"
many $((N + 2))
lab_stop ping INT
lab_say "              meanwhile: $(grep ^rtt "$(lab_log ping)")"
check "ten times as many take no more than thirty times as long" \
	at_most "$thread_least" "$(awk -v t="$few" 'BEGIN { print t * 30 }')"
check "alice lost nothing meanwhile" lab_no_gap ping
check "promtool finds nothing wrong in all that" is \
	"$(promtool check metrics <"$LAB_DIR/text" 2>&1)" ""

# ---- the end --------------------------------------------------------------------------

# In the middle of a scrape.
lab_start scraper vps "$PYTHON" -c '
import signal, socket
s = socket.create_connection(("127.0.0.1", 9586))
s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
print(s.recv(100).split(b"\r")[0].decode(), flush=True)
signal.pause()'
check "somebody begins to read, and does not go on" lab_wait_log scraper 'HTTP/1.1 200'
lab_stop gw
check "it ends in good order" is "$LAB_STATUS" 0
check "its file goes: old numbers would look like new ones" not test -e "$FILE"
lab_stop scraper
