/* The paper's network against PyTorch in double precision, for every kernel variant of this
 * machine: one training step, its moving statistics, and an evaluation with them.
 *
 * Tolerances as in golden_test.c: PyTorch's own float32 distance, which the file has. A ReLU that
 * falls on the other side of zero may cost FLIP; a wrong formula is off by far more in every tensor
 * in front of it.
 */
#include "tests/core/golden_fixture.h"

#define FLOOR 2e-5
#define FACTOR 20.0
#define FLIP 0.02
#define L2 1e-4

enum { DEPTH = 14, N_IMAGES = 6, MAX_TENSOR = 36864 };

static struct network_fixture *fixture_of(const struct kernels *kernels, bool winograd, bool bf16) {
    struct run_config config = run_preset_find("paper")->config;
    const struct engine_options options = {
        .kernels = kernels, .max_images = N_IMAGES, .winograd = winograd, .bf16 = bf16};
    config.depth = DEPTH;
    return fixture_make_for(&config, RESNET_CIFAR10_CLASSES, 2, options);
}

static void check_gradients(struct network_fixture *f, const struct safetensors *file,
                            const char *variant) {
    static double gradient[MAX_TENSOR];
    double worst = 0.0;
    int n_checked = 0;
    for (int k = 0; k < f->net.n_tensors; k++) {
        const struct tensor *t = &f->net.tensors[k];
        if (tensor_is_moving(t)) {
            continue;
        }
        for (size_t i = 0; i < t->n; i++) {
            double penalty =
                t->kind == TENSOR_CONV_KERNEL ? 2.0 * L2 * (double)f->params[t->offset + i] : 0.0;
            gradient[i] = (double)f->gradient[t->offset + i] + penalty;
        }
        double length = golden_number(file, "gradient/", t->name, "/norm");
        double peer = golden_number(file, "float32_deviation/", t->name, "");
        double got = distance(gradient, (int64_t)t->n,
                              golden_tensor(file, "gradient/", t->name, "/samples"), length);
        worst = fmax(worst, got);
        n_checked++;
        assert_near("gradient of", t->name, got, fmax(FLOOR, FACTOR * peer) + FLIP);
    }
    assert_int_equal(n_checked, 2 * (DEPTH - 1) + (DEPTH - 1) + 3 * 2 + 2);
    print_message("%s: gradients are at most %.3g away\n", variant, worst);
}

static void check_statistics(struct network_fixture *f, const struct safetensors *file,
                             double limit) {
    for (int bn = 0; bn < f->net.n_bns; bn++) {
        const struct resnet_bn *n = &f->net.bns[bn];
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

static void check_outputs(struct network_fixture *f, const struct safetensors *file, double limit) {
    for (int block = 0; block <= f->net.n_blocks; block++) {
        const struct resnet_bn *n = &f->net.bns[block == 0 ? 0 : f->net.blocks[block - 1].bn2];
        const float *output = engine_block_output(f->engine, block);
        double squares = 0.0;
        char name[16];
        for (int i = 0; i < n->side * n->side * n->c; i++) {
            squares += (double)output[i] * (double)output[i];
        }
        (void)snprintf(name, sizeof(name), "%d", block);
        assert_near("squares of block", name,
                    fabs(squares / golden_number(file, "output/", name, "/sum_of_squares") - 1.0),
                    limit);
    }
}

static void check_logits(const char *what, const float *logits,
                         const struct safetensors_tensor *expected, double limit) {
    double values[N_IMAGES * RESNET_CIFAR10_CLASSES];
    for (int i = 0; i < N_IMAGES * RESNET_CIFAR10_CLASSES; i++) {
        values[i] = (double)logits[i];
    }
    assert_near(what, "", distance(values, N_IMAGES * RESNET_CIFAR10_CLASSES, expected, -1.0),
                limit);
}

static uint8_t golden_source(void *user, int index, float *ret_image) {
    (void)user;
    golden_image(index, ret_image);
    return golden_label(index);
}

static void check_variant(const struct kernels *kernels, bool winograd) {
    struct safetensors *file = open_golden("paper");
    struct network_fixture *f = fixture_of(kernels, winograd, false);
    float logits[N_IMAGES * RESNET_CIFAR10_CLASSES];
    double limit = winograd ? 5e-4 : 5e-5;
    fill_golden(f, N_IMAGES);
    struct engine_result result = fixture_train(f, N_IMAGES);
    assert_near("data loss", "",
                fabs(result.loss / N_IMAGES / golden_number(file, "loss/data", "", "") - 1.0),
                limit);
    check_logits("logits", engine_logits(f->engine), golden_tensor(file, "logits", "", ""), limit);
    check_outputs(f, file, limit);
    check_statistics(f, file, winograd ? 2e-4 : 5e-5);
    check_gradients(f, file, kernels->name);
    engine_evaluate_prepare(f->engine, f->params, f->moving);
    engine_evaluate(f->engine, golden_source, NULL, 0, N_IMAGES, logits, NULL, &result);
    check_logits("evaluation logits", logits, golden_tensor(file, "evaluation/logits", "", ""),
                 limit);
    fixture_free(f);
    safetensors_free(file);
}

static void the_papers_network_agrees_with_pytorch(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (int winograd = 0; winograd <= ((*k)->has_winograd ? 1 : 0); winograd++) {
            if (!SLOW_BUILD || *k != &kernels_ref) {
                check_variant(*k, winograd);
            }
        }
    }
}

/* In bfloat16 what is kept has 8 bits: the same gradients, to within that. */
static void kept_as_bfloat16_it_goes_the_same_way(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        if (SLOW_BUILD && *k == &kernels_ref) {
            continue;
        }
        struct network_fixture *f = fixture_of(*k, false, false);
        struct network_fixture *g = fixture_of(*k, false, true);
        fill_golden(f, N_IMAGES);
        fill_golden(g, N_IMAGES);
        double exact = fixture_train(f, N_IMAGES).loss;
        double kept = fixture_train(g, N_IMAGES).loss;
        assert_true(exact != kept && fabs(kept / exact - 1.0) < 0.02);
        const struct tensor *dense = &f->net.tensors[f->net.dense_kernel];
        double difference = 0.0;
        double squares = 0.0;
        for (size_t i = dense->offset; i < dense->offset + dense->n; i++) {
            double d = (double)f->gradient[i] - (double)g->gradient[i];
            difference += d * d;
            squares += (double)f->gradient[i] * (double)f->gradient[i];
        }
        assert_true(sqrt(difference / squares) < 0.05);
        fixture_free(f);
        fixture_free(g);
    }
}

static void only_the_last_gammas_of_blocks_begin_with_zero(void **state) {
    (void)state;
    struct network_fixture *f = fixture_of(&kernels_blas, false, false);
    int n_zero = 0;
    for (int bn = 0; bn < f->net.n_bns; bn++) {
        const struct tensor *gamma = &f->net.tensors[f->net.bns[bn].gamma];
        float first = f->params[gamma->offset];
        for (size_t i = 0; i < gamma->n; i++) {
            assert_true(f->params[gamma->offset + i] == first);
        }
        assert_true(first == 0.0F || first == 1.0F);
        n_zero += first == 0.0F;
    }
    assert_int_equal(n_zero, f->net.n_blocks);
    for (int b = 0; b < f->net.n_blocks; b++) {
        const struct resnet_block *block = &f->net.blocks[b];
        assert_true(f->params[f->net.tensors[f->net.bns[block->bn2].gamma].offset] == 0.0F);
        assert_int_equal(block->shortcut_bn >= 0, block->shortcut >= 0);
        assert_int_equal(f->net.convs[block->conv1].bias, -1);
    }
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_papers_network_agrees_with_pytorch),
        cmocka_unit_test(kept_as_bfloat16_it_goes_the_same_way),
        cmocka_unit_test(only_the_last_gammas_of_blocks_begin_with_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
