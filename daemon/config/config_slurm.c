/* The executors, and what section [slurm] says. Layer: daemon. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/decimal.h"
#include "daemon/config/config_internal.h"

static const struct {
    const char *name;
    struct slurm_retry retry; /* unless the setting says something else */
} causes[SLURM_CAUSES] = {
    [SLURM_TIME_LIMIT] = {"time_limit", {5, 0}},
    [SLURM_PREEMPTED] = {"preempted", {SLURM_ALWAYS, 0}},
    [SLURM_NODE_FAILURE] = {"node_failure", {5, 0}},
    [SLURM_OUT_OF_MEMORY] = {"out_of_memory", {0, 0}},
    [SLURM_CANCELED] = {"canceled", {0, 0}},
    [SLURM_LAUNCH_FAILURE] = {"launch_failure", {5, 30}},
    [SLURM_LOST] = {"lost", {5, 30}},
};

enum { MOST_RETRIES = 5, MOST_AFTER_S = 86400, WORD_SIZE = 64 };

const char *config_cause_name(enum slurm_cause cause) {
    return causes[cause].name;
}

/* "local, slurm". */
static enum status resolve_executors(struct config *config, struct error *error) {
    static const char wanted[] = "local, slurm, or both with a comma between them";
    static const char separators[] = ", \t";
    bool twice = false;
    for (const char *at = config->text[CONFIG_EXECUTORS]; *at;) {
        size_t n = strcspn(at, separators);
        bool local = n == 5 && !strncmp(at, "local", n);
        bool slurm = n == 5 && !strncmp(at, "slurm", n);
        if (n > 0 && !local && !slurm) {
            return config_invalid(config, CONFIG_EXECUTORS, wanted, error);
        }
        twice = twice || (local && config->has_local) || (slurm && config->has_slurm);
        config->slurm_first = config->slurm_first || (slurm && !config->has_local);
        config->has_local = config->has_local || local;
        config->has_slurm = config->has_slurm || slurm;
        at += n + (at[n] != '\0');
    }
    return twice || !(config->has_local || config->has_slurm)
               ? config_invalid(config, CONFIG_EXECUTORS, wanted, error)
               : STATUS_OK;
}

/* A whole path; these leave the process, so they must not be ones of the shell's. */
static enum status resolve_path(struct config *config, enum config_key key, bool needed,
                                char target[CONFIG_TEXT_SIZE], struct error *error) {
    const char *text = config->text[key];
    (void)snprintf(target, CONFIG_TEXT_SIZE, "%s", text);
    if (!text[0] && needed) {
        return error_set(error, STATUS_INVALID,
                         "%s: with the executor slurm, [slurm] needs %s", /* no origin of its own */
                         config->origin[CONFIG_EXECUTORS], config_key_name(key) + strlen("slurm_"));
    }
    return !text[0] || (text[0] == '/' && !strpbrk(text, "'\n%\\"))
               ? STATUS_OK
               : config_invalid(config, key, "a whole path (/...) without ' % and \\", error);
}

/* One word of sbatch. */
static enum status resolve_word(const struct config *config, enum config_key key,
                                struct error *error) {
    return strpbrk(config->text[key], " \t\n'\"")
               ? config_invalid(config, key, "one word, as sbatch takes it", error)
               : STATUS_OK;
}

/* Behind digits; NULL: there are none, or too many. */
static const char *behind_digits(const char *text) {
    enum { MOST_DIGITS = 9 };
    size_t n = strspn(text, "0123456789");
    return n > 0 && n <= MOST_DIGITS ? text + n : NULL;
}

/* Empty, or what sbatch takes. It refuses all else, but only when the first run is its turn. */
static enum status resolve_time(const struct config *config, struct error *error) {
    const char *text = config->text[CONFIG_SLURM_TIME];
    if (!text[0] || !strcasecmp(text, "infinite") || !strcasecmp(text, "unlimited")) {
        return STATUS_OK;
    }
    const char *at = behind_digits(text);
    if (at && *at == '-') {
        at = behind_digits(at + 1);
    }
    for (int i = 0; i < 2 && at && *at == ':'; i++) {
        at = behind_digits(at + 1);
    }
    return at && *at == '\0'
               ? STATUS_OK
               : config_invalid(config, CONFIG_SLURM_TIME,
                                "minutes, minutes:seconds, hours:minutes:seconds, days-hours, "
                                "days-hours:minutes, days-hours:minutes:seconds or unlimited",
                                error);
}

static enum status resolve_mem(struct config *config, struct error *error) {
    const char *text = config->text[CONFIG_SLURM_MEM];
    char number[16];
    int value = 0;
    size_t n = strlen(text);
    if (n == 0) {
        return STATUS_OK;
    }
    bool good = n < sizeof(number) && (text[n - 1] == 'M' || text[n - 1] == 'G');
    (void)snprintf(number, sizeof(number), "%.*s", good ? (int)n - 1 : 0, text);
    if (!good || !text_to_int(number, 1, 1 << 24, &value)) {
        return config_invalid(config, CONFIG_SLURM_MEM, "like 8G or 500M", error);
    }
    config->slurm.mem_bytes = (int64_t)value << (text[n - 1] == 'G' ? 30 : 20);
    return STATUS_OK;
}

/* What may be added: nothing that changes what the job is, where it writes or who may start it
 * again. */
static enum status resolve_extra(struct config *config, struct error *error) {
    static const char *const allowed[] = {"--clusters=",
                                          "--core-spec=",
                                          "--distribution=",
                                          "--exclude=",
                                          "--exclusive",
                                          "--gres=",
                                          "--hint=",
                                          "--licenses=",
                                          "--mail-type=",
                                          "--mail-user=",
                                          "--mem-bind=",
                                          "--mem-per-cpu=",
                                          "--nodelist=",
                                          "--oversubscribe",
                                          "--reservation=",
                                          "--spread-job",
                                          "--switches=",
                                          "--threads-per-core=",
                                          "--tmp=",
                                          "--wckey=",
                                          "--prefer=",
                                          "--power=",
                                          "--cpu-freq=",
                                          "--gpus=",
                                          NULL};
    char copy[CONFIG_TEXT_SIZE];
    char *rest = NULL;
    (void)snprintf(copy, sizeof(copy), "%s", config->text[CONFIG_SLURM_EXTRA]);
    for (const char *word = strtok_r(copy, " \t", &rest); word;
         word = strtok_r(NULL, " \t", &rest)) {
        int i = 0;
        while (allowed[i] && strncmp(word, allowed[i], strlen(allowed[i])) != 0) {
            i++;
        }
        if (!allowed[i]) {
            return error_set(error, STATUS_INVALID,
                             "%s: slurm_extra: '%.60s' cannot be given; allowed are --exclusive, "
                             "--gres=, --licenses=, --nodelist=, --reservation= and others that "
                             "say where a job runs (man cutoutd.conf)",
                             config->origin[CONFIG_SLURM_EXTRA], word);
        }
    }
    return STATUS_OK;
}

/* "node_failure:5/60": five times, 60 s after each end. */
static bool read_retry(const char *word, struct config_slurm *slurm) {
    char text[WORD_SIZE];
    (void)snprintf(text, sizeof(text), "%s", word);
    char *colon = strchr(text, ':');
    char *slash = colon ? strchr(colon, '/') : NULL;
    if (!colon || strlen(word) >= sizeof(text)) {
        return false;
    }
    *colon = '\0';
    if (slash) {
        *slash = '\0';
    }
    int cause = 0;
    while (cause < SLURM_CAUSES && strcmp(text, causes[cause].name) != 0) {
        cause++;
    }
    if (cause == SLURM_CAUSES) {
        return false;
    }
    struct slurm_retry *retry = &slurm->retry[cause];
    bool always = !strcmp(colon + 1, "always");
    *retry = (struct slurm_retry){.n = SLURM_ALWAYS};
    return (always || text_to_int(colon + 1, 0, MOST_RETRIES, &retry->n)) &&
           (!slash || text_to_int(slash + 1, 0, MOST_AFTER_S, &retry->after_s));
}

static enum status resolve_retry(struct config *config, struct error *error) {
    char copy[CONFIG_TEXT_SIZE];
    char *rest = NULL;
    for (int i = 0; i < SLURM_CAUSES; i++) {
        config->slurm.retry[i] = causes[i].retry;
    }
    (void)snprintf(copy, sizeof(copy), "%s", config->text[CONFIG_SLURM_RETRY]);
    for (const char *word = strtok_r(copy, ", \t", &rest); word;
         word = strtok_r(NULL, ", \t", &rest)) {
        if (!read_retry(word, &config->slurm)) {
            return config_invalid(
                config, CONFIG_SLURM_RETRY,
                "CAUSE:N or CAUSE:N/SECONDS with commas between; CAUSE is time_limit, preempted, "
                "node_failure, out_of_memory, canceled, launch_failure or lost, N 0 to 5 or always",
                error);
        }
    }
    return STATUS_OK;
}

static void note(enum status status, const struct error *error, struct config_problems *problems) {
    if (status != STATUS_OK) {
        config_problems_add(problems, error);
    }
}

static enum status resolve_slurm_quiet(struct config *config, struct error *error) {
    const char *text = config->text[CONFIG_SLURM_QUIET];
    config->slurm.heeds_quiet = strcmp(text, "off") != 0;
    return !config->slurm.heeds_quiet || !strcmp(text, "on")
               ? STATUS_OK
               : config_invalid(config, CONFIG_SLURM_QUIET, "off or on", error);
}

void config_resolve_slurm(struct config *config, struct config_problems *problems) {
    static const enum config_key words[] = {
        CONFIG_SLURM_PARTITION,         CONFIG_SLURM_ACCOUNT,         CONFIG_SLURM_QOS,
        CONFIG_SLURM_CONSTRAINT_AVX512, CONFIG_SLURM_CONSTRAINT_AVX2, CONFIG_SLURM_CONSTRAINT_BLAS};
    struct config_slurm *slurm = &config->slurm;
    struct error error;
    note(resolve_executors(config, &error), &error, problems);
    note(
        resolve_path(config, CONFIG_SLURM_SHARED_DIR, config->has_slurm, slurm->shared_dir, &error),
        &error, problems);
    note(resolve_path(config, CONFIG_SLURM_PROGRAM, false, slurm->program, &error), &error,
         problems);
    note(resolve_path(config, CONFIG_SLURM_BIN_DIR, false, slurm->bin_dir, &error), &error,
         problems);
    note(resolve_path(config, CONFIG_SLURM_CONF, false, slurm->conf, &error), &error, problems);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        note(resolve_word(config, words[i], &error), &error, problems);
    }
    note(resolve_time(config, &error), &error, problems);
    note(resolve_mem(config, &error), &error, problems);
    note(resolve_extra(config, &error), &error, problems);
    note(resolve_retry(config, &error), &error, problems);
    note(resolve_slurm_quiet(config, &error), &error, problems);
}
