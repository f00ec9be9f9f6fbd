/* Layer: daemon. */
#include "daemon/main/bench/command_bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "daemon/main/bench/bench_print.h"

enum { TEST_IMAGES = 64, MAX_RUNS = 16 };

struct command {
    struct bench_options bench;
    int n_runs;
    int n_threads[MAX_RUNS];
    bool json;
    const char *isa;
};

/* ---- options ---- */

/* "1,2,4" */
static bool parse_threads(const char *text, struct command *c) {
    char copy[128];
    char *rest = copy;
    if (strlen(text) >= sizeof(copy)) {
        return false;
    }
    (void)snprintf(copy, sizeof(copy), "%s", text);
    c->n_runs = 0;
    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
        if (c->n_runs == MAX_RUNS ||
            !text_to_int(word, 1, TEAM_MAX_THREADS, &c->n_threads[c->n_runs++])) {
            return false;
        }
    }
    return true;
}

static bool parse_option(struct command *c, const char *name, const char *value) {
    struct run_config *config = &c->bench.config;
    int seconds = 0;
    if (!strcmp(name, "--depth")) {
        return text_to_int(value, 8, 110, &config->depth);
    } else if (!strcmp(name, "--batch")) {
        return text_to_int(value, 1, 65536, &config->batch_size);
    } else if (!strcmp(name, "--m")) {
        return text_to_int(value, 1, 1024, &config->m);
    } else if (!strcmp(name, "--threads")) {
        return parse_threads(value, c);
    } else if (!strcmp(name, "--seconds")) {
        bool good = text_to_int(value, 1, 3600, &seconds);
        c->bench.seconds = seconds;
        return good;
    } else if (!strcmp(name, "--isa")) {
        c->isa = value;
        return true;
    } else if (!strcmp(name, "--conv-algorithm")) {
        return conv_algorithm_from_name(value, &config->conv_algorithm);
    } else if (!strcmp(name, "--activations")) {
        return activations_from_name(value, &config->activations);
    } else if (!strcmp(name, "--format")) {
        c->json = !strcmp(value, "json");
        return c->json || !strcmp(value, "text");
    }
    return false;
}

static enum status parse_options(struct command *c, int argc, char *const *argv,
                                 struct error *error) {
    cpu_set_t set;
    int n_cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    c->isa = getenv("CUTOUTD_ISA");
    c->bench.config = run_preset_find("notebook-q3")->config;
    c->bench.config.batch_size = 64;
    c->bench.config.m = 1;
    c->bench.seconds = 10.0;
    c->n_runs = 1;
    c->n_threads[0] = n_cpus < TEAM_MAX_THREADS ? n_cpus : TEAM_MAX_THREADS;
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--profile")) {
            c->bench.profile = true;
        } else if (!strcmp(argv[i], "--streamed")) {
            c->bench.streamed = true;
        } else if (i + 1 == argc || !parse_option(c, argv[i], argv[i + 1])) {
            return error_set(error, STATUS_INVALID,
                             "bench: %s %s makes no sense; see cutoutd --help", argv[i],
                             i + 1 < argc ? argv[i + 1] : "without a value");
        } else {
            i++;
        }
    }
    struct run_config *config = &c->bench.config;
    (void)snprintf(config->dataset, sizeof(config->dataset), "shapes");
    config->epochs = 100000;
    config->train_images = 0;
    config->test_images = 0;
    TRY(run_config_check(config, error));
    return kernels_select(c->isa, &c->bench.kernels, error);
}

/* ---- running ---- */

static void free_dataset(struct dataset **dataset) {
    dataset_free(*dataset);
}

static enum status run_bench(struct command *c, int argc, char *const *argv, struct error *error) {
    CLEANUP(free_dataset) struct dataset *dataset = NULL;
    CLEANUP(free_pointer) struct bench_result *results = calloc(MAX_RUNS, sizeof(*results));
    if (!results) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a measurement");
    }
    TRY(parse_options(c, argc, argv, error));
    int n_train = 4 * c->bench.config.batch_size > 512 ? 4 * c->bench.config.batch_size : 512;
    TRY(dataset_make_shapes(n_train, TEST_IMAGES, 1, &dataset, error));
    for (int i = 0; i < c->n_runs; i++) {
        TRY(bench_measure(&c->bench, dataset, c->n_threads[i], &results[i], error));
        if (c->json) {
            bench_print_json(stdout, &c->bench, &results[i]);
        } else {
            (void)fputs(i ? "\n" : "", stdout);
            bench_print_text(stdout, &c->bench, &results[i]);
        }
        (void)fflush(stdout);
    }
    if (!c->json && c->n_runs > 1) {
        bench_print_scaling(stdout, results, c->n_runs);
    }
    return STATUS_OK;
}

int command_bench(int argc, char *const *argv) {
    struct command command = {0};
    struct error error = {STATUS_NO_MEMORY, "out of memory"};
    if (run_bench(&command, argc, argv, &error) != STATUS_OK) {
        (void)fprintf(stderr, "cutoutd: %s\n", error.message);
        return error.code == STATUS_INVALID ? 2 : EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
