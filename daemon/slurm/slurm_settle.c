/* What is asked of attempts, and how they end. Layer: daemon/slurm. */
#include <string.h>

#include "daemon/slurm/slurm_internal.h"

/* An attempt that was asked to end and has not is canceled after so long: its checkpoint takes
 * seconds. */
static const double STOP_S = 180.0;
/* Slurm says within this why it sent a signal. */
static const double SIGNAL_S = 90.0;
/* A job that has told its outcome ends within this. */
static const double LEAVE_S = 60.0;
static const double TRY_AGAIN_S = 10.0;

enum { HIGHEST_PRIORITY = 1000 };

/* ---- where it is ---- */

void slurm_tell_placement(struct executor_slurm *slurm, struct slurm_job *job) {
    struct run_placement now;
    memset(&now, 0, sizeof(now)); /* compared as a whole */
    (void)snprintf(now.job, sizeof(now.job), "%s", job->id);
    (void)snprintf(now.node, sizeof(now.node), "%s", job->node);
    (void)snprintf(now.state, sizeof(now.state), "%s", job->state);
    (void)snprintf(now.reason, sizeof(now.reason), "%s", job->why);
    now.cores = slurm_job_has_node(job) ? slurm->config->slurm.cpus : 0;
    if (!job->run || memcmp(&now, &job->told, sizeof(now)) == 0) {
        return;
    }
    enum status status = slurm->reports->placed(slurm->reports->user, &job->report, &now, NULL);
    if (status == STATUS_OK || status == STATUS_CONFLICT) {
        job->told = now;
    }
}

/* ---- how it ends ---- */

/* Whoever trains it still shall end: what it reports would be refused. */
static void drop(struct slurm_job *job) {
    const struct attempt_requests kill = {
        .n_checkpoints = job->written.n_checkpoints, .stop = true, .kill = true};
    (void)attempt_requests_write(job->dir, &kill, NULL);
    job->cancel = job->phase == PHASE_SENT || job->phase == PHASE_SOUGHT;
}

void slurm_end_job(struct executor_slurm *slurm, struct slurm_job *job,
                   const struct executor_outcome *outcome) {
    if (!job->has_outcome && job->phase != PHASE_NEW && job->phase != PHASE_UNSENT) {
        drop(job);
    }
    if (job->phase == PHASE_NEW || job->phase == PHASE_UNSENT) {
        job->phase = PHASE_GONE;
    }
    job->run = NULL;
    job->ended_at_s = slurm_now_s();
    slurm->reports->outcome(slurm->reports->user, &job->report, outcome);
}

static bool is_asked_to_end(struct executor_slurm *slurm, const struct slurm_job *job) {
    (void)pthread_mutex_lock(&slurm->mutex);
    bool asked = job->asked.stop || job->asked.kill;
    (void)pthread_mutex_unlock(&slurm->mutex);
    return asked;
}

static void note_death(struct executor_slurm *slurm, const struct slurm_job *job, bool certain) {
    double now = slurm_now_s();
    double lived_s = job->begun ? job->moved_at_s - job->begun_at_s : 0.0;
    if (slurm_nodes_note_death(&slurm->nodes, job->node, lived_s, certain, now)) {
        log_warning("the node %s gets no runs for an hour: attempts die on it", job->node);
    }
}

/* Nobody asked for it, and it did not say itself why: by the rule for the cause. */
static void end_by_cause(struct executor_slurm *slurm, struct slurm_job *job,
                         enum slurm_cause cause, const char *text) {
    const struct slurm_retry *retry = &slurm->config->slurm.retry[cause];
    int in_a_row = job->progressed ? 0 : job->run->interruptions;
    bool again = retry->n == SLURM_ALWAYS || in_a_row < retry->n;
    char message[RUN_REASON_SIZE];
    if (is_asked_to_end(slurm, job)) {
        slurm_end_job(slurm, job,
                      &(struct executor_outcome){.status = STATUS_STOPPED, .message = text});
        return;
    }
    if (cause == SLURM_NODE_FAILURE || cause == SLURM_LAUNCH_FAILURE || cause == SLURM_LOST) {
        note_death(slurm, job, false);
    }
    if (again && retry->after_s > 0) {
        slurm_nodes_delay(&slurm->nodes, job->report.run_id, slurm_now_s() + retry->after_s);
    }
    (void)snprintf(message, sizeof(message), "%s: %s", config_cause_name(cause), text);
    slurm_end_job(slurm, job,
                  &(struct executor_outcome){.status = STATUS_IO,
                                             .again = again,
                                             .bounded = retry->n != SLURM_ALWAYS,
                                             .at_once = true,
                                             .message = message});
}

/* As the job says. What is the node's fault is tried on another one; a disk that is full is this
 * executor's, not that of the state directory. */
static void end_as_told(struct executor_slurm *slurm, struct slurm_job *job) {
    enum status status = job->outcome.status;
    bool of_node = status == STATUS_UNSUPPORTED || status == STATUS_CONFLICT ||
                   (status == STATUS_NOT_FOUND && !job->progressed);
    struct executor_outcome outcome = {.status = status == STATUS_NO_SPACE ? STATUS_IO : status,
                                       .again = job->outcome.again || of_node,
                                       .bounded = job->outcome.bounded || of_node,
                                       .at_once = of_node,
                                       .message = job->outcome.message};
    if (of_node) {
        note_death(slurm, job, true);
    }
    slurm_end_job(slurm, job, &outcome);
}

/* It wrote a checkpoint because of a signal that nobody here has sent; why, Slurm will say. */
static void settle_signal(struct executor_slurm *slurm, struct slurm_job *job) {
    bool lives_on = job->phase == PHASE_SENT && !strcmp(job->state, "PENDING");
    if (job->phase == PHASE_GONE) {
        end_by_cause(slurm, job, job->cause, job->cause_text);
    } else if (lives_on) {
        job->cancel = true;
        end_by_cause(slurm, job, SLURM_LOST, "its job was put back into Slurm's queue");
    } else if (slurm_now_s() - job->moved_at_s > SIGNAL_S) {
        end_by_cause(slurm, job, SLURM_LOST, "a signal ended it");
    }
}

static void settle_outcome(struct executor_slurm *slurm, struct slurm_job *job) {
    bool stopped = job->outcome.status == STATUS_STOPPED && !is_asked_to_end(slurm, job);
    if (stopped && job->outcome.stop == RECORD_STOP_TIME_LIMIT) {
        end_by_cause(
            slurm, job, SLURM_TIME_LIMIT,
            "the limit of its job was near: it wrote a checkpoint, and goes on from there");
    } else if (stopped && job->outcome.stop == RECORD_STOP_SIGNAL) {
        settle_signal(slurm, job);
    } else {
        end_as_told(slurm, job);
    }
}

void slurm_settle(struct executor_slurm *slurm, struct slurm_job *job) {
    double now = slurm_now_s();
    if (!job->run) {
        job->cancel = job->cancel || (job->phase == PHASE_SENT && !job->cancel &&
                                      now - job->ended_at_s > LEAVE_S && now > job->cancel_at_s);
        return;
    }
    /* A job that never had a node has written nothing. */
    double lag_s = job->begun || job->node[0] ? slurm->config->slurm.shared_lag_s : 0.0;
    if (job->refused) {
        slurm_end_job(slurm, job,
                      &(struct executor_outcome){.status = STATUS_CONFLICT,
                                                 .message = "the run is at another attempt"});
    } else if (job->damage[0]) {
        end_by_cause(slurm, job, SLURM_LOST, job->damage);
    } else if (job->has_outcome) {
        settle_outcome(slurm, job);
    } else if (job->phase == PHASE_GONE && now - job->gone_at_s > lag_s) {
        end_by_cause(slurm, job, job->cause, job->cause_text);
    }
}

/* ---- what is asked ---- */

/* Whether the number stands for it, as far as is known: Slurm may give one away again
 * (slurm_poll.c).
 */
static bool is_there(const struct slurm_job *job) {
    return job->id[0] && job->phase == PHASE_SENT && job->absent_at_s == 0;
}

static void write_requests(struct slurm_job *job, const struct attempt_requests *asked) {
    struct error error;
    double now = slurm_now_s();
    if (now < job->cancel_at_s) {
        return;
    }
    if (attempt_requests_write(job->dir, asked, &error) != STATUS_OK) {
        job->cancel_at_s = now + TRY_AGAIN_S;
        log_warning("run %lld: its job cannot be asked: %s", (long long)job->report.run_id,
                    error.message);
        return;
    }
    bool waits = !job->begun && (!job->state[0] || !strcmp(job->state, "PENDING"));
    job->cancel = job->cancel || asked->kill || (asked->stop && waits);
    job->due_at_s = asked->stop && !job->written.stop ? now + STOP_S : job->due_at_s;
    job->written = *asked;
}

void slurm_carry_out(struct executor_slurm *slurm, struct slurm_job *job) {
    (void)pthread_mutex_lock(&slurm->mutex);
    const struct attempt_requests asked = job->asked;
    int priority = job->asked_priority;
    (void)pthread_mutex_unlock(&slurm->mutex);
    if (!job->run || job->phase == PHASE_GONE) {
        return;
    }
    if (job->phase == PHASE_NEW || job->phase == PHASE_UNSENT) {
        job->priority = priority;
        if (asked.stop || asked.kill) {
            slurm_end_job(slurm, job,
                          &(struct executor_outcome){.status = STATUS_STOPPED,
                                                     .message = "it was not given to Slurm yet"});
        }
        return;
    }
    if (asked.n_checkpoints != job->written.n_checkpoints || asked.stop != job->written.stop ||
        asked.kill != job->written.kill) {
        write_requests(job, &asked);
    } else if (asked.stop && !job->has_outcome && job->due_at_s > 0 &&
               slurm_now_s() > job->due_at_s) {
        job->due_at_s = 0;
        job->cancel = true;
    }
    if (priority != job->priority && is_there(job) && !strcmp(job->state, "PENDING")) {
        job->priority = priority;
        (void)slurm_set_nice(&slurm->client, job->id, HIGHEST_PRIORITY - priority, NULL);
    }
}

void slurm_cancel_jobs(struct executor_slurm *slurm) {
    char ids[SLURM_CANCEL_MOST][SLURM_ID_SIZE];
    struct slurm_job *jobs[SLURM_CANCEL_MOST];
    struct error error;
    int n = 0;
    double now = slurm_now_s();
    for (struct slurm_job *job = slurm->first; job && n < SLURM_CANCEL_MOST; job = job->next) {
        if (job->cancel && is_there(job) && now >= job->cancel_at_s) {
            jobs[n] = job;
            (void)snprintf(ids[n++], SLURM_ID_SIZE, "%s", job->id);
        }
    }
    if (n == 0) {
        return;
    }
    enum status status = slurm_cancel(&slurm->client, ids, n, &error);
    for (int i = 0; i < n; i++) {
        jobs[i]->cancel = status != STATUS_OK;
        jobs[i]->cancel_at_s = slurm_now_s() + (status == STATUS_OK ? LEAVE_S : TRY_AGAIN_S);
    }
    slurm->poll_at_s = 0; /* to see what came of it */
    if (status != STATUS_OK) {
        log_warning("jobs cannot be canceled: %s; this is tried again", error.message);
    }
}
