/* What a checkpoint says of the run it belongs to. Layer: core/config. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/run_fields.h"

struct line {
    char *text;
    size_t used;
};

static void append(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(struct line *line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t rest = RUN_FINGERPRINT_SIZE - line->used;
    int n = vsnprintf(line->text + line->used, rest, format, arguments);
    va_end(arguments);
    /* The room is for all there can be: a test fills it. */
    line->used += n > 0 && (size_t)n < rest ? (size_t)n : 0;
}

/* The fields of the first release, in the words and the order of its checkpoints: this never
 * changes. A test holds it to the rows. */
static void append_first(struct line *line, const struct run_config *c, const char *kernels_name,
                         bool winograd) {
    append(line,
           "kernels=%s winograd=%d dataset=%s train_images=%d normalise=%s depth=%d batch_size=%d "
           "m=%d copies=%s cutout=%dx%d shift=%.17g flip=%d crop_pad=%d drop_last=%d optimizer=%s "
           "momentum=%.17g nesterov=%d l2=%.17g l2_dense=%d seed=%" PRIu64
           " lr=%.17g plateau=%d test_images=%d schedule=",
           kernels_name, winograd, c->dataset, c->train_images, normalise_name(c->normalise),
           c->depth, c->batch_size, c->m, copies_name(c->copies), c->cutout_squares, c->cutout_size,
           c->shift, c->flip, c->crop_pad, c->drop_last, optimizer_name(c->optimizer), c->momentum,
           c->nesterov, c->l2, c->l2_dense, c->seed, c->lr, c->lr_plateau, c->test_images);
    if (c->lr_schedule == LR_SCHEDULE_COSINE) {
        append(line, " cosine over %d epochs", c->epochs);
        return;
    }
    if (c->lr_schedule == LR_SCHEDULE_LINEAR) {
        append(line, " linear over %d epochs, warmup %.17g", c->epochs, c->lr_warmup);
        return;
    }
    for (int i = 0; i < c->n_lr_steps; i++) {
        append(line, " %d:%.17g", c->lr_steps[i].epoch, c->lr_steps[i].lr);
    }
}

void run_config_fingerprint(const struct run_config *config, const char *kernels_name,
                            bool winograd, char ret_text[RUN_FINGERPRINT_SIZE]) {
    struct line line = {.text = ret_text};
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    append_first(&line, config, kernels_name, winograd);
    for (size_t i = 0; i < n_fields; i++) {
        const struct run_config_field *field = &fields[i];
        double value = run_config_number(field, config);
        if (!field->later || !field->arithmetic || value == field->older) {
            continue;
        }
        if (field->type == RUN_CONFIG_CHOICE) {
            append(&line, " %s=%s", field->name, field->words[(int)value]);
        } else {
            append(&line, " %s=%.17g", field->name, value);
        }
    }
}

/* ---- and back ---- */

static const struct run_config_field *find_field(const char *name) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    for (size_t i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

/* A number, or the index of a word; -1: neither. No value of a field is negative. */
static double read_number(const struct run_config_field *field, const char *value) {
    for (int i = 0; i < field->n_words; i++) {
        if (strcmp(field->words[i], value) == 0) {
            return i;
        }
    }
    char *end = NULL;
    double number = strtod(value, &end);
    return *value && *end == '\0' && number >= field->least && number <= field->most ? number : -1;
}

/* Words of append_first that are no field's name. */
static bool read_special(const char *name, const char *value, struct run_config *config) {
    if (strcmp(name, "cutout") == 0) {
        (void)sscanf(value, "%dx%d", &config->cutout_squares, &config->cutout_size);
    } else if (strcmp(name, "winograd") == 0) {
        config->conv_algorithm = *value == '1' ? CONV_WINOGRAD : CONV_DIRECT;
    } else if (strcmp(name, "plateau") == 0) {
        config->lr_plateau = *value == '1';
    } else if (strcmp(name, "dataset") == 0) {
        (void)snprintf(config->dataset, sizeof(config->dataset), "%s", value);
    } else {
        return strcmp(name, "kernels") == 0 || strcmp(name, "schedule") == 0;
    }
    return true;
}

static enum status read_word(const char *name, const char *value, struct run_config *config,
                             struct error *error) {
    if (read_special(name, value, config)) {
        return STATUS_OK;
    }
    const struct run_config_field *field = find_field(name);
    if (!field) {
        return error_set(error, STATUS_UNSUPPORTED,
                         "a later release has trained it: there is no field '%.60s' here", name);
    }
    double number = read_number(field, value);
    if (number < 0) {
        return error_set(error, STATUS_CORRUPT, "%s cannot be '%.60s'", name, value);
    }
    run_config_set_number(field, config, number);
    return STATUS_OK;
}

enum status run_config_from_fingerprint(const char *text, struct run_config *ret_config,
                                        struct error *error) {
    char words[RUN_FINGERPRINT_SIZE];
    if ((size_t)snprintf(words, sizeof(words), "%s", text) >= sizeof(words)) {
        return error_set(error, STATUS_CORRUPT, "what it says of its run is too long");
    }
    memset(ret_config, 0, sizeof(*ret_config));
    run_config_set_older(ret_config);
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *sign = strchr(word, '=');
        if (sign) { /* else a step of the schedule */
            *sign = '\0';
            TRY(read_word(word, sign + 1, ret_config, error));
        }
    }
    return ret_config->depth > 0
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "it does not say what its run was");
}
