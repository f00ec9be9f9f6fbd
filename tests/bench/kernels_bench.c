/* What each kernel reaches on one thread, its data in L2, and what all of them take in a training
 * step.
 *
 *     kernels_bench [VARIANT]        all variants, or one of: ref blas avx2 avx512
 *
 * A row a kernel and shape: microseconds an image (a call, for what is done once a step), GFLOP/s
 * of the plain convolution (nominal: padding and Winograd's savings count as work), percent of the
 * peak of multiply-adds, measured in turns with it on the same thread; GB/s for the element-wise
 * functions. A row "... products" is the matrix products of a Winograd kernel alone: its percent of
 * the peak is that of what is really multiplied, and the kernel's row says which part of its time
 * they take.
 *
 * Then a table by stage for one training step of ResNet-44 with those kernels, microseconds an
 * image on one core. `cutoutd bench --profile` sets a real step beside it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nn/kernel_times.h"
#include "core/train/optimizer.h"
#include "tests/core/conv_shapes.h"

static const double ROW_S = 0.2; /* time spent on a row */

static double now_s(void) {
    return clock_monotonic_s(&clock_system);
}

static const char *const function_names[N_KERNEL_FUNCTIONS] = {
    "forward",          "backward_data",  "weights_add",  "forward products",
    "weights products", "weights_finish", "pack_forward", "pack_backward"};

static const char *const elementwise_names[N_ELEMENTWISE_FUNCTIONS] = {
    "bn_sums", "bn_relu", "bn_add_relu", "bn_backward", "relu_backward", "relu_backward+add"};

static const char *const part_names[N_STEP_PARTS] = {
    [PART_STEM] = "stem",           [PART_16] = "3x3, 16 channels", [PART_32] = "3x3, 32 channels",
    [PART_64] = "3x3, 64 channels", [PART_STRIDE_2] = "stride 2",   [PART_BN] = "BN and ReLU"};

/* Of one image. Winograd's products multiply 36 values for 16 pixels. */
static double flops(const struct conv_shape *s, enum kernel_function function) {
    bool products = function == KERNEL_FORWARD_PRODUCTS || function == KERNEL_WEIGHTS_PRODUCTS;
    return 2.0 * (products ? 36.0 / 16.0 : s->k * s->k) * s->ic * s->oc * s->oh * s->oh;
}

/* products: the time of the products alone, or 0. */
static void print_row(const struct kernels *kernels, const struct conv_plan *plan,
                      const char *shape, enum kernel_function function, struct kernel_time time,
                      double products) {
    printf("%-7s %-9s %-18s %-17s %10.2f us", kernels->name, plan->winograd ? "winograd" : "direct",
           shape, function_names[function], time.us);
    if (function < KERNEL_WEIGHTS_FINISH) {
        double per_s = 1e6 * flops(&plan->shape, function) / time.us;
        printf(" %8.1f GFLOP/s", 1e-9 * per_s);
        if (time.peak > 0.0) {
            printf(" %5.0f %% of peak (%.1f)", 100.0 * per_s / time.peak, 1e-9 * time.peak);
        }
    }
    if (products > 0.0) {
        printf("   products %.0f %%", 100.0 * products / time.us);
    }
    printf("\n");
    (void)fflush(stdout);
}

static void convolution(struct kernel_times *times, const struct kernels *kernels,
                        const struct conv_plan *plan, const char *name) {
    struct kernel_time all[N_KERNEL_FUNCTIONS];
    kernel_times_conv(times, plan, all);
    for (int f = 0; f < N_KERNEL_FUNCTIONS; f++) {
        enum kernel_function part =
            f == KERNEL_WEIGHTS_ADD ? KERNEL_WEIGHTS_PRODUCTS : KERNEL_FORWARD_PRODUCTS;
        if (all[f].us > 0.0) {
            print_row(kernels, plan, name, (enum kernel_function)f, all[f],
                      f <= KERNEL_WEIGHTS_ADD ? all[part].us : 0.0);
        }
    }
}

static void convolutions(struct kernel_times *times, const struct kernels *kernels) {
    for (int winograd = 0; winograd < 2; winograd++) {
        for (int i = 0; i < N_CONV_SHAPES; i++) {
            struct conv_plan plan;
            if (kernels->conv_plan(&conv_shapes[i].shape, winograd, &plan) == STATUS_OK &&
                plan.winograd == winograd) {
                convolution(times, kernels, &plan, conv_shapes[i].name);
            }
        }
    }
}

static void elementwise_rows(struct kernel_times *times, const struct kernels *kernels) {
    double us[N_ELEMENTWISE_FUNCTIONS];
    kernel_times_elementwise(times, us);
    for (int f = 0; f < N_ELEMENTWISE_FUNCTIONS; f++) {
        const int tensors = kernel_elementwise_tensors((enum elementwise_function)f);
        printf("%-7s %-9s %-18s %-17s %10.2f us %8.1f GB/s\n", kernels->name, "-", "16 @32",
               elementwise_names[f], us[f],
               1e-3 * sizeof(float) * ELEMENTWISE_FLOATS * tensors / us[f]);
    }
}

static void step_table(struct kernel_times *times, const struct kernels *kernels, bool winograd) {
    static struct resnet net;
    struct kernel_step step;
    struct error error;
    if (resnet_plan(44, &net, &error) != STATUS_OK ||
        kernel_times_step(times, &net, winograd, &step, &error) != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return;
    }
    printf("\n%s, %s: one training step of ResNet-44, us an image on one core\n", kernels->name,
           winograd ? "winograd" : "direct");
    for (int i = 0; i < N_STEP_PARTS; i++) {
        if (step.us[i] <= 0.0) {
            continue;
        }
        printf("  %-20s %8.1f us %5.1f %%", part_names[i], step.us[i],
               100.0 * step.us[i] / step.total_us);
        if (step.gflop[i] > 0.0 && step.peak > 0.0) {
            printf(" %5.0f %% of peak", 1e17 * step.gflop[i] / step.us[i] / step.peak);
        }
        if (step.products_us[i] > 0.0) {
            printf("   products %.0f %%", 100.0 * step.products_us[i] / step.us[i]);
        }
        printf("\n");
    }
    printf("  kernels of one training step in L2, us an image: %.1f\n", step.total_us);
}

/* ---- what is no kernel: once a step, and memory ---- */

static void optimizer_row(enum optimizer_kind kind, const char *name) {
    static struct resnet net;
    const struct run_config config = {.optimizer = kind, .l2 = 1e-4, .momentum = 0.9};
    struct team *team = NULL;
    struct optimizer *optimizer = NULL;
    (void)resnet_plan(44, &net, NULL);
    float *values = calloc(2 * net.n_params, sizeof(float));
    if (values && team_create(&(struct team_options){.n_threads = 1}, &team, NULL) == STATUS_OK &&
        optimizer_create(&config, &net, &optimizer, NULL) == STATUS_OK) {
        double best_s = 1e9;
        for (double end = now_s() + ROW_S; now_s() < end;) {
            double start = now_s();
            (void)optimizer_step(optimizer, team, values, values + net.n_params, 1e-3);
            double seconds = now_s() - start;
            best_s = seconds < best_s ? seconds : best_s;
        }
        printf("optimizer %-8s ResNet-44, one thread %10.1f us a step\n", name, 1e6 * best_s);
    }
    optimizer_free(optimizer);
    team_free(team);
    free(values);
}

/* a = b + 3 c, 128 MiB each: beyond any cache. One thread. */
static void triad_row(void) {
    const size_t n = (size_t)1 << 25;
    float *a = calloc(3 * n, sizeof(float));
    if (!a) {
        return;
    }
    double best_s = 1e9;
    for (int round = 0; round < 5; round++) {
        double start = now_s();
        for (size_t i = 0; i < n; i++) {
            a[i] = a[n + i] + 3.0F * a[2 * n + i];
        }
        double seconds = now_s() - start;
        a[n + (size_t)round] = a[(size_t)round] + 1.0F;
        best_s = seconds < best_s ? seconds : best_s;
    }
    printf("triad, one thread %8.1f GB/s\n", 3e-9 * sizeof(float) * (double)n / best_s);
    free(a);
}

static bool variant(const struct kernels *kernels) {
    struct kernel_times *times = NULL;
    struct error error;
    if (kernel_times_create(kernels, &clock_system, ROW_S, &times, &error) != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return false;
    }
    convolutions(times, kernels);
    elementwise_rows(times, kernels);
    for (int winograd = 0; winograd <= kernels->has_winograd; winograd++) {
        step_table(times, kernels, winograd);
    }
    kernel_times_free(times);
    return true;
}

int main(int argc, char **argv) {
    const struct kernels *best = NULL;
    (void)kernels_select(NULL, &best, NULL); /* also: OpenBLAS on one thread */
    int n_variants = 0;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        if (argc > 1 && strcmp(argv[1], (*k)->name) != 0) {
            continue;
        }
        if (!variant(*k)) {
            return EXIT_FAILURE;
        }
        n_variants++;
    }
    if (!n_variants) {
        (void)fprintf(stderr, "this processor has no variant '%s'\n", argv[1]);
        return EXIT_FAILURE;
    }
    printf("\n");
    optimizer_row(OPTIMIZER_ADAM, "adam");
    optimizer_row(OPTIMIZER_SGD, "sgd");
    triad_row();
    return EXIT_SUCCESS;
}
