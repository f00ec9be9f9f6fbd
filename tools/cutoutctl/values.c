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

enum status values_to_fork(char *const *arguments, int n, char **ret_json, struct error *error) {
    TRY(check_once(arguments, n, error));
    CLEANUP(json_write_free) struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    for (int i = 0; i < n; i++) {
        if (is_key(arguments[i], "from_epoch")) {
            TRY(write_member(&writer, arguments[i], error));
        }
    }
    json_write_object(&writer, "overrides");
    for (int i = 0; i < n; i++) {
        if (!is_key(arguments[i], "from_epoch")) {
            TRY(write_member(&writer, arguments[i], error));
        }
    }
    TRY(write_labels(&writer, arguments, n, error));
    json_write_end(&writer, '}');
    json_write_end(&writer, '}');
    return take(&writer, ret_json, error);
}

/* label=team:vision as the label's new value, label=team- as null. */
static enum status write_label_edit(struct json_writer *writer, const char *argument,
                                    struct error *error) {
    const char *label = argument + strlen("label=");
    const char *colon = strchr(label, ':');
    size_t length = colon ? (size_t)(colon - label) : strlen(label);
    bool taken_away = !colon && length > 1 && label[length - 1] == '-';
    char key[KEY_SIZE];
    length -= taken_away ? 1 : 0;
    if (length == 0 || length >= KEY_SIZE || (!colon && !taken_away)) {
        return error_set(error, STATUS_INVALID,
                         "\"%.60s\" is neither label=key:value nor label=key-", argument);
    }
    memcpy(key, label, length);
    key[length] = '\0';
    if (taken_away) {
        json_write_raw(writer, key, "null");
    } else {
        json_write_string(writer, key, colon + 1);
    }
    return STATUS_OK;
}

/* The members of POST /runs/bulk that say what is changed. */
static enum status write_bulk_edit(struct json_writer *writer, int n_ids, char *const *arguments,
                                   int n, struct error *error) {
    for (int i = 0; i < n; i++) {
        if (is_key(arguments[i], "name") && n_ids > 1) {
            return error_set(error, STATUS_INVALID, "\"%.60s\" is given to one run at a time",
                             arguments[i]);
        }
        if (!is_key(arguments[i], "label")) {
            TRY(write_member(writer, arguments[i], error));
        }
    }
    json_write_object(writer, "labels");
    for (int i = 0; i < n; i++) {
        if (is_key(arguments[i], "label")) {
            TRY(write_label_edit(writer, arguments[i], error));
        }
    }
    json_write_end(writer, '}');
    return STATUS_OK;
}

enum status values_to_edit(char *const *ids, int n_ids, char *const *arguments, int n,
                           char **ret_json, bool *ret_is_bulk, struct error *error) {
    TRY(check_once(arguments, n, error));
    CLEANUP(json_write_free) struct json_writer writer = {0};
    *ret_is_bulk = n_ids > 1;
    for (int i = 0; i < n; i++) {
        *ret_is_bulk |= is_key(arguments[i], "label");
    }
    if (!*ret_is_bulk) {
        return values_to_object(arguments, n, NULL, ret_json, error);
    }
    json_write_object(&writer, NULL);
    json_write_string(&writer, "action", "edit");
    json_write_array(&writer, "ids");
    for (int i = 0; i < n_ids; i++) {
        json_write_string(&writer, NULL, ids[i]);
    }
    json_write_end(&writer, ']');
    TRY(write_bulk_edit(&writer, n_ids, arguments, n, error));
    json_write_end(&writer, '}');
    return take(&writer, ret_json, error);
}

enum status values_to_object(char *const *arguments, int n, const char *list, char **ret_json,
                             struct error *error) {
    TRY(check_once(arguments, n, error));
    CLEANUP(json_write_free) struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    for (int i = 0; i < n; i++) {
        char key[KEY_SIZE];
        const char *value = "";
        TRY(split(arguments[i], key, &value, error));
        if (list && strcmp(key, list) == 0) {
            TRY(write_list(&writer, key, value, true, error));
        } else {
            write_value(&writer, key, value, strcmp(key, "name") == 0);
        }
    }
    json_write_end(&writer, '}');
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

/* Writes "&key=value" ("?" at the beginning). */
static void write_argument(FILE *out, const char *key, const char *value) {
    char *name = curl_easy_escape(NULL, key, 0);
    char *text = curl_easy_escape(NULL, value, 0);
    (void)fprintf(out, "%c%s=%s", ftell(out) == 0 ? '?' : '&', name ? name : "", text ? text : "");
    curl_free(name);
    curl_free(text);
}

static enum status write_query(FILE *out, char *const *arguments, int n, struct error *error) {
    for (int i = 0; i < n; i++) {
        char key[KEY_SIZE];
        const char *value = "";
        TRY(split(arguments[i], key, &value, error));
        write_argument(out, key, value);
    }
    return STATUS_OK;
}

/* Closes what was written; what came of it is `status`, or no memory. */
static enum status take_query(FILE *out, enum status status, char **ret_query,
                              struct error *error) {
    if (!text_stream_close(out, ret_query) && status == STATUS_OK) {
        status = error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    if (status != STATUS_OK) {
        free(*ret_query);
        *ret_query = NULL;
    }
    return status;
}

enum status values_to_query(char *const *arguments, int n, char **ret_query, struct error *error) {
    size_t size = 0;
    FILE *out = text_stream_open(ret_query, &size);
    if (!out) {
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    return take_query(out, write_query(out, arguments, n, error), ret_query, error);
}

/* The ids in front, as 1,2,3. NULL: no memory. */
static char *join_ids(char *const *arguments, int n) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    if (!out) {
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        (void)fprintf(out, "%s%s", i > 0 ? "," : "", arguments[i]);
    }
    return text_stream_close(out, &text);
}

enum status values_to_selection(char *const *arguments, int n, char **ret_query,
                                struct error *error) {
    int n_ids = 0;
    size_t size = 0;
    while (n_ids < n && arguments[n_ids][0] && *skip_digits(arguments[n_ids]) == '\0') {
        n_ids++;
    }
    CLEANUP(free_pointer) char *ids = join_ids(arguments, n_ids);
    FILE *out = ids ? text_stream_open(ret_query, &size) : NULL;
    if (!out) {
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    if (n_ids > 0) {
        write_argument(out, "ids", ids);
    }
    return take_query(out, write_query(out, arguments + n_ids, n - n_ids, error), ret_query, error);
}
