/* The command line: which seeds, how many at once, and what is said of a seed that fails.
 *
 *     sim SEED [STEPS] [--trace]          one seed; a failure is shrunk
 *     sim --seeds FIRST LAST [STEPS]      many; each failure is shrunk
 *     sim --minutes MINUTES [FIRST]       seeds from FIRST on, for that long
 *     sim --finds LAST                    the opposite: exit status 0 when a seed up to LAST fails
 *
 * Each simulation is a process of its own, so that it begins with nothing, and one that crashes or
 * hangs is found like any other. Exit status 1: a property did not hold. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "tests/sim/databases.h"
#include "tests/sim/run_seed.h"
#include "tests/sim/vfs.h"

enum { HANG_S = 60, MOST_JOBS = 16 };

struct verdict {
    bool failed;
    char property[64];
    char message[512];
};

static int verdict_fd = -1;
static bool tracing;

void sim_tell(const char *format, ...) {
    if (tracing) {
        va_list arguments;
        va_start(arguments, format);
        (void)vprintf(format, arguments);
        (void)printf("\n");
        va_end(arguments);
    }
}

static void log_line(void *user, enum log_level level, const struct log_subject *subject,
                     const char *line) {
    (void)user;
    (void)subject;
    (void)level;
    sim_tell("    log: %s", line);
}

#ifdef CUTOUTD_COVERAGE
void __gcov_dump(void); /* GCC's; what counts is otherwise written by exit() */
#endif

static void end_with(const struct verdict *verdict) {
    (void)fflush(stdout);
#ifdef CUTOUTD_COVERAGE
    __gcov_dump();
#endif
    _exit(write(verdict_fd, verdict, sizeof(*verdict)) == (ssize_t)sizeof(*verdict) ? 0 : 2);
}

void sim_fail(const char *property, const char *format, ...) {
    struct verdict verdict = {.failed = true};
    va_list arguments;
    va_start(arguments, format);
    (void)snprintf(verdict.property, sizeof(verdict.property), "%s", property);
    (void)vsnprintf(verdict.message, sizeof(verdict.message), format, arguments);
    va_end(arguments);
    end_with(&verdict);
    _exit(2);
}

/* ---- one simulation ---- */

struct job {
    uint64_t seed;
    pid_t pid; /* 0: none */
    int fd;
};

static void start(struct job *job, uint64_t seed, int n_steps, const bool *keep) {
    int fds[2];
    (void)fflush(stdout);
    if (pipe(fds) != 0 || (job->pid = fork()) < 0) {
        perror("sim");
        exit(2);
    }
    if (job->pid == 0) {
        (void)close(fds[0]);
        verdict_fd = fds[1];
        (void)alarm(HANG_S);
        run_seed(seed, n_steps, keep);
        end_with(&(struct verdict){.failed = false});
    }
    (void)close(fds[1]);
    job->seed = seed;
    job->fd = fds[0];
}

static void collect(struct job *job, struct verdict *ret) {
    int status = 0;
    memset(ret, 0, sizeof(*ret));
    bool told = read(job->fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
    (void)close(job->fd);
    (void)waitpid(job->pid, &status, 0);
    job->pid = 0;
    if (!told) {
        ret->failed = true;
        (void)snprintf(ret->property, sizeof(ret->property), "the program goes on");
        (void)snprintf(ret->message, sizeof(ret->message), "%s",
                       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it ended by itself");
    }
}

static void simulate(uint64_t seed, int n_steps, const bool *keep, struct verdict *ret) {
    struct job job;
    start(&job, seed, n_steps, keep);
    collect(&job, ret);
}

/* ---- shrinking: leave out steps as long as the same property fails ---- */

static int count(const bool *keep, int n_steps) {
    int n = 0;
    for (int i = 0; i < n_steps; i++) {
        n += keep[i];
    }
    return n;
}

/* The steps that stand in places first .. first+n-1 of those that are kept go. */
static void leave_out(bool *keep, int n_steps, int first, int n) {
    int place = 0;
    for (int i = 0; i < n_steps; i++) {
        if (keep[i]) {
            keep[i] = place < first || place >= first + n;
            place++;
        }
    }
}

static void shrink(uint64_t seed, int n_steps, bool *keep, const char *property) {
    time_t until = time(NULL) + 60;
    for (int n = count(keep, n_steps) / 2; n > 0; n /= 2) {
        for (int first = 0; first < count(keep, n_steps) && time(NULL) < until;) {
            bool fewer[MOST_STEPS];
            struct verdict verdict;
            memcpy(fewer, keep, sizeof(fewer));
            leave_out(fewer, n_steps, first, n);
            simulate(seed, n_steps, fewer, &verdict);
            if (verdict.failed && strcmp(verdict.property, property) == 0) {
                memcpy(keep, fewer, sizeof(fewer));
            } else {
                first += n;
            }
        }
    }
}

static void print_commit(void) {
    char line[128] = "unknown";
    FILE *git =
        popen("git -C '" CUTOUTD_SOURCE_DIR "' describe --always --dirty --abbrev=12 2>&1", "r");
    if (git && fgets(line, sizeof(line), git)) {
        line[strcspn(line, "\n")] = '\0';
    }
    if (git) {
        (void)pclose(git);
    }
    (void)printf("  commit %s\n", line);
}

static void report(uint64_t seed, int n_steps, const struct verdict *found) {
    static bool keep[MOST_STEPS];
    struct verdict verdict;
    char text[240];
    memset(keep, 1, sizeof(keep));
    run_seed_describe(seed, text, sizeof(text));
    (void)printf("seed %" PRIu64 " FAILED: %s: %s\n  with %s\n", seed, found->property,
                 found->message, text);
    print_commit();
    shrink(seed, n_steps, keep, found->property);
    (void)printf("  again with: sim %" PRIu64 " %d\n  shrunk to %d of %d steps:\n", seed, n_steps,
                 count(keep, n_steps), n_steps);
    tracing = true;
    simulate(seed, n_steps, keep, &verdict);
    tracing = false;
    (void)printf("  %s: %s\n", verdict.property, verdict.message);
    (void)fflush(stdout);
}

/* ---- many ---- */

struct series {
    bool finds; /* a failure is what is wanted */
    uint64_t next;
    uint64_t last;
    time_t until; /* 0: not limited by time */
    int n_steps;
    int n_done;
    int n_failed;
};

static bool goes_on(const struct series *series) {
    return series->next <= series->last && (series->until == 0 || time(NULL) < series->until) &&
           series->n_failed < (series->finds ? 1 : 10);
}

static void on_failure(struct series *series, uint64_t seed, const struct verdict *verdict) {
    series->n_failed++;
    if (series->finds) {
        (void)printf("seed %" PRIu64 ": %s: %s\n", seed, verdict->property, verdict->message);
    } else {
        report(seed, series->n_steps, verdict);
    }
}

static void run_series(struct series *series) {
    struct job jobs[MOST_JOBS] = {{0}};
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n = n_cores < 1 ? 1 : n_cores > MOST_JOBS ? MOST_JOBS : (int)n_cores;
    for (int i = 0; goes_on(series) || jobs[i].pid != 0; i = (i + 1) % n) {
        if (jobs[i].pid != 0) {
            struct verdict verdict;
            collect(&jobs[i], &verdict);
            series->n_done++;
            if (verdict.failed) {
                on_failure(series, jobs[i].seed, &verdict);
            }
        }
        if (goes_on(series)) {
            start(&jobs[i], series->next++, series->n_steps, NULL);
        }
    }
    (void)printf("%d seeds, %d failed\n", series->n_done, series->n_failed);
}

/* The same addresses and no threads of libraries in every run. */
static void become_repeatable(char **argv) {
    int before = personality(0xffffffff);
    if (getenv("OPENBLAS_NUM_THREADS") && (before & ADDR_NO_RANDOMIZE) != 0) {
        return;
    }
    bool again = !getenv("OPENBLAS_NUM_THREADS");
    (void)personality((unsigned long)before | ADDR_NO_RANDOMIZE);
    (void)setenv("OPENBLAS_NUM_THREADS", "1", 1);
    if (again) {
        (void)execv("/proc/self/exe", argv);
    }
}

static int usage(void) {
    (void)fprintf(stderr, "usage: sim SEED [STEPS] [--trace] | sim --seeds FIRST LAST [STEPS] |"
                          " sim --minutes MINUTES [FIRST] | sim --finds LAST\n");
    return 2;
}

static int run_one(uint64_t seed, int n_steps, bool trace) {
    struct verdict verdict;
    tracing = trace;
    simulate(seed, n_steps, NULL, &verdict);
    tracing = false;
    if (verdict.failed) {
        report(seed, n_steps, &verdict);
    } else {
        (void)printf("seed %" PRIu64 ", %d steps: every property holds\n", seed, n_steps);
    }
    return verdict.failed;
}

static int steps_of(const char *text) {
    int n = text ? atoi(text) : DEFAULT_STEPS;
    return n < 1 ? 1 : n > MOST_STEPS ? MOST_STEPS : n;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        return usage();
    }
    (void)setenv("TZ", "UTC0", 1); /* of quiet hours */
    become_repeatable(argv);
    vfs_install();
    databases_prepare();
    log_install(log_line, NULL, LOG_LEVEL_INFO);
    struct series series = {.last = UINT64_MAX, .n_steps = DEFAULT_STEPS};
    if (strcmp(argv[1], "--seeds") == 0 && argc >= 4) {
        series.next = strtoull(argv[2], NULL, 10);
        series.last = strtoull(argv[3], NULL, 10);
        series.n_steps = steps_of(argc > 4 ? argv[4] : NULL);
    } else if (strcmp(argv[1], "--minutes") == 0 && argc >= 3) {
        series.next = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL) * 1000;
        series.until = time(NULL) + (time_t)(60.0 * strtod(argv[2], NULL));
    } else if (strcmp(argv[1], "--finds") == 0 && argc == 3) {
        series.next = 1;
        series.last = strtoull(argv[2], NULL, 10);
        series.finds = true;
    } else if (argv[1][0] != '-') {
        bool trace = strcmp(argv[argc - 1], "--trace") == 0;
        const char *steps = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
        return run_one(strtoull(argv[1], NULL, 10), steps_of(steps), trace);
    } else {
        return usage();
    }
    (void)printf("seeds from %" PRIu64 "\n", series.next);
    run_series(&series);
    return (series.n_failed > 0) != series.finds;
}
