/* How `cutoutd bench` says what it has measured.
 *
 * Layer: daemon. Thread rule: main thread only.
 */
#ifndef CUTOUTD_DAEMON_MAIN_BENCH_BENCH_PRINT_H
#define CUTOUTD_DAEMON_MAIN_BENCH_BENCH_PRINT_H

#include <stdio.h>

#include "daemon/main/bench/bench_measure.h"

/* A value a line, and the table of a profile. */
void bench_print_text(FILE *out, const struct bench_options *options,
                      const struct bench_result *result);

/* The same as one line of JSON; null for what could not be measured. */
void bench_print_json(FILE *out, const struct bench_options *options,
                      const struct bench_result *result);

/* A line for each number of threads, beside the first. */
void bench_print_scaling(FILE *out, const struct bench_result *results, int n_results);

#endif
