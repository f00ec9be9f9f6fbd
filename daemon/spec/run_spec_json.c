/* Layer: daemon. */
#include "daemon/spec/run_spec_json.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/config/run_fields.h"
#include "daemon/spec/config_text.h"

static void write_schedule(struct json_writer *writer, const char *key,
                           const struct run_config *config) {
    switch (config->lr_schedule) {
    case LR_SCHEDULE_COSINE:
        json_write_string(writer, key, "cosine");
        return;
    case LR_SCHEDULE_LINEAR:
        json_write_object(writer, key);
        json_write_string(writer, "kind", "linear");
        json_write_number(writer, "warmup", config->lr_warmup);
        json_write_end(writer, '}');
        return;
    case LR_SCHEDULE_STEPS:
        break;
    }
    if (config->n_lr_steps == 0) {
        json_write_string(writer, key, "constant");
        return;
    }
    json_write_array(writer, key);
    for (int i = 0; i < config->n_lr_steps; i++) {
        json_write_object(writer, NULL);
        json_write_int(writer, "epoch", config->lr_steps[i].epoch);
        json_write_number(writer, "lr", config->lr_steps[i].lr);
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
}

/* The rules that are set. */
static void write_stop(struct json_writer *writer, const char *key, const struct run_stop *stop) {
    json_write_object(writer, key);
    if (stop->val_error > 0) {
        json_write_number(writer, "val_error", stop->val_error);
    }
    if (stop->patience > 0) {
        json_write_int(writer, "patience", stop->patience);
    }
    if (stop->max_seconds > 0) {
        json_write_number(writer, "max_seconds", stop->max_seconds);
    }
    json_write_end(writer, '}');
}

static void write_field(struct json_writer *writer, const struct run_config_field *field,
                        const struct run_config *config) {
    double number = run_config_number(field, config);
    switch (field->type) {
    case RUN_CONFIG_PRESET:
    case RUN_CONFIG_DATASET:
        json_write_string(writer, field->name, (const char *)config + field->offset);
        break;
    case RUN_CONFIG_INT:
    case RUN_CONFIG_DEPTH:
        json_write_int(writer, field->name, (int64_t)number);
        break;
    case RUN_CONFIG_BOOL:
        json_write_bool(writer, field->name, number != 0);
        break;
    case RUN_CONFIG_NUMBER:
        json_write_number(writer, field->name, number);
        break;
    case RUN_CONFIG_SEED:
        json_write_uint(writer, field->name, (uint64_t)number);
        break;
    case RUN_CONFIG_CHOICE:
        json_write_string(writer, field->name, field->words[(int)number]);
        break;
    case RUN_CONFIG_SCHEDULE:
        write_schedule(writer, field->name, config);
        break;
    case RUN_CONFIG_SWITCH:
        if (number < 2) {
            json_write_bool(writer, field->name, number != 0);
        } else {
            json_write_string(writer, field->name, field->words[(int)number]);
        }
        break;
    case RUN_CONFIG_STOP:
        write_stop(writer, field->name, &config->stop);
        break;
    }
}

void run_config_write(struct json_writer *writer, const struct run_config *config) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    for (size_t i = 0; i < n_fields; i++) {
        write_field(writer, &fields[i], config);
    }
}

void run_labels_write(struct json_writer *writer, const char *key, const struct run_spec *spec) {
    json_write_object(writer, key);
    for (int i = 0; i < spec->n_labels; i++) {
        json_write_string(writer, spec->labels[i].key, spec->labels[i].value);
    }
    json_write_end(writer, '}');
}

char *run_spec_to_json(const struct run_spec *spec) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    run_config_write(&writer, &spec->config);
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

/* Behind the name of the member; NULL: there is none. A quote inside of a string is escaped, so
 * ,"name": can only be a name. json may begin behind another name. */
static const char *find_member(const char *json, const char *name) {
    size_t n = strlen(name);
    const char *found = strstr(json, name);
    while (found && !(found - json >= 2 && strncmp(found - 2, ",\"", 2) == 0 &&
                      strncmp(found + n, "\":", 2) == 0)) {
        found = strstr(found + n, name);
    }
    return found ? found + n : NULL;
}

/* Whether it was written by run_spec_to_json of a version that had all fields of this one, which
 * it writes in the order of the table: the text is gone through once. */
static bool is_current(const char *config_json) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    if (strncmp(config_json, "{\"preset\":", strlen("{\"preset\":")) != 0 ||
        find_member(config_json, "labels")) { /* a column today, as name and priority */
        return false;
    }
    const char *at = config_json;
    for (size_t i = 0; at && i < n_fields; i++) {
        at = fields[i].later ? find_member(at, fields[i].name) : at;
    }
    return at != NULL;
}

/* "paper" without a choice of the network is what is paper-v1 now. */
static void write_preset(struct json_writer *writer, const char *key,
                         const struct config_values *values) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    const struct config_member *preset = &values->of[0];
    bool has_network = false;
    for (size_t i = 0; i < n_fields; i++) {
        has_network |= values->of[i].n_name > 0 && strcmp(fields[i].name, "shortcut") == 0;
    }
    char name[RUN_NAME_SIZE] = "";
    if (!has_network && preset->n_value >= 2 && preset->n_value < sizeof(name)) {
        memcpy(name, preset->value + 1, preset->n_value - 2); /* without the quotes */
    }
    if (strcmp(name, run_preset_of_older(name)) != 0) {
        json_write_string(writer, key, run_preset_of_older(name));
    } else {
        json_write_raw_bytes(writer, key, preset->value, preset->n_value);
    }
}

/* The stored members, and for fields that came later what a run means without them: no parsing.
 * NULL: another version wrote it, with fields that this one does not know or without some that were
 * always there; *ret_no_memory: it is that instead. */
static char *complete(const char *config_json, bool *ret_no_memory) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    CLEANUP(free_pointer) struct run_config *older = calloc(1, sizeof(*older));
    CLEANUP(json_write_free) struct json_writer writer = {0};
    struct config_values values;
    *ret_no_memory = !older;
    if (!older || !config_values_read(config_json, &values)) {
        return NULL;
    }
    run_config_set_older(older);
    json_write_object(&writer, NULL);
    for (size_t i = 0; i < n_fields; i++) {
        const struct config_member *member = &values.of[i];
        if (member->n_name > 0 && fields[i].type == RUN_CONFIG_PRESET) {
            write_preset(&writer, fields[i].name, &values);
        } else if (member->n_name > 0) {
            json_write_raw_bytes(&writer, fields[i].name, member->value, member->n_value);
        } else if (fields[i].later) {
            write_field(&writer, &fields[i], older);
        } else {
            return NULL;
        }
    }
    json_write_end(&writer, '}');
    char *text = json_write_take(&writer);
    *ret_no_memory = !text;
    return text;
}

/* What another version wrote, field by field over its preset. */
static char *read_and_write(const char *config_json) {
    CLEANUP(free_pointer) struct run_spec *spec = calloc(1, sizeof(*spec));
    enum status status = spec ? run_spec_read_stored(config_json, spec, NULL) : STATUS_NO_MEMORY;
    if (status == STATUS_NO_MEMORY) {
        return NULL;
    }
    return status == STATUS_OK ? run_spec_to_json(spec) : strdup(config_json);
}

char *run_spec_stored_json(const char *config_json) {
    bool no_memory = false;
    if (is_current(config_json)) {
        return strdup(config_json);
    }
    char *text = complete(config_json, &no_memory);
    return text || no_memory ? text : read_and_write(config_json);
}
