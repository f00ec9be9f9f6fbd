/* The data sets that runs may name, opened at the first use and shared read-only.
 *
 * Layer: daemon/work. Thread rule: all functions from any thread.
 *
 * A set stays in memory while a run uses it, and after that until another one must be opened.
 */
#ifndef CUTOUTD_DAEMON_WORK_DATASET_REGISTRY_H
#define CUTOUTD_DAEMON_WORK_DATASET_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/sha256.h"
#include "core/data/dataset.h"
#include "daemon/config/config.h"

#define DATASET_SHAPES "shapes"

struct dataset_registry;

/* `shapes` and those of the config. Nothing is read from disk yet. STATUS_NO_MEMORY. */
enum status dataset_registry_create(const struct config *config,
                                    struct dataset_registry **ret_registry, struct error *error);

/* No set may be in use. NULL is fine. */
void dataset_registry_free(struct dataset_registry *registry);

/* Number of data sets, and their names: static for the life of the registry, as an array that fits
 * struct run_spec_context. */
size_t dataset_registry_count(const struct dataset_registry *registry);
const char *const *dataset_registry_names(const struct dataset_registry *registry);

/* "cifar10" when there is one of that name, otherwise "shapes". */
const char *dataset_registry_default(const struct dataset_registry *registry);

/* What can be said without reading the images: sizes come from the files' lengths. */
struct dataset_description {
    const char *name;
    const char *directory; /* NULL: generated */
    int n_train;           /* when it was last available to this registry, as the next; 0: never */
    int n_test;
    int n_classes;
    bool available;
    bool known;        /* available now, or before: a run may wait until it is there again */
    char problem[512]; /* why it is not available; "" otherwise */
    char warning[128]; /* it is available, but perhaps not what is meant; "" otherwise */
};

/* index: 0 .. count-1. */
void dataset_registry_describe(struct dataset_registry *registry, size_t index,
                               struct dataset_description *ret_description);

/* The same by its name; not available when there is none of that name. */
void dataset_registry_find(struct dataset_registry *registry, const char *name,
                           struct dataset_description *ret_description);

/* The set of that name was available to an earlier process: from now on it is known. */
void dataset_registry_note_known(struct dataset_registry *registry, const char *name);

/* How many training images the set of that name has, or had when it was last available; 0: there is
 * no such set, or it never was. */
int dataset_registry_train_images(struct dataset_registry *registry, const char *name);

/* Whether the set has a directory in the config, and no images are there at present: it may not be
 * mounted. */
bool dataset_registry_is_missing(struct dataset_registry *registry, const char *name);

/* The names of all that are missing, as executors tell them: "EXECUTOR/NAME," each. */
void dataset_registry_write_missing(struct dataset_registry *registry, const char *executor,
                                    char *text, size_t size);

/* Opens the set if needed (may take seconds) and keeps it until dataset_registry_release.
 * ret_sha256: digest of all its images and labels. STATUS_NOT_FOUND: no such name or no such files;
 * STATUS_CORRUPT, STATUS_IO, STATUS_NO_MEMORY: the next acquire tries again. */
enum status dataset_registry_acquire(struct dataset_registry *registry, const char *name,
                                     const struct dataset **ret_dataset,
                                     char ret_sha256[SHA256_HEX_SIZE], struct error *error);

/* NULL is fine. */
void dataset_registry_release(struct dataset_registry *registry, const struct dataset *dataset);

#endif
