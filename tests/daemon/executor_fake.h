/* An executor that trains elsewhere: in processes of their own, which write what they report to a
 * file and outlive the daemon. For the tests of daemon/work.
 *
 * DIR/HANDLE/reports   a record a line: NUMBER RUN ATTEMPT KIND ...; a line without its end is none
 * DIR/HANDLE/asks      a FIFO: "checkpoint", "stop", and "go" (the next epoch, of those that wait)
 * DIR/HANDLE/lock      locked as long as the process lives
 * DIR/HANDLE/pid       a line for each process that was started under the handle
 */
#ifndef CUTOUTD_TESTS_DAEMON_EXECUTOR_FAKE_H
#define CUTOUTD_TESTS_DAEMON_EXECUTOR_FAKE_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/work/executor.h"

struct fake_job;

struct executor_fake {
    const char *dir;
    bool waits;          /* runs that start now train an epoch for each "go" */
    bool blind;          /* attach finds nothing, although it is there, and goes on listening */
    int most;            /* runs at once */
    atomic_int n_starts; /* calls of start */
    atomic_int n_refused;
    void (*on_refused)(void *user);
    void *user;

    pthread_mutex_t mutex;
    struct fake_job *first; /* guarded by mutex */
    int epoll_fd;
    int inotify_fd;
    int kick_fd;
    const struct executor_reports *reports;
};

struct executor executor_fake_make(struct executor_fake *fake);

/* Says a word to the process of a handle. False: nobody listens. */
bool executor_fake_say(const struct executor_fake *fake, const char *handle, const char *word);

/* How many processes were ever started under a handle. */
int executor_fake_count(const struct executor_fake *fake, const char *handle);

/* Ends the process of a handle as kill -9 does. */
void executor_fake_kill(const struct executor_fake *fake, const char *handle);

#endif
