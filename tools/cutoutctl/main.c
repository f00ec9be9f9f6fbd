/* cutoutctl: the daemon's HTTP API from a terminal. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/spec/run_spec.h"
#include "tools/cutoutctl/command.h"

static const char usage[] =
    "usage: cutoutctl [OPTIONS] COMMAND [ARGUMENTS]\n"
    "\n"
    "  submit m=8 cutout_size=12 [name=..] [after=1,2] [label=key:value]\n"
    "                                   one run; every field of the API, without JSON\n"
    "  sweep m=2,4,8 seed=1,2,3 [preset=..] [name=..]\n"
    "                                   a run for each combination of the several values\n"
    "  list [state=queued,running] [m=8] [sort=best] [limit=20] ...\n"
    "  show ID                          all that is known of a run\n"
    "  watch [ID...]                    progress until all have ended; all active runs by default\n"
    "  wait ID...                       the same in silence\n"
    "  curve ID...                      validation errors as a table and a plot\n"
    "  cancel | kill | pause | resume | hold | release | requeue | delete ID...\n"
    "  queue                            what trains, what waits and why\n"
    "  export DIR [ID...]               histories as files (--to); all by default; again: what is "
    "new\n"
    "\n"
    "  --curl             print the equal curl command instead of doing it\n"
    "  -q, --quiet        print ids alone (submit, sweep, list)\n"
    "  --json             print what the daemon answers\n"
    "  --to FORMAT        of export: tensorboard or csv\n"
    "  --server URL       else CUTOUTCTL_SERVER, else " SERVER_DEFAULT "; unix:PATH for a socket\n"
    "  --token-file FILE  else the token is in CUTOUTCTL_TOKEN, if the daemon wants one\n"
    "  --cacert FILE      else CUTOUTCTL_CACERT: a certificate to trust in https\n"
    "  --timeout S        for one answer (default 60)\n"
    "\n"
    "Exit status: 0 done; 1 refused; 3 the daemon cannot be talked to; 64 wrong usage. wait and\n"
    "watch: 0 all succeeded; 1 some failed; 2 some were canceled, none failed; 3 trouble, also a\n"
    "run that does not exist.\n";

struct command {
    const char *name;
    command_function *function;
    bool takes_ids; /* and nothing else */
    int least;      /* arguments */
    int most;       /* -1: any number */
};

static const struct command commands[] = {
    {"submit", command_submit, false, 0, -1}, {"sweep", command_sweep, false, 1, -1},
    {"list", command_list, false, 0, -1},     {"show", command_show, true, 1, 1},
    {"watch", command_watch, true, 0, -1},    {"wait", command_wait, true, 1, -1},
    {"curve", command_curve, true, 1, -1},    {"cancel", command_act, true, 1, -1},
    {"kill", command_act, true, 1, -1},       {"pause", command_act, true, 1, -1},
    {"resume", command_act, true, 1, -1},     {"hold", command_act, true, 1, -1},
    {"release", command_act, true, 1, -1},    {"requeue", command_act, true, 1, -1},
    {"delete", command_act, true, 1, -1},     {"queue", command_queue, false, 0, 0},
    {"export", command_export, false, 1, -1},
};

struct options {
    struct client_place place;
    struct client client;
    struct invocation invocation;
    char **words; /* command and arguments, in argv's memory */
    int n_words;
};

static int misuse(const char *format, const char *word) {
    (void)fprintf(stderr, "cutoutctl: ");
    (void)fprintf(stderr, "%s%s%s\n", format, word[0] ? ": " : "", word);
    (void)fputs("cutoutctl --help says what there is.\n", stderr);
    return EXIT_USAGE;
}

/* Options may stand anywhere; words are moved to the front of argv. */
static int read_options(int argc, char **argv, struct options *options) {
    options->words = argv;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (word[0] != '-' || word[1] == '\0') {
            options->words[options->n_words++] = argv[i];
        } else if (strcmp(word, "--curl") == 0) {
            options->client.print_curl = true;
        } else if (strcmp(word, "--json") == 0) {
            options->invocation.json = true;
        } else if (strcmp(word, "-q") == 0 || strcmp(word, "--quiet") == 0) {
            options->invocation.quiet = true;
        } else if (strcmp(word, "--to") == 0 && i + 1 < argc) {
            options->invocation.to = argv[++i];
        } else if (strcmp(word, "--server") == 0 && i + 1 < argc) {
            options->place.server = argv[++i];
        } else if (strcmp(word, "--token-file") == 0 && i + 1 < argc) {
            options->place.token_file = argv[++i];
        } else if (strcmp(word, "--cacert") == 0 && i + 1 < argc) {
            options->place.cacert = argv[++i];
        } else if (strcmp(word, "--timeout") == 0 && i + 1 < argc) {
            char *end = NULL;
            options->client.timeout_s = strtol(argv[++i], &end, 10);
            if (*end != '\0' || options->client.timeout_s < 1) {
                return misuse("--timeout takes whole seconds, at least 1", argv[i]);
            }
        } else {
            return misuse("no such option, or its value is missing", word);
        }
    }
    return EXIT_DONE;
}

static bool is_id(const char *word) {
    size_t n = strspn(word, "0123456789");
    return n > 0 && n < 20 && word[n] == '\0';
}

static int check_arguments(const struct command *command, char *const *arguments, int n) {
    if (n < command->least) {
        return misuse(command->takes_ids ? "the id of a run is missing" : "arguments are missing",
                      command->name);
    }
    if (command->most >= 0 && n > command->most) {
        return misuse("too many arguments", command->name);
    }
    for (int i = 0; i < n && command->takes_ids; i++) {
        if (!is_id(arguments[i])) {
            return misuse("not the id of a run", arguments[i]);
        }
    }
    return EXIT_DONE;
}

static int run_command(struct options *options) {
    const char *name = options->words[0];
    const struct command *command = NULL;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            command = &commands[i];
        }
    }
    if (!command) {
        return misuse("no such command", name);
    }
    struct invocation *invocation = &options->invocation;
    invocation->client = &options->client;
    invocation->command = name;
    invocation->arguments = options->words + 1;
    invocation->n = options->n_words - 1;
    int status = check_arguments(command, invocation->arguments, invocation->n);
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

/* The fields come from the daemon's own table. */
static void print_help(void) {
    const char *name = NULL;
    const char *help = NULL;
    (void)fputs(usage, stdout);
    (void)fputs("\nFields of a run (labels: as label=key:value):\n", stdout);
    for (size_t i = 0; run_spec_field_help(i, &name, &help); i++) {
        (void)printf("  %-15s %s\n", name, help);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help();
        return EXIT_DONE;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)puts("cutoutctl " CUTOUTD_VERSION);
        return EXIT_DONE;
    }
    const char *server = getenv("CUTOUTCTL_SERVER");
    struct options options = {.place = {.server = server && server[0] ? server : SERVER_DEFAULT},
                              .client = {.timeout_s = 60}};
    int status = read_options(argc, argv, &options);
    if (status == EXIT_DONE && options.n_words == 0) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (status == EXIT_DONE) {
        status = run_command(&options);
    }
    client_close(&options.client);
    if (fflush(stdout) != 0 && status == EXIT_DONE) {
        command_complain("the output cannot be written");
        status = EXIT_TROUBLE;
    }
    return status;
}
