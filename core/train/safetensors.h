/* Files of named tensors: the safetensors format (Hugging Face), which any framework can read.
 *
 *     8 bytes   length of the header, little-endian
 *     header    JSON: {"__metadata__":{"key":"value",...},
 *                      "name":{"dtype":"F32","shape":[3,3,16,16],"data_offsets":[begin,end]},...}
 *     data      the tensors, row-major, little-endian, back to back
 *
 * Layer: core/train. Thread rule: a struct safetensors is read-only once read.
 */
#ifndef CUTOUTD_CORE_TRAIN_SAFETENSORS_H
#define CUTOUTD_CORE_TRAIN_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/sha256.h"

enum safetensors_dtype { SAFETENSORS_F32, SAFETENSORS_F64, SAFETENSORS_I64 };

enum { SAFETENSORS_MAX_DIMS = 4 };

struct safetensors_tensor {
    const char *name;
    enum safetensors_dtype dtype;
    int n_dims; /* 0: a single number */
    int64_t shape[SAFETENSORS_MAX_DIMS];
    const void *data;
};

struct safetensors_metadata {
    const char *key;
    const char *value;
};

/* Writes PATH.tmp, makes it durable, renames it to PATH and makes the directory durable. ret_sha256
 * is the digest of the whole file. STATUS_IO, STATUS_NO_SPACE, STATUS_NO_MEMORY, STATUS_NOT_FOUND
 * (no such directory): the temporary file is gone and a PATH that was there before is untouched. */
enum status safetensors_write(const char *path, const struct safetensors_tensor *tensors,
                              size_t n_tensors, const struct safetensors_metadata *metadata,
                              size_t n_metadata, char ret_sha256[SHA256_HEX_SIZE],
                              int64_t *ret_bytes, struct error *error);

struct safetensors;

/* Reads a whole file. sha256: what its digest must be, or NULL. STATUS_NOT_FOUND, STATUS_IO,
 * STATUS_NO_MEMORY; STATUS_CORRUPT with the path and what is wrong. *ret_file is owned by the
 * caller. */
enum status safetensors_read(const char *path, const char *sha256, struct safetensors **ret_file,
                             struct error *error);

/* NULL is fine. */
void safetensors_free(struct safetensors *file);

size_t safetensors_count(const struct safetensors *file);
const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t index);

/* NULL: there is none of that name. Data are valid until safetensors_free. */
const struct safetensors_tensor *safetensors_find(const struct safetensors *file, const char *name);

/* NULL: there is none of that key. */
const char *safetensors_metadata_value(const struct safetensors *file, const char *key);

/* Numbers in a tensor. */
int64_t safetensors_numbers(const struct safetensors_tensor *tensor);

#endif
