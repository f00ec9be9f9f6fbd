/* The engine: gradients against finite differences, variants against each other, and the same bits
 * for any number of threads. */
#include "tests/core/network_fixture.h"

#include <math.h>

enum { DEPTH = 8, IMAGES = 6 };

static double mean_loss(struct network_fixture *f) {
    return fixture_train(f, IMAGES).loss / IMAGES;
}

/* The derivative along the gradient of one tensor, by a central difference, is the square of its
 * length. */
static void check_direction(struct network_fixture *f, const struct tensor *t,
                            const float *gradient) {
    const float *g = gradient + t->offset;
    float *saved = fixture_floats(t->n);
    memcpy(saved, f->params + t->offset, t->n * sizeof(*saved));
    double length_squared = 0.0;
    for (size_t i = 0; i < t->n; i++) {
        length_squared += (double)g[i] * (double)g[i];
    }
    assert_true(length_squared > 0.0);
    double step = 2e-3 / sqrt(length_squared);
    double loss[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < t->n; i++) {
            f->params[t->offset + i] =
                (float)((double)saved[i] + (side ? -step : step) * (double)g[i]);
        }
        loss[side] = mean_loss(f);
    }
    memcpy(f->params + t->offset, saved, t->n * sizeof(*saved));
    free(saved);
    double numeric = (loss[0] - loss[1]) / (2.0 * step);
    if (fabs(numeric / length_squared - 1.0) > 0.02) {
        fail_msg("%s: numeric derivative %.6g, analytic %.6g", t->name, numeric, length_squared);
    }
}

static void every_gradient_agrees_with_finite_differences(void **state) {
    (void)state;
    struct network_fixture *f = fixture_make(DEPTH, &kernels_blas, false, 2, IMAGES);
    (void)fixture_train(f, IMAGES);
    float *gradient = fixture_floats(f->net.n_params);
    memcpy(gradient, f->gradient, f->net.n_params * sizeof(*gradient));
    for (int i = 0; i < f->net.n_tensors; i += 1 + 2 * SLOW_BUILD) {
        const struct tensor *t = &f->net.tensors[i];
        if (!t->frozen && !tensor_is_moving(t)) {
            check_direction(f, t, gradient);
        }
    }
    free(gradient);
    fixture_free(f);
}

static struct network_fixture *of_hundred_classes(int n_threads) {
    const struct engine_options options = {.kernels = &kernels_blas, .max_images = IMAGES};
    struct network_fixture *f = fixture_make_with(DEPTH, RESNET_MAX_CLASSES, n_threads, options);
    for (int i = 0; i < IMAGES; i++) {
        engine_labels(f->engine)[i] = (uint8_t)(99 - 17 * i);
    }
    return f;
}

static void a_dense_layer_of_a_hundred_classes_agrees_with_finite_differences(void **state) {
    (void)state;
    struct network_fixture *f = of_hundred_classes(2);
    double loss = mean_loss(f);
    assert_true(loss > 0.5 * log(100) && loss < 4 * log(100));
    float *gradient = fixture_floats(f->net.n_params);
    memcpy(gradient, f->gradient, f->net.n_params * sizeof(*gradient));
    const int tensors[] = {f->net.dense_kernel, f->net.dense_bias, f->net.convs[0].kernel};
    assert_int_equal(f->net.tensors[f->net.dense_kernel].n, 64 * 100);
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
        check_direction(f, &f->net.tensors[tensors[i]], gradient);
    }
    free(gradient);
    fixture_free(f);
}

static void a_hundred_classes_have_the_same_bits_for_any_number_of_threads(void **state) {
    (void)state;
    struct network_fixture *one = of_hundred_classes(1);
    struct network_fixture *three = of_hundred_classes(3);
    assert_true(fixture_train(one, IMAGES).loss == fixture_train(three, IMAGES).loss);
    assert_memory_equal(one->gradient, three->gradient, one->net.n_params * sizeof(float));
    assert_memory_equal(engine_logits(one->engine), engine_logits(three->engine),
                        (size_t)IMAGES * RESNET_MAX_CLASSES * sizeof(float));
    fixture_free(three);
    fixture_free(one);
}

static void frozen_biases_have_no_gradient(void **state) {
    (void)state;
    struct network_fixture *f = fixture_make(DEPTH, &kernels_blas, false, 1, IMAGES);
    (void)fixture_train(f, IMAGES);
    int frozen = 0;
    for (int i = 0; i < f->net.n_tensors; i++) {
        const struct tensor *t = &f->net.tensors[i];
        for (size_t j = 0; t->frozen && j < t->n; j++, frozen++) {
            assert_true(f->gradient[t->offset + j] == 0.0F);
        }
    }
    assert_int_equal(frozen, 16 + 2 * (16 + 32 + 64));
    fixture_free(f);
}

static double relative_distance(const float *a, const float *b, size_t n) {
    double difference = 0.0;
    double length = 0.0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        length += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / length);
}

static void every_variant_agrees_with_the_reference(void **state) {
    (void)state;
    struct network_fixture *reference = fixture_make(DEPTH, &kernels_ref, false, 2, IMAGES);
    double loss = fixture_train(reference, IMAGES).loss;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (int winograd = 0; winograd <= ((*k)->has_winograd ? 1 : 0); winograd++) {
            struct network_fixture *f = fixture_make(DEPTH, *k, winograd, 2, IMAGES);
            struct engine_result result = fixture_train(f, IMAGES);
            assert_true(fabs(result.loss / loss - 1.0) < (winograd ? 1e-5 : 1e-6));
            double distance = relative_distance(f->gradient, reference->gradient, f->net.n_params);
            if (!(distance < (winograd ? 2e-4 : 2e-5))) {
                fail_msg("%s%s: gradient is %.3g away from the reference", (*k)->name,
                         winograd ? " winograd" : "", distance);
            }
            fixture_free(f);
        }
    }
    fixture_free(reference);
}

/* What is kept is rounded to 8 bits: a part in 512 of each number, with signs that mostly cancel; a
 * ReLU that flips by it shows more. All variants round the same numbers, but for those that differ
 * in the last bit before. */
static void bf16_is_close_to_f32_in_every_variant(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available() + 1; *k; k++) {
        for (int winograd = 0; winograd <= ((*k)->has_winograd ? 1 : 0); winograd++) {
            struct network_fixture *exact = fixture_make(DEPTH, *k, winograd, 2, IMAGES);
            struct network_fixture *f = fixture_make_kept(DEPTH, *k, winograd, true, 2, IMAGES);
            double loss = fixture_train(exact, IMAGES).loss;
            double distance_of_losses = fabs(fixture_train(f, IMAGES).loss / loss - 1.0);
            double distance = relative_distance(f->gradient, exact->gradient, f->net.n_params);
            if (!(distance > 1e-4 && distance < 0.1 && distance_of_losses < 5e-3)) {
                fail_msg("%s%s: loss %.3g, gradient %.3g away from that with floats", (*k)->name,
                         winograd ? " winograd" : "", distance_of_losses, distance);
            }
            fixture_free(f);
            fixture_free(exact);
        }
    }
}

static void bf16_takes_half_of_the_memory(void **state) {
    (void)state;
    struct resnet net;
    assert_int_equal(resnet_plan(44, &net, NULL), STATUS_OK);
    int64_t bytes[2][2];
    for (int bf16 = 0; bf16 < 2; bf16++) {
        for (int large = 0; large < 2; large++) {
            const struct engine_options options = {.net = &net,
                                                   .kernels = &kernels_blas,
                                                   .max_images = large ? 2048 : 1024,
                                                   .bf16 = bf16};
            bytes[bf16][large] = engine_memory_bytes(&options, 2);
        }
    }
    double f32 = (double)(bytes[0][1] - bytes[0][0]) / 1024.0;
    double bf16 = (double)(bytes[1][1] - bytes[1][0]) / 1024.0;
    double images = ENGINE_IMAGE_FLOATS * sizeof(float); /* as they are in both */
    assert_true(fabs((bf16 - images) / (f32 - images) - 0.5) < 1e-3);
    assert_true(bytes[1][1] < INT64_C(3200) << 20);
}

static void streaming_changes_no_bit(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available() + 1; *k; k++) {
        for (int bf16 = 0; bf16 < 2; bf16++) {
            const bool winograd = (*k)->has_winograd;
            struct network_fixture *a = fixture_make_kept(DEPTH, *k, winograd, bf16, 2, IMAGES);
            struct network_fixture *b =
                fixture_make_streamed(DEPTH, *k, winograd, bf16, true, 2, IMAGES);
            assert_true(fixture_train(a, IMAGES).loss == fixture_train(b, IMAGES).loss);
            assert_memory_equal(a->gradient, b->gradient, a->net.n_params * sizeof(float));
            assert_memory_equal(a->moving, b->moving, a->net.n_moving * sizeof(float));
            fixture_free(a);
            fixture_free(b);
        }
    }
}

/* k copies of a batch have its means, so its gradient: any number of chunks, the last one partial,
 * is one batch. An image goes through the same operations in any company, so that only sums differ:
 * those of batch normalisation, doubles, and those of weight gradients over k times as many floats,
 * 6e-8 each, which mostly cancel. A lost or doubled chunk of four images is off by 4 / (6 k), here
 * 7e-3 or more. */
static void copies_of_a_batch_have_its_gradient(void **state) {
    (void)state;
    static const int copies[] = {11, 90};
    enum { LARGEST = 90 * IMAGES };
    for (const struct kernels *const *k = kernels_available() + 1; *k; k++) {
        struct network_fixture *f = fixture_make(DEPTH, *k, (*k)->has_winograd, 2, LARGEST);
        for (int i = IMAGES; i < LARGEST; i++) {
            memcpy(engine_images(f->engine) + (size_t)i * ENGINE_IMAGE_FLOATS,
                   engine_images(f->engine) + (size_t)(i % IMAGES) * ENGINE_IMAGE_FLOATS,
                   ENGINE_IMAGE_FLOATS * sizeof(float));
            engine_labels(f->engine)[i] = engine_labels(f->engine)[i % IMAGES];
        }
        double loss = mean_loss(f);
        float *gradient = fixture_floats(f->net.n_params);
        memcpy(gradient, f->gradient, f->net.n_params * sizeof(*gradient));
        for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]) - SLOW_BUILD; i++) {
            int n = copies[i] * IMAGES;
            assert_true(fabs(fixture_train(f, n).loss / n / loss - 1.0) < 1e-6);
            double distance = relative_distance(f->gradient, gradient, f->net.n_params);
            if (!(distance < 1e-5)) {
                fail_msg("%s, %d copies: the gradient is %.3g away", (*k)->name, copies[i],
                         distance);
            }
        }
        free(gradient);
        fixture_free(f);
    }
}

/* Batches that no chunk and no group divides among them. */
/* One weight that is no number, in the stem or in front of the head: the loss says so, and every
 * gradient in front of it is no number either. */
static void a_weight_that_is_no_number_is_seen_in_the_loss(void **state) {
    (void)state;
    enum { N = 4 };
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (int winograd = 0; winograd <= ((*k)->has_winograd ? 1 : 0); winograd++) {
            static const int convs[] = {0, 4};
            for (size_t i = 0; i < sizeof(convs) / sizeof(convs[0]); i++) {
                struct network_fixture *f = fixture_make(8, *k, winograd, 2, N);
                const struct tensor *kernel = &f->net.tensors[f->net.convs[convs[i]].kernel];
                f->params[kernel->offset + kernel->n / 2] = NAN;
                assert_true(isnan(fixture_train(f, N).loss));
                const struct tensor *stem = &f->net.tensors[f->net.convs[0].kernel];
                assert_true(isnan(f->gradient[stem->offset]));
                fixture_free(f);
            }
        }
    }
}

static void same_bits_for_any_number_of_threads(void **state) {
    (void)state;
    static const int batches[] = {1, 2, 3, 5, 16, 37, 64};
    static const int teams[] = {2, 3, 5, 8, 16};
    enum { LARGEST = 64 };
    for (const struct kernels *const *k = kernels_available() + 1; *k; k++) {
        struct network_fixture *one = fixture_make(DEPTH, *k, (*k)->has_winograd, 1, LARGEST);
        for (size_t t = 0; t < sizeof(teams) / sizeof(teams[0]); t += 1 + SLOW_BUILD) {
            struct network_fixture *many =
                fixture_make(DEPTH, *k, (*k)->has_winograd, teams[t], LARGEST);
            resnet_init(&one->net, 42, one->params, one->moving);
            for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i += 1 + 4 * SLOW_BUILD) {
                struct engine_result a = fixture_train(one, batches[i]);
                struct engine_result b = fixture_train(many, batches[i]);
                assert_memory_equal(&a.loss, &b.loss, sizeof(a.loss));
                assert_int_equal(a.correct, b.correct);
                assert_memory_equal(one->gradient, many->gradient,
                                    one->net.n_params * sizeof(float));
                assert_memory_equal(one->moving, many->moving, one->net.n_moving * sizeof(float));
            }
            fixture_free(many);
        }
        fixture_free(one);
    }
}

static uint8_t noise_source(void *user, int index, float *ret_image) {
    (void)user;
    for (size_t i = 0; i < ENGINE_IMAGE_FLOATS; i++) {
        size_t at = (size_t)index * ENGINE_IMAGE_FLOATS + i;
        ret_image[i] = i % 4 == 3 ? 0.0F : fixture_noise(2, at);
    }
    return (uint8_t)(index % RESNET_CIFAR10_CLASSES);
}

/* An image's logits do not depend on its neighbours, and sums do not depend on threads. */
static void evaluation_is_the_same_in_any_company(void **state) {
    (void)state;
    enum { N = 11 };
    struct network_fixture *f = fixture_make(DEPTH, &kernels_blas, false, 3, 0);
    float together[N * RESNET_CIFAR10_CLASSES];
    struct engine_result all;
    engine_evaluate_prepare(f->engine, f->params, f->moving);
    engine_evaluate(f->engine, noise_source, NULL, 0, N, together, NULL, &all);
    double loss = 0.0;
    int correct = 0;
    for (int i = 0; i < N; i++) {
        float alone[RESNET_CIFAR10_CLASSES];
        struct engine_result one;
        engine_evaluate(f->engine, noise_source, NULL, i, 1, alone, NULL, &one);
        assert_memory_equal(alone, together + (ptrdiff_t)i * RESNET_CIFAR10_CLASSES, sizeof(alone));
        loss += one.loss;
        correct += one.correct;
    }
    assert_true(fabs(loss / all.loss - 1.0) < 1e-12);
    assert_int_equal(correct, all.correct);
    fixture_free(f);
}

static void memory_is_what_was_announced(void **state) {
    (void)state;
    struct resnet net;
    assert_int_equal(resnet_plan(44, &net, NULL), STATUS_OK);
    const struct engine_options at_64 = {.net = &net, .kernels = &kernels_blas, .max_images = 64};
    struct engine_options at_128 = at_64;
    at_128.max_images = 128;
    double per_image =
        (double)(engine_memory_bytes(&at_128, 2) - engine_memory_bytes(&at_64, 2)) / 64.0;
    /* Partial sums of more chunks are a cost of the smaller batches only. */
    assert_true(per_image < 2.9e6 + 16.0 * 36864.0 * 4.0 / 64.0 + 6000.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_agrees_with_finite_differences),
        cmocka_unit_test(a_dense_layer_of_a_hundred_classes_agrees_with_finite_differences),
        cmocka_unit_test(a_hundred_classes_have_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(frozen_biases_have_no_gradient),
        cmocka_unit_test(every_variant_agrees_with_the_reference),
        cmocka_unit_test(bf16_is_close_to_f32_in_every_variant),
        cmocka_unit_test(bf16_takes_half_of_the_memory),
        cmocka_unit_test(streaming_changes_no_bit),
        cmocka_unit_test(copies_of_a_batch_have_its_gradient),
        cmocka_unit_test(a_weight_that_is_no_number_is_seen_in_the_loss),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(evaluation_is_the_same_in_any_company),
        cmocka_unit_test(memory_is_what_was_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
