/* Layer: daemon/slurm. Thread rule: see the header. */
#include "daemon/slurm/slurm_client.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/slurm/command.h"

static const char *const program_names[SLURM_PROGRAMS] = {"sbatch", "squeue", "scontrol",
                                                          "scancel"};

/* ---- where they are, and what they get ---- */

static enum status find_program(struct slurm_client *client, enum slurm_program program,
                                struct error *error) {
    static const char *const places[] = {"/usr/bin",
                                         "/usr/local/bin",
                                         "/opt/slurm/bin",
                                         "/usr/local/slurm/bin",
                                         "/cm/shared/apps/slurm/current/bin",
                                         NULL};
    const char *const own[] = {client->config->slurm.bin_dir, NULL};
    char *path = client->path[program];
    for (const char *const *place = own[0][0] ? own : places; *place; place++) {
        (void)snprintf(path, SLURM_PATH_SIZE, "%s/%s", *place, program_names[program]);
        if (access(path, X_OK) == 0) {
            return STATUS_OK;
        }
    }
    return error_set(error, STATUS_NOT_FOUND, "there is no %s in %s%s; set bin_dir in [slurm]",
                     program_names[program], own[0][0] ? own[0] : "/usr/bin",
                     own[0][0] ? "" : " or other usual places");
}

enum status slurm_client_open(struct slurm_client *client, const struct config *config,
                              struct error *error) {
    struct passwd *user = getpwuid(geteuid());
    client->config = config;
    for (int i = 0; i < SLURM_PROGRAMS; i++) {
        TRY(find_program(client, (enum slurm_program)i, error));
    }
    if (!user || strlen(user->pw_name) >= sizeof(client->login)) {
        return error_set(error, STATUS_NOT_FOUND,
                         "user %ld has no name here: on a cluster it must exist on all machines",
                         (long)geteuid());
    }
    (void)snprintf(client->login, sizeof(client->login), "%s", user->pw_name);
    int n = 0;
    (void)snprintf(client->variables[n++], SLURM_PATH_SIZE, "PATH=/usr/bin:/bin");
    (void)snprintf(client->variables[n++], SLURM_PATH_SIZE, "LC_ALL=C");
    (void)snprintf(client->variables[n++], SLURM_PATH_SIZE, "USER=%s", user->pw_name);
    (void)snprintf(client->variables[n++], SLURM_PATH_SIZE, "HOME=%s", user->pw_dir);
    if (config->slurm.conf[0]) {
        (void)snprintf(client->variables[n++], SLURM_PATH_SIZE, "SLURM_CONF=%s",
                       config->slurm.conf);
    }
    for (int i = 0; i < n; i++) {
        client->environment[i] = client->variables[i];
    }
    client->environment[n] = NULL;
    return STATUS_OK;
}

/* ---- calling ---- */

/* The words of a call. */
struct words {
    char *word[COMMAND_WORDS + 1];
    int n;
    size_t n_bytes;
    bool full;
    char bytes[16 << 10];
};

static void add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct words *words, const char *format, ...) {
    va_list arguments;
    size_t room = sizeof(words->bytes) - words->n_bytes;
    char *at = words->bytes + words->n_bytes;
    va_start(arguments, format);
    int n = vsnprintf(at, room, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= room || words->n == COMMAND_WORDS) {
        words->full = true;
        return;
    }
    words->word[words->n++] = at;
    words->word[words->n] = NULL;
    words->n_bytes += (size_t)n + 1;
}

/* "--NAME=VALUE" where the value is given. */
static void add_given(struct words *words, const char *name, const char *value) {
    if (value[0]) {
        add(words, "--%s=%s", name, value);
    }
}

static enum status call(struct slurm_client *client, struct words *words,
                        struct command_result *ret_result, struct error *error) {
    const struct command command = {.words = words->word,
                                    .environment = client->environment,
                                    .timeout_s = client->config->slurm.timeout_s,
                                    .meanwhile = client->meanwhile,
                                    .user = client->user};
    if (words->full) {
        *ret_result = (struct command_result){.exit_status = -1};
        return error_set(error, STATUS_INVALID, "the arguments of %s are too long", words->word[0]);
    }
    return command_run(&command, ret_result, error);
}

/* What is said after a failure; "sbatch: error: " goes. */
static enum status failed(const struct words *words, const struct command_result *result,
                          struct error *error) {
    const char *name = strrchr(words->word[0], '/') + 1;
    const char *text = result->error_text;
    const char *mark = strstr(text, "error: ");
    text = mark ? mark + strlen("error: ") : text;
    return error_set(error, STATUS_CONFLICT, "%s: %s%s", name, text,
                     text[0] ? "" : "failed without a word");
}

static struct words *words_new(const struct slurm_client *client, enum slurm_program program,
                               struct error *error) {
    struct words *words = calloc(1, sizeof(*words));
    if (!words) {
        (void)error_set(error, STATUS_NO_MEMORY, "no memory to call %s", program_names[program]);
        return NULL;
    }
    add(words, "%s", client->path[program]);
    return words;
}

static void add_order(struct words *words, const struct config *config,
                      const struct slurm_order *order) {
    const char(*text)[CONFIG_TEXT_SIZE] = config->text;
    add(words, "--parsable");
    add(words, "--job-name=%s", order->name);
    add(words, "--comment=%s", order->comment);
    add(words, "--export=NONE");
    add(words, "--no-requeue");
    add(words, "--nodes=1");
    add(words, "--ntasks=1");
    add(words, "--cpus-per-task=%d", config->slurm.cpus);
    add(words, "--open-mode=append");
    add(words, "--output=%s", order->output);
    add(words, "--chdir=/");
    add(words, "--signal=B:USR2@%d", config->slurm.grace_s);
    add(words, "--nice=%d", order->nice);
    add_given(words, "partition", text[CONFIG_SLURM_PARTITION]);
    add_given(words, "account", text[CONFIG_SLURM_ACCOUNT]);
    add_given(words, "qos", text[CONFIG_SLURM_QOS]);
    add_given(words, "time", order->time[0] ? order->time : text[CONFIG_SLURM_TIME]);
    add_given(words, "mem", text[CONFIG_SLURM_MEM]);
    add_given(words, "constraint", order->constraint);
    add_given(words, "exclude", order->exclude);
    char extra[CONFIG_TEXT_SIZE];
    char *rest = NULL;
    (void)snprintf(extra, sizeof(extra), "%s", text[CONFIG_SLURM_EXTRA]);
    for (const char *word = strtok_r(extra, " \t", &rest); word;
         word = strtok_r(NULL, " \t", &rest)) {
        add(words, "%s", word);
    }
    add(words, "%s", order->script);
}

enum status slurm_submit(struct slurm_client *client, const struct slurm_order *order,
                         char ret_id[SLURM_ID_SIZE], struct error *error) {
    CLEANUP(free_pointer) struct words *words = words_new(client, SLURM_SBATCH, error);
    CLEANUP(command_result_clear) struct command_result result = {.output = NULL};
    if (!words) {
        return STATUS_IO;
    }
    add_order(words, client->config, order);
    TRY(call(client, words, &result, error));
    if (result.exit_status != 0) {
        return failed(words, &result, error);
    }
    return slurm_read_submitted(result.output, ret_id)
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "sbatch said no number of a job: '%.60s'",
                           result.output);
}

enum status slurm_list(struct slurm_client *client, char **ret_lines, struct error *error) {
    CLEANUP(free_pointer) struct words *words = words_new(client, SLURM_SQUEUE, error);
    CLEANUP(command_result_clear) struct command_result result = {.output = NULL};
    if (!words) {
        return STATUS_NO_MEMORY;
    }
    add(words, "--noheader");
    add(words, "--states=all");
    add(words, "--user=%s", client->login);
    add(words, "--format=%s", SLURM_LINE_FORMAT);
    TRY(call(client, words, &result, error));
    if (result.exit_status != 0) {
        return failed(words, &result, error);
    }
    *ret_lines = result.output;
    result.output = NULL;
    return STATUS_OK;
}

enum status slurm_show(struct slurm_client *client, const char *id,
                       struct slurm_job_record *ret_record, struct error *error) {
    CLEANUP(free_pointer) struct words *words = words_new(client, SLURM_SCONTROL, error);
    CLEANUP(command_result_clear) struct command_result result = {.output = NULL};
    if (!words) {
        return STATUS_NO_MEMORY;
    }
    add(words, "--oneliner");
    add(words, "show");
    add(words, "job");
    add(words, "%s", id);
    TRY(call(client, words, &result, error));
    if (result.exit_status != 0) {
        bool unknown = strstr(result.error_text, "Invalid job id") != NULL;
        (void)failed(words, &result, error);
        return unknown ? STATUS_NOT_FOUND : STATUS_CONFLICT;
    }
    return slurm_read_job(result.output, ret_record)
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "scontrol does not describe a job: '%.60s'",
                           result.output);
}

enum status slurm_cancel(struct slurm_client *client, char ids[][SLURM_ID_SIZE], int n,
                         struct error *error) {
    CLEANUP(free_pointer) struct words *words = words_new(client, SLURM_SCANCEL, error);
    CLEANUP(command_result_clear) struct command_result result = {.output = NULL};
    if (!words) {
        return STATUS_NO_MEMORY;
    }
    add(words, "--quiet");
    for (int i = 0; i < n; i++) {
        add(words, "%s", ids[i]);
    }
    TRY(call(client, words, &result, error));
    return result.exit_status == 0 ? STATUS_OK : failed(words, &result, error);
}

enum status slurm_set_nice(struct slurm_client *client, const char *id, int nice,
                           struct error *error) {
    CLEANUP(free_pointer) struct words *words = words_new(client, SLURM_SCONTROL, error);
    CLEANUP(command_result_clear) struct command_result result = {.output = NULL};
    if (!words) {
        return STATUS_NO_MEMORY;
    }
    add(words, "update");
    add(words, "JobId=%s", id);
    add(words, "Nice=%d", nice);
    TRY(call(client, words, &result, error));
    return result.exit_status == 0 ? STATUS_OK : failed(words, &result, error);
}
