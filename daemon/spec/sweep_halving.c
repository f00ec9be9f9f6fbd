/* The halving of a sweep, read. Layer: daemon. Thread rule: pure functions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/sha256.h"
#include "core/base/text.h"
#include "daemon/spec/json_tree.h"
#include "daemon/spec/sweep_halving.h"

enum { MOST_EPOCHS = 100000, MOST_ETA = 100, ETA = 3 };

static void read_count(const cJSON *item, const char *name, int least, int most, int *ret,
                       struct field_errors *errors) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (value >= least && value <= most && value == floor(value)) {
        *ret = (int)value;
    } else {
        field_errors_add_inner(errors, "halving", name,
                               "%s must be a whole number between %d and %d, not %s.", name, least,
                               most, run_field_describe(item).text);
    }
}

static void read_metric(const cJSON *item, struct sweep_halving *halving,
                        struct field_errors *errors) {
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    if (strcmp(text, "val_error") == 0 || strcmp(text, "val_loss") == 0) {
        (void)snprintf(halving->metric, sizeof(halving->metric), "%s", text);
    } else {
        field_errors_add_inner(errors, "halving", "metric",
                               "metric must be val_error or val_loss, not %s.",
                               run_field_describe(item).text);
    }
}

static void read_rank_by(const cJSON *item, const cJSON *grid, struct sweep_halving *halving,
                         struct field_errors *errors) {
    const cJSON *field = NULL;
    bool good = cJSON_IsArray(item) && cJSON_GetArraySize(item) <= SWEEP_MAX_FIELDS;
    cJSON_ArrayForEach(field, item) {
        good = good && cJSON_IsString(field) &&
               cJSON_GetObjectItemCaseSensitive(grid, field->valuestring);
        if (good) {
            (void)snprintf(halving->rank_by[halving->n_rank_by++], 32, "%.31s", field->valuestring);
        }
    }
    if (!good) {
        field_errors_add_inner(errors, "halving", "rank_by",
                               "rank_by must be an array of fields of the grid, like [\"m\"]: runs "
                               "with the same values of them are ranked by their mean.");
    }
}

void sweep_halving_read(const cJSON *item, const cJSON *grid, struct sweep_halving *ret,
                        struct field_errors *errors) {
    if (!item) {
        return;
    }
    static const char *const known[] = {"first_epochs", "eta", "metric", "rank_by"};
    const cJSON *member = NULL;
    *ret = (struct sweep_halving){.given = true, .eta = ETA, .metric = "val_error"};
    if (!cJSON_IsObject(item) || !cJSON_GetObjectItemCaseSensitive(item, "first_epochs")) {
        field_errors_add(
            errors, "halving",
            "halving must be an object like {\"first_epochs\":5,\"eta\":3,"
            "\"metric\":\"val_error\",\"rank_by\":[\"m\"]}, of which first_epochs must "
            "be given.");
        return;
    }
    cJSON_ArrayForEach(member, item) {
        if (strcmp(member->string, "first_epochs") == 0) {
            read_count(member, member->string, 1, MOST_EPOCHS, &ret->first_epochs, errors);
        } else if (strcmp(member->string, "eta") == 0) {
            read_count(member, member->string, 2, MOST_ETA, &ret->eta, errors);
        } else if (strcmp(member->string, "metric") == 0) {
            read_metric(member, ret, errors);
        } else if (strcmp(member->string, "rank_by") == 0) {
            read_rank_by(member, grid, ret, errors);
        } else {
            const char *near = near_miss(member->string, known, sizeof(known) / sizeof(known[0]));
            field_errors_add_inner(errors, "halving", member->string,
                                   "halving has first_epochs, eta, metric and rank_by.%s%s%s",
                                   near ? " Did you mean " : "", near ? near : "", near ? "?" : "");
        }
    }
    if (cJSON_GetObjectItemCaseSensitive(grid, "epochs")) {
        field_errors_add(
            errors, "halving",
            "All runs of a halving have the same epochs: epochs cannot be in the grid.");
    }
}

void sweep_halving_check(const struct sweep_halving *halving, const struct sweep_child *child,
                         struct field_errors *errors) {
    if (halving->given && halving->first_epochs >= child->spec.config.epochs) {
        field_errors_add_path(
            errors, "halving", "first_epochs",
            "The first rung, at epoch %d, must be before the runs' last epoch, %d.",
            halving->first_epochs, child->spec.config.epochs);
    }
}

enum status sweep_halving_name(const struct sweep_halving *halving, const cJSON *document,
                               struct sweep_child *child) {
    enum { ROOM = sizeof(child->setting), DIGITS = 16, ROOM_BEFORE = ROOM - DIGITS - 2 };
    char hex[SHA256_HEX_SIZE];
    struct sha256 sha;
    size_t used = 0; /* of the whole, which may be longer than the room */
    sha256_begin(&sha);
    child->setting[0] = '\0';
    for (int i = 0; i < halving->n_rank_by; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(document, halving->rank_by[i]);
        CLEANUP(free_pointer) char *json = json_print(value);
        if (value && !json) {
            return STATUS_NO_MEMORY;
        }
        const char *shown = value && cJSON_IsString(value) ? value->valuestring : json ? json : "";
        size_t at = used < ROOM ? used : ROOM - 1;
        used += (size_t)snprintf(child->setting + at, ROOM - at, "%s%s=%s", used ? " " : "",
                                 halving->rank_by[i], shown);
        sha256_update(&sha, shown, strlen(shown) + 1);
    }
    sha256_end(&sha, hex);
    if (used >= ROOM) {
        size_t kept = text_cut(child->setting, strlen(child->setting), ROOM_BEFORE - 1);
        (void)snprintf(child->setting + kept, ROOM - kept, " #%.*s", DIGITS, hex);
    }
    for (char *c = child->setting; *c; c++) {
        *c = *c == '"' || *c == '\\' ? '\'' : *c; /* it is shown within a JSON string */
    }
    return STATUS_OK;
}
