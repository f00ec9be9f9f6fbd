/* What the commands of cutoutctl share.
 *
 * Layer: tools. Thread rule: one thread. Commands print; what they call returns statuses.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_COMMAND_H
#define CUTOUTD_TOOLS_CUTOUTCTL_COMMAND_H

#include "tools/cutoutctl/client.h"

/* Exit statuses; documented in --help and README. */
enum exit_status {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,  /* by the daemon; wait, watch: some runs failed */
    EXIT_CANCELED = 2, /* wait, watch: none failed, some were canceled */
    EXIT_TROUBLE = 3,  /* the daemon cannot be talked to */
    EXIT_USAGE = 64
};

struct invocation {
    const struct client *client;
    const char *command; /* "submit" */
    char *const *arguments;
    int n;
    bool json;      /* print what the daemon answered */
    bool quiet;     /* print ids alone */
    const char *to; /* --to; NULL: not given */
};

typedef int command_function(const struct invocation *invocation);

command_function command_submit, command_sweep, command_list, command_show, command_queue,
    command_act, command_watch, command_wait, command_curve, command_export;

/* Sends the call. true: it succeeded, the caller reads *answer. false: the command is over with
 * *ret_exit; the curl command was printed, or what went wrong said on stderr. answer_clear in
 * either case. */
bool command_ask(const struct client *client, const struct call *call, struct answer *answer,
                 int *ret_exit);

/* The same for a command that prints what the answer says. With --json this prints the answer as it
 * is, and the command is over, too. */
bool command_ask_to_print(const struct invocation *invocation, const struct call *call,
                          struct answer *answer, int *ret_exit);

/* "cutoutctl: message" on stderr. */
void command_complain(const char *message);

/* A problem of RFC 9457 as sentences on stderr: its detail, then a line for each field. */
void command_print_problem(const cJSON *problem, long http_status);

/* Members that may be absent or null. */
const char *json_text(const cJSON *object, const char *name, const char *otherwise);
double json_number(const cJSON *object, const char *name, double otherwise);

enum { LABEL_SIZE = 160 };

/* "7  which m m=2 seed=1", or "7  M=2" for a run without a name. The run may be a short one.
 * Returns ret_text. */
const char *run_label(const cJSON *run, char ret_text[LABEL_SIZE]);

#endif
