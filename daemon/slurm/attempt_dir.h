/* The directory of an attempt, on a file system that the daemon and the job both see.
 *
 *     attempt.json   what to train, from the daemon; without it whoever trains the attempt ends
 *     checkpoints/   those to go on from, and those that the job writes
 *     journal        what the job reports (journal.h); who makes it trains the attempt
 *     requests       what the daemon asks, a line each: "checkpoint N" (N grows), "stop", "kill"
 *     lease          written again and again while training moves
 *     job.sh         what Slurm runs
 *     output         what that prints
 *
 * Layer: daemon/slurm. Thread rule: pure functions; the daemon writes attempt.json and requests,
 * the job the rest.
 */
#ifndef CUTOUTD_DAEMON_SLURM_ATTEMPT_DIR_H
#define CUTOUTD_DAEMON_SLURM_ATTEMPT_DIR_H

#include "daemon/config/config.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/work/executor.h"

enum { ATTEMPT_PATH_SIZE = EXECUTOR_PATH_SIZE };

/* What attempt.json says. */
struct attempt_order {
    /* id, attempt, handle, dataset, dataset_sha256, arithmetic, forked_from, forked_epoch, epochs,
     * interruptions and config_json; run_row_clear. */
    struct run_row run;
    char dataset_directory[CONFIG_TEXT_SIZE]; /* "": generated */
    int shapes_train;
    int shapes_test;
    char isa[16];
    int n_threads;
    int checkpoint_interval_s;
    bool any_arithmetic;
    struct checkpoint_list checkpoints; /* in checkpoints/ */
};

/* DIRECTORY/NAME. STATUS_INVALID: too long. */
enum status attempt_path(const char *directory, const char *name, char ret_path[ATTEMPT_PATH_SIZE],
                         struct error *error);

/* Durable, all or nothing. Statuses of text_file_write. */
enum status attempt_order_write(const char *directory, const struct attempt_order *order,
                                struct error *error);

/* The caller owns *ret_order (attempt_order_clear). STATUS_NOT_FOUND; STATUS_CORRUPT: another
 * version wrote it, or nobody; STATUS_IO, STATUS_NO_MEMORY. */
enum status attempt_order_read(const char *directory, struct attempt_order *ret_order,
                               struct error *error);

/* Frees and zeroes. */
void attempt_order_clear(struct attempt_order *order);

struct attempt_requests {
    int n_checkpoints; /* asked for so far */
    bool stop;
    bool kill;
};

enum status attempt_requests_write(const char *directory, const struct attempt_requests *requests,
                                   struct error *error);

/* Without the file nothing is asked. What cannot be read is what it was. */
void attempt_requests_read(const char *directory, struct attempt_requests *requests);

#endif
