/* Which runs belong together. Layer: daemon. Thread rule: pure functions. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/analyzer.h"
#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "daemon/compare/compare_internal.h"
#include "daemon/spec/config_text.h"
#include "daemon/spec/run_spec_json.h"

static enum status no_memory(struct error *error) {
    return error_set(error, STATUS_NO_MEMORY, "no memory to compare runs");
}

/* The field of a completed config as JSON; "null" when it is not there. NULL: no memory. */
static char *member_text(const char *config_json, const char *field) {
    struct config_member member;
    return config_member_find(config_json, field, &member) ? strndup(member.value, member.n_value)
                                                           : strdup("null");
}

/* "m=8 copies=aliased": the values as people write them, strings without their quotes. */
ANALYZER_IS_WRONG("-Wanalyzer-null-argument") /* the caller has looked at every value */
static char *make_label(const struct compare_request *request, const struct compare_group *group) {
    char *label = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&label, &size);
    if (!out) {
        return NULL;
    }
    for (int i = 0; i < request->n_fields; i++) {
        const char *value = group->values[i];
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): as above */
        size_t n = strlen(value);
        bool quoted = n >= 2 && value[0] == '"';
        (void)fprintf(out, "%s%s=%.*s", i ? " " : "", request->fields[i], (int)(quoted ? n - 2 : n),
                      value + quoted);
    }
    if (request->n_fields == 0) {
        (void)fputs("all runs", out);
    }
    return text_stream_close(out, &label);
}
ANALYZER_GOES_ON

static char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *format_text(const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    return n < 0 ? NULL : text;
}

static char *run_label(const struct run_row *row) {
    return format_text("run %" PRId64 "%s%s", row->id, row->name[0] ? " " : "", row->name);
}

void compare_group_clear(struct compare_group *group) {
    for (int i = 0; i < COMPARE_MAX_FIELDS; i++) {
        free(group->values[i]);
    }
    free(group->label);
    free(group->runs);
    free(group->points);
    memset(group, 0, sizeof(*group));
}

static enum status read_values(const struct compare_request *request, const struct run_row *row,
                               struct compare_group *group, struct error *error) {
    if (request->each_run) {
        group->values[0] = format_text("\"%" PRId64 "\"", row->id);
        group->label = run_label(row);
        return group->values[0] && group->label ? STATUS_OK : no_memory(error);
    }
    /* With all fields of today, so that older and newer runs can be compared. */
    CLEANUP(free_pointer) char *config = run_spec_stored_json(row->config_json);
    if (!config) {
        return no_memory(error);
    }
    for (int i = 0; i < request->n_fields; i++) {
        group->values[i] = member_text(config, request->fields[i]);
        if (!group->values[i]) {
            return no_memory(error);
        }
    }
    group->label = make_label(request, group);
    return group->label ? STATUS_OK : no_memory(error);
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
    for (int i = 0; i < COMPARE_MAX_FIELDS && a->values[i] && b->values[i]; i++) {
        int order = compare_values(a->values[i], b->values[i]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static bool same_values(const struct compare_group *a, const struct compare_group *b) {
    for (int i = 0; i < COMPARE_MAX_FIELDS && a->values[i] && b->values[i]; i++) {
        if (strcmp(a->values[i], b->values[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* The group of the same values; a new one, at the end, takes what `wanted` holds. */
static struct compare_group *find_group(struct comparison *comparison,
                                        struct compare_group *wanted) {
    for (size_t i = 0; i < comparison->n_groups; i++) {
        if (same_values(&comparison->groups[i], wanted)) {
            return &comparison->groups[i];
        }
    }
    struct compare_group *group = &comparison->groups[comparison->n_groups++];
    *group = *wanted;
    memset(wanted, 0, sizeof(*wanted));
    return group;
}

/* "run 7 name": of one run it is nothing to be "all runs". */
static enum status name_lone_run(struct compare_group *group, const struct run_row *row,
                                 struct error *error) {
    free(group->label);
    group->label = run_label(row);
    return group->label ? STATUS_OK : no_memory(error);
}

enum status compare_group_runs(const struct compare_request *request,
                               const struct compare_run *runs, size_t n_runs,
                               struct comparison *comparison, struct error *error) {
    comparison->groups = calloc(n_runs ? n_runs : 1, sizeof(*comparison->groups));
    if (!comparison->groups) {
        return no_memory(error);
    }
    for (size_t i = 0; i < n_runs; i++) {
        CLEANUP(compare_group_clear) struct compare_group wanted = {.n_runs = 0};
        TRY(read_values(request, runs[i].row, &wanted, error));
        struct compare_group *group = find_group(comparison, &wanted);
        size_t *larger = realloc(group->runs, (group->n_runs + 1) * sizeof(*larger));
        if (!larger) {
            return no_memory(error);
        }
        group->runs = larger;
        group->runs[group->n_runs++] = i;
    }
    if (request->n_fields == 0 && !request->each_run && n_runs == 1) {
        TRY(name_lone_run(&comparison->groups[0], runs[0].row, error));
    }
    if (!request->each_run) { /* those are in the order in which they were asked for */
        qsort(comparison->groups, comparison->n_groups, sizeof(*comparison->groups),
              compare_groups);
    }
    return STATUS_OK;
}

static void note_difference(struct compare_request *request, const char *field) {
    if (request->n_fields == COMPARE_MAX_FIELDS || strlen(field) >= COMPARE_FIELD_SIZE) {
        request->each_run = true;
        return;
    }
    (void)snprintf(request->fields[request->n_fields++], COMPARE_FIELD_SIZE, "%s", field);
}

void compare_find_fields(const struct config_diff *diff, struct compare_request *request) {
    int at = 0;
    request->n_fields = 0;
    request->each_run = false;
    for (const char *name = config_diff_next(diff, &at); name; name = config_diff_next(diff, &at)) {
        if (strcmp(name, "seed") != 0) {
            note_difference(request, name);
        }
    }
}
