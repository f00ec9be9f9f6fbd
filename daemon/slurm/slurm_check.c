/* Layer: daemon/slurm. Thread rule: see the header. */
#include "daemon/slurm/slurm_check.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "daemon/config/text_file.h"
#include "daemon/slurm/slurm_client.h"

enum { PATH_SIZE = 4096, MOST_VERSION_BYTES = 4096, OUTPUT_SHOWN = 200 };

struct check {
    const struct config *config;
    struct slurm_client client;
    char directory[PATH_SIZE]; /* below the shared one */
    char program[CONFIG_TEXT_SIZE];
    char id[SLURM_ID_SIZE];
    struct slurm_job_record last; /* what Slurm said of the job */
};

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static enum status make_directory(struct check *check, struct error *error) {
    const char *shared = check->config->slurm.shared_dir;
    (void)snprintf(check->directory, sizeof(check->directory), "%s/cutoutd-check-%ld", shared,
                   (long)getpid());
    return mkdir(check->directory, 0750) == 0
               ? STATUS_OK
               : error_set_errno(error, errno, "%s: cannot write to the shared directory %s",
                                 check->config->origin[CONFIG_SLURM_SHARED_DIR], shared);
}

static enum status find_program(struct check *check, struct error *error) {
    (void)snprintf(check->program, sizeof(check->program), "%s", check->config->slurm.program);
    if (check->program[0]) {
        return STATUS_OK;
    }
    ssize_t n = readlink("/proc/self/exe", check->program, sizeof(check->program) - 1);
    check->program[n > 0 ? n : 0] = '\0';
    return n > 0 ? STATUS_OK
                 : error_set_errno(error, errno, "where this program is cannot be found out");
}

static enum status submit(struct check *check, struct error *error) {
    char script[PATH_SIZE + 16];
    char output[PATH_SIZE + 16];
    CLEANUP(free_pointer) char *text = NULL;
    const char *d = check->directory;
    (void)snprintf(script, sizeof(script), "%s/job.sh", d);
    (void)snprintf(output, sizeof(output), "%s/output", d);
    if (asprintf(&text,
                 "#!/bin/sh\n"
                 "'%s' --version >'%s/version.new' && mv '%s/version.new' '%s/version'\n",
                 check->program, d, d, d) < 0) {
        text = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory for a script");
    }
    TRY(text_file_write(script, text, error));
    const struct slurm_order order = {.name = "cutoutd-check",
                                      .comment = "cutoutd:check",
                                      .script = script,
                                      .output = output,
                                      .constraint = "",
                                      .exclude = "",
                                      .time = "1",
                                      .nice = 0};
    return slurm_submit(&check->client, &order, check->id, error);
}

/* *ret_text: what the node's program says of itself; owned by the caller (free). STATUS_BUSY: it
 * was waited for in vain. */
static enum status wait_for_version(struct check *check, double wait_s, char **ret_text,
                                    struct error *error) {
    char path[PATH_SIZE + 16];
    size_t n_bytes = 0;
    double until_s = clock_monotonic_s(&clock_system) + wait_s;
    double ended_at_s = 0;
    /* Neither a shared file system nor Slurm tells when there is something to see. */
    const struct timespec pause = {.tv_sec = 1};
    (void)snprintf(path, sizeof(path), "%s/version", check->directory);
    while (text_file_read(path, MOST_VERSION_BYTES, ret_text, &n_bytes, NULL) != STATUS_OK) {
        double now = clock_monotonic_s(&clock_system);
        TRY(slurm_show(&check->client, check->id, &check->last, error));
        if (slurm_is_final(check->last.state) && ended_at_s == 0) {
            ended_at_s = now;
        }
        bool late = ended_at_s > 0 && now > ended_at_s + check->config->slurm.shared_lag_s;
        if (now > until_s || late) {
            return error_set(error, STATUS_BUSY, "no word");
        }
        (void)nanosleep(&pause, NULL);
    }
    return STATUS_OK;
}

/* Why nothing was written. */
static enum status explain(const struct check *check, struct error *error) {
    char path[PATH_SIZE + 16];
    CLEANUP(free_pointer) char *said = NULL;
    size_t n_bytes = 0;
    const struct slurm_job_record *last = &check->last;
    (void)snprintf(path, sizeof(path), "%s/output", check->directory);
    bool has_output = text_file_read(path, MOST_VERSION_BYTES, &said, &n_bytes, NULL) == STATUS_OK;
    while (has_output && n_bytes > 0 && said[n_bytes - 1] == '\n') {
        said[--n_bytes] = '\0';
    }
    if (!slurm_is_final(last->state)) {
        return error_set(error, STATUS_BUSY,
                         "[slurm]: a job of a minute is %s after a while (%s): are there nodes for "
                         "the partition, the processors and the memory that the config asks for?",
                         last->state, last->reason);
    }
    if (last->exit_code != 0 || last->exit_signal != 0) {
        return error_set(error, STATUS_CONFLICT,
                         "[slurm]: a job on %s ended as %s, exit status %d: %.*s (is %s there, of "
                         "this version, and may it be run?)",
                         last->node, last->state, last->exit_code, OUTPUT_SHOWN,
                         has_output ? said : "without a word", check->program);
    }
    return error_set(error, STATUS_CONFLICT,
                     "%s: what a job on %s writes to %s is not seen here within %d s: is it the "
                     "same directory there?",
                     check->config->origin[CONFIG_SLURM_SHARED_DIR], last->node,
                     check->config->slurm.shared_dir, check->config->slurm.shared_lag_s);
}

static enum status check_version(const struct check *check, const char *text, struct error *error) {
    static const char mine[] = "cutoutd " CUTOUTD_VERSION;
    size_t n = strlen(mine);
    return strncmp(text, mine, n) == 0 && strchr(" \n", text[n])
               ? STATUS_OK
               : error_set(error, STATUS_CONFLICT,
                           "[slurm]: %s on the nodes is '%.*s', here it is '%s'", check->program,
                           (int)strcspn(text, "\n"), text, mine);
}

static enum status try_cluster(struct check *check, double wait_s, struct error *error) {
    TRY(slurm_client_open(&check->client, check->config, error));
    TRY(find_program(check, error));
    TRY(make_directory(check, error));
    TRY(submit(check, error));
    CLEANUP(free_pointer) char *text = NULL;
    enum status status = wait_for_version(check, wait_s, &text, error);
    if (status == STATUS_BUSY) {
        return explain(check, error);
    }
    return status == STATUS_OK ? check_version(check, text, error) : status;
}

void slurm_check(const struct config *config, double wait_s, struct config_problems *problems) {
    struct error error;
    struct check *check = calloc(1, sizeof(*check));
    if (!check) {
        (void)error_set(&error, STATUS_NO_MEMORY, "no memory to try the cluster");
        config_problems_add(problems, &error);
        return;
    }
    check->config = config;
    if (try_cluster(check, wait_s, &error) != STATUS_OK) {
        config_problems_add(problems, &error);
    }
    if (check->id[0]) {
        char ids[1][SLURM_ID_SIZE];
        memcpy(ids[0], check->id, sizeof(ids[0]));
        (void)slurm_cancel(&check->client, ids, 1, NULL);
    }
    if (check->directory[0]) {
        (void)nftw(check->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    free(check);
}
