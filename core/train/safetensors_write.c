/* Layer: core/train. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "core/base/text_stream.h"
#include "core/train/safetensors_internal.h"

enum { DATA_ALIGNMENT = 64 };

static void write_string(FILE *out, const char *text) {
    (void)fputc('"', out);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            (void)fprintf(out, "\\%c", *c);
        } else if (*c == '\n') {
            (void)fputs("\\n", out);
        } else if ((unsigned char)*c < 0x20) {
            (void)fputc(' ', out); /* no name or value of ours has control characters */
        } else {
            (void)fputc(*c, out);
        }
    }
    (void)fputc('"', out);
}

static uint64_t tensor_bytes(const struct safetensors_tensor *tensor) {
    return (uint64_t)safetensors_numbers(tensor) * safetensors_dtype_bytes(tensor->dtype);
}

static void write_tensor_entry(FILE *out, const struct safetensors_tensor *tensor, uint64_t begin) {
    write_string(out, tensor->name);
    (void)fprintf(out, ":{\"dtype\":\"%s\",\"shape\":[", safetensors_dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->n_dims; i++) {
        (void)fprintf(out, "%s%lld", i ? "," : "", (long long)tensor->shape[i]);
    }
    (void)fprintf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin,
                  (unsigned long long)(begin + tensor_bytes(tensor)));
}

/* The header's length and the header, padded with spaces so that the data are aligned. */
static enum status make_header(const struct safetensors_tensor *tensors, size_t n_tensors,
                               const struct safetensors_metadata *metadata, size_t n_metadata,
                               char **ret_header, size_t *ret_size, struct error *error) {
    char *header = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&header, &size);
    if (!out) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a checkpoint's header");
    }
    (void)fwrite("\0\0\0\0\0\0\0\0", 1, HEADER_LENGTH_BYTES, out);
    (void)fputs("{\"__metadata__\":{", out);
    for (size_t i = 0; i < n_metadata; i++) {
        (void)fputs(i ? "," : "", out);
        write_string(out, metadata[i].key);
        (void)fputc(':', out);
        write_string(out, metadata[i].value);
    }
    (void)fputc('}', out);
    uint64_t begin = 0;
    for (size_t i = 0; i < n_tensors; i++) {
        (void)fputc(',', out);
        write_tensor_entry(out, &tensors[i], begin);
        begin += tensor_bytes(&tensors[i]);
    }
    (void)fputc('}', out);
    int padding = (int)(-ftell(out) & (DATA_ALIGNMENT - 1));
    (void)fprintf(out, "%*s", padding, "");
    if (!text_stream_close(out, &header)) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a checkpoint's header");
    }
    uint64_t length = size - HEADER_LENGTH_BYTES;
    for (int i = 0; i < HEADER_LENGTH_BYTES; i++) {
        header[i] = (char)(length >> (8 * i));
    }
    *ret_header = header;
    *ret_size = size;
    return STATUS_OK;
}

struct output {
    int fd;
    struct sha256 sha;
    int64_t n_bytes;
};

static enum status put(struct output *out, const void *bytes, size_t n_bytes, const char *path,
                       struct error *error) {
    sha256_update(&out->sha, bytes, n_bytes);
    out->n_bytes += (int64_t)n_bytes;
    const char *at = bytes;
    while (n_bytes > 0) {
        ssize_t written = write(out->fd, at, n_bytes);
        if (written < 0 && errno != EINTR) {
            return error_set_errno(error, errno, "cannot write %s", path);
        }
        if (written > 0) {
            at += written;
            n_bytes -= (size_t)written;
        }
    }
    return STATUS_OK;
}

static enum status put_all(struct output *out, const struct safetensors_tensor *tensors,
                           size_t n_tensors, const struct safetensors_metadata *metadata,
                           size_t n_metadata, const char *path, struct error *error) {
    CLEANUP(free_pointer) char *header = NULL;
    size_t header_size = 0;
    TRY(make_header(tensors, n_tensors, metadata, n_metadata, &header, &header_size, error));
    TRY(put(out, header, header_size, path, error));
    for (size_t i = 0; i < n_tensors; i++) {
        TRY(put(out, tensors[i].data, (size_t)tensor_bytes(&tensors[i]), path, error));
    }
    if (fsync(out->fd) != 0) {
        return error_set_errno(error, errno, "cannot make %s durable", path);
    }
    return STATUS_OK;
}

enum status safetensors_write(const char *path, const struct safetensors_tensor *tensors,
                              size_t n_tensors, const struct safetensors_metadata *metadata,
                              size_t n_metadata, char ret_sha256[SHA256_HEX_SIZE],
                              int64_t *ret_bytes, struct error *error) {
    CLEANUP(free_pointer) char *temporary = NULL;
    if (asprintf(&temporary, "%s.tmp", path) < 0) {
        temporary = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    CLEANUP(close_fd) int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot create %s", temporary);
    }
    struct output out = {.fd = fd};
    sha256_begin(&out.sha);
    enum status status = put_all(&out, tensors, n_tensors, metadata, n_metadata, temporary, error);
    if (status != STATUS_OK) {
        (void)unlink(temporary);
        return status;
    }
    TRY(durable_rename(temporary, path, error));
    sha256_end(&out.sha, ret_sha256);
    *ret_bytes = out.n_bytes;
    return STATUS_OK;
}
