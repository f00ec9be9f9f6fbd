/* The generator of tests/golden/README.md, the files beside it, and distances from what they hold.
 * Layer: tests. */
#ifndef CUTOUTD_TESTS_CORE_GOLDEN_FIXTURE_H
#define CUTOUTD_TESTS_CORE_GOLDEN_FIXTURE_H

#include "tests/core/network_fixture.h"

#include <math.h>
#include <stdio.h>

#include "core/train/safetensors.h"

enum { IMAGES_TENSOR = 1000000, LABELS_TENSOR = 1000001 };

/* ---- the generator of tests/golden/README.md ---- */

static inline uint64_t hash_bits(uint64_t tensor, uint64_t element) {
    uint64_t z = (tensor << 32 | element) + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z = z ^ (z >> 31);
    return z >> 40;
}

static inline float unit(uint64_t tensor, uint64_t element) {
    return (float)hash_bits(tensor, element) * 0x1p-24F;
}

static inline float generated(const struct tensor *t, int number, size_t i) {
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

static inline float *place_of(struct network_fixture *f, const struct tensor *t) {
    return (tensor_is_moving(t) ? f->moving : f->params) + t->offset;
}

static inline void golden_image(int image, float *ret_image) {
    for (size_t pixel = 0; pixel < 1024; pixel++) {
        for (size_t c = 0; c < 4; c++) {
            size_t element = ((size_t)image * 1024 + pixel) * 3 + c;
            ret_image[pixel * 4 + c] = c == 3 ? 0.0F : 2.0F * unit(IMAGES_TENSOR, element) - 1.0F;
        }
    }
}

static inline uint8_t golden_label(int image) {
    return (uint8_t)(hash_bits(LABELS_TENSOR, (uint64_t)image) % 10);
}

/* n_images from `first` on become the first of the batch. */
static inline void fill_golden_batch(struct network_fixture *f, int first, int n_images) {
    for (int i = 0; i < n_images; i++) {
        golden_image(first + i, engine_images(f->engine) + (size_t)i * ENGINE_IMAGE_FLOATS);
        engine_labels(f->engine)[i] = golden_label(first + i);
    }
}

static inline void fill_golden(struct network_fixture *f, int n_images) {
    for (int k = 0; k < f->net.n_tensors; k++) {
        for (size_t i = 0; i < f->net.tensors[k].n; i++) {
            place_of(f, &f->net.tensors[k])[i] = generated(&f->net.tensors[k], k, i);
        }
    }
    fill_golden_batch(f, 0, n_images);
}

/* ---- the files ---- */

static inline struct safetensors *open_golden(const char *name) {
    char path[512];
    struct error error;
    struct safetensors *file = NULL;
    (void)snprintf(path, sizeof(path), "%s/tests/golden/%s.safetensors", CUTOUTD_SOURCE_DIR, name);
    if (safetensors_read(path, NULL, &file, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    return file;
}

static inline const struct safetensors_tensor *golden_tensor(const struct safetensors *file,
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

static inline double golden_value(const struct safetensors_tensor *t, int64_t i) {
    return t->dtype == SAFETENSORS_F32 ? (double)((const float *)t->data)[i]
                                       : ((const double *)t->data)[i];
}

static inline double golden_number(const struct safetensors *file, const char *prefix,
                                   const char *name, const char *suffix) {
    return golden_value(golden_tensor(file, prefix, name, suffix), 0);
}

/* ||values - expected|| / ||expected||, where element k of expected is element k*n/count of values;
 * the length is that of the whole tensor when it is known. */
static inline double distance(const double *values, int64_t n,
                              const struct safetensors_tensor *expected, double length) {
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

static inline void assert_near(const char *what, const char *name, double got, double limit) {
    if (!(got <= limit)) {
        fail_msg("%s %s: relative distance %.3g, limit %.3g", what, name, got, limit);
    }
}

#endif
