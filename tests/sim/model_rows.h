/* The rows and files of one run, held against what the model knows (model.c). */
#ifndef CUTOUTD_TESTS_SIM_MODEL_ROWS_H
#define CUTOUTD_TESTS_SIM_MODEL_ROWS_H

#include "tests/sim/model.h"

/* Between looker_begin and looker_end, as all of these. */
void model_check_row(struct wanted *wanted);

/* draining: as it must be stored; -1: unknown. */
void model_check_settings(int draining);

/* The epochs that it took over; 0: it is no fork. */
int model_forked_epoch(const struct wanted *wanted);

#endif
