/* What the constructors of a data set share; nobody else needs it.
 *
 * Layer: core/data, private. Thread rule: one thread builds a data set.
 */
#ifndef CUTOUTD_CORE_DATA_DATASET_BUILD_H
#define CUTOUTD_CORE_DATA_DATASET_BUILD_H

#include "core/data/dataset.h"

/* More images than this in one set are refused: all of them are kept in memory. */
enum { DATASET_MAX_IMAGES = 10000000 };

/* An empty data set of that name, owned by the caller (dataset_free). STATUS_INVALID when the name
 * is empty or too long, STATUS_NO_MEMORY. */
enum status dataset_new(const char *name, struct dataset **ret_dataset, struct error *error);

/* Makes room in `set` for n images altogether, keeping those it has; set->n stays as it is. On
 * failure (STATUS_NO_MEMORY) the set is unchanged. */
enum status image_set_reserve(struct image_set *set, int n, struct error *error);

/* Destructor for CLEANUP(). */
void dataset_cleanup(struct dataset **dataset);

#endif
