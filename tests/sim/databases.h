/* What a simulation begins with: nothing, an empty database of this version, or what an older
 * version has left. */
#ifndef CUTOUTD_TESTS_SIM_DATABASES_H
#define CUTOUTD_TESTS_SIM_DATABASES_H

#include "tests/sim/stream.h"

/* Once, before the first simulation: makes what databases_put_empty puts. */
void databases_prepare(void);

/* In the driver, on a disk that is empty, as the next. */
void databases_put_empty(void);

/* Some runs, of which some are over. The model knows them as accepted. */
void databases_make_old(struct stream *choices);

#endif
