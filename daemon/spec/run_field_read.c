/* Reads a value of the configuration as its row says. Layer: daemon. Thread rule: pure functions.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "daemon/spec/json_write.h"
#include "daemon/spec/run_spec_fields.h"

struct found run_field_describe(const cJSON *item) {
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
        const char *text = item->valuestring;
        size_t n = text_cut(text, strlen(text), 40);
        (void)snprintf(found.text, sizeof(found.text), "the string \"%.*s%s\"", (int)n, text,
                       text[n] ? "..." : "");
    }
    return found;
}

static double most_of(const struct parse *parse, const struct run_config_field *row) {
    return row->most_new > 0 && !parse->context->stored ? row->most_new : row->most;
}

/* Whole numbers, and numbers. */
static void read_number(struct parse *parse, const struct run_config_field *row,
                        const cJSON *item) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    double most = most_of(parse, row);
    bool whole = row->type != RUN_CONFIG_NUMBER;
    if (value >= row->least && value <= most && isfinite(value) &&
        (!whole || value == floor(value))) {
        run_config_set_number(row, &parse->spec.config, value);
    } else if (isinf(most)) {
        field_errors_add(parse->errors, row->name, "%s must be a number of at least %g, not %s.",
                         row->name, row->least, run_field_describe(item).text);
    } else if (whole) {
        field_errors_add(parse->errors, row->name,
                         "%s must be a whole number between %.0f and %.0f, not %s.", row->name,
                         row->least, most, run_field_describe(item).text);
    } else {
        field_errors_add(parse->errors, row->name, "%s must be a number between %g and %g, not %s.",
                         row->name, row->least, most, run_field_describe(item).text);
    }
}

static void read_depth(struct parse *parse, const struct run_config_field *row, const cJSON *item) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (!(value >= row->least && value <= row->most)) {
        field_errors_add(parse->errors, row->name,
                         "depth must be 6n+2 between 8 and 110 (8, 14, 20, ... 44, ... 110), not "
                         "%s.",
                         run_field_describe(item).text);
        return;
    }
    double n = floor((value - 2) / 6);
    if (value != 6 * n + 2) {
        field_errors_add(parse->errors, row->name,
                         "depth must be 6n+2 between 8 and 110, not %s; the nearest are %.0f and "
                         "%.0f.",
                         run_field_describe(item).text, 6 * n + 2, 6 * n + 8);
        return;
    }
    run_config_set_number(row, &parse->spec.config, value);
}

static void read_bool(struct parse *parse, const struct run_config_field *row, const cJSON *item) {
    if (!cJSON_IsBool(item)) {
        field_errors_add(parse->errors, row->name, "%s must be true or false, not %s.", row->name,
                         run_field_describe(item).text);
        return;
    }
    run_config_set_number(row, &parse->spec.config, cJSON_IsTrue(item));
}

/* Says which words `item` may be, and which one was probably meant. */
void run_field_refuse_choice(struct parse *parse, const char *name, const cJSON *item,
                             const char *const *words, size_t n_words) {
    char list[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < n_words && used < sizeof(list); i++) {
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", words[i]);
    }
    const char *near = cJSON_IsString(item) ? near_miss(item->valuestring, words, n_words) : NULL;
    field_errors_add(parse->errors, name, "%s must be one of %s, not %s.%s%s%s", name, list,
                     run_field_describe(item).text, near ? " Did you mean " : "", near ? near : "",
                     near ? "?" : "");
}

static void read_choice(struct parse *parse, const struct run_config_field *row,
                        const cJSON *item) {
    for (int i = 0; i < row->n_words; i++) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, row->words[i]) == 0) {
            run_config_set_number(row, &parse->spec.config, i);
            return;
        }
    }
    run_field_refuse_choice(parse, row->name, item, row->words, (size_t)row->n_words);
}

/* false, true, or one of the words behind these. */
static void read_switch(struct parse *parse, const struct run_config_field *row,
                        const cJSON *item) {
    if (cJSON_IsBool(item)) {
        run_config_set_number(row, &parse->spec.config, cJSON_IsTrue(item));
        return;
    }
    for (int i = 2; i < row->n_words; i++) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, row->words[i]) == 0) {
            run_config_set_number(row, &parse->spec.config, i);
            return;
        }
    }
    run_field_refuse_choice(parse, row->name, item, row->words, (size_t)row->n_words);
}

static void read_preset(struct parse *parse, const struct run_config_field *row,
                        const cJSON *item) {
    const char *names[16];
    size_t n_presets = 0;
    const struct run_preset *presets = run_presets(&n_presets);
    const char *name = cJSON_IsString(item) ? item->valuestring : "";
    const struct run_preset *named =
        run_preset_find(parse->older ? run_preset_of_older(name) : name);
    if (named) {
        run_spec_begin(parse, named);
        return;
    }
    size_t n = 0;
    for (; n < n_presets && n < sizeof(names) / sizeof(names[0]); n++) {
        names[n] = presets[n].name;
    }
    run_field_refuse_choice(parse, row->name, item, names, n);
}

static void read_dataset(struct parse *parse, const struct run_config_field *row,
                         const cJSON *item) {
    const struct run_spec_context *context = parse->context;
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    bool fits = text[0] && strlen(text) < RUN_NAME_SIZE && text_is_plain(text, strlen(text));
    bool known = fits && !context->dataset_names;
    for (size_t i = 0; fits && !known && i < context->n_dataset_names; i++) {
        known = strcmp(context->dataset_names[i], text) == 0;
    }
    if (known) {
        (void)snprintf(parse->spec.config.dataset, RUN_NAME_SIZE, "%s", text);
    } else if (!context->dataset_names) {
        field_errors_add(parse->errors, row->name,
                         "dataset must be a name of 1 to %d bytes of " TEXT_PLAIN_RULE ", not %s.",
                         RUN_NAME_SIZE - 1, run_field_describe(item).text);
    } else if (strcmp(text, "cifar10") == 0) {
        field_errors_add(parse->errors, row->name,
                         "This daemon was not told where cifar10 is: start it with --dataset "
                         "cifar10=DIR, or set cifar10 = DIR under [datasets] in its config file.");
    } else {
        run_field_refuse_choice(parse, row->name, item, context->dataset_names,
                                context->n_dataset_names);
    }
}

/* {"epoch": 80, "lr": 0.0001}, and nothing else in it. false: refused. */
static bool read_step(struct parse *parse, const char *name, const cJSON *item,
                      struct lr_step *ret_step) {
    const cJSON *epoch = cJSON_GetObjectItemCaseSensitive(item, "epoch");
    const cJSON *lr = cJSON_GetObjectItemCaseSensitive(item, "lr");
    bool good_epoch = cJSON_IsNumber(epoch) && epoch->valuedouble >= 0 &&
                      epoch->valuedouble <= 100000 &&
                      epoch->valuedouble == floor(epoch->valuedouble);
    bool good_lr =
        cJSON_IsNumber(lr) && lr->valuedouble >= RUN_LEAST_LR && lr->valuedouble <= RUN_MOST_LR;
    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != 2 || !good_epoch || !good_lr) {
        field_errors_add(parse->errors, name,
                         "Each step of lr_schedule must look like {\"epoch\":80,\"lr\":0.0001}: "
                         "epoch a whole number from 0 to 100000 (epochs are counted from 0 here), "
                         "lr a number between %g and %g.",
                         RUN_LEAST_LR, RUN_MOST_LR);
        return false;
    }
    *ret_step = (struct lr_step){.epoch = (int)epoch->valuedouble, .lr = lr->valuedouble};
    return true;
}

static void read_steps(struct parse *parse, const char *name, const cJSON *array) {
    struct run_config *config = &parse->spec.config;
    if (cJSON_GetArraySize(array) > RUN_MAX_LR_STEPS) {
        field_errors_add(parse->errors, name, "lr_schedule may have at most %d steps.",
                         RUN_MAX_LR_STEPS);
        return;
    }
    struct lr_step steps[RUN_MAX_LR_STEPS];
    int n_steps = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, array) {
        if (!read_step(parse, name, item, &steps[n_steps])) {
            return;
        }
        if (n_steps > 0 && steps[n_steps].epoch <= steps[n_steps - 1].epoch) {
            field_errors_add(parse->errors, name,
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

/* {"kind":"linear","warmup":0.2}; warmup may be left out. */
static void read_linear(struct parse *parse, const char *name, const cJSON *item) {
    struct run_config *config = &parse->spec.config;
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(item, "kind");
    const cJSON *warmup = cJSON_GetObjectItemCaseSensitive(item, "warmup");
    double share = warmup ? warmup->valuedouble : 0;
    bool good = cJSON_IsString(kind) && strcmp(kind->valuestring, "linear") == 0 &&
                (!warmup || cJSON_IsNumber(warmup)) && share >= 0 && share <= RUN_MOST_WARMUP;
    if (!good || cJSON_GetArraySize(item) != (warmup ? 2 : 1)) {
        field_errors_add(
            parse->errors, name,
            "A linear lr_schedule must look like {\"kind\":\"linear\",\"warmup\":0.2}: "
            "warmup is the share of all steps over which the rate rises, a number "
            "between 0 and %g.",
            RUN_MOST_WARMUP);
        return;
    }
    config->lr_schedule = LR_SCHEDULE_LINEAR;
    config->lr_warmup = share;
    config->n_lr_steps = 0;
    memset(config->lr_steps, 0, sizeof(config->lr_steps));
}

static void read_schedule(struct parse *parse, const struct run_config_field *row,
                          const cJSON *item) {
    struct run_config *config = &parse->spec.config;
    if (cJSON_IsArray(item)) {
        read_steps(parse, row->name, item);
        return;
    }
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "kind"));
    if (kind && strcmp(kind, "linear") != 0) {
        field_errors_add(parse->errors, row->name,
                         "Only a linear lr_schedule must look like {\"kind\":\"linear\",\"warmup\":"
                         "0.2}; the others are \"constant\", \"cosine\" and steps like "
                         "[{\"epoch\":80,\"lr\":0.0001}].");
        return;
    }
    if (cJSON_IsObject(item)) {
        read_linear(parse, row->name, item);
        return;
    }
    const char *word = cJSON_IsString(item) ? item->valuestring : "";
    bool cosine = strcmp(word, "cosine") == 0;
    if (!cosine && strcmp(word, "constant") != 0) {
        field_errors_add(parse->errors, row->name,
                         "lr_schedule must be \"constant\", \"cosine\", steps like "
                         "[{\"epoch\":80,\"lr\":0.0001}] or {\"kind\":\"linear\",\"warmup\":0.2}, "
                         "not %s.",
                         run_field_describe(item).text);
        return;
    }
    config->lr_schedule = cosine ? LR_SCHEDULE_COSINE : LR_SCHEDULE_STEPS;
    config->n_lr_steps = 0;
    memset(config->lr_steps, 0, sizeof(config->lr_steps));
}

/* {"val_error":0.06,"patience":10,"max_seconds":86400}, each of them optional. */
static void read_stop(struct parse *parse, const struct run_config_field *row, const cJSON *item) {
    static const char *const names[] = {"val_error", "patience", "max_seconds"};
    static const double most[] = {1, RUN_MOST_PATIENCE, RUN_MOST_SECONDS};
    enum { N_RULES = 3, PATIENCE = 1 };
    double values[N_RULES] = {0};
    const cJSON *member = NULL;
    if (!cJSON_IsObject(item)) {
        field_errors_add(parse->errors, row->name,
                         "stop must be an object like {\"val_error\":0.06,\"patience\":10,"
                         "\"max_seconds\":86400}, each of them optional, not %s.",
                         run_field_describe(item).text);
        return;
    }
    cJSON_ArrayForEach(member, item) {
        int i = 0;
        while (i < N_RULES && strcmp(names[i], member->string) != 0) {
            i++;
        }
        double value = cJSON_IsNumber(member) ? member->valuedouble : (double)NAN;
        if (i == N_RULES) {
            const char *near = near_miss(member->string, names, N_RULES);
            field_errors_add_inner(parse->errors, row->name, member->string,
                                   "stop has no rule of this name, but val_error, patience and "
                                   "max_seconds.%s%s%s",
                                   near ? " Did you mean " : "", near ? near : "", near ? "?" : "");
        } else if (!(value > 0 && value <= most[i]) || (i == PATIENCE && value != floor(value))) {
            field_errors_add_inner(parse->errors, row->name, names[i],
                                   "%s of stop must be a%s number above 0 and at most %g, not %s.",
                                   names[i], i == PATIENCE ? " whole" : "", most[i],
                                   run_field_describe(member).text);
        } else {
            values[i] = value;
        }
    }
    parse->spec.config.stop = (struct run_stop){
        .val_error = values[0], .patience = (int)values[PATIENCE], .max_seconds = values[2]};
}

void run_field_read(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    static void (*const readers[])(struct parse *, const struct run_config_field *,
                                   const cJSON *) = {
        [RUN_CONFIG_PRESET] = read_preset, [RUN_CONFIG_DATASET] = read_dataset,
        [RUN_CONFIG_INT] = read_number,    [RUN_CONFIG_DEPTH] = read_depth,
        [RUN_CONFIG_BOOL] = read_bool,     [RUN_CONFIG_NUMBER] = read_number,
        [RUN_CONFIG_SEED] = read_number,   [RUN_CONFIG_CHOICE] = read_choice,
        [RUN_CONFIG_SWITCH] = read_switch, [RUN_CONFIG_SCHEDULE] = read_schedule,
        [RUN_CONFIG_STOP] = read_stop,
    };
    const struct run_config_field *row = field->config;
    if (row->type == RUN_CONFIG_SCHEDULE) {
        parse->spec.config.lr_warmup = 0;
    }
    parse->lr_given |= row->offset == offsetof(struct run_config, lr);
    parse->schedule_given |= row->type == RUN_CONFIG_SCHEDULE;
    readers[row->type](parse, row, item);
}
