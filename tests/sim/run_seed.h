/* One simulation, from an empty disk to the end of all runs. */
#ifndef CUTOUTD_TESTS_SIM_RUN_SEED_H
#define CUTOUTD_TESTS_SIM_RUN_SEED_H

#include <stdbool.h>
#include <stdint.h>

enum { MOST_STEPS = 2000, DEFAULT_STEPS = 50 };

/* Ends by sim_fail or returns. keep: [n_steps], the steps that are carried out; NULL: all. */
void run_seed(uint64_t seed, int n_steps, const bool *keep);

/* Says which kinds of trouble the seed has. */
void run_seed_describe(uint64_t seed, char *text, int size);

#endif
