/* Those who ask: tasks that send requests to the router and tell the model what was answered. */
#ifndef CUTOUTD_TESTS_SIM_CLIENTS_H
#define CUTOUTD_TESTS_SIM_CLIENTS_H

#include "tests/sim/stream.h"

/* In the driver: one of them, if one has nothing to do, asks for something. */
void clients_ask(struct stream *choices);

/* In the driver: somebody lets go what is held or paused and ends draining; `stuck`: or cancels
 * what waits for a paused run, which cannot be resumed where such runs are all that its owner may
 * have in the queue. False: all are busy. */
bool clients_release(bool stuck);

/* In the process. */
void clients_start(void);
void clients_stop(void);

/* The process is gone: what was not answered is unknown. */
void clients_reset(void);

#endif
