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
    EXIT_TROUBLE = 3,  /* the daemon cannot be talked to, or what it says cannot be written */
    EXIT_USAGE = 64
};

enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_CSV };

struct invocation {
    const struct client *client;
    const char *command; /* "submit", "sweep cancel" */
    const char *verb;    /* its last word: "cancel" */
    char *const *arguments;
    int n;
    enum output output;
    bool quiet;       /* print ids alone */
    bool yes;         /* do not ask */
    bool follow;      /* go on with what happens */
    const char *to;   /* --to; NULL: not given */
    const char *file; /* -o of commands that write one; NULL: not given */
};

typedef int command_function(const struct invocation *invocation);

/* Runs */
command_function command_submit, command_sweep, command_list, command_show, command_queue,
    command_act, command_watch, command_wait, command_curve, command_export, command_log,
    command_note, command_events, command_compare, command_figure, command_figure_cutout,
    command_checkpoint_list, command_checkpoint_get, command_checkpoint_save, command_fork,
    command_edit;
/* Sweeps */
command_function command_sweep_list, command_sweep_show, command_sweep_act, command_sweep_watch,
    command_sweep_wait, command_sweep_note, command_link_create, command_link_list,
    command_link_delete;
/* The server */
command_function command_scheduler, command_scheduler_turn, command_scheduler_workers,
    command_owners, command_audit, command_token, command_backup, command_purge,
    command_webhook_list, command_webhook_create, command_webhook_delete, command_webhook_test,
    command_webhook_deliveries;

/* Sends the call. true: it succeeded, the caller reads *answer. false: the command is over with
 * *ret_exit; the curl command was printed, or what went wrong said on stderr. answer_clear in
 * either case. A call that is to be done once is sent a few times, with a second or the Retry-After
 * of the answer between, when its answer got lost or is for later (503). */
bool command_ask(const struct client *client, const struct call *call, struct answer *answer,
                 int *ret_exit);

/* The same for a command that prints what the answer says. With --json this prints the answer as it
 * is, and the command is over, too. */
bool command_ask_to_print(const struct invocation *invocation, const struct call *call,
                          struct answer *answer, int *ret_exit);

/* All pages of a list at `path`, which has a query, in one array, which is the caller's. NULL: the
 * command is over with *ret_exit, as by command_ask. */
cJSON *command_ask_pages(const struct client *client, const char *path, int *ret_exit);

/* Sends a call without a body and says what came of it (said, a line without its newline), or
 * prints the answer with -o json. Returns the exit status. */
int command_do(const struct invocation *invocation, const char *method, const char *path,
               const char *said);

/* Asks on a terminal. false: no, or there is none to ask on; stderr says what did not happen
 * ("Nothing was started") and, without a terminal, what else to give; *ret_exit is set. */
bool command_confirm(const char *question, const char *nothing, const char *instead, int *ret_exit);

/* "cutoutctl: message" on stderr. */
void command_complain(const char *message);

/* Says what is wrong with the arguments, or that memory ran out. Returns the exit status. */
int command_refuse(const struct error *error);

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
