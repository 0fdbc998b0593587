/* SPDX-License-Identifier: MIT */
/*
 * completion: what bash, zsh and fish need to know, out of the table of commands: an
 * option is a word that begins with "--" in how a command is used or explained.
 */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>

#include "berth.h"

enum { OPTIONS_MAX = 48, OPTION_MAX = 32 };

struct words {
	char v[OPTIONS_MAX][OPTION_MAX];
	size_t n;
};

static void add_word(struct words *words, const char *word, size_t len)
{
	if (len >= OPTION_MAX || words->n == OPTIONS_MAX)
		return;
	for (size_t i = 0; i < words->n; i++)
		if (strncmp(words->v[i], word, len) == 0 && !words->v[i][len])
			return;
	memcpy(words->v[words->n], word, len);
	words->v[words->n++][len] = '\0';
}

static void find_words(struct words *words, const char *text)
{
	while ((text = strstr(text, "--"))) {
		size_t len = 2;

		while (islower((unsigned char)text[len]) || (text[len] == '-' && len > 2))
			len++;
		if (len > 2)
			add_word(words, text, len);
		text += len;
	}
}

static void find_options(struct words *words, const struct command *command)
{
	words->n = 0;
	find_words(words, command->arguments);
	find_words(words, command->help);
	add_word(words, "--help", strlen("--help"));
}

/* Is its first argument the name of a tenant that is there? */
static bool takes_tenant(const struct command *command)
{
	return strncmp(command->arguments, "NAME", 4) == 0 && command != &command_add;
}

static void print_options(const struct command *command)
{
	struct words words;

	find_options(&words, command);
	for (size_t i = 0; i < words.n; i++)
		(void)printf("%s%s", i ? " " : "", words.v[i]);
}

static void print_names(const char *between, bool tenants)
{
	bool any = false;

	for (size_t i = 0; commands[i]; i++) {
		if (tenants && !takes_tenant(commands[i]))
			continue;
		(void)printf("%s%s", any ? between : "", commands[i]->name);
		any = true;
	}
}

/* bash, and zsh by its bashcompinit, which takes the same function. */
static void print_bash(void)
{
	(void)printf("_berth()\n{\n"
		     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n\n"
		     "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords='");
	print_names(" ", false);
	(void)printf(" --help --version'\n\telse\n\t\tcase ${COMP_WORDS[1]},$cur in\n");
	for (size_t i = 0; commands[i]; i++) {
		(void)printf("\t\t%s,-*) words='", commands[i]->name);
		print_options(commands[i]);
		(void)printf("' ;;\n");
	}
	(void)printf("\t\tcompletion,*) words='bash zsh fish' ;;\n\t\t");
	print_names(",*|", true);
	(void)printf(",*) words=$(berth list --names 2>/dev/null) ;;\n"
		     "\t\tesac\n\tfi\n"
		     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
		     "complete -o default -F _berth berth\n");
}

static void print_zsh(void)
{
	(void)printf("#compdef berth\nautoload -U +X bashcompinit && bashcompinit\n");
	print_bash();
}

/* A word in quotes of fish, where nothing but ' and \\ is special. */
static void print_quoted(const char *text)
{
	(void)putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			(void)putchar('\\');
		(void)putchar(*text);
	}
	(void)putchar('\'');
}

static void print_fish(void)
{
	struct words words;

	(void)printf("complete -c berth -n __fish_use_subcommand -f\n");
	for (size_t i = 0; commands[i]; i++) {
		(void)printf("complete -c berth -n __fish_use_subcommand -f -a %s -d ",
			     commands[i]->name);
		print_quoted(commands[i]->summary);
		(void)putchar('\n');
		find_options(&words, commands[i]);
		for (size_t k = 0; k < words.n; k++)
			(void)printf("complete -c berth -n '__fish_seen_subcommand_from %s' -l %s\n",
				     commands[i]->name, words.v[k] + 2);
	}
	(void)printf("complete -c berth -n '__fish_seen_subcommand_from completion' -f "
		     "-a 'bash zsh fish'\n"
		     "complete -c berth -n '__fish_seen_subcommand_from ");
	print_names(" ", true);
	(void)printf("' -f -a '(berth list --names 2>/dev/null)'\n");
}

static int completion(const struct command *self, int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
	static const struct option none[] = { { 0 } };
	int c = getopt_long(argc, argv, ":", none, NULL);

	if (c != -1)
		return complain_option(self, c, argv);
	for (size_t i = 0; argc - optind == 1 && i < ARRAY_SIZE(shells); i++) {
		if (strcmp(argv[optind], shells[i].name) == 0) {
			shells[i].print();
			return EXIT_GOOD;
		}
	}
	return complain_usage(self, "one shell is wanted: bash, zsh or fish");
}

const struct command command_completion = {
	.name = "completion",
	.arguments = "bash|zsh|fish",
	.summary = "the shell's completion of this command",
	.help = "    . <(berth completion bash)\n\n`make install` puts all three where the shells look.\n",
	.run = completion,
};
