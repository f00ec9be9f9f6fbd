/* Layer: tools. */
#include "tools/cutoutctl/values.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "daemon/spec/json_write.h"

enum { KEY_SIZE = 64 };

/* Splits "key=value"; *ret_value points into the argument. */
static enum status split(const char *argument, char ret_key[KEY_SIZE], const char **ret_value,
                         struct error *error) {
    const char *equals = strchr(argument, '=');
    size_t n = equals ? (size_t)(equals - argument) : 0;
    if (n == 0 || n >= KEY_SIZE) {
        return error_set(error, STATUS_INVALID, "\"%.60s\" is not key=value", argument);
    }
    memcpy(ret_key, argument, n);
    ret_key[n] = '\0';
    *ret_value = equals + 1;
    return STATUS_OK;
}

static bool is_key(const char *argument, const char *key) {
    size_t n = strlen(key);
    return strncmp(argument, key, n) == 0 && argument[n] == '=';
}

static const char *skip_digits(const char *c) {
    while (isdigit((unsigned char)*c)) {
        c++;
    }
    return c;
}

/* A number by JSON's grammar. */
static bool is_number(const char *text) {
    const char *c = text + (*text == '-');
    const char *end = skip_digits(c);
    if (end == c || (*c == '0' && end - c > 1)) {
        return false;
    }
    if (*end == '.') {
        c = end + 1;
        end = skip_digits(c);
        if (end == c) {
            return false;
        }
    }
    if (*end == 'e' || *end == 'E') {
        c = end + 1;
        c += *c == '-' || *c == '+';
        end = skip_digits(c);
        if (end == c) {
            return false;
        }
    }
    return *end == '\0';
}

/* Whether the text is one list or object of JSON, and then not to be split at its commas. */
static bool is_json(const char *text) {
    cJSON *tree = *text == '[' || *text == '{' ? cJSON_ParseWithOpts(text, NULL, true) : NULL;
    bool good = tree != NULL;
    cJSON_Delete(tree);
    return good;
}

static bool is_list(const char *key, const char *value) {
    return strcmp(key, "name") != 0 && strchr(value, ',') && !is_json(value);
}

static void write_value(struct json_writer *writer, const char *key, const char *value,
                        bool as_text) {
    bool literal = strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ||
                   strcmp(value, "null") == 0 || is_number(value) || is_json(value);
    if (literal && !as_text) {
        json_write_raw(writer, key, value);
    } else {
        json_write_string(writer, key, value);
    }
}

/* The values between commas as members of a list. */
static enum status write_list(struct json_writer *writer, const char *key, const char *values,
                              bool as_text, struct error *error) {
    CLEANUP(free_pointer) char *copy = strdup(values);
    if (!copy) {
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    json_write_array(writer, key);
    char *rest = copy;
    for (char *value = strsep(&rest, ","); value; value = strsep(&rest, ",")) {
        if (value[0] == '\0') {
            return error_set(error, STATUS_INVALID, "%s=%.60s has an empty value", key, values);
        }
        write_value(writer, NULL, value, as_text);
    }
    json_write_end(writer, ']');
    return STATUS_OK;
}

/* All label=key:value of the arguments as one object. */
static enum status write_labels(struct json_writer *writer, char *const *arguments, int n,
                                struct error *error) {
    bool begun = false;
    for (int i = 0; i < n; i++) {
        if (!is_key(arguments[i], "label")) {
            continue;
        }
        char key[KEY_SIZE];
        const char *label = arguments[i] + strlen("label=");
        const char *colon = strchr(label, ':');
        size_t length = colon ? (size_t)(colon - label) : 0;
        if (length == 0 || length >= KEY_SIZE) {
            return error_set(error, STATUS_INVALID, "\"%.60s\" is not label=key:value",
                             arguments[i]);
        }
        memcpy(key, label, length);
        key[length] = '\0';
        if (!begun) {
            json_write_object(writer, "labels");
            begun = true;
        }
        json_write_string(writer, key, colon + 1);
    }
    if (begun) {
        json_write_end(writer, '}');
    }
    return STATUS_OK;
}

static enum status check_once(char *const *arguments, int n, struct error *error) {
    for (int i = 0; i < n; i++) {
        char key[KEY_SIZE];
        const char *value = "";
        TRY(split(arguments[i], key, &value, error));
        for (int k = 0; k < i && strcmp(key, "label") != 0; k++) {
            if (is_key(arguments[k], key)) {
                return error_set(error, STATUS_INVALID, "%s is given twice", key);
            }
        }
    }
    return STATUS_OK;
}

/* One member of a run with one value. */
static enum status write_member(struct json_writer *writer, const char *argument,
                                struct error *error) {
    char key[KEY_SIZE];
    const char *value = "";
    TRY(split(argument, key, &value, error));
    if (strcmp(key, "label") == 0) {
        return STATUS_OK; /* written together */
    }
    if (strcmp(key, "after") == 0 || strcmp(key, "notify") == 0) {
        return write_list(writer, key, value, true, error);
    }
    if (is_list(key, value)) {
        return error_set(error, STATUS_INVALID,
                         "%s has several values: cutoutctl sweep submits a run for each", key);
    }
    write_value(writer, key, value, strcmp(key, "name") == 0);
    return STATUS_OK;
}

static enum status take(struct json_writer *writer, char **ret_json, struct error *error) {
    *ret_json = json_write_take(writer);
    return *ret_json ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "no memory");
}

static enum status write_run(struct json_writer *writer, char *const *arguments, int n,
                             struct error *error) {
    json_write_object(writer, NULL);
    for (int i = 0; i < n; i++) {
        TRY(write_member(writer, arguments[i], error));
    }
    TRY(write_labels(writer, arguments, n, error));
    json_write_end(writer, '}');
    return STATUS_OK;
}

enum status values_to_run(char *const *arguments, int n, char **ret_json, struct error *error) {
    TRY(check_once(arguments, n, error));
    CLEANUP(json_write_free) struct json_writer writer = {0};
    TRY(write_run(&writer, arguments, n, error));
    return take(&writer, ret_json, error);
}

static bool is_of_sweep(const char *argument) {
    return is_key(argument, "name") || is_key(argument, "hold") || is_key(argument, "halving");
}

static bool is_of_grid(const char *argument) {
    char key[KEY_SIZE];
    const char *value = "";
    return split(argument, key, &value, NULL) == STATUS_OK && strcmp(key, "label") != 0 &&
           strcmp(key, "after") != 0 && strcmp(key, "notify") != 0 && is_list(key, value);
}

static enum status write_sweep(struct json_writer *writer, char *const *arguments, int n,
                               struct error *error) {
    json_write_object(writer, NULL);
    for (int i = 0; i < n; i++) {
        if (is_of_sweep(arguments[i])) {
            TRY(write_member(writer, arguments[i], error));
        }
    }
    json_write_object(writer, "base");
    for (int i = 0; i < n; i++) {
        if (!is_of_sweep(arguments[i]) && !is_of_grid(arguments[i])) {
            TRY(write_member(writer, arguments[i], error));
        }
    }
    TRY(write_labels(writer, arguments, n, error));
    json_write_end(writer, '}');
    json_write_object(writer, "grid");
    for (int i = 0; i < n; i++) {
        if (!is_of_sweep(arguments[i]) && is_of_grid(arguments[i])) {
            char key[KEY_SIZE];
            const char *value = "";
            TRY(split(arguments[i], key, &value, error));
            TRY(write_list(writer, key, value, false, error));
        }
    }
    json_write_end(writer, '}');
    json_write_end(writer, '}');
    return STATUS_OK;
}

enum status values_to_sweep(char *const *arguments, int n, char **ret_json, struct error *error) {
    TRY(check_once(arguments, n, error));
    CLEANUP(json_write_free) struct json_writer writer = {0};
    TRY(write_sweep(&writer, arguments, n, error));
    return take(&writer, ret_json, error);
}

enum status values_to_query(char *const *arguments, int n, char **ret_query, struct error *error) {
    size_t size = 0;
    FILE *out = open_memstream(ret_query, &size);
    enum status status = STATUS_OK;
    if (!out) {
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    for (int i = 0; i < n && status == STATUS_OK; i++) {
        char key[KEY_SIZE];
        const char *value = "";
        status = split(arguments[i], key, &value, error);
        if (status == STATUS_OK) {
            char *name = curl_easy_escape(NULL, key, 0);
            char *text = curl_easy_escape(NULL, value, 0);
            (void)fprintf(out, "%c%s=%s", i == 0 ? '?' : '&', name ? name : "", text ? text : "");
            curl_free(name);
            curl_free(text);
        }
    }
    if (!text_stream_close(out, ret_query) && status == STATUS_OK) {
        status = error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    if (status != STATUS_OK) {
        free(*ret_query);
        *ret_query = NULL;
    }
    return status;
}
