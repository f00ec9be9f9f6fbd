/* The engine against PyTorch in double precision, for every kernel variant of this machine.
 *
 * tests/golden/README.md says what is in the files. The tolerances are taken from the files too:
 * they record how far PyTorch's own float32 is from the truth (`float32_deviation`). A
 * whole-network gradient in float32 differs from the true one by rounding and, now and then, by a
 * ReLU that falls on the other side of zero; FACTOR times PyTorch's own distance (and never less
 * than FLOOR, a few dozen roundings) allows for another order of summation. A wrong formula is off
 * by 1e-2 or more.
 */
#include "tests/core/golden_fixture.h"

#include "core/nn/engine_internal.h"

#define FLOOR 2e-5
#define FACTOR 8.0
#define WINOGRAD_FACTOR 20.0 /* F(4x4,3x3) in float32 loses about one digit */
#define FLIP 0.02            /* one was seen to cost 0.015 at depth 44 */
#define MAX_FLIPS 5          /* 0.1 in all */
#define L2 1e-4

enum { MAX_TENSOR = 36864 };

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
        return ((const float *)e->out[relu / 2])[i] > 0.0F;
    }
    const struct bn_state *bn = &e->bns[e->net->blocks[block].bn1];
    const float *y = e->y[e->net->blocks[block].bn1];
    return fmaf(y[i], bn->scale[c], bn->shift[c]) > 0.0F;
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
    double behind = 0.0;
    int flips_from[RESNET_MAX_BNS + 1] = {0}; /* in this ReLU and all behind it */
    for (int relu = f->net.n_bns - 1; relu >= 0; relu--) {
        flips_from[relu] =
            flips_from[relu + 1] + count_flips(f->engine, c->reference->engine, relu, c->n_images);
    }
    assert_in_range(flips_from[0], 0, MAX_FLIPS);
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
        behind = flips ? fmax(behind, got) : behind;
        worst = flips ? worst : fmax(worst, got / peer);
        assert_near("gradient of", t->name, got, fmax(FLOOR, factor_of(c) * peer) + FLIP * flips);
    }
    print_message("%s%s depth %d: %d flipped ReLUs, in front of them at most %.3g; behind them at "
                  "most %.2f times PyTorch's float32 distance\n",
                  c->kernels->name, c->winograd ? " winograd" : "", c->depth, flips_from[0], behind,
                  worst);
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
    double values[64 * RESNET_CIFAR10_CLASSES];
    for (int i = 0; i < n_images * RESNET_CIFAR10_CLASSES; i++) {
        values[i] = (double)logits[i];
    }
    assert_near(what, "",
                distance(values, (int64_t)n_images * RESNET_CIFAR10_CLASSES, expected, -1.0),
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

    float logits[8 * RESNET_CIFAR10_CLASSES];
    engine_evaluate_prepare(f->engine, f->params, f->moving);
    engine_evaluate(f->engine, golden_source, NULL, 0, c->n_images, logits, NULL, &result);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_the_same),
        cmocka_unit_test(depth_8_agrees_with_pytorch),
        cmocka_unit_test(depth_44_agrees_with_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
