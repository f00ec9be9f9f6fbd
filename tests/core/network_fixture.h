/* A network, its parameters, an engine and a batch of noise for tests of core/nn and core/train.
 * Layer: tests. Everything is asserted; nothing is returned on failure. */
#ifndef CUTOUTD_TESTS_CORE_NETWORK_FIXTURE_H
#define CUTOUTD_TESTS_CORE_NETWORK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/rng.h"
#include "core/config/run_fields.h"
#include "core/nn/engine.h"
#include "tests/core/slow.h"

struct network_fixture {
    struct resnet net;
    struct team *team;
    struct engine *engine;
    float *params;
    float *moving;
    float *gradient;
};

static inline float *fixture_floats(size_t n) {
    float *values = calloc(n, sizeof(*values));
    assert_non_null(values);
    return values;
}

/* Uniform in [-1, 1), the same for the same (stream, index). */
static inline float fixture_noise(uint32_t stream, size_t index) {
    struct rng_counter counter = {
        .purpose = RNG_DATASET, .epoch = stream, .image = (uint32_t)(index / 4)};
    uint32_t words[4];
    rng_words(7, counter, words);
    return 2.0F * rng_unit(words[index % 4]) - 1.0F;
}

static inline void fixture_fill_batch(struct engine *engine, int n_images) {
    float *images = engine_images(engine);
    for (size_t i = 0; i < (size_t)n_images * ENGINE_IMAGE_FLOATS; i++) {
        images[i] = i % 4 == 3 ? 0.0F : fixture_noise(1, i);
    }
    for (int i = 0; i < n_images; i++) {
        engine_labels(engine)[i] = (uint8_t)((i * 7 + 3) % RESNET_CIFAR10_CLASSES);
    }
}

/* The network of a run, on a data set of n_classes. options without net and team, which are made
 * here. */
static inline struct network_fixture *fixture_make_for(const struct run_config *config,
                                                       int n_classes, int n_threads,
                                                       struct engine_options options) {
    struct network_fixture *f = calloc(1, sizeof(*f));
    int max_images = options.max_images;
    assert_non_null(f);
    assert_int_equal(resnet_plan_of(config, n_classes, &f->net, NULL), STATUS_OK);
    const struct team_options team_options = {.n_threads = n_threads};
    assert_int_equal(team_create(&team_options, &f->team, NULL), STATUS_OK);
    options.net = &f->net;
    options.team = f->team;
    assert_int_equal(engine_create(&options, &f->engine, NULL), STATUS_OK);
    f->params = aligned_alloc(64, f->net.n_params * sizeof(float));
    f->moving = fixture_floats(f->net.n_moving);
    f->gradient = fixture_floats(f->net.n_params);
    assert_non_null(f->params);
    resnet_init(&f->net, 42, f->params, f->moving);
    if (max_images > 0) {
        fixture_fill_batch(f->engine, max_images);
    }
    return f;
}

/* The Keras example's network. */
static inline struct network_fixture *fixture_make_with(int depth, int n_classes, int n_threads,
                                                        struct engine_options options) {
    struct run_config config = {.depth = depth};
    run_config_set_older(&config);
    return fixture_make_for(&config, n_classes, n_threads, options);
}

/* bf16, streamed: how the engine keeps what it saves. */
static inline struct network_fixture *fixture_make_streamed(int depth,
                                                            const struct kernels *kernels,
                                                            bool winograd, bool bf16, bool streamed,
                                                            int n_threads, int max_images) {
    const struct engine_options options = {.kernels = kernels,
                                           .max_images = max_images,
                                           .winograd = winograd,
                                           .bf16 = bf16,
                                           .streamed = streamed};
    return fixture_make_with(depth, RESNET_CIFAR10_CLASSES, n_threads, options);
}

static inline struct network_fixture *fixture_make_kept(int depth, const struct kernels *kernels,
                                                        bool winograd, bool bf16, int n_threads,
                                                        int max_images) {
    return fixture_make_streamed(depth, kernels, winograd, bf16, false, n_threads, max_images);
}

static inline struct network_fixture *fixture_make(int depth, const struct kernels *kernels,
                                                   bool winograd, int n_threads, int max_images) {
    return fixture_make_kept(depth, kernels, winograd, false, n_threads, max_images);
}

static inline void fixture_free(struct network_fixture *f) {
    engine_free(f->engine);
    team_free(f->team);
    free(f->params);
    free(f->moving);
    free(f->gradient);
    free(f);
}

static inline struct engine_result fixture_train(struct network_fixture *f, int n_images) {
    struct engine_result result;
    engine_train(f->engine, n_images, f->params, f->moving, f->gradient, &result);
    return result;
}

#endif
