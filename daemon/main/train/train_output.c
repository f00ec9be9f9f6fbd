/* Layer: daemon. */
#include "daemon/main/train/train_output.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "core/base/text_stream.h"
#include "daemon/config/lock.h"
#include "daemon/config/text_file.h"
#include "daemon/spec/run_spec_json.h"

enum { MAX_TEXT_BYTES = 1 << 20 };

static enum status path_join(char ret_path[PATH_MAX], const char *directory, const char *name,
                             struct error *error) {
    int length = snprintf(ret_path, PATH_MAX, "%s/%s", directory, name);
    if (length < 0 || length >= PATH_MAX) {
        return error_set(error, STATUS_INVALID, "the path %.80s... is too long", directory);
    }
    return STATUS_OK;
}

static enum status directory_make(const char *path, struct error *error) {
    if (mkdir(path, 0755) == 0) {
        return durable_name(path, error);
    }
    return errno == EEXIST ? STATUS_OK
                           : error_set_errno(error, errno, "cannot make the directory %s", path);
}

enum status train_output_open(const char *directory, struct train_output *output,
                              struct error *error) {
    *output = (struct train_output){.lock_fd = -1};
    char csv_path[PATH_MAX];
    TRY(path_join(output->checkpoint_dir, directory, "checkpoints", error));
    TRY(path_join(csv_path, directory, "epochs.csv", error));
    memcpy(output->directory, directory, strlen(directory) + 1); /* shorter than what was joined */
    TRY(directory_make(directory, error));
    TRY(lock_take(directory, &output->lock_fd, error));
    TRY(directory_make(output->checkpoint_dir, error));
    return epochs_csv_open(csv_path, &output->csv, error);
}

void train_output_close(struct train_output *output) {
    if (!output) {
        return;
    }
    epochs_csv_close(&output->csv);
    if (output->lock_fd >= 0) {
        (void)close(output->lock_fd);
        output->lock_fd = -1;
    }
}

/* Whether the stored text means the same run: what an earlier version wrote lacks fields of today,
 * and held name, priority and labels as well. */
static bool is_same_config(const char *stored, const char *config_json) {
    CLEANUP(free_pointer) char *today = run_spec_stored_json(stored);
    size_t n = today ? strcspn(today, "\n") : 0;
    return today && strcspn(config_json, "\n") == n && strncmp(today, config_json, n) == 0;
}

enum status train_output_claim(const struct train_output *output, const char *config_json,
                               struct error *error) {
    char path[PATH_MAX];
    TRY(path_join(path, output->directory, "config.json", error));
    CLEANUP(free_pointer) char *there = NULL;
    size_t n_bytes = 0;
    enum status status = text_file_read(path, MAX_TEXT_BYTES, &there, &n_bytes, error);
    if (status == STATUS_NOT_FOUND) {
        return text_file_write(path, config_json, error);
    }
    if (status == STATUS_OK && strcmp(there, config_json) != 0 &&
        !is_same_config(there, config_json)) {
        return error_set(error, STATUS_CONFLICT,
                         "%s holds another run: its config.json is not what this one resolves to. "
                         "Choose another directory",
                         output->directory);
    }
    return status;
}

enum status train_output_claim_origin(const struct train_output *output, const char *dataset_sha256,
                                      const char *variant, char ret_variant[VARIANT_NAME_SIZE],
                                      struct error *error) {
    char path[PATH_MAX];
    TRY(path_join(path, output->directory, "origin", error));
    CLEANUP(free_pointer) char *there = NULL;
    size_t n_bytes = 0;
    enum status status = text_file_read(path, MAX_TEXT_BYTES, &there, &n_bytes, error);
    if (status == STATUS_NOT_FOUND) {
        char text[256];
        (void)snprintf(text, sizeof(text), "dataset_sha256 %s\nkernels %s\n", dataset_sha256,
                       variant);
        (void)snprintf(ret_variant, VARIANT_NAME_SIZE, "%s", variant);
        return text_file_write(path, text, error);
    }
    TRY(status);
    char digest[SHA256_HEX_SIZE];
    char name[VARIANT_NAME_SIZE];
    if (sscanf(there, "dataset_sha256 %64s kernels %15s", digest, name) != 2) {
        return error_set(error, STATUS_CORRUPT, "%s is damaged", path);
    }
    if (strcmp(digest, dataset_sha256) != 0) {
        return error_set(error, STATUS_CONFLICT,
                         "the images are not those that the run in %s was begun with",
                         output->directory);
    }
    memcpy(ret_variant, name, sizeof(name));
    return STATUS_OK;
}

/* Both numbers from exactly the form in which the trainer names its files. */
static int is_checkpoint(const struct dirent *entry) {
    int epochs_done = 0;
    int step = 0;
    int length = 0;
    return sscanf(entry->d_name, "%d-%d.safetensors%n", &epochs_done, &step, &length) == 2 &&
           length > 0 && entry->d_name[length] == '\0' && epochs_done >= 0 && step >= 0;
}

static int newest_first(const void *a, const void *b) {
    const struct train_checkpoint *first = a;
    const struct train_checkpoint *second = b;
    if (first->epochs_done != second->epochs_done) {
        return second->epochs_done > first->epochs_done ? 1 : -1;
    }
    return second->step > first->step ? 1 : second->step < first->step ? -1 : 0;
}

/* ---- digests ---- */

/* SHA256SUMS: "DIGEST  NAME" a line. */
struct digests {
    char path[PATH_MAX];
    char *text; /* "" when there is no such file */
};

static void digests_free(struct digests *digests) {
    free(digests->text);
}

static enum status digests_read(const struct train_output *output, struct digests *digests,
                                struct error *error) {
    size_t n_bytes = 0;
    struct error reading;
    TRY(path_join(digests->path, output->checkpoint_dir, "SHA256SUMS", error));
    enum status status =
        text_file_read(digests->path, MAX_TEXT_BYTES, &digests->text, &n_bytes, &reading);
    if (status == STATUS_NOT_FOUND) {
        digests->text = strdup("");
        return digests->text ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    return status == STATUS_OK ? STATUS_OK : error_set(error, status, "%s", reading.message);
}

/* Reads the line at *at, and moves on to the next; false: there is none. A line of another form
 * has an empty name. */
static bool next_digest(const char **at, char ret_sha256[SHA256_HEX_SIZE],
                        char ret_name[NAME_MAX + 1]) {
    if (!**at) {
        return false;
    }
    ret_name[0] = '\0';
    (void)sscanf(*at, "%64[0-9a-f]  %255[^\n]", ret_sha256, ret_name);
    *at += strcspn(*at, "\n");
    *at += **at == '\n';
    return true;
}

static void find_digest(const struct digests *digests, const char *wanted,
                        char ret_sha256[SHA256_HEX_SIZE]) {
    const char *at = digests->text;
    char sha256[SHA256_HEX_SIZE];
    char name[NAME_MAX + 1];
    ret_sha256[0] = '\0';
    while (next_digest(&at, sha256, name)) {
        if (strcmp(name, wanted) == 0) {
            memcpy(ret_sha256, sha256, SHA256_HEX_SIZE);
        }
    }
}

/* The lines of the other files that are still there. */
static enum status keep_digests(const struct train_output *output, const struct digests *digests,
                                const char *but, FILE *out, struct error *error) {
    const char *at = digests->text;
    char sha256[SHA256_HEX_SIZE];
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    while (next_digest(&at, sha256, name)) {
        TRY(path_join(path, output->checkpoint_dir, name, error));
        if (name[0] && strcmp(name, but) != 0 && access(path, F_OK) == 0) {
            (void)fprintf(out, "%s  %s\n", sha256, name);
        }
    }
    return STATUS_OK;
}

enum status train_output_note_digest(const struct train_output *output, const char *path,
                                     const char *sha256, struct error *error) {
    CLEANUP(digests_free) struct digests digests = {.text = NULL};
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    TRY(digests_read(output, &digests, error));
    FILE *out = text_stream_open(&text, &n_bytes);
    if (!out) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the digests of checkpoints");
    }
    enum status status = keep_digests(output, &digests, name, out, error);
    (void)fprintf(out, "%s  %s\n", sha256, name);
    if (!text_stream_close(out, &text)) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the digests of checkpoints");
    }
    TRY(status);
    return text_file_write(digests.path, text, error);
}

/* ---- checkpoints ---- */

struct listing {
    struct dirent **entries;
    int count;
};

static void free_listing(struct listing *listing) {
    for (int i = 0; i < listing->count; i++) {
        free(listing->entries[i]);
    }
    free(listing->entries);
}

enum status train_output_checkpoints(const struct train_output *output,
                                     struct train_checkpoint **ret_checkpoints, int *ret_count,
                                     struct error *error) {
    CLEANUP(free_listing) struct listing listing = {0};
    listing.count = scandir(output->checkpoint_dir, &listing.entries, is_checkpoint, NULL);
    if (listing.count < 0) {
        return error_set_errno(error, errno, "cannot list %s", output->checkpoint_dir);
    }
    if (listing.count == 0) {
        *ret_checkpoints = NULL;
        *ret_count = 0;
        return STATUS_OK;
    }
    CLEANUP(free_pointer)
    struct train_checkpoint *found = calloc((size_t)listing.count, sizeof(*found));
    if (!found) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to list %s", output->checkpoint_dir);
    }
    for (int i = 0; i < listing.count; i++) {
        const char *name = listing.entries[i]->d_name;
        TRY(path_join(found[i].path, output->checkpoint_dir, name, error));
        (void)sscanf(name, "%d-%d", &found[i].epochs_done, &found[i].step);
    }
    CLEANUP(digests_free) struct digests digests = {.text = NULL};
    TRY(digests_read(output, &digests, error));
    for (int i = 0; i < listing.count; i++) {
        find_digest(&digests, listing.entries[i]->d_name, found[i].sha256);
    }
    qsort(found, (size_t)listing.count, sizeof(*found), newest_first);
    *ret_checkpoints = found;
    *ret_count = listing.count;
    found = NULL;
    return STATUS_OK;
}
