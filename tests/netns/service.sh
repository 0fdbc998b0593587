#!/bin/bash
# SPDX-License-Identifier: MIT
# Limit: 180
#
# berthd as its systemd units start it: a user of its own, exactly the capabilities of
# berthd.service to start with, and what it tells the service manager. (tests/package/check runs the units
# themselves, under a systemd of its own.)
#
#   vps ------- internet ------- alice   wireguard-go
#  berthd

# shellcheck source=tools/lab/berth.sh
. "$(dirname "$0")/../../tools/lab/berth.sh"
lab_begin_berth wireguard-go setpriv unshare systemd-analyze

USER_ID=64998			# nobody has it
UNITS=$LAB_DIR/units
UNIT=$ROOT/tools/systemd/berthd.service

# ---- the units themselves --------------------------------------------------

mkdir "$UNITS"
for unit in "$ROOT"/tools/systemd/*.service; do
	sed "s,@SBIN@/berthd,$BERTHD," "$unit" >"$UNITS/$(basename "$unit")"
done
verified()
{
	local said

	said=$(systemd-analyze verify --man=no --recursive-errors=no "$UNITS"/*.service 2>&1)
	is "$said" ""
}
check "systemd finds nothing wrong with the units" verified
for unit in berthd berthd@; do
	check "$unit.service: exposure of at most 2.0" systemd-analyze security --no-pager \
		--offline=true --threshold=20 "$UNITS/$unit.service"
done

# ---- as the unit has it ------------------------------------------------------

CAPS=$(sed -n 's/^AmbientCapabilities=//p' "$UNIT" | tr "[:upper:]" "[:lower:]" | sed 's/cap_/+/g; s/ /,/g')
GW=$(lab_if gw)
RUN=$LAB_DIR/run CONTROL=$LAB_DIR/run/control.sock

# The unit gives it /run/wireguard and a /dev with the TUN device for all.
cat >"$LAB_DIR/as-unit" <<-END
	#!/bin/sh -e
	mount -t tmpfs -o mode=755,uid=$USER_ID,gid=$USER_ID tmpfs $UAPI_DIR
	mount -t tmpfs -o mode=755 tmpfs /dev/net
	mknod -m 666 /dev/net/tun c 10 200
	export NOTIFY_SOCKET=$LAB_DIR/notify WATCHDOG_USEC=1000000
	exec setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --no-new-privs \\
		--inh-caps=-all,$CAPS --ambient-caps=-all,$CAPS --bounding-set=-all,$CAPS "\$@"
END
chmod +x "$LAB_DIR/as-unit"

configure()
{
	mkdir "$LAB_DIR/etc"
	(umask 077 && mkdir "$LAB_DIR/etc/gw.d" "$RUN" "$LAB_DIR/state")
	cp -p "$LAB_DIR/gw.key" "$LAB_DIR/etc"
	lab_file "$LAB_DIR/etc/gw.conf" <<-END
		[Interface]
		Name = $GW
		PrivateKeyFile = gw.key
		ListenPort = $PORT

		[Router]
		Uplink = eth0
		Prefix = $PREFIX6/64
		Tenants = gw.d
		Control = $CONTROL
		State = $LAB_DIR/state
	END
	chown -R $USER_ID:$USER_ID "$LAB_DIR/etc" "$RUN" "$LAB_DIR/state"
}

tenant()
{
	printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' "${PUB[$1]}" "$2" |
		lab_file "$LAB_DIR/etc/gw.d/$1.conf"
	chown $USER_ID "$LAB_DIR/etc/gw.d/$1.conf"
}

told()
{
	lab_wait_log manager "$1"
}

# As the kernel has it, of a process: those in force, allowed, and ambient; in hexadecimal.
capabilities()
{
	awk '/^Cap(Eff|Prm|Amb)/ { printf "%s ", $2 }' "/proc/$1/status"
}

# mask NAME...: the same, all but the ambient ones
mask()
{
	local bits=0 cap n

	for cap; do
		case $cap in
		net_admin) n=12 ;; net_raw) n=13 ;; net_bind_service) n=10 ;; bpf) n=39 ;;
		*) n=63 ;;
		esac
		bits=$((bits | 1 << n))
	done
	printf '%016x %016x %016x ' $bits $bits 0
}

# Of all threads: no_new_privs and the mode of seccomp(2), each once.
filtered()
{
	local all

	all=$(sed -n 's/^\(NoNewPrivs\|Seccomp\):\t//p' "/proc/${lab_pid[gw]}/task"/*/status | sort -u)
	is "$all" "$1"
}

lab_world
lab_house alice 31
lab_sysctl vps net/ipv6/conf/eth0/accept_ra=2
lab_keys gw alice bob
configure
tenant alice ${PREFIX6}a1/128
lab_start manager vps "$PYTHON" -u "$ROOT/tools/lab/notifyd" "$LAB_DIR/notify"
told listening
lab_mark manager
lab_start gw vps unshare -m "$LAB_DIR/as-unit" "$BERTHD" -c "$LAB_DIR/etc/gw.conf"
need "READY=1 comes" told '^READY=1$'
check "and the number of tenants before it" told '^STATUS=1 tenant and 0 tunnels in force, 0 files refused$'
check "the tenant is in force by then" contains "$("$BERTH" list --json --control "$CONTROL")" alice
check "of the unit's capabilities it keeps one" is "$(capabilities "${lab_pid[gw]}")" "$(mask net_admin)"
BROKER=$(tr -d ' ' <"/proc/${lab_pid[gw]}/task/${lab_pid[gw]}/children")
check "and its broker what it opens things with" is "$(capabilities "$BROKER")" \
	"$(mask net_admin net_raw bpf)"
if grep -q -e __asan_init -e __tsan_init "$BERTHD"; then
	check "all threads: no new privileges" filtered "$(printf '0\n1')"
else
	check "all threads: no new privileges, and a filter" filtered "$(printf '1\n2')"
fi
check "and is the user of the unit" is "$(stat -c %u "/proc/${lab_pid[gw]}")" $USER_ID
check "steering was taken: flows keep their order" not lab_logged gw 'takes no eBPF'
check "no setting was refused" not lab_logged gw 'warning|error'

lab_wggo_tenant alice alice "$(lab_if al)" "${PUB[gw]}" "$(lab_endpoint 4)" \
	${PREFIX6}a1/128 persistent-keepalive 1
check "the tenant is reached: NDP, route, tunnel" lab_reaches internet ${PREFIX6}a1
check "root asks by the control socket" contains \
	"$("$BERTH" show alice --json --control "$CONTROL")" handshake
check "the socket is for nobody else" is "$(stat -c %u:%a "$CONTROL")" $USER_ID:600

# ---- changes -----------------------------------------------------------------

lab_mark manager
tenant bob ${PREFIX6}b0/128
check "a new file changes the status" told '^STATUS=2 tenants'
lab_mark manager
kill -HUP "${lab_pid[gw]}"
check "SIGHUP: RELOADING=1 with the time" told '^RELOADING=1 MONOTONIC_USEC=[0-9]+$'
check "and READY=1 when it is done" told '^READY=1$'
lab_mark manager gw
echo broken | lab_file "$LAB_DIR/etc/gw.d/carol.conf"
check "a file of root's: the log says whose it should be" lab_wait_log gw \
	'carol.conf: Permission denied: it must belong to the user'
check "and the status counts it" told 'in force, 1 file refused$'
rm "$LAB_DIR/etc/gw.d/carol.conf"

# ---- the sign of life ----------------------------------------------------------

lab_mark manager
check "WATCHDOG=1 comes" told '^WATCHDOG=1$'

# No sign of life within three intervals of a half of WATCHDOG_USEC.
quiet()
{
	lab_wait_log gw 'has not turned its loop'
	lab_mark manager
	! lab_wait 1 "a sign of life" lab_logged manager '^WATCHDOG=1$'
}

mapfile -t threads < <(grep -lxE 'worker|handshake' "/proc/${lab_pid[gw]}/task"/*/comm)
workers=$(sed -n 's/.* \([0-9]*\) workers, .*/\1/p' "$(lab_log gw)")
noticed=0
for task in "${threads[@]%/comm}"; do
	lab_mark gw
	lab_start hold vps "$PYTHON" -u "$ROOT/tools/lab/holdthread" "${task##*/}"
	lab_wait_log hold '^held' >/dev/null
	if quiet >"$LAB_DIR/quiet.out" 2>&1; then
		noticed=$((noticed + 1))
	fi
	lab_stop hold
	lab_mark manager
	check "WATCHDOG=1 again when thread ${task##*/} runs on" told '^WATCHDOG=1$'
done
check "no sign of life while a worker or the handshake thread hangs" is $noticed $((workers + 1))

# ---- the end -------------------------------------------------------------------

lab_mark manager
lab_stop gw
check "status 0" is "$LAB_STATUS" 0
check "STOPPING=1" told '^STOPPING=1$'
check "the state was written" ls "$LAB_DIR"/state/tenants*
