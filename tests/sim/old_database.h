/* The state directory that an older version has left: its database and some runs in it. */
#ifndef CUTOUTD_TESTS_SIM_OLD_DATABASE_H
#define CUTOUTD_TESTS_SIM_OLD_DATABASE_H

#include "tests/sim/stream.h"

/* In the driver, on a disk that is empty. The model knows the runs as accepted. */
void old_database_make(struct stream *choices);

#endif
