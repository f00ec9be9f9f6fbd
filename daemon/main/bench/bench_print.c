/* Layer: daemon. */
#include "daemon/main/bench/bench_print.h"

#include <string.h>

#include "core/train/trainer.h"

/* ---- values ---- */

struct printer {
    FILE *out;
    bool json;
    bool started; /* something is printed */
};

static void put_name(struct printer *p, const char *name) {
    if (p->json) {
        (void)fprintf(p->out, "%s\"%s\":", p->started ? "," : "{", name);
    } else {
        (void)fprintf(p->out, "%-24s", name);
    }
    p->started = true;
}

static void put_end(const struct printer *p) {
    (void)fputs(p->json ? "" : "\n", p->out);
}

static void put_text(struct printer *p, const char *name, const char *text) {
    put_name(p, name);
    (void)fprintf(p->out, p->json ? "\"%s\"" : "%s", text);
    put_end(p);
}

static void put_integer(struct printer *p, const char *name, int64_t value) {
    put_name(p, name);
    (void)fprintf(p->out, "%lld", (long long)value);
    put_end(p);
}

/* A value of 0 is one that could not be measured. */
static void put_number(struct printer *p, const char *name, double value, int decimals) {
    put_name(p, name);
    if (value > 0.0) {
        (void)fprintf(p->out, "%.*f", decimals, value);
    } else {
        (void)fputs(p->json ? "null" : "unknown", p->out);
    }
    put_end(p);
}

static double share(double part, double whole) {
    return whole > 0.0 ? part / whole : 0.0;
}

static double a_step(const struct bench_result *r, int64_t count) {
    return share((double)count, (double)r->profile.n_steps);
}

static void put_values(struct printer *p, const struct bench_options *o,
                       const struct bench_result *r) {
    const double gflops = r->images_per_second * bench_nominal_gflop(o->config.depth);
    const bool winograd = trainer_uses_winograd(&o->config, o->kernels);
    const struct step_profile *profile = &r->profile;
    put_number(p, "images_per_second", r->images_per_second, 1);
    put_number(p, "eval_images_per_second", r->eval_images_per_second, 1);
    put_number(p, "data_pipeline_share", share(profile->data_seconds, profile->step_seconds), 4);
    put_text(p, "isa", o->kernels->name);
    put_text(p, "conv_algorithm", winograd ? "winograd" : "direct");
    put_text(p, "activations", o->config.activations == ACTIVATIONS_BF16 ? "bf16" : "f32");
    put_integer(p, "depth", o->config.depth);
    put_integer(p, "threads", r->n_threads);
    put_integer(p, "batch_size", o->config.batch_size);
    put_integer(p, "m", o->config.m);
    put_integer(p, "steps", r->n_steps);
    put_number(p, "barriers_per_step", a_step(r, profile->counts.calls), 1);
    put_number(p, "pieces_per_step", a_step(r, profile->counts.pieces), 1);
    put_integer(p, "bytes_per_image", r->bytes_per_image);
    put_integer(p, "peak_rss_bytes", r->peak_rss_bytes);
    put_number(p, "nominal_gflops", gflops, 1);
    put_number(p, "fma_peak_gflops", r->fma_peak_gflops, 1);
    put_number(p, "ratio_to_peak", share(gflops, r->fma_peak_gflops), 3);
}

/* ---- the profile ---- */

/* A row of the table: microseconds of a thread, an image. 0: not known. */
struct row {
    const char *name;
    double us;
    double kernels_us; /* of the same with data in L2 */
    double products_us;
    double gflop;
    double bytes;
};

enum { ROW_OPTIMIZER = N_STEP_PARTS, ROW_DATA, ROW_WAITING, N_ROWS };

static const char *const row_names[N_ROWS] = {
    [PART_STEM] = "stem",           [PART_16] = "3x3, 16 channels",
    [PART_32] = "3x3, 32 channels", [PART_64] = "3x3, 64 channels",
    [PART_STRIDE_2] = "stride 2",   [PART_BN] = "BN and ReLU",
    [PART_HEAD] = "head and loss",  [PART_WEIGHTS] = "weights",
    [ROW_OPTIMIZER] = "optimizer",  [ROW_DATA] = "data",
    [ROW_WAITING] = "waiting",
};

/* Returns the whole, microseconds of a thread an image. */
static double make_rows(const struct bench_result *r, struct row rows[N_ROWS]) {
    const struct step_profile *p = &r->profile;
    const double us = share(1e6, (double)p->n_images);
    const double whole = us * p->step_seconds * r->n_threads;
    double known = us * (p->optimizer_seconds + p->data_seconds) * r->n_threads;
    memset(rows, 0, N_ROWS * sizeof(*rows));
    for (int i = 0; i < N_ROWS; i++) {
        rows[i].name = row_names[i];
    }
    for (int i = 0; i < N_STEP_PARTS; i++) {
        for (int member = 0; member < r->n_threads; member++) {
            rows[i].us += us * p->members[member].seconds[i];
        }
        rows[i].kernels_us = r->kernels.us[i];
        rows[i].products_us = r->kernels.products_us[i];
        rows[i].gflop = r->kernels.gflop[i];
        rows[i].bytes = (double)r->traffic[i];
        known += rows[i].us;
    }
    rows[ROW_OPTIMIZER].us = us * p->optimizer_seconds * r->n_threads;
    rows[ROW_DATA].us = us * p->data_seconds * r->n_threads;
    rows[ROW_WAITING].us = whole - known;
    return whole;
}

/* Of the fastest step: what its kernels took with their data in L2, at their fastest, is 1. */
static double over_kernels(const struct bench_result *r) {
    return share(1e6 * r->n_threads * r->profile.step_seconds,
                 (double)r->profile.n_images * r->kernels.total_us);
}

static double traffic_of(const struct bench_result *r) {
    int64_t bytes = 0;
    for (int i = 0; i < N_STEP_PARTS; i++) {
        bytes += r->traffic[i];
    }
    return (double)bytes;
}

static void print_cell(FILE *out, double value, int width, int decimals, const char *unit) {
    if (value > 0.0) {
        (void)fprintf(out, " %*.*f%s", width, decimals, value, unit);
    } else {
        (void)fprintf(out, " %*s", width + (int)strlen(unit), "");
    }
}

static void print_table(FILE *out, const struct bench_result *r) {
    struct row rows[N_ROWS];
    const double whole = make_rows(r, rows);
    const double peak = r->kernels.peak;
    (void)fprintf(out, "\n%-18s %9s %7s %9s %9s %9s %9s %7s\n", "us a thread, image", "a step",
                  "share", "in L2", "step : L2", "of peak", "products", "GB/s");
    for (int i = 0; i < N_ROWS; i++) {
        const struct row *row = &rows[i];
        (void)fprintf(out, "%-18s %9.1f %5.1f %%", row->name, row->us,
                      100.0 * share(row->us, whole));
        print_cell(out, row->kernels_us, 9, 1, "");
        print_cell(out, share(row->us, row->kernels_us), 9, 2, "");
        print_cell(out, share(1e17 * row->gflop, row->us * peak), 7, 0, " %");
        print_cell(out, 100.0 * share(row->products_us, row->kernels_us), 7, 0, " %");
        print_cell(out, share(1e-3 * row->bytes * r->n_threads, row->us), 7, 1, "");
        (void)fputs("\n", out);
    }
    (void)fprintf(out, "%-18s %9.1f\n\n", "a step", whole);
    (void)fprintf(out,
                  "the fastest step takes %.2f times its kernels in L2\n"
                  "tensors of the batch: %.1f MB an image, %.1f GB/s; the triad of this machine "
                  "%.1f GB/s\n"
                  "of peak: plain convolution's multiply-adds, so Winograd's may exceed it; "
                  "products: of the kernel in L2\n",
                  over_kernels(r), 1e-6 * traffic_of(r),
                  1e-9 * traffic_of(r) * r->images_per_second, 1e-9 * r->triad_bytes_per_second);
}

static void put_profile(struct printer *p, const struct bench_result *r) {
    struct row rows[N_ROWS];
    (void)make_rows(r, rows);
    put_number(p, "step_over_kernels", over_kernels(r), 3);
    put_number(p, "kernels_us_per_image", r->kernels.total_us, 1);
    put_number(p, "batch_bytes_per_image", traffic_of(r), 0);
    put_number(p, "batch_gb_per_second", 1e-9 * traffic_of(r) * r->images_per_second, 2);
    put_number(p, "triad_gb_per_second", 1e-9 * r->triad_bytes_per_second, 2);
    put_name(p, "profile");
    for (int i = 0; i < N_ROWS; i++) {
        const struct row *row = &rows[i];
        (void)fprintf(p->out, "%s", i ? "," : "[");
        struct printer inner = {.out = p->out, .json = true};
        put_text(&inner, "part", row->name);
        put_number(&inner, "us_per_image", row->us, 2);
        put_number(&inner, "kernels_us_per_image", row->kernels_us, 2);
        put_number(&inner, "of_peak", share(1e15 * row->gflop, row->us * r->kernels.peak), 3);
        put_number(&inner, "products_of_kernels", share(row->products_us, row->kernels_us), 3);
        put_number(&inner, "gb_per_second", share(1e-3 * row->bytes * r->n_threads, row->us), 2);
        (void)fprintf(p->out, "}");
    }
    (void)fprintf(p->out, "]");
}

/* ---- the whole ---- */

void bench_print_text(FILE *out, const struct bench_options *options,
                      const struct bench_result *result) {
    struct printer p = {.out = out};
    put_values(&p, options, result);
    if (options->profile) {
        print_table(out, result);
    }
}

void bench_print_json(FILE *out, const struct bench_options *options,
                      const struct bench_result *result) {
    struct printer p = {.out = out, .json = true};
    put_values(&p, options, result);
    if (options->profile) {
        put_profile(&p, result);
    }
    (void)fprintf(out, "}\n");
}

void bench_print_scaling(FILE *out, const struct bench_result *results, int n_results) {
    (void)fprintf(out, "\n%7s %9s %9s %9s %9s %9s\n", "threads", "images/s", "speed-up", "barriers",
                  "pieces", "stolen");
    for (int i = 0; i < n_results; i++) {
        const struct bench_result *r = &results[i];
        (void)fprintf(out, "%7d %9.1f %9.2f %9.1f %9.1f %9.1f\n", r->n_threads,
                      r->images_per_second,
                      share(r->images_per_second, results[0].images_per_second),
                      a_step(r, r->profile.counts.calls), a_step(r, r->profile.counts.pieces),
                      a_step(r, r->profile.counts.stolen));
    }
}
