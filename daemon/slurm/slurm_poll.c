/* One question to Slurm about all jobs, and what follows from the answer. Layer: daemon/slurm. */
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/slurm/job.h"
#include "daemon/slurm/slurm_internal.h"

/* A Slurm that does not answer is asked this much less often. */
static const double SILENT_FACTOR = 3.0;
/* Jobs that nobody waits for are canceled no more often than this. */
static const double ORPHANS_S = 30.0;

enum { MOST_SHOWN = 5 }; /* calls of scontrol for each of squeue */

struct answer {
    struct slurm_line *lines; /* owned */
    size_t n;
    int n_shown;
};

/* ---- one job ---- */

static void note_gone(struct executor_slurm *slurm, struct slurm_job *job, enum slurm_cause cause,
                      const char *text) {
    job->phase = PHASE_GONE;
    job->gone_at_s = slurm_now_s();
    job->cause = cause;
    (void)snprintf(job->cause_text, sizeof(job->cause_text), "%s", text);
    slurm_tell_placement(slurm, job);
}

/* A job that may not be queued again is canceled by Slurm itself when its node could not launch it
 * (a prolog that fails, say): it has a node and ran nothing, not even into scancel's signal. */
static bool was_not_launched(const struct slurm_job *job, const struct slurm_job_record *record) {
    return !strcmp(record->state, "CANCELLED") && record->node[0] && !job->begun &&
           record->exit_code == 0 && record->exit_signal == 0;
}

static void note_end(struct executor_slurm *slurm, struct slurm_job *job,
                     const struct slurm_job_record *record) {
    char text[160];
    enum slurm_cause cause = slurm_cause_of(record->state, record->reason, record->exit_code);
    const char *at = job->node[0] ? job->node : "no node";
    if (record->exit_signal > 0) {
        (void)snprintf(text, sizeof(text), "its job %s was ended by signal %d (%s, %s)", job->id,
                       record->exit_signal, record->state, at);
    } else {
        (void)snprintf(text, sizeof(text), "its job %s ended as %s (exit status %d, %s)", job->id,
                       record->state, record->exit_code, at);
    }
    if (record->exit_code == JOB_EXIT_NO_SPACE) {
        (void)snprintf(text, sizeof(text), "the shared disk is full (job %s on %s)", job->id, at);
        (void)snprintf(slurm->trouble, sizeof(slurm->trouble), "%s", text);
    } else if (record->exit_code == JOB_EXIT_NOT_MINE) {
        (void)snprintf(text, sizeof(text), "its job %s was started again by Slurm", job->id);
    } else if (was_not_launched(job, record)) {
        (void)snprintf(text, sizeof(text), "Slurm could not launch its job %s on %s", job->id, at);
        cause = SLURM_LAUNCH_FAILURE;
    } else if (!strcmp(record->state, "CANCELLED")) {
        (void)snprintf(text, sizeof(text), "its job %s was canceled in Slurm", job->id);
    }
    note_gone(slurm, job, job->begun && cause == SLURM_LAUNCH_FAILURE ? SLURM_LOST : cause, text);
}

/* What Slurm says of the job; STATUS_NOT_FOUND: it does not know it. After it has lost what it knew
 * (its controller was killed, its disk is an old copy) it gives numbers away again. */
static enum status show(struct executor_slurm *slurm, const struct slurm_job *job,
                        struct slurm_job_record *ret_record) {
    struct error error;
    TRY(slurm_show(&slurm->client, job->id, ret_record, &error));
    bool ours =
        !strcmp(ret_record->name, job->handle) && !strcmp(ret_record->comment, slurm->comment);
    return ours ? STATUS_OK : STATUS_NOT_FOUND;
}

/* What squeue does not say of a job that has ended: its exit status. Of one that was canceled it
 * tells whether it was launched. */
static void look_at_end(struct executor_slurm *slurm, struct slurm_job *job,
                        const struct slurm_line *line) {
    struct slurm_job_record record = {.state = ""};
    bool asked = !strcmp(line->state, "FAILED") ||
                 (!strcmp(line->state, "CANCELLED") && line->node[0] && !job->begun);
    bool shown =
        job->run && asked && show(slurm, job, &record) == STATUS_OK && slurm_is_final(record.state);
    if (!shown) {
        memset(&record, 0, sizeof(record)); /* no node: it says nothing of a launch */
        (void)snprintf(record.state, sizeof(record.state), "%s", line->state);
        (void)snprintf(record.reason, sizeof(record.reason), "%s", line->reason);
    }
    note_end(slurm, job, &record);
}

static void note_line(struct executor_slurm *slurm, struct slurm_job *job,
                      const struct slurm_line *line) {
    static const char held[] = "JobHeld";
    bool was_held = !strncmp(job->why, held, strlen(held));
    (void)snprintf(job->id, sizeof(job->id), "%s", line->id);
    (void)snprintf(job->state, sizeof(job->state), "%s", line->state);
    (void)snprintf(job->why, sizeof(job->why), "%s",
                   strcmp(line->reason, "None") != 0 ? line->reason : "");
    if (line->node[0]) {
        (void)snprintf(job->node, sizeof(job->node), "%s", line->node);
    }
    job->absent_at_s = 0;
    job->phase = job->phase == PHASE_GONE ? PHASE_GONE : PHASE_SENT;
    if (!was_held && !strncmp(job->why, held, strlen(held))) {
        log_warning("run %lld: its job %s is held in Slurm (%s); scontrol release %s lets it go on",
                    (long long)job->report.run_id, job->id, job->why, job->id);
    }
    if (job->phase == PHASE_SENT && slurm_is_final(line->state)) {
        look_at_end(slurm, job, line);
    }
    slurm_tell_placement(slurm, job);
}

/* Slurm may have forgotten it, or not have shown it once; what is written says that it lives. */
static void note_absence(struct executor_slurm *slurm, struct slurm_job *job,
                         struct answer *answer) {
    struct slurm_job_record record;
    double now = slurm_now_s();
    double most_s = slurm->config->slurm.absent_s;
    if (job->absent_at_s == 0) {
        job->absent_at_s = now;
    }
    if (!job->id[0] || answer->n_shown++ >= MOST_SHOWN) {
        return;
    }
    enum status status = show(slurm, job, &record);
    if (status == STATUS_OK && slurm_is_final(record.state)) {
        (void)snprintf(job->state, sizeof(job->state), "%s", record.state);
        note_end(slurm, job, &record);
    } else if (status == STATUS_OK) {
        job->absent_at_s = 0;
    } else if (status == STATUS_NOT_FOUND && now - job->absent_at_s > most_s &&
               (!job->run || now - job->moved_at_s > most_s)) {
        char text[160];
        (void)snprintf(text, sizeof(text), "Slurm does not know its job %s any more", job->id);
        job->state[0] = '\0';
        note_gone(slurm, job, SLURM_LOST, text);
    }
}

/* Two answers that came after sbatch had ended do not show it: it was not taken, or is long over.
 */
static void note_not_found(struct executor_slurm *slurm, struct slurm_job *job,
                           struct answer *answer) {
    if (job->begun && job->id[0]) {
        job->phase = PHASE_SENT;
        note_absence(slurm, job, answer);
    } else if (slurm->n_polls >= job->sought_since + 2 &&
               slurm_now_s() - job->sought_at_s >= slurm->config->slurm.poll_s) {
        if (job->begun || !job->run) {
            note_gone(slurm, job, SLURM_LOST, "Slurm does not know its job any more");
        } else {
            job->phase = PHASE_UNSENT;
        }
    }
}

static bool is_ours(const struct executor_slurm *slurm, const struct slurm_line *line,
                    const char *handle) {
    return line->id[0] && !strcmp(line->comment, slurm->comment) && !strcmp(line->name, handle);
}

static const struct slurm_line *find_line(const struct executor_slurm *slurm,
                                          const struct slurm_job *job,
                                          const struct answer *answer) {
    const struct slurm_line *found = NULL;
    for (size_t i = 0; i < answer->n; i++) {
        const struct slurm_line *line = &answer->lines[i];
        if (!is_ours(slurm, line, job->handle)) {
            continue;
        }
        if (job->id[0] && !strcmp(line->id, job->id)) {
            return line;
        }
        if (!found || !strcmp(line->state, "RUNNING") || slurm_is_final(found->state)) {
            found = line;
        }
    }
    return job->id[0] && job->phase != PHASE_SOUGHT ? NULL : found;
}

static void update_job(struct executor_slurm *slurm, struct slurm_job *job, struct answer *answer) {
    const struct slurm_line *line = find_line(slurm, job, answer);
    if (job->phase != PHASE_SOUGHT && job->phase != PHASE_SENT) {
        return;
    }
    if (line) {
        note_line(slurm, job, line);
    } else if (job->phase == PHASE_SENT) {
        note_absence(slurm, job, answer);
    } else {
        note_not_found(slurm, job, answer);
    }
}

/* ---- jobs that nobody waits for ---- */

static struct slurm_job *job_of(struct executor_slurm *slurm, const char *handle) {
    struct slurm_job *job = slurm->first;
    while (job && strcmp(job->handle, handle) != 0) {
        job = job->next;
    }
    return job;
}

/* Of an attempt that is over, or a second one of an attempt. */
static bool is_orphan(struct executor_slurm *slurm, const struct slurm_line *line) {
    const struct slurm_job *job = job_of(slurm, line->name);
    bool ours = line->id[0] && !strcmp(line->comment, slurm->comment);
    return ours && !slurm_is_final(line->state) && strcmp(line->state, "COMPLETING") != 0 &&
           (!job || (job->phase == PHASE_SENT && strcmp(job->id, line->id) != 0));
}

static void cancel_orphans(struct executor_slurm *slurm, const struct answer *answer) {
    char ids[SLURM_CANCEL_MOST][SLURM_ID_SIZE];
    int n = 0;
    if (slurm_now_s() < slurm->orphans_at_s) {
        return;
    }
    for (size_t i = 0; i < answer->n && n < SLURM_CANCEL_MOST; i++) {
        const struct slurm_line *line = &answer->lines[i];
        if (is_orphan(slurm, line)) {
            log_warning("job %s of Slurm (%s) is of an attempt that is over: canceled", line->id,
                        line->name);
            (void)snprintf(ids[n++], SLURM_ID_SIZE, "%s", line->id);
        }
    }
    if (n > 0) {
        slurm->orphans_at_s = slurm_now_s() + ORPHANS_S;
        (void)slurm_cancel(&slurm->client, ids, n, NULL);
    }
}

/* ---- the question ---- */

static enum status read_answer(char *text, struct answer *answer, struct error *error) {
    size_t n_lines = 1;
    bool good = true;
    for (const char *c = text; *c; c++) {
        n_lines += *c == '\n';
    }
    answer->lines = calloc(n_lines, sizeof(*answer->lines));
    if (!answer->lines) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %zu jobs", n_lines);
    }
    for (char *at = text, *line = at; slurm_read_line(&at, &answer->lines[answer->n], &good);
         line = at) {
        if (!good) {
            return error_set(error, STATUS_CORRUPT, "squeue says what is no job: '%.60s'", line);
        }
        answer->n++;
    }
    return STATUS_OK;
}

static enum status ask(struct executor_slurm *slurm, struct answer *answer, struct error *error) {
    CLEANUP(free_pointer) char *text = NULL;
    TRY(slurm_list(&slurm->client, &text, error));
    return read_answer(text, answer, error);
}

static bool has_question(const struct executor_slurm *slurm) {
    for (const struct slurm_job *job = slurm->first; job; job = job->next) {
        if (job->phase == PHASE_SOUGHT || job->phase == PHASE_SENT) {
            return true;
        }
    }
    return slurm->silence[0] != '\0';
}

void slurm_poll(struct executor_slurm *slurm) {
    struct answer answer = {.lines = NULL};
    struct error error = {.message = ""};
    double poll_s = slurm->config->slurm.poll_s;
    if (slurm_now_s() < slurm->poll_at_s || !has_question(slurm)) {
        return;
    }
    enum status status = ask(slurm, &answer, &error);
    slurm->poll_at_s = slurm_now_s() + (status == STATUS_OK ? poll_s : SILENT_FACTOR * poll_s);
    if (status != STATUS_OK) {
        if (!slurm->silence[0] && !atomic_load(&slurm->stopping)) {
            log_warning("Slurm cannot be asked: %s; what it trains goes on", error.message);
        }
        (void)snprintf(slurm->silence, sizeof(slurm->silence), "%s", error.message);
    } else {
        if (slurm->silence[0]) {
            log_info("Slurm answers again");
        }
        slurm->silence[0] = '\0';
        slurm->n_polls++;
        for (struct slurm_job *job = slurm->first; job; job = job->next) {
            update_job(slurm, job, &answer);
        }
        cancel_orphans(slurm, &answer);
    }
    free(answer.lines);
}
