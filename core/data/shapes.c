/* The generated data set `shapes`: ten figures that a network must learn by their form.
 *
 * Layer: core/data. Thread rule: pure functions.
 *
 * An image is a figure of one texture on a ground of another, with faint lines across, uneven light
 * and noise. The class decides the form and nothing else: place, size, rotation, textures and
 * colours are drawn alike for all classes.
 *
 * The bytes are part of every result on this data set, so they must be the same everywhere: only
 * + - * / and sqrt in float, which IEEE 754 rounds in one way, and no contraction (see the
 * top-level CMakeLists.txt). Changing anything here makes it another data set.
 *
 * Where pixels differ at random (a pattern, a line), conditions are written as values rather than
 * branches: a branch that cannot be predicted costs more than all the arithmetic. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/base/cleanup.h"
#include "core/base/rng.h"
#include "core/data/dataset.h"
#include "core/data/dataset_build.h"
#include "core/data/shapes_figure.h"

enum { MAX_GENERATED = 1000000, N_LINES = 2 };

/* What a draw of an image is for: the high half of the counter's draw. */
enum stream { STREAM_LABEL, STREAM_SCENE, STREAM_NOISE };

/* The random words of one image, taken in order from one stream. */
struct words {
    uint64_t seed;
    struct rng_counter counter;
    int n_left;
    uint32_t block[4];
};

static struct words words_begin(uint64_t seed, int split, int image, enum stream stream) {
    return (struct words){.seed = seed,
                          .counter = {.purpose = RNG_DATASET,
                                      .epoch = (uint32_t)split,
                                      .image = (uint32_t)image,
                                      .draw = (uint32_t)stream << 16}};
}

static uint32_t words_next(struct words *words) {
    if (words->n_left == 0) {
        rng_words(words->seed, words->counter, words->block);
        words->counter.draw++;
        words->n_left = 4;
    }
    return words->block[--words->n_left];
}

/* Uniform in [low, high). */
static float words_between(struct words *words, float low, float high) {
    return low + rng_unit(words_next(words)) * (high - low);
}

/* A direction: both signs of both axes are equally likely. */
static struct direction words_direction(struct words *words) {
    float t = words_between(words, 0.0F, 1.0F);
    uint32_t signs = words_next(words);
    float cosine = (1 - t * t) / (1 + t * t);
    float sine = 2 * t / (1 + t * t);
    return (struct direction){(signs & 1) ? -cosine : cosine, (signs & 2) ? -sine : sine};
}

struct colour {
    float channels[IMAGE_CHANNELS];
};

static struct colour colour_mix(const struct colour *a, const struct colour *b, float share_of_b) {
    struct colour mixed;
    for (int c = 0; c < IMAGE_CHANNELS; c++) {
        mixed.channels[c] = a->channels[c] * (1 - share_of_b) + b->channels[c] * share_of_b;
    }
    return mixed;
}

/* A colour about as light as `lightness`, of any hue. */
static struct colour words_colour(struct words *words, float lightness) {
    struct colour colour;
    for (int c = 0; c < IMAGE_CHANNELS; c++) {
        colour.channels[c] = lightness + words_between(words, -35.0F, 35.0F);
    }
    return colour;
}

/* A surface: two colours and the pattern that mixes them. */
struct surface {
    enum { PATTERN_PLAIN, PATTERN_STRIPES, PATTERN_CHECKS, PATTERN_WAVES, N_PATTERNS } pattern;
    struct direction direction;
    float frequency; /* 1 / pixels */
    float phase;
    struct colour colours[2];
};

static struct surface surface_draw(struct words *words, float lightness) {
    struct surface surface;
    surface.pattern = rng_below(words_next(words), N_PATTERNS);
    surface.direction = words_direction(words);
    surface.frequency = 1 / words_between(words, 3.0F, 9.0F);
    surface.phase = words_between(words, 0.0F, 1.0F);
    surface.colours[0] = words_colour(words, lightness - 14);
    surface.colours[1] = words_colour(words, lightness + 14);
    return surface;
}

/* A wave of period 1 and range 0 .. 1 made of straight lines. position > -64. */
static float triangle_wave(float position) {
    float part = position + 64;
    part -= (float)(int)part;
    float rising = 2 * part;
    float falling = 2 - rising;
    return rising < falling ? rising : falling;
}

/* Share of the surface's second colour at a pixel. */
static float surface_mix(const struct surface *surface, float x, float y) {
    if (surface->pattern == PATTERN_PLAIN) {
        return 0.5F;
    }
    const struct direction *direction = &surface->direction;
    float along = (x * direction->cosine + y * direction->sine) * surface->frequency;
    float wave = triangle_wave(along + surface->phase);
    if (surface->pattern == PATTERN_STRIPES) {
        return (float)(wave >= 0.5F);
    }
    float across = (y * direction->cosine - x * direction->sine) * surface->frequency;
    float other_wave = triangle_wave(across);
    if (surface->pattern == PATTERN_CHECKS) {
        return (float)((wave < 0.5F) != (other_wave < 0.5F));
    }
    return wave * other_wave;
}

static struct colour surface_colour(const struct surface *surface, float x, float y) {
    return colour_mix(&surface->colours[0], &surface->colours[1], surface_mix(surface, x, y));
}

/* A thin line over the whole image, in front of everything: it must not be taken for an edge. */
struct line {
    struct direction normal;
    float distance; /* from the image's middle, pixels */
    float light;    /* added to the colour */
};

struct scene {
    struct placed_figure figure;
    struct surface ground;
    struct surface front;
    struct line lines[N_LINES];
    struct direction light_direction;
    float light_slope; /* per pixel */
    float noise;       /* 1/127.5 of a byte's largest deviation */
};

static struct scene scene_draw(struct words *words, enum figure figure) {
    struct scene scene;
    scene.figure.figure = figure;
    scene.figure.radius = words_between(words, 6.0F, 12.0F);
    scene.figure.inverse_radius = 1 / scene.figure.radius;
    /* The figure stays inside the image but for a pixel or two. */
    float room = 16.5F - scene.figure.radius;
    scene.figure.x = 15.5F + words_between(words, -room, room);
    scene.figure.y = 15.5F + words_between(words, -room, room);
    scene.figure.direction = words_direction(words);

    float ground_lightness = words_between(words, 60.0F, 195.0F);
    float contrast = words_between(words, 38.0F, 85.0F);
    bool lighter = ground_lightness < 90 || (ground_lightness < 165 && (words_next(words) & 1));
    scene.ground = surface_draw(words, ground_lightness);
    scene.front = surface_draw(words, ground_lightness + (lighter ? contrast : -contrast));

    for (int i = 0; i < N_LINES; i++) {
        scene.lines[i].normal = words_direction(words);
        scene.lines[i].distance = words_between(words, -14.0F, 14.0F);
        scene.lines[i].light = words_between(words, -70.0F, 70.0F);
    }
    scene.light_direction = words_direction(words);
    scene.light_slope = words_between(words, 0.0F, 1.8F);
    scene.noise = words_between(words, 8.0F, 40.0F) / 127.5F;
    return scene;
}

/* What is added to all three channels of a pixel: light and lines. x, y: from the middle. */
static float scene_light(const struct scene *scene, float x, float y) {
    float light =
        scene->light_slope * (x * scene->light_direction.cosine + y * scene->light_direction.sine);
    for (int i = 0; i < N_LINES; i++) {
        const struct line *line = &scene->lines[i];
        float away = fabsf(x * line->normal.cosine + y * line->normal.sine - line->distance);
        float strength = away < 1 ? 1 - away : 0;
        light += line->light * strength;
    }
    return light;
}

static uint8_t byte_of(float value) {
    value = value > 0 ? value : 0;
    value = value < 255 ? value : 255;
    return (uint8_t)(int)(value + 0.5F);
}

/* Without light and noise. A surface that is not seen at this pixel is not computed. */
static struct colour scene_colour(const struct scene *scene, float x, float y) {
    float cover = figure_cover(&scene->figure, x, y);
    if (cover <= 0) {
        return surface_colour(&scene->ground, x, y);
    }
    if (cover >= 1) {
        return surface_colour(&scene->front, x, y);
    }
    struct colour front = surface_colour(&scene->front, x, y);
    struct colour ground = surface_colour(&scene->ground, x, y);
    return colour_mix(&ground, &front, cover);
}

/* pixels: [32][32][3]. */
static void scene_paint(const struct scene *scene, struct words *noise, uint8_t *pixels) {
    for (int row = 0; row < IMAGE_SIDE; row++) {
        for (int column = 0; column < IMAGE_SIDE; column++) {
            float x = (float)column;
            float y = (float)row;
            struct colour colour = scene_colour(scene, x, y);
            float light = scene_light(scene, x - 15.5F, y - 15.5F);
            uint32_t word = words_next(noise);
            for (int c = 0; c < IMAGE_CHANNELS; c++, word >>= 8) {
                float deviation = ((float)(word & 0xFF) - 127.5F) * scene->noise;
                *pixels++ = byte_of(colour.channels[c] + light + deviation);
            }
        }
    }
}

/* Each ten images in a row hold every class once, in an order of their own. */
static int label_draw(uint64_t seed, int split, int image) {
    struct words words = words_begin(seed, split, image / SHAPES_CLASSES, STREAM_LABEL);
    int labels[SHAPES_CLASSES] = {0};
    for (int i = 0; i < SHAPES_CLASSES; i++) {
        int j = (int)rng_below(words_next(&words), (uint32_t)i + 1);
        labels[i] = labels[j];
        labels[j] = i;
    }
    return labels[image % SHAPES_CLASSES];
}

static void image_make(uint64_t seed, int split, int image, uint8_t *ret_label, uint8_t *pixels) {
    int label = label_draw(seed, split, image);
    struct words words = words_begin(seed, split, image, STREAM_SCENE);
    struct words noise = words_begin(seed, split, image, STREAM_NOISE);
    const struct scene scene = scene_draw(&words, (enum figure)label);
    scene_paint(&scene, &noise, pixels);
    *ret_label = (uint8_t)label;
}

static enum status split_make(uint64_t seed, int split, int n, struct image_set *set,
                              struct error *error) {
    TRY(image_set_reserve(set, n, error));
    for (int i = 0; i < n; i++) {
        image_make(seed, split, i, &set->labels[i], set->pixels + (size_t)i * IMAGE_BYTES);
    }
    set->n = n;
    return STATUS_OK;
}

enum status dataset_make_shapes(int n_train, int n_test, uint64_t seed,
                                struct dataset **ret_dataset, struct error *error) {
    if (n_train < 1 || n_train > MAX_GENERATED || n_test < 1 || n_test > MAX_GENERATED) {
        return error_set(error, STATUS_INVALID, "shapes can have 1 to %d images of each kind",
                         MAX_GENERATED);
    }
    CLEANUP(dataset_cleanup) struct dataset *dataset = NULL;
    TRY(dataset_new("shapes", &dataset, error));
    dataset->n_classes = SHAPES_CLASSES;
    for (int i = 0; i < SHAPES_CLASSES; i++) {
        (void)snprintf(dataset->class_names[i], sizeof(dataset->class_names[i]), "%s",
                       figure_name((enum figure)i));
    }
    TRY(split_make(seed, 0, n_train, &dataset->train, error));
    TRY(split_make(seed, 1, n_test, &dataset->test, error));
    *ret_dataset = dataset;
    dataset = NULL;
    return STATUS_OK;
}
