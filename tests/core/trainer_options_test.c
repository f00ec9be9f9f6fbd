/* With each option a run trains, and an interrupted one ends with the same bits. */
#include "tests/core/slow.h"
#include "tests/core/trainer_fixture.h"

struct option {
    const char *name;
    void (*set)(struct run_config *config);
};

static void smooth(struct run_config *c) {
    c->label_smoothing = 0.1;
}
static void alternate(struct run_config *c) {
    c->flip = FLIP_ALTERNATE;
}
static void rise_and_fall(struct run_config *c) {
    c->lr_schedule = LR_SCHEDULE_LINEAR;
    c->lr_warmup = 0.3;
}
static void be_unique(struct run_config *c) {
    c->unique_per_batch = true;
    c->batch_size = 8;
}
static void cutmix(struct run_config *c) {
    c->mix = MIX_CUTMIX;
    c->mix_alpha = 0.7;
}
static void mixup(struct run_config *c) {
    c->mix = MIX_MIXUP;
}
static void erase(struct run_config *c) {
    c->mix = MIX_ERASING;
}
static void mirror(struct run_config *c) {
    c->tta = TTA_MIRROR;
}
static void average(struct run_config *c) {
    c->ema = 0.9;
}
static void only_the_hardest(struct run_config *c) {
    c->backward_share = 0.4;
}
static void paper_network(struct run_config *c) {
    c->shortcut = SHORTCUT_CONV_BN;
    c->conv_bias = false;
    c->bn_epsilon = 1e-5;
    c->bn_momentum = 0.9;
    c->last_gamma = LAST_GAMMA_ZERO;
}
static void everything(struct run_config *c) {
    smooth(c);
    alternate(c);
    rise_and_fall(c);
    be_unique(c);
    cutmix(c);
    mirror(c);
    average(c);
    only_the_hardest(c);
    paper_network(c);
}

static const struct option options[] = {
    {"label_smoothing", smooth},
    {"flip", alternate},
    {"lr_schedule", rise_and_fall},
    {"unique_per_batch", be_unique},
    {"cutmix", cutmix},
    {"mixup", mixup},
    {"erasing", erase},
    {"tta", mirror},
    {"ema", average},
    {"backward_share", only_the_hardest},
    {"shortcut", paper_network},
    {"all", everything},
};

enum { N_OPTIONS = sizeof(options) / sizeof(options[0]) };

static struct run_config config_of(const struct option *option) {
    struct run_config config = small_config();
    config.epochs = 2;
    option->set(&config);
    return config;
}

static void check_same_options(const struct recorder *a, const struct recorder *b) {
    assert_same_history(a, b);
    for (int i = 0; i < a->n_epochs; i++) {
        assert_int_equal(a->epochs[i].tta_wrong, b->epochs[i].tta_wrong);
        assert_int_equal(a->epochs[i].ema_wrong, b->epochs[i].ema_wrong);
    }
}

/* After the first step of the second epoch, or within one. */
static void check_interrupted(const struct run_config *config, const struct recorder *whole,
                              int after_steps, int at_poll) {
    struct recorder r = recorder_begin_on(whole->kernels);
    struct trainer_result result;
    r.stop_after_steps = after_steps;
    r.stop_at_poll = at_poll;
    assert_int_equal(run(config, &r, 1, NULL, NULL, &result, NULL), STATUS_STOPPED);
    char resume[PATH_SIZE];
    memcpy(resume, r.last, sizeof(resume));
    r.stop_after_steps = 0;
    r.stop_at_poll = 0;
    assert_int_equal(run(config, &r, 2, resume, NULL, &result, NULL), STATUS_OK);
    check_same_options(whole, &r);
    recorder_end(&r);
}

static void an_interrupted_run_ends_with_the_same_bits_with_each_option(void **state) {
    (void)state;
    for (int i = 0; i < N_OPTIONS; i++) {
        struct run_config config = config_of(&options[i]);
        struct trainer_result result;
        struct error error;
        struct recorder whole = recorder_begin_on(SLOW_BUILD ? &kernels_blas : default_kernels());
        if (run(&config, &whole, 2, NULL, NULL, &result, &error) != STATUS_OK) {
            fail_msg("%s: %s", options[i].name, error.message);
        }
        assert_int_equal(whole.n_epochs, 2);
        check_interrupted(&config, &whole, STEPS + 1, 0);
        if (!SLOW_BUILD && options[i].set == everything) {
            check_interrupted(&config, &whole, 0, 60);
        }
        recorder_end(&whole);
    }
}

/* The losses of a run without any. */
static void each_option_changes_what_is_trained_or_validated_and_nothing_else(void **state) {
    (void)state;
    struct run_config plain = small_config();
    struct trainer_result result;
    struct recorder without = recorder_begin();
    plain.epochs = 2;
    assert_int_equal(run(&plain, &without, 2, NULL, NULL, &result, NULL), STATUS_OK);
    for (int i = 0; i < N_OPTIONS; i++) {
        struct run_config config = config_of(&options[i]);
        struct recorder r = recorder_begin();
        assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
        bool only_looks = config.backward_share == 1 && config.label_smoothing == 0 &&
                          (options[i].set == mirror || options[i].set == average);
        assert_int_equal(r.epochs[1].train_loss == without.epochs[1].train_loss, only_looks);
        assert_int_equal(r.epochs[0].tta_total, config.tta == TTA_MIRROR ? 12 : 0);
        assert_int_equal(r.epochs[0].ema_total, config.ema > 0 ? 12 : 0);
        assert_in_range(r.epochs[0].tta_wrong, 0, 12);
        assert_int_equal(r.epochs[0].images, without.epochs[0].images);
        assert_true(isfinite(r.epochs[1].train_loss));
        recorder_end(&r);
    }
    recorder_end(&without);
}

static void a_fork_begins_an_average_where_its_source_had_none(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    config.epochs = 1;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    char source[PATH_SIZE];
    memcpy(source, r.last, sizeof(source));
    config.epochs = 2;
    config.ema = 0.5;
    assert_int_equal(run(&config, &r, 2, source, NULL, &result, NULL), STATUS_CORRUPT);
    r.foreign = true;
    assert_int_equal(run(&config, &r, 2, source, NULL, &result, NULL), STATUS_OK);
    assert_int_equal(r.epochs[1].ema_total, 12);
    recorder_end(&r);
}

static void a_linear_schedule_reports_the_rate_of_each_epochs_last_step(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    rise_and_fall(&config);
    config.lr_warmup = 1.0 / 3.0; /* the first of three epochs */
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_true(fabs(r.epochs[0].lr / config.lr - 1.0) < 1e-12);
    assert_true(fabs(r.epochs[1].lr / config.lr - 5.0 / 8.0) < 1e-12);
    assert_true(fabs(r.epochs[2].lr / config.lr - 1.0 / 8.0) < 1e-12);
    recorder_end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interrupted_run_ends_with_the_same_bits_with_each_option),
        cmocka_unit_test(each_option_changes_what_is_trained_or_validated_and_nothing_else),
        cmocka_unit_test(a_fork_begins_an_average_where_its_source_had_none),
        cmocka_unit_test(a_linear_schedule_reports_the_rate_of_each_epochs_last_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
