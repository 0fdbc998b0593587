/* SPDX-License-Identifier: MIT */
/*
 * The command `berth` (environment BERTH, default build/berth) as a person
 * calls it: what it prints, its exit status, and what it makes of the answers
 * of a berthd, which is a child of this test with answers learned by heart.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/manage/lineserver.h"

static const char *berth;

static struct {
	char dir[64];
	char sock[96];
	pid_t daemon;
	int status; /* of the last command */
	char out[16384];
} lab;

/* RFC 7748 §6.1: that of the daemon, and what is public of it */
#define GATEWAY_PRIVATE "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
#define GATEWAY_KEY "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
#define KEY "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const struct {
	const char *request, *answer;
} answers[] = {
	{ "{\"do\":\"list\"}",
	  "{\"tenants\":[{\"name\":\"zoe\",\"state\":\"idle\",\"allowed_ips\":[\"198.51.100.0/24\"],"
	  "\"last_handshake\":null,\"rx_bytes\":0,\"tx_bytes\":1536},"
	  "{\"name\":\"zu\\u2026\",\"state\":\"idle\"},"
	  "{\"name\":\"alice\",\"state\":\"connected\",\"allowed_ips\":[\"2001:db8:dead:beef::1234/128\","
	  "\"198.51.100.77/32\"],\"last_handshake\":1,\"rx_bytes\":1048576,\"tx_bytes\":0}]}" },
	{ "{\"do\":\"show\",\"name\":\"alice\"}",
	  "{\"tenant\":{\"name\":\"alice\",\"public_key\":\"" KEY "\",\"state\":\"connected\","
	  "\"allowed_ips\":[\"2001:db8:dead:beef::1234/128\",\"198.51.100.77/32\"],"
	  "\"endpoint\":\"192.0.2.1:51820\",\"last_handshake\":1,\"rx_bytes\":1048576,"
	  "\"rx_packets\":1234567,\"tx_bytes\":10,\"tx_packets\":1,\"endpoint_changes\":2,"
	  "\"keepalive\":25,\"drops\":{\"bad-tag\":7},"
	  "\"events\":[{\"time\":7201,\"event\":\"handshake\",\"text\":\"handshake: 192.0.2.1:1\","
	  "\"count\":3,\"since\":1},{\"time\":1,\"event\":\"x\",\"text\":\"once\"}]}}" },
	{ "{\"do\":\"show\",\"name\":\"carol\"}",
	  "{\"tenant\":{\"name\":\"carol\",\"public_key\":\"" KEY "\",\"state\":\"quarantined\","
	  "\"endpoint\":\"192.0.2.1:1\",\"mtu\":1300,\"shared_key\":2,"
	  "\"shared_key_between\":[\"192.0.2.1:1\",\"192.0.2.2:2\"]}}" },
	{ "{\"do\":\"release\",\"name\":\"carol\"}", "{\"released\":{\"name\":\"carol\"}}" },
	{ "{\"do\":\"release\",\"name\":\"bob\"}", "{\"error\":\"'bob' is not quarantined\"}" },
	{ "{\"do\":\"show\",\"name\":\"evil\"}",
	  "{\"tenant\":{\"name\":\"evil\",\"public_key\":\"\\u001b[2J\",\"state\":\"idle\"}}" },
	{ "{\"do\":\"show\",\"name\":\"bob\"}", "{\"error\":\"there is no tenant 'bob'\"}" },
	{ "{\"do\":\"show\",\"name\":\"alcie\"}",
	  "{\"error\":\"there is no tenant 'alcie'\",\"code\":\"no-tenant\"}" },
	{ "{\"do\":\"show\",\"name\":\"zoe\"}",
	  "{\"error\":\"there is no tenant 'zoe'\",\"code\":\"no-tenant\"}" },
	{ "{\"do\":\"names\"}", "{\"names\":[\"alice\",\"zoe\"]}" },
	{ "{\"do\":\"show\",\"name\":\"odd\"}", "{\"something\":1}" },
	{ "{\"do\":\"show\",\"name\":\"odder\"}", "{\"tenant\":[]}" },
	{ "{\"do\":\"show\",\"name\":\"oddest\"}", "neither" },
	{ "{\"do\":\"wait\",\"name\":\"bob\",\"public_key\":\"" KEY "\"}",
	  "{\"wait\":{\"state\":\"refused\",\"why\":\"no, thanks\"}}" },
	{ "{\"do\":\"wait\",\"name\":\"bob\"}", "{\"wait\":{\"state\":\"gone\"}}" },
	{ "{\"do\":\"wait\",\"name\":\"mute\",\"public_key\":\"" KEY "\"}",
	  "{\"error\":\"this berthd cannot do 'wait'\"}" },
	{ "{\"do\":\"status\"}",
	  "{\"status\":{\"version\":\"9.9\",\"pid\":42,\"tenants\":3,\"tunnels\":1,\"refused\":1,\"connected\":2,"
	  "\"interface\":\"berth0\",\"listen_port\":51820,\"public_key\":\"" GATEWAY_KEY "\","
	  "\"crypto\":\"libsodium\",\"offloads\":{\"tun\":true,\"udp_gso\":false},"
	  "\"rx_bytes\":0,\"rx_packets\":0,\"tx_bytes\":0,\"tx_packets\":0,"
	  "\"drops\":{\"bad-mac1\":6},"
	  "\"uplinks\":[{\"name\":\"eth0\",\"ndp\":{\"answered\":12,\"foreign\":0},"
	  "\"arp\":{\"answered\":0}}]}}" },
};

/* The daemon */

static bool on_request(void *arg, char *text, size_t len, struct text *answer)
{
	(void)arg;
	(void)len;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		if (strcmp(text, answers[i].request) == 0)
			text_add_string(answer, answers[i].answer);
	text_add_string(answer, "\n");
	return true;
}

static void serve(int ready)
{
	static const struct lineserver_ops ops = { .end = "\n", .max = 1000,
						   .request = on_request };
	struct lineserver *server;
	uv_loop_t loop;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (uv_loop_init(&loop) || lineserver_open(&server, &loop, lab.sock, &ops, NULL))
		_exit(1);
	(void)!write(ready, "", 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(0);
}

static void setup(void)
{
	int ends[2];
	char byte;

	memset(&lab, 0, sizeof(lab));
	snprintf(lab.dir, sizeof(lab.dir), "/tmp/berth-cli-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(lab.dir));
	snprintf(lab.sock, sizeof(lab.sock), "%s/control.sock", lab.dir);
	ck_assert_int_eq(pipe(ends), 0);
	lab.daemon = fork();
	if (lab.daemon == 0)
		serve(ends[1]);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
}

static void teardown(void)
{
	char command[128];

	kill(lab.daemon, SIGKILL);
	waitpid(lab.daemon, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", lab.dir);
	ck_assert_int_eq(system(command), 0);
}

/* Runs a shell line in which $B is the command and $S the daemon's socket. */
static void run(const char *line)
{
	char command[1024];
	FILE *pipe_end;
	size_t n;
	int status;

	snprintf(command, sizeof(command), "exec 2>&1; B='%s' S='%s' D='%s'; %s", berth, lab.sock,
		 lab.dir, line);
	pipe_end = popen(command, "r");
	ck_assert_ptr_nonnull(pipe_end);
	n = fread(lab.out, 1, sizeof(lab.out) - 1, pipe_end);
	lab.out[n] = '\0';
	status = pclose(pipe_end);
	lab.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The command as a whole: exit status, and words that must be there. */
static const struct {
	const char *line;
	int status;
	const char *words;
} calls[] = {
	/* 0 */ { "$B", 2, "berth --help" },
	/* 1 */ { "$B --help", 0, "usage: berth COMMAND" },
	/* 2 */ { "$B -h", 0, "keygen" },
	/* 3 */ { "$B --version", 0, "berth " },
	{ "$B help", 0, "usage: berth COMMAND" },
	{ "$B help --help", 0, "usage: berth COMMAND" },
	{ "$B help add", 0, "usage: berth add NAME" },
	{ "$B help lsit", 2, "did you mean 'list'?" },
	/* 4 */ { "$B lsit", 2, "did you mean 'list'?" },
	/* 5 */ { "$B statsu", 2, "did you mean 'status'?" },
	/* 6 */ { "$B remove", 2, "there is no command 'remove'" },
	/* 7 */ { "$B ''", 2, "there is no command ''" },
	/* 8 */ { "$B list --help", 0, "usage: berth list" },
	/* 9 */ { "$B show -h", 0, "usage: berth show NAME" },
	/* 10 */ { "$B status --help", 0, "--control PATH" },
	/* 11 */ { "$B check --help", 0, "file:line: what" },
	/* 12 */ { "$B keygen --help", 0, "umask 077" },
	/* 13 */ { "$B pubkey --help", 0, "usage: berth pubkey" },
	/* 14 */ { "$B list --nonsense", 2, "no option '--nonsense'" },
	/* 15 */ { "$B list -x", 2, "no option '-x'" },
	/* 16 */ { "$B list alice", 2, "no place for 'alice'" },
	/* 17 */ { "$B show", 2, "the name of one tenant" },
	/* 18 */ { "$B show a b", 2, "the name of one tenant" },
	/* 19 */ { "$B status --control", 2, "'--control' needs a value" },
	/* 20 */ { "$B status --control a -c b", 2, "give one" },
	/* 21 */ { "$B keygen x", 2, "no place for 'x'" },
	/* 22 */ { "$B keygen --json", 2, "no option '--json'" },
	/* 23 */ { "$B check x", 2, "a file is named by -c" },
	/* 24 */ { "$B list --control $S.not", 1, "berthd is not running" },
	/* 25 */ { "$B list -c $D/no.conf", 1, "no.conf" },
	/* 26 */ { "$B check -c $D/no.conf", 1, "no.conf" },
	/* 27 */ { "$B list --control $(printf 'x%.0s' $(seq 200))", 1, "File name too long" },
	/* 28 */ { "$B show bob --control $S", 1, "berth: there is no tenant 'bob'" },
	/* 29 */ { "$B show odd --control $S", 1, "another version" },
	/* 30 */ { "$B show odder --control $S", 1, "another version" },
	/* 31 */ { "$B show oddest --control $S", 1, "did not answer" },
	/* 32 */ { "$B show $(printf '\\377') --control $S", 1, "that name is not text" },
	{ "$B show carol --control $S", 0, "192.0.2.1:1 and 192.0.2.2:2, noticed 2 times" },
	{ "$B release carol --control $S", 0, "carol is released" },
	{ "$B release carol --json --control $S", 0, "\"name\": \"carol\"" },
	{ "$B release bob --control $S", 1, "berth: 'bob' is not quarantined" },
	{ "$B release", 2, "the name of one tenant" },
	{ "$B release --help", 0, "usage: berth release NAME" },
	/* 33 */ { "echo hello | $B pubkey", 1, "no private key on standard input" },
	/* 34 */ { "$B pubkey </dev/null", 1, "no private key on standard input" },
	/* 35 */ { "head -c 100000 /dev/zero | $B pubkey", 1, "no private key" },
	/* 36 */ { "$B init --help", 0, "usage: berth init" },
	/* 37 */ { "$B init x", 2, "no place for 'x'" },
	/* 38 */ { "$B init --port 70000", 2, "'70000' is no number from 1 to 65535" },
	/* 39 */ { "$B init --listen soon", 2, "'soon' is no number" },
	/* 40 */
	{ "$B init -c $D/new/berth.conf --uplink lo --prefix 2001:db8::/64 --listen 0 && "
	  "$B check -c $D/new/berth.conf", 0, "berth.conf: good" },
	{ "$B init -c $D/x.conf --uplink lo --prefix 2001:db8:beef::1/64", 2,
	  "'2001:db8:beef::1/64' has bits behind its length: 2001:db8:beef::/64 is meant" },
	{ "$B init -c $D/x.conf --uplink lo --prefix 198.51.100.7/24", 2, "198.51.100.0/24 is meant" },
	/* 41 */ { "$B add --help", 0, "usage: berth add NAME" },
	/* 42 */ { "$B add", 2, "the name of one new tenant" },
	/* 43 */ { "$B add x y", 2, "the name of one new tenant" },
	/* 44 */ { "$B add .x", 2, "'.x' cannot be a tenant's name" },
	/* 45 */ { "$B add x.conf", 2, "'x' is meant" },
	/* 46: one value, not two lines of a file */
	{ "N='1\n2'; $B add x --rate \"$N\"", 2, "a value is one line" },
	/* 47 */ { "$B add x --qr --json", 2, "neither --json nor --netns" },
	/* 48 */ { "$B add x --qr --public-key y", 2, "a QR code holds the private key" },
	{ "$B add x --home-file ''", 2, "--home-file needs the path of a new file" },
	{ "$B add x --netns /etc/passwd", 2, "'/etc/passwd' is no network namespace" },
	{ "$B add x --netns ''", 2, "'' is no network namespace" },
	{ "$B add x --dns ', '", 2, "--dns needs a name server" },
	{ "$B add x --dns 2001:db8::53,nope..", 2, "'nope..' is neither the address of a server nor" },
	/* 49 */ { "$B add x -c $D/no.conf", 1, "`berth init` writes one" },
	/* 50 */ { "$B revoke", 2, "the name of one tenant" },
	/* 51 */ { "$B revoke x -c $D/no.conf", 1, "`berth init` writes one" },
	/* 52 */ { "$B list --names --control $S", 0, "alice\nzoe\n" },
	/* 53 */ { "$B status --names --control $S", 2, "no option '--names'" },
	/* 54 */ { "$B show alcie --control $S", 1, "did you mean 'alice'?" },
	{ "$B show zoe --control $S", 1, "the file of 'zoe' is there, but it is not in force" },
	/* 55 */ { "$B completion", 2, "bash, zsh or fish" },
	/* 56 */ { "$B completion tcsh", 2, "bash, zsh or fish" },
	/* 57 */ { "$B completion bash | bash -n", 0, "" },
	/* 58 */ { "$B completion fish", 0, "__fish_seen_subcommand_from" },
	{ "$B top --help", 0, "usage: berth top" },
	{ "$B top --sort size", 2, "'size' is none of: all, rx, tx, name, drops" },
	{ "$B top -n 0", 2, "'0' is not a number from 1 to 1000000" },
	{ "$B top alice", 2, "no place for 'alice'" },
	{ "$B top --control a -c b", 2, "give one" },
	{ "$B top --control $S.not", 1, "berthd is not running" },
	/* Nothing has moved between two lists that are the same. */
	{ "$B top --sort name --control $S", 0, "3 tenants, 1 connected; received 0 bit/s, sent 0 bit/s" },
	{ "$B top --json --control $S", 0, "\"rx_bytes_per_second\": 0.0" },
	/* 59: a full disk is no success */
	{ "$B list --control $S >/dev/full", 1, "cannot write the output" },
	/* 37: what looks at the machine */
	{ "$B doctor --json -c $D/no.conf", 1, "at home an empty one will do" },
	{ "$B doctor -c $D/no.conf | grep -F \"berth init -c $D/no.conf\"", 0, "" },
	{ "$B doctor x", 2, "no place for 'x'" },
	{ "$B doctor --mend", 2, "no option '--mend'" },
	{ "$B doctor --help", 0, "Nothing is changed without --fix" },
	{ "$B trace", 2, "one address is wanted" },
	{ "$B trace alice", 2, "'alice' is not an address" },
	{ "$B trace 2001:db8::/64", 2, "is not an address" },
	{ "$B trace ::1 -c $D/no.conf", 1, "cannot read" },
};

START_TEST(call)
{
	run(calls[_i].line);
	ck_assert_msg(lab.status == calls[_i].status, "%s: status %d, %s", calls[_i].line,
		      lab.status, lab.out);
	ck_assert_msg(strstr(lab.out, calls[_i].words) != NULL, "%s: %s", calls[_i].line, lab.out);
}
END_TEST

/* Keys */

START_TEST(keys)
{
	char first[64];

	run("$B keygen");
	ck_assert_int_eq(lab.status, 0);
	ck_assert_uint_eq(strlen(lab.out), 45);
	memcpy(first, lab.out, 46);
	run("$B keygen");
	ck_assert_str_ne(first, lab.out);
	/* RFC 7748 §6.1, Alice's pair; with the newline and without it */
	run("echo dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo= | $B pubkey");
	ck_assert_str_eq(lab.out, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n");
	run("printf dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo= | $B pubkey");
	ck_assert_str_eq(lab.out, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n");
}
END_TEST

START_TEST(key_for_all_to_read)
{
	run("umask 022; $B keygen >$D/key");
	ck_assert_int_eq(lab.status, 0);
	ck_assert_ptr_nonnull(strstr(lab.out, "umask 077"));
	run("umask 077; rm $D/key; $B keygen >$D/key");
	ck_assert_str_eq(lab.out, "");
	run("$B keygen >/dev/null");
	ck_assert_str_eq(lab.out, "");
}
END_TEST

/* Tables */

START_TEST(list)
{
	run("$B list --control $S");
	ck_assert_int_eq(lab.status, 0);
	/* By name; the age depends on today. */
	ck_assert_ptr_nonnull(strstr(lab.out, "NAME   STATE      ADDRESS"));
	ck_assert_ptr_nonnull(strstr(lab.out, "\nalice  connected  2001:db8:dead:beef::1234 +1"));
	ck_assert_ptr_nonnull(strstr(lab.out, "1.0 MiB      0 B\nzoe    idle       198.51.100.0/24"));
	ck_assert_ptr_nonnull(strstr(lab.out, "never       0 B  1.5 KiB\n"));
	/* Characters, not bytes. */
	ck_assert_ptr_nonnull(strstr(lab.out, "\nzu…    idle       -  "));
	ck_assert_ptr_null(strchr(lab.out, '\033'));
	for (char *line = strtok(lab.out, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_uint_le(strlen(line), 80);
}
END_TEST

START_TEST(list_json)
{
	run("$B list --json --control $S");
	ck_assert_int_eq(lab.status, 0);
	ck_assert_int_eq(lab.out[0], '[');
	ck_assert(strstr(lab.out, "alice") < strstr(lab.out, "zoe"));
}
END_TEST

START_TEST(show)
{
	run("$B show alice --control $S");
	ck_assert_int_eq(lab.status, 0);
	ck_assert_ptr_nonnull(strstr(lab.out, "alice  connected\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "public key    " KEY "\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "addresses     2001:db8:dead:beef::1234/128\n"
					      "                198.51.100.77/32\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "192.0.2.1:51820, changed 2 times\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "1.0 MiB in 1,234,567 packets\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "10 B in 1 packet\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "every 25 s\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "7 bad-tag\n"));
	/* How long ago depends on today. */
	ck_assert_ptr_nonnull(strstr(lab.out, "\n  events        "));
	ck_assert_ptr_nonnull(strstr(lab.out, " d ago  handshake: 192.0.2.1:1 (3 times in 2 h)\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, " d ago  once\n"));
	run("$B show --json --control $S -- alice");
	ck_assert_int_eq(lab.status, 0);
	ck_assert_int_eq(lab.out[0], '{');
	/* What comes from elsewhere does not drive the terminal. */
	run("$B show evil --control $S");
	ck_assert_int_eq(lab.status, 0);
	ck_assert_ptr_null(strchr(lab.out, '\033'));
}
END_TEST

START_TEST(status)
{
	run("$B status --control $S");
	ck_assert_int_eq(lab.status, 0);
	ck_assert_ptr_nonnull(strstr(lab.out, "berthd 9.9, pid 42\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "tenants       3 in all, 2 connected, 1 tunnel, 1 refused\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "interface     berth0, UDP port 51820\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "offloads      tun\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "NDP           12 answered\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "ARP           nobody has asked\n"));
	ck_assert_ptr_nonnull(strstr(lab.out, "dropped       6 bad-mac1\n"));
}
END_TEST

/* The gateway that the daemon is, in $D. */
#define INIT "(umask 077; echo " GATEWAY_PRIVATE " >$D/gateway.key); " \
	"$B init -c $D/berth.conf --uplink lo --prefix 2001:db8::/64 --port 51820 --listen 0 " \
	">/dev/null && " \
	"echo Control = control.sock >>$D/berth.conf; "

/* Where the socket is, by the configuration. */
START_TEST(control_of_file)
{
	run("(umask 077; $B keygen >$D/gateway.key; mkdir $D/config.d; "
	    "printf '[Interface]\\nPrivateKeyFile = gateway.key\\n[Router]\\nUplink = none\\n"
	    "Prefix = 2001:db8::/64\\nTenants = config.d\\nControl = control.sock\\n' "
	    ">$D/berth.conf); $B status -c $D/berth.conf");
	ck_assert_msg(lab.status == 0, "%s", lab.out);
	ck_assert_ptr_nonnull(strstr(lab.out, "pid 42"));
	run("$B check -c $D/berth.conf");
	ck_assert_int_eq(lab.status, 0);
	ck_assert_ptr_nonnull(strstr(lab.out, "good"));
	run("$B doctor --json -c $D/berth.conf");
	ck_assert_msg(strstr(lab.out, "segmentation offload of sending UDP") != NULL, "%s", lab.out);
	ck_assert_ptr_null(strstr(lab.out, "segmentation offload of receiving UDP"));
	run("printf '[Peer]\\nPublicKey = x\\n' >$D/config.d/alice.conf; $B check -c $D/berth.conf");
	ck_assert_int_eq(lab.status, 1);
	ck_assert_ptr_nonnull(strstr(lab.out, "alice.conf:2: "));
}
END_TEST

/* What is wrong with berth.conf while berthd runs well, behind [Router] and its Control. */
static const char *const faulty[] = {
	"Prefix = nonsense",
	"no line at all",
	"Nonsense = 1\nUplink = none\nUplink",
	"[Interface]\nPrivateKeyFile = missing.key",
	"Tenants = config.d\nControl = $D/not",
};

/* To be asked, and above all to end somebody, needs no more of the file than two lines. */
START_TEST(revoke_in_spite_of)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "mkdir -m 700 $D/config.d; touch $D/config.d/bob.conf; "
		 "printf \"[Router]\\n\\nControl = $S\\n%s\\n\" >$D/berth.conf; "
		 "$B list --names -c $D/berth.conf; $B revoke bob -c $D/berth.conf; echo $?; "
		 "ls $D/config.d", faulty[_i]);
	run(line);
	ck_assert_msg(strstr(lab.out, "/config.d and berthd at ") != NULL, "%s", lab.out);
	ck_assert_msg(strstr(lab.out, "alice\nzoe\n") != NULL, "%s", lab.out);
	ck_assert_msg(strstr(lab.out, "bob: revoked after ") != NULL, "%s", lab.out);
	ck_assert_msg(strstr(lab.out, "\n0\nbob.conf.revoked\n") != NULL, "%s", lab.out);
}
END_TEST

/* Milliseconds are told to the microsecond, in digits that nobody has to cut. */
START_TEST(milliseconds)
{
	for (int i = 0; i < 8; i++) {
		run(INIT "touch $D/config.d/bob.conf; "
		    "$B revoke --json --purge bob -c $D/berth.conf; rm -r $D/berth.conf $D/config.d");
		ck_assert_msg(strstr(lab.out, "\"revoked_ms\": ") != NULL, "%s", lab.out);
		ck_assert_msg(strspn(strchr(strstr(lab.out, "_ms"), '.') + 1, "0123456789") <= 3, "%s",
			      lab.out);
	}
}
END_TEST

/* What is kept of one does not end what was kept of another. */
START_TEST(revoke_again)
{
	run(INIT "for rate in 1 2 2 3; do echo \"RateLimit = ${rate}mbit\" >$D/config.d/bob.conf; "
	    "$B revoke bob -c $D/berth.conf >$D/said; done; tail -n 1 $D/said; "
	    "cd $D/config.d; ls; cat *");
	ck_assert_msg(strstr(lab.out, "/config.d/bob.conf.revoked.3: what else its file said\n"
			     "bob.conf.revoked\nbob.conf.revoked.2\nbob.conf.revoked.3\n"
			     "RateLimit = 1mbit\nRateLimit = 2mbit\nRateLimit = 3mbit\n") != NULL,
		      "%s", lab.out);
}
END_TEST

/* What cannot be known is said. */
START_TEST(revoke_unknown)
{
	run("mkdir -m 700 $D/tenants; touch $D/tenants/bob.conf; "
	    "printf \"[Router]\\nTenants = tenants\\nControl = $S.not\\nx\\n\" >$D/berth.conf; "
	    "$B revoke alice -c $D/berth.conf; $B revoke bob -c $D/berth.conf; echo $?; ls $D/tenants");
	ck_assert_msg(strstr(lab.out, "/bob.conf is removed, but nothing listens at "), "%s", lab.out);
	ck_assert_msg(strstr(lab.out, "\n1\nbob.conf.revoked\n") != NULL, "%s", lab.out);
	ck_assert_msg(strstr(lab.out, "rm FOLDER/alice.conf there") != NULL, "%s", lab.out);
	run("rm -r $D/tenants; $B revoke bob -c $D/berth.conf");
	ck_assert_msg(strstr(lab.out, "rm FOLDER/NAME.conf") != NULL, "%s", lab.out);
	/* berth.conf itself is gone. */
	run("rm $D/berth.conf; mkdir -m 700 $D/config.d; touch $D/config.d/bob.conf; "
	    "$B revoke --purge bob -c $D/berth.conf; ls $D/config.d");
	ck_assert_msg(strstr(lab.out, "berth: there is no ") != NULL, "%s", lab.out);
	ck_assert_ptr_null(strstr(lab.out, "\nbob.conf\n"));
}
END_TEST

/* What the daemon learned by heart says of new tenants: bob is refused, and mute not known. */
START_TEST(add_has_the_last_word)
{
	run(INIT "$B add bob -c $D/berth.conf --endpoint h --home-file $D/bob.home --public-key " KEY "; "
	    "echo $?; ls $D/config.d $D/*.home");
	ck_assert_msg(strstr(lab.out, "berthd does not take 'bob': no, thanks\n1\n"), "%s", lab.out);
	ck_assert_ptr_null(strstr(lab.out, "bob.conf"));
	ck_assert_ptr_null(strstr(lab.out, "/bob.home\n"));
	run("$B add mute -c $D/berth.conf --endpoint h --public-key " KEY "; echo $?; ls $D/config.d");
	ck_assert_msg(strstr(lab.out, "removed again: this berthd cannot do 'wait'\n1\n"), "%s",
		      lab.out);
	ck_assert_ptr_null(strstr(lab.out, "mute.conf"));
}
END_TEST

static const struct {
	const char *words, *said;
} no_homes[] = {
	{ "--endpoint fe80::1", "'fe80::1' is a link-local address without a zone" },
	{ "--endpoint [fe80::1]:7", "'[fe80::1]:7' is a link-local address without a zone" },
	{ "--endpoint h --home-file $D/config.d/../config.d/x",
	  "config.d/x lies among the tenants of this gateway" },
	{ "--endpoint h --dns 1.2.3", "DNS: '1.2.3' is neither the address of a server nor a domain" },
	{ "--endpoint h --netns a:b", "Netns: 'a:b' is neither a name under /run/netns" },
};

/* What no home could make anything of, with a key of its own as without. */
START_TEST(add_for_no_home)
{
	char line[512];

	snprintf(line, sizeof(line), INIT "$B add mute -c $D/berth.conf %s; "
		 "$B add mute -c $D/berth.conf --public-key " KEY " %s; ls $D/config.d",
		 no_homes[_i].words, no_homes[_i].words);
	run(line);
	ck_assert_msg(strstr(lab.out, no_homes[_i].said) != NULL, "%s", lab.out);
	ck_assert_msg(strstr(strstr(lab.out, no_homes[_i].said) + 1, no_homes[_i].said) != NULL, "%s",
		      lab.out);
	ck_assert_ptr_null(strstr(lab.out, "PrivateKey"));
	ck_assert_ptr_null(strstr(lab.out, "mute.conf"));
}
END_TEST

/* A key that is there and is no good is all that is said, and nothing is made beside it. */
START_TEST(init_beside_a_bad_key)
{
	static const char line[] = "$B init -c $D/berth.conf --uplink lo --prefix 2001:db8::/64 "
				   "--listen 0; cd $D; ls -d config.d berth.conf 2>/dev/null";
	char want[256];

	run("(umask 022; echo " GATEWAY_PRIVATE " >$D/gateway.key)");
	run(line);
	snprintf(want, sizeof(want), "berth: '%s/gateway.key' is open to group or others: "
		 "chmod 600 %s/gateway.key\n", lab.dir, lab.dir);
	ck_assert_str_eq(lab.out, want);
	run("chmod 600 $D/gateway.key; >$D/gateway.key");
	run(line);
	snprintf(want, sizeof(want), "berth: %s/gateway.key is there, and holds no private key: "
		 "move it away\n", lab.dir);
	ck_assert_str_eq(lab.out, want);
}
END_TEST

/* A home file for a gateway that is not there is of no use. */
START_TEST(add_to_another_gateway)
{
	run(INIT "$B keygen >$D/gateway.key 2>/dev/null; "
	    "$B add mute -c $D/berth.conf --endpoint h --home-file $D/home; echo $?; ls $D $D/config.d");
	ck_assert_msg(strstr(lab.out, "gateway.key has another key now than when berthd started: "
			     "systemctl restart berthd first, or put the old one back\n1\n"), "%s", lab.out);
	ck_assert_ptr_null(strstr(lab.out, "home\n"));
	ck_assert_ptr_null(strstr(lab.out, "mute.conf"));
	run("echo " GATEWAY_PRIVATE " >$D/gateway.key; sed -i s/51820/51821/ $D/berth.conf; "
	    "$B add mute -c $D/berth.conf --endpoint h; echo $?");
	ck_assert_msg(strstr(lab.out, "berthd listens on port 51820, and ") != NULL, "%s", lab.out);
	ck_assert_msg(strstr(lab.out, "says 51821: systemctl restart berthd first") != NULL, "%s", lab.out);
	/* A port that is another's, in front of the gateway, is not the file's. */
	run("$B add mute -c $D/berth.conf --endpoint h:7 --public-key " KEY);
	ck_assert_msg(strstr(lab.out, "this berthd cannot do 'wait'") != NULL, "%s", lab.out);
}
END_TEST

/* Where nobody gets what is printed: no room, or nobody who reads. */
static const char *const nowhere[] = {
	"$B add bob -c $D/berth.conf --endpoint h >/dev/full; echo $?",
	"$B add bob -c $D/berth.conf --endpoint h --qr >/dev/full; echo $?",
	"$B add bob -c $D/berth.conf --endpoint h --json >/dev/full; echo $?",
	"closed $B add bob -c $D/berth.conf --endpoint h",
	"closed $B add bob -c $D/berth.conf --endpoint h --qr",
	"closed $B add bob -c $D/berth.conf --endpoint h --json",
};

/* A key that could not be handed out is no tenant. */
START_TEST(add_to_nowhere)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "closed() { { until [ -e $D/shut ]; do :; done; \"$@\"; echo $? >&2; } | "
		 "{ exec <&-; touch $D/shut; }; }; "
		 "$B init -c $D/berth.conf --uplink lo --prefix 2001:db8::/64 --listen 0 >/dev/null; "
		 "echo Control = $S.not >>$D/berth.conf; %s; ls $D/config.d", nowhere[_i]);
	run(line);
	ck_assert_msg(strstr(lab.out, "'bob' was removed again\n1\n"), "%s", lab.out);
	ck_assert_ptr_null(strstr(lab.out, "bob.conf"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	berth = getenv("BERTH");
	if (!berth)
		berth = "build/berth";
	if (access(berth, X_OK)) {
		printf("%s is not built: nothing to test, skipped\n", berth);
		return 77;
	}
	/* No colours and no other language. */
	setenv("LC_ALL", "C", 1);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, call, 0, ARRAY_SIZE(calls));
	tcase_add_test(t, keys);
	tcase_add_test(t, key_for_all_to_read);
	tcase_add_test(t, list);
	tcase_add_test(t, list_json);
	tcase_add_test(t, show);
	tcase_add_test(t, status);
	tcase_add_test(t, control_of_file);
	tcase_add_test(t, add_has_the_last_word);
	tcase_add_test(t, add_to_another_gateway);
	tcase_add_test(t, init_beside_a_bad_key);
	tcase_add_loop_test(t, add_for_no_home, 0, ARRAY_SIZE(no_homes));
	tcase_add_loop_test(t, revoke_in_spite_of, 0, ARRAY_SIZE(faulty));
	tcase_add_test(t, revoke_again);
	tcase_add_test(t, revoke_unknown);
	tcase_add_test(t, milliseconds);
	tcase_add_loop_test(t, add_to_nowhere, 0, ARRAY_SIZE(nowhere));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
