/* The daemon's parts: made in order, taken apart in the opposite one. With main.c and serve.c the
 * composition root, which knows every layer.
 *
 * Layer: daemon/main. Thread rule: the main thread, with all signals blocked, so that the threads
 * it starts receive none.
 */
#ifndef CUTOUTD_DAEMON_MAIN_PARTS_H
#define CUTOUTD_DAEMON_MAIN_PARTS_H

#include "api/http/listener.h"
#include "api/server.h"
#include "daemon/config/config.h"
#include "daemon/notify/sender.h"
#include "daemon/slurm/executor_slurm.h"
#include "daemon/work/executor_local.h"
#include "daemon/work/health.h"
#include "daemon/work/pool.h"
#include "daemon/work/retention.h"

/* In the order in which they are made. */
struct parts {
    const struct config *config;
    int lock_fd; /* -1: not taken */
    const struct kernels *kernels;
    struct tokens *tokens; /* NULL: none are asked for */
    struct sweep_links *links;
    struct listeners listeners;
    bool adopted; /* systemd handed sockets over */
    struct store *store;
    struct notifier *notifier;
    struct health *health;
    struct queue *queue;
    struct progress_board *progress;
    struct dataset_registry *datasets;
    struct executor_local local;
    struct executor trains_here; /* also asked by the next, when no run is trained here */
    struct executor_slurm slurm;
    struct executor executors[2]; /* [n_executors], the default first */
    size_t n_executors;
    struct pool *pool;
    struct sender *sender;
    struct retention *retention; /* NULL: checkpoints are kept for ever */
    struct api_server *server;
};

/* Makes all parts. The addresses are taken before any run is touched, and the first run is claimed
 * when everything else stands: a start that fails trains nothing. Sockets that systemd hands over
 * take the place of `listen` and `unix_socket`. *parts is zeroed but for config, lock_fd = -1 and
 * listeners = LISTENERS_NONE. On failure the error says which setting or file is in the way, and
 * parts_stop clears up. */
enum status parts_start(struct parts *parts, struct error *error);

/* Asks all parts to stop, and takes HTTP apart. The rest goes on until parts_stop. */
void parts_stop_serving(struct parts *parts);

/* Asks all parts to stop, then takes everything apart; runs go back into the queue with a
 * checkpoint. Fine after a start that failed half-way. */
void parts_stop(struct parts *parts);

/* Of the settings alone. STATUS_FORBIDDEN: other machines could reach the daemon, and nobody is
 * asked for a token. */
enum status parts_check_reach(const struct config *config, struct error *error);

#endif
