/* SPDX-License-Identifier: MIT */
/* init: a gateway's configuration that fits this machine. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../src/config/config.h"
#include "address.h"
#include "client.h"
#include "decide.h"
#include "draft.h"
#include "newfile.h"
#include "people.h"
#include "probe.h"

enum { LISTEN_DEFAULT_S = 3, LISTEN_MAX_S = 600, PORTS_TRIED = 10 };

struct initing {
	/* asked for */
	const char *config;
	struct wishes wishes;
	unsigned seconds, port; /* port 0: to be found */
	bool json;

	/* seen and decided */
	struct machine machine;
	struct settings settings;
	struct place place;
	bool answers;
	char answers_why[DECIDE_WHY_MAX];
	struct note notes[DECIDE_NOTES_MAX];
	size_t n_notes;

	/* made */
	char *folder, *key_path, *tenants;
	bool key_kept;
	uint8_t public_key[KEY_LEN];
	struct draft text;
};

/* What was asked for */

static int take_number(const struct command *self, const char *what, const char *text,
		       unsigned least, unsigned most, unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || *text == '-' || n < least || n > most)
		return complain_usage(self, "%s: '%s' is no number from %u to %u", what, text,
				      least, most);
	*out = (unsigned)n;
	return EXIT_GOOD;
}

static int take_prefix(struct initing *in, const struct command *self)
{
	char text[PREFIX_STRLEN];

	if (in->wishes.n_prefixes == DECIDE_PREFIXES_MAX)
		return complain_usage(self, "there are more than %d prefixes", DECIDE_PREFIXES_MAX);
	if (prefix_parse(&in->wishes.prefixes[in->wishes.n_prefixes], optarg))
		return complain_usage(self, "'%s' is no prefix: 2001:db8:beef::/64 is meant",
				      optarg);
	if (address_has_rest(&in->wishes.prefixes[in->wishes.n_prefixes], optarg))
		return complain_usage(self, "'%s' has bits behind its length: %s is meant", optarg,
				      prefix_format(&in->wishes.prefixes[in->wishes.n_prefixes],
						    text));
	in->wishes.n_prefixes++;
	return EXIT_GOOD;
}

static int parse(struct initing *in, const struct command *self, int argc, char **argv)
{
	static const struct option options[] = { { "uplink", required_argument, NULL, 'u' },
						 { "prefix", required_argument, NULL, 'p' },
						 { "port", required_argument, NULL, 'P' },
						 { "listen", required_argument, NULL, 'l' },
						 { "json", no_argument, NULL, 'j' },
						 { "config", required_argument, NULL, 'c' },
						 { 0 } };
	int c, status = EXIT_GOOD;

	*in = (struct initing){ .config = DEFAULT_CONFIG, .seconds = LISTEN_DEFAULT_S };
	while (!status && (c = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		if (c == 'u')
			in->wishes.uplink = optarg;
		else if (c == 'p')
			status = take_prefix(in, self);
		else if (c == 'P')
			status = take_number(self, "--port", optarg, 1, UINT16_MAX, &in->port);
		else if (c == 'l')
			status = take_number(self, "--listen", optarg, 0, LISTEN_MAX_S, &in->seconds);
		else if (c == 'j')
			in->json = true;
		else if (c == 'c')
			in->config = optarg;
		else
			return complain_option(self, c, argv);
	}
	if (!status && optind < argc)
		return complain_usage(self, "there is no place for '%s'", argv[optind]);
	return status;
}

/* What is seen */

static int read_sysctl(const char *path)
{
	FILE *f = fopen(path, "re");
	int value = -1;

	if (f && fscanf(f, "%d", &value) != 1)
		value = -1;
	if (f)
		(void)fclose(f);
	return value;
}

static bool is_port_free(uint16_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_free;

	if (fd >= 0) {
		is_free = !bind(fd, (struct sockaddr *)&any, sizeof(any)) || errno != EADDRINUSE;
	} else {
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		is_free = !bind(fd, (struct sockaddr *)&any4, sizeof(any4)) || errno != EADDRINUSE;
	}
	if (fd >= 0)
		close(fd);
	return is_free;
}

static void look_at_settings(struct initing *in)
{
	struct settings *s = &in->settings;
	char path[64 + IFNAMSIZ];

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra",
		       in->place.uplink->name);
	s->accept_ra = read_sysctl(path);
	s->forwarding4 = read_sysctl("/proc/sys/net/ipv4/ip_forward") != 0;
	s->forwarding6 = read_sysctl("/proc/sys/net/ipv6/conf/all/forwarding") != 0;
	s->port = in->port ? (uint16_t)in->port : ROUTER_PORT_DEFAULT;
	for (unsigned i = 0; !in->port && i < PORTS_TRIED && !is_port_free(s->port); i++) {
		s->port_was_taken = true;
		s->port++;
	}
}

static int listen_to_uplink(struct initing *in)
{
	enum heard heard = HEARD_NOT_TRIED;
	struct prefix stranger;
	bool asks = decide_stranger(&in->place, &in->machine, &stranger);
	int err = 0;

	if (in->seconds && isatty(STDERR_FILENO))
		(void)fprintf(stderr, "listening on %s for up to %u s ...\n",
			      in->place.uplink->name, in->seconds);
	if (in->seconds)
		err = probe_listen(&heard, in->place.uplink, in->place.prefixes,
				   in->place.n_prefixes, &in->machine, asks ? &stranger : NULL,
				   in->seconds);
	if (err == -EPERM || err == -EACCES)
		return complain("no permission to listen on %s: run this as root",
				in->place.uplink->name);
	if (err)
		return complain("cannot listen on %s: %s", in->place.uplink->name, strerror(-err));
	in->answers = decide_answers(&in->place, heard, in->answers_why);
	return EXIT_GOOD;
}

static int look(struct initing *in)
{
	char why[DECIDE_WHY_MAX];
	int err = machine_look(&in->machine);
	int status;

	if (err)
		return complain("the kernel does not tell about this machine's network: %s",
				strerror(-err));
	if (decide_place(&in->place, &in->machine, &in->wishes, why))
		return complain("%s", why);
	look_at_settings(in);
	status = listen_to_uplink(in);
	if (!status)
		in->n_notes = decide_traps(&in->place, &in->machine, &in->settings, in->notes);
	return status;
}

/* What is made */

static int complain_make(const char *path, int err)
{
	if (err == -EACCES || err == -EPERM)
		return complain("no permission to write %s: run this as root", path);
	return complain("cannot write %s: %s", path, strerror(-err));
}

static int refuse_existing(const struct initing *in)
{
	if (!access(in->config, F_OK))
		return complain("there is a %s already, and init overwrites nothing: move it away, "
				"or name another by -c", in->config);
	return EXIT_GOOD;
}

static int name_files(struct initing *in)
{
	const char *slash = strrchr(in->config, '/');

	in->folder = slash == in->config ? strdup("/")
		     : slash	       ? strndup(in->config, (size_t)(slash - in->config))
				       : strdup(".");
	in->key_path = in->folder ? file_join(in->folder, "gateway.key") : NULL;
	in->tenants = in->folder ? file_join(in->folder, "config.d") : NULL;
	return in->key_path && in->tenants ? EXIT_GOOD : complain("not enough memory");
}

/* A key that is there is the gateway's: homes know it. */
static int keep_key(struct initing *in)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { in->config, 0, NULL, &faults };
	uint8_t key[KEY_LEN];
	int err = value_key_file(&where, AT_FDCWD, "", in->key_path, true, key);
	int status = EXIT_GOOD;

	if (!err && crypto_scalarmult_base(in->public_key, key))
		err = -EINVAL;
	sodium_memzero(key, sizeof(key));
	if (err && faults.n)
		status = complain("%s", faults.faults[0].text);
	else if (err)
		status = complain("%s is there, and holds no private key: move it away",
				  in->key_path);
	fault_list_free(&faults);
	in->key_kept = true;
	return status;
}

static int make_key(struct initing *in)
{
	char text[KEY_BASE64_STRLEN + 1];
	uint8_t key[KEY_LEN];
	int err;

	if (!access(in->key_path, F_OK))
		return keep_key(in);
	keys_make(key);
	err = crypto_scalarmult_base(in->public_key, key) ? -EINVAL : 0;
	(void)key_to_base64(key, text);
	text[KEY_BASE64_STRLEN - 1] = '\n';
	if (!err)
		err = newfile_make(in->key_path, text, KEY_BASE64_STRLEN);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(text, sizeof(text));
	return err ? complain_make(in->key_path, err) : EXIT_GOOD;
}

static void write_config(struct initing *in)
{
	char text[PREFIX_STRLEN];

	draft_init(&in->text);
	draft_add(&in->text,
		  "# Written by `berth init`; berth.conf.example has all keys.\n"
		  "[Interface]\nPrivateKeyFile = gateway.key\nListenPort = %u\n\n[Router]\n",
		  in->settings.port);
	draft_add(&in->text, "# %s\n", in->answers_why);
	draft_add(&in->text, "Uplink = %s\n", in->answers ? in->place.uplink->name : "none");
	for (size_t i = 0; i < in->place.n_prefixes; i++)
		draft_add(&in->text, "# %s\nPrefix = %s\n", in->place.prefix_why[i],
			  prefix_format(&in->place.prefixes[i], text));
}

/* berth.conf comes last: when it is there, all is. */
static int make_files(struct initing *in)
{
	bool made;
	int err = newfile_folder(in->folder, &made), status;

	if (err)
		return complain_make(in->folder, err);
	/* A key that is there may be no good: nothing is made beside it then. */
	status = make_key(in);
	if (status)
		return status;
	err = newfile_folder(in->tenants, &made);
	if (err)
		return complain_make(in->tenants, err);
	write_config(in);
	err = draft_failed(&in->text) ? -ENOMEM
				      : newfile_make(in->config, in->text.text, in->text.len);
	if (err == -EEXIST)
		return refuse_existing(in);
	return err ? complain_make(in->config, err) : EXIT_GOOD;
}

/* What is said */

static void print(const struct initing *in)
{
	const char *keep = "";
	char text[PREFIX_STRLEN];

	people_field("uplink", "%s: %s", in->place.uplink->name, in->place.why);
	for (size_t i = 0; i < in->place.n_prefixes; i++)
		people_field(i ? "" : "prefix", "%s: %s",
			     prefix_format(&in->place.prefixes[i], text), in->place.prefix_why[i]);
	people_field("neighbours", "%s", in->answers ? "answered for tenants" : "not answered");
	people_field("", "%s", in->answers_why);
	people_field("port", "%u", in->settings.port);
	people_field("public key", "%s", key_to_base64(in->public_key, text));
	people_field("wrote", "%s", in->config);
	if (in->key_kept)
		people_field("kept", "%s", in->key_path);
	(void)printf("\nNow:\n");
	for (size_t i = 0; i < in->n_notes; i++) {
		(void)printf("    # %s\n", in->notes[i].why);
		if (in->notes[i].command[0]) {
			(void)printf("    %s\n", in->notes[i].command);
			keep = "    # to keep this after a reboot: the same in /etc/sysctl.d\n";
		}
	}
	(void)printf("%s    systemctl enable --now berthd\n    berth add NAME\n", keep);
}

static int print_json(const struct initing *in)
{
	json_t *prefixes = json_array(), *notes = json_array(), *out;
	char text[PREFIX_STRLEN], key[KEY_BASE64_STRLEN];

	for (size_t i = 0; i < in->place.n_prefixes; i++)
		(void)json_array_append_new(
			prefixes,
			json_pack("{s:s, s:s}", "prefix",
				  prefix_format(&in->place.prefixes[i], text), "why",
				  in->place.prefix_why[i]));
	for (size_t i = 0; i < in->n_notes; i++)
		(void)json_array_append_new(notes, json_pack("{s:s, s:s}", "command",
							     in->notes[i].command, "why",
							     in->notes[i].why));
	out = json_pack("{s:s, s:s, s:o, s:b, s:s, s:i, s:s, s:s, s:o}", "uplink",
			in->place.uplink->name, "uplink_why", in->place.why, "prefixes", prefixes,
			"answers", in->answers, "answers_why",
			in->answers_why, "listen_port", in->settings.port, "public_key",
			key_to_base64(in->public_key, key), "file", in->config, "to_do", notes);
	if (!out)
		return complain("not enough memory");
	client_print_json(out);
	json_decref(out);
	return EXIT_GOOD;
}

static int init(const struct command *self, int argc, char **argv)
{
	static const struct rlimit none = { 0 };
	struct initing in;
	int status = parse(&in, self, argc, argv);

	/* The gateway's private key passes through here. */
	(void)setrlimit(RLIMIT_CORE, &none);
	if (!status)
		status = refuse_existing(&in);
	if (!status)
		status = name_files(&in);
	if (!status)
		status = look(&in);
	if (!status)
		status = make_files(&in);
	if (!status && in.json)
		status = print_json(&in);
	else if (!status)
		print(&in);
	draft_free(&in.text);
	machine_free(&in.machine);
	free(in.folder);
	free(in.key_path);
	free(in.tenants);
	return status;
}

const struct command command_init = {
	.name = "init",
	.arguments = "[OPTION]...",
	.summary = "make this machine a gateway",
	.help = "Finds the uplink, its prefix, and whether its router asks for each address of it, and\n"
		"writes berth.conf with a key beside it. Says what it decided and why, and what is\n"
		"left to do. Overwrites nothing.\n\n"
		"  --uplink IF         not the interface of the default route\n"
		"  --prefix PREFIX     not that of the uplink; may stand several times, IPv4 too\n"
		"  --port N            not 51820, or the next that is free\n"
		"  --listen SECONDS    for what the router asks, 3 unless told, 0: not at all. Once a\n"
		"                      second a packet goes out from an address of the prefix that nobody\n"
		"                      has, so that the router has something to ask for\n"
		"  --json              for programs\n"
		"  -c, --config FILE   instead of " DEFAULT_CONFIG "\n",
	.run = init,
};
