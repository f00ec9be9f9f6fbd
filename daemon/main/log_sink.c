/* Layer: daemon/main.
 *
 * the_buffer.mutex guards every member but those that are set before threads. The writer copies a
 * line out of the ring, and writes it without the mutex: it stays counted in `n` meanwhile, so that
 * the close waits for it. A sender never waits for more than the copy of a line.
 */
#include "daemon/main/log_sink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/main/log_line.h"

enum { CLOSE_WAIT_S = 1 };

static const char SYSTEMDS_JOURNAL[] = "/run/systemd/journal/socket";

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    pthread_cond_t emptied;
    char bytes[LOG_SINK_BYTES]; /* a ring of lines, the length (a uint16_t) before each */
    size_t first;
    size_t n;                /* bytes from there on */
    unsigned long n_dropped; /* lines, since the last that found room */
    bool threaded;
    /* Set before threads. */
    enum log_line_form form;
    int journal_fd; /* with LOG_LINE_JOURNAL */
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

/* A journal that is not there any more still reads stderr, or somebody does. */
static void write_line(char *text, size_t n) {
    if (the_buffer.form == LOG_LINE_JOURNAL) {
        ssize_t sent = 0;
        do {
            sent = send(the_buffer.journal_fd, text, n, MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent == (ssize_t)n) {
            return;
        }
        n = log_line_remark(text, n);
    }
    write_all(text, n);
}

static void copy_out(size_t at, void *target, size_t n) {
    size_t to_end = LOG_SINK_BYTES - at;
    size_t n_here = n < to_end ? n : to_end;
    memcpy(target, the_buffer.bytes + at, n_here);
    memcpy((char *)target + n_here, the_buffer.bytes, n - n_here);
}

static void *write_lines(void *user) {
    (void)user;
    static char text[LOG_LINE_SIZE]; /* there is one such thread */
    (void)pthread_mutex_lock(&the_buffer.mutex);
    for (;;) {
        uint16_t n = 0;
        while (the_buffer.n == 0) {
            (void)pthread_cond_wait(&the_buffer.filled, &the_buffer.mutex);
        }
        copy_out(the_buffer.first, &n, sizeof(n));
        copy_out((the_buffer.first + sizeof(n)) % LOG_SINK_BYTES, text, n);
        (void)pthread_mutex_unlock(&the_buffer.mutex);
        write_line(text, n);
        (void)pthread_mutex_lock(&the_buffer.mutex);
        the_buffer.first = (the_buffer.first + sizeof(n) + n) % LOG_SINK_BYTES;
        the_buffer.n -= sizeof(n) + n;
        if (the_buffer.n == 0) {
            (void)pthread_cond_broadcast(&the_buffer.emptied);
        }
    }
    return NULL;
}

/* ---- in ---- */

static void copy_in(const void *source, size_t n) {
    size_t at = (the_buffer.first + the_buffer.n) % LOG_SINK_BYTES;
    size_t to_end = LOG_SINK_BYTES - at;
    size_t n_here = n < to_end ? n : to_end;
    memcpy(the_buffer.bytes + at, source, n_here);
    memcpy(the_buffer.bytes, (const char *)source + n_here, n - n_here);
    the_buffer.n += n;
}

/* With the mutex held. */
static bool append(const char *bytes, size_t n_bytes) {
    uint16_t n = (uint16_t)n_bytes; /* at most LOG_LINE_SIZE */
    if (the_buffer.n + sizeof(n) + n > LOG_SINK_BYTES) {
        return false;
    }
    copy_in(&n, sizeof(n));
    copy_in(bytes, n);
    return true;
}

static size_t format_line(enum log_level level, const struct log_subject *subject,
                          const char *words, char text[LOG_LINE_SIZE]) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const struct log_line line = {
        .unix_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
        .level = level,
        .subject = subject,
        .words = words,
    };
    return log_line_format(the_buffer.form, &line, text);
}

/* With the mutex held. */
static bool tell_dropped(void) {
    static const struct log_subject nothing;
    char words[128];
    char text[LOG_LINE_SIZE];
    (void)snprintf(words, sizeof(words),
                   "%lu line(s) of this log were dropped: they were not read fast enough",
                   the_buffer.n_dropped);
    return append(text, format_line(LOG_LEVEL_WARNING, &nothing, words, text));
}

static void sink(void *user, enum log_level level, const struct log_subject *subject,
                 const char *words) {
    (void)user;
    char text[LOG_LINE_SIZE];
    size_t n = format_line(level, subject, words, text);
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
        write_line(text, n);
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

/* Whether stderr is what systemd made for the journal (JOURNAL_STREAM names it), and not where
 * somebody in between sent it instead. */
static bool journal_reads_stderr(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device = 0;
    unsigned long long inode = 0;
    struct stat info;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &info) == 0 && info.st_dev == (dev_t)device &&
           info.st_ino == (ino_t)inode;
}

/* -1: it is not there. */
static int open_journal(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static enum log_line_form choose_form(const struct log_sink_options *options) {
    bool journal = journal_reads_stderr();
    if (options->format == LOG_FORMAT_JSON) {
        return journal ? LOG_LINE_MARKED_JSON : LOG_LINE_JSON;
    }
    if (!journal) {
        return LOG_LINE_TEXT;
    }
    if (options->format == LOG_FORMAT_AUTO) {
        the_buffer.journal_fd =
            open_journal(options->journal ? options->journal : SYSTEMDS_JOURNAL);
        return the_buffer.journal_fd >= 0 ? LOG_LINE_JOURNAL : LOG_LINE_MARKED;
    }
    return LOG_LINE_MARKED;
}

void log_sink_install(const struct log_sink_options *options) {
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&the_buffer.emptied, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    the_buffer.form = choose_form(options);
    the_buffer.threaded = start_thread();
    log_install(sink, NULL, options->max_level);
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
