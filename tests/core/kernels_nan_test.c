/* NaN goes through every function of every variant: each result that depends on it is NaN, and no
 * other one. Winograd may spread it within a tile of 4x4 pixels or over the taps of a pair of
 * channels, and so may im2col (blas), which multiplies padding as well. */
#include "tests/core/kernel_buffers.h"

#include "core/base/cleanup.h"
#include "core/kernels/ref/ref.h"
#include "tests/core/conv_shapes.h"

enum { N_IMAGES = 3, THE_IMAGE = 1 };

/* ---- element-wise ---- */

enum { C = 32, PIXELS = 100, N_FLOATS = C * PIXELS, N_OPERANDS = 4, N_COEFFICIENTS = 3 };

struct elementwise_data {
    struct buffer in[N_OPERANDS];
    struct buffer coefficients[N_COEFFICIENTS];
    struct buffer out;
    double sums[2][C];
};

static void elementwise_make(struct elementwise_data *d) {
    *d = (struct elementwise_data){0};
    for (uint32_t i = 0; i < N_OPERANDS; i++) {
        d->in[i] = buffer_make(N_FLOATS);
        buffer_fill(&d->in[i], false, 10 + i);
    }
    for (uint32_t i = 0; i < N_COEFFICIENTS; i++) {
        d->coefficients[i] = buffer_make(C);
        buffer_fill(&d->coefficients[i], false, 20 + i);
    }
    d->out = buffer_make(N_FLOATS);
    memset(d->out.data, 0, N_FLOATS * sizeof(float));
}

static void elementwise_free(struct elementwise_data *d) {
    for (int i = 0; i < N_OPERANDS; i++) {
        buffer_free(&d->in[i]);
    }
    for (int i = 0; i < N_COEFFICIENTS; i++) {
        buffer_free(&d->coefficients[i]);
    }
    buffer_free(&d->out);
}

static void call_bn_sums(const struct kernels *k, struct elementwise_data *d) {
    k->bn_sums(C, PIXELS, d->in[0].data, d->sums[0], d->sums[1]);
}

static void call_bn_relu(const struct kernels *k, struct elementwise_data *d) {
    k->bn_relu(C, PIXELS, d->in[0].data, d->coefficients[0].data, d->coefficients[1].data,
               d->out.data);
}

static void call_bn_add_relu(const struct kernels *k, struct elementwise_data *d) {
    k->bn_add_relu(C, PIXELS, d->in[0].data, d->coefficients[0].data, d->coefficients[1].data,
                   d->in[1].data, d->out.data);
}

static void call_bn_backward(const struct kernels *k, struct elementwise_data *d) {
    k->bn_backward(C, PIXELS, d->in[0].data, d->in[1].data, d->coefficients[0].data,
                   d->coefficients[1].data, d->coefficients[2].data, d->out.data);
}

static void call_relu_backward(const struct kernels *k, struct elementwise_data *d) {
    k->relu_backward(C, PIXELS, d->in[0].data, NULL, d->in[1].data, d->in[2].data, d->out.data,
                     d->sums[0], d->sums[1]);
}

static void call_relu_backward_add(const struct kernels *k, struct elementwise_data *d) {
    k->relu_backward(C, PIXELS, d->in[0].data, d->in[3].data, d->in[1].data, d->in[2].data,
                     d->out.data, d->sums[0], d->sums[1]);
}

/* What becomes NaN with operand i: its place in dst, its channel in either sum. */
struct elementwise_function {
    const char *name;
    void (*call)(const struct kernels *k, struct elementwise_data *d);
    int n_operands;
    int n_coefficients;
    const char *dst; /* [operand] 'x': yes */
    const char *sum;
    const char *product;
};

static const struct elementwise_function functions[] = {
    {"bn_sums", call_bn_sums, 1, 0, "-", "x", "x"},
    {"bn_relu", call_bn_relu, 1, 2, "x", "-", "-"},
    {"bn_add_relu", call_bn_add_relu, 2, 2, "xx", "--", "--"},
    {"bn_backward", call_bn_backward, 2, 3, "xx", "--", "--"},
    {"relu_backward", call_relu_backward, 3, 0, "xx-", "xx-", "xxx"},
    {"relu_backward with add", call_relu_backward_add, 4, 0, "xx-x", "xx-x", "xxxx"},
};

static int channel_of(size_t i) {
    return (int)(i / (PIXELS * 16) * 16 + i % 16);
}

static void check_operand(const struct kernels *k, const struct elementwise_function *f,
                          int operand, size_t at) {
    CLEANUP(elementwise_free) struct elementwise_data d;
    elementwise_make(&d);
    d.in[operand].data[at] = NAN;
    f->call(k, &d);
    for (size_t i = 0; i < N_FLOATS; i++) {
        if (isnan(d.out.data[i]) != (i == at && f->dst[operand] == 'x')) {
            fail_msg("%s %s, NaN in operand %d at %zu: dst[%zu] is %g", k->name, f->name, operand,
                     at, i, (double)d.out.data[i]);
        }
    }
    for (int c = 0; c < C; c++) {
        bool here = c == channel_of(at);
        assert_int_equal(isnan(d.sums[0][c]), here && f->sum[operand] == 'x');
        assert_int_equal(isnan(d.sums[1][c]), here && f->product[operand] == 'x');
    }
}

static void check_coefficient(const struct kernels *k, const struct elementwise_function *f,
                              int coefficient, int channel) {
    CLEANUP(elementwise_free) struct elementwise_data d;
    elementwise_make(&d);
    d.coefficients[coefficient].data[channel] = NAN;
    f->call(k, &d);
    for (size_t i = 0; i < N_FLOATS; i++) {
        if (isnan(d.out.data[i]) != (channel_of(i) == channel)) {
            fail_msg("%s %s, NaN in coefficient %d of channel %d: dst[%zu] is %g", k->name, f->name,
                     coefficient, channel, i, (double)d.out.data[i]);
        }
    }
}

static void nan_passes_the_elementwise_functions(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (size_t f = 0; f < sizeof(functions) / sizeof(functions[0]); f++) {
            for (int i = 0; i < functions[f].n_operands; i++) {
                /* All lanes of a register, positive and negative neighbours. */
                for (size_t at = 0; at < N_FLOATS; at += 97) {
                    check_operand(*k, &functions[f], i, at);
                }
            }
            for (int i = 0; i < functions[f].n_coefficients; i++) {
                check_coefficient(*k, &functions[f], i, 5);
                check_coefficient(*k, &functions[f], i, 27);
            }
        }
    }
}

/* ---- convolutions ---- */

struct conv_data {
    const char *variant;
    const char *name;
    struct conv_plan plan;
    bool spreads; /* within tiles and taps */
    struct buffer src, diff_dst, weights, bias;
    struct buffer packed[2]; /* forward, backward */
    struct buffer scratch, accumulator, diff_weights;
};

static void conv_data_make(const struct kernels *k, const struct named_shape *named, bool winograd,
                           struct conv_data *d) {
    const struct conv_shape *s = &named->shape;
    *d = (struct conv_data){.variant = k->name, .name = named->name};
    assert_int_equal(k->conv_plan(s, winograd, &d->plan), STATUS_OK);
    d->spreads = winograd || !strcmp(k->name, "blas");
    d->src = buffer_make(N_IMAGES * image_floats(s->ic, s->ih));
    d->diff_dst = buffer_make(N_IMAGES * image_floats(s->oc, s->oh));
    d->weights = buffer_make((size_t)(s->k * s->k * s->ic * s->oc));
    d->diff_weights = buffer_make(d->weights.n);
    d->bias = buffer_make((size_t)s->oc);
    d->packed[0] = buffer_make(d->plan.forward_floats);
    d->packed[1] = buffer_make(d->plan.backward_floats);
    d->scratch = buffer_make(d->plan.scratch_floats);
    d->accumulator = buffer_make(d->plan.accumulator_floats);
}

static void conv_data_free(struct conv_data *d) {
    struct buffer *all[] = {&d->src,     &d->diff_dst,    &d->weights,
                            &d->bias,    &d->packed[0],   &d->packed[1],
                            &d->scratch, &d->accumulator, &d->diff_weights};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        buffer_free(all[i]);
    }
}

/* Zeros almost everywhere: 0 * NaN must be NaN too. */
static void conv_data_fill(struct conv_data *d) {
    struct buffer *all[] = {&d->src, &d->diff_dst, &d->weights, &d->bias};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (size_t j = 0; j < all[i]->n; j++) {
            all[i]->data[j] = j % 7 ? 0.0F : 1.0F;
        }
    }
}

static const float *packed(struct conv_data *d, bool backward) {
    const struct conv_plan *p = &d->plan;
    if (!(backward ? p->backward_floats : p->forward_floats)) {
        return d->weights.data;
    }
    (backward ? p->pack_backward : p->pack_forward)(p, d->weights.data, d->packed[backward].data);
    return d->packed[backward].data;
}

static void forward(struct conv_data *d) {
    d->plan.forward(&d->plan, N_IMAGES, d->src.data, packed(d, false), d->bias.data,
                    d->diff_dst.data, d->scratch.data, NULL);
}

static void backward_data(struct conv_data *d) {
    d->plan.backward_data(&d->plan, N_IMAGES, d->diff_dst.data, packed(d, true), d->src.data, false,
                          d->scratch.data, NULL);
}

static void weights_gradient(struct conv_data *d) {
    d->plan.weights_add(&d->plan, N_IMAGES, d->src.data, d->diff_dst.data, d->accumulator.data,
                        true, d->scratch.data, NULL);
    d->plan.weights_finish(&d->plan, d->accumulator.data, d->diff_weights.data);
}

/* A place in src (ic), dst (oc) or, as a tap, in the weights (both). */
struct place {
    int row, column;
    int ic, oc;
};

/* Whether input pixel `in` is under the window of output pixel `out`; the tap. */
static bool sees(const struct conv_shape *s, struct place out, struct place in, struct place *tap) {
    tap->row = in.row + conv_padding(s) - out.row * s->stride;
    tap->column = in.column + conv_padding(s) - out.column * s->stride;
    return tap->row >= 0 && tap->row < s->k && tap->column >= 0 && tap->column < s->k;
}

/* Whether NaN at `in` of the source makes `out` of the output NaN, or the other way round. */
static bool pixels_meet(const struct conv_shape *s, struct place out, struct place in) {
    struct place tap;
    return sees(s, out, in, &tap);
}

/* Whether a weight takes part in `pixel` of the output. */
static bool tap_meets_output(const struct conv_shape *s, struct place tap, struct place pixel) {
    int row = pixel.row * s->stride + tap.row - conv_padding(s);
    int column = pixel.column * s->stride + tap.column - conv_padding(s);
    return row >= 0 && row < s->ih && column >= 0 && column < s->ih;
}

/* ... or in the gradient at `pixel` of the source. */
static bool tap_meets_input(const struct conv_shape *s, struct place tap, struct place pixel) {
    int row = pixel.row + conv_padding(s) - tap.row;
    int column = pixel.column + conv_padding(s) - tap.column;
    return row >= 0 && column >= 0 && row % s->stride == 0 && column % s->stride == 0 &&
           row / s->stride < s->oh && column / s->stride < s->oh;
}

static void fail_at(const struct conv_data *d, const char *what, struct place nan, struct place at,
                    double value) {
    fail_msg("%s %s%s, %s: NaN at row %d, column %d, channels %d, %d; row %d, column %d, channels "
             "%d, %d is %g",
             d->variant, d->name, d->plan.winograd ? " winograd" : "", what, nan.row, nan.column,
             nan.ic, nan.oc, at.row, at.column, at.ic, at.oc, value);
}

typedef bool meets_pixel(const struct conv_shape *s, struct place nan, struct place pixel);

/* Whether any pixel of the 4x4 tile meets it. */
static bool tile_meets(const struct conv_shape *s, meets_pixel *meets, struct place nan,
                       struct place pixel) {
    for (int i = 0; i < 16; i++) {
        struct place other = {.row = pixel.row / 4 * 4 + i / 4,
                              .column = pixel.column / 4 * 4 + i % 4};
        if (meets(s, nan, other)) {
            return true;
        }
    }
    return false;
}

/* NaN must be where `meets` says, in image first .. end, in channel `only` or (-1) in all. */
static void check_image(const struct conv_data *d, const char *what, const struct buffer *image,
                        bool is_src, meets_pixel *meets, struct place nan, int only, int first,
                        int end) {
    const struct conv_shape *s = &d->plan.shape;
    const int channels = is_src ? s->ic : s->oc;
    const int side = is_src ? s->ih : s->oh;
    for (int n = 0; n < N_IMAGES; n++) {
        for (int i = 0; i < channels * side * side; i++) {
            const int c = i / (side * side);
            struct place at = {i / side % side, i % side, c, c};
            const bool open = n >= first && n < end && (only < 0 || only == c);
            const bool must = open && meets(s, nan, at);
            const bool may = must || (open && d->spreads && tile_meets(s, meets, nan, at));
            const float value = image->data[(size_t)n * image_floats(channels, side) +
                                            image_offset(channels, side, c, at.row, at.column)];
            if (isnan(value) ? !may : must) {
                fail_at(d, what, nan, at, (double)value);
            }
        }
    }
}

/* is_src: the NaN is in src, otherwise in the output's gradient. */
static void check_taps(const struct conv_data *d, bool is_src, struct place nan) {
    const struct conv_shape *s = &d->plan.shape;
    for (int i = 0; i < (int)d->diff_weights.n; i++) {
        struct place at = {.row = i / (s->k * s->ic * s->oc),
                           .column = i / (s->ic * s->oc) % s->k,
                           .ic = i / s->oc % s->ic,
                           .oc = i % s->oc};
        bool open = is_src ? at.ic == nan.ic : at.oc == nan.oc;
        bool meets = false;
        for (int p = 0; open && !meets && p < (is_src ? s->oh * s->oh : s->ih * s->ih); p++) {
            int side = is_src ? s->oh : s->ih;
            struct place other = {.row = p / side, .column = p % side};
            struct place tap;
            meets = (is_src ? sees(s, other, nan, &tap) : sees(s, nan, other, &tap)) &&
                    tap.row == at.row && tap.column == at.column;
        }
        const float value = d->diff_weights.data[i];
        if (isnan(value) ? !(meets || (open && d->spreads)) : meets) {
            fail_at(d, is_src ? "weights, src" : "weights, diff_dst", nan, at, (double)value);
        }
    }
}

static float *src_at(const struct conv_data *d, struct place p) {
    const struct conv_shape *s = &d->plan.shape;
    return d->src.data + THE_IMAGE * image_floats(s->ic, s->ih) +
           image_offset(s->ic, s->ih, p.ic, p.row, p.column);
}

static float *dst_at(const struct conv_data *d, struct place p) {
    const struct conv_shape *s = &d->plan.shape;
    return d->diff_dst.data + THE_IMAGE * image_floats(s->oc, s->oh) +
           image_offset(s->oc, s->oh, p.oc, p.row, p.column);
}

static bool output_sees(const struct conv_shape *s, struct place nan, struct place pixel) {
    return pixels_meet(s, pixel, nan);
}

static bool input_is_seen(const struct conv_shape *s, struct place nan, struct place pixel) {
    return pixels_meet(s, nan, pixel);
}

static void check_src(struct conv_data *d, struct place nan) {
    conv_data_fill(d);
    *src_at(d, nan) = NAN;
    weights_gradient(d);
    check_taps(d, true, nan);
    forward(d);
    check_image(d, "forward, src", &d->diff_dst, false, output_sees, nan, -1, THE_IMAGE,
                THE_IMAGE + 1);
}

static void check_diff_dst(struct conv_data *d, struct place nan) {
    conv_data_fill(d);
    *dst_at(d, nan) = NAN;
    weights_gradient(d);
    check_taps(d, false, nan);
    if (d->plan.shape.ic != 3) {
        backward_data(d);
        check_image(d, "backward_data, diff_dst", &d->src, true, input_is_seen, nan, -1, THE_IMAGE,
                    THE_IMAGE + 1);
    }
}

static bool everywhere(const struct conv_shape *s, struct place nan, struct place pixel) {
    (void)s;
    (void)nan;
    (void)pixel;
    return true;
}

static void check_weight(struct conv_data *d, struct place nan) {
    const struct conv_shape *s = &d->plan.shape;
    const int at = ((nan.row * s->k + nan.column) * s->ic + nan.ic) * s->oc + nan.oc;
    conv_data_fill(d);
    d->weights.data[at] = NAN;
    forward(d);
    check_image(d, "forward, weights", &d->diff_dst, false, tap_meets_output, nan, nan.oc, 0,
                N_IMAGES);
    conv_data_fill(d);
    d->weights.data[at] = NAN;
    if (s->ic != 3) {
        backward_data(d);
        check_image(d, "backward_data, weights", &d->src, true, tap_meets_input, nan, nan.ic, 0,
                    N_IMAGES);
    }
    conv_data_fill(d);
    d->bias.data[nan.oc] = NAN;
    forward(d);
    check_image(d, "forward, bias", &d->diff_dst, false, everywhere, nan, nan.oc, 0, N_IMAGES);
}

static void check_conv(struct conv_data *d) {
    const struct conv_shape *s = &d->plan.shape;
    const int in[] = {0, 5, s->ih / 2, s->ih - 1};
    const int out[] = {0, 3, s->oh - 1};
    for (int i = 0; i < 16; i++) {
        check_src(d, (struct place){.row = in[i / 4], .column = in[i % 4], .ic = i % s->ic});
    }
    for (int i = 0; i < 9; i++) {
        check_diff_dst(d, (struct place){.row = out[i / 3], .column = out[i % 3], .oc = i + 7});
    }
    for (int tap = 0; tap < s->k * s->k; tap++) {
        check_weight(d, (struct place){tap / s->k, tap % s->k, (7 * tap + 2) % s->ic, tap + 4});
    }
}

static void check_variant(const struct kernels *k) {
    for (int i = 0; i < N_CONV_SHAPES; i++) {
        for (int winograd = 0; winograd < 2; winograd++) {
            CLEANUP(conv_data_free) struct conv_data d;
            conv_data_make(k, &conv_shapes[i], winograd, &d);
            if (d.plan.winograd == (bool)winograd) {
                check_conv(&d);
            }
        }
    }
}

static void nan_passes_the_convolutions(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        check_variant(*k);
    }
}

/* Says which variants this processor cannot show. */
static void all_variants_are_available(void **state) {
    (void)state;
    if (!kernels_find("avx2") || !kernels_find("avx512")) {
        print_message("SKIPPED: this processor has no %s: that variant was not tested\n",
                      kernels_find("avx2") ? "AVX-512" : "AVX2");
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_variants_are_available),
        cmocka_unit_test(nan_passes_the_elementwise_functions),
        cmocka_unit_test(nan_passes_the_convolutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
