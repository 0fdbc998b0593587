/* SPDX-License-Identifier: MIT */
/* add: a new tenant of the gateway, and the file for its home. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/base/clock.h"
#include "../../src/config/config.h"
#include "../../src/config/tenant_file.h"
#include "address.h"
#include "answer.h"
#include "client.h"
#include "homefile.h"
#include "newfile.h"
#include "qr.h"

/* Options that are keys of [Tenant]: their values are berthd's business to understand. */
static const struct {
	const char *key;
	const char *value; /* of an option that takes none */
} limits[] = {
	{ "RateLimit", NULL },	{ "RateUp", NULL },   { "RateDown", NULL },
	{ "Quota", NULL },	{ "QuotaRate", NULL }, { "Blocked", "yes" },
	{ "Expires", NULL },	{ "MTU", NULL },       { "OnSharedKey", NULL },
	{ "Announce", NULL },	{ "Isolate", "yes" },
};

/* What getopt_long() returns; the first ones are indexes into limits[]. */
enum option_code {
	OPTION_MTU = 7,
	OPTION_ADDRESS = ARRAY_SIZE(limits),
	OPTION_V4,
	OPTION_PUBLIC_KEY,
	OPTION_PSK,
	OPTION_ENDPOINT,
	OPTION_HOME_FILE,
	OPTION_NETNS,
	OPTION_DNS,
	OPTION_QR,
	OPTION_JSON,
	OPTION_CONFIG = 'c'
};

static const struct option options[] = {
	{ "rate", required_argument, NULL, 0 },
	{ "rate-up", required_argument, NULL, 1 },
	{ "rate-down", required_argument, NULL, 2 },
	{ "quota", required_argument, NULL, 3 },
	{ "quota-rate", required_argument, NULL, 4 },
	{ "blocked", no_argument, NULL, 5 },
	{ "expires", required_argument, NULL, 6 },
	{ "mtu", required_argument, NULL, OPTION_MTU },
	{ "on-shared-key", required_argument, NULL, 8 },
	{ "announce", required_argument, NULL, 9 },
	{ "isolate", no_argument, NULL, 10 },
	{ "address", required_argument, NULL, OPTION_ADDRESS },
	{ "v4", no_argument, NULL, OPTION_V4 },
	{ "public-key", required_argument, NULL, OPTION_PUBLIC_KEY },
	{ "psk", no_argument, NULL, OPTION_PSK },
	{ "endpoint", required_argument, NULL, OPTION_ENDPOINT },
	{ "home-file", required_argument, NULL, OPTION_HOME_FILE },
	{ "netns", required_argument, NULL, OPTION_NETNS },
	{ "dns", required_argument, NULL, OPTION_DNS },
	{ "qr", no_argument, NULL, OPTION_QR },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ 0 },
};

/* The keys that are made, in memory that is locked and wiped. */
struct secrets {
	uint8_t private_key[KEY_LEN];
	uint8_t preshared_key[KEY_LEN];
};

struct adding {
	/* asked for */
	const char *name, *config;
	const char *limits[ARRAY_SIZE(limits)]; /* values; NULL: not given */
	const char *wanted[ADDRESSES_MAX];
	size_t n_wanted;
	const char *public_key_text, *endpoint_text, *home_path, *netns, *dns;
	bool v4, psk, qr, json;

	/* found and made */
	struct holdings holdings;
	struct machine machine;
	struct addresses addresses;
	struct secrets *secrets;
	uint8_t public_key[KEY_LEN], gateway_key[KEY_LEN];
	char *endpoint;
	char *path; /* of the tenant's file */
	struct draft tenant, home;
	char live[64]; /* "live after 34 ms", or what else became of it */
	double ms;     /* to its being live; negative: berthd is not running */
};

/* What was asked for */

static int take_option(struct adding *a, const struct command *self, int c, char **argv)
{
	switch (c) {
	case OPTION_ADDRESS:
		if (a->n_wanted == ADDRESSES_MAX)
			return complain_usage(self, "there are more than %d addresses",
					      ADDRESSES_MAX);
		a->wanted[a->n_wanted++] = optarg;
		break;
	case OPTION_V4:
		a->v4 = true;
		break;
	case OPTION_PUBLIC_KEY:
		a->public_key_text = optarg;
		break;
	case OPTION_PSK:
		a->psk = true;
		break;
	case OPTION_ENDPOINT:
		a->endpoint_text = optarg;
		break;
	case OPTION_HOME_FILE:
		a->home_path = strcmp(optarg, "-") ? optarg : NULL;
		break;
	case OPTION_NETNS:
		a->netns = optarg;
		break;
	case OPTION_DNS:
		a->dns = optarg;
		break;
	case OPTION_QR:
		a->qr = true;
		break;
	case OPTION_JSON:
		a->json = true;
		break;
	case OPTION_CONFIG:
		a->config = optarg;
		break;
	default:
		if (c < 0 || (size_t)c >= ARRAY_SIZE(limits))
			return complain_option(self, c, argv);
		a->limits[c] = optarg ? optarg : limits[c].value;
	}
	/* A value is one line of a file: it must not become two. */
	if (optarg && strpbrk(optarg, "\r\n"))
		return complain_usage(self, "a value is one line, and '%s' has several",
				      argv[optind - 1]);
	return EXIT_GOOD;
}

/* A list of servers and domains; what addresses are, the reader of the home file knows. */
static int check_dns(const struct command *self, const char *list)
{
	static const char between[] = ", \t";
	const char *item = list + strspn(list, between);
	int len;

	if (!*item)
		return complain_usage(self, "--dns needs a name server: 2001:4860:4860::8888");
	for (; *item; item += strspn(item, between)) {
		len = (int)strcspn(item, between);
		if (*item == '.' || memmem(item, (size_t)len, "..", 2))
			return complain_usage(self, "--dns: '%.*s' is neither the address of a "
					      "server nor a domain", len, item);
		item += len;
	}
	return EXIT_GOOD;
}

/*
 * At home it is another machine's path, of which only the beginning tells: where namespaces
 * are bound, or processes have theirs.
 */
static bool may_be_netns(const char *text)
{
	static const char *const folders[] = { "/run/", "/var/run/", "/proc/" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (strncmp(text, folders[i], strlen(folders[i])) == 0)
			return true;
	return *text && *text != '/';
}

static int check_words(const struct adding *a, const struct command *self)
{
	if (a->home_path && !*a->home_path)
		return complain_usage(self, "--home-file needs the path of a new file");
	if (a->netns && !may_be_netns(a->netns))
		return complain_usage(self, "'%s' is no network namespace: a name, a path under "
				      "/run or /proc, or pid:N is meant", a->netns);
	return a->dns ? check_dns(self, a->dns) : EXIT_GOOD;
}

static int parse(struct adding *a, const struct command *self, int argc, char **argv)
{
	size_t len;
	int c, status;

	*a = (struct adding){ .config = DEFAULT_CONFIG, .holdings.folder.dirfd = -1, .ms = -1 };
	while ((c = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		status = take_option(a, self, c, argv);
		if (status)
			return status;
	}
	if (argc - optind != 1)
		return complain_usage(self, "the name of one new tenant is wanted");
	a->name = argv[optind];
	len = strlen(a->name);
	if (!tenant_name_valid(a->name))
		return complain_usage(self, "'%s' cannot be a tenant's name: 1 to %d of A-Z a-z "
				      "0-9 . _ -, not beginning with a dot", a->name,
				      TENANT_NAME_MAX);
	if (len > 5 && strcmp(a->name + len - 5, ".conf") == 0)
		return complain_usage(self, "a tenant's name is that of its file without '.conf': "
				      "'%.*s' is meant", (int)len - 5, a->name);
	if (a->qr && a->public_key_text)
		return complain_usage(self, "a QR code holds the private key, which stays where "
				      "--public-key is from");
	if (a->qr && (a->json || a->netns))
		return complain_usage(self, "--qr is for a phone: neither --json nor --netns go "
				      "with it");
	return check_words(a, self);
}

/* What is found and made */

/* In the folder of the tenants it would be read as a tunnel of the gateway's own. */
static int check_home_path(const struct adding *a)
{
	char *copy = strdup(a->home_path);
	struct stat home, tenants;
	bool same;

	if (!copy)
		return complain("not enough memory");
	same = !stat(dirname(copy), &home) && !fstat(a->holdings.folder.dirfd, &tenants) &&
	       home.st_dev == tenants.st_dev && home.st_ino == tenants.st_ino;
	free(copy);
	if (same)
		return complain("%s lies among the tenants of this gateway, which would take it "
				"for a tunnel of its own and lose its IPv6: name another folder",
				a->home_path);
	return EXIT_GOOD;
}

static int open_holdings(struct adding *a)
{
	int status = holdings_open(&a->holdings, a->config);

	if (status)
		return status;
	if (!a->holdings.router->gateway)
		return complain("%s has no [Interface]: this is no gateway, which alone has "
				"tenants", a->config);
	if (a->home_path && check_home_path(a))
		return EXIT_FAULT;
	a->path = holdings_path(&a->holdings, a->name, ".conf");
	if (!a->path)
		return complain("not enough memory");
	if (holdings_has(&a->holdings, a->name))
		return complain("there is a tenant '%s' already (%s): take another name, or "
				"`berth revoke %s` first", a->name, a->path, a->name);
	status = holdings_read(&a->holdings);
	if (!status && a->holdings.n_faulty)
		(void)complain("other files in %s have faults (%zu): `berth check` says which",
			       a->holdings.router->tenants, a->holdings.n_faulty);
	return status;
}

static int choose_addresses(struct adding *a)
{
	bool v6 = address_has_family(&a->holdings, AF_INET6);
	int status = EXIT_GOOD;

	for (size_t i = 0; !status && i < a->n_wanted; i++)
		status = address_take(&a->addresses, &a->holdings, &a->machine, a->wanted[i]);
	if (!status && !a->n_wanted && v6)
		status = address_next(&a->addresses, &a->holdings, &a->machine, AF_INET6, a->name);
	if (!status && (a->v4 || (!a->n_wanted && !v6)))
		status = address_next(&a->addresses, &a->holdings, &a->machine, AF_INET, a->name);
	return status;
}

static int make_keys(struct adding *a)
{
	if (crypto_scalarmult_base(a->gateway_key, a->holdings.router->private_key))
		return complain("the private key of %s has no public key", a->config);
	a->secrets = sodium_malloc(sizeof(*a->secrets));
	if (!a->secrets)
		return complain("not enough memory that can be locked for keys");
	randombytes_buf(a->secrets->preshared_key, KEY_LEN);
	if (a->public_key_text) {
		if (key_from_base64(a->public_key, a->public_key_text) ||
		    key_is_zero(a->public_key))
			return complain("'%s' is no public key: 44 characters of base64, as "
					"`berth pubkey` writes them", a->public_key_text);
		return EXIT_GOOD;
	}
	keys_make(a->secrets->private_key);
	if (crypto_scalarmult_base(a->public_key, a->secrets->private_key))
		return complain("no key could be made");
	return EXIT_GOOD;
}

/* Does the endpoint that homes are told end in the port of berth.conf? */
static bool uses_port(const struct adding *a)
{
	const char *colon = strrchr(a->endpoint, ':');

	return colon && strtoul(colon + 1, NULL, 10) == a->holdings.router->listen_port;
}

/* A home must call the gateway that runs, not the one that the files would make of it. */
static int check_running(const struct adding *a)
{
	const struct config_router *router = a->holdings.router;
	char key[KEY_BASE64_STRLEN];
	json_t *answer;
	const json_t *status;
	uint64_t port;
	int ret = EXIT_GOOD;

	/* Who does not answer is dealt with when the tenant's file is there. */
	if (client_query(router->control, json_pack("{s:s}", "do", "status"), &answer))
		return EXIT_GOOD;
	status = json_object_get(answer, "status");
	port = answer_number(status, "listen_port");
	if (*answer_text(status, "public_key") &&
	    strcmp(answer_text(status, "public_key"), key_to_base64(a->gateway_key, key)) != 0)
		ret = complain("%s has another key now than when berthd started: "
			       "systemctl restart berthd first, or put the old one back",
			       router->private_key_file ? router->private_key_file : a->config);
	else if (port && port != router->listen_port && uses_port(a))
		ret = complain("berthd listens on port %" PRIu64 ", and %s says %u: "
			       "systemctl restart berthd first, or put the old one back", port,
			       a->config, router->listen_port);
	json_decref(answer);
	return ret;
}

static void write_tenant(struct adding *a)
{
	char text[PREFIX_STRLEN];
	bool any = false;

	draft_init(&a->tenant);
	draft_add(&a->tenant, "[Peer]\n");
	draft_add_key(&a->tenant, "PublicKey", a->public_key);
	if (a->psk)
		draft_add_key(&a->tenant, "PresharedKey", a->secrets->preshared_key);
	for (size_t i = 0; i < a->addresses.n; i++)
		draft_add(&a->tenant, "AllowedIPs = %s\n",
			  prefix_format(&a->addresses.v[i], text));
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (!a->limits[i])
			continue;
		draft_add(&a->tenant, "%s%s = %s\n", any ? "" : "\n[Tenant]\n", limits[i].key,
			  a->limits[i]);
		any = true;
	}
}

static void write_home(const struct adding *a, struct draft *draft, const uint8_t *private_key)
{
	uint32_t mtu = a->holdings.router->mtu;
	struct homefile home = {
		.name = a->name,
		.public_key = a->public_key,
		.private_key = private_key,
		.preshared_key = a->psk ? a->secrets->preshared_key : NULL,
		.gateway_key = a->gateway_key,
		.endpoint = a->endpoint,
		.addresses = a->addresses.v,
		.n_addresses = a->addresses.n,
		/* Both ends of a tunnel are as wide; 1420 is what everybody takes anyway. */
		.mtu = mtu == ROUTER_MTU_DEFAULT ? 0 : mtu,
		.dns = a->dns,
		.netns = a->netns,
	};

	/* It is a number: berthd has looked at it. */
	if (a->limits[OPTION_MTU])
		home.mtu = (uint32_t)strtoul(a->limits[OPTION_MTU], NULL, 10);
	draft_init(draft);
	homefile_write(draft, &home);
}

/* The first error, in berthd's words and without the place in a file that is not there yet. */
static int complain_first(const struct fault_list *faults)
{
	for (size_t i = 0; i < faults->n; i++)
		if (!faults->faults[i].warning)
			return complain("%s", faults->faults[i].text);
	return complain("not enough memory");
}

/* Would berthd take it? */
static int check_tenant(struct adding *a)
{
	struct holdings *h = &a->holdings;
	struct file_text text = { .data = a->tenant.text, .len = a->tenant.len, .mode = 0600 };
	struct fault_list faults = { 0 };
	struct config_tenant *conf = NULL;
	int status = EXIT_GOOD;

	if (draft_failed(&a->tenant))
		return complain("not enough room for the file of '%s'", a->name);
	if (tenant_file_parse(&conf, h->folder.dirfd, h->router->tenants, a->name, &text, &faults) ||
	    config_check_tenant(h->router, conf, &faults) || claims_try(h->claims, conf, &faults))
		status = complain_first(&faults);
	else if (conf->state == TENANT_EXPIRED)
		status = complain_first(&faults); /* it is read, and its date has passed */
	else if (conf->state == TENANT_REVOKED)
		status = complain("with these values '%s' would be revoked at once", a->name);
	tenant_free(conf);
	fault_list_free(&faults);
	return status;
}

/* The home file must be one that home takes. */
static int check_home(struct adding *a)
{
	struct file_text text = { .mode = 0600 };
	struct fault_list faults = { 0 };
	struct config_tenant *conf = NULL;
	struct draft draft;
	int status = EXIT_GOOD;

	/* Without its private key it is not whole yet: any other does as well for this. */
	write_home(a, &draft,
		   a->public_key_text ? a->secrets->preshared_key : a->secrets->private_key);
	text.data = draft.text;
	text.len = draft.len;
	if (draft_failed(&draft) || draft_failed(&a->home))
		status = complain("not enough room for the home file of '%s'", a->name);
	else if (tenant_file_parse(&conf, a->holdings.folder.dirfd, "", a->name, &text, &faults))
		status = complain_first(&faults);
	tenant_free(conf);
	fault_list_free(&faults);
	draft_free(&draft);
	return status;
}

static int prepare(struct adding *a)
{
	int status = open_holdings(a);
	int err;

	if (status)
		return status;
	err = machine_look(&a->machine);
	if (err)
		return complain("the kernel does not tell about this machine's network: %s",
				strerror(-err));
	status = choose_addresses(a);
	if (!status)
		status = make_keys(a);
	if (status)
		return status;
	write_tenant(a);
	status = check_tenant(a);
	if (status)
		return status;
	a->endpoint = address_endpoint(a->holdings.router, &a->machine, a->endpoint_text);
	if (!a->endpoint)
		return EXIT_FAULT;
	status = check_running(a);
	if (status)
		return status;
	write_home(a, &a->home, a->public_key_text ? NULL : a->secrets->private_key);
	return check_home(a);
}

/* What is done */

/* berthd has the last word. What it refuses does not stay. */
static int await(struct adding *a, uint64_t start)
{
	char key[KEY_BASE64_STRLEN], why[CLIENT_WHY_MAX];

	switch (client_wait(a->holdings.router->control, a->name,
			    key_to_base64(a->public_key, key), why)) {
	case CLIENT_DONE:
		a->ms = client_ms_since(start);
		(void)snprintf(a->live, sizeof(a->live), "live after %.0f ms", a->ms);
		return EXIT_GOOD;
	case CLIENT_NOT_RUNNING:
		(void)snprintf(a->live, sizeof(a->live), "live when berthd starts");
		return EXIT_GOOD;
	case CLIENT_REFUSED:
		(void)!newfile_remove(a->path);
		return complain("berthd does not take '%s': %s", a->name, why);
	default:
		(void)!newfile_remove(a->path);
		return complain("berthd did not say whether '%s' is live, so it was removed "
				"again: %s", a->name, why);
	}
}

static int complain_write(const char *path, int err)
{
	if (err == -EEXIST)
		return complain("there is a %s already, and nothing is overwritten", path);
	if (err == -EACCES || err == -EPERM)
		return complain("no permission to write %s: run this as root", path);
	return complain("cannot write %s: %s", path, strerror(-err));
}

/* Who has no home file has no key: it is there before the tenant is. */
static int write_files(struct adding *a)
{
	uint64_t start;
	int err = a->home_path ? newfile_keep(a->home_path, a->home.text, a->home.len) : 0;
	int status;

	if (err)
		return complain_write(a->home_path, err);
	start = clock_now();
	err = newfile_make(a->path, a->tenant.text, a->tenant.len);
	status = err ? complain_write(a->path, err) : await(a, start);
	if (status && a->home_path)
		(void)unlink(a->home_path);
	return status;
}

static void print_summary(const struct adding *a, FILE *to)
{
	char text[PREFIX_STRLEN];

	(void)fprintf(to, "%s: ", a->name);
	for (size_t i = 0; i < a->addresses.n; i++)
		(void)fprintf(to, "%s, ", prefix_format(&a->addresses.v[i], text));
	(void)fprintf(to, "%s\n", a->live);
	if (a->ms < 0)
		(void)fprintf(to, "berthd is not running: systemctl start berthd\n");
	if (a->home_path)
		(void)fprintf(to, "%s: its home file, with %s\n", a->home_path,
			      a->public_key_text ? "a place for its private key"
						 : "its private key: there is no other copy");
}

static int print_json(const struct adding *a)
{
	json_t *list = json_array(), *out;
	char text[PREFIX_STRLEN], key[KEY_BASE64_STRLEN];

	for (size_t i = 0; i < a->addresses.n; i++)
		(void)json_array_append_new(
			list, json_string(prefix_format(&a->addresses.v[i], text)));
	out = json_pack("{s:s, s:o, s:s, s:s, s:s, s:o, s:o}", "name", a->name, "allowed_ips", list,
			"public_key", key_to_base64(a->public_key, key), "endpoint", a->endpoint,
			"file", a->path, "live_ms", a->ms < 0 ? json_null() : json_real(a->ms),
			a->home_path ? "home_file" : "home",
			json_string(a->home_path ? a->home_path : a->home.text));
	if (!out)
		return complain("not enough memory");
	client_print_json(out);
	json_decref(out);
	return EXIT_GOOD;
}

/* Whatever goes to standard output is the home file, or for programs. */
static int print_home(struct adding *a)
{
	int err = 0;

	print_summary(a, a->home_path && !a->qr ? stdout : stderr);
	if (a->qr)
		err = qr_print(a->home.text, stdout);
	else if (!a->home_path)
		(void)fputs(a->home.text, stdout);
	return err ? complain("no QR code of the home file: %s", strerror(-err)) : EXIT_GOOD;
}

static int print(struct adding *a)
{
	int status;

	/* No copy of the key stays in the buffer. */
	(void)fflush(stdout);
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	status = a->json ? print_json(a) : print_home(a);
	if (status || !ferror(stdout))
		return status;
	clearerr(stdout); /* it is said here */
	return complain("cannot write the home file");
}

static void release(struct adding *a)
{
	draft_free(&a->tenant);
	draft_free(&a->home);
	sodium_free(a->secrets);
	free(a->endpoint);
	free(a->path);
	machine_free(&a->machine);
	holdings_free(&a->holdings);
}

static int add(const struct command *self, int argc, char **argv)
{
	static const struct rlimit none = { 0 };
	struct adding a;
	int status = parse(&a, self, argc, argv);

	/* The tenant's private key passes through here. */
	(void)setrlimit(RLIMIT_CORE, &none);
	/* Who reads no more gets no key, and then there is something to be undone. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (!status)
		status = prepare(&a);
	if (!status)
		status = write_files(&a);
	if (!status) {
		status = print(&a);
		/* A key that nobody has is no tenant. */
		if (status && !a.home_path && !newfile_remove(a.path))
			(void)complain("'%s' was removed again", a.name);
	}
	release(&a);
	return status;
}

const struct command command_add = {
	.name = "add",
	.arguments = "NAME [OPTION]...",
	.summary = "a new tenant, and the file for its home",
	.help = "Writes config.d/NAME.conf, waits until berthd has taken it, and prints the file for\n"
		"the tenant's home: for berth there, or for wg-quick. The tenant's private key is\n"
		"in that file and nowhere else.\n\n"
		"  --address ADDRESS   this address, or range; may stand several times. Without it\n"
		"                      the next free one, which for one NAME is always the same\n"
		"  --v4                an IPv4 address, too\n"
		"  --public-key KEY    the key was made at home; else both are made here\n"
		"  --psk               a preshared key besides\n"
		"  --endpoint HOST[:PORT]  where homes reach this gateway; else its own address\n"
		"  --home-file PATH    write the home file there (mode 0600), not to the terminal\n"
		"  --netns NAME        at home the interface goes into this namespace\n"
		"  --dns LIST          name servers for the home file\n"
		"  --qr                show the home file as a QR code, for a phone\n"
		"  --rate R, --rate-up R, --rate-down R, --quota Q, --quota-rate R, --blocked,\n"
		"  --expires DATE, --mtu N, --on-shared-key ACTION, --announce WHEN,\n"
		"  --isolate\n"
		"                      keys of [Tenant]: see tenant.conf.example\n"
		"  --json              for programs\n"
		"  -c, --config FILE   instead of " DEFAULT_CONFIG "\n\n"
		"    berth add blog --netns blog --home-file blog.conf\n"
		"    berth add phone --qr\n",
	.run = add,
};
