/* What a run may choose beside its network and its optimizer, against PyTorch in double precision:
 * label smoothing, targets of two labels, a linear schedule, the average of the weights, backward
 * passes of the hardest only, and mirror images at validation. Tolerances as in
 * golden_training_test.c.
 */
#include "tests/core/golden_fixture.h"

#include "core/data/augment.h"
#include "core/train/ema.h"
#include "core/train/hardest.h"
#include "core/train/optimizer.h"

#define FLOOR 2e-4
#define FACTOR 8.0

enum { N_IMAGES = 6, N_STEPS = 5, N_HARDEST = 3 };

enum option { SMOOTHING, MIXED, LINEAR, EMA, HARDEST, N_OPTIONS };
static const char *const names[N_OPTIONS] = {"smoothing", "mixed", "linear", "ema", "hardest"};

static struct network_fixture *fixture_of(enum option option, const struct kernels *kernels,
                                          bool winograd) {
    const struct engine_options options = {.kernels = kernels,
                                           .max_images = N_IMAGES,
                                           .winograd = winograd,
                                           .label_smoothing = option == SMOOTHING ? 0.2 : 0.0};
    struct network_fixture *f = fixture_make_with(8, RESNET_CIFAR10_CLASSES, 2, options);
    fill_golden(f, N_IMAGES);
    return f;
}

/* The loss of a step before the parameters move. */
static double find_gradient(struct network_fixture *f, enum option option) {
    fill_golden_batch(f, 0, N_IMAGES);
    if (option == MIXED) {
        for (int i = 0; i < N_IMAGES; i++) {
            engine_others(f->engine)[i] = (struct engine_other){
                .share = (float)i / 8.0F,
                .label = (uint8_t)((golden_label(i) + 1) % RESNET_CIFAR10_CLASSES)};
        }
    }
    if (option != HARDEST) {
        return fixture_train(f, N_IMAGES).loss / N_IMAGES;
    }
    double losses[N_IMAGES];
    int places[N_IMAGES];
    struct engine_result result;
    float *moving = fixture_floats(f->net.n_moving);
    engine_losses(f->engine, N_IMAGES, f->params, moving, losses, &result);
    free(moving);
    assert_int_equal(hardest_count(N_IMAGES, 0.5), N_HARDEST);
    hardest_choose(losses, N_IMAGES, N_HARDEST, places);
    for (int i = 0; i < N_HARDEST; i++) {
        golden_image(places[i], engine_images(f->engine) + (size_t)i * ENGINE_IMAGE_FLOATS);
        engine_labels(f->engine)[i] = golden_label(places[i]);
    }
    return fixture_train(f, N_HARDEST).loss / N_HARDEST;
}

static void check_tensor(const struct network_fixture *f, const struct ema *ema, const char *name,
                         const struct safetensors *file, const struct tensor *t) {
    static double values[9 * 64 * 64];
    const float *params = ema->params ? ema->params : f->params;
    const float *moving = ema->params ? ema->moving : f->moving;
    const float *from = (tensor_is_moving(t) ? moving : params) + t->offset;
    char prefix[48];
    double squares = 0.0;
    for (size_t i = 0; i < t->n; i++) {
        values[i] = (double)from[i];
        squares += values[i] * values[i];
    }
    (void)snprintf(prefix, sizeof(prefix), "%s/norm/", name);
    double expected = golden_number(file, prefix, t->name, "");
    (void)snprintf(prefix, sizeof(prefix), "%s/float32_deviation/", name);
    double limit = fmax(FLOOR, FACTOR * golden_number(file, prefix, t->name, ""));
    assert_near(name, t->name, fabs(sqrt(squares) / expected - 1.0), limit);
    (void)snprintf(prefix, sizeof(prefix), "%s/samples/", name);
    assert_near(name, t->name,
                distance(values, (int64_t)t->n, golden_tensor(file, prefix, t->name, ""), expected),
                limit);
}

static void check_option(enum option option, const struct kernels *kernels, bool winograd) {
    struct safetensors *file = open_golden("options");
    struct network_fixture *f = fixture_of(option, kernels, winograd);
    struct run_config config = {.optimizer = OPTIMIZER_SGD,
                                .momentum = 0.9,
                                .lr = 1e-2,
                                .epochs = N_STEPS,
                                .ema = option == EMA ? 0.75 : 0};
    struct optimizer *optimizer = NULL;
    struct ema ema;
    if (option == LINEAR) {
        config.lr_schedule = LR_SCHEDULE_LINEAR;
        config.lr_warmup = 0.4;
    }
    assert_int_equal(optimizer_create(&config, &f->net, &optimizer, NULL), STATUS_OK);
    assert_int_equal(ema_open(&config, &f->net, &ema, NULL), STATUS_OK);
    ema_begin(&ema, &f->net, f->params, f->moving);
    const struct safetensors_tensor *losses = golden_tensor(file, names[option], "/losses", "");
    const struct safetensors_tensor *peer =
        golden_tensor(file, names[option], "/losses_float32", "");
    for (int step = 0; step < N_STEPS; step++) {
        double loss = find_gradient(f, option);
        (void)optimizer_step(optimizer, f->team, f->params, f->gradient,
                             run_step_lr(&config, step, 0, 1));
        ema_step(&ema, &f->net, config.ema, f->params, f->moving);
        double expected = golden_value(losses, step);
        double peers = fabs(golden_value(peer, step) / expected - 1.0);
        assert_near(names[option], "loss", fabs(loss / expected - 1.0),
                    fmax(FLOOR, FACTOR * peers));
    }
    for (int k = 0; k < f->net.n_tensors; k++) {
        check_tensor(f, &ema, names[option], file, &f->net.tensors[k]);
    }
    ema_close(&ema);
    optimizer_free(optimizer);
    fixture_free(f);
    safetensors_free(file);
}

static void each_option_agrees_with_pytorch(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        if (*k == &kernels_ref || (SLOW_BUILD && *k != &kernels_blas)) {
            continue; /* it would take as long as all others together */
        }
        for (int winograd = 0; winograd <= ((*k)->has_winograd ? 1 : 0); winograd++) {
            for (int option = 0; option < N_OPTIONS; option++) {
                check_option((enum option)option, *k, winograd);
            }
        }
    }
}

static uint8_t one_side(void *user, int index, float *ret_image) {
    golden_image(index, ret_image);
    if (*(const bool *)user) {
        augment_mirror(ret_image);
    }
    return golden_label(index);
}

static void logits_with_those_of_mirror_images_agree_with_pytorch(void **state) {
    (void)state;
    struct safetensors *file = open_golden("options");
    struct network_fixture *f = fixture_make(8, &kernels_blas, false, 2, N_IMAGES);
    float logits[2][N_IMAGES * RESNET_CIFAR10_CLASSES];
    double sums[N_IMAGES * RESNET_CIFAR10_CLASSES];
    fill_golden(f, N_IMAGES);
    engine_evaluate_prepare(f->engine, f->params, f->moving);
    for (int side = 0; side < 2; side++) {
        bool mirror = side == 1;
        struct engine_result result;
        engine_evaluate(f->engine, one_side, &mirror, 0, N_IMAGES, logits[side], NULL, &result);
    }
    for (int i = 0; i < N_IMAGES * RESNET_CIFAR10_CLASSES; i++) {
        sums[i] = (double)(logits[0][i] + logits[1][i]);
    }
    assert_near("logits", "",
                distance(sums, N_IMAGES * RESNET_CIFAR10_CLASSES,
                         golden_tensor(file, "tta/logits", "", ""), -1.0),
                5e-5);
    fixture_free(f);
    safetensors_free(file);
}

static void the_hardest_are_in_order_and_the_first_of_equal_ones(void **state) {
    (void)state;
    static const double losses[] = {1, 3, (double)NAN, 2, 3, 0.5, 3};
    int places[7];
    hardest_choose(losses, 7, 3, places);
    assert_true(places[0] == 1 && places[1] == 2 && places[2] == 4);
    hardest_choose(losses, 7, 7, places);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(places[i], i);
    }
    hardest_choose(losses, 7, 1, places);
    assert_int_equal(places[0], 2);
    assert_int_equal(hardest_count(10, 0.3), 3);
    assert_int_equal(hardest_count(10, 0.31), 4);
    assert_int_equal(hardest_count(10, 0.001), 1);
    assert_int_equal(hardest_count(7, 1), 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_option_agrees_with_pytorch),
        cmocka_unit_test(logits_with_those_of_mirror_images_agree_with_pytorch),
        cmocka_unit_test(the_hardest_are_in_order_and_the_first_of_equal_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
