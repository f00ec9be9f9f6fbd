/* Which runs belong together. Layer: daemon. Thread rule: pure functions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/base/cleanup.h"
#include "core/base/text.h"
#include "daemon/compare/compare_internal.h"

static void delete_tree(cJSON **tree) {
    cJSON_Delete(*tree);
}

/* A copy that ends at a whole character. */
static void copy_text(const char *from, char *to, size_t size) {
    size_t n = text_cut(from, strlen(from), size - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

/* The member as compact JSON; "null" when it is not there; no field is as long as the room. */
static enum status member_text(const cJSON *config, const char *field,
                               char ret_text[COMPARE_VALUE_SIZE], struct error *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, field);
    (void)snprintf(ret_text, COMPARE_VALUE_SIZE, "null");
    if (!item) {
        return STATUS_OK;
    }
    CLEANUP(free_pointer) char *text = cJSON_PrintUnformatted(item);
    if (!text) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to compare runs");
    }
    if (strlen(text) < COMPARE_VALUE_SIZE) {
        (void)snprintf(ret_text, COMPARE_VALUE_SIZE, "%s", text);
    }
    return STATUS_OK;
}

/* The value as people write it: without the quotes of a string. */
static void plain_value(const char *json, char ret_text[COMPARE_VALUE_SIZE]) {
    size_t n = strlen(json);
    if (n >= 2 && json[0] == '"') {
        (void)snprintf(ret_text, COMPARE_VALUE_SIZE, "%.*s", (int)n - 2, json + 1);
    } else {
        copy_text(json, ret_text, COMPARE_VALUE_SIZE);
    }
}

static void write_label(const struct compare_request *request, struct compare_group *group) {
    char label[COMPARE_MAX_FIELDS * (COMPARE_FIELD_SIZE + COMPARE_VALUE_SIZE)] = "all runs";
    size_t used = 0;
    for (int i = 0; i < request->n_fields; i++) {
        char value[COMPARE_VALUE_SIZE];
        plain_value(group->values[i], value);
        used += (size_t)snprintf(label + used, sizeof(label) - used, "%s%s=%s", i ? " " : "",
                                 request->fields[i], value);
    }
    copy_text(label, group->label, sizeof(group->label));
}

static enum status read_values(const struct compare_request *request, const struct run_row *row,
                               struct compare_group *group, struct error *error) {
    if (request->each_run) {
        (void)snprintf(group->values[0], COMPARE_VALUE_SIZE, "\"%" PRId64 "\"", row->id);
        char label[sizeof(group->label)];
        (void)snprintf(label, sizeof(label), "run %" PRId64 "%s%s", row->id,
                       row->name[0] ? " " : "", row->name);
        copy_text(label, group->label, sizeof(group->label));
        return STATUS_OK;
    }
    if (request->n_fields > 0) {
        CLEANUP(delete_tree) cJSON *config = cJSON_Parse(row->config_json);
        for (int i = 0; i < request->n_fields; i++) {
            TRY(member_text(config, request->fields[i], group->values[i], error));
        }
    }
    write_label(request, group);
    return STATUS_OK;
}

/* Numbers in their order and before texts. */
static int compare_values(const char *a, const char *b) {
    char *end_a = NULL;
    char *end_b = NULL;
    double number_a = strtod(a, &end_a);
    double number_b = strtod(b, &end_b);
    bool is_a = *a != '\0' && *end_a == '\0';
    bool is_b = *b != '\0' && *end_b == '\0';
    if (is_a && is_b && number_a != number_b) {
        return number_a < number_b ? -1 : 1;
    }
    if (is_a != is_b) {
        return is_a ? -1 : 1;
    }
    return strcmp(a, b);
}

static int compare_groups(const void *left, const void *right) {
    const struct compare_group *a = left;
    const struct compare_group *b = right;
    for (int i = 0; i < COMPARE_MAX_FIELDS; i++) {
        int order = compare_values(a->values[i], b->values[i]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

/* The group of the same values, new ones at the end. */
static struct compare_group *find_group(struct comparison *comparison,
                                        const struct compare_group *wanted) {
    for (size_t i = 0; i < comparison->n_groups; i++) {
        if (memcmp(comparison->groups[i].values, wanted->values, sizeof(wanted->values)) == 0) {
            return &comparison->groups[i];
        }
    }
    struct compare_group *group = &comparison->groups[comparison->n_groups++];
    *group = *wanted;
    return group;
}

enum status compare_group_runs(const struct compare_request *request,
                               const struct compare_run *runs, size_t n_runs,
                               struct comparison *comparison, struct error *error) {
    comparison->groups = calloc(n_runs ? n_runs : 1, sizeof(*comparison->groups));
    if (!comparison->groups) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to compare %zu runs", n_runs);
    }
    for (size_t i = 0; i < n_runs; i++) {
        struct compare_group wanted = {.n_runs = 0};
        TRY(read_values(request, runs[i].row, &wanted, error));
        struct compare_group *group = find_group(comparison, &wanted);
        size_t *larger = realloc(group->runs, (group->n_runs + 1) * sizeof(*larger));
        if (!larger) {
            return error_set(error, STATUS_NO_MEMORY, "no memory to compare %zu runs", n_runs);
        }
        group->runs = larger;
        group->runs[group->n_runs++] = i;
    }
    if (!request->each_run) { /* those are in the order in which they were asked for */
        qsort(comparison->groups, comparison->n_groups, sizeof(*comparison->groups),
              compare_groups);
    }
    return STATUS_OK;
}

static void note_difference(struct compare_request *request, const char *field) {
    for (int i = 0; i < request->n_fields; i++) {
        if (strcmp(request->fields[i], field) == 0) {
            return;
        }
    }
    if (request->n_fields == COMPARE_MAX_FIELDS || strlen(field) >= COMPARE_FIELD_SIZE) {
        request->each_run = true;
        return;
    }
    (void)snprintf(request->fields[request->n_fields++], COMPARE_FIELD_SIZE, "%s", field);
}

enum status compare_find_fields(const struct compare_run *runs, size_t n_runs,
                                struct compare_request *request, struct error *error) {
    static const char *const left_out[] = {"seed", "name", "priority", "labels"};
    request->n_fields = 0;
    request->each_run = false;
    if (n_runs == 0) {
        return STATUS_OK;
    }
    CLEANUP(delete_tree) cJSON *first = cJSON_Parse(runs[0].row->config_json);
    if (!first) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to compare runs");
    }
    for (size_t i = 1; i < n_runs; i++) {
        CLEANUP(delete_tree) cJSON *other = cJSON_Parse(runs[i].row->config_json);
        const cJSON *item = NULL;
        cJSON_ArrayForEach(item, first) {
            bool skip = false;
            for (size_t j = 0; j < sizeof(left_out) / sizeof(left_out[0]); j++) {
                skip |= strcmp(item->string, left_out[j]) == 0;
            }
            if (!skip &&
                !cJSON_Compare(item, cJSON_GetObjectItemCaseSensitive(other, item->string), true)) {
                note_difference(request, item->string);
            }
        }
    }
    return STATUS_OK;
}
