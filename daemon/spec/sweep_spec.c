/* Reads a sweep's JSON form and expands it. Layer: daemon. Thread rule: pure functions. */
#include "daemon/spec/sweep_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/text.h"
#include "daemon/spec/json_tree.h"
#include "daemon/spec/run_spec_fields.h"
#include "daemon/spec/sweep_halving.h"

void sweep_spec_clear(struct sweep_spec *spec) {
    free(spec->children);
    free(spec->spec_json);
    memset(spec, 0, sizeof(*spec));
}

static enum status no_memory(struct field_errors *errors) {
    field_errors_add(errors, "", "There is no memory to read the sweep.");
    return STATUS_NO_MEMORY;
}

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static void check_members(const cJSON *document, struct field_errors *errors) {
    static const char *const known[] = {"name", "base", "grid", "hold", "halving"};
    const size_t n_known = sizeof(known) / sizeof(known[0]);
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, document) {
        size_t i = 0;
        while (i < n_known && strcmp(item->string, known[i]) != 0) {
            i++;
        }
        if (i < n_known) {
            continue;
        }
        if (run_spec_has_field(item->string, NULL)) {
            field_errors_add(errors, item->string,
                             "%s is a field of a run: it belongs into base or grid.", item->string);
        } else {
            const char *near = near_miss(item->string, known, n_known);
            field_errors_add(errors, item->string,
                             "A sweep has name, base, grid, hold and halving, not \"%.40s\".%s%s%s",
                             item->string, near ? " Did you mean \"" : "", near ? near : "",
                             near ? "\"?" : "");
        }
    }
}

static void read_name(const cJSON *item, struct sweep_spec *spec, struct field_errors *errors) {
    if (!item) {
        return;
    }
    bool usable = cJSON_IsString(item) && strlen(item->valuestring) <= SWEEP_NAME_MAX &&
                  text_is_plain(item->valuestring, strlen(item->valuestring));
    if (usable) {
        (void)snprintf(spec->name, sizeof(spec->name), "%s", item->valuestring);
    } else {
        field_errors_add(errors, "name", "name must be at most %d bytes of " TEXT_PLAIN_RULE ".",
                         SWEEP_NAME_MAX);
    }
}

static void read_hold(const cJSON *item, struct sweep_spec *spec, struct field_errors *errors) {
    if (item && !cJSON_IsBool(item)) {
        field_errors_add(errors, "hold", "hold must be true or false.");
    }
    spec->hold = cJSON_IsTrue(item);
}

/* ---- checks, each on what the ones before have found good ---- */

/* Whether the base can be looked into; NULL can. */
static bool check_base(const cJSON *base, struct field_errors *errors) {
    if (base && !cJSON_IsObject(base)) {
        field_errors_add(errors, "base", "base must be an object, the fields of a run.");
        return false;
    }
    if (member(base, "name")) {
        field_errors_add_inner(errors, "base", "name",
                               "The runs are named after the sweep: give it the name.");
    }
    return true;
}

/* Whether the grid can be looked into. An empty one is a sweep of one run. */
static bool check_grid(const cJSON *grid, struct field_errors *errors) {
    if (cJSON_IsObject(grid) && cJSON_GetArraySize(grid) <= SWEEP_MAX_FIELDS) {
        return true;
    }
    field_errors_add(errors, "grid",
                     "grid must be an object of at most %d fields with their values, like "
                     "{\"m\":[2,4],\"seed\":[1,2,3]}.",
                     SWEEP_MAX_FIELDS);
    return false;
}

/* Whether the axis, a member of an object, is a field of a run with a list of values. */
static bool check_axis(const cJSON *axis, struct field_errors *errors) {
    const char *near = NULL;
    if (!run_spec_has_field(axis->string, &near)) {
        field_errors_add_inner(errors, "grid", axis->string, "There is no field \"%.40s\".%s%s%s",
                               axis->string, near ? " Did you mean \"" : "", near ? near : "",
                               near ? "\"?" : "");
        return false;
    }
    static const char *const no_axes[] = {"name",       "labels", "hold",
                                          "not_before", "after",  "notify"};
    for (size_t i = 0; i < sizeof(no_axes) / sizeof(no_axes[0]); i++) {
        if (strcmp(axis->string, no_axes[i]) == 0) {
            field_errors_add_inner(errors, "grid", axis->string,
                                   "%s makes no difference to training: it cannot be in the grid.",
                                   axis->string);
            return false;
        }
    }
    if (!cJSON_IsArray(axis) || cJSON_GetArraySize(axis) == 0) {
        field_errors_add_inner(errors, "grid", axis->string,
                               "%s must be an array of the values it takes, like [2,4,8].",
                               axis->string);
        return false;
    }
    return true;
}

/* Every value of an axis by itself. Only those that are good are compared with each other: they
 * are small. */
static void check_values(const cJSON *axis, int index, const struct run_spec_context *context,
                         const struct sweep_spec *spec, struct field_errors *errors) {
    struct sweep_child child = {.picks = {0}};
    bool good[SWEEP_MAX_RUNS] = {false}; /* more are too many anyway */
    int i = 0;
    for (const cJSON *a = axis->child; a && i < SWEEP_MAX_RUNS && errors->n < RUN_SPEC_MAX_ERRORS;
         a = a->next, i++) {
        struct field_errors of_run = {.n = 0};
        good[i] = run_spec_check_member(context, axis->string, a, &of_run);
        child.picks[index] = i;
        sweep_errors_add(spec, &child, &of_run, errors);
        int k = 0;
        for (const cJSON *b = axis->child; good[i] && b != a; b = b->next, k++) {
            if (good[k] && json_equal(a, b)) {
                char place[80];
                (void)snprintf(place, sizeof(place), "%s/%d", axis->string, i);
                field_errors_add_path(errors, "grid", place, "The value is given twice.");
                break;
            }
        }
    }
}

static void count_children(const cJSON *grid, struct sweep_spec *spec,
                           struct field_errors *errors) {
    size_t n = 1;
    const cJSON *axis = NULL;
    cJSON_ArrayForEach(axis, grid) {
        n = n > SWEEP_MAX_RUNS ? n : n * (size_t)cJSON_GetArraySize(axis);
    }
    if (n > SWEEP_MAX_RUNS) {
        field_errors_add(errors, "grid", "A sweep may have at most %d runs; the grid has %s%zu.",
                         SWEEP_MAX_RUNS, n > SWEEP_MAX_RUNS ? "at least " : "", n);
    }
    spec->n_children = n;
}

/* Every member of base and grid by itself: the answer shall name everything, and whatever is
 * expanded afterwards is as small as good values are. Either may be NULL: it was no object. */
static void check_parts(const cJSON *base, const cJSON *grid,
                        const struct run_spec_context *context, struct sweep_spec *spec,
                        struct field_errors *errors) {
    static const struct sweep_child of_base;
    bool good[SWEEP_MAX_FIELDS] = {false};
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, grid) {
        good[spec->n_fields] = check_axis(item, errors);
        (void)snprintf(spec->fields[spec->n_fields++], sizeof(spec->fields[0]), "%.31s",
                       item->string);
    }
    cJSON_ArrayForEach(item, base) {
        struct field_errors of_run = {.n = 0};
        /* The name was refused already; the grid's values take the place of the base's. */
        if (strcmp(item->string, "name") != 0 && !member(grid, item->string)) {
            (void)run_spec_check_member(context, item->string, item, &of_run);
        }
        sweep_errors_add(spec, &of_base, &of_run, errors);
    }
    int index = 0;
    cJSON_ArrayForEach(item, grid) {
        if (good[index]) {
            check_values(item, index, context, spec, errors);
        }
        index++;
    }
}

/* ---- expansion, of what is good ---- */

/* The base with the picked values laid over it; NULL: no memory. */
static cJSON *make_document(const cJSON *base, const cJSON *grid, const struct sweep_child *child) {
    CLEANUP(json_delete)
    cJSON *document = base ? cJSON_Duplicate(base, true) : cJSON_CreateObject();
    int i = 0;
    const cJSON *axis = NULL;
    cJSON_ArrayForEach(axis, grid) {
        cJSON *value = cJSON_Duplicate(cJSON_GetArrayItem(axis, child->picks[i++]), true);
        cJSON_DeleteItemFromObjectCaseSensitive(document, axis->string);
        if (!value || !cJSON_AddItemToObject(document, axis->string, value)) {
            cJSON_Delete(value);
            return NULL;
        }
    }
    cJSON *made = document;
    document = NULL;
    return made;
}

/* "NAME m=4 seed=2", cut at a whole character. */
static void name_child(const struct sweep_spec *spec, const cJSON *grid,
                       struct sweep_child *child) {
    char text[sizeof(child->spec.name) * 2];
    size_t used = (size_t)snprintf(text, sizeof(text), "%s", spec->name);
    int i = 0;
    const cJSON *axis = NULL;
    cJSON_ArrayForEach(axis, grid) {
        const cJSON *value = cJSON_GetArrayItem(axis, child->picks[i++]);
        CLEANUP(free_pointer) char *json = json_print(value);
        const char *shown = cJSON_IsString(value) ? value->valuestring : json;
        if (used < sizeof(text)) {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s=%s", used ? " " : "",
                                     axis->string, shown ? shown : "");
        }
    }
    size_t n = text_cut(text, strlen(text), sizeof(child->spec.name) - 1);
    text[n] = '\0';
    memcpy(child->spec.name, text, n + 1);
}

/* The field's place in the grid, or -1. */
static int grid_index(const struct sweep_spec *spec, const char *field, size_t n) {
    for (int i = 0; i < spec->n_fields; i++) {
        if (strlen(spec->fields[i]) == n && strncmp(spec->fields[i], field, n) == 0) {
            return i;
        }
    }
    return -1;
}

void sweep_errors_add(const struct sweep_spec *spec, const struct sweep_child *child,
                      const struct field_errors *of_run, struct field_errors *errors) {
    for (int i = 0; i < of_run->n; i++) {
        const struct field_error *item = &of_run->items[i];
        const char *field = item->pointer[0] == '/' ? item->pointer + 1 : item->pointer;
        size_t n = strcspn(field, "/");
        int index = grid_index(spec, field, n);
        char place[128];
        if (index >= 0) {
            (void)snprintf(place, sizeof(place), "%.*s/%d%s", (int)n, field, child->picks[index],
                           field + n);
        } else {
            (void)snprintf(place, sizeof(place), "%s", field);
        }
        field_errors_add_path(errors, index >= 0 ? "grid" : "base", place, "%s", item->detail);
    }
}

/* The next combination: the last field varies fastest. */
static void advance(const cJSON *grid, int n_fields, int picks[SWEEP_MAX_FIELDS]) {
    for (int i = n_fields - 1; i >= 0; i--) {
        const cJSON *axis = cJSON_GetArrayItem(grid, i);
        if (++picks[i] < cJSON_GetArraySize(axis)) {
            return;
        }
        picks[i] = 0;
    }
}

/* STATUS_NO_MEMORY; what is wrong with a combination is added to the errors. */
static enum status expand(const cJSON *base, const cJSON *grid,
                          const struct run_spec_context *context, struct sweep_spec *spec,
                          struct field_errors *errors) {
    spec->children = calloc(spec->n_children, sizeof(*spec->children));
    CLEANUP(free_pointer) struct field_errors *of_run = calloc(1, sizeof(*of_run));
    if (!spec->children || !of_run) {
        return no_memory(errors);
    }
    int picks[SWEEP_MAX_FIELDS] = {0};
    for (size_t i = 0; i < spec->n_children && errors->n < RUN_SPEC_MAX_ERRORS; i++) {
        struct sweep_child *child = &spec->children[i];
        memcpy(child->picks, picks, sizeof(picks));
        CLEANUP(json_delete) cJSON *document = make_document(base, grid, child);
        if (!document) {
            return no_memory(errors);
        }
        of_run->n = 0;
        if (run_spec_resolve(document, context, &child->spec, of_run) != STATUS_OK) {
            sweep_errors_add(spec, child, of_run, errors);
        } else {
            sweep_halving_check(&spec->halving, child, errors);
        }
        if (sweep_halving_name(&spec->halving, document, child) != STATUS_OK) {
            return no_memory(errors);
        }
        name_child(spec, grid, child);
        advance(grid, spec->n_fields, picks);
    }
    return STATUS_OK;
}

static char *write_spec(const cJSON *base, const cJSON *grid, const cJSON *halving) {
    CLEANUP(free_pointer) char *base_text = base ? json_print(base) : strdup("{}");
    CLEANUP(free_pointer) char *grid_text = json_print(grid);
    CLEANUP(free_pointer)
    char *halving_text = halving ? json_print(halving) : strdup("");
    char *text = NULL;
    return base_text && grid_text && halving_text &&
                   asprintf(&text, "{\"base\":%s,\"grid\":%s%s%s}", base_text, grid_text,
                            halving ? ",\"halving\":" : "", halving_text) >= 0
               ? text
               : NULL;
}

enum status sweep_spec_parse(const char *json, size_t n_bytes,
                             const struct run_spec_context *context, struct sweep_spec *ret_spec,
                             struct field_errors *ret_errors) {
    ret_errors->n = 0;
    CLEANUP(json_delete) cJSON *document = NULL;
    CLEANUP(sweep_spec_clear) struct sweep_spec spec = {.n_fields = 0};
    struct error error;
    enum status status = json_read(json, n_bytes, &document, &error);
    if (status != STATUS_OK) {
        field_errors_add(ret_errors, "", "%s.", error.message);
        return status;
    }
    if (!cJSON_IsObject(document)) {
        field_errors_add(ret_errors, "",
                         "A sweep is a JSON object like {\"base\":{},\"grid\":{\"m\":[2,4]}}.");
        return STATUS_MALFORMED;
    }
    const cJSON *base = member(document, "base");
    const cJSON *grid = member(document, "grid");
    check_members(document, ret_errors);
    read_name(member(document, "name"), &spec, ret_errors);
    read_hold(member(document, "hold"), &spec, ret_errors);
    sweep_halving_read(member(document, "halving"), grid, &spec.halving, ret_errors);
    int n_before = ret_errors->n;
    bool base_is_good = check_base(base, ret_errors);
    bool grid_is_good = check_grid(grid, ret_errors);
    check_parts(base_is_good ? base : NULL, grid_is_good ? grid : NULL, context, &spec, ret_errors);
    if (ret_errors->n == n_before) {
        count_children(grid, &spec, ret_errors);
    }
    if (ret_errors->n == n_before) {
        TRY(expand(base, grid, context, &spec, ret_errors));
    }
    if (ret_errors->n > 0) {
        return STATUS_INVALID;
    }
    spec.spec_json = write_spec(base, grid, member(document, "halving"));
    if (!spec.spec_json) {
        return no_memory(ret_errors);
    }
    *ret_spec = spec;
    spec = (struct sweep_spec){.n_fields = 0};
    return STATUS_OK;
}

int sweep_spec_grid_fields(const char *spec_json, char (*ret_fields)[32], int most) {
    CLEANUP(json_delete) cJSON *document = cJSON_Parse(spec_json);
    int n = 0;
    const cJSON *axis = NULL;
    cJSON_ArrayForEach(axis, member(document, "grid")) {
        if (n < most && strcmp(axis->string, "seed") != 0 &&
            run_spec_has_config_field(axis->string)) {
            (void)snprintf(ret_fields[n++], 32, "%.31s", axis->string);
        }
    }
    return n;
}
