/* What trains runs: in this process, or somewhere else.
 *
 * Layer: daemon/work. Thread rule: at each function.
 *
 * The pool chooses which run starts, with which executor; the executor trains it and reports. An
 * attempt is known to both by its handle, which is stored in the commit that makes the run running,
 * before start is called. So after a crash the row names whatever may have been started: the next
 * daemon attaches to it, or learns that there is nothing by that name, and then starts another
 * attempt. Nothing is started twice.
 */
#ifndef CUTOUTD_DAEMON_WORK_EXECUTOR_H
#define CUTOUTD_DAEMON_WORK_EXECUTOR_H

#include "core/base/log.h"
#include "core/train/trainer.h"
#include "daemon/store/change/run_report.h"
#include "daemon/store/table/run_table.h"

enum { EXECUTOR_PATH_SIZE = 4096, EXECUTOR_MOST = 8 };

/* The name of the one that trains in this process. */
#define EXECUTOR_NAME_LOCAL "local"

/* What a run is trained with, as its executor sees it. */
struct executor_origin {
    char variant[RUN_VARIANT_SIZE]; /* kernels: such as keep the run's arithmetic, where it can */
    char arithmetic[RUN_ARITHMETIC_SIZE]; /* of them (core/nn/arithmetic.h) */
    char dataset_sha256[SHA256_HEX_SIZE]; /* of all images and labels */
    int steps_per_epoch;
    int64_t images_per_epoch; /* all copies counted */
};

/* Whether a run could be trained. */
struct executor_admission {
    int64_t needed_bytes; /* of memory, beside the data set */
    int64_t limit_bytes;
    bool has_images;    /* the data set is there, or was: a run waits until it is there again */
    int n_train_images; /* of the data set when it was last there, as the next; 0: unknown */
    int n_test_images;
};

/* What some steps of a run took. */
struct executor_speed {
    double images_per_second; /* all copies counted */
    int n_steps;              /* that were timed */
    int n_images;             /* of each */
    int n_threads;
};

/* How to train an attempt; filled by struct executor_reports.begin. */
struct executor_plan {
    char variant[RUN_VARIANT_SIZE];     /* kernels to use */
    char run_dir[EXECUTOR_PATH_SIZE];   /* exists; checkpoints go there */
    struct checkpoint_list checkpoints; /* to go on from, in run_dir: the first that is intact */
    bool any_arithmetic;                /* also from one of another arithmetic */
};

/* Frees and zeroes. A zeroed plan is fine. */
void executor_plan_clear(struct executor_plan *plan);

/* What lines of the log about the run are about; the strings are the row's. */
struct log_subject run_row_subject(const struct run_row *run);

/* The epochs that the run took over from another; 0: none. */
int executor_forked_epoch(const struct run_row *run);

/* Whether the run would go on with its own bits. A fork took bits over that were trained with the
 * settings of another run, and has its own since: what follows '+' is not compared. */
bool executor_keeps_arithmetic(const struct run_row *run, const char *arithmetic);

/* Whether the checkpoint is of the run that this one was forked from. */
bool executor_is_foreign(const struct run_row *run, const struct checkpoint_row *checkpoint);

/* Checkpoints that the daemon's user may not read: what is in them may be whole. One is passed
 * over, and what was trained since the one before is trained again. Where there are several, or
 * nothing else is left, as after root has served the directory by hand, nothing is trained and
 * nothing forgotten: once they are the daemon's again the run goes on from the last. */
struct executor_forbidden {
    const char *path; /* borrowed; NULL: none yet */
    struct error why;
};

/* One more; a path that was met before is none. STATUS_FORBIDDEN with the remedy: it is the second.
 */
enum status executor_pass_forbidden(struct executor_forbidden *forbidden, const char *path,
                                    const struct error *why, struct error *error);

/* Nothing else is left. STATUS_FORBIDDEN with the remedy, if there was one. */
enum status executor_end_forbidden(const struct executor_forbidden *forbidden, struct error *error);

/* How an attempt ended. */
struct executor_outcome {
    enum status status;   /* STATUS_OK: all epochs are done; STATUS_STOPPED: as it was asked to */
    bool again;           /* another attempt may do better: the run is queued again */
    bool bounded;         /* but not for ever: with `again` */
    bool at_once;         /* with `again`: what ended it concerns no other run */
    int64_t needed_bytes; /* with STATUS_NO_SPACE: what its next checkpoint takes; 0: unknown */
    const char
        *message; /* why; with STATUS_OK which rule has ended it, or ""; valid during the call
                   */
};

/* Where an executor tells what it does. From any thread; of one attempt one call at a time, in the
 * order in which things happen: begin, then steps, epochs, checkpoints and notes, then the outcome,
 * which is the last. After an attach there is no begin. report->number: run_report.h.
 * STATUS_CONFLICT: the run is not, or no longer, at this attempt; nothing was stored, and what
 * trains it shall be ended. STATUS_INVALID: nothing that trains can report this; it was not stored.
 * Other statuses: those of the store; the report was not stored. */
struct executor_reports {
    void *user;
    /* Notes what the run is trained with. May take as long as the executor's origin. The caller
     * owns *ret_plan (executor_plan_clear). STATUS_CONFLICT as well: these are not the images that
     * the run began with. */
    enum status (*begin)(void *user, const struct run_report *report,
                         struct executor_plan *ret_plan, struct error *error);
    enum status (*step)(void *user, const struct run_report *report, const struct step_report *step,
                        struct error *error);
    enum status (*epoch)(void *user, const struct run_report *report,
                         const struct epoch_report *epoch, struct error *error);
    enum status (*checkpoint)(void *user, const struct run_report *report,
                              const struct checkpoint_report *checkpoint, struct error *error);
    enum status (*note)(void *user, const struct run_report *report, const char *reason,
                        struct error *error);
    /* The run that was given to start or attach is gone when it returns. */
    void (*outcome)(void *user, const struct run_report *report,
                    const struct executor_outcome *outcome);
    /* Where the attempt is, between the others: also before begin. */
    enum status (*placed)(void *user, const struct run_report *report,
                          const struct run_placement *placement, struct error *error);
    /* As note, of a run that goes on from the file `path` of the plan's (NULL: from its beginning)
     * because those before it are of no use: they are forgotten. NULL: note does. */
    enum status (*fell_back)(void *user, const struct run_report *report, const char *path,
                             const char *reason, struct error *error);
    /* The checkpoints of the run that are known by now, for whoever keeps their files. The caller
     * owns *ret_list (checkpoint_list_clear). */
    enum status (*checkpoints)(void *user, const struct run_report *report,
                               struct checkpoint_list *ret_list, struct error *error);
};

/* How an executor is at this moment. */
struct executor_condition {
    char problem[RUN_REASON_SIZE]; /* why it starts nothing at present; "": it would */
    int n_pending;                 /* attempts that wait in what places them */
    int n_running;
    int n_excluded;
    char excluded[512]; /* nodes that get no runs at present: "n1,n7" */
};

enum executor_request {
    EXECUTOR_CHECKPOINT, /* write one and go on */
    EXECUTOR_STOP,       /* write one and end */
    EXECUTOR_KILL,       /* end at once */
};

struct executor {
    const char *name; /* shorter than RUN_EXECUTOR_SIZE; without ',' and '/' */
    void *user;
    bool heeds_quiet; /* in quiet hours it trains nothing */

    /* Any thread; may read the data set, which takes seconds. STATUS_NOT_FOUND and others: why it
     * cannot be said. */
    enum status (*origin)(void *user, const struct run_row *run, struct executor_origin *ret_origin,
                          struct error *error);
    /* Any thread; quick. */
    void (*admit)(void *user, const struct run_config *config,
                  struct executor_admission *ret_admission);
    /* Any thread; after open. How fast it would train the run: some steps of it are timed, for
     * most_s seconds, or until one is done: then for five times as long at most. STATUS_BUSY: a run
     * is trained here at present or begins meanwhile, which comes first, or something else is being
     * measured; others: why it cannot be trained. NULL: it cannot say. */
    enum status (*measure)(void *user, const struct run_config *config, double most_s,
                           struct executor_speed *ret_speed, struct error *error);
    /* Appends "NAME/DATASET," for each data set that cannot be read at present, if it should come
     * back: its runs wait. One thread. May be NULL. */
    void (*missing)(void *user, char *text, size_t size);

    /* Before everything below; *reports outlives the executor's use. STATUS_NO_MEMORY, STATUS_IO.
     */
    enum status (*open)(void *user, const struct executor_reports *reports, struct error *error);
    /* Begins to train run->attempt under run->handle and returns; both stay until the outcome was
     * reported. One thread at a time. On failure nothing was started. */
    enum status (*start)(void *user, const struct run_row *run, struct error *error);
    /* The attempt goes on and is reported from where its reports had come to. Before the first
     * start. STATUS_NOT_FOUND: nothing trains under run->handle, and nothing will. NULL: its
     * attempts never outlive the process. */
    enum status (*attach)(void *user, const struct run_row *run, struct error *error);
    /* Any thread; does not wait for what it asks. A handle that is not there is fine. */
    void (*ask)(void *user, const char *handle, enum executor_request request);
    /* Likewise: the run's priority is another one now. May be NULL. */
    void (*prioritize)(void *user, const char *handle, int priority);
    /* May be NULL. Readable when follow has something to do; follow does not wait, and reports from
     * the calling thread: one thread follows all executors. */
    int (*events)(void *user);
    void (*follow)(void *user);

    /* How many runs it trains at once, 0: it starts nothing at present; NULL: as many as there are
     * workers, and `share` (may be NULL) is told how many that are. Any thread; does not wait. */
    int (*most)(void *user);
    void (*share)(void *user, int n_workers);

    /* How many cores a run that starts now gets: what its owner is charged for. 0: none before
     * `placed` says so. NULL: one. Any thread; no locks. */
    int (*cores)(void *user);

    /* Does not wait. For how many seconds, as the calls saw it, nothing has moved in the attempt
     * that stands still the longest; 0: everything moves. One thread. NULL: always 0. */
    double (*stalled_s)(void *user);

    /* Any thread; does not wait. May be NULL: nothing is to be said. */
    void (*describe)(void *user, struct executor_condition *ret_condition);

    /* Does not wait. Whether an attempt that was asked to stop has heard of it and is writing its
     * checkpoint. May be NULL. */
    bool (*is_saving)(void *user);

    /* What does not outlive the process is asked to stop. Any thread; does not wait. May be NULL.
     */
    void (*stop)(void *user);
    /* After stop: returns when nothing reports any more. Counterpart of open. */
    void (*close)(void *user);
};

#endif
