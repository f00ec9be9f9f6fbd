/* The fields of a run's configuration, one row each.
 *
 * Layer: core/config. Thread rule: constant data, and pure functions on their arguments.
 *
 * A row says all there is to say of a field: where it is kept and as what, its limits, what it is
 * for, what a run means that was stored before the field was there, and whether it changes the
 * arithmetic of a run. From it come the checks of run_config_check, the JSON form (daemon/spec),
 * the fingerprint of checkpoints and `cutoutctl --help`; a test holds openapi, the completion and
 * the README to it.
 */
#ifndef CUTOUTD_CORE_CONFIG_RUN_FIELDS_H
#define CUTOUTD_CORE_CONFIG_RUN_FIELDS_H

#include "core/config/run_config.h"

/* Limits of a learning rate, also of those in a schedule; the upper one of those that people give.
 */
#define RUN_LEAST_LR 1e-12
#define RUN_MOST_LR 100.0

enum run_config_type {
    RUN_CONFIG_PRESET,   /* char[RUN_NAME_SIZE], the name of a preset */
    RUN_CONFIG_DATASET,  /* char[RUN_NAME_SIZE], the name of a data set */
    RUN_CONFIG_INT,      /* int */
    RUN_CONFIG_DEPTH,    /* int, 6n+2 */
    RUN_CONFIG_BOOL,     /* bool */
    RUN_CONFIG_NUMBER,   /* double */
    RUN_CONFIG_SEED,     /* uint64_t, exact in a double */
    RUN_CONFIG_CHOICE,   /* an enum: the index into `words` */
    RUN_CONFIG_SCHEDULE, /* lr_schedule, n_lr_steps and lr_steps; the offset is of the first */
    RUN_CONFIG_SWITCH,   /* an enum as well, whose first two words are written as false and true */
    RUN_CONFIG_STOP,     /* struct run_stop */
};

struct run_config_field {
    const char *name;
    const char *help; /* for people, a sentence or less */
    enum run_config_type type;
    size_t offset;            /* of the value in struct run_config */
    double least, most;       /* of numbers; most may be infinite, the value must not be */
    double most_new;          /* of runs that are submitted from now on; 0: `most` */
    const char *const *words; /* of a choice */
    int n_words;
    const char *synonyms; /* "learning_rate, eta": what others call it; NULL: nothing */

    /* The bits of a run depend on it. (That of conv_algorithm is said as winograd=, that of epochs
     * within a cosine schedule.) */
    bool arithmetic;
    /* It came after the first release, so runs and checkpoints are stored that lack it: they mean
     * `older` (a number, false or true, the index of a word), whatever their preset says now. */
    bool later;
    double older;
};

/* All rows, in the order in which they are written. */
const struct run_config_field *run_config_fields(size_t *ret_count);

/* The value of a field as a number: false or true, the index of a word. Not of texts, the
 * schedule and `stop` (0). */
double run_config_number(const struct run_config_field *field, const struct run_config *config);
void run_config_set_number(const struct run_config_field *field, struct run_config *config,
                           double number);

/* Of a linear schedule. */
#define RUN_MOST_WARMUP 0.99

/* Limits of the rules of `stop`. */
#define RUN_MOST_PATIENCE 100000
#define RUN_MOST_SECONDS 1e9

/* Sets the fields that are `later` to what a run means that was stored without them. */
void run_config_set_older(struct run_config *config);

enum { RUN_FINGERPRINT_SIZE = 4096 };

/* Everything that the bits of a run depend on, as one readable line. Two runs may go on from each
 * other's checkpoints when their lines are equal. Later fields are in it only where they differ
 * from what older runs mean, so that checkpoints of before stay good. */
void run_config_fingerprint(const struct run_config *config, const char *kernels_name,
                            bool winograd, char ret_text[RUN_FINGERPRINT_SIZE]);

/* The fields that a line says: all that the bits depend on but the learning rates that follow the
 * first. conv_algorithm is what winograd= says; the rest is zero. STATUS_CORRUPT;
 * STATUS_UNSUPPORTED when a later release has written it. */
enum status run_config_from_fingerprint(const char *text, struct run_config *ret_config,
                                        struct error *error);

#endif
