/* Thread rule: `mutex` guards the list of jobs; a job's place in its file is the follower's. */
#include "tests/daemon/executor_fake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PATH_SIZE = 512, LINE_SIZE = 256 };

struct fake_job {
    char handle[RUN_HANDLE_SIZE];
    int64_t run_id;
    int attempt;
    int epochs;
    pid_t child; /* ours to wait for; 0: not */
    int watch;
    int pid_fd; /* readable when the process has ended, its lock given back; -1: it had before */
    int fd;     /* its reports, read up to the place of the descriptor */
    char line[LINE_SIZE];
    size_t n_line;
    bool done; /* its outcome was told, or it was refused */
    struct fake_job *next;
};

static void path_of(const struct executor_fake *fake, const char *handle, const char *file,
                    char path[PATH_SIZE]) {
    (void)snprintf(path, PATH_SIZE, "%s/%s/%s", fake->dir, handle, file);
}

static pid_t pid_of(const struct executor_fake *fake, const char *handle) {
    char path[PATH_SIZE];
    int pid = 0;
    path_of(fake, handle, "pid", path);
    FILE *file = fopen(path, "r");
    if (file) {
        while (fscanf(file, "%d", &pid) == 1) {
        }
        (void)fclose(file);
    }
    return pid;
}

int executor_fake_count(const struct executor_fake *fake, const char *handle) {
    char path[PATH_SIZE];
    int n = 0;
    int pid = 0;
    path_of(fake, handle, "pid", path);
    FILE *file = fopen(path, "r");
    while (file && fscanf(file, "%d", &pid) == 1) {
        n++;
    }
    if (file) {
        (void)fclose(file);
    }
    return n;
}

void executor_fake_kill(const struct executor_fake *fake, const char *handle) {
    pid_t pid = pid_of(fake, handle);
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
    }
}

bool executor_fake_say(const struct executor_fake *fake, const char *handle, const char *word) {
    char path[PATH_SIZE];
    char line[32];
    path_of(fake, handle, "asks", path);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    int n = snprintf(line, sizeof(line), "%s\n", word);
    bool said = fd >= 0 && write(fd, line, (size_t)n) == n;
    if (fd >= 0) {
        (void)close(fd);
    }
    return said;
}

/* ---- reports ---- */

static void end_job(struct executor_fake *fake, struct fake_job *job,
                    const struct executor_outcome *outcome) {
    const struct run_report report = {.run_id = job->run_id, .attempt = job->attempt};
    job->done = true;
    fake->reports->outcome(fake->reports->user, &report, outcome);
}

static enum status tell_epoch(struct executor_fake *fake, const struct run_report *report,
                              int epoch, struct error *error) {
    const struct epoch_report row = {.epoch = epoch,
                                     .val_wrong = 100 - epoch,
                                     .val_total = 100,
                                     .lr = 0.1,
                                     .seconds = 1.0,
                                     .best = true};
    return fake->reports->epoch(fake->reports->user, report, &row, error);
}

static enum status tell_checkpoint(struct executor_fake *fake, const struct run_report *report,
                                   int epoch, int step, struct error *error) {
    char path[64];
    char sha256[SHA256_HEX_SIZE];
    memset(sha256, 'c', sizeof(sha256) - 1);
    sha256[sizeof(sha256) - 1] = '\0';
    (void)snprintf(path, sizeof(path), "%06d-%06d.safetensors", epoch, step);
    const struct confusion confusion = {.n_classes = 2, .counts = {{epoch, 100 - epoch}}};
    const struct checkpoint_report row = {.best = step == 0,
                                          .path = path,
                                          .sha256 = sha256,
                                          .epochs_done = epoch,
                                          .step = step,
                                          .confusion = step == 0 ? &confusion : NULL};
    return fake->reports->checkpoint(fake->reports->user, report, &row, error);
}

static void tell(struct executor_fake *fake, struct fake_job *job) {
    struct run_report report = {.number = 0};
    long long number = 0;
    long long run = 0;
    char kind[16] = "";
    int a = 0;
    int b = 0;
    struct error error = {.message = ""};
    enum status status = STATUS_OK;
    if (sscanf(job->line, "%lld %lld %d %15s %d %d", &number, &run, &report.attempt, kind, &a, &b) <
        4) {
        return;
    }
    report.number = number;
    report.run_id = run;
    if (!strcmp(kind, "step")) {
        const struct step_report step = {
            .epoch = a, .epochs = job->epochs, .step = b, .steps_per_epoch = 10};
        status = fake->reports->step(fake->reports->user, &report, &step, &error);
    } else if (!strcmp(kind, "epoch")) {
        status = tell_epoch(fake, &report, a, &error);
    } else if (!strcmp(kind, "checkpoint")) {
        status = tell_checkpoint(fake, &report, a, b, &error);
    } else if (!strcmp(kind, "done") || !strcmp(kind, "stopped")) {
        end_job(fake, job,
                &(struct executor_outcome){.status = kind[0] == 'd' ? STATUS_OK : STATUS_STOPPED,
                                           .message = kind[0] == 'd' ? "" : "stopped"});
    }
    if (status == STATUS_CONFLICT) {
        job->done = true;
        executor_fake_kill(fake, job->handle);
        atomic_fetch_add(&fake->n_refused, 1);
        if (fake->on_refused) {
            fake->on_refused(fake->user);
        }
    }
}

/* Nobody has the lock: the process has ended. */
static bool is_dead(const struct executor_fake *fake, const char *handle) {
    char path[PATH_SIZE];
    path_of(fake, handle, "lock", path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool dead = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return dead;
}

static void read_reports(struct executor_fake *fake, struct fake_job *job) {
    char c = '\0';
    while (!job->done && read(job->fd, &c, 1) == 1) {
        if (c == '\n') {
            job->line[job->n_line] = '\0';
            job->n_line = 0;
            tell(fake, job);
        } else if (job->n_line < LINE_SIZE - 1) {
            job->line[job->n_line++] = c;
        }
    }
}

static void look_at(struct executor_fake *fake, struct fake_job *job) {
    /* First whether it lives: what it wrote before its end is read after that. */
    bool dead = is_dead(fake, job->handle);
    read_reports(fake, job);
    if (dead && !job->done) {
        end_job(fake, job,
                &(struct executor_outcome){.status = STATUS_IO,
                                           .again = true,
                                           .message = "what trained it ended without a word"});
    }
    if (job->child && job->done) {
        (void)waitpid(job->child, NULL, 0);
        job->child = 0;
    }
}

static struct fake_job *first_job(struct executor_fake *fake) {
    (void)pthread_mutex_lock(&fake->mutex);
    struct fake_job *job = fake->first;
    (void)pthread_mutex_unlock(&fake->mutex);
    return job;
}

static void free_job(struct executor_fake *fake, struct fake_job *job) {
    if (job->watch > 0) {
        (void)inotify_rm_watch(fake->inotify_fd, job->watch);
    }
    if (job->fd >= 0) {
        (void)close(job->fd);
    }
    if (job->pid_fd >= 0) {
        (void)close(job->pid_fd);
    }
    free(job);
}

static void remove_done(struct executor_fake *fake) {
    (void)pthread_mutex_lock(&fake->mutex);
    for (struct fake_job **link = &fake->first; *link;) {
        struct fake_job *job = *link;
        if (job->done && !job->child) {
            *link = job->next;
            free_job(fake, job);
        } else {
            link = &job->next;
        }
    }
    (void)pthread_mutex_unlock(&fake->mutex);
}

static void follow(void *user) {
    struct executor_fake *fake = user;
    char events[4096];
    eventfd_t count;
    (void)eventfd_read(fake->kick_fd, &count);
    while (read(fake->inotify_fd, events, sizeof(events)) > 0) {
    }
    for (struct fake_job *job = first_job(fake); job; job = job->next) {
        look_at(fake, job);
    }
    remove_done(fake);
}

static int events(void *user) {
    const struct executor_fake *fake = user;
    return fake->epoll_fd;
}

/* ---- start and attach ---- */

static enum status listen_to(struct executor_fake *fake, const struct run_row *run, pid_t child,
                             struct error *error) {
    char path[PATH_SIZE];
    struct fake_job *job = calloc(1, sizeof(*job));
    if (!job) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a job");
    }
    (void)snprintf(job->handle, sizeof(job->handle), "%s", run->handle);
    job->run_id = run->id;
    job->attempt = run->attempt;
    job->epochs = run->epochs;
    job->child = child;
    path_of(fake, job->handle, "reports", path);
    pid_t pid = child ? child : pid_of(fake, run->handle);
    job->pid_fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (job->pid_fd >= 0) {
        struct epoll_event event = {.events = EPOLLIN};
        (void)epoll_ctl(fake->epoll_fd, EPOLL_CTL_ADD, job->pid_fd, &event);
    }
    job->watch = inotify_add_watch(fake->inotify_fd, path, IN_MODIFY);
    job->fd = open(path, O_RDONLY | O_CLOEXEC);
    (void)pthread_mutex_lock(&fake->mutex);
    job->next = fake->first;
    fake->first = job;
    (void)pthread_mutex_unlock(&fake->mutex);
    (void)eventfd_write(fake->kick_fd, 1);
    return STATUS_OK;
}

/* The lock is taken before there is a process, which inherits it: so nobody can find the handle
 * unlocked while something trains under it. */
static enum status spawn(struct executor_fake *fake, const struct run_row *run, pid_t *ret_child,
                         struct error *error) {
    char path[PATH_SIZE];
    char id[32];
    char attempt[16];
    char epochs[16];
    char dir[PATH_SIZE];
    char program[] = EXECUTOR_FAKE_CHILD;
    char waits[] = "waits";
    char runs[] = "runs";
    (void)snprintf(dir, sizeof(dir), "%s/%s", fake->dir, run->handle);
    if (mkdir(dir, 0700) != 0) {
        return error_set_errno(error, errno, "cannot make %s", dir);
    }
    (void)snprintf(id, sizeof(id), "%lld", (long long)run->id);
    (void)snprintf(attempt, sizeof(attempt), "%d", run->attempt);
    (void)snprintf(epochs, sizeof(epochs), "%d", run->epochs);
    path_of(fake, run->handle, "lock", path);
    int lock = open(path, O_RDWR | O_CREAT, 0600);
    path_of(fake, run->handle, "asks", path);
    int asks = mkfifo(path, 0600) == 0 ? open(path, O_RDWR) : -1;
    path_of(fake, run->handle, "reports", path);
    int reports = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    char fd_texts[3][16];
    (void)snprintf(fd_texts[0], 16, "%d", asks);
    (void)snprintf(fd_texts[1], 16, "%d", reports);
    (void)snprintf(fd_texts[2], 16, "%d", lock);
    char *arguments[] = {
        program,     dir,         id,          attempt, epochs, fake->waits ? waits : runs,
        fd_texts[0], fd_texts[1], fd_texts[2], NULL};
    int code = flock(lock, LOCK_EX | LOCK_NB) == 0 && asks >= 0 && reports >= 0
                   ? posix_spawn(ret_child, program, NULL, NULL, arguments, environ)
                   : errno;
    (void)close(lock);
    (void)close(asks);
    (void)close(reports);
    return code == 0 ? STATUS_OK : error_set_errno(error, code, "cannot start %s", program);
}

static enum status start(void *user, const struct run_row *run, struct error *error) {
    struct executor_fake *fake = user;
    const struct run_report report = {.run_id = run->id, .attempt = run->attempt};
    struct executor_plan plan = {.variant = ""};
    pid_t child = 0;
    atomic_fetch_add(&fake->n_starts, 1);
    TRY(fake->reports->begin(fake->reports->user, &report, &plan, error));
    executor_plan_clear(&plan);
    TRY(spawn(fake, run, &child, error));
    return listen_to(fake, run, child, error);
}

static enum status attach(void *user, const struct run_row *run, struct error *error) {
    struct executor_fake *fake = user;
    char path[PATH_SIZE];
    path_of(fake, run->handle, "reports", path);
    if (access(path, F_OK) != 0) {
        return error_set(error, STATUS_NOT_FOUND, "nothing was started as %s", run->handle);
    }
    TRY(listen_to(fake, run, 0, error));
    return fake->blind ? error_set(error, STATUS_NOT_FOUND, "blind") : STATUS_OK;
}

static void ask(void *user, const char *handle, enum executor_request request) {
    struct executor_fake *fake = user;
    if (request == EXECUTOR_KILL) {
        executor_fake_kill(fake, handle);
    } else {
        (void)executor_fake_say(fake, handle, request == EXECUTOR_STOP ? "stop" : "checkpoint");
    }
}

/* ---- the rest ---- */

static enum status origin(void *user, const struct run_row *run, struct executor_origin *ret_origin,
                          struct error *error) {
    (void)user;
    (void)run;
    (void)error;
    *ret_origin = (struct executor_origin){.variant = "elsewhere",
                                           .arithmetic = "elsewhere-1",
                                           .steps_per_epoch = 10,
                                           .images_per_epoch = 1000};
    memset(ret_origin->dataset_sha256, 'd', SHA256_HEX_SIZE - 1);
    return STATUS_OK;
}

static void admit(void *user, const struct run_config *config,
                  struct executor_admission *ret_admission) {
    (void)user;
    (void)config;
    *ret_admission = (struct executor_admission){
        .limit_bytes = INT64_MAX, .has_images = true, .n_train_images = 1000};
}

static int most(void *user) {
    const struct executor_fake *fake = user;
    return fake->most;
}

static enum status open_fake(void *user, const struct executor_reports *reports,
                             struct error *error) {
    struct executor_fake *fake = user;
    (void)pthread_mutex_init(&fake->mutex, NULL);
    fake->reports = reports;
    fake->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    fake->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    fake->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(fake->epoll_fd, EPOLL_CTL_ADD, fake->inotify_fd, &event) == 0 &&
                   epoll_ctl(fake->epoll_fd, EPOLL_CTL_ADD, fake->kick_fd, &event) == 0
               ? STATUS_OK
               : error_set_errno(error, errno, "cannot open the fake executor");
}

static void close_fake(void *user) {
    struct executor_fake *fake = user;
    while (fake->first) {
        struct fake_job *job = fake->first;
        fake->first = job->next;
        free_job(fake, job);
    }
    (void)close(fake->epoll_fd);
    (void)close(fake->inotify_fd);
    (void)close(fake->kick_fd);
    (void)pthread_mutex_destroy(&fake->mutex);
}

struct executor executor_fake_make(struct executor_fake *fake) {
    return (struct executor){.name = "fake",
                             .user = fake,
                             .origin = origin,
                             .admit = admit,
                             .open = open_fake,
                             .start = start,
                             .attach = attach,
                             .ask = ask,
                             .events = events,
                             .follow = follow,
                             .most = most,
                             .close = close_fake};
}
