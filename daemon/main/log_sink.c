/* Layer: daemon.
 *
 * the_buffer.mutex guards every member. The writer takes bytes out of the ring without it: the
 * stretch that it writes stays counted in `n` meanwhile, so no sender touches it. A sender never
 * waits for more than the copy of a line.
 */
#include "daemon/main/log_sink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 2304, CLOSE_WAIT_S = 1 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    pthread_cond_t emptied;
    char bytes[LOG_SINK_BYTES]; /* a ring */
    size_t first;
    size_t n;                /* bytes from there on */
    unsigned long n_dropped; /* lines, since the last that found room */
    bool threaded;
    bool journal;
} the_buffer = {.mutex = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

/* ---- out ---- */

/* Blocks as long as stderr does. What cannot be written at all is gone: there is nowhere to report
 * a failing log. */
static void write_all(const char *bytes, size_t n) {
    while (n > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, n);
        if (written > 0) {
            bytes += written;
            n -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
            (void)poll(&out, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void *write_lines(void *user) {
    (void)user;
    (void)pthread_mutex_lock(&the_buffer.mutex);
    for (;;) {
        while (the_buffer.n == 0) {
            (void)pthread_cond_wait(&the_buffer.filled, &the_buffer.mutex);
        }
        size_t to_end = LOG_SINK_BYTES - the_buffer.first;
        size_t n = the_buffer.n < to_end ? the_buffer.n : to_end;
        const char *bytes = the_buffer.bytes + the_buffer.first;
        (void)pthread_mutex_unlock(&the_buffer.mutex);
        write_all(bytes, n);
        (void)pthread_mutex_lock(&the_buffer.mutex);
        the_buffer.first = (the_buffer.first + n) % LOG_SINK_BYTES;
        the_buffer.n -= n;
        if (the_buffer.n == 0) {
            (void)pthread_cond_broadcast(&the_buffer.emptied);
        }
    }
    return NULL;
}

/* ---- in ---- */

/* With the mutex held. */
static bool append(const char *bytes, size_t n) {
    if (the_buffer.n + n > LOG_SINK_BYTES) {
        return false;
    }
    size_t at = (the_buffer.first + the_buffer.n) % LOG_SINK_BYTES;
    size_t to_end = LOG_SINK_BYTES - at;
    size_t n_here = n < to_end ? n : to_end;
    memcpy(the_buffer.bytes + at, bytes, n_here);
    memcpy(the_buffer.bytes, bytes + n_here, n - n_here);
    the_buffer.n += n;
    return true;
}

static size_t format_line(char text[LINE_SIZE], enum log_level level, const char *line) {
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    char stamp[LOG_SINK_STAMP_SIZE];
    struct timespec now;
    int n = 0;
    if (the_buffer.journal) {
        n = snprintf(text, LINE_SIZE, "%s%s\n", priorities[level], line);
    } else {
        (void)clock_gettime(CLOCK_REALTIME, &now);
        n = snprintf(text, LINE_SIZE, "%s %s%s\n",
                     log_sink_stamp((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, stamp),
                     names[level], line);
    }
    return n < LINE_SIZE ? (size_t)n : LINE_SIZE - 1;
}

/* With the mutex held. */
static bool tell_dropped(void) {
    char line[128];
    char text[LINE_SIZE];
    (void)snprintf(line, sizeof(line),
                   "%lu line(s) of this log were dropped: stderr was not read fast enough",
                   the_buffer.n_dropped);
    return append(text, format_line(text, LOG_LEVEL_WARNING, line));
}

static void sink(void *user, enum log_level level, const char *line) {
    (void)user;
    char text[LINE_SIZE];
    size_t n = format_line(text, level, line);
    (void)pthread_mutex_lock(&the_buffer.mutex);
    bool threaded = the_buffer.threaded;
    if (threaded) {
        if (the_buffer.n_dropped > 0 && the_buffer.n < LOG_SINK_BYTES / 2 && tell_dropped()) {
            the_buffer.n_dropped = 0;
        }
        if (the_buffer.n_dropped > 0 || !append(text, n)) {
            the_buffer.n_dropped++;
        }
        (void)pthread_cond_signal(&the_buffer.filled);
    }
    (void)pthread_mutex_unlock(&the_buffer.mutex);
    if (!threaded) {
        write_all(text, n);
    }
}

/* ---- beginning and end ---- */

static bool start_thread(void) {
    enum { STACK_BYTES = 256 << 10 };
    pthread_t thread;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int code = pthread_create(&thread, &attributes, write_lines, NULL);
    (void)pthread_attr_destroy(&attributes);
    return code == 0;
}

void log_sink_install(enum log_level max_level) {
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&the_buffer.emptied, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    the_buffer.journal = getenv("JOURNAL_STREAM") != NULL && !isatty(STDERR_FILENO);
    the_buffer.threaded = start_thread();
    log_install(sink, NULL, max_level);
}

/* The thread may be waiting in write() for ever; it ends with the process. */
void log_sink_close(void) {
    struct timespec deadline;
    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += CLOSE_WAIT_S;
    (void)pthread_mutex_lock(&the_buffer.mutex);
    if (the_buffer.n_dropped > 0 && tell_dropped()) {
        the_buffer.n_dropped = 0;
        (void)pthread_cond_signal(&the_buffer.filled);
    }
    int code = 0;
    while (the_buffer.threaded && the_buffer.n > 0 && code == 0) {
        code = pthread_cond_timedwait(&the_buffer.emptied, &the_buffer.mutex, &deadline);
    }
    (void)pthread_mutex_unlock(&the_buffer.mutex);
}

const char *log_sink_stamp(int64_t unix_ms, char ret_stamp[LOG_SINK_STAMP_SIZE]) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm local;
    char day_and_time[24];
    (void)localtime_r(&seconds, &local);
    (void)strftime(day_and_time, sizeof(day_and_time), "%Y-%m-%dT%H:%M:%S", &local);
    long minutes = labs(local.tm_gmtoff / 60);
    (void)snprintf(ret_stamp, LOG_SINK_STAMP_SIZE, "%s.%03d%c%02ld:%02ld", day_and_time,
                   (int)(unix_ms % 1000), local.tm_gmtoff < 0 ? '-' : '+', minutes / 60 % 100,
                   minutes % 60);
    return ret_stamp;
}
