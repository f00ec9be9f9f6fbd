/* The commands: what each is called, takes and does, in words too.
 *
 * Layer: tools. Thread rule: constants.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_COMMANDS_H
#define CUTOUTD_TOOLS_CUTOUTCTL_COMMANDS_H

#include <stdio.h>

#include "tools/cutoutctl/command.h"

/* What the arguments are. */
enum takes {
    TAKES_WORDS,       /* key=value, or what the command looks at itself */
    TAKES_IDS,         /* ids of runs, sweeps, ... and nothing else */
    TAKES_ID_AND_WORDS /* an id first */
};

/* Options beside --curl, --server, --token-file, --cacert and --timeout, which all commands take.
 */
enum {
    OPTION_TABLE = 1, /* -o wide|json|csv */
    OPTION_JSON = 2,  /* -o json */
    OPTION_FILE = 4,  /* -o FILE */
    OPTION_TO = 8,
    OPTION_QUIET = 16,
    OPTION_YES = 32,
    OPTION_FOLLOW = 64
};

struct command {
    const char *name; /* "sweep", "sweep list" */
    command_function *function;
    enum takes takes;
    const char *of; /* what the ids are of: "run" */
    int least;      /* arguments */
    int most;       /* -1: any number */
    unsigned options;
    const char *arguments; /* as usage has them: "[ID...]" */
    const char *summary;   /* for the list of commands: a few words without a full stop */
    const char *more;      /* sentences; NULL: the summary says it all */
    const char *examples;  /* lines; NULL: none */
};

/* The command that the words begin with; *ret_n_words of them are its name. NULL: none, also for a
 * group
 * ("webhook") that has no command of this name. */
const struct command *commands_find(char *const *words, int n, int *ret_n_words);

/* Whether some command is `name`, or `name` and another word. */
bool commands_is_group(const char *name);

/* The list of all, as --help has it. */
void commands_list(FILE *out);

/* `name` alone, and all that begin with it ("sweep list"); false: there are none. */
bool commands_explain(FILE *out, const char *name);

#endif
