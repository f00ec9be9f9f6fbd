/* Layer: daemon/slurm. Thread rule: see the header. */
#include "daemon/slurm/slurm_text.h"

#include <stdio.h>
#include <string.h>

#include "core/base/decimal.h"
#include "core/base/text.h"
#include "daemon/slurm/job.h"

enum { N_FIELDS = 6 };

/* Cut to fit; "(null)" and "N/A" are nothing. */
static void copy(char *target, size_t size, const char *text) {
    bool none = !strcmp(text, "(null)") || !strcmp(text, "N/A");
    size_t n = none ? 0 : strnlen(text, size - 1);
    memcpy(target, text, n);
    target[n] = '\0';
    text_make_plain(target);
}

static bool is_number(const char *text) {
    return text[0] && text[strspn(text, "0123456789")] == '\0';
}

static bool is_state(const char *text) {
    return text[0] && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] == '\0' &&
           strlen(text) < SLURM_STATE_SIZE;
}

/* A name or comment of others may hold what it likes, '|' too: then it is not ours. */
bool slurm_read_line(char **at, struct slurm_line *ret_line, bool *ret_good) {
    char *text = *at;
    char *fields[N_FIELDS] = {text};
    int n = 1;
    if (text[0] == '\0') {
        return false;
    }
    size_t length = strcspn(text, "\n");
    *at = text + length + (text[length] == '\n');
    text[length] = '\0';
    for (char *bar = strchr(text, '|'); bar && n < N_FIELDS; bar = strchr(bar, '|')) {
        *bar++ = '\0';
        fields[n++] = bar;
    }
    *ret_line = (struct slurm_line){.id = ""};
    /* "12_3" and "12_[1-4]": of arrays, which are not ours. */
    size_t digits = strspn(fields[0], "0123456789");
    *ret_good = n == N_FIELDS && digits > 0 && digits < SLURM_ID_SIZE && is_state(fields[1]);
    if (!*ret_good) {
        return true;
    }
    copy(ret_line->id, sizeof(ret_line->id), fields[0][digits] ? "" : fields[0]);
    copy(ret_line->state, sizeof(ret_line->state), fields[1]);
    copy(ret_line->node, sizeof(ret_line->node), fields[2]);
    copy(ret_line->reason, sizeof(ret_line->reason), fields[3]);
    bool fits = strlen(fields[4]) < SLURM_NAME_SIZE && strlen(fields[5]) < SLURM_COMMENT_SIZE;
    copy(ret_line->name, sizeof(ret_line->name), fits ? fields[4] : "");
    copy(ret_line->comment, sizeof(ret_line->comment), fits ? fields[5] : "");
    return true;
}

bool slurm_read_submitted(const char *text, char ret_id[SLURM_ID_SIZE]) {
    char id[SLURM_ID_SIZE];
    size_t n = strspn(text, "0123456789");
    bool ends = text[n] == '\0' || text[n] == '\n' || text[n] == ';';
    const char *line = strchr(text, '\n');
    if (n == 0 || n >= sizeof(id) || !ends || (line && line[1] != '\0')) {
        return false;
    }
    (void)snprintf(ret_id, SLURM_ID_SIZE, "%.*s", (int)n, text);
    return true;
}

/* The value of " NAME=" up to the next blank. */
static bool find_value(const char *text, const char *name, char *value, size_t size) {
    char key[32];
    int n = snprintf(key, sizeof(key), " %s=", name);
    const char *at = strstr(text, key);
    if (!at) {
        return false;
    }
    at += n;
    char word[256];
    (void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, " \n"), at);
    copy(value, size, word);
    return true;
}

bool slurm_read_job(const char *text, struct slurm_job_record *ret_record) {
    char number[SLURM_ID_SIZE] = "";
    struct slurm_job_record record = {.state = ""};
    if (strncmp(text, "JobId=", 6) != 0 ||
        !find_value(text, "JobState", record.state, sizeof(record.state)) ||
        !is_state(record.state)) {
        return false;
    }
    (void)find_value(text, "JobName", record.name, sizeof(record.name));
    (void)find_value(text, "Comment", record.comment, sizeof(record.comment));
    (void)find_value(text, "Reason", record.reason, sizeof(record.reason));
    (void)find_value(text, "NodeList", record.node, sizeof(record.node));
    if (find_value(text, "ExitCode", number, sizeof(number))) {
        char *colon = strchr(number, ':');
        if (colon) {
            *colon = '\0';
            (void)text_to_int(colon + 1, 0, 1 << 20, &record.exit_signal);
        }
        (void)text_to_int(number, 0, 1 << 20, &record.exit_code);
    }
    if (find_value(text, "Restarts", number, sizeof(number)) && is_number(number)) {
        (void)text_to_int(number, 0, 1 << 20, &record.restarts);
    }
    *ret_record = record;
    return true;
}

static const struct {
    const char *state;
    enum slurm_cause cause;
} finals[] = {
    {"COMPLETED", SLURM_LOST},
    {"FAILED", SLURM_LOST},
    {"CANCELLED", SLURM_CANCELED},
    {"TIMEOUT", SLURM_TIME_LIMIT},
    {"DEADLINE", SLURM_TIME_LIMIT},
    {"PREEMPTED", SLURM_PREEMPTED},
    {"NODE_FAIL", SLURM_NODE_FAILURE},
    {"BOOT_FAIL", SLURM_NODE_FAILURE},
    {"OUT_OF_MEMORY", SLURM_OUT_OF_MEMORY},
    {"REVOKED", SLURM_LOST},
    {"LAUNCH_FAILED", SLURM_LAUNCH_FAILURE},
};

bool slurm_is_final(const char *state) {
    for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
        if (!strcmp(state, finals[i].state)) {
            return true;
        }
    }
    return false;
}

enum slurm_cause slurm_cause_of(const char *state, const char *reason, int exit_code) {
    for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
        bool launch = !strcmp(state, "FAILED") &&
                      (strstr(reason, "aunchFail") || strstr(reason, "launch failed") ||
                       exit_code == JOB_EXIT_FAILED);
        if (!strcmp(state, finals[i].state)) {
            return launch ? SLURM_LAUNCH_FAILURE : finals[i].cause;
        }
    }
    return SLURM_LOST;
}
