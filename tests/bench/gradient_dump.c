/* Writes the gradient of one batch of noise as safetensors, for tests/bench/gradient_error.py.
 *
 *     gradient_dump FILE VARIANT direct|winograd N_IMAGES SEED
 *
 * The file holds the parameters and images too, so that the reader needs no generator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "core/nn/engine.h"
#include "core/train/safetensors.h"

enum { DEPTH = 44, MAX_FILE_TENSORS = 2 * RESNET_MAX_TENSORS + 3 };

static int give_up(const char *message) {
    (void)fprintf(stderr, "gradient_dump: %s\n", message);
    return EXIT_FAILURE;
}

static float noise(uint64_t seed, size_t index) {
    struct rng_counter counter = {.purpose = RNG_DATASET, .image = (uint32_t)(index / 4)};
    uint32_t words[4];
    rng_words(seed, counter, words);
    return 2.0F * rng_unit(words[index % 4]) - 1.0F;
}

struct dump {
    struct resnet net;
    struct safetensors_tensor tensors[MAX_FILE_TENSORS];
    char names[MAX_FILE_TENSORS][64];
    size_t n;
};

static void add(struct dump *d, const char *prefix, const char *name, int n_dims, const int *shape,
                const float *data) {
    struct safetensors_tensor *t = &d->tensors[d->n];
    (void)snprintf(d->names[d->n], sizeof(d->names[0]), "%s%s", prefix, name);
    *t = (struct safetensors_tensor){
        .name = d->names[d->n], .dtype = SAFETENSORS_F32, .n_dims = n_dims, .data = data};
    for (int i = 0; i < n_dims; i++) {
        t->shape[i] = shape[i];
    }
    d->n++;
}

int main(int argc, char **argv) {
    static struct dump d;
    if (argc != 6) {
        return give_up("usage: gradient_dump FILE VARIANT direct|winograd N_IMAGES SEED");
    }
    const struct kernels *kernels = kernels_find(argv[2]);
    int n_images = atoi(argv[4]);
    uint64_t seed = strtoull(argv[5], NULL, 10);
    struct team *team = NULL;
    struct engine *engine = NULL;
    if (!kernels || n_images < 1 || resnet_plan(DEPTH, &d.net, NULL) != STATUS_OK ||
        team_create(&(struct team_options){.n_threads = 2}, &team, NULL) != STATUS_OK) {
        return give_up("no such variant or number of images");
    }
    const struct engine_options options = {.net = &d.net,
                                           .kernels = kernels,
                                           .team = team,
                                           .max_images = n_images,
                                           .winograd = !strcmp(argv[3], "winograd")};
    float *params = aligned_alloc(64, d.net.n_params * sizeof(float));
    float *moving = calloc(d.net.n_moving, sizeof(float));
    float *gradient = calloc(d.net.n_params, sizeof(float));
    float *labels = calloc((size_t)n_images, sizeof(float));
    if (engine_create(&options, &engine, NULL) != STATUS_OK || !params || !moving || !gradient ||
        !labels) {
        return give_up("out of memory");
    }
    resnet_init(&d.net, seed, params, moving);
    for (size_t i = 0; i < (size_t)n_images * ENGINE_IMAGE_FLOATS; i++) {
        engine_images(engine)[i] = i % 4 == 3 ? 0.0F : noise(seed, i);
    }
    for (int i = 0; i < n_images; i++) {
        engine_labels(engine)[i] = (uint8_t)(i % RESNET_CIFAR10_CLASSES);
        labels[i] = (float)(i % RESNET_CIFAR10_CLASSES);
    }
    struct engine_result result;
    engine_train(engine, n_images, params, moving, gradient, &result);
    for (int i = 0; i < d.net.n_tensors; i++) {
        const struct tensor *t = &d.net.tensors[i];
        if (!tensor_is_moving(t)) {
            add(&d, "value/", t->name, t->n_dims, t->shape, params + t->offset);
            add(&d, "gradient/", t->name, t->n_dims, t->shape, gradient + t->offset);
        }
    }
    const int image_shape[4] = {n_images, 32, 32, 4};
    add(&d, "", "images", 4, image_shape, engine_images(engine));
    add(&d, "", "labels", 1, &n_images, labels);
    char digest[SHA256_HEX_SIZE];
    int64_t n_bytes = 0;
    struct error error;
    if (safetensors_write(argv[1], d.tensors, d.n, NULL, 0, digest, &n_bytes, &error) !=
        STATUS_OK) {
        return give_up(error.message);
    }
    engine_free(engine);
    team_free(team);
    free(params);
    free(moving);
    free(gradient);
    free(labels);
    return EXIT_SUCCESS;
}
