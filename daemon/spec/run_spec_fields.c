/* Which fields a run has: those of a submission stand here, those of its configuration in
 * core/config/run_fields.c.
 *
 * Layer: daemon. Thread rule: pure functions.
 */
#include "daemon/spec/run_spec_fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/decimal.h"
#include "core/base/text.h"
#include "core/base/time_text.h"

enum { MAX_PRIORITY = 1000, MAX_FIELDS = 128 };
static const double max_id = 9007199254740991.0; /* of a JSON number: exact in a double */

static void read_name(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    size_t size = sizeof(parse->spec.name);
    if (!cJSON_IsString(item)) {
        field_errors_add(parse->errors, field->name, "name must be a string, not %s.",
                         run_field_describe(item).text);
    } else if (strlen(item->valuestring) >= size) {
        field_errors_add(parse->errors, field->name,
                         "name may have at most %zu bytes of UTF-8, not %zu.", size - 1,
                         strlen(item->valuestring));
    } else if (!text_is_plain(item->valuestring, strlen(item->valuestring))) {
        field_errors_add(parse->errors, field->name, "name must be " TEXT_PLAIN_RULE ".");
    } else {
        (void)snprintf(parse->spec.name, size, "%s", item->valuestring);
    }
}

static void read_priority(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (!(fabs(value) <= MAX_PRIORITY) || value != floor(value)) {
        field_errors_add(parse->errors, field->name,
                         "priority must be a whole number between %d and %d, not %s.",
                         -MAX_PRIORITY, MAX_PRIORITY, run_field_describe(item).text);
        return;
    }
    parse->spec.priority = (int)value;
}

static void read_hold(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    if (!cJSON_IsBool(item)) {
        field_errors_add(parse->errors, field->name, "hold must be true or false, not %s.",
                         run_field_describe(item).text);
        return;
    }
    parse->spec.hold = cJSON_IsTrue(item);
}

static void read_not_before(struct parse *parse, const struct spec_field *field,
                            const cJSON *item) {
    if (cJSON_IsNull(item)) {
        parse->spec.not_before_ms = 0;
    } else if (!cJSON_IsString(item) ||
               !time_parse(item->valuestring, &parse->spec.not_before_ms)) {
        field_errors_add(parse->errors, field->name,
                         "not_before must be a time such as 2030-01-31T20:00:00Z, or null, not %s.",
                         run_field_describe(item).text);
    }
}

/* Names as of tokens; which of them there are, only the store knows. */
static void read_notify(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    char *list = parse->spec.notify;
    size_t size = sizeof(parse->spec.notify);
    size_t used = 0;
    const cJSON *name = NULL;
    bool good = cJSON_IsArray(item) && cJSON_GetArraySize(item) <= RUN_SPEC_MAX_NOTIFY;
    list[0] = '\0';
    for (name = good ? item->child : NULL; name; name = name->next) {
        size_t n = cJSON_IsString(name) ? strlen(name->valuestring) : 0;
        good = good && n > 0 && n < 64 && strspn(name->valuestring, allowed) == n;
        used += good ? (size_t)snprintf(list + used, size - used, "%s%s,", used ? "" : ",",
                                        name->valuestring)
                     : 0;
    }
    if (!good) {
        list[0] = '\0';
        field_errors_add(
            parse->errors, field->name,
            "notify must be a list of at most %d names of webhooks, such as [\"lab\"].",
            RUN_SPEC_MAX_NOTIFY);
    }
}

/* Keys are kept to what needs no quoting in a filter. */
static bool label_key_fits(const char *key) {
    size_t length = strlen(key);
    return length > 0 && length < RUN_SPEC_LABEL_SIZE &&
           strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") ==
               length;
}

static void read_label(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    struct run_spec *spec = &parse->spec;
    if (!label_key_fits(item->string)) {
        field_errors_add_inner(parse->errors, field->name, item->string,
                               "A label's key must be 1 to %d of the characters a-z A-Z 0-9 . _ - "
                               "/.",
                               RUN_SPEC_LABEL_SIZE - 1);
        return;
    }
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= RUN_SPEC_LABEL_SIZE ||
        !text_is_plain(item->valuestring, strlen(item->valuestring))) {
        field_errors_add_inner(
            parse->errors, field->name, item->string,
            "A label's value must be a string of at most %d bytes of " TEXT_PLAIN_RULE ", not %s.",
            RUN_SPEC_LABEL_SIZE - 1, run_field_describe(item).text);
        return;
    }
    struct run_label *label = &spec->labels[spec->n_labels++];
    (void)snprintf(label->key, sizeof(label->key), "%s", item->string);
    (void)snprintf(label->value, sizeof(label->value), "%s", item->valuestring);
}

static void read_labels(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    if (!cJSON_IsObject(item)) {
        field_errors_add(parse->errors, field->name,
                         "labels must be an object of strings like {\"team\":\"vision\"}, not %s.",
                         run_field_describe(item).text);
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

/* "12" or 12, from 1. */
static bool read_id(const cJSON *item, int64_t *ret_id) {
    if (cJSON_IsNumber(item)) {
        double value = item->valuedouble;
        *ret_id = value >= 1 && value <= max_id ? (int64_t)value : 0;
        return *ret_id > 0 && value == floor(value);
    }
    return cJSON_IsString(item) && text_to_id(item->valuestring, INT64_MAX, ret_id);
}

static void read_after(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    struct run_spec *spec = &parse->spec;
    const cJSON *id = NULL;
    bool good = cJSON_IsArray(item) && cJSON_GetArraySize(item) <= RUN_SPEC_MAX_AFTER;
    for (id = good ? item->child : NULL; good && id; id = id->next) {
        good = read_id(id, &spec->after[spec->n_after++]);
    }
    if (!good) {
        field_errors_add(parse->errors, field->name,
                         "after must be a list of at most %d ids of runs, such as [\"1\",\"2\"].",
                         RUN_SPEC_MAX_AFTER);
    }
}

static void read_executor(struct parse *parse, const struct spec_field *field, const cJSON *item) {
    const struct run_spec_context *context = parse->context;
    size_t size = sizeof(parse->spec.executor);
    bool fits = cJSON_IsString(item) && item->valuestring[0] && strlen(item->valuestring) < size &&
                text_is_plain(item->valuestring, strlen(item->valuestring));
    bool known = fits && !context->executor_names;
    for (size_t i = 0; fits && !known && i < context->n_executor_names; i++) {
        known = strcmp(context->executor_names[i], item->valuestring) == 0;
    }
    if (known) {
        (void)snprintf(parse->spec.executor, size, "%s", item->valuestring);
    } else {
        run_field_refuse_choice(parse, field->name, item, context->executor_names,
                                context->n_executor_names);
    }
}

/* Before the configuration, and after it. */
static const struct spec_field before[] = {
    {"name", "For people; at most 127 bytes.", read_name, NULL},
};
static const struct spec_field behind[] = {
    {"priority", "Higher runs first.", read_priority, NULL},
    {"labels", "Names and values of your own, to find runs by.", read_labels, NULL},
    {"executor",
     "What shall train the run: the name of an executor; the first one of the daemon when it is "
     "left out.",
     read_executor, NULL},
    {"hold", "Do not start before it is released.", read_hold, NULL},
    {"not_before", "Do not start earlier, a time such as 2030-01-31T20:00:00Z.", read_not_before,
     NULL},
    {"after", "Runs that must succeed before.", read_after, NULL},
    {"notify", "Names of webhooks that are told when it ends.", read_notify, NULL},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

bool run_spec_field_at(size_t index, struct spec_field *ret_field) {
    size_t n_config = 0;
    const struct run_config_field *config = run_config_fields(&n_config);
    if (index < COUNT(before)) {
        *ret_field = before[index];
        return true;
    }
    index -= COUNT(before);
    if (index < n_config) {
        *ret_field = (struct spec_field){config[index].name, config[index].help, run_field_read,
                                         &config[index]};
        return true;
    }
    index -= n_config;
    if (index < COUNT(behind)) {
        *ret_field = behind[index];
        return true;
    }
    return false;
}

/* Whether `word` is one of "word, word". */
static bool is_among(const char *words, const char *word) {
    size_t length = strlen(word);
    while (words && *words) {
        size_t n = strcspn(words, ",");
        if (n == length && strncmp(words, word, n) == 0) {
            return true;
        }
        words += n;
        words += strspn(words, ", ");
    }
    return false;
}

/* false: there is none; *ret_near is the one that was most likely meant, or NULL. */
static bool find_field(const char *name, struct spec_field *ret_field, const char **ret_near) {
    const char *names[MAX_FIELDS];
    size_t n = 0;
    *ret_near = NULL;
    for (; n < MAX_FIELDS && run_spec_field_at(n, ret_field); n++) {
        names[n] = ret_field->name;
        if (strcmp(ret_field->name, name) == 0) {
            return true;
        }
        if (ret_field->config && is_among(ret_field->config->synonyms, name)) {
            *ret_near = ret_field->name;
        }
    }
    if (!*ret_near) {
        *ret_near = near_miss(name, names, n);
    }
    return false;
}

bool run_spec_has_field(const char *name, const char **ret_near) {
    const char *near = NULL;
    struct spec_field field;
    bool found = find_field(name, &field, &near);
    if (ret_near) {
        *ret_near = near;
    }
    return found;
}

bool run_spec_has_config_field(const char *name) {
    const char *near = NULL;
    struct spec_field field;
    return find_field(name, &field, &near) && field.config;
}

bool run_spec_field_help(size_t index, const char **ret_name, const char **ret_help) {
    struct spec_field field;
    bool found = run_spec_field_at(index, &field);
    if (found) {
        *ret_name = field.name;
        *ret_help = field.help;
    }
    return found;
}

void run_spec_read_member(struct parse *parse, const char *name, const cJSON *value) {
    const char *near = NULL;
    struct spec_field field;
    if (find_field(name, &field, &near)) {
        field.read(parse, &field, value);
    } else if (near) {
        field_errors_add(parse->errors, name, "There is no field \"%.40s\". Did you mean \"%s\"?",
                         name, near);
    } else {
        field_errors_add(parse->errors, name,
                         "There is no field \"%.40s\". GET /api/v1/presets shows all fields.",
                         name);
    }
}
