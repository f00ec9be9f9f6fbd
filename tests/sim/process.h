/* One life of the daemon: its real parts, put together as daemon/main/parts.c does it, without
 * sockets: requests reach the router from tasks (clients.h). */
#ifndef CUTOUTD_TESTS_SIM_PROCESS_H
#define CUTOUTD_TESTS_SIM_PROCESS_H

#include "api/context.h"
#include "core/base/error.h"

enum process_state {
    PROCESS_NONE,
    PROCESS_STARTING,
    PROCESS_SERVING,
    PROCESS_STOPPING,
    PROCESS_ENDED, /* in order, or because it could not start (process_error) */
};

/* In the driver. None may be there. */
void process_start(void);

/* As SIGTERM. */
void process_ask_stop(void);

/* In the driver, after a crash or the end: nothing of it is left. */
void process_reset(void);

enum process_state process_state(void);
const struct error *process_error(void);

/* For the tasks that answer requests; valid while it serves. */
struct api_context *process_context(void);

/* The clock of all parts. */
extern const struct clock process_clock;

#endif
