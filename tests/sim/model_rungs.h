/* Sweeps by halving, held against the hash that metrics are (fake_train.h). */
#ifndef CUTOUTD_TESTS_SIM_MODEL_RUNGS_H
#define CUTOUTD_TESTS_SIM_MODEL_RUNGS_H

/* Between looker_begin and looker_end: what is seen is what commits left behind. A rung that is
 * complete has ended in the commit that completed it; what an ended one says is what the metrics
 * say, and stays; who was promoted goes on, and nobody waits at it any more. */
void model_check_rungs(void);

#endif
