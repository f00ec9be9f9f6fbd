/* Layer: daemon. */
#include "daemon/spec/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(struct json_writer *writer, const char *text, size_t n_bytes) {
    if (writer->failed) {
        return;
    }
    size_t needed = writer->n_bytes + n_bytes + 1;
    if (needed > writer->capacity) {
        size_t capacity = writer->capacity ? writer->capacity : 512;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *data = realloc(writer->data, capacity);
        if (!data) {
            json_write_free(writer);
            writer->failed = true;
            return;
        }
        writer->data = data;
        writer->capacity = capacity;
    }
    memcpy(writer->data + writer->n_bytes, text, n_bytes);
    writer->n_bytes += n_bytes;
    writer->data[writer->n_bytes] = '\0';
}

/* Without what must not stand in a string as it is: quote, backslash, control characters. */
static void append_escaped(struct json_writer *writer, const char *value) {
    const char *plain = value;
    for (const char *c = value; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) {
            continue;
        }
        append(writer, plain, (size_t)(c - plain));
        plain = c + 1;
        char escape[8];
        int length = byte == '"' || byte == '\\'
                         ? snprintf(escape, sizeof(escape), "\\%c", byte)
                         : snprintf(escape, sizeof(escape), "\\u%04x", byte);
        append(writer, escape, (size_t)length);
    }
    append(writer, plain, strlen(plain));
}

static void append_string(struct json_writer *writer, const char *value) {
    append(writer, "\"", 1);
    append_escaped(writer, value);
    append(writer, "\"", 1);
}

/* A comma if something stands before in the same object or array, then the name. The last byte
 * tells: only a bracket just opened is followed by no comma, and no value ends in one. */
static void begin_value(struct json_writer *writer, const char *key) {
    if (writer->n_bytes > 0) {
        char last = writer->data[writer->n_bytes - 1];
        if (last != '{' && last != '[') {
            append(writer, ",", 1);
        }
    }
    if (key) {
        append_string(writer, key);
        append(writer, ":", 1);
    }
}

void json_write_object(struct json_writer *writer, const char *key) {
    begin_value(writer, key);
    append(writer, "{", 1);
}

void json_write_array(struct json_writer *writer, const char *key) {
    begin_value(writer, key);
    append(writer, "[", 1);
}

void json_write_end(struct json_writer *writer, char bracket) {
    append(writer, &bracket, 1);
}

void json_write_string(struct json_writer *writer, const char *key, const char *value) {
    if (!value) {
        json_write_null(writer, key);
        return;
    }
    begin_value(writer, key);
    append_string(writer, value);
}

void json_write_link(struct json_writer *writer, const char *key, const char *path) {
    const char *prefix = writer->link_prefix ? writer->link_prefix : "";
    begin_value(writer, key);
    append(writer, "\"", 1);
    append(writer, prefix, strlen(prefix));
    append_escaped(writer, path);
    append(writer, "\"", 1);
}

void json_write_int(struct json_writer *writer, const char *key, int64_t value) {
    char text[JSON_NUMBER_SIZE];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    json_write_raw(writer, key, text);
}

void json_write_uint(struct json_writer *writer, const char *key, uint64_t value) {
    char text[JSON_NUMBER_SIZE];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    json_write_raw(writer, key, text);
}

void json_write_bool(struct json_writer *writer, const char *key, bool value) {
    json_write_raw(writer, key, value ? "true" : "false");
}

void json_write_null(struct json_writer *writer, const char *key) {
    json_write_raw(writer, key, "null");
}

void json_write_id(struct json_writer *writer, const char *key, int64_t id) {
    char text[JSON_NUMBER_SIZE];
    (void)snprintf(text, sizeof(text), "%" PRId64, id);
    json_write_string(writer, key, id > 0 ? text : NULL);
}

void json_write_number(struct json_writer *writer, const char *key, double value) {
    char text[JSON_NUMBER_SIZE];
    json_write_raw(writer, key, isfinite(value) ? number_format(value, text) : "null");
}

void json_write_raw_bytes(struct json_writer *writer, const char *key, const char *json,
                          size_t n_bytes) {
    begin_value(writer, key);
    append(writer, json, n_bytes);
}

void json_write_raw(struct json_writer *writer, const char *key, const char *json) {
    json_write_raw_bytes(writer, key, json, strlen(json));
}

char *json_write_take(struct json_writer *writer) {
    if (writer->failed) {
        json_write_free(writer);
    }
    char *data = writer->data;
    *writer = (struct json_writer){0};
    return data;
}

void json_write_free(struct json_writer *writer) {
    free(writer->data);
    *writer = (struct json_writer){.failed = writer->failed};
}

/* Numbers with at most nine decimals and fifteen digits, as most are: count * 1e-9 is then what
 * "%.15g" writes, since a division of exact numbers is rounded as strtod rounds. false: another
 * one. */
static bool format_decimal(double value, char *ret_text) {
    enum { DECIMALS = 9 };
    double magnitude = fabs(value);
    if (!(magnitude >= 1e-4 && magnitude < 1e6)) {
        return false;
    }
    int64_t count = llround(magnitude * 1e9);
    if ((double)count / 1e9 != magnitude || count >= INT64_C(1000000000000000)) {
        return false;
    }
    char digits[JSON_NUMBER_SIZE]; /* from the end */
    int n = 0;
    bool trailing = true; /* zeros behind the last decimal that counts, and a point without one */
    for (int place = 0; place <= DECIMALS || count > 0; place++, count /= 10) {
        if (place == DECIMALS && !trailing) {
            digits[n++] = '.';
        }
        trailing = trailing && place < DECIMALS && count % 10 == 0;
        if (!trailing) {
            digits[n++] = (char)('0' + count % 10);
        }
    }
    if (value < 0) {
        digits[n++] = '-';
    }
    for (int i = 0; i < n; i++) {
        ret_text[i] = digits[n - 1 - i];
    }
    ret_text[n] = '\0';
    return true;
}

const char *number_format(double value, char ret_text[JSON_NUMBER_SIZE]) {
    if (format_decimal(value, ret_text)) {
        return ret_text;
    }
    (void)snprintf(ret_text, JSON_NUMBER_SIZE, "%.15g", value);
    if (strtod(ret_text, NULL) != value) {
        (void)snprintf(ret_text, JSON_NUMBER_SIZE, "%.16g", value);
    }
    if (strtod(ret_text, NULL) != value) {
        (void)snprintf(ret_text, JSON_NUMBER_SIZE, "%.17g", value);
    }
    return ret_text;
}
