/* A pool whose local executor trains by a script, for the tests of the pool. */
#ifndef CUTOUTD_TESTS_DAEMON_POOL_FIXTURE_H
#define CUTOUTD_TESTS_DAEMON_POOL_FIXTURE_H

#include "tests/daemon/work_fixture.h"

#include <stdatomic.h>
#include <sys/resource.h>

/* What the executor does; set before the run is submitted. */
enum script {
    TRAIN,           /* two epochs, each with a checkpoint */
    WAIT_FOR_STOP,   /* one epoch, then steps until it is told to stop; writes a checkpoint */
    FAIL,            /* an error of its own */
    DISK_FULL_ONCE,  /* STATUS_NO_SPACE the first time, TRAIN afterwards */
    IO_ERROR,        /* an epoch, then STATUS_IO */
    IO_ERROR_ALWAYS, /* a step, then STATUS_IO */
    IO_ERROR_FIRST,  /* STATUS_IO before the first step the first time, TRAIN afterwards */
};

struct pool_fixture {
    struct work_fixture w;
    enum script script;
    char damaged[2][96];  /* resume paths that end so are damaged */
    char resumed[16][96]; /* what each call was given; "" for a start anew */
    atomic_int n_calls;
    atomic_int n_dropped; /* stops without a checkpoint */
    atomic_int n_asked;   /* how often a run asked whether to stop */
    atomic_int niceness;  /* of the thread that trained last */
};

static struct pool_fixture fixture;
static struct kernels fake_kernels;
static struct kernels other_kernels;

static inline enum status report_epoch(const struct trainer_options *options,
                                       const struct trainer_callbacks *c, int epoch,
                                       struct error *error) {
    char path[600];
    char sha256[SHA256_HEX_SIZE];
    memset(sha256, 'a', sizeof(sha256) - 1);
    sha256[sizeof(sha256) - 1] = '\0';
    (void)snprintf(path, sizeof(path), "%s/%06d-000000.safetensors", options->checkpoint_dir,
                   epoch);
    const struct step_report step = {
        .epoch = epoch, .epochs = 2, .step = 1, .steps_per_epoch = 1, .loss = 2.0};
    const struct epoch_report report = {
        .epoch = epoch, .val_wrong = 10 - epoch, .val_total = 20, .seconds = 1.0, .best = true};
    const struct checkpoint_report checkpoint = {
        .path = path, .sha256 = sha256, .epochs_done = epoch};
    TRY(c->on_step(c->user, &step, error));
    TRY(c->on_epoch(c->user, &report, error));
    return c->on_checkpoint(c->user, &checkpoint, error);
}

static inline bool is_damaged(const struct pool_fixture *p, const char *path) {
    for (int i = 0; i < 2; i++) {
        if (p->damaged[i][0] != '\0' && strstr(path, p->damaged[i])) {
            return true;
        }
    }
    return false;
}

/* A step whenever something changes, such as what is asked of the run. */
static inline bool is_told_to_stop(struct pool_fixture *p, const struct trainer_callbacks *c) {
    bool stop = c->should_stop(c->user);
    atomic_fetch_add(&p->n_asked, 1);
    return stop;
}

static inline enum status train_until_stopped(struct pool_fixture *p,
                                              const struct trainer_options *options,
                                              const struct trainer_callbacks *c,
                                              struct error *error) {
    TRY(report_epoch(options, c, 1, error));
    int seen = work_changes(&p->w);
    while (!is_told_to_stop(p, c) && work_wait_for_change(&p->w, seen)) {
        seen = work_changes(&p->w);
    }
    atomic_fetch_add(&p->n_dropped, c->stops_at_once(c->user) ? 1 : 0);
    return error_set(error, STATUS_STOPPED, "stopped");
}

static inline enum status scripted_train(const struct trainer_options *options,
                                         const struct trainer_callbacks *c,
                                         struct trainer_result *ret_result, struct error *error) {
    struct pool_fixture *p = &fixture;
    memset(ret_result, 0, sizeof(*ret_result));
    atomic_store(&p->niceness, getpriority(PRIO_PROCESS, 0));
    int call = atomic_fetch_add(&p->n_calls, 1);
    const char *from = options->resume_path ? options->resume_path : "";
    if (call < 16) {
        const char *slash = strrchr(from, '/');
        (void)snprintf(p->resumed[call], sizeof(p->resumed[call]), "%s", slash ? slash + 1 : from);
    }
    if (is_damaged(p, from)) {
        return error_set(error, STATUS_CORRUPT, "%s is damaged", from);
    }
    switch (p->script) {
    case WAIT_FOR_STOP:
        return train_until_stopped(p, options, c, error);
    case FAIL:
        return error_set(error, STATUS_INVALID, "the moon is wrong");
    case DISK_FULL_ONCE:
        if (call == 0) {
            return error_set(error, STATUS_NO_SPACE, "no room for a checkpoint");
        }
        break;
    case IO_ERROR:
        TRY(report_epoch(options, c, 1, error));
        return error_set(error, STATUS_IO, "cannot write a checkpoint");
    case IO_ERROR_ALWAYS: {
        const struct step_report step = {.epoch = 1, .epochs = 2, .step = 1, .steps_per_epoch = 1};
        TRY(c->on_step(c->user, &step, error));
        return error_set(error, STATUS_IO, "cannot write a checkpoint");
    }
    case IO_ERROR_FIRST:
        if (call == 0) {
            return error_set(error, STATUS_IO, "cannot read a checkpoint");
        }
        break;
    case TRAIN:
        break;
    }
    TRY(report_epoch(options, c, 1, error));
    return report_epoch(options, c, 2, error);
}

static inline int pool_set_up(void **state) {
    struct pool_fixture *p = &fixture;
    memset(p, 0, sizeof(*p));
    work_begin(&p->w, 20, 10);
    fake_kernels = kernels_ref;
    fake_kernels.name = "ref-fake"; /* ref-1 */
    other_kernels = kernels_ref;
    other_kernels.name = "avx-other"; /* avx-2 */
    p->w.local.kernels = &fake_kernels;
    p->w.local.train = scripted_train;
    *state = p;
    return 0;
}

static inline int pool_tear_down(void **state) {
    struct pool_fixture *p = *state;
    work_end(&p->w);
    return 0;
}

static inline int64_t submit(struct pool_fixture *p, const char *dataset) {
    struct run_config config = fixture_config();
    (void)snprintf(config.dataset, sizeof(config.dataset), "%s", dataset);
    const struct run_draft draft = {
        .name = "", .labels_json = "{}", .config_json = "{}", .config = &config};
    int64_t id = 0;
    ASSERT_OK(queue_submit(p->w.queue, &draft, &id, &fixture_error));
    return id;
}

/* One run; what it answers to the action. */
static inline enum status act(struct pool_fixture *p, enum run_action action, int64_t id) {
    const struct queue_action asked = {.action = action, .ids = &id, .n_ids = 1};
    struct run_outcomes outcomes;
    ASSERT_OK(pool_act(p->w.pool, &asked, &outcomes, &fixture_error));
    enum status status = outcomes.items[0].error.code;
    run_outcomes_clear(&outcomes);
    work_note_change(&p->w, id);
    return status;
}

static inline void assert_run(struct pool_fixture *p, int64_t id, enum run_state state, int attempt,
                              const char *reason) {
    struct run_row row = fixture_get_run(p->w.f.store, id);
    assert_string_equal(run_state_name(row.state), run_state_name(state));
    assert_int_equal(row.attempt, attempt);
    if (!strstr(row.reason, reason)) {
        fail_msg("the reason is '%s', expected '%s'", row.reason, reason);
    }
    run_row_clear(&row);
}

#endif
