/* cutoutd: the command line. With parts.c and serve.c the composition root, which knows every
 * layer.
 *
 * Thread rule: the main thread.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/http/tls.h"
#include "daemon/config/as_service.h"
#include "daemon/config/config.h"
#include "daemon/main/bench/command_bench.h"
#include "daemon/main/command_backup.h"
#include "daemon/main/command_doctor.h"
#include "daemon/main/command_evaluate.h"
#include "daemon/main/command_restore.h"
#include "daemon/main/command_token.h"
#include "daemon/main/log_sink.h"
#include "daemon/main/notify.h"
#include "daemon/main/parts.h"
#include "daemon/main/serve.h"
#include "daemon/main/train/command_train.h"
#include "daemon/main/version.h"
#include "daemon/slurm/job.h"
#include "daemon/slurm/slurm_check.h"

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static void print_help(FILE *out) {
    (void)fputs(
        "cutoutd " CUTOUTD_VERSION ": queues and trains ResNet runs with cutout and batch "
        "augmentation\n\n"
        "  cutoutd serve [FLAGS]          the daemon: queue, workers and HTTP API\n"
        "  cutoutd train FILE.json [--output DIR] [--threads N] [FLAGS]\n"
        "                                 one run in the foreground; FILE.json is what "
        "POST /api/v1/runs takes\n"
        "  cutoutd train --attempt DIR    what jobs of Slurm run: one attempt that the daemon has "
        "put into DIR\n"
        "  cutoutd evaluate CHECKPOINT.safetensors [--dataset NAME=DIR] [--ema] "
        "[--format text|json|csv]\n"
        "                   [FLAGS]\n"
        "                                 what it gets wrong: validation error, errors by class, "
        "logits;\n"
        "                                 --ema: the moving average of its weights\n"
        "  cutoutd bench [--depth 44] [--batch 64] [--m 1] [--threads N,N,...] [--seconds 10]\n"
        "                [--isa X] [--conv-algorithm A] [--activations f32|bf16] [--streamed]\n"
        "                [--profile] [--format text|json]\n"
        "                                 how fast this machine trains; --profile: where the time "
        "goes;\n"
        "                                 --streamed: writes what is saved past the caches (bench "
        "alone does)\n"
        "  cutoutd check-config [--as-service] [FLAGS]\n"
        "                                 the settings in force, where each comes from, and all "
        "that is wrong;\n"
        "                                 with --as-service for the daemon that cutoutd.service "
        "starts (as root)\n"
        "  cutoutd backup FILE [FLAGS]    a copy of the database, also of a running daemon's "
        "(with tokens:\n"
        "                                 an admin's in the variable CUTOUTD_TOKEN)\n"
        "  cutoutd restore FILE [FLAGS]   a copy of the database, or a backup's directory, becomes "
        "the state\n"
        "                                 of a daemon that is stopped and has none\n"
        "  cutoutd doctor [FLAGS]         looks at a stopped daemon's state directory, and says "
        "what to do\n"
        "  cutoutd token NAME [--scope read|submit|admin] [--days N]\n"
        "                                 an access token, and its line for the "
        "tokens_file\n"
        "  cutoutd token list [FLAGS]  those of the tokens_file, and until when they are good\n"
        "  cutoutd token revoke NAME [FLAGS]\n"
        "                                 takes the tokens of NAME out of the tokens_file\n"
        "  cutoutd --help | --version\n\n"
        "Flags, each also a key of the config file and a variable CUTOUTD_NAME (flag over "
        "variable over file):\n",
        out);
    config_print_help(out);
}

static int usage_error(const char *message) {
    (void)fprintf(stderr, "cutoutd: %s\nTry 'cutoutd --help'.\n", message);
    return EXIT_USAGE;
}

/* Whether certificate and key can be used, not only read. */
static enum status check_certificate(const struct config *config, struct error *error) {
    struct tls *tls = NULL;
    if (!config->tls_cert[0] || !config->tls_key[0]) {
        return STATUS_OK;
    }
    TRY(tls_open(config->tls_cert, config->tls_key, &tls, error));
    tls_close(tls);
    return STATUS_OK;
}

/* Takes the flag out of argv, which has no value; whether it was there. */
static bool take_flag(int *argc, char **argv, const char *flag) {
    int n = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], flag) != 0) {
            argv[n++] = argv[i];
        }
    }
    bool there = n < *argc;
    *argc = n;
    return there;
}

/* What the settings name, in the eyes of this process or of the service (NULL: none is asked for).
 */
static void check_use(const struct as_service *service, const struct config *config,
                      struct config_problems *problems) {
    struct error error;
    int before = problems->n;
    if (service) {
        as_service_check_files(service, config, problems);
    } else {
        config_check_files(config, CONFIG_CHECK_ALL, problems);
    }
    if (problems->n == before && config->tls_cert[0] == '/' && config->tls_key[0] == '/' &&
        check_certificate(config, &error) != STATUS_OK) {
        config_problems_add(problems, &error);
    }
    if (parts_check_reach(config, &error) != STATUS_OK) {
        config_problems_add(problems, &error);
    }
}

/* The cluster itself, once everything else is right. Jobs are those of whoever gives them. */
static void try_cluster(const struct config *config, bool as_service,
                        struct config_problems *problems) {
    static const double PATIENCE_S = 60.0;
    if (config->has_slurm && as_service) {
        (void)puts("\n# slurm: the cluster was not tried: cutoutd check-config as the daemon's "
                   "user does that");
    } else if (config->has_slurm && problems->n == 0) {
        (void)puts("\n# slurm: a job of a minute is given to the cluster ...");
        (void)fflush(stdout);
        slurm_check(config, PATIENCE_S, problems);
        (void)puts(problems->n > 0 ? "# slurm: failed"
                                   : "# slurm: it wrote to the shared directory");
    }
}

static int tell_problems(const struct config_problems *problems, int n_in_settings) {
    (void)fflush(stdout);
    for (int i = 0; i < problems->n && i < CONFIG_MAX_PROBLEMS; i++) {
        (void)fprintf(stderr, "cutoutd: %s\n", problems->items[i].message);
    }
    if (problems->n > CONFIG_MAX_PROBLEMS) {
        (void)fprintf(stderr, "cutoutd: and %d more\n", problems->n - CONFIG_MAX_PROBLEMS);
    }
    return n_in_settings > 0 ? EXIT_USAGE : problems->n > 0 ? EXIT_FAILED : EXIT_DONE;
}

/* Everything that is wrong at once, each with its place. */
static int check_config(int argc, char **argv, char **environment) {
    struct config *config = calloc(1, sizeof(*config));
    struct config_problems *problems = calloc(1, sizeof(*problems));
    struct as_service *service = NULL;
    struct error error = {0};
    bool as_service = take_flag(&argc, argv, "--as-service");
    int code = EXIT_FAILED;
    if (!config || !problems) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else if (as_service && as_service_read(&service, &error) != STATUS_OK) {
        (void)fprintf(stderr, "cutoutd: %s\n", error.message);
    } else {
        if (service) {
            as_service_load(service, argc, argv, CONFIG_DEFAULT_FILE, config, problems);
        } else {
            config_load_all(argc, argv, environment, CONFIG_DEFAULT_FILE, config, problems);
        }
        int n_in_settings = problems->n;
        config_print(config, stdout);
        check_use(service, config, problems);
        try_cluster(config, service != NULL, problems);
        code = tell_problems(problems, n_in_settings);
    }
    as_service_free(service);
    free(problems);
    free(config);
    return code;
}

/* The words of `train` that are its own leave argv; those of the config stay. */
struct train_words {
    const char *spec_path;
    const char *output_dir;
    int n;
    char **rest; /* [argc + 1] */
};

static char *take_value(char *word, const char *flag, int argc, char **argv, int *i) {
    size_t length = strlen(flag);
    if (strncmp(word, flag, length) != 0) {
        return NULL;
    }
    if (word[length] == '=') {
        return word + length + 1;
    }
    return word[length] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

static void split_train_words(int argc, char **argv, struct train_words *words) {
    static char threads_per_run[] = "--threads-per-run";
    for (int i = 0; i < argc; i++) {
        char *output = take_value(argv[i], "--output", argc, argv, &i);
        char *threads = output ? NULL : take_value(argv[i], "--threads", argc, argv, &i);
        if (output) {
            words->output_dir = output;
        } else if (threads) {
            words->rest[words->n++] = threads_per_run;
            words->rest[words->n++] = threads;
        } else if (!words->spec_path && (argv[i][0] != '-' || !strcmp(argv[i], "-"))) {
            words->spec_path = argv[i];
        } else {
            words->rest[words->n++] = argv[i];
            bool has_value = !strncmp(argv[i], "--", 2) && !strchr(argv[i], '=') && i + 1 < argc;
            if (has_value) {
                words->rest[words->n++] = argv[++i];
            }
        }
    }
}

/* `train --attempt DIR`: the daemon has put all settings into DIR. */
static int train_attempt(const char *directory) {
    log_sink_install(&(struct log_sink_options){.max_level = LOG_LEVEL_INFO});
    int code = (int)job_train(directory, stderr);
    log_sink_close();
    return code;
}

static int train(int argc, char **argv, char **environment) {
    if (argc == 2 && !strcmp(argv[0], "--attempt")) {
        return train_attempt(argv[1]);
    }
    /* --threads=N becomes two words. */
    char **rest = calloc(2 * (size_t)argc + 1, sizeof(*rest));
    struct config *config = calloc(1, sizeof(*config));
    struct train_words words = {.rest = rest};
    struct error error;
    int code = EXIT_FAILED;
    if (!rest || !config) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else {
        split_train_words(argc, argv, &words);
        if (!words.spec_path) {
            code = usage_error("train needs a FILE.json, or - for standard input");
        } else if (config_load(words.n, rest, environment, CONFIG_DEFAULT_FILE, config, &error) !=
                   STATUS_OK) {
            code = usage_error(error.message);
        } else {
            log_sink_install(&(struct log_sink_options){.max_level = LOG_LEVEL_WARNING,
                                                        .format = config->log_format});
            const struct train_options options = {.config = config,
                                                  .spec_path = words.spec_path,
                                                  .output_dir = words.output_dir,
                                                  .out = stderr};
            code = command_train(&options);
            log_sink_close();
        }
    }
    free(config);
    free(rest);
    return code;
}

/* --format and --ema leave argv; --dataset stays, and says which set is meant. */
static int evaluate(int argc, char **argv, char **environment) {
    struct config *config = calloc(1, sizeof(*config));
    struct evaluate_command command = {.config = config, .format = "text", .out = stdout};
    struct error error = {0};
    int code = EXIT_FAILED;
    int n = 0;
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--ema")) {
            command.ema = true;
            continue;
        }
        char *format = take_value(argv[i], "--format", argc, argv, &i);
        int next = i;
        char *dataset = format ? NULL : take_value(argv[i], "--dataset", argc, argv, &next);
        command.format = format ? format : command.format;
        command.dataset = dataset ? dataset : command.dataset;
        if (!format && !command.path && argv[i][0] != '-') {
            command.path = argv[i];
        } else if (!format) {
            bool has_value = !strncmp(argv[i], "--", 2) && !strchr(argv[i], '=') && i + 1 < argc;
            argv[n++] = argv[i];
            if (has_value) {
                argv[n++] = argv[++i];
            }
        }
    }
    if (!config) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else if (!command.path) {
        code = usage_error("evaluate needs a CHECKPOINT.safetensors");
    } else if (config_load(n, argv, environment, CONFIG_DEFAULT_FILE, config, &error) !=
               STATUS_OK) {
        code = usage_error(error.message);
    } else {
        code = command_evaluate(&command);
    }
    free(config);
    return code;
}

/* cutoutd backup FILE [FLAGS], and others of that form. */
static int with_file(const char *name, int (*command)(const struct config *, const char *file),
                     int argc, char **argv, char **environment) {
    struct config *config = calloc(1, sizeof(*config));
    struct error error = {0};
    int code = EXIT_FAILED;
    if (!config) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else if (argc < 1 || argv[0][0] == '-') {
        (void)error_set(&error, STATUS_INVALID, "%s needs a FILE first", name);
        code = usage_error(error.message);
    } else if (config_load(argc - 1, argv + 1, environment, CONFIG_DEFAULT_FILE, config, &error) !=
               STATUS_OK) {
        code = usage_error(error.message);
    } else {
        code = command(config, argv[0]);
    }
    free(config);
    return code;
}

static int with_config(int (*command)(const struct config *), int argc, char **argv,
                       char **environment) {
    struct config *config = calloc(1, sizeof(*config));
    struct error error = {0};
    int code = EXIT_FAILED;
    if (!config) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else if (config_load(argc, argv, environment, CONFIG_DEFAULT_FILE, config, &error) !=
               STATUS_OK) {
        code = usage_error(error.message);
    } else {
        code = command(config);
    }
    free(config);
    return code;
}

static int serve_daemon(int argc, char **argv, char **environment) {
    struct config *config = calloc(1, sizeof(*config));
    struct error error = {0};
    int code = EXIT_FAILED;
    if (!config) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else if (config_load(argc, argv, environment, CONFIG_DEFAULT_FILE, config, &error) !=
               STATUS_OK) {
        error_prefix(&error, "cannot start");
        notify_status(error.message);
        code = usage_error(error.message);
    } else {
        const struct reload_source source = {argc, argv, environment};
        code = serve(config, &source) == STATUS_OK ? EXIT_DONE : EXIT_FAILED;
    }
    free(config);
    return code;
}

/* What was printed must have arrived: a token is shown once. */
static int check_output(int code) {
    bool failed = ferror(stdout) != 0;
    failed = fflush(stdout) != 0 || failed;
    if (failed && code == EXIT_DONE) {
        (void)fputs(
            "cutoutd: standard output cannot be written, and what is there is not whole: make "
            "room, and give the command again\n",
            stderr);
        return EXIT_FAILED;
    }
    return code;
}

static volatile sig_atomic_t exit_code;

static void leave_at_once(int signal_number) {
    (void)signal_number;
    _exit(exit_code);
}

/* OpenBLAS ends its threads at exit, and waits for ever for one that a limit on memory kept it from
 * making. All work is done and closed by now, so that nothing is lost when the wait ends. */
static int leave(int code) {
    enum { PATIENCE_S = 5 };
    const struct sigaction action = {.sa_handler = leave_at_once};
    (void)fflush(NULL);
    exit_code = code;
    (void)sigaction(SIGALRM, &action, NULL);
    (void)alarm(PATIENCE_S);
    return code;
}

static int run_command(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(stdout);
            return EXIT_DONE;
        }
    }
    if (!strcmp(command, "--version")) {
        version_print(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(command, "serve")) {
        return serve_daemon(argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "check-config")) {
        return check_config(argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "train")) {
        return train(argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "evaluate")) {
        return evaluate(argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "bench")) {
        return command_bench(argc - 2, argv + 2);
    }
    if (!strcmp(command, "backup")) {
        return with_file(command, command_backup, argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "restore")) {
        return with_file(command, command_restore, argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "doctor")) {
        return with_config(command_doctor, argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "token")) {
        return command_token(argc - 2, argv + 2);
    }
    return usage_error(*command ? "there is no such command" : "which command?");
}

int main(int argc, char **argv) {
    return leave(check_output(run_command(argc, argv)));
}
