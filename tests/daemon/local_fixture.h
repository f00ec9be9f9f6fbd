/* A pool whose local executor really trains, and is held at a known step, for the tests of it. */
#ifndef CUTOUTD_TESTS_DAEMON_LOCAL_FIXTURE_H
#define CUTOUTD_TESTS_DAEMON_LOCAL_FIXTURE_H

#include "tests/daemon/work_fixture.h"

#include <stdatomic.h>

#include "daemon/spec/run_spec.h"
#include "daemon/store/query/event_list.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/epoch_table.h"

enum { EPOCHS = 2, N_TRAIN = 48, N_TEST = 20 };

struct local_fixture {
    struct work_fixture w;
    atomic_bool hold; /* from that step of that epoch on, until told to stop */
    atomic_int hold_epoch;
    atomic_int hold_step;
    atomic_bool held;  /* it has come there */
    atomic_int n_anew; /* trainings that went on from no checkpoint */
};

static struct local_fixture fixture;

/* ---- a trainer around the real one, which holds a run at a known step ---- */

struct held_run {
    struct local_fixture *l;
    const struct trainer_callbacks *inner;
};

static inline bool should_stop(void *user) {
    const struct held_run *h = user;
    return h->inner->should_stop(h->inner->user);
}

static inline bool should_checkpoint(void *user) {
    const struct held_run *h = user;
    return h->inner->should_checkpoint(h->inner->user);
}

static inline bool stops_at_once(void *user) {
    const struct held_run *h = user;
    return h->inner->stops_at_once(h->inner->user);
}

static inline bool is_held(const struct local_fixture *l, const struct step_report *report) {
    return l->hold && (report->epoch > l->hold_epoch ||
                       (report->epoch == l->hold_epoch && report->step >= l->hold_step));
}

static inline enum status on_step(void *user, const struct step_report *report,
                                  struct error *error) {
    struct held_run *h = user;
    TRY(h->inner->on_step(h->inner->user, report, error));
    if (is_held(h->l, report)) {
        h->l->held = true;
        work_note_change(&h->l->w, 0);
    }
    int seen = work_changes(&h->l->w);
    while (is_held(h->l, report) && !should_stop(h) && work_wait_for_change(&h->l->w, seen)) {
        seen = work_changes(&h->l->w);
    }
    return STATUS_OK;
}

static inline enum status on_epoch(void *user, const struct epoch_report *report,
                                   struct error *error) {
    const struct held_run *h = user;
    return h->inner->on_epoch(h->inner->user, report, error);
}

static inline enum status on_checkpoint(void *user, const struct checkpoint_report *report,
                                        struct error *error) {
    const struct held_run *h = user;
    return h->inner->on_checkpoint(h->inner->user, report, error);
}

static inline enum status train(const struct trainer_options *options,
                                const struct trainer_callbacks *inner,
                                struct trainer_result *ret_result, struct error *error) {
    struct held_run held = {&fixture, inner};
    atomic_fetch_add(&fixture.n_anew, !options->resume_path);
    const struct trainer_callbacks callbacks = {
        &held, on_step, on_epoch, on_checkpoint, should_stop, stops_at_once, should_checkpoint};
    return trainer_run(options, &callbacks, ret_result, error);
}

static inline int set_up(void **state) {
    struct local_fixture *l = &fixture;
    memset(l, 0, sizeof(*l));
    work_begin(&l->w, N_TRAIN, N_TEST);
    l->hold_epoch = 2;
    l->hold_step = 1;
    l->w.local.train = train;
    l->w.options.n_workers = 1;
    *state = l;
    return 0;
}

static inline int tear_down(void **state) {
    struct local_fixture *l = *state;
    work_end(&l->w);
    return 0;
}

static inline int64_t submit(struct local_fixture *l, const char *text) {
    static struct run_spec spec;
    static struct field_errors errors;
    const struct run_spec_context context = {.default_dataset = "shapes"};
    assert_int_equal(run_spec_parse(text, strlen(text), &context, &spec, &errors), STATUS_OK);
    char *json = run_spec_to_json(&spec);
    assert_non_null(json);
    const struct run_draft draft = {
        .name = "", .labels_json = "{}", .config_json = json, .config = &spec.config};
    int64_t id = 0;
    ASSERT_OK(queue_submit(l->w.queue, &draft, &id, &fixture_error));
    free(json);
    return id;
}

static const char run_text[] = "{\"depth\":8,\"epochs\":2,\"batch_size\":16,\"cutout_size\":12,"
                               "\"seed\":5}";

static inline void wait_until_held(struct local_fixture *l) {
    bool in_time = true;
    while (!l->held && in_time) {
        int seen = work_changes(&l->w);
        in_time = l->held || work_wait_for_change(&l->w, seen);
    }
    assert_true(l->held);
}

/* Everything but the seconds, which are not the result's. */
static inline void assert_same_history(struct store *store, int64_t one, int64_t other) {
    struct epoch_list a = {0};
    struct epoch_list b = {0};
    ASSERT_OK(epoch_table_list(store, one, 0, 0, &a, &fixture_error));
    ASSERT_OK(epoch_table_list(store, other, 0, 0, &b, &fixture_error));
    assert_int_equal(a.n, EPOCHS);
    assert_int_equal(b.n, EPOCHS);
    for (size_t i = 0; i < EPOCHS; i++) {
        assert_true(a.rows[i].report.train_loss == b.rows[i].report.train_loss);
        assert_true(a.rows[i].report.train_accuracy == b.rows[i].report.train_accuracy);
        assert_true(a.rows[i].report.val_loss == b.rows[i].report.val_loss);
        assert_int_equal(a.rows[i].report.val_wrong, b.rows[i].report.val_wrong);
    }
    epoch_list_clear(&a);
    epoch_list_clear(&b);
}

static inline bool has_reason(struct local_fixture *l, int64_t id, const char *text) {
    struct event_list events = {0};
    bool found = false;
    ASSERT_OK(event_table_list(l->w.f.store, id, 0, 50, &events, &fixture_error));
    for (size_t i = 0; i < events.n; i++) {
        found = found || strstr(events.rows[i].reason, text);
    }
    event_list_clear(&events);
    return found;
}

/* Stops a run in its second epoch: there are checkpoints of epoch 1 and of its step 1. */
static inline int64_t stop_in_second_epoch(struct local_fixture *l, const char *text) {
    l->hold = true;
    work_start(&l->w);
    int64_t id = submit(l, text);
    wait_until_held(l);
    work_stop(&l->w);
    l->hold = false;
    return id;
}

#endif
