/* One attempt of one run. Layer: daemon/work. Thread rule: see the header; `struct session` lives
 * on the worker's stack and is used by that thread only. */
#include "daemon/work/attempt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/log.h"
#include "daemon/compare/epoch_view.h"
#include "daemon/spec/run_spec.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/change/run_progress.h"

enum { RUN_DIR_SIZE = CONFIG_TEXT_SIZE + 64 };

/* Followers are woken by steps no more often than this; epochs and states wake them at once. */
static const double STEP_PUBLISH_INTERVAL_S = 0.5;

struct session {
    const struct attempt *attempt;
    const struct pool_options *options;
    const struct dataset *dataset;
    char variant[RUN_VARIANT_SIZE];
    char run_dir[RUN_DIR_SIZE];
    struct progress progress;
    double published_at_s;
    bool reported;     /* a callback came: the executor got past resuming */
    bool store_failed; /* a callback could not write to the store */
};

static int64_t now_ms(const struct session *s) {
    return clock_unix_ms(s->options->clock);
}

/* ---- callbacks ---- */

static enum status on_step(void *user, const struct step_report *report, struct error *error) {
    (void)error;
    struct session *s = user;
    s->reported = true;
    s->progress.epoch = report->epoch;
    s->progress.epochs = report->epochs;
    s->progress.step = report->step;
    s->progress.steps_per_epoch = report->steps_per_epoch;
    s->progress.loss = report->loss;
    s->progress.accuracy = report->accuracy;
    s->progress.images_per_second = report->images_per_second;
    s->progress.eta_seconds = report->eta_seconds;
    s->progress.n_reports++;
    progress_board_set(s->options->progress, s->attempt->slot, &s->progress);
    double now = clock_monotonic_s(s->options->clock);
    if (s->progress.n_reports == 1 || now - s->published_at_s >= STEP_PUBLISH_INTERVAL_S) {
        s->published_at_s = now;
        hub_publish(s->options->hub, s->progress.run_id);
    }
    return STATUS_OK;
}

/* A failing store is not the run's fault: note it, so that the run is tried again. */
static enum status note_store(struct session *s, enum status status) {
    s->store_failed = s->store_failed || status != STATUS_OK;
    return status;
}

static enum status on_epoch(void *user, const struct epoch_report *report, struct error *error) {
    struct session *s = user;
    const struct epoch_row row = {.report = *report, .at_ms = now_ms(s)};
    s->reported = true;
    progress_board_add_epoch(s->options->progress, report->seconds);
    log_info("run %lld: epoch %d of %d, training loss %.4f, validation error %.4f, %.0f images/s",
             (long long)s->progress.run_id, report->epoch, s->attempt->run->epochs,
             report->train_loss, error_ratio(report->val_wrong, report->val_total),
             report->images_per_second);
    return note_store(s, epoch_table_put(s->options->store, s->progress.run_id, &row, error));
}

static enum status on_checkpoint(void *user, const struct checkpoint_report *report,
                                 struct error *error) {
    struct session *s = user;
    struct checkpoint_row row = {
        .kind = report->kind,
        .n_bytes = report->n_bytes,
        .epochs_done = report->epochs_done,
        .step = report->step,
        .at_ms = now_ms(s),
    };
    s->reported = true;
    const char *slash = strrchr(report->path, '/');
    (void)snprintf(row.path, sizeof(row.path), "%s", slash ? slash + 1 : report->path);
    (void)snprintf(row.sha256, sizeof(row.sha256), "%s", report->sha256);
    return note_store(s,
                      checkpoint_table_put(s->options->store, s->progress.run_id, &row, 1, error));
}

static bool should_stop(void *user) {
    const struct session *s = user;
    atomic_fetch_add(s->attempt->heartbeat, 1);
    return atomic_load(s->attempt->request) != RUN_REQUEST_NONE || atomic_load(s->attempt->stop);
}

static bool stops_at_once(void *user) {
    const struct session *s = user;
    return atomic_load(s->attempt->request) == RUN_REQUEST_KILL;
}

/* ---- before training ---- */

static enum status make_directory(const char *path, struct error *error) {
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return error_set_errno(error, errno, "cannot make the directory %s", path);
    }
    return STATUS_OK;
}

static enum status make_run_dir(struct session *s, struct error *error) {
    (void)snprintf(s->run_dir, sizeof(s->run_dir), "%s/runs", s->options->state_dir);
    TRY(make_directory(s->run_dir, error));
    (void)snprintf(s->run_dir, sizeof(s->run_dir), "%s/runs/%lld", s->options->state_dir,
                   (long long)s->attempt->run->id);
    return make_directory(s->run_dir, error);
}

static enum status set_origin(struct session *s, const char *dataset_sha256, struct error *error) {
    const struct run_row *run = s->attempt->run;
    struct run_spec spec;
    TRY(run_spec_read_stored(run->config_json, &spec, error));
    int n_train = s->dataset->train.n;
    if (spec.config.train_images > 0 && spec.config.train_images < n_train) {
        n_train = spec.config.train_images;
    }
    const struct run_origin origin = {
        .variant = s->variant,
        .dataset_sha256 = dataset_sha256,
        .steps_per_epoch = run_steps_per_epoch(&spec.config, n_train),
        .images_per_epoch = run_images_per_epoch(&spec.config, n_train),
    };
    return note_store(s,
                      run_table_set_origin(s->options->store, run->id, &origin, now_ms(s), error));
}

/* A first attempt notes what it trains with; a later one must find the same. Other kernels round
 * differently: such a run starts anew and says so, it never mixes two. */
static enum status settle_origin(struct session *s, const char *dataset_sha256,
                                 struct error *error) {
    const struct run_row *run = s->attempt->run;
    const struct executor *executor = &s->options->executor;
    const char *chosen = executor->variant(executor->user);
    bool begun = run->variant[0] != '\0';
    if (begun && strcmp(run->dataset_sha256, dataset_sha256) != 0) {
        return error_set(error, STATUS_CONFLICT,
                         "the data set %s is not the one this run started with (sha256 %.12s now, "
                         "%.12s then)",
                         run->dataset, dataset_sha256, run->dataset_sha256);
    }
    bool stays = begun && executor->has_variant(executor->user, run->variant);
    if (begun && !stays) {
        char reason[RUN_REASON_SIZE];
        (void)snprintf(reason, sizeof(reason),
                       "started anew with the %s kernels: it began with %s, which this machine "
                       "does not have",
                       chosen, run->variant);
        log_warning("run %lld: %s", (long long)run->id, reason);
        TRY(note_store(s, run_table_reset(s->options->store, run->id, reason, now_ms(s), error)));
    }
    (void)snprintf(s->variant, sizeof(s->variant), "%s", stays ? run->variant : chosen);
    return stays ? STATUS_OK : set_origin(s, dataset_sha256, error);
}

/* ---- training ---- */

static enum status execute(struct session *s, const struct checkpoint_row *from,
                           struct error *error) {
    char path[RUN_DIR_SIZE + CHECKPOINT_ROW_PATH_SIZE + 1];
    const struct trainer_callbacks callbacks = {
        .user = s,
        .on_step = on_step,
        .on_epoch = on_epoch,
        .on_checkpoint = on_checkpoint,
        .should_stop = should_stop,
        .stops_at_once = stops_at_once,
    };
    struct execution execution = {
        .run = s->attempt->run,
        .dataset = s->dataset,
        .variant = s->variant,
        .run_dir = s->run_dir,
        .callbacks = &callbacks,
    };
    if (from) {
        (void)snprintf(path, sizeof(path), "%s/%s", s->run_dir, from->path);
        execution.resume_path = path;
        execution.resume_sha256 = from->sha256;
        /* What a fork took over was written under the other run's settings. */
        execution.resume_foreign = s->attempt->run->forked_from > 0 && from->step == 0 &&
                                   from->epochs_done <= s->attempt->run->forked_epoch;
    }
    struct trainer_result result;
    s->reported = false;
    const struct executor *executor = &s->options->executor;
    return executor->execute(executor->user, &execution, &result, error);
}

/* The file could not be gone on from, and nothing was trained yet. */
static bool is_damaged(const struct session *s, enum status status) {
    return !s->reported && (status == STATUS_CORRUPT || status == STATUS_NOT_FOUND);
}

/* Says where the run goes on after its last checkpoint turned out to be damaged. */
static enum status say_fallback(struct session *s, const struct checkpoint_row *from,
                                struct error *error) {
    char reason[RUN_REASON_SIZE];
    if (from) {
        (void)snprintf(reason, sizeof(reason),
                       "the last checkpoint is damaged; went on from epoch %d, step %d",
                       from->epochs_done, from->step);
    } else {
        (void)snprintf(reason, sizeof(reason), "no checkpoint is intact; started anew");
    }
    log_warning("run %lld: %s", (long long)s->attempt->run->id, reason);
    return note_store(
        s, run_table_set_reason(s->options->store, s->attempt->run->id, reason, now_ms(s), error));
}

/* Newest checkpoint first, then the ones before it, then from the beginning. */
static enum status execute_from_list(struct session *s, const struct checkpoint_list *list,
                                     struct error *error) {
    for (size_t i = 0; i < list->n; i++) {
        const struct checkpoint_row *from = &list->rows[i];
        if (i > 0) {
            TRY(say_fallback(s, from, error));
        }
        log_info("run %lld: attempt %d goes on from epoch %d, step %d",
                 (long long)s->attempt->run->id, s->attempt->run->attempt, from->epochs_done,
                 from->step);
        struct error damage = {0};
        enum status status = execute(s, from, &damage);
        if (!is_damaged(s, status)) {
            if (error) {
                *error = damage;
            }
            return status;
        }
        log_warning("run %lld: cannot go on from %s: %s", (long long)s->attempt->run->id,
                    from->path, damage.message);
    }
    if (list->n > 0) {
        TRY(say_fallback(s, NULL, error));
    }
    return execute(s, NULL, error);
}

static enum status train(struct session *s, struct error *error) {
    const struct run_row *run = s->attempt->run;
    char sha256[SHA256_HEX_SIZE];
    TRY(make_run_dir(s, error));
    TRY(dataset_registry_acquire(s->options->datasets, run->dataset, &s->dataset, sha256, error));
    TRY(settle_origin(s, sha256, error));
    struct checkpoint_list list = {0};
    TRY(note_store(s, checkpoint_table_list(s->options->store, run->id, &list, error)));
    enum status status = execute_from_list(s, &list, error);
    checkpoint_list_clear(&list);
    return status;
}

/* ---- the verdict ---- */

static void decide(struct verdict *verdict, enum run_state to, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void decide(struct verdict *verdict, enum run_state to, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    verdict->to = to;
    (void)vsnprintf(verdict->reason, sizeof(verdict->reason), format, arguments);
    va_end(arguments);
}

static void judge(const struct session *s, enum status status, const struct error *error,
                  struct verdict *verdict) {
    enum run_request request = (enum run_request)atomic_load(s->attempt->request);
    bool try_again = s->store_failed || status == STATUS_NO_SPACE || status == STATUS_STOPPED;
    memset(verdict, 0, sizeof(*verdict));
    if (status == STATUS_OK) {
        decide(verdict, RUN_SUCCEEDED, "%s", "");
    } else if (request == RUN_REQUEST_CANCEL || request == RUN_REQUEST_KILL ||
               (request == RUN_REQUEST_PAUSE && try_again)) {
        decide(verdict, run_request_state(request), "%s", run_request_reason(request));
    } else if (status == STATUS_STOPPED) {
        decide(verdict, RUN_QUEUED, "daemon stopped");
    } else if (try_again) {
        decide(verdict, RUN_QUEUED, "will be tried again: %.400s", error->message);
        verdict->wait = true;
    } else {
        decide(verdict, RUN_FAILED, "%.500s", error->message);
    }
}

void attempt_run(const struct attempt *attempt, struct verdict *ret_verdict) {
    struct session session = {
        .attempt = attempt,
        .options = attempt->options,
        .progress = {.run_id = attempt->run->id,
                     .sweep_id = attempt->run->sweep_id,
                     .epochs = attempt->run->epochs},
    };
    struct error error = {0};
    progress_board_set(attempt->options->progress, attempt->slot, &session.progress);
    enum status status = train(&session, &error);
    dataset_registry_release(attempt->options->datasets, session.dataset);
    judge(&session, status, &error, ret_verdict);
}
