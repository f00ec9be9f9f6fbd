/* cutoutctl: the daemon's HTTP API from a terminal. Layer: tools. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/spec/run_spec.h"
#include "tools/cutoutctl/commands.h"

static const char usage_head[] = "usage: cutoutctl [OPTIONS] COMMAND [ARGUMENTS]\n";

static const char usage_tail[] =
    "\n"
    "Options, anywhere:\n"
    "  --curl             print the equal curl command instead of doing it\n"
    "  -o FORMAT          wide: all columns; csv; json: what the daemon answers\n"
    "  -o FILE            where a figure or checkpoint goes\n"
    "  --json             as -o json\n"
    "  -q, --quiet        print ids alone\n"
    "  -y, --yes          do not ask\n"
    "  -f, --follow       of log: go on with what happens\n"
    "  --to FORMAT        of export: tensorboard or csv\n"
    "  --server URL       else CUTOUTCTL_SERVER, else " SERVER_DEFAULT "; unix:PATH for a socket\n"
    "  --token-file FILE  else the token is in CUTOUTD_TOKEN, if the daemon wants one\n"
    "  --cacert FILE      else CUTOUTCTL_CACERT: a certificate to trust in https\n"
    "  --timeout S        for one answer (default 60)\n"
    "\n"
    "Exit status: 0 done; 1 refused; 3 the daemon cannot be talked to; 64 wrong usage. wait and\n"
    "watch: 0 all succeeded; 1 some failed; 2 some were canceled, none failed; 3 trouble, also a\n"
    "run that does not exist.\n";

struct options {
    struct client_place place;
    struct client client;
    struct invocation invocation;
    const char *o;  /* -o: a format or a file */
    unsigned given; /* OPTION_... */
    bool help;
    char **words; /* command and arguments, in argv's memory */
    int n_words;
};

static int misuse(const char *format, const char *word) {
    (void)fprintf(stderr, "cutoutctl: ");
    (void)fprintf(stderr, "%s%s%s\n", format, word[0] ? ": " : "", word);
    (void)fputs("cutoutctl --help says what there is.\n", stderr);
    return EXIT_USAGE;
}

/* Options without a value. false: it is none. */
static bool read_switch(const char *word, struct options *options) {
    if (strcmp(word, "--curl") == 0) {
        options->client.print_curl = true;
    } else if (strcmp(word, "--json") == 0) {
        options->o = "json";
    } else if (strcmp(word, "-q") == 0 || strcmp(word, "--quiet") == 0) {
        options->invocation.quiet = true;
        options->given |= OPTION_QUIET;
    } else if (strcmp(word, "-y") == 0 || strcmp(word, "--yes") == 0) {
        options->invocation.yes = true;
        options->given |= OPTION_YES;
    } else if (strcmp(word, "-f") == 0 || strcmp(word, "--follow") == 0) {
        options->invocation.follow = true;
        options->given |= OPTION_FOLLOW;
    } else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        options->help = true;
    } else {
        return false;
    }
    return true;
}

static int read_timeout(const char *text, struct options *options) {
    char *end = NULL;
    options->client.timeout_s = strtol(text, &end, 10);
    return *end == '\0' && options->client.timeout_s >= 1
               ? EXIT_DONE
               : misuse("--timeout takes whole seconds, at least 1", text);
}

/* Options may stand anywhere; words are moved to the front of argv. */
static int read_options(int argc, char **argv, struct options *options) {
    options->words = argv;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        int status = EXIT_DONE;
        if (word[0] != '-' || word[1] == '\0') {
            options->words[options->n_words++] = argv[i];
        } else if (read_switch(word, options)) {
            continue;
        } else if (i + 1 == argc) {
            return misuse("no such option, or its value is missing", word);
        } else if (strcmp(word, "-o") == 0) {
            options->o = argv[++i];
        } else if (strcmp(word, "--to") == 0) {
            options->invocation.to = argv[++i];
            options->given |= OPTION_TO;
        } else if (strcmp(word, "--server") == 0) {
            options->place.server = argv[++i];
        } else if (strcmp(word, "--token-file") == 0) {
            options->place.token_file = argv[++i];
        } else if (strcmp(word, "--cacert") == 0) {
            options->place.cacert = argv[++i];
        } else if (strcmp(word, "--timeout") == 0) {
            status = read_timeout(argv[++i], options);
        } else {
            return misuse("no such option, or its value is missing", word);
        }
        if (status != EXIT_DONE) {
            return status;
        }
    }
    return EXIT_DONE;
}

/* What -o means is the command's to say. */
static int read_output(const struct command *command, struct options *options) {
    static const char *const formats[] = {
        [OUTPUT_WIDE] = "wide", [OUTPUT_JSON] = "json", [OUTPUT_CSV] = "csv"};
    if (!options->o) {
        return EXIT_DONE;
    }
    if (command->options & OPTION_FILE) {
        options->invocation.file = options->o;
        return EXIT_DONE;
    }
    for (int i = OUTPUT_WIDE; i <= OUTPUT_CSV; i++) {
        unsigned needed = i == OUTPUT_JSON ? OPTION_JSON : OPTION_TABLE;
        if (strcmp(options->o, formats[i]) == 0 && command->options & needed) {
            options->invocation.output = (enum output)i;
            return EXIT_DONE;
        }
    }
    char message[128];
    (void)snprintf(message, sizeof(message), "%s has no output \"%.40s\"", command->name,
                   options->o);
    return misuse(message, "");
}

static int check_options(const struct command *command, struct options *options) {
    static const struct {
        unsigned option;
        const char *name;
    } names[] = {{OPTION_TO, "--to"},
                 {OPTION_QUIET, "--quiet"},
                 {OPTION_YES, "--yes"},
                 {OPTION_FOLLOW, "--follow"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (options->given & ~command->options & names[i].option) {
            char message[128];
            (void)snprintf(message, sizeof(message), "%s takes no %s", command->name,
                           names[i].name);
            return misuse(message, "");
        }
    }
    return read_output(command, options);
}

static bool is_id(const char *word) {
    size_t n = strspn(word, "0123456789");
    return n > 0 && n < 20 && word[n] == '\0';
}

static int check_arguments(const struct command *command, char *const *arguments, int n) {
    char message[160];
    if (n < command->least) {
        (void)snprintf(message, sizeof(message), "too little is said; usage: cutoutctl %s %.90s",
                       command->name, command->arguments);
        return misuse(message, "");
    }
    if (command->most >= 0 && n > command->most) {
        return misuse("too many arguments", command->name);
    }
    int n_ids = command->takes == TAKES_IDS ? n : command->takes == TAKES_ID_AND_WORDS && n > 0;
    for (int i = 0; i < n_ids; i++) {
        if (!is_id(arguments[i])) {
            (void)snprintf(message, sizeof(message), "not the id of a %s", command->of);
            return misuse(message, arguments[i]);
        }
    }
    return EXIT_DONE;
}

/* The fields come from the daemon's own table. */
static void print_fields(void) {
    const char *name = NULL;
    const char *help = NULL;
    (void)fputs("Fields of a run (labels: as label=key:value):\n", stdout);
    for (size_t i = 0; run_spec_field_help(i, &name, &help); i++) {
        (void)printf("  %-15s %s\n", name, help);
    }
}

static int print_help(char *const *words, int n_words) {
    char name[64];
    int n = 0;
    const struct command *command = n_words > 0 ? commands_find(words, n_words, &n) : NULL;
    if (n_words == 0) {
        (void)fputs(usage_head, stdout);
        commands_list(stdout);
        (void)fputs(usage_tail, stdout);
        return EXIT_DONE;
    }
    if (strcmp(words[0], "fields") == 0) {
        print_fields();
        return EXIT_DONE;
    }
    (void)snprintf(name, sizeof(name), "%.60s", command ? command->name : words[0]);
    if (!commands_explain(stdout, name)) {
        return misuse("no such command", words[0]);
    }
    if (strcmp(name, "submit") == 0 || strcmp(name, "sweep") == 0) {
        (void)putchar('\n');
        print_fields();
    }
    return EXIT_DONE;
}

static int no_such_command(const char *word) {
    if (!commands_is_group(word)) {
        return misuse("no such command", word);
    }
    (void)commands_explain(stderr, word);
    return EXIT_USAGE;
}

static int run_command(struct options *options) {
    int n_words = 0;
    const struct command *command = commands_find(options->words, options->n_words, &n_words);
    if (!command) {
        return no_such_command(options->words[0]);
    }
    const char *space = strchr(command->name, ' ');
    struct invocation *invocation = &options->invocation;
    invocation->client = &options->client;
    invocation->command = command->name;
    invocation->verb = space ? space + 1 : command->name;
    invocation->arguments = options->words + n_words;
    invocation->n = options->n_words - n_words;
    int status = check_options(command, options);
    if (status == EXIT_DONE) {
        status = check_arguments(command, invocation->arguments, invocation->n);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    struct error error;
    if (client_open(&options->client, &options->place, &error) != STATUS_OK) {
        command_complain(error.message);
        return EXIT_USAGE;
    }
    return command->function(invocation);
}

static int run(int argc, char **argv, struct options *options) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)puts("cutoutctl " CUTOUTD_VERSION);
        return EXIT_DONE;
    }
    int status = read_options(argc, argv, options);
    if (status != EXIT_DONE) {
        return status;
    }
    if (options->n_words > 0 && strcmp(options->words[0], "help") == 0) {
        return print_help(options->words + 1, options->n_words - 1);
    }
    if (options->help) {
        return print_help(options->words, options->n_words);
    }
    if (options->n_words == 0) {
        (void)fputs(usage_head, stderr);
        commands_list(stderr);
        (void)fputs(usage_tail, stderr);
        return EXIT_USAGE;
    }
    return run_command(options);
}

int main(int argc, char **argv) {
    (void)signal(SIGXFSZ, SIG_IGN);       /* the write fails with EFBIG, which says what is wrong */
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* how wide letters are */
    const char *server = getenv("CUTOUTCTL_SERVER");
    struct options options = {.place = {.server = server && server[0] ? server : SERVER_DEFAULT},
                              .client = {.timeout_s = 60}};
    int status = run(argc, argv, &options);
    client_close(&options.client);
    bool failed = ferror(stdout) != 0;
    failed = fflush(stdout) != 0 || failed;
    if (failed && status == EXIT_DONE) {
        command_complain("standard output cannot be written, and what is there is not whole");
        status = EXIT_TROUBLE;
    }
    return status;
}
