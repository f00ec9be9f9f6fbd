/* The engine against PyTorch in double precision, for every kernel variant of this machine.
 *
 * tests/golden/README.md says what is in the files. The tolerances are taken from the files too:
 * they record how far PyTorch's own float32 is from the truth (`float32_deviation`). A
 * whole-network gradient in float32 differs from the true one by rounding and, now and then, by a
 * ReLU that falls on the other side of zero; FACTOR times PyTorch's own distance (and never less
 * than FLOOR, a few dozen roundings) allows for another order of summation. A wrong formula is off
 * by 1e-2 or more.
 */
#include "tests/core/network_fixture.h"

#include <math.h>
#include <stdio.h>

#include "core/nn/engine_internal.h"
#include "core/train/optimizer.h"
#include "core/train/safetensors.h"

#define FLOOR 2e-5
#define FACTOR 8.0
#define WINOGRAD_FACTOR 40.0 /* F(4x4,3x3) in float32 loses about one digit */
#define FLIP 0.05
#define L2 1e-4

enum { IMAGES_TENSOR = 1000000, LABELS_TENSOR = 1000001, MAX_TENSOR = 36864 };

/* ---- the generator of tests/golden/README.md ---- */

static uint64_t hash_bits(uint64_t tensor, uint64_t element) {
    uint64_t z = (tensor << 32 | element) + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z = z ^ (z >> 31);
    return z >> 40;
}

static float unit(uint64_t tensor, uint64_t element) {
    return (float)hash_bits(tensor, element) * 0x1p-24F;
}

static float generated(const struct tensor *t, int number, size_t i) {
    float u = unit((uint64_t)number, i);
    int fan_in = t->n_dims == 4 ? t->shape[0] * t->shape[1] * t->shape[2] : t->shape[0];
    switch (t->kind) {
    case TENSOR_CONV_KERNEL:
    case TENSOR_DENSE_KERNEL:
        return (2.0F * u - 1.0F) * (float)sqrt(6.0 / fan_in);
    case TENSOR_CONV_BIAS:
    case TENSOR_DENSE_BIAS:
        return (2.0F * u - 1.0F) * 0.2F;
    case TENSOR_GAMMA:
        return 0.75F + 0.5F * u;
    case TENSOR_BETA:
        return (u - 0.5F) * 0.4F;
    case TENSOR_MOVING_MEAN:
        return 0.0F;
    case TENSOR_MOVING_VARIANCE:
        return 1.0F;
    }
    return NAN;
}

static float *place_of(struct network_fixture *f, const struct tensor *t) {
    return (tensor_is_moving(t) ? f->moving : f->params) + t->offset;
}

static void golden_image(int image, float *ret_image) {
    for (size_t pixel = 0; pixel < 1024; pixel++) {
        for (size_t c = 0; c < 4; c++) {
            size_t element = ((size_t)image * 1024 + pixel) * 3 + c;
            ret_image[pixel * 4 + c] = c == 3 ? 0.0F : 2.0F * unit(IMAGES_TENSOR, element) - 1.0F;
        }
    }
}

static uint8_t golden_label(int image) {
    return (uint8_t)(hash_bits(LABELS_TENSOR, (uint64_t)image) % 10);
}

static void fill_golden(struct network_fixture *f, int n_images) {
    for (int k = 0; k < f->net.n_tensors; k++) {
        for (size_t i = 0; i < f->net.tensors[k].n; i++) {
            place_of(f, &f->net.tensors[k])[i] = generated(&f->net.tensors[k], k, i);
        }
    }
    for (int i = 0; i < n_images; i++) {
        golden_image(i, engine_images(f->engine) + (size_t)i * ENGINE_IMAGE_FLOATS);
        engine_labels(f->engine)[i] = golden_label(i);
    }
}

/* ---- the files ---- */

static struct safetensors *open_golden(const char *name) {
    char path[512];
    struct error error;
    struct safetensors *file = NULL;
    (void)snprintf(path, sizeof(path), "%s/tests/golden/%s.safetensors", CUTOUTD_SOURCE_DIR, name);
    if (safetensors_read(path, NULL, &file, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    return file;
}

static const struct safetensors_tensor *golden_tensor(const struct safetensors *file,
                                                      const char *prefix, const char *name,
                                                      const char *suffix) {
    char full[128];
    (void)snprintf(full, sizeof(full), "%s%s%s", prefix, name, suffix);
    const struct safetensors_tensor *t = safetensors_find(file, full);
    if (!t) {
        fail_msg("the golden file lacks %s", full);
    }
    return t;
}

static double golden_value(const struct safetensors_tensor *t, int64_t i) {
    return t->dtype == SAFETENSORS_F32 ? (double)((const float *)t->data)[i]
                                       : ((const double *)t->data)[i];
}

static double golden_number(const struct safetensors *file, const char *prefix, const char *name,
                            const char *suffix) {
    return golden_value(golden_tensor(file, prefix, name, suffix), 0);
}

/* ||values - expected|| / ||expected||, where element k of expected is element k*n/count of values;
 * the length is that of the whole tensor when it is known. */
static double distance(const double *values, int64_t n, const struct safetensors_tensor *expected,
                       double length) {
    int64_t count = safetensors_numbers(expected);
    double difference = 0.0;
    double squares = 0.0;
    for (int64_t k = 0; k < count; k++) {
        double e = golden_value(expected, k);
        double d = values[k * n / count] - e;
        difference += d * d;
        squares += e * e;
    }
    double whole = length >= 0.0 ? length * sqrt((double)count / (double)n) : sqrt(squares);
    return sqrt(difference) / fmax(fmax(whole, sqrt(squares)), 1e-30);
}

static void assert_near(const char *what, const char *name, double got, double limit) {
    if (!(got <= limit)) {
        fail_msg("%s %s: relative distance %.3g, limit %.3g", what, name, got, limit);
    }
}

/* ---- one training step ---- */

struct golden_case {
    struct network_fixture *reference; /* after the same step on the reference kernels */
    const struct kernels *kernels;
    bool winograd;
    int depth;
    int n_images;
    const char *file;
};

static double factor_of(const struct golden_case *c) {
    return c->winograd ? WINOGRAD_FACTOR : FACTOR;
}

/* ---- ReLUs, numbered from the input: 0 behind the stem, 1 + 2b inside block b, 2 + 2b behind it
 * ---- */

static bool relu_is_open(const struct engine *e, int relu, int c, size_t i) {
    int block = (relu - 1) / 2;
    if (relu == 0 || relu % 2 == 0) {
        return e->out[relu / 2][i] > 0.0F;
    }
    const struct bn_state *bn = &e->bns[e->net->blocks[block].bn1];
    return fmaf(e->y[e->net->blocks[block].bn1][i], bn->scale[c], bn->shift[c]) > 0.0F;
}

static int count_flips(const struct engine *a, const struct engine *b, int relu, int n_images) {
    int flips = 0;
    const struct resnet_bn *n = &a->net->bns[relu]; /* BNs and ReLUs have the same numbers */
    size_t pixels = (size_t)n->side * (size_t)n->side;
    for (size_t i = 0; i < (size_t)n_images * (size_t)n->c * pixels; i++) {
        int c = (int)((i / (pixels * 16)) * 16 % (size_t)n->c + i % 16);
        flips += relu_is_open(a, relu, c, i) != relu_is_open(b, relu, c, i);
    }
    return flips;
}

/* The ReLU that a tensor's output reaches first. */
static int relu_of(const struct resnet *net, int tensor) {
    for (int bn = 0; bn < net->n_bns; bn++) {
        const struct resnet_conv *conv = &net->convs[net->bns[bn].conv];
        if (net->bns[bn].gamma == tensor || net->bns[bn].beta == tensor || conv->kernel == tensor ||
            conv->bias == tensor) {
            return bn;
        }
    }
    for (int b = 0; b < net->n_blocks; b++) {
        int shortcut = net->blocks[b].shortcut;
        if (shortcut >= 0 &&
            (net->convs[shortcut].kernel == tensor || net->convs[shortcut].bias == tensor)) {
            return net->blocks[b].bn2;
        }
    }
    return net->n_bns; /* the dense layer: behind all of them */
}

static void check_gradients(struct network_fixture *f, const struct safetensors *file,
                            const struct golden_case *c) {
    static double gradient[MAX_TENSOR];
    double worst = 0.0;
    int flips_from[RESNET_MAX_BNS + 1] = {0}; /* in this ReLU and all behind it */
    for (int relu = f->net.n_bns - 1; relu >= 0; relu--) {
        flips_from[relu] =
            flips_from[relu + 1] + count_flips(f->engine, c->reference->engine, relu, c->n_images);
    }
    for (int k = 0; k < f->net.n_tensors; k++) {
        const struct tensor *t = &f->net.tensors[k];
        if (tensor_is_moving(t)) {
            continue;
        }
        for (size_t i = 0; i < t->n; i++) {
            double penalty =
                t->kind == TENSOR_CONV_KERNEL ? 2.0 * L2 * (double)f->params[t->offset + i] : 0.0;
            gradient[i] = (double)f->gradient[t->offset + i] + penalty;
            assert_true(!t->frozen || gradient[i] == 0.0);
        }
        if (t->frozen) {
            continue;
        }
        bool whole = c->depth == 8;
        double length = whole ? -1.0 : golden_number(file, "gradient/", t->name, "/norm");
        double peer = golden_number(file, "float32_deviation/", t->name, "");
        double got =
            distance(gradient, (int64_t)t->n,
                     golden_tensor(file, "gradient/", t->name, whole ? "" : "/samples"), length);
        int flips = flips_from[relu_of(&f->net, k)];
        worst = flips ? worst : fmax(worst, got / peer);
        assert_near("gradient of", t->name, got, fmax(FLOOR, factor_of(c) * peer) + FLIP * flips);
    }
    print_message("%s%s depth %d: %d flipped ReLUs; behind them at most %.2f times PyTorch's "
                  "float32 distance\n",
                  c->kernels->name, c->winograd ? " winograd" : "", c->depth, flips_from[0], worst);
    assert_true(flips_from[0] <= (c->winograd ? 60 : 6));
}

static void check_statistics(struct network_fixture *f, const struct safetensors *file,
                             const struct golden_case *c) {
    double mean[64];
    double variance[64];
    double limit = c->winograd ? 2e-4 : FLOOR;
    for (int bn = 0; bn < f->net.n_bns; bn++) {
        const struct resnet_bn *n = &f->net.bns[bn];
        char name[64];
        const char *moving_mean = f->net.tensors[n->moving_mean].name;
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(moving_mean, "/"), moving_mean);
        engine_batch_statistics(f->engine, f->params, bn, mean, variance);
        assert_near("mean of", name,
                    distance(mean, n->c, golden_tensor(file, "statistics/", name, "/mean"), -1.0),
                    limit);
        assert_near(
            "variance of", name,
            distance(variance, n->c, golden_tensor(file, "statistics/", name, "/variance"), -1.0),
            limit);
        const int moving[2] = {n->moving_mean, n->moving_variance};
        for (int i = 0; i < 2; i++) {
            const struct tensor *t = &f->net.tensors[moving[i]];
            double values[64];
            for (int k = 0; k < n->c; k++) {
                values[k] = (double)f->moving[t->offset + (size_t)k];
            }
            assert_near("moving", t->name,
                        distance(values, n->c, golden_tensor(file, "moving/", t->name, ""), -1.0),
                        limit);
        }
    }
}

static void check_output(struct network_fixture *f, const struct safetensors *file, int block,
                         const struct golden_case *c) {
    static double flat[32 * 32 * 16];
    const struct resnet_bn *n = &f->net.bns[block == 0 ? 0 : f->net.blocks[block - 1].bn2];
    const float *output = engine_block_output(f->engine, block);
    int pixels = n->side * n->side;
    double sum_squares = 0.0;
    for (int pixel = 0; pixel < pixels; pixel++) {
        for (int k = 0; k < n->c; k++) {
            double value = (double)output[((k / 16) * pixels + pixel) * 16 + k % 16];
            flat[pixel * n->c + k] = value;
            sum_squares += value * value;
        }
    }
    char name[16];
    (void)snprintf(name, sizeof(name), "%d", block);
    bool whole = c->depth == 8;
    double limit = c->winograd ? 5e-4 : 5e-5;
    assert_near("output of block", name,
                distance(flat, (int64_t)pixels * n->c,
                         golden_tensor(file, "output/", name, whole ? "" : "/samples"), -1.0),
                limit);
    if (!whole) {
        double expected = golden_number(file, "output/", name, "/sum_of_squares");
        assert_near("squares of block", name, fabs(sum_squares / expected - 1.0), limit);
    }
}

static void check_logits(const char *what, const float *logits, int n_images,
                         const struct safetensors_tensor *expected, double limit) {
    double values[64 * RESNET_CLASSES];
    for (int i = 0; i < n_images * RESNET_CLASSES; i++) {
        values[i] = (double)logits[i];
    }
    assert_near(what, "", distance(values, (int64_t)n_images * RESNET_CLASSES, expected, -1.0),
                limit);
}

static uint8_t golden_source(void *user, int index, float *ret_image) {
    (void)user;
    golden_image(index, ret_image);
    return golden_label(index);
}

static void check_case(const struct golden_case *c) {
    struct safetensors *file = open_golden(c->file);
    struct network_fixture *f = fixture_make(c->depth, c->kernels, c->winograd, 2, c->n_images);
    fill_golden(f, c->n_images);
    struct engine_result result = fixture_train(f, c->n_images);
    double limit = c->winograd ? 5e-4 : 5e-5;
    assert_near("data loss", "",
                fabs(result.loss / c->n_images / golden_number(file, "loss/data", "", "") - 1.0),
                limit);
    check_logits("logits", engine_logits(f->engine), c->n_images,
                 golden_tensor(file, "logits", "", ""), limit);
    for (int block = 0; block <= f->net.n_blocks; block++) {
        check_output(f, file, block, c);
    }
    check_statistics(f, file, c);
    check_gradients(f, file, c);

    float logits[8 * RESNET_CLASSES];
    engine_evaluate_prepare(f->engine, f->params, f->moving);
    engine_evaluate(f->engine, golden_source, NULL, 0, c->n_images, logits, &result);
    check_logits("evaluation logits", logits, c->n_images,
                 golden_tensor(file, "evaluation/logits", "", ""), limit);
    fixture_free(f);
    safetensors_free(file);
}

static void check_every_variant(int depth, int n_images, const char *file) {
    struct network_fixture *reference = fixture_make(depth, &kernels_ref, false, 2, n_images);
    fill_golden(reference, n_images);
    (void)fixture_train(reference, n_images);
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (int winograd = 0; winograd <= ((*k)->has_winograd ? 1 : 0); winograd++) {
            const struct golden_case c = {.reference = reference,
                                          .kernels = *k,
                                          .winograd = winograd,
                                          .depth = depth,
                                          .n_images = n_images,
                                          .file = file};
            check_case(&c);
        }
    }
    fixture_free(reference);
}

static void the_generator_is_the_same(void **state) {
    (void)state;
    static struct resnet net;
    struct safetensors *file = open_golden("generator");
    assert_int_equal(resnet_plan(8, &net, NULL), STATUS_OK);
    for (int k = 0; k < net.n_tensors; k++) {
        const struct safetensors_tensor *t = golden_tensor(file, net.tensors[k].name, "", "");
        for (int64_t i = 0; i < safetensors_numbers(t); i++) {
            assert_true((double)generated(&net.tensors[k], k, (size_t)i) == golden_value(t, i));
        }
    }
    safetensors_free(file);
}

static void depth_8_agrees_with_pytorch(void **state) {
    (void)state;
    check_every_variant(8, 6, "depth8");
}

static void depth_44_agrees_with_pytorch(void **state) {
    (void)state;
    if (SLOW_BUILD) {
        skip();
    }
    check_every_variant(44, 4, "depth44");
}

/* ---- ten steps of each optimizer ---- */

struct optimizer_case {
    const char *name;
    enum optimizer_kind kind;
    double lr;
    bool nesterov;
};

static void check_optimizer(const struct optimizer_case *c, const struct kernels *kernels) {
    enum { STEPS = 10, N = 6 };
    struct safetensors *file = open_golden("optimizers");
    struct network_fixture *f = fixture_make(8, kernels, false, 2, N);
    const struct run_config config = {
        .optimizer = c->kind, .momentum = 0.9, .nesterov = c->nesterov, .l2 = L2};
    struct optimizer *optimizer = NULL;
    assert_int_equal(optimizer_create(&config, &f->net, &optimizer, NULL), STATUS_OK);
    fill_golden(f, N);
    const struct safetensors_tensor *losses = golden_tensor(file, c->name, "/losses", "");
    const struct safetensors_tensor *peer = golden_tensor(file, c->name, "/losses_float32", "");
    for (int step = 0; step < STEPS; step++) {
        double loss = fixture_train(f, N).loss / N +
                      optimizer_step(optimizer, f->team, f->params, f->gradient, c->lr);
        double expected = golden_value(losses, step);
        double peers = fabs(golden_value(peer, step) / expected - 1.0);
        assert_near(c->name, "loss", fabs(loss / expected - 1.0), fmax(2e-4, FACTOR * peers));
    }
    for (int k = 0; k < f->net.n_tensors; k++) {
        const struct tensor *t = &f->net.tensors[k];
        double squares = 0.0;
        for (size_t i = 0; i < t->n; i++) {
            squares += (double)place_of(f, t)[i] * (double)place_of(f, t)[i];
        }
        char prefix[32];
        (void)snprintf(prefix, sizeof(prefix), "%s/norm/", c->name);
        double expected = golden_number(file, prefix, t->name, "");
        (void)snprintf(prefix, sizeof(prefix), "%s/float32_deviation/", c->name);
        double deviation = golden_number(file, prefix, t->name, "");
        assert_near(c->name, t->name, fabs(sqrt(squares) / expected - 1.0),
                    fmax(2e-4, FACTOR * deviation));
    }
    optimizer_free(optimizer);
    fixture_free(f);
    safetensors_free(file);
}

static void ten_steps_of_each_optimizer_agree_with_pytorch(void **state) {
    (void)state;
    static const struct optimizer_case cases[] = {
        {"adam", OPTIMIZER_ADAM, 1e-3, false},
        {"rmsprop", OPTIMIZER_RMSPROP, 1e-3, false},
        {"sgd", OPTIMIZER_SGD, 1e-2, false},
        {"nesterov", OPTIMIZER_SGD, 1e-2, true},
    };
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        bool chosen = !SLOW_BUILD || *k == &kernels_blas;
        for (size_t i = 0; chosen && i < sizeof(cases) / sizeof(cases[0]); i++) {
            check_optimizer(&cases[i], *k);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_the_same),
        cmocka_unit_test(depth_8_agrees_with_pytorch),
        cmocka_unit_test(depth_44_agrees_with_pytorch),
        cmocka_unit_test(ten_steps_of_each_optimizer_agree_with_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
