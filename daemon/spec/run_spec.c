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
#include "daemon/spec/json_check.h"
#include "daemon/spec/json_write.h"
#include "daemon/spec/run_spec_fields.h"

enum { MAX_MEMBERS = 64 }; /* of one object */

/* Learning rates given in one place only are carried to the other. */
static void settle_schedule(struct parse *parse) {
    struct run_config *config = &parse->spec.config;
    const struct run_preset *preset = run_preset_find(config->preset);
    if (parse->lr_given && !parse->schedule_given && preset) {
        for (int i = 0; i < config->n_lr_steps; i++) {
            char text[JSON_NUMBER_SIZE];
            double scaled = config->lr_steps[i].lr * (config->lr / preset->config.lr);
            /* 12 digits are more than anybody means by "a tenth of it", and read well. */
            (void)snprintf(text, sizeof(text), "%.12g", scaled);
            config->lr_steps[i].lr = strtod(text, NULL);
        }
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

static enum status malformed(struct field_errors *errors, const char *what) {
    field_errors_add(errors, "", "%s", what);
    return STATUS_MALFORMED;
}

/* No object may hold a name twice, or so many that looking for that takes long. */
static enum status check_names(const cJSON *value, struct field_errors *errors) {
    if (cJSON_IsObject(value) && cJSON_GetArraySize(value) > MAX_MEMBERS) {
        return malformed(errors, "An object has far more names than there are fields.");
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, value) {
        for (const cJSON *other = item->next; item->string && other; other = other->next) {
            if (strcmp(item->string, other->string) == 0) {
                field_errors_add(errors, "", "The name \"%.40s\" is given twice.", item->string);
                return STATUS_MALFORMED;
            }
        }
        TRY(check_names(item, errors));
    }
    return STATUS_OK;
}

static void delete_tree(cJSON **tree) {
    cJSON_Delete(*tree);
}

enum status run_spec_read_document(const char *json, size_t n_bytes, cJSON **ret_document,
                                   struct field_errors *errors) {
    struct error error;
    if (json_check(json, n_bytes, &error) != STATUS_OK) {
        return malformed(errors, error.message);
    }
    CLEANUP(delete_tree) cJSON *document = cJSON_ParseWithLength(json, n_bytes);
    if (!document) {
        return malformed(errors, "The document could not be read.");
    }
    TRY(check_names(document, errors));
    *ret_document = document;
    document = NULL;
    return STATUS_OK;
}

enum status run_spec_resolve(const cJSON *document, const struct run_spec_context *context,
                             struct run_spec *ret_spec, struct field_errors *errors) {
    struct parse parse = {.context = context, .errors = errors};
    int n_before = errors->n;
    run_spec_read_preset(&parse, document);
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, document) {
        run_spec_read_member(&parse, item);
    }
    if (errors->n == n_before) {
        settle_schedule(&parse);
    }
    if (errors->n == n_before) {
        check_whole(&parse);
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
    CLEANUP(delete_tree) cJSON *document = NULL;
    TRY(run_spec_read_document(json, n_bytes, &document, ret_errors));
    if (!cJSON_IsObject(document)) {
        return malformed(ret_errors, "A run is a JSON object like {\"m\":8,\"cutout_size\":12}.");
    }
    return run_spec_resolve(document, context, ret_spec, ret_errors);
}

enum status run_spec_read_stored(const char *config_json, struct run_spec *ret_spec,
                                 struct error *error) {
    static const struct run_spec_context any = {.default_dataset = "shapes"};
    CLEANUP(free_pointer) struct field_errors *errors = calloc(1, sizeof(*errors));
    if (!errors) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read the run's config");
    }
    if (run_spec_parse(config_json, strlen(config_json), &any, ret_spec, errors) != STATUS_OK) {
        return error_set(error, STATUS_INVALID, "the stored config cannot be used: %s %s",
                         errors->items[0].pointer, errors->items[0].detail);
    }
    return STATUS_OK;
}
