/* SPDX-License-Identifier: MIT */
/* keygen and pubkey: what `wg genkey` and `wg pubkey` are. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth.h"

/* Neither takes any. */
static int refuse_arguments(const struct command *self, int argc, char **argv)
{
	static const struct option none[] = { { 0 } };
	int c = getopt_long(argc, argv, ":", none, NULL);

	if (c != -1)
		return complain_option(self, c, argv);
	if (optind < argc)
		return complain_usage(self, "there is no place for '%s'", argv[optind]);
	return EXIT_GOOD;
}

static void print_key(const uint8_t key[KEY_LEN])
{
	char text[KEY_BASE64_STRLEN];

	(void)puts(key_to_base64(key, text));
	(void)fflush(stdout);
	sodium_memzero(text, sizeof(text));
}

void keys_make(uint8_t private_key[KEY_LEN])
{
	randombytes_buf(private_key, KEY_LEN);
	/* RFC 7748 §5: as every implementation does when it uses the key. */
	private_key[0] &= 248;
	private_key[31] = (private_key[31] & 127) | 64;
}

static int keygen(const struct command *self, int argc, char **argv)
{
	uint8_t key[KEY_LEN];
	struct stat st;
	int status = refuse_arguments(self, argc, argv);

	if (status)
		return status;
	if (!fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode) && st.st_mode & 077)
		(void)complain("others may read the file this key goes to: `umask 077` first, "
			       "or `chmod 600` it now");
	keys_make(key);
	/* No copy stays in the buffer of stdout. */
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	print_key(key);
	sodium_memzero(key, sizeof(key));
	return EXIT_GOOD;
}

/* Bytes of stdin up to its end, at most room. -1: cannot be read. */
static ssize_t read_stdin(char *text, size_t room)
{
	size_t len = 0;

	while (len < room) {
		ssize_t n = read(STDIN_FILENO, text + len, room - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int pubkey(const struct command *self, int argc, char **argv)
{
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
	char text[KEY_BASE64_STRLEN + 16];
	int status = refuse_arguments(self, argc, argv);
	ssize_t n;
	int err;

	if (status)
		return status;
	n = read_stdin(text, sizeof(text) - 1);
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	text[max(n, (ssize_t)0)] = '\0';
	err = key_from_base64(private_key, text);
	sodium_memzero(text, sizeof(text));
	if (err)
		return complain("no private key on standard input: 44 characters of base64, "
				"as `berth keygen` writes them");
	err = crypto_scalarmult_base(public_key, private_key);
	sodium_memzero(private_key, sizeof(private_key));
	if (err)
		return complain("that private key has no public key");
	print_key(public_key);
	return EXIT_GOOD;
}

const struct command command_keygen = {
	.name = "keygen",
	.arguments = "",
	.summary = "make a private key, on standard output",
	.help = "    (umask 077; berth keygen > gateway.key)\n",
	.run = keygen,
};

const struct command command_pubkey = {
	.name = "pubkey",
	.arguments = "",
	.summary = "the public key of the private key on standard input",
	.help = "    berth pubkey < gateway.key\n",
	.run = pubkey,
};
