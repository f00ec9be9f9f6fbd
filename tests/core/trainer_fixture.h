/* Small runs of the trainer whose reports are recorded, for the tests of core/train. */
#ifndef CUTOUTD_TESTS_CORE_TRAINER_FIXTURE_H
#define CUTOUTD_TESTS_CORE_TRAINER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config/run_config.h"
#include "core/train/trainer.h"

enum { STEPS = 4, MAX_EPOCHS = 8, PATH_SIZE = 256 };

/* A run of three epochs of four steps, the last of them partial. */
static inline struct run_config small_config(void) {
    struct run_config c = run_preset_find("notebook-q2")->config;
    (void)snprintf(c.dataset, sizeof(c.dataset), "shapes");
    c.depth = 8;
    c.epochs = 3;
    c.batch_size = 6;
    c.m = 2;
    c.cutout_size = 12;
    c.train_images = 19;
    c.test_images = 12;
    c.seed = 5;
    return c;
}

struct recorder {
    const struct kernels *kernels;
    char directory[PATH_SIZE];
    struct epoch_report epochs[MAX_EPOCHS];
    int n_epochs;
    int steps;
    int stop_after_steps;    /* of this attempt; 0: never */
    int polls;               /* of should_stop */
    int stop_at_poll;        /* 0: never */
    int polls_after_step;    /* of should_stop, since the last on_step */
    bool stop_in_validation; /* of the first epoch */
    char last[PATH_SIZE];
    char last_sha256[SHA256_HEX_SIZE];
    char best[PATH_SIZE];
    int best_epoch;
    struct confusion confusion; /* of the best checkpoint */
    int fail_epoch;             /* on_epoch returns an error at this epoch */
    bool foreign;               /* what it goes on from may be of other settings */
    bool any_arithmetic;        /* and of another arithmetic */
};

static inline struct dataset *shared_dataset(void) {
    static struct dataset *dataset;
    if (!dataset) {
        assert_int_equal(dataset_make_shapes(64, 40, 1, &dataset, NULL), STATUS_OK);
    }
    return dataset;
}

static inline enum status on_step(void *user, const struct step_report *report,
                                  struct error *error) {
    struct recorder *r = user;
    (void)error;
    r->steps++;
    r->polls_after_step = 0;
    assert_in_range(report->step, 1, report->steps_per_epoch);
    assert_true(report->images_per_second > 0.0 && report->eta_seconds >= 0.0);
    return STATUS_OK;
}

static inline enum status on_epoch(void *user, const struct epoch_report *report,
                                   struct error *error) {
    struct recorder *r = user;
    if (r->fail_epoch == report->epoch) {
        return error_set(error, STATUS_NO_SPACE, "the disk is full");
    }
    r->epochs[report->epoch - 1] = *report;
    r->n_epochs = report->epoch;
    return STATUS_OK;
}

static inline enum status on_checkpoint(void *user, const struct checkpoint_report *report,
                                        struct error *error) {
    struct recorder *r = user;
    char digest[SHA256_HEX_SIZE];
    assert_int_equal(sha256_file(report->path, digest, error), STATUS_OK);
    assert_string_equal(digest, report->sha256);
    assert_true(report->best == (report->confusion != NULL));
    if (report->best) {
        (void)snprintf(r->best, sizeof(r->best), "%s", report->path);
        r->best_epoch = report->epochs_done;
        r->confusion = *report->confusion;
    }
    (void)snprintf(r->last, sizeof(r->last), "%s", report->path);
    memcpy(r->last_sha256, report->sha256, sizeof(digest));
    return STATUS_OK;
}

static inline bool should_stop(void *user) {
    struct recorder *r = user;
    r->polls++;
    r->polls_after_step++;
    if (r->stop_in_validation && r->steps == STEPS && r->polls_after_step > 2) {
        return true;
    }
    return (r->stop_after_steps > 0 && r->steps >= r->stop_after_steps) ||
           (r->stop_at_poll > 0 && r->polls >= r->stop_at_poll);
}

static inline struct recorder recorder_begin_on(const struct kernels *kernels) {
    struct recorder r = {.kernels = kernels};
    (void)snprintf(r.directory, sizeof(r.directory), "/tmp/cutoutd-trainer-XXXXXX");
    assert_non_null(mkdtemp(r.directory));
    return r;
}

static inline struct recorder recorder_begin(void) {
    return recorder_begin_on(&kernels_blas);
}

/* What a daemon takes on this machine: with "auto" as convolution algorithm, Winograd where there
 * is one. */
static inline const struct kernels *default_kernels(void) {
    const struct kernels *kernels = NULL;
    assert_int_equal(kernels_select(getenv("CUTOUTD_ISA"), &kernels, NULL), STATUS_OK);
    return kernels;
}

/* Calls `each` for every file in the directory; returns how many there are. */
static inline int for_each_file(const char *directory, void (*each)(const char *path)) {
    int n = 0;
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        if (entry->d_name[0] != '.') {
            char path[2 * PATH_SIZE];
            (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
            n++;
            if (each) {
                each(path);
            }
        }
    }
    (void)closedir(stream);
    return n;
}

static inline void remove_file(const char *path) {
    (void)unlink(path);
}

static inline void recorder_end(struct recorder *r) {
    (void)for_each_file(r->directory, remove_file);
    (void)rmdir(r->directory);
}

/* No step is waited for: each reading is ten seconds after the one before. */
static inline double hasty_monotonic_s(void *user) {
    (void)user;
    static double now = 1.0;
    return now += 10.0;
}

static inline int64_t hasty_unix_ms(void *user) {
    (void)user;
    return 0;
}

static const struct clock hasty_clock = {NULL, hasty_monotonic_s, hasty_unix_ms};

static inline enum status run(const struct run_config *config, struct recorder *r, int threads,
                              const char *resume, const char *sha256,
                              struct trainer_result *ret_result, struct error *error) {
    const struct trainer_options options = {
        .config = config,
        .dataset = shared_dataset(),
        .kernels = r->kernels,
        .clock = r->stop_at_poll > 0 ? &hasty_clock : &clock_system,
        .n_threads = threads,
        .checkpoint_dir = r->directory,
        .checkpoint_interval_s = 1e9,
        .resume_path = resume,
        .resume_sha256 = sha256,
        .resume_foreign = r->foreign,
        .resume_any_arithmetic = r->any_arithmetic,
    };
    const struct trainer_callbacks callbacks = {
        .user = r,
        .on_step = on_step,
        .on_epoch = on_epoch,
        .on_checkpoint = on_checkpoint,
        .should_stop = should_stop,
    };
    return trainer_run(&options, &callbacks, ret_result, error);
}

/* Bit by bit, seconds and speed aside. */
static inline void assert_same_history(const struct recorder *a, const struct recorder *b) {
    assert_int_equal(a->n_epochs, b->n_epochs);
    for (int i = 0; i < a->n_epochs; i++) {
        const struct epoch_report *x = &a->epochs[i];
        const struct epoch_report *y = &b->epochs[i];
        assert_memory_equal(&x->train_loss, &y->train_loss, sizeof(double));
        assert_memory_equal(&x->train_accuracy, &y->train_accuracy, sizeof(double));
        assert_memory_equal(&x->val_loss, &y->val_loss, sizeof(double));
        assert_int_equal(x->val_wrong, y->val_wrong);
        assert_int_equal(x->val_total, y->val_total);
        assert_memory_equal(&x->lr, &y->lr, sizeof(double));
    }
    assert_int_equal(a->best_epoch, b->best_epoch);
    assert_memory_equal(&a->confusion, &b->confusion, sizeof(a->confusion));
}

#endif
