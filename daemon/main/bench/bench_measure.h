/* What `cutoutd bench` measures.
 *
 * Layer: daemon. Thread rule: main thread only.
 *
 * Training speed is that of trainer_run itself on the generated data set: augmentation, optimizer,
 * L2 and moving statistics included. The first steps warm up; the result is the median step. A
 * profile is that of the fastest step, since it stands beside the fastest round of each kernel.
 * Evaluation is timed on batches of 256, and the processor's own limits beside both.
 */
#ifndef CUTOUTD_DAEMON_MAIN_BENCH_BENCH_MEASURE_H
#define CUTOUTD_DAEMON_MAIN_BENCH_BENCH_MEASURE_H

#include "core/config/run_config.h"
#include "core/data/dataset.h"
#include "core/nn/kernel_times.h"

struct bench_options {
    struct run_config config;
    const struct kernels *kernels;
    double seconds; /* of training */
    bool streamed;  /* core/nn/engine.h */
    bool profile;   /* fill the last part of the result as well */
};

struct bench_result {
    int n_threads;
    int n_steps; /* that were timed */
    double images_per_second;
    double eval_images_per_second;
    double fma_peak_gflops; /* of all threads; 0: not known */
    int64_t bytes_per_image;
    int64_t peak_rss_bytes;      /* of the process so far */
    struct step_profile profile; /* of all steps; with options.profile of the fastest alone */

    /* With options.profile. */
    struct kernel_step kernels;    /* on one thread */
    int64_t traffic[N_STEP_PARTS]; /* bytes an image: engine_traffic */
    double triad_bytes_per_second; /* of all threads */
};

/* STATUS_NO_MEMORY and whatever training may say. */
enum status bench_measure(const struct bench_options *options, const struct dataset *dataset,
                          int n_threads, struct bench_result *ret_result, struct error *error);

/* GFLOP that training one image is by definition: a multiply-add is two, and back is twice forward.
 */
double bench_nominal_gflop(int depth);

#endif
