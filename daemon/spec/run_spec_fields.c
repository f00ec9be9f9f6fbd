/* Which fields a run has, and what each may hold.
 *
 * Layer: daemon. Thread rule: pure functions.
 *
 * The table `fields` is the whole list; run_config_write (run_spec_json.c) writes the same.
 */
#include "daemon/spec/run_spec_fields.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/spec/json_write.h"

enum { MAX_IMAGES = 1000000 };
static const double max_seed = 9007199254740991.0; /* 2^53 - 1: every one is exact in a double */

struct field;
typedef void read_field(struct parse *parse, const struct field *field, const cJSON *item);

struct field {
    const char *name;
    read_field *read;
    size_t offset; /* of the value in struct run_spec, for the plain kinds */
    double least, most;
};

static read_field read_name, read_preset, read_dataset, read_depth, read_int, read_bool,
    read_number, read_lr, read_copies, read_normalise, read_optimizer, read_conv_algorithm,
    read_schedule, read_seed, read_labels, read_executor, read_after;

#define IN_SPEC(member) offsetof(struct run_spec, member)

static const struct field fields[] = {
    {"name", read_name, 0, 0, 0},
    {"preset", read_preset, 0, 0, 0},
    {"dataset", read_dataset, 0, 0, 0},
    {"depth", read_depth, IN_SPEC(config.depth), 8, 110},
    {"epochs", read_int, IN_SPEC(config.epochs), 1, 100000},
    {"batch_size", read_int, IN_SPEC(config.batch_size), 1, 65536},
    {"m", read_int, IN_SPEC(config.m), 1, 1024},
    {"copies", read_copies, 0, 0, 0},
    {"cutout_size", read_int, IN_SPEC(config.cutout_size), 0, 64},
    {"cutout_squares", read_int, IN_SPEC(config.cutout_squares), 1, RUN_MAX_SQUARES},
    {"shift", read_number, IN_SPEC(config.shift), 0, 1},
    {"flip", read_bool, IN_SPEC(config.flip), 0, 0},
    {"crop_pad", read_int, IN_SPEC(config.crop_pad), 0, 16},
    {"normalise", read_normalise, 0, 0, 0},
    {"drop_last", read_bool, IN_SPEC(config.drop_last), 0, 0},
    {"optimizer", read_optimizer, 0, 0, 0},
    {"lr", read_lr, IN_SPEC(config.lr), 1e-12, 100},
    {"momentum", read_number, IN_SPEC(config.momentum), 0, 0.9999},
    {"nesterov", read_bool, IN_SPEC(config.nesterov), 0, 0},
    {"lr_schedule", read_schedule, 0, 0, 0},
    {"lr_plateau", read_bool, IN_SPEC(config.lr_plateau), 0, 0},
    {"l2", read_number, IN_SPEC(config.l2), 0, 1},
    {"l2_dense", read_bool, IN_SPEC(config.l2_dense), 0, 0},
    {"seed", read_seed, 0, 0, 0},
    {"train_images", read_int, IN_SPEC(config.train_images), 0, MAX_IMAGES},
    {"test_images", read_int, IN_SPEC(config.test_images), 0, MAX_IMAGES},
    {"conv_algorithm", read_conv_algorithm, 0, 0, 0},
    {"stop_on_nan", read_bool, IN_SPEC(config.stop_on_nan), 0, 0},
    {"priority", read_int, IN_SPEC(priority), -1000, 1000},
    {"labels", read_labels, 0, 0, 0},
    {"executor", read_executor, 0, 0, 0},
    {"hold", read_bool, IN_SPEC(hold), 0, 0},
    {"after", read_after, 0, 0, 0},
};

enum { N_FIELDS = sizeof(fields) / sizeof(fields[0]) };

static void *in_spec(struct parse *parse, const struct field *field) {
    return (char *)&parse->spec + field->offset;
}

/* What was found instead, for the end of a sentence: `the string "eight"`. */
struct found {
    char text[80];
};

static struct found describe(const cJSON *item) {
    struct found found;
    char number[JSON_NUMBER_SIZE];
    const char *word = cJSON_IsNull(item)     ? "null"
                       : cJSON_IsTrue(item)   ? "true"
                       : cJSON_IsFalse(item)  ? "false"
                       : cJSON_IsArray(item)  ? "an array"
                       : cJSON_IsObject(item) ? "an object"
                                              : NULL;
    if (word) {
        (void)snprintf(found.text, sizeof(found.text), "%s", word);
    } else if (cJSON_IsNumber(item) && isfinite(item->valuedouble)) {
        (void)snprintf(found.text, sizeof(found.text), "%s",
                       number_format(item->valuedouble, number));
    } else if (cJSON_IsNumber(item)) {
        (void)snprintf(found.text, sizeof(found.text), "a number too large to represent");
    } else {
        (void)snprintf(found.text, sizeof(found.text), "the string \"%.40s%s\"", item->valuestring,
                       strlen(item->valuestring) > 40 ? "..." : "");
    }
    return found;
}

static void read_int(struct parse *parse, const struct field *field, const cJSON *item) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (!(value >= field->least && value <= field->most) || value != floor(value)) {
        field_errors_add(parse->errors, field->name,
                         "%s must be a whole number between %.0f and %.0f, not %s.", field->name,
                         field->least, field->most, describe(item).text);
        return;
    }
    *(int *)in_spec(parse, field) = (int)value;
}

static void read_depth(struct parse *parse, const struct field *field, const cJSON *item) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    bool in_range = value >= field->least && value <= field->most;
    if (!in_range) {
        field_errors_add(parse->errors, field->name,
                         "depth must be 6n+2 between 8 and 110 (8, 14, 20, ... 44, ... 110), not "
                         "%s.",
                         describe(item).text);
        return;
    }
    double n = floor((value - 2) / 6);
    if (value != 6 * n + 2) {
        field_errors_add(parse->errors, field->name,
                         "depth must be 6n+2 between 8 and 110, not %s; the nearest are %.0f and "
                         "%.0f.",
                         describe(item).text, 6 * n + 2, 6 * n + 8);
        return;
    }
    *(int *)in_spec(parse, field) = (int)value;
}

static void read_bool(struct parse *parse, const struct field *field, const cJSON *item) {
    if (!cJSON_IsBool(item)) {
        field_errors_add(parse->errors, field->name, "%s must be true or false, not %s.",
                         field->name, describe(item).text);
        return;
    }
    *(bool *)in_spec(parse, field) = cJSON_IsTrue(item);
}

static void read_number(struct parse *parse, const struct field *field, const cJSON *item) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (!(value >= field->least && value <= field->most)) {
        field_errors_add(parse->errors, field->name,
                         "%s must be a number between %g and %g, not %s.", field->name,
                         field->least, field->most, describe(item).text);
        return;
    }
    *(double *)in_spec(parse, field) = value;
}

static void read_lr(struct parse *parse, const struct field *field, const cJSON *item) {
    parse->lr_given = true;
    read_number(parse, field, item);
}

static void read_seed(struct parse *parse, const struct field *field, const cJSON *item) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (!(value >= 0 && value <= max_seed) || value != floor(value)) {
        field_errors_add(parse->errors, field->name,
                         "seed must be a whole number between 0 and 9007199254740991, not %s.",
                         describe(item).text);
        return;
    }
    parse->spec.config.seed = (uint64_t)value;
}

/* Says which words `item` may be, and which one was probably meant. */
static void refuse_choice(struct parse *parse, const struct field *field, const cJSON *item,
                          const char *const *names, size_t n_names) {
    char list[160] = "";
    for (size_t i = 0; i < n_names; i++) {
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = cJSON_IsString(item) ? near_miss(item->valuestring, names, n_names) : NULL;
    field_errors_add(parse->errors, field->name, "%s must be one of %s, not %s.%s%s%s", field->name,
                     list, describe(item).text, near ? " Did you mean " : "", near ? near : "",
                     near ? "?" : "");
}

/* Reads an enum by the names that core gives its values; `last` is its highest value. */
#define DEFINE_READ_CHOICE(function, type, member, to_name, from_name, last)                       \
    static void function(struct parse *parse, const struct field *field, const cJSON *item) {      \
        if (cJSON_IsString(item) && from_name(item->valuestring, &parse->spec.config.member)) {    \
            return;                                                                                \
        }                                                                                          \
        const char *names[(last) + 1];                                                             \
        for (size_t i = 0; i <= (last); i++) {                                                     \
            names[i] = to_name((type)i);                                                           \
        }                                                                                          \
        refuse_choice(parse, field, item, names, (last) + 1);                                      \
    }

DEFINE_READ_CHOICE(read_copies, enum copies, copies, copies_name, copies_from_name, COPIES_ALIASED)
DEFINE_READ_CHOICE(read_normalise, enum normalise_kind, normalise, normalise_name,
                   normalise_from_name, NORMALISE_CHANNEL)
DEFINE_READ_CHOICE(read_optimizer, enum optimizer_kind, optimizer, optimizer_name,
                   optimizer_from_name, OPTIMIZER_SGD)
DEFINE_READ_CHOICE(read_conv_algorithm, enum conv_algorithm, conv_algorithm, conv_algorithm_name,
                   conv_algorithm_from_name, CONV_WINOGRAD)

/* Nothing to do: run_spec_read_preset was here first. */
static void read_preset(struct parse *parse, const struct field *field, const cJSON *item) {
    (void)parse;
    (void)field;
    (void)item;
}

static void read_dataset(struct parse *parse, const struct field *field, const cJSON *item) {
    const struct run_spec_context *context = parse->context;
    bool fits =
        cJSON_IsString(item) && item->valuestring[0] && strlen(item->valuestring) < RUN_NAME_SIZE;
    bool known = fits && !context->dataset_names;
    for (size_t i = 0; fits && !known && i < context->n_dataset_names; i++) {
        known = strcmp(context->dataset_names[i], item->valuestring) == 0;
    }
    if (!known) {
        refuse_choice(parse, field, item, context->dataset_names, context->n_dataset_names);
        return;
    }
    (void)snprintf(parse->spec.config.dataset, RUN_NAME_SIZE, "%s", item->valuestring);
}

static void read_executor(struct parse *parse, const struct field *field, const cJSON *item) {
    const struct run_spec_context *context = parse->context;
    size_t size = sizeof(parse->spec.executor);
    bool fits = cJSON_IsString(item) && item->valuestring[0] && strlen(item->valuestring) < size;
    bool known = fits && !context->executor_names;
    for (size_t i = 0; fits && !known && i < context->n_executor_names; i++) {
        known = strcmp(context->executor_names[i], item->valuestring) == 0;
    }
    if (!known) {
        refuse_choice(parse, field, item, context->executor_names, context->n_executor_names);
        return;
    }
    (void)snprintf(parse->spec.executor, size, "%s", item->valuestring);
}

static bool has_control_characters(const char *text) {
    for (; *text; text++) {
        if (iscntrl((unsigned char)*text)) {
            return true;
        }
    }
    return false;
}

static void read_name(struct parse *parse, const struct field *field, const cJSON *item) {
    size_t size = sizeof(parse->spec.name);
    if (!cJSON_IsString(item)) {
        field_errors_add(parse->errors, field->name, "name must be a string, not %s.",
                         describe(item).text);
    } else if (strlen(item->valuestring) >= size) {
        field_errors_add(parse->errors, field->name,
                         "name may have at most %zu bytes of UTF-8, not %zu.", size - 1,
                         strlen(item->valuestring));
    } else if (has_control_characters(item->valuestring)) {
        field_errors_add(parse->errors, field->name,
                         "name must not contain control characters such as a line break.");
    } else {
        (void)snprintf(parse->spec.name, size, "%s", item->valuestring);
    }
}

/* Keys are kept to what needs no quoting in a filter. */
static bool label_key_fits(const char *key) {
    size_t length = strlen(key);
    return length > 0 && length < RUN_SPEC_LABEL_SIZE &&
           strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") ==
               length;
}

static void read_label(struct parse *parse, const struct field *field, const cJSON *item) {
    struct run_spec *spec = &parse->spec;
    if (!label_key_fits(item->string)) {
        field_errors_add_inner(parse->errors, field->name, item->string,
                               "A label's key must be 1 to %d of the characters a-z A-Z 0-9 . _ - "
                               "/.",
                               RUN_SPEC_LABEL_SIZE - 1);
        return;
    }
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= RUN_SPEC_LABEL_SIZE ||
        has_control_characters(item->valuestring)) {
        field_errors_add_inner(parse->errors, field->name, item->string,
                               "A label's value must be a string of at most %d bytes without "
                               "control characters, not %s.",
                               RUN_SPEC_LABEL_SIZE - 1, describe(item).text);
        return;
    }
    struct run_label *label = &spec->labels[spec->n_labels++];
    (void)snprintf(label->key, sizeof(label->key), "%s", item->string);
    (void)snprintf(label->value, sizeof(label->value), "%s", item->valuestring);
}

static void read_labels(struct parse *parse, const struct field *field, const cJSON *item) {
    if (!cJSON_IsObject(item)) {
        field_errors_add(parse->errors, field->name,
                         "labels must be an object of strings like {\"team\":\"vision\"}, not %s.",
                         describe(item).text);
        return;
    }
    int n_labels = cJSON_GetArraySize(item);
    if (n_labels > RUN_SPEC_MAX_LABELS) {
        field_errors_add(parse->errors, field->name, "A run may have at most %d labels, not %d.",
                         RUN_SPEC_MAX_LABELS, n_labels);
        return;
    }
    const cJSON *label = NULL;
    cJSON_ArrayForEach(label, item) {
        read_label(parse, field, label);
    }
}

/* {"epoch": 80, "lr": 0.0001}, and nothing else in it. false: refused. */
static bool read_step(struct parse *parse, const struct field *field, const cJSON *item,
                      struct lr_step *ret_step) {
    const cJSON *epoch = cJSON_GetObjectItemCaseSensitive(item, "epoch");
    const cJSON *lr = cJSON_GetObjectItemCaseSensitive(item, "lr");
    bool good_epoch = cJSON_IsNumber(epoch) && epoch->valuedouble >= 0 &&
                      epoch->valuedouble <= 100000 &&
                      epoch->valuedouble == floor(epoch->valuedouble);
    bool good_lr = cJSON_IsNumber(lr) && lr->valuedouble >= 1e-12 && lr->valuedouble <= 100;
    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != 2 || !good_epoch || !good_lr) {
        field_errors_add(parse->errors, field->name,
                         "Each step of lr_schedule must look like {\"epoch\":80,\"lr\":0.0001}: "
                         "epoch a whole number from 0 to 100000 (epochs are counted from 0 here), "
                         "lr a number between 1e-12 and 100.");
        return false;
    }
    *ret_step = (struct lr_step){.epoch = (int)epoch->valuedouble, .lr = lr->valuedouble};
    return true;
}

static void read_steps(struct parse *parse, const struct field *field, const cJSON *array) {
    struct run_config *config = &parse->spec.config;
    if (cJSON_GetArraySize(array) > RUN_MAX_LR_STEPS) {
        field_errors_add(parse->errors, field->name, "lr_schedule may have at most %d steps.",
                         RUN_MAX_LR_STEPS);
        return;
    }
    struct lr_step steps[RUN_MAX_LR_STEPS];
    int n_steps = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, array) {
        if (!read_step(parse, field, item, &steps[n_steps])) {
            return;
        }
        if (n_steps > 0 && steps[n_steps].epoch <= steps[n_steps - 1].epoch) {
            field_errors_add(parse->errors, field->name,
                             "The epochs of lr_schedule must rise from step to step, but %d "
                             "follows %d.",
                             steps[n_steps].epoch, steps[n_steps - 1].epoch);
            return;
        }
        n_steps++;
    }
    config->lr_schedule = LR_SCHEDULE_STEPS;
    config->n_lr_steps = n_steps;
    memset(config->lr_steps, 0, sizeof(config->lr_steps));
    memcpy(config->lr_steps, steps, sizeof(steps[0]) * (size_t)n_steps);
}

static void read_schedule(struct parse *parse, const struct field *field, const cJSON *item) {
    struct run_config *config = &parse->spec.config;
    parse->schedule_given = true;
    if (cJSON_IsArray(item)) {
        read_steps(parse, field, item);
        return;
    }
    const char *word = cJSON_IsString(item) ? item->valuestring : "";
    bool cosine = strcmp(word, "cosine") == 0;
    if (!cosine && strcmp(word, "constant") != 0) {
        field_errors_add(parse->errors, field->name,
                         "lr_schedule must be \"constant\", \"cosine\" or steps like "
                         "[{\"epoch\":80,\"lr\":0.0001}], not %s.",
                         describe(item).text);
        return;
    }
    config->lr_schedule = cosine ? LR_SCHEDULE_COSINE : LR_SCHEDULE_STEPS;
    config->n_lr_steps = 0;
    memset(config->lr_steps, 0, sizeof(config->lr_steps));
}

void run_spec_read_preset(struct parse *parse, const cJSON *document) {
    size_t n_presets = 0;
    const struct run_preset *presets = run_presets(&n_presets);
    const struct run_preset *preset = &presets[0];
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(document, "preset");
    if (item) {
        const struct run_preset *named =
            cJSON_IsString(item) ? run_preset_find(item->valuestring) : NULL;
        if (!named) {
            const char *names[16];
            size_t n_names = 0;
            for (; n_names < n_presets && n_names < 16; n_names++) {
                names[n_names] = presets[n_names].name;
            }
            static const struct field field = {.name = "preset"};
            refuse_choice(parse, &field, item, names, n_names);
        }
        preset = named ? named : preset;
    }
    parse->spec.config = preset->config;
    (void)snprintf(parse->spec.config.dataset, RUN_NAME_SIZE, "%s",
                   parse->context->default_dataset);
}

/* "12" or 12, from 1. */
static bool read_id(const cJSON *item, int64_t *ret_id) {
    if (cJSON_IsNumber(item)) {
        double value = item->valuedouble;
        *ret_id = value >= 1 && value <= max_seed ? (int64_t)value : 0;
        return *ret_id > 0 && value == floor(value);
    }
    char *end = NULL;
    if (!cJSON_IsString(item) || item->valuestring[0] < '1' || item->valuestring[0] > '9') {
        return false;
    }
    *ret_id = strtoll(item->valuestring, &end, 10);
    return *end == '\0';
}

static void read_after(struct parse *parse, const struct field *field, const cJSON *item) {
    struct run_spec *spec = &parse->spec;
    const cJSON *id = NULL;
    int n = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : -1;
    bool good = n >= 0 && n <= RUN_SPEC_MAX_AFTER;
    cJSON_ArrayForEach(id, item) {
        good = good && read_id(id, &spec->after[spec->n_after]);
        spec->n_after += good;
    }
    if (!good) {
        field_errors_add(parse->errors, field->name,
                         "after must be a list of at most %d ids of runs, such as [\"1\",\"2\"].",
                         RUN_SPEC_MAX_AFTER);
    }
}

static const struct field *find_field(const char *name, const char **ret_near) {
    const char *names[N_FIELDS];
    for (size_t i = 0; i < N_FIELDS; i++) {
        names[i] = fields[i].name;
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    *ret_near = near_miss(name, names, N_FIELDS);
    return NULL;
}

bool run_spec_has_field(const char *name, const char **ret_near) {
    const char *near = NULL;
    bool found = find_field(name, &near) != NULL;
    if (ret_near) {
        *ret_near = near;
    }
    return found;
}

void run_spec_read_member(struct parse *parse, const cJSON *item) {
    const char *near = NULL;
    const struct field *field = find_field(item->string, &near);
    if (field) {
        field->read(parse, field, item);
    } else if (near) {
        field_errors_add(parse->errors, item->string,
                         "There is no field \"%.40s\". Did you mean \"%s\"?", item->string, near);
    } else {
        field_errors_add(parse->errors, item->string,
                         "There is no field \"%.40s\". GET /api/v1/presets shows all fields.",
                         item->string);
    }
}
