/* Reads a run's JSON form.
 *
 * Layer: daemon. Thread rule: pure functions.
 *
 * The preset is resolved first, whatever its place in the document, then every member is checked
 * and laid over it, so that one answer names everything that is wrong.
 */
#include "daemon/spec/run_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/spec/json_tree.h"
#include "daemon/spec/json_write.h"
#include "daemon/spec/run_spec_fields.h"

/* Squares that are drawn on one copy where copies are aliased: as many take about as long as
 * training the copy, more would make a step take hours. */
enum { MAX_SQUARES_AND_COPIES = 4096 };

/* The steps of the preset in proportion to the lr that was given. */
static void scale_schedule(struct parse *parse, const struct run_preset *preset) {
    struct run_config *config = &parse->spec.config;
    for (int i = 0; i < config->n_lr_steps; i++) {
        char text[JSON_NUMBER_SIZE];
        double scaled = config->lr_steps[i].lr * (config->lr / preset->config.lr);
        /* 12 digits are more than anybody means by "a tenth of it", and read well. */
        (void)snprintf(text, sizeof(text), "%.12g", scaled);
        config->lr_steps[i].lr = strtod(text, NULL);
        if (!(config->lr_steps[i].lr >= RUN_LEAST_LR && config->lr_steps[i].lr <= RUN_MOST_LR)) {
            field_errors_add(parse->errors, "lr",
                             "With this lr the preset's schedule comes to %s at epoch %d; a "
                             "learning rate must be between %g and %g. Give lr_schedule as well.",
                             text, config->lr_steps[i].epoch, RUN_LEAST_LR, RUN_MOST_LR);
            return;
        }
    }
}

/* Learning rates given in one place only are carried to the other. */
static void settle_schedule(struct parse *parse) {
    struct run_config *config = &parse->spec.config;
    const struct run_preset *preset = run_preset_find(config->preset);
    if (parse->lr_given && !parse->schedule_given && preset) {
        scale_schedule(parse, preset);
    }
    if (config->n_lr_steps > 0 && config->lr_steps[0].epoch == 0) {
        if (parse->lr_given && config->lr != config->lr_steps[0].lr) {
            field_errors_add(parse->errors, "lr",
                             "lr is the learning rate at epoch 0, for which lr_schedule says "
                             "something else; leave one of them out.");
            return;
        }
        config->lr = config->lr_steps[0].lr;
        config->n_lr_steps--;
        memmove(&config->lr_steps[0], &config->lr_steps[1],
                sizeof(config->lr_steps) - sizeof(config->lr_steps[0]));
        config->lr_steps[RUN_MAX_LR_STEPS - 1] = (struct lr_step){0};
    }
}

/* Core's own check sees combinations of fields; its message begins with the field's name. */
static void check_whole(struct parse *parse) {
    struct error error;
    if (run_config_check(&parse->spec.config, &error) == STATUS_OK) {
        return;
    }
    char field[RUN_NAME_SIZE] = "";
    const char *colon = strchr(error.message, ':');
    const char *rest = error.message;
    if (colon && (size_t)(colon - error.message) < sizeof(field)) {
        memcpy(field, error.message, (size_t)(colon - error.message));
        rest = colon + 1 + strspn(colon + 1, " ");
    }
    field_errors_add(parse->errors, field, "%s%s%.200s.", field, field[0] ? ": " : "", rest);
}

/* What a new run may cost; stored ones go on. */
static void check_cost(struct parse *parse) {
    const struct run_config *config = &parse->spec.config;
    if (!parse->context->stored && config->cutout_size > 0 &&
        config->m * config->cutout_squares > MAX_SQUARES_AND_COPIES) {
        field_errors_add(parse->errors, "cutout_squares",
                         "m times cutout_squares may be at most %d, not %d: drawing more squares "
                         "takes longer than training.",
                         MAX_SQUARES_AND_COPIES, config->m * config->cutout_squares);
    }
}

static enum status malformed(struct field_errors *errors, const char *what) {
    field_errors_add(errors, "", "%s", what);
    return STATUS_MALFORMED;
}

bool run_spec_check_member(const struct run_spec_context *context, const char *name,
                           const cJSON *value, struct field_errors *errors) {
    struct parse parse = {.context = context, .errors = errors};
    int n_before = errors->n;
    run_spec_read_member(&parse, name, value);
    return errors->n == n_before;
}

void run_spec_begin(struct parse *parse, const struct run_preset *preset) {
    parse->spec.config = preset->config;
    (void)snprintf(parse->spec.config.dataset, RUN_NAME_SIZE, "%s",
                   parse->context->default_dataset);
    if (parse->context->stored) {
        run_config_set_older(&parse->spec.config);
    }
}

/* Whether the member has been read, or is not to be. */
static bool is_passed_over(const char *name, const struct run_spec_context *context) {
    static const char *const columns[] = {"name",       "priority", "labels", "hold",
                                          "not_before", "after",    "notify"};
    for (size_t i = 0; context->stored && i < sizeof(columns) / sizeof(columns[0]); i++) {
        if (strcmp(name, columns[i]) == 0) {
            return true;
        }
    }
    return strcmp(name, "preset") == 0;
}

enum status run_spec_resolve(const cJSON *document, const struct run_spec_context *context,
                             struct run_spec *ret_spec, struct field_errors *errors) {
    bool has_network = cJSON_GetObjectItemCaseSensitive(document, "shortcut") != NULL;
    struct parse parse = {
        .context = context, .errors = errors, .older = context->stored && !has_network};
    int n_before = errors->n;
    size_t n_presets = 0;
    run_spec_begin(&parse, &run_presets(&n_presets)[0]);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(document, "preset");
    if (item) { /* first, whatever its place */
        run_spec_read_member(&parse, "preset", item);
    }
    cJSON_ArrayForEach(item, document) {
        if (!is_passed_over(item->string, context)) {
            run_spec_read_member(&parse, item->string, item);
        }
    }
    if (errors->n == n_before) {
        settle_schedule(&parse);
    }
    if (errors->n == n_before) {
        check_whole(&parse);
    }
    if (errors->n == n_before) {
        check_cost(&parse);
    }
    if (errors->n > n_before) {
        return STATUS_INVALID;
    }
    if (parse.spec.config.conv_algorithm == CONV_AUTO) {
        parse.spec.config.conv_algorithm = context->conv_algorithm;
    }
    *ret_spec = parse.spec;
    return STATUS_OK;
}

enum status run_spec_parse(const char *json, size_t n_bytes, const struct run_spec_context *context,
                           struct run_spec *ret_spec, struct field_errors *ret_errors) {
    ret_errors->n = 0;
    CLEANUP(json_delete) cJSON *document = NULL;
    struct error error;
    enum status status = json_read(json, n_bytes, &document, &error);
    if (status != STATUS_OK) {
        field_errors_add(ret_errors, "", "%s.", error.message);
        return status;
    }
    if (!cJSON_IsObject(document)) {
        return malformed(ret_errors, "A run is a JSON object like {\"m\":8,\"cutout_size\":12}.");
    }
    return run_spec_resolve(document, context, ret_spec, ret_errors);
}

enum status run_spec_read_stored(const char *config_json, struct run_spec *ret_spec,
                                 struct error *error) {
    static const struct run_spec_context stored = {.default_dataset = "shapes", .stored = true};
    CLEANUP(free_pointer) struct field_errors *errors = calloc(1, sizeof(*errors));
    if (!errors) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read the run's config");
    }
    enum status status =
        run_spec_parse(config_json, strlen(config_json), &stored, ret_spec, errors);
    if (status == STATUS_NO_MEMORY) {
        return error_set(error, status, "no memory to read the run's config");
    }
    if (status != STATUS_OK) {
        return error_set(error, STATUS_INVALID, "the stored config cannot be used: %s %s",
                         errors->items[0].pointer, errors->items[0].detail);
    }
    return STATUS_OK;
}
