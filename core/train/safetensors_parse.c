/* A parser for exactly the JSON that a safetensors header may be. Layer: core/train.
 *
 * The bytes come from a file that may be damaged: every read is bounded, every number checked.
 */
#include "core/train/safetensors_internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
    char *at;
    char *end;
    const char *problem; /* NULL so far */
};

static void fail(struct cursor *c, const char *problem) {
    if (!c->problem) {
        c->problem = problem;
    }
}

static void skip_space(struct cursor *c) {
    while (c->at < c->end &&
           (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t')) {
        c->at++;
    }
}

static bool peek(struct cursor *c, char expected) {
    skip_space(c);
    return !c->problem && c->at < c->end && *c->at == expected;
}

static bool accept(struct cursor *c, char expected) {
    if (!peek(c, expected)) {
        return false;
    }
    c->at++;
    return true;
}

static void expect(struct cursor *c, char expected) {
    if (!accept(c, expected)) {
        fail(c, "the header is not the JSON it should be");
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX as UTF-8. Control characters and surrogates are refused: no name needs
 * them. Returns the bytes written. */
static int unescape_unicode(struct cursor *c, char *out) {
    int code = 0;
    for (int i = 0; i < 4; i++, c->at++) {
        int digit = c->at < c->end ? hex_digit(*c->at) : -1;
        if (digit < 0) {
            fail(c, "a string in the header has a damaged escape");
            return 0;
        }
        code = code * 16 + digit;
    }
    if (code < 0x20 || (code >= 0xD800 && code < 0xE000)) {
        fail(c, "a string in the header has a character it may not have");
        return 0;
    }
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    out[0] = (char)(0xE0 | (code >> 12));
    out[1] = (char)(0x80 | ((code >> 6) & 0x3F));
    out[2] = (char)(0x80 | (code & 0x3F));
    return 3;
}

static int unescape(struct cursor *c, char *out) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    char letter = c->at < c->end ? *c->at++ : '\0';
    if (letter == 'u') {
        return unescape_unicode(c, out);
    }
    const char *found = letter ? strchr(from, letter) : NULL;
    if (!found) {
        fail(c, "a string in the header has a damaged escape");
        return 0;
    }
    out[0] = to[found - from];
    return 1;
}

/* A string, unescaped where it stands and ended with NUL (it never grows). */
static char *parse_string(struct cursor *c) {
    expect(c, '"');
    char *start = c->at;
    char *out = start;
    while (!c->problem) {
        if (c->at >= c->end || (unsigned char)*c->at < 0x20) {
            fail(c, "a string in the header does not end");
        } else if (*c->at == '"') {
            c->at++;
            *out = '\0';
            return start;
        } else if (*c->at == '\\') {
            c->at++;
            out += unescape(c, out);
        } else {
            *out++ = *c->at++;
        }
    }
    return NULL;
}

static uint64_t parse_number(struct cursor *c) {
    skip_space(c);
    uint64_t value = 0;
    int digits = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, digits++) {
        if (value > (UINT64_C(1) << 53)) {
            fail(c, "a number in the header is too large");
            return 0;
        }
        value = value * 10 + (uint64_t)(*c->at - '0');
    }
    if (digits == 0) {
        fail(c, "the header lacks a number where one should be");
    }
    return value;
}

/* At most `max` numbers in brackets; returns how many. */
static int parse_numbers(struct cursor *c, int max, uint64_t *ret) {
    int n = 0;
    expect(c, '[');
    if (accept(c, ']')) {
        return 0;
    }
    do {
        if (n == max) {
            fail(c, "a list in the header is too long");
            return n;
        }
        ret[n++] = parse_number(c);
    } while (!c->problem && accept(c, ','));
    expect(c, ']');
    return n;
}

static bool parse_dtype(const char *name, enum safetensors_dtype *ret) {
    for (enum safetensors_dtype d = SAFETENSORS_F32; d <= SAFETENSORS_I64; d++) {
        if (!strcmp(name, safetensors_dtype_name(d))) {
            *ret = d;
            return true;
        }
    }
    return false;
}

/* Makes room for one more element. */
static bool reserve(void **array, size_t n, size_t *allocated, size_t element) {
    if (n < *allocated) {
        return true;
    }
    size_t wanted = *allocated ? 2 * *allocated : 64;
    void *larger = reallocarray(*array, wanted, element);
    if (!larger) {
        return false;
    }
    *array = larger;
    *allocated = wanted;
    return true;
}

struct described {
    bool has_dtype, has_shape, has_offsets;
    uint64_t offsets[2];
};

static void parse_tensor_field(struct cursor *c, const char *key, struct safetensors_tensor *t,
                               struct described *d) {
    if (!strcmp(key, "dtype") && !d->has_dtype) {
        const char *name = parse_string(c);
        d->has_dtype = name && parse_dtype(name, &t->dtype);
        if (!d->has_dtype) {
            fail(c, "a tensor has a type other than F32, F64 and I64");
        }
    } else if (!strcmp(key, "shape") && !d->has_shape) {
        uint64_t shape[SAFETENSORS_MAX_DIMS];
        t->n_dims = parse_numbers(c, SAFETENSORS_MAX_DIMS, shape);
        for (int i = 0; i < t->n_dims; i++) {
            t->shape[i] = (int64_t)shape[i];
        }
        d->has_shape = true;
    } else if (!strcmp(key, "data_offsets") && !d->has_offsets) {
        d->has_offsets = parse_numbers(c, 2, d->offsets) == 2;
    } else {
        fail(c, "a tensor has a field it should not have");
    }
}

/* The tensor must fill its bytes exactly and start where the one before it ended. */
static void check_extent(struct cursor *c, const struct safetensors_tensor *t,
                         const struct described *d, uint64_t begin, uint64_t n_data_bytes) {
    uint64_t n = safetensors_dtype_bytes(t->dtype);
    for (int i = 0; i < t->n_dims; i++) {
        if (t->shape[i] > 0 && n > n_data_bytes / (uint64_t)t->shape[i]) {
            fail(c, "a tensor is larger than the file");
            return;
        }
        n *= (uint64_t)t->shape[i];
    }
    if (d->offsets[0] != begin || d->offsets[1] < begin || d->offsets[1] - begin != n ||
        d->offsets[1] > n_data_bytes) {
        fail(c, "a tensor's place in the file does not fit its shape");
    }
}

static uint64_t parse_tensor(struct cursor *c, const char *name, uint64_t begin,
                             uint64_t n_data_bytes, struct safetensors_header *header) {
    struct safetensors_tensor tensor = {.name = name};
    struct described d = {0};
    expect(c, '{');
    do {
        const char *key = parse_string(c);
        expect(c, ':');
        if (!c->problem) {
            parse_tensor_field(c, key, &tensor, &d);
        }
    } while (!c->problem && accept(c, ','));
    expect(c, '}');
    if (!c->problem && !(d.has_dtype && d.has_shape && d.has_offsets)) {
        fail(c, "a tensor lacks its type, shape or place");
    }
    if (!c->problem) {
        check_extent(c, &tensor, &d, begin, n_data_bytes);
    }
    if (!c->problem) {
        void *array = header->tensors;
        if (!reserve(&array, header->n_tensors, &header->tensors_allocated, sizeof(tensor))) {
            fail(c, "there is no memory for its tensors");
            return begin;
        }
        header->tensors = array;
        tensor.data = (const void *)(uintptr_t)begin;
        header->tensors[header->n_tensors++] = tensor;
    }
    return d.offsets[1];
}

static void parse_metadata(struct cursor *c, struct safetensors_header *header) {
    expect(c, '{');
    if (accept(c, '}')) {
        return;
    }
    do {
        const char *key = parse_string(c);
        expect(c, ':');
        const char *value = parse_string(c);
        void *array = header->metadata;
        if (!reserve(&array, header->n_metadata, &header->metadata_allocated,
                     sizeof(*header->metadata))) {
            fail(c, "there is no memory for its metadata");
            return;
        }
        header->metadata = array;
        header->metadata[header->n_metadata++] = (struct safetensors_metadata){key, value};
    } while (!c->problem && accept(c, ','));
    expect(c, '}');
}

static int by_name(const void *a, const void *b) {
    const char *const *first = a;
    const char *const *second = b;
    return strcmp(*first, *second);
}

static void check_names(struct cursor *c, const struct safetensors_header *header) {
    const char **names = calloc(header->n_tensors + 1, sizeof(*names));
    if (!names) {
        fail(c, "there is no memory for its names");
        return;
    }
    for (size_t i = 0; i < header->n_tensors; i++) {
        names[i] = header->tensors[i].name;
    }
    qsort(names, header->n_tensors, sizeof(*names), by_name);
    for (size_t i = 1; i < header->n_tensors; i++) {
        if (!strcmp(names[i - 1], names[i])) {
            fail(c, "two tensors have the same name");
        }
    }
    free(names);
}

const char *safetensors_parse(char *bytes, size_t n_bytes, uint64_t n_data_bytes,
                              struct safetensors_header *header) {
    struct cursor c = {.at = bytes, .end = bytes + n_bytes};
    uint64_t used = 0;
    expect(&c, '{');
    if (!accept(&c, '}')) {
        do {
            const char *name = parse_string(&c);
            expect(&c, ':');
            if (name && !c.problem && !strcmp(name, "__metadata__")) {
                parse_metadata(&c, header);
            } else if (name && !c.problem) {
                used = parse_tensor(&c, name, used, n_data_bytes, header);
            }
        } while (!c.problem && accept(&c, ','));
        expect(&c, '}');
    }
    skip_space(&c);
    if (c.at != c.end) {
        fail(&c, "something follows the header's JSON");
    }
    if (used != n_data_bytes) {
        fail(&c, "its length is not what the header says");
    }
    if (!c.problem) {
        check_names(&c, header);
    }
    return c.problem;
}
