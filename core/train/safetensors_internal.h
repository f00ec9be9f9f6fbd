/* What writer and reader share. Layer: core/train; nobody else includes this. */
#ifndef CUTOUTD_CORE_TRAIN_SAFETENSORS_INTERNAL_H
#define CUTOUTD_CORE_TRAIN_SAFETENSORS_INTERNAL_H

#include "core/train/safetensors.h"

enum { HEADER_LENGTH_BYTES = 8 };

const char *safetensors_dtype_name(enum safetensors_dtype dtype);
size_t safetensors_dtype_bytes(enum safetensors_dtype dtype);

/* Parses the n_bytes of a header in place: names, keys and values point into it afterwards. Offsets
 * are checked against n_data_bytes. On failure returns a static sentence that says what is wrong;
 * NULL on success. The arrays are owned by the caller either way. */
struct safetensors_header {
    size_t n_tensors;
    size_t tensors_allocated;
    struct safetensors_tensor *tensors; /* data: offset from the start of the data, as a pointer */
    size_t n_metadata;
    size_t metadata_allocated;
    struct safetensors_metadata *metadata;
};

const char *safetensors_parse(char *bytes, size_t n_bytes, uint64_t n_data_bytes,
                              struct safetensors_header *header);

#endif
