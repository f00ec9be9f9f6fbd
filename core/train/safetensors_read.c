/* Layer: core/train. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/analyzer.h"
#include "core/base/cleanup.h"
#include "core/base/regular_file.h"
#include "core/train/safetensors_internal.h"

static const uint64_t MAX_HEADER_BYTES = UINT64_C(16) << 20;

struct safetensors {
    char *bytes; /* the whole file, and a NUL */
    size_t n_bytes;
    struct safetensors_header header;
};

const char *safetensors_dtype_name(enum safetensors_dtype dtype) {
    switch (dtype) {
    case SAFETENSORS_F32:
        return "F32";
    case SAFETENSORS_F64:
        return "F64";
    case SAFETENSORS_I64:
        return "I64";
    }
    return "";
}

size_t safetensors_dtype_bytes(enum safetensors_dtype dtype) {
    return dtype == SAFETENSORS_F32 ? 4 : 8;
}

int64_t safetensors_numbers(const struct safetensors_tensor *tensor) {
    int64_t n = 1;
    for (int i = 0; i < tensor->n_dims; i++) {
        n *= tensor->shape[i];
    }
    return n;
}

void safetensors_free(struct safetensors *file) {
    if (file) {
        free(file->header.tensors);
        free(file->header.metadata);
        free(file->bytes);
        free(file);
    }
}

static void free_file(struct safetensors **file) {
    safetensors_free(*file);
}

static enum status load(struct safetensors *file, const char *path, struct error *error) {
    CLEANUP(close_file) FILE *stream = NULL;
    struct stat about;
    TRY(regular_file_stream(path, &stream, error));
    if (fstat(fileno(stream), &about) != 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    file->n_bytes = (size_t)about.st_size;
    file->bytes = malloc(file->n_bytes + 1);
    if (!file->bytes) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read %s", path);
    }
    errno = 0;
    if (fread(file->bytes, 1, file->n_bytes, stream) != file->n_bytes) {
        return error_set_errno(error, errno ? errno : EIO, "cannot read %s", path);
    }
    file->bytes[file->n_bytes] = '\0';
    return STATUS_OK;
}

static enum status check_digest(const struct safetensors *file, const char *path,
                                const char *expected, struct error *error) {
    char digest[SHA256_HEX_SIZE];
    struct sha256 sha;
    sha256_begin(&sha);
    sha256_update(&sha, file->bytes, file->n_bytes);
    sha256_end(&sha, digest);
    if (strcmp(digest, expected) != 0) {
        return error_set(error, STATUS_CORRUPT, "%s is damaged: its SHA-256 is %s, it was %s", path,
                         digest, expected);
    }
    return STATUS_OK;
}

ANALYZER_IS_WRONG("-Wanalyzer-use-of-uninitialized-value") /* fread has filled it */
static uint64_t header_length(const struct safetensors *file) {
    uint64_t length = 0;
    for (int i = HEADER_LENGTH_BYTES - 1; i >= 0; i--) {
        length = length << 8 | (unsigned char)file->bytes[i];
    }
    return length;
}
ANALYZER_GOES_ON

static enum status parse(struct safetensors *file, const char *path, struct error *error) {
    uint64_t length = file->n_bytes >= HEADER_LENGTH_BYTES ? header_length(file) : UINT64_MAX;
    if (length > MAX_HEADER_BYTES || length > file->n_bytes - HEADER_LENGTH_BYTES) {
        return error_set(error, STATUS_CORRUPT, "%s is damaged: it ends before its header", path);
    }
    char *data = file->bytes + HEADER_LENGTH_BYTES + length;
    uint64_t n_data = file->n_bytes - HEADER_LENGTH_BYTES - length;
    const char *problem =
        safetensors_parse(file->bytes + HEADER_LENGTH_BYTES, (size_t)length, n_data, &file->header);
    if (problem) {
        return error_set(error, STATUS_CORRUPT, "%s is damaged: %s", path, problem);
    }
    for (size_t i = 0; i < file->header.n_tensors; i++) {
        struct safetensors_tensor *t = &file->header.tensors[i];
        t->data = data + (uintptr_t)t->data;
    }
    return STATUS_OK;
}

enum status safetensors_read(const char *path, const char *sha256, struct safetensors **ret_file,
                             struct error *error) {
    CLEANUP(free_file) struct safetensors *file = calloc(1, sizeof(*file));
    if (!file) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read %s", path);
    }
    TRY(load(file, path, error));
    if (sha256) {
        TRY(check_digest(file, path, sha256, error));
    }
    TRY(parse(file, path, error));
    *ret_file = file;
    file = NULL;
    return STATUS_OK;
}

size_t safetensors_count(const struct safetensors *file) {
    return file->header.n_tensors;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t index) {
    return &file->header.tensors[index];
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *file,
                                                  const char *name) {
    for (size_t i = 0; i < file->header.n_tensors; i++) {
        if (!strcmp(file->header.tensors[i].name, name)) {
            return &file->header.tensors[i];
        }
    }
    return NULL;
}

const char *safetensors_metadata_value(const struct safetensors *file, const char *key) {
    for (size_t i = 0; i < file->header.n_metadata; i++) {
        if (!strcmp(file->header.metadata[i].key, key)) {
            return file->header.metadata[i].value;
        }
    }
    return NULL;
}
