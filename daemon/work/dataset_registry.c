/* Data sets by name. Layer: daemon/work.
 *
 * Thread rule: `mutex` guards every entry's state, but for the atomics; `opening` is held while a
 * set is read, so that two workers that want the same one read it once. Order: opening, then mutex.
 */
#include "daemon/work/dataset_registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "core/base/regular_file.h"

enum { CIFAR10_TRAIN_FILES = 5 };

/* Part of every stored result on the generated set: never change it. */
static const uint64_t SHAPES_SEED = 1;

struct entry {
    char name[DATASET_NAME_SIZE];
    char directory[CONFIG_TEXT_SIZE]; /* "": generated */
    struct dataset *dataset;          /* guarded by mutex; NULL: not in memory */
    char sha256[SHA256_HEX_SIZE];     /* guarded by mutex; valid with dataset */
    int users;                        /* guarded by mutex */
    atomic_bool known;
    atomic_int n_train; /* when it was last available, as the next; 0: never */
    atomic_int n_test;
    atomic_int n_classes;
};

struct dataset_registry {
    pthread_mutex_t opening;
    pthread_mutex_t mutex;
    int shapes_train;
    int shapes_test;
    size_t n;
    struct entry entries[CONFIG_MAX_DATASETS + 1];
    const char *names[CONFIG_MAX_DATASETS + 1];
};

static void add(struct dataset_registry *registry, const char *name, const char *directory) {
    struct entry *entry = &registry->entries[registry->n];
    (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    (void)snprintf(entry->directory, sizeof(entry->directory), "%s", directory);
    registry->names[registry->n++] = entry->name;
}

enum status dataset_registry_create(const struct config *config,
                                    struct dataset_registry **ret_registry, struct error *error) {
    struct dataset_registry *registry = calloc(1, sizeof(*registry));
    if (!registry) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the data sets");
    }
    (void)pthread_mutex_init(&registry->opening, NULL);
    (void)pthread_mutex_init(&registry->mutex, NULL);
    registry->shapes_train = config->shapes_train;
    registry->shapes_test = config->shapes_test;
    add(registry, DATASET_SHAPES, "");
    for (int i = 0; i < config->n_datasets; i++) {
        add(registry, config->datasets[i].name, config->datasets[i].directory);
    }
    *ret_registry = registry;
    return STATUS_OK;
}

void dataset_registry_free(struct dataset_registry *registry) {
    if (!registry) {
        return;
    }
    for (size_t i = 0; i < registry->n; i++) {
        dataset_free(registry->entries[i].dataset);
    }
    (void)pthread_mutex_destroy(&registry->mutex);
    (void)pthread_mutex_destroy(&registry->opening);
    free(registry);
}

size_t dataset_registry_count(const struct dataset_registry *registry) {
    return registry->n;
}

const char *const *dataset_registry_names(const struct dataset_registry *registry) {
    return registry->names;
}

static int find(const struct dataset_registry *registry, const char *name) {
    for (size_t i = 0; i < registry->n; i++) {
        if (strcmp(registry->names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *dataset_registry_default(const struct dataset_registry *registry) {
    return find(registry, "cifar10") >= 0 ? "cifar10" : DATASET_SHAPES;
}

/* Whole rows in a file by its length. STATUS_NOT_FOUND, STATUS_IO, STATUS_CORRUPT. */
static enum status count_rows(const char *directory, const char *file, int row_bytes, int *ret_rows,
                              struct error *error) {
    char path[CONFIG_TEXT_SIZE + 32];
    struct stat info;
    CLEANUP(close_fd) int fd = -1;
    (void)snprintf(path, sizeof(path), "%s/%s", directory, file);
    TRY(regular_file_open(path, &fd, error));
    if (fstat(fd, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    if (info.st_size == 0 || info.st_size % row_bytes != 0) {
        return error_set(error, STATUS_CORRUPT, "%s does not have whole rows of %d bytes", path,
                         row_bytes);
    }
    *ret_rows = (int)(info.st_size / row_bytes);
    return STATUS_OK;
}

/* Batches 1 to the highest that is there, as the reader wants them (core/data/cifar10.c). */
static enum status count_train_rows(const char *directory, int *ret_n, int *ret_batches,
                                    struct error *error) {
    enum status missing = STATUS_OK; /* of the first batch that could not be counted */
    struct error why = {0};
    *ret_n = 0;
    *ret_batches = 0;
    for (int i = 1; i <= CIFAR10_TRAIN_FILES; i++) {
        char file[32];
        int rows = 0;
        struct error reading;
        (void)snprintf(file, sizeof(file), "data_batch_%d.bin", i);
        enum status status = count_rows(directory, file, CIFAR10_ROW_BYTES, &rows, &reading);
        bool there = status != STATUS_NOT_FOUND;
        if (there && missing == STATUS_NOT_FOUND && i > 1) {
            error_prefix(&why, "%s is there", file);
            return error_set(error, missing, "%s", why.message);
        }
        if (there && status != STATUS_OK) {
            return error_set(error, status, "%s", reading.message);
        }
        if (!there && missing == STATUS_OK) {
            missing = status;
            why = reading;
        }
        *ret_n += rows;
        *ret_batches += there;
    }
    return *ret_batches > 0 ? STATUS_OK : error_set(error, missing, "%s", why.message);
}

static void describe_files(struct dataset_description *description) {
    struct error error;
    int n_train = 0;
    int n_test = 0;
    int n_batches = CIFAR10_TRAIN_FILES;
    const char *directory = description->directory;
    bool cifar100 = dataset_is_cifar100(directory);
    enum status status =
        cifar100 ? count_rows(directory, "train.bin", CIFAR100_ROW_BYTES, &n_train, &error)
                 : count_train_rows(directory, &n_train, &n_batches, &error);
    if (status == STATUS_OK) {
        status = cifar100
                     ? count_rows(directory, "test.bin", CIFAR100_ROW_BYTES, &n_test, &error)
                     : count_rows(directory, "test_batch.bin", CIFAR10_ROW_BYTES, &n_test, &error);
    }
    if (status != STATUS_OK) {
        (void)snprintf(description->problem, sizeof(description->problem), "%.*s",
                       (int)sizeof(description->problem) - 1, error.message);
        return;
    }
    description->available = true;
    description->n_train = n_train;
    description->n_test = n_test;
    description->n_classes = cifar100 ? 100 : 10;
    if (n_batches < CIFAR10_TRAIN_FILES) {
        (void)snprintf(description->warning, sizeof(description->warning),
                       "only data_batch_1.bin to data_batch_%d.bin are there, of %d", n_batches,
                       CIFAR10_TRAIN_FILES);
    }
}

/* So that runs may wait for a set that goes away. */
static void remember(struct entry *entry, struct dataset_description *description) {
    if (description->available) {
        atomic_store(&entry->known, true);
        atomic_store(&entry->n_train, description->n_train);
        atomic_store(&entry->n_test, description->n_test);
        atomic_store(&entry->n_classes, description->n_classes);
    }
    description->known = atomic_load(&entry->known);
    description->n_train = atomic_load(&entry->n_train);
    description->n_test = atomic_load(&entry->n_test);
    description->n_classes = atomic_load(&entry->n_classes);
}

void dataset_registry_describe(struct dataset_registry *registry, size_t index,
                               struct dataset_description *ret_description) {
    struct entry *entry = &registry->entries[index];
    memset(ret_description, 0, sizeof(*ret_description));
    ret_description->name = entry->name;
    if (entry->directory[0] != '\0') {
        ret_description->directory = entry->directory;
        describe_files(ret_description);
    } else {
        ret_description->n_train = registry->shapes_train;
        ret_description->n_test = registry->shapes_test;
        ret_description->n_classes = SHAPES_CLASSES;
        ret_description->available = true;
    }
    remember(entry, ret_description);
}

void dataset_registry_note_known(struct dataset_registry *registry, const char *name) {
    int index = find(registry, name);
    if (index >= 0) {
        atomic_store(&registry->entries[index].known, true);
    }
}

void dataset_registry_find(struct dataset_registry *registry, const char *name,
                           struct dataset_description *ret_description) {
    int index = find(registry, name);
    if (index >= 0) {
        dataset_registry_describe(registry, (size_t)index, ret_description);
    } else {
        *ret_description = (struct dataset_description){.problem = "there is no such data set"};
    }
}

int dataset_registry_train_images(struct dataset_registry *registry, const char *name) {
    struct dataset_description description;
    dataset_registry_find(registry, name, &description);
    return description.n_train;
}

/* A set that is smaller than its name says is worth a line each time that it is read. */
static void warn(struct dataset_registry *registry, const struct entry *entry) {
    struct dataset_description description;
    dataset_registry_describe(registry, (size_t)(entry - registry->entries), &description);
    if (description.warning[0]) {
        log_warning("data set %s: %s", entry->name, description.warning);
    }
}

bool dataset_registry_is_missing(struct dataset_registry *registry, const char *name) {
    int index = find(registry, name);
    struct dataset_description description = {.available = true};
    if (index >= 0) {
        dataset_registry_describe(registry, (size_t)index, &description);
    }
    return !description.available;
}

void dataset_registry_write_missing(struct dataset_registry *registry, const char *executor,
                                    char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < registry->n && used < size; i++) {
        if (dataset_registry_is_missing(registry, registry->names[i])) {
            used +=
                (size_t)snprintf(text + used, size - used, "%s/%s,", executor, registry->names[i]);
        }
    }
}

static void digest_set(struct sha256 *sha, const struct image_set *set) {
    sha256_update(sha, set->pixels, (size_t)set->n * IMAGE_BYTES);
    sha256_update(sha, set->labels, (size_t)set->n);
}

static void digest(const struct dataset *dataset, char ret_hex[SHA256_HEX_SIZE]) {
    struct sha256 sha;
    sha256_begin(&sha);
    digest_set(&sha, &dataset->train);
    digest_set(&sha, &dataset->test);
    sha256_end(&sha, ret_hex);
}

static bool use_if_open(struct dataset_registry *registry, struct entry *entry) {
    (void)pthread_mutex_lock(&registry->mutex);
    bool open = entry->dataset != NULL;
    entry->users += open ? 1 : 0;
    (void)pthread_mutex_unlock(&registry->mutex);
    return open;
}

/* Makes room before another set is read. */
static void evict_unused(struct dataset_registry *registry) {
    (void)pthread_mutex_lock(&registry->mutex);
    for (size_t i = 0; i < registry->n; i++) {
        struct entry *entry = &registry->entries[i];
        if (entry->users == 0) {
            dataset_free(entry->dataset);
            entry->dataset = NULL;
        }
    }
    (void)pthread_mutex_unlock(&registry->mutex);
}

static enum status open_entry(struct dataset_registry *registry, struct entry *entry,
                              struct error *error) {
    struct dataset *dataset = NULL;
    char hex[SHA256_HEX_SIZE];
    evict_unused(registry);
    if (entry->directory[0] != '\0') {
        TRY(dataset_open_cifar(entry->name, entry->directory, &dataset, error));
    } else {
        TRY(dataset_make_shapes(registry->shapes_train, registry->shapes_test, SHAPES_SEED,
                                &dataset, error));
    }
    digest(dataset, hex);
    log_info("data set %s: %d training and %d test images, sha256 %.12s", entry->name,
             dataset->train.n, dataset->test.n, hex);
    warn(registry, entry);
    (void)pthread_mutex_lock(&registry->mutex);
    entry->dataset = dataset;
    memcpy(entry->sha256, hex, sizeof(hex));
    entry->users++;
    (void)pthread_mutex_unlock(&registry->mutex);
    return STATUS_OK;
}

static enum status use(struct dataset_registry *registry, struct entry *entry,
                       struct error *error) {
    if (use_if_open(registry, entry)) {
        return STATUS_OK;
    }
    (void)pthread_mutex_lock(&registry->opening);
    /* Another worker may have opened it while this one waited. */
    enum status status = STATUS_OK;
    if (!use_if_open(registry, entry)) {
        status = open_entry(registry, entry, error);
    }
    (void)pthread_mutex_unlock(&registry->opening);
    return status;
}

enum status dataset_registry_acquire(struct dataset_registry *registry, const char *name,
                                     const struct dataset **ret_dataset,
                                     char ret_sha256[SHA256_HEX_SIZE], struct error *error) {
    int index = find(registry, name);
    if (index < 0) {
        return error_set(error, STATUS_NOT_FOUND,
                         "there is no data set '%s'; name its directory in the config, [datasets] "
                         "%s = DIRECTORY, or with --dataset %s=DIRECTORY",
                         name, name, name);
    }
    struct entry *entry = &registry->entries[index];
    TRY(use(registry, entry, error));
    /* In use now, so nobody changes these two. */
    *ret_dataset = entry->dataset;
    memcpy(ret_sha256, entry->sha256, SHA256_HEX_SIZE);
    return STATUS_OK;
}

void dataset_registry_release(struct dataset_registry *registry, const struct dataset *dataset) {
    if (!dataset) {
        return;
    }
    (void)pthread_mutex_lock(&registry->mutex);
    for (size_t i = 0; i < registry->n; i++) {
        if (registry->entries[i].dataset == dataset) {
            registry->entries[i].users--;
        }
    }
    (void)pthread_mutex_unlock(&registry->mutex);
}
