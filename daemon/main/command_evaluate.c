/* Layer: daemon/main. */
#include "daemon/main/command_evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/train/evaluate.h"
#include "daemon/spec/json_write.h"
#include "daemon/work/dataset_registry.h"

enum { EXIT_USAGE = 2 };

/* What is printed. */
struct evaluated {
    const struct evaluate_command *command;
    const struct dataset *dataset;
    int epochs_done;
    const struct evaluation *evaluation;
};

static void free_evaluation(struct evaluation **evaluation) {
    evaluation_free(*evaluation);
}

static double error_of(const struct evaluation *e) {
    return (double)e->n_wrong / e->n_images;
}

/* ---- the three forms ---- */

static void print_text(const struct evaluated *d) {
    const struct evaluation *e = d->evaluation;
    const struct confusion *c = &e->confusion;
    FILE *out = d->command->out;
    (void)fprintf(out, "%s, after %d epoch%s%s, on %s\n", d->command->path, d->epochs_done,
                  d->epochs_done == 1 ? "" : "s", d->command->ema ? ", average of the weights" : "",
                  d->dataset->name);
    (void)fprintf(out, "validation error %.2f %%: %d of %d images; cross-entropy %.4f\n",
                  100 * error_of(e), e->n_wrong, e->n_images, e->cross_entropy);
    for (int i = 0; i < c->n_classes; i++) {
        int n = 0;
        for (int j = 0; j < c->n_classes; j++) {
            n += c->counts[i][j];
        }
        (void)fprintf(out, "  %-*s %5d of %5d wrong\n", DATASET_CLASS_SIZE - 1, c->class_names[i],
                      n - c->counts[i][i], n);
    }
}

static void write_confusion(struct json_writer *writer, const struct confusion *c) {
    json_write_array(writer, "classes");
    for (int i = 0; i < c->n_classes; i++) {
        json_write_string(writer, NULL, c->class_names[i]);
    }
    json_write_end(writer, ']');
    json_write_array(writer, "counts");
    for (int i = 0; i < c->n_classes; i++) {
        json_write_array(writer, NULL);
        for (int j = 0; j < c->n_classes; j++) {
            json_write_int(writer, NULL, c->counts[i][j]);
        }
        json_write_end(writer, ']');
    }
    json_write_end(writer, ']');
}

static void write_images(struct json_writer *writer, const struct evaluated *d) {
    const struct evaluation *e = d->evaluation;
    int n_classes = e->confusion.n_classes;
    json_write_array(writer, "images");
    for (int i = 0; i < e->n_images; i++) {
        json_write_object(writer, NULL);
        json_write_int(writer, "label", d->dataset->test.labels[i]);
        json_write_int(writer, "predicted", e->predicted[i]);
        json_write_array(writer, "logits");
        for (int j = 0; j < n_classes; j++) {
            json_write_number(writer, NULL, (double)e->logits[(ptrdiff_t)i * n_classes + j]);
        }
        json_write_end(writer, ']');
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
}

static enum status print_json(const struct evaluated *d, struct error *error) {
    const struct evaluation *e = d->evaluation;
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_string(&writer, "checkpoint", d->command->path);
    json_write_int(&writer, "epoch", d->epochs_done);
    json_write_string(&writer, "dataset", d->dataset->name);
    json_write_string(&writer, "weights", d->command->ema ? "ema" : "plain");
    json_write_number(&writer, "val_error", error_of(e));
    json_write_int(&writer, "val_wrong", e->n_wrong);
    json_write_int(&writer, "val_total", e->n_images);
    json_write_number(&writer, "cross_entropy", e->cross_entropy);
    write_confusion(&writer, &e->confusion);
    write_images(&writer, d);
    json_write_end(&writer, '}');
    CLEANUP(free_pointer) char *text = json_write_take(&writer);
    if (!text) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the answer");
    }
    (void)fprintf(d->command->out, "%s\n", text);
    return STATUS_OK;
}

static void print_csv(const struct evaluated *d) {
    const struct evaluation *e = d->evaluation;
    FILE *out = d->command->out;
    int n_classes = e->confusion.n_classes;
    (void)fputs("image,label,predicted", out);
    for (int j = 0; j < n_classes; j++) {
        (void)fprintf(out, ",logit_%d", j);
    }
    for (int i = 0; i < e->n_images; i++) {
        (void)fprintf(out, "\n%d,%d,%d", i, d->dataset->test.labels[i], e->predicted[i]);
        for (int j = 0; j < n_classes; j++) {
            (void)fprintf(out, ",%.9g", (double)e->logits[(ptrdiff_t)i * n_classes + j]);
        }
    }
    (void)fputc('\n', out);
}

static enum status print(const struct evaluated *d, struct error *error) {
    if (strcmp(d->command->format, "json") == 0) {
        TRY(print_json(d, error));
    } else if (strcmp(d->command->format, "csv") == 0) {
        print_csv(d);
    } else {
        print_text(d);
    }
    return STATUS_OK;
}

/* ---- what is validated ---- */

/* The name in NAME=DIR, else that of the run. */
static void dataset_name(const struct evaluate_command *command, const struct run_config *config,
                         char ret_name[DATASET_NAME_SIZE]) {
    const char *name = command->dataset ? command->dataset : config->dataset;
    (void)snprintf(ret_name, DATASET_NAME_SIZE, "%.*s", (int)strcspn(name, "="), name);
}

static enum status evaluate_on(const struct evaluate_command *command,
                               const struct run_config *config, struct evaluated *d,
                               struct error *error) {
    CLEANUP(free_evaluation) struct evaluation *evaluation = NULL;
    struct evaluate_options options = {.path = command->path,
                                       .dataset = d->dataset,
                                       .n_threads = command->config->threads_per_run,
                                       .ema = command->ema};
    TRY(kernels_select(command->config->isa, &options.kernels, error));
    TRY(evaluate_checkpoint(&options, config, &evaluation, error));
    d->evaluation = evaluation;
    return print(d, error);
}

static enum status evaluate(const struct evaluate_command *command, struct error *error) {
    struct evaluated d = {.command = command};
    struct dataset_registry *registry = NULL;
    struct run_config config;
    char name[DATASET_NAME_SIZE];
    char sha256[SHA256_HEX_SIZE];
    TRY(evaluate_read_config(command->path, &config, &d.epochs_done, error));
    dataset_name(command, &config, name);
    TRY(dataset_registry_create(command->config, &registry, error));
    enum status status = dataset_registry_acquire(registry, name, &d.dataset, sha256, error);
    if (status == STATUS_OK) {
        status = evaluate_on(command, &config, &d, error);
        dataset_registry_release(registry, d.dataset);
    }
    dataset_registry_free(registry);
    return status;
}

int command_evaluate(const struct evaluate_command *command) {
    static const char *const formats[] = {"text", "json", "csv"};
    struct error error = {0};
    bool known = false;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        known = known || strcmp(command->format, formats[i]) == 0;
    }
    if (!known) {
        (void)fprintf(stderr, "cutoutd evaluate: --format is text, json or csv, not '%s'\n",
                      command->format);
        return EXIT_USAGE;
    }
    if (evaluate(command, &error) != STATUS_OK) {
        (void)fprintf(stderr, "cutoutd evaluate: %s\n", error.message);
        return 1;
    }
    return 0;
}
