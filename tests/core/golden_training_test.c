/* Several steps of training against PyTorch in double precision, for every kernel variant of this
 * machine: each optimizer on one batch, and an epoch whose batches are cut into chunks of different
 * sizes.
 *
 * The tolerance is FACTOR times the distance of PyTorch's own float32 (tests/golden/README.md), and
 * never less than FLOOR.
 */
#include "tests/core/golden_fixture.h"

#include "core/train/optimizer.h"

#define FLOOR 2e-4
#define FACTOR 8.0
#define L2 1e-4

struct training_case {
    const char *file;
    const char *name; /* of the optimizer */
    enum optimizer_kind kind;
    double lr;
    bool nesterov;
    int n_steps;
    const int *batches; /* images of each step, one behind the other; NULL: always the first six */
    int max_images;
    double grad_clip;
};

/* The length of a tensor, and 16 of its numbers. */
static void check_tensor(struct network_fixture *f, const struct training_case *c,
                         const struct safetensors *file, const struct tensor *t) {
    static double values[9 * 64 * 64];
    char prefix[48];
    double squares = 0.0;
    for (size_t i = 0; i < t->n; i++) {
        values[i] = (double)place_of(f, t)[i];
        squares += values[i] * values[i];
    }
    (void)snprintf(prefix, sizeof(prefix), "%s/norm/", c->name);
    double expected = golden_number(file, prefix, t->name, "");
    (void)snprintf(prefix, sizeof(prefix), "%s/float32_deviation/", c->name);
    double limit = fmax(FLOOR, FACTOR * golden_number(file, prefix, t->name, ""));
    assert_near(c->name, t->name, fabs(sqrt(squares) / expected - 1.0), limit);
    if (c->batches) {
        (void)snprintf(prefix, sizeof(prefix), "%s/samples/", c->name);
        assert_near(
            c->name, t->name,
            distance(values, (int64_t)t->n, golden_tensor(file, prefix, t->name, ""), expected),
            limit);
    }
}

static void check_training(const struct training_case *c, const struct kernels *kernels,
                           bool winograd) {
    struct safetensors *file = open_golden(c->file);
    struct network_fixture *f = fixture_make(8, kernels, winograd, 2, c->max_images);
    const struct run_config config = {.optimizer = c->kind,
                                      .momentum = 0.9,
                                      .nesterov = c->nesterov,
                                      .l2 = L2,
                                      .grad_clip = c->grad_clip};
    struct optimizer *optimizer = NULL;
    assert_int_equal(optimizer_create(&config, &f->net, &optimizer, NULL), STATUS_OK);
    fill_golden(f, c->max_images);
    const struct safetensors_tensor *losses = golden_tensor(file, c->name, "/losses", "");
    const struct safetensors_tensor *peer = golden_tensor(file, c->name, "/losses_float32", "");
    int first = 0;
    for (int step = 0; step < c->n_steps; step++) {
        int n = c->batches ? c->batches[step] : c->max_images;
        if (c->batches) {
            fill_golden_batch(f, first, n);
            first += n;
        }
        double loss = fixture_train(f, n).loss / n +
                      optimizer_step(optimizer, f->team, f->params, f->gradient, c->lr);
        double expected = golden_value(losses, step);
        double peers = fabs(golden_value(peer, step) / expected - 1.0);
        assert_near(c->name, "loss", fabs(loss / expected - 1.0), fmax(FLOOR, FACTOR * peers));
    }
    for (int k = 0; k < f->net.n_tensors; k++) {
        const struct tensor *t = &f->net.tensors[k];
        check_tensor(f, c, file, t);
    }
    optimizer_free(optimizer);
    fixture_free(f);
    safetensors_free(file);
}

static void check_every_variant(const struct training_case *c) {
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        /* ref is in core.golden; here it would take as long as all others together. */
        bool chosen = SLOW_BUILD ? *k == &kernels_blas : !c->batches || *k != &kernels_ref;
        for (int winograd = 0; chosen && winograd <= ((*k)->has_winograd ? 1 : 0); winograd++) {
            check_training(c, *k, winograd);
        }
    }
}

static void ten_steps_of_each_optimizer_agree_with_pytorch(void **state) {
    (void)state;
    static const struct training_case cases[] = {
        {"optimizers", "adam", OPTIMIZER_ADAM, 1e-3, false, 10, NULL, 6, 0},
        {"optimizers", "rmsprop", OPTIMIZER_RMSPROP, 1e-3, false, 10, NULL, 6, 0},
        {"optimizers", "sgd", OPTIMIZER_SGD, 1e-2, false, 10, NULL, 6, 0},
        {"optimizers", "nesterov", OPTIMIZER_SGD, 1e-2, true, 10, NULL, 6, 0},
        /* the first steps are clipped, the last are not */
        {"optimizers", "clipped", OPTIMIZER_SGD, 1e-2, false, 10, NULL, 6, 3.9},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_every_variant(&cases[i]);
    }
}

static void an_epoch_of_several_chunk_sizes_agrees_with_pytorch(void **state) {
    (void)state;
    static const int batches[] = {300, 70, 13};
    static const struct training_case c = {"epoch", "sgd",   OPTIMIZER_SGD, 1e-2, false,
                                           3,       batches, 300,           0};
    check_every_variant(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_steps_of_each_optimizer_agree_with_pytorch),
        cmocka_unit_test(an_epoch_of_several_chunk_sizes_agrees_with_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
