/* What a checkpoint says of the run it belongs to. Layer: core/config. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

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
