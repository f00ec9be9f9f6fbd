/* Layer: daemon/slurm. Thread rule: see the header. */
#include "daemon/slurm/command.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/text.h"

static const double MEANWHILE_S = 1.0;

enum { OUT, ERR, ENDED, N_FDS };

/* A program that runs. */
struct running {
    const struct command *command;
    struct command_result *result;
    pid_t pid;
    struct pollfd fds[N_FDS]; /* its output, its errors, its process; -1: closed */
    size_t capacity;
    size_t n_errors;
};

static void close_fds(struct running *r) {
    for (int i = 0; i < N_FDS; i++) {
        if (r->fds[i].fd >= 0) {
            (void)close(r->fds[i].fd);
        }
        r->fds[i].fd = -1;
    }
}

/* ---- starting ---- */

/* Signals as for any new program; and a group of its own, so that what it starts can be ended with
 * it. */
static int spawn(struct running *r, const int pipes[2][2]) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, pipes[OUT][1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, pipes[ERR][1], STDERR_FILENO);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    int code = posix_spawn(&r->pid, r->command->words[0], &actions, &attributes, r->command->words,
                           r->command->environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return code;
}

static enum status start(struct running *r, struct error *error) {
    int pipes[2][2] = {{-1, -1}, {-1, -1}};
    const char *program = r->command->words[0];
    int code = pipe2(pipes[OUT], O_CLOEXEC) == 0 && pipe2(pipes[ERR], O_CLOEXEC) == 0
                   ? spawn(r, (const int(*)[2])pipes)
                   : errno;
    for (int i = 0; i < 2; i++) {
        r->fds[i] = (struct pollfd){.fd = pipes[i][0], .events = POLLIN};
        if (pipes[i][1] >= 0) {
            (void)close(pipes[i][1]);
        }
        if (pipes[i][0] >= 0) {
            (void)fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
        }
    }
    r->fds[ENDED] = (struct pollfd){.fd = -1, .events = POLLIN};
    if (code != 0) {
        close_fds(r);
        return error_set_errno(error, code, "cannot start %s", program);
    }
    r->fds[ENDED].fd = (int)syscall(SYS_pidfd_open, r->pid, 0);
    return STATUS_OK;
}

/* ---- listening ---- */

static enum status keep_output(struct running *r, const char *bytes, size_t n,
                               struct error *error) {
    struct command_result *result = r->result;
    if (result->n_output + n + 1 > COMMAND_MOST_BYTES) {
        return error_set(error, STATUS_TOO_LARGE, "%s says more than %d MiB", r->command->words[0],
                         COMMAND_MOST_BYTES >> 20);
    }
    if (result->n_output + n + 1 > r->capacity) {
        size_t capacity = 2 * (result->n_output + n + 1);
        char *output = realloc(result->output, capacity);
        if (!output) {
            return error_set(error, STATUS_NO_MEMORY, "no memory for what %s says",
                             r->command->words[0]);
        }
        result->output = output;
        r->capacity = capacity;
    }
    memcpy(result->output + result->n_output, bytes, n);
    result->n_output += n;
    result->output[result->n_output] = '\0';
    return STATUS_OK;
}

static void keep_errors(struct running *r, const char *bytes, size_t n) {
    char *text = r->result->error_text;
    for (size_t i = 0; i < n && r->n_errors < COMMAND_ERROR_SIZE - 1; i++) {
        text[r->n_errors++] = (char)(bytes[i] == '\n' ? ' ' : bytes[i] == '\0' ? '?' : bytes[i]);
    }
}

/* All that is there. */
static enum status listen_to(struct running *r, int which, struct error *error) {
    char bytes[16 << 10];
    ssize_t n = 0;
    while ((n = read(r->fds[which].fd, bytes, sizeof(bytes))) > 0) {
        if (which == OUT) {
            TRY(keep_output(r, bytes, (size_t)n, error));
        } else {
            keep_errors(r, bytes, (size_t)n);
        }
    }
    if (n == 0) {
        (void)close(r->fds[which].fd);
        r->fds[which].fd = -1;
    }
    return STATUS_OK;
}

/* Until it has ended; what it started and left behind may keep its pipes open, and is not waited
 * for. */
static enum status wait_for_end(struct running *r, struct error *error) {
    const struct command *command = r->command;
    double until_s = clock_monotonic_s(&clock_system) + command->timeout_s;
    for (bool ended = false; !ended;) {
        double left_s = until_s - clock_monotonic_s(&clock_system);
        if (left_s <= 0) {
            return error_set(error, STATUS_BUSY, "%s does not answer (%.0f s)", command->words[0],
                             command->timeout_s);
        }
        int n = poll(r->fds, N_FDS, (int)ceil(fmin(left_s, MEANWHILE_S) * 1000.0));
        ended = n > 0 && r->fds[ENDED].revents != 0;
        for (int i = OUT; n > 0 && i <= ERR; i++) {
            if (r->fds[i].fd >= 0) {
                TRY(listen_to(r, i, error));
            }
        }
        ended = ended || (r->fds[ENDED].fd < 0 && r->fds[OUT].fd < 0 && r->fds[ERR].fd < 0);
        if (!ended && command->meanwhile && !command->meanwhile(command->user)) {
            return error_set(error, STATUS_BUSY, "%s was not waited for", command->words[0]);
        }
    }
    return STATUS_OK;
}

enum status command_run(const struct command *command, struct command_result *ret_result,
                        struct error *error) {
    struct running r = {.command = command, .result = ret_result};
    int code = 0;
    *ret_result = (struct command_result){.exit_status = -1};
    TRY(keep_output(&r, "", 0, error));
    TRY(start(&r, error));
    enum status status = wait_for_end(&r, error);
    (void)kill(-r.pid, SIGKILL); /* after its end: what it left behind */
    while (waitpid(r.pid, &code, 0) < 0 && errno == EINTR) {
    }
    close_fds(&r);
    text_make_plain(ret_result->error_text);
    ret_result->exit_status = status == STATUS_OK && WIFEXITED(code) ? WEXITSTATUS(code) : -1;
    return status;
}

void command_result_clear(struct command_result *result) {
    free(result->output);
    *result = (struct command_result){.exit_status = -1};
}
