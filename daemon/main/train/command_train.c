/* Layer: daemon. */
#include "daemon/main/train/command_train.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/train/trainer.h"
#include "daemon/config/text_file.h"
#include "daemon/main/train/progress_bar.h"
#include "daemon/main/train/train_output.h"
#include "daemon/spec/run_spec.h"
#include "daemon/work/dataset_registry.h"

enum { MAX_SPEC_BYTES = 64 << 10, EXIT_INVALID_RUN = 2 };

/* The signal that asked for an end, or 0: all that a signal handler may touch. */
static volatile sig_atomic_t stop_signal;

static void on_signal(int number) {
    stop_signal = number;
}

/* A terminal that is closed asks for an end too: by SIGHUP, or, when it was a pipe of ssh, by
 * SIGPIPE at the next line. */
static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

enum { N_END_SIGNALS = sizeof(end_signals) / sizeof(end_signals[0]) };

static struct sigaction former_actions[N_END_SIGNALS];

/* SA_RESETHAND: the second signal ends the process as if nobody handled it; but not SIGPIPE, which
 * comes with every line. nohup has SIGHUP ignored, and it stays so. */
static void signals_handle(void) {
    stop_signal = 0;
    (void)signal(SIGXFSZ, SIG_IGN); /* the write fails with EFBIG, which says what is wrong */
    for (int i = 0; i < N_END_SIGNALS; i++) {
        int number = end_signals[i];
        const struct sigaction action = {.sa_handler = on_signal,
                                         .sa_flags = (number == SIGPIPE ? 0 : (int)SA_RESETHAND) |
                                                     SA_RESTART};
        (void)sigaction(number, &action, &former_actions[i]);
        if (number == SIGHUP && former_actions[i].sa_handler == SIG_IGN) {
            (void)signal(number, SIG_IGN);
        }
    }
}

static void signals_restore(void) {
    for (int i = 0; i < N_END_SIGNALS; i++) {
        (void)sigaction(end_signals[i], &former_actions[i], NULL);
    }
}

struct train {
    const struct train_options *options;
    struct run_spec spec;
    struct dataset_registry *registry;
    const struct dataset *dataset;
    char dataset_sha256[SHA256_HEX_SIZE];
    const struct kernels *kernels;
    struct train_output *output; /* NULL: none is kept */
    struct progress_bar bar;
};

/* ---- what to train ---- */

static enum status spec_text(const char *path, char **ret_text, size_t *ret_n_bytes,
                             struct error *error) {
    const char *file = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    return text_file_read_any(file, MAX_SPEC_BYTES, ret_text, ret_n_bytes, error);
}

/* Prints all that is wrong with the file, a line each. */
static void print_field_errors(FILE *out, const char *path, const struct field_errors *errors) {
    for (int i = 0; i < errors->n; i++) {
        const struct field_error *item = &errors->items[i];
        (void)fprintf(out, "%s: %s%s%s\n", path, item->pointer, item->pointer[0] ? ": " : "",
                      item->detail);
    }
}

static enum status spec_read(struct train *train, struct error *error) {
    const struct train_options *o = train->options;
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    TRY(spec_text(o->spec_path, &text, &n_bytes, error));
    const struct run_spec_context context = {
        .dataset_names = dataset_registry_names(train->registry),
        .n_dataset_names = dataset_registry_count(train->registry),
        .default_dataset = dataset_registry_default(train->registry),
        .conv_algorithm = train->options->config->conv_algorithm,
    };
    struct field_errors errors;
    enum status status = run_spec_parse(text, n_bytes, &context, &train->spec, &errors);
    if (status != STATUS_OK) {
        print_field_errors(o->out, o->spec_path, &errors);
        return error_set(error, STATUS_INVALID, "%s does not describe a run", o->spec_path);
    }
    return STATUS_OK;
}

static enum status memory_check(const struct train *train, struct error *error) {
    struct dataset_description dataset;
    dataset_registry_find(train->registry, train->spec.config.dataset, &dataset);
    int64_t needed = trainer_memory_bytes(&train->spec.config, dataset.n_classes, train->kernels,
                                          train->options->config->threads_per_run);
    if (needed > train->options->config->memory_limit_bytes) {
        return error_set(error, STATUS_INVALID,
                         "a step of %d x %d images takes %.1f GiB, memory_limit allows %.1f",
                         run_batch_sources(&train->spec.config), train->spec.config.m,
                         (double)needed / 0x1p30,
                         (double)train->options->config->memory_limit_bytes / 0x1p30);
    }
    return STATUS_OK;
}

/* A run that was begun before goes on with the kernels it was begun with. */
static enum status output_claim(struct train *train, struct error *error) {
    CLEANUP(free_pointer) char *json = run_spec_to_json(&train->spec);
    CLEANUP(free_pointer) char *text = NULL;
    if (!json || asprintf(&text, "%s\n", json) < 0) {
        text = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory for the run's config");
    }
    TRY(train_output_claim(train->output, text, error));
    char variant[VARIANT_NAME_SIZE];
    TRY(train_output_claim_origin(train->output, train->dataset_sha256, train->kernels->name,
                                  variant, error));
    train->kernels = kernels_find(variant);
    if (!train->kernels) {
        return error_set(error, STATUS_UNSUPPORTED,
                         "the run in %s was begun with the kernels '%s', which this machine does "
                         "not have",
                         train->output->directory, variant);
    }
    return STATUS_OK;
}

/* ---- reports of the trainer ---- */

static enum status on_step(void *user, const struct step_report *report, struct error *error) {
    struct train *train = user;
    (void)error;
    progress_bar_step(&train->bar, report);
    return STATUS_OK;
}

static enum status on_epoch(void *user, const struct epoch_report *report, struct error *error) {
    struct train *train = user;
    progress_bar_epoch(&train->bar, report, train->spec.config.epochs);
    return train->output ? epochs_csv_put(&train->output->csv, report, error) : STATUS_OK;
}

static enum status on_checkpoint(void *user, const struct checkpoint_report *report,
                                 struct error *error) {
    const struct train *train = user;
    return train_output_note_digest(train->output, report->path, report->sha256, error);
}

static bool should_stop(void *user) {
    (void)user;
    return stop_signal != 0;
}

/* ---- training ---- */

static enum status train_from(struct train *train, const struct train_checkpoint *checkpoint,
                              struct trainer_result *ret_result, struct error *error) {
    const struct config *config = train->options->config;
    if (train->output) {
        epochs_csv_cut(&train->output->csv, checkpoint ? checkpoint->epochs_done : 0);
    }
    const struct trainer_options options = {
        .config = &train->spec.config,
        .dataset = train->dataset,
        .kernels = train->kernels,
        .clock = &clock_system,
        .n_threads = config->threads_per_run,
        .pin_threads = config->pin_threads,
        .checkpoint_dir = train->output ? train->output->checkpoint_dir : NULL,
        .checkpoint_interval_s = config->checkpoint_interval_s,
        .resume_path = checkpoint ? checkpoint->path : NULL,
        .resume_sha256 = checkpoint && checkpoint->sha256[0] ? checkpoint->sha256 : NULL,
    };
    const struct trainer_callbacks callbacks = {
        .user = train,
        .on_step = on_step,
        .on_epoch = on_epoch,
        .on_checkpoint = train->output ? on_checkpoint : NULL,
        .should_stop = should_stop,
    };
    return trainer_run(&options, &callbacks, ret_result, error);
}

/* Goes on from the newest checkpoint that is whole and whose epochs are all in epochs.csv. */
static enum status train_on(struct train *train, const struct train_checkpoint *checkpoints,
                            int n_checkpoints, struct trainer_result *ret_result,
                            struct error *error) {
    FILE *out = train->options->out;
    for (int i = 0; i < n_checkpoints; i++) {
        const struct train_checkpoint *c = &checkpoints[i];
        if (c->epochs_done > train->output->csv.n_rows) {
            (void)fprintf(out, "%s is passed over: epochs.csv ends with epoch %d\n", c->path,
                          train->output->csv.n_rows);
            continue;
        }
        (void)fprintf(out, "continuing after epoch %d, step %d\n", c->epochs_done, c->step);
        enum status status = train_from(train, c, ret_result, error);
        if (status != STATUS_CORRUPT) {
            return status;
        }
        (void)fprintf(out, "%s\n", error->message);
    }
    return error_set(
        error, STATUS_CORRUPT,
        "no checkpoint in %s can be continued from; remove the directory to begin anew",
        train->output->directory);
}

static enum status train_all(struct train *train, struct trainer_result *ret_result,
                             struct error *error) {
    CLEANUP(free_pointer) struct train_checkpoint *checkpoints = NULL;
    int n_checkpoints = 0;
    if (train->output) {
        TRY(train_output_checkpoints(train->output, &checkpoints, &n_checkpoints, error));
    }
    return n_checkpoints > 0 ? train_on(train, checkpoints, n_checkpoints, ret_result, error)
                             : train_from(train, NULL, ret_result, error);
}

static void print_beginning(const struct train *train) {
    const struct run_config *c = &train->spec.config;
    (void)fprintf(train->options->out,
                  "ResNet-%d on %s: %d epoch%s, batch %d x M %d (%s), cutout %d, %s; kernels %s, "
                  "%d thread%s\n",
                  c->depth, c->dataset, c->epochs, c->epochs == 1 ? "" : "s", c->batch_size, c->m,
                  copies_name(c->copies), c->cutout_size, optimizer_name(c->optimizer),
                  train->kernels->name, train->options->config->threads_per_run,
                  train->options->config->threads_per_run == 1 ? "" : "s");
}

static void print_end(const struct train *train, enum status status,
                      const struct trainer_result *result, const struct error *error) {
    FILE *out = train->options->out;
    const char *directory = train->output ? train->output->directory : NULL;
    if (status == STATUS_OK) {
        (void)fprintf(out, "done: %d epoch%s, fewest wrong in epoch %d: %d%s%s%s%s%s\n",
                      result->epochs_done, result->epochs_done == 1 ? "" : "s", result->best_epoch,
                      result->best_wrong, result->diverged ? "; it diverged" : "",
                      result->reason[0] ? "; " : "", result->reason, directory ? "; see " : "",
                      directory ? directory : "");
    } else if (status != STATUS_STOPPED) {
        (void)fprintf(out, "cutoutd train: %s\n", error->message);
    } else if (directory) {
        (void)fprintf(out, "%s; a checkpoint is in %s: the same command goes on from there\n",
                      error->message, directory);
    } else {
        (void)fprintf(out, "%s; nothing was kept, as there was no --output DIR\n", error->message);
    }
}

static enum status train_prepare(struct train *train, struct train_output *output,
                                 struct error *error) {
    const struct train_options *o = train->options;
    TRY(dataset_registry_create(o->config, &train->registry, error));
    TRY(spec_read(train, error));
    TRY(kernels_select(o->config->isa, &train->kernels, error));
    TRY(memory_check(train, error));
    if (o->output_dir) {
        TRY(train_output_open(o->output_dir, output, error));
        train->output = output;
    }
    TRY(dataset_registry_acquire(train->registry, train->spec.config.dataset, &train->dataset,
                                 train->dataset_sha256, error));
    return train->output ? output_claim(train, error) : STATUS_OK;
}

int command_train(const struct train_options *options) {
    struct train train = {.options = options};
    struct train_output output = {.lock_fd = -1};
    struct trainer_result result = {0};
    struct error error = {0};
    signals_handle();
    enum status status = train_prepare(&train, &output, &error);
    if (status == STATUS_OK) {
        print_beginning(&train);
        progress_bar_begin(&train.bar, options->out, isatty(fileno(options->out)) == 1,
                           &clock_system);
        status = train_all(&train, &result, &error);
        progress_bar_clear(&train.bar);
    }
    print_end(&train, status, &result, &error);
    if (train.dataset) {
        dataset_registry_release(train.registry, train.dataset);
    }
    dataset_registry_free(train.registry);
    train_output_close(&output);
    signals_restore();
    if (status == STATUS_STOPPED) {
        return 128 + (int)stop_signal;
    }
    return status == STATUS_OK ? 0 : status == STATUS_INVALID ? EXIT_INVALID_RUN : 1;
}
