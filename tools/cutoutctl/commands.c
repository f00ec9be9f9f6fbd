/* Layer: tools. */
#include "tools/cutoutctl/commands.h"

#include <string.h>

#define TABLE (OPTION_TABLE | OPTION_JSON)
#define ONE_OR_MORE 1, -1

static const char fork_more[] =
    "From its last checkpoint, from the best one (from_epoch=best) or from that of an epoch "
    "(from_epoch=0: anew), with the fields that are given changed.";
static const char edit_more[] = "label=team:vision sets a label and leaves others alone, "
                                "label=team- takes it away. A name is "
                                "given to one run at a time. Other fields: fork.";
static const char note_more[] =
    "TEXT, Markdown of at most 16 KiB, takes the place of what is there. Standard input is read "
    "for -, and '' takes the note away.";
static const char compare_more[] =
    "By their best errors, the time until a target and the differences to a baseline. The runs are "
    "those of the ids, or of sweep=ID; group_by=m, x=seconds, metric=val_loss, target=0.06 and "
    "baseline=2 are as in GET /compare. -o csv has the curves.";
static const char figure_more[] =
    "The end of FILE says whether as PDF, SVG or PNG. The arguments are those of compare, and "
    "theme=dark, title=, width=, height=, y=log, smooth=5, seeds=each, zoom= and hide= as in GET "
    "/figures.";

static const struct command commands[] = {
    /* Runs */
    {"submit", command_submit, TAKES_WORDS, "", 0, -1, OPTION_JSON | OPTION_QUIET | OPTION_YES,
     "[FIELD=VALUE...]", "submit a run",
     "Every field of the API, without JSON; what is left out comes from the preset. after=1,2 lets "
     "it "
     "wait until these have succeeded, label=key:value may be repeated. Without any field it says "
     "what "
     "would start, and asks.",
     "cutoutctl submit m=8 cutout_size=12 epochs=50\n"
     "cutoutctl submit preset=paper label=team:vision after=1,2"},
    {"sweep", command_sweep, TAKES_WORDS, "", ONE_OR_MORE, OPTION_JSON | OPTION_QUIET,
     "FIELD=VALUE,VALUE...", "submit a run for each combination of several values",
     "halving={\"first_epochs\":5,\"eta\":3} has them pause at epochs 5, 15, 45, ..., where the "
     "best third "
     "goes on; the others stay paused, and wait takes them as ended.",
     "cutoutctl sweep m=2,4,8 seed=1,2,3 name='which m'"},
    {"list", command_list, TAKES_WORDS, "", 0, -1, TABLE | OPTION_QUIET, "[FILTER=VALUE,VALUE...]",
     "list runs, the newest first",
     "Filters such as state=queued,running, m=8,16, label=team:vision, sweep=3 or text=zebra; "
     "sort=best, "
     "limit=20. They are those of GET /api/v1/runs.",
     "cutoutctl list state=running,queued\ncutoutctl list m=8 sort=best limit=10 -o csv"},
    {"show", command_show, TAKES_IDS, "run", 1, 1, OPTION_JSON, "ID",
     "show all that is known of a run", "A line a value.", NULL},
    {"watch", command_watch, TAKES_IDS, "run", 0, -1, 0, "[ID...]",
     "show progress until runs have ended", "All active runs when none is named.", NULL},
    {"wait", command_wait, TAKES_IDS, "run", ONE_OR_MORE, 0, "ID...", "wait until runs have ended",
     "In silence. The exit status says how they ended.",
     "cutoutctl wait $(cutoutctl submit -q m=8) && echo done"},
    {"log", command_log, TAKES_IDS, "run", 1, 1, OPTION_FOLLOW, "[-f] ID",
     "print what happened to a run", "With -f also what happens, until it has ended.", NULL},
    {"note", command_note, TAKES_ID_AND_WORDS, "run", 1, 2, 0, "ID [TEXT|-]",
     "show what was noted about a run, or note it", note_more,
     "cutoutctl note 7 'the rate was too high'\ncutoutctl note 7 - < notes.md"},
    {"events", command_events, TAKES_IDS, "run", 0, 1, OPTION_JSON, "[ID]",
     "follow what happens, to one run or to all",
     "A line an event, from now on: of one run until it has ended, of all until Ctrl-C. With -o "
     "json an "
     "object a line, steps too.",
     NULL},
    {"curve", command_curve, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "validation errors as a table and a plot", NULL, NULL},
    {"compare", command_compare, TAKES_WORDS, "", ONE_OR_MORE, TABLE, "ID...|NAME=VALUE...",
     "compare groups of runs", compare_more, "cutoutctl compare sweep=1 target=0.06 baseline=2"},
    {"figure", command_figure, TAKES_WORDS, "", ONE_OR_MORE, OPTION_FILE,
     "-o FILE ID...|NAME=VALUE...", "draw the curves of runs into a file", figure_more,
     "cutoutctl figure -o curves.pdf sweep=1 group_by=m target=0.06"},
    {"figure cutout", command_figure_cutout, TAKES_WORDS, "", 0, -1, OPTION_FILE,
     "-o FILE.png [FIELD=VALUE...]", "draw what cutout makes of an image",
     "The fields of a run that change images, and index=, epoch= and theme= as in GET "
     "/figures/cutout.png.",
     "cutoutctl figure cutout -o cut.png m=8 cutout_size=12 index=20"},
    {"checkpoint list", command_checkpoint_list, TAKES_IDS, "run", 1, 1, TABLE, "ID",
     "list the checkpoints of a run", NULL, NULL},
    {"checkpoint get", command_checkpoint_get, TAKES_ID_AND_WORDS, "run", 1, 2, OPTION_FILE,
     "ID [best|last] [-o FILE]", "download the weights of a run",
     "The best ones unless last is said, into run-ID-best.safetensors unless -o names a file (-: "
     "standard "
     "output). What has arrived is held against its SHA-256.",
     NULL},
    {"checkpoint save", command_checkpoint_save, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON,
     "ID...", "have running runs write a checkpoint now",
     "After the step that they are at; they go on. checkpoint list says when it is there.", NULL},
    {"fork", command_fork, TAKES_ID_AND_WORDS, "run", ONE_OR_MORE, OPTION_JSON | OPTION_QUIET,
     "ID [from_epoch=best|N] [FIELD=VALUE...]", "submit a run that goes on from another one",
     fork_more, "cutoutctl fork 7 from_epoch=best lr=1e-4 epochs=100"},
    {"edit", command_edit, TAKES_ID_AND_WORDS, "run", 2, -1, OPTION_JSON, "ID... NAME=VALUE...",
     "change priority, labels, name or not_before of runs", edit_more,
     "cutoutctl edit 7 8 priority=5 label=team:vision\n"
     "cutoutctl edit 7 name='the good one' label=paper:figure-2"},
    {"cancel", command_act, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "end runs, those that train with a checkpoint", NULL, NULL},
    {"kill", command_act, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "end runs at once, without a checkpoint", NULL, NULL},
    {"pause", command_act, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "stop runs at a checkpoint until resume", NULL, NULL},
    {"resume", command_act, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "queue paused runs again", NULL, NULL},
    {"hold", command_act, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "keep waiting runs from starting", NULL, NULL},
    {"release", command_act, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "let held runs start", NULL, NULL},
    {"requeue", command_act, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "queue runs again that failed or were canceled", "They go on from their last checkpoints.",
     NULL},
    {"delete", command_act, TAKES_IDS, "run", ONE_OR_MORE, OPTION_JSON, "ID...",
     "delete runs that are not trained now, with their files",
     "Also those that wait or are held or paused: what these have trained is lost. One that is "
     "trained is refused, and one that another waits for.",
     NULL},
    {"export", command_export, TAKES_WORDS, "", ONE_OR_MORE, OPTION_TO, "DIR [ID...]",
     "write histories as files for other programs",
     "Of all runs that have one when none is named. --to tensorboard: an event file a run in "
     "DIR/run-ID "
     "(DIR is TensorBoard's log directory); --to csv: DIR/run-ID.csv with a line an epoch, and "
     "DIR/runs.csv with a line a run. An export can be repeated: a file that has become longer "
     "grows, no "
     "epoch is in it twice.",
     "cutoutctl export --to tensorboard /srv/events"},
    /* Sweeps */
    {"sweep list", command_sweep_list, TAKES_WORDS, "", 0, -1, TABLE | OPTION_QUIET, "[limit=N]",
     "list sweeps, the newest first", NULL, NULL},
    {"sweep show", command_sweep_show, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "show a sweep and its runs", NULL, NULL},
    {"sweep watch", command_sweep_watch, TAKES_IDS, "sweep", 1, 1, 0, "ID",
     "show progress until all its runs have ended", NULL, NULL},
    {"sweep wait", command_sweep_wait, TAKES_IDS, "sweep", 1, 1, 0, "ID",
     "wait until all its runs have ended", "In silence. The exit status says how they ended.",
     NULL},
    {"sweep note", command_sweep_note, TAKES_ID_AND_WORDS, "sweep", 1, 2, 0, "ID [TEXT|-]",
     "show what was noted about a sweep, or note it", note_more, NULL},
    {"sweep cancel", command_sweep_act, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "end its runs, those that train with a checkpoint", NULL, NULL},
    {"sweep kill", command_sweep_act, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "end its runs at once, without a checkpoint", NULL, NULL},
    {"sweep pause", command_sweep_act, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "stop its runs at a checkpoint until resume", NULL, NULL},
    {"sweep resume", command_sweep_act, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "queue its paused runs again", NULL, NULL},
    {"sweep hold", command_sweep_act, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "keep its waiting runs from starting", NULL, NULL},
    {"sweep release", command_sweep_act, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "let its held runs start", NULL, NULL},
    {"sweep requeue", command_sweep_act, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "queue its runs again that failed or were canceled", NULL, NULL},
    {"sweep delete", command_sweep_act, TAKES_IDS, "sweep", 1, 1, OPTION_JSON, "ID",
     "delete it, its runs and their files", NULL, NULL},
    {"link create", command_link_create, TAKES_ID_AND_WORDS, "sweep", 1, 2, OPTION_JSON,
     "SWEEP [expires_at=TIME]", "make a link that shows a sweep without a token",
     "For 30 days unless expires_at=2030-01-31T12:00:00Z says otherwise.", NULL},
    {"link list", command_link_list, TAKES_IDS, "sweep", 1, 1, TABLE, "SWEEP",
     "list the links of a sweep", NULL, NULL},
    {"link delete", command_link_delete, TAKES_IDS, "link", 1, 1, 0, "ID", "withdraw a link", NULL,
     NULL},
    /* The server */
    {"queue", command_queue, TAKES_WORDS, "", 0, -1, TABLE, "[limit=N]",
     "show what trains, what waits and why", NULL, NULL},
    {"scheduler", command_scheduler, TAKES_WORDS, "", 0, 0, OPTION_JSON, "",
     "show whether runs start, and how many at once", NULL, NULL},
    {"scheduler drain", command_scheduler_turn, TAKES_WORDS, "", 0, 0, OPTION_JSON, "",
     "start no more runs; what trains goes on", NULL, NULL},
    {"scheduler resume", command_scheduler_turn, TAKES_WORDS, "", 0, 0, OPTION_JSON, "",
     "start runs again", NULL, NULL},
    {"scheduler workers", command_scheduler_workers, TAKES_WORDS, "", 1, 1, OPTION_JSON, "N",
     "change how many runs train at once, also after a restart", NULL, NULL},
    {"owners", command_owners, TAKES_WORDS, "", 0, -1, TABLE, "[limit=N]",
     "show what each owner has and used", "Core-hours of the last 24 hours, 7 and 30 days.", NULL},
    {"audit", command_audit, TAKES_WORDS, "", 0, -1, TABLE, "[owner=NAME] [subject=KIND] [limit=N]",
     "show who changed what, the newest first", "An admin's.",
     "cutoutctl audit subject=run subject_id=7"},
    {"token", command_token, TAKES_WORDS, "", 0, 0, OPTION_JSON, "",
     "say which token is used, and what it may do",
     "cutoutd token makes, lists and revokes them, on the daemon's machine.", NULL},
    {"backup", command_backup, TAKES_WORDS, "", 0, 2, OPTION_JSON, "[name=NAME] [checkpoints=true]",
     "copy the database into STATE_DIR/backups", "An admin's; the daemon goes on.", NULL},
    {"purge", command_purge, TAKES_WORDS, "", 1, 1, OPTION_JSON | OPTION_YES, "DAYS",
     "remove checkpoints of runs that ended long ago",
     "An admin's. All but the best ones, of runs that ended more than DAYS days ago; histories "
     "stay. It says what would go, and asks; in a script it removes nothing without --yes.",
     "cutoutctl purge 30"},
    {"webhook list", command_webhook_list, TAKES_WORDS, "", 0, 0, TABLE, "", "list webhooks", NULL,
     NULL},
    {"webhook create", command_webhook_create, TAKES_WORDS, "", 2, -1, OPTION_JSON,
     "name=NAME url=URL [events=EVENT,EVENT...] [template=json|slack|mattermost|ntfy] "
     "[target=ERROR]",
     "have a URL told of events",
     "An admin's. Events: run_ended, sweep_ended, target_reached (with target=0.06), stalled, "
     "disk_low. "
     "Without events it is told of the runs that name it in notify. The secret that its messages "
     "are signed "
     "with is printed, and never shown again.",
     "cutoutctl webhook create name=lab url=https://chat.example/hook events=run_ended "
     "template=slack"},
    {"webhook delete", command_webhook_delete, TAKES_IDS, "webhook", 1, 1, 0, "ID",
     "forget a webhook and its deliveries", NULL, NULL},
    {"webhook test", command_webhook_test, TAKES_IDS, "webhook", 1, 1, OPTION_JSON, "ID",
     "send a test to a webhook", NULL, NULL},
    {"webhook deliveries", command_webhook_deliveries, TAKES_ID_AND_WORDS, "webhook", 1, 2, TABLE,
     "ID [limit=N]", "show what a webhook was told, and what is still to be told", NULL, NULL},
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]), NAME_WIDTH = 19 };

/* Where the groups of the list begin. */
static const struct {
    const char *first;
    const char *title;
} groups[] = {{"submit", "Runs"}, {"sweep list", "Sweeps"}, {"queue", "The server"}};

static bool is_named(const char *name, const char *first, const char *second) {
    size_t n = strlen(first);
    return strncmp(name, first, n) == 0 &&
           (second ? name[n] == ' ' && strcmp(name + n + 1, second) == 0 : name[n] == '\0');
}

const struct command *commands_find(char *const *words, int n, int *ret_n_words) {
    for (int n_words = n > 1 ? 2 : 1; n_words > 0; n_words--) {
        for (size_t i = 0; i < N_COMMANDS; i++) {
            if (is_named(commands[i].name, words[0], n_words > 1 ? words[1] : NULL)) {
                *ret_n_words = n_words;
                return &commands[i];
            }
        }
    }
    return NULL;
}

static bool is_in_group(const char *name, const char *group) {
    size_t n = strlen(group);
    return strncmp(name, group, n) == 0 && (name[n] == '\0' || name[n] == ' ');
}

bool commands_is_group(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (is_in_group(commands[i].name, name)) {
            return true;
        }
    }
    return false;
}

void commands_list(FILE *out) {
    for (size_t i = 0; i < N_COMMANDS; i++) {
        for (size_t k = 0; k < sizeof(groups) / sizeof(groups[0]); k++) {
            if (strcmp(groups[k].first, commands[i].name) == 0) {
                (void)fprintf(out, "\n%s:\n", groups[k].title);
            }
        }
        (void)fprintf(out, "  %-*s %s\n", NAME_WIDTH, commands[i].name, commands[i].summary);
    }
    (void)fprintf(out, "  %-*s %s\n", NAME_WIDTH, "help COMMAND",
                  "explain a command; help fields: the fields of a run");
}

/* Broken between words, each line with two spaces in front. */
static void put_paragraph(FILE *out, const char *text) {
    enum { LINE_WIDTH = 96 };
    size_t column = 0;
    for (const char *word = text; *word;) {
        size_t n = strcspn(word, " ");
        if (column > 0 && column + 1 + n > LINE_WIDTH) {
            (void)fputc('\n', out);
            column = 0;
        }
        (void)fprintf(out, "%s%.*s", column > 0 ? " " : "  ", (int)n, word);
        column += n + (column > 0 ? 1 : 2);
        word += n + (word[n] == ' ');
    }
    (void)fputc('\n', out);
}

static void put_options(FILE *out, unsigned options) {
    static const struct {
        unsigned option;
        const char *text;
    } texts[] = {
        {OPTION_TABLE,
         "  -o wide|csv|json   all columns; for spreadsheets; what the daemon answers (--json)\n"},
        {OPTION_JSON, "  -o json, --json    what the daemon answers\n"},
        {OPTION_FILE, "  -o FILE            where to; -: standard output\n"},
        {OPTION_TO, "  --to FORMAT        tensorboard or csv\n"},
        {OPTION_QUIET, "  -q, --quiet        ids alone\n"},
        {OPTION_YES, "  -y, --yes          do not ask\n"},
        {OPTION_FOLLOW, "  -f, --follow       go on with what happens, until the run has ended\n"},
    };
    if (options & OPTION_TABLE) {
        options &= ~(unsigned)OPTION_JSON;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        (void)fputs(options & texts[i].option ? texts[i].text : "", out);
    }
}

static void explain(FILE *out, const struct command *command) {
    (void)fprintf(out, "cutoutctl %s%s%s\n  %c%s.\n", command->name,
                  command->arguments[0] ? " " : "", command->arguments,
                  command->summary[0] - 'a' + 'A', command->summary + 1);
    if (command->more) {
        put_paragraph(out, command->more);
    }
    put_options(out, command->options);
    for (const char *line = command->examples; line && *line;) {
        size_t n = strcspn(line, "\n");
        (void)fprintf(out, "    %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

bool commands_explain(FILE *out, const char *name) {
    bool found = false;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (is_in_group(commands[i].name, name)) {
            (void)fputs(found ? "\n" : "", out);
            explain(out, &commands[i]);
            found = true;
        }
    }
    return found;
}
