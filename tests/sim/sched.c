/* Thread rule: see the header. */
#include "tests/sim/sched.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/sim/faults.h"

enum { STACK_BYTES = 256 * 1024 };

enum task_state { FREE, READY, WAITING, ENDED };

struct task {
    enum task_state state;
    ucontext_t context;
    void *stack;
    const void *event; /* while it waits */
    double until_s;
    bool timed_out;
    void *(*entry)(void *user);
    void *user;
    void *result;
    int errno_value;
    const void *own; /* of pthread_setspecific */
};

static struct task tasks[SCHED_MOST_TASKS];
static int n_tasks; /* places that were ever used */
static struct task *current;
static ucontext_t driver;
static bool crashed;
static struct stream *choices;
static int switch_percent;
static double now_s;
static int64_t unix_offset_ms;

int sched_calm;

void sched_reset(void) {
    for (int i = 0; i < n_tasks; i++) {
        tasks[i].state = FREE;
    }
    current = NULL;
    crashed = false;
}

void sched_choose_by(struct stream *stream, int percent) {
    choices = stream;
    switch_percent = percent;
}

static void enter(void) {
    current->result = current->entry(current->user);
    current->state = ENDED;
    sched_signal(current);
    (void)setcontext(&driver);
}

static struct task *find_place(void) {
    for (int i = 0; i < n_tasks; i++) {
        if (tasks[i].state == FREE) {
            return &tasks[i];
        }
    }
    if (n_tasks == SCHED_MOST_TASKS) {
        (void)fprintf(stderr, "sim: more than %d tasks\n", SCHED_MOST_TASKS);
        abort();
    }
    return &tasks[n_tasks++];
}

struct task *sched_spawn(void *(*entry)(void *user), void *user) {
    struct task *task = find_place();
    if (!task->stack) {
        task->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (task->stack == MAP_FAILED) {
            perror("sim: no memory for a stack");
            abort();
        }
    }
    task->state = READY;
    task->entry = entry;
    task->user = user;
    task->errno_value = 0;
    task->own = NULL;
    (void)getcontext(&task->context);
    task->context.uc_stack.ss_sp = task->stack;
    task->context.uc_stack.ss_size = STACK_BYTES;
    task->context.uc_link = NULL;
    makecontext(&task->context, enter, 0);
    return task;
}

bool sched_is_task(void) {
    return current != NULL;
}

int sched_task_number(void) {
    return current ? (int)(current - tasks) : -1;
}

/* Back to the driver, until it is chosen again. */
static void leave(void) {
    struct task *task = current;
    task->errno_value = errno;
    (void)swapcontext(&task->context, &driver);
    errno = task->errno_value;
}

void sched_point(void) {
    if (current && !sched_calm && stream_chance(choices, switch_percent)) {
        leave();
    }
}

bool sched_wait(const void *event, double until_s) {
    if (!current || sched_calm) {
        (void)fprintf(stderr, "sim: the driver would wait for ever\n");
        abort();
    }
    current->state = WAITING;
    current->event = event;
    current->until_s = until_s;
    current->timed_out = false;
    leave();
    return !current->timed_out;
}

void sched_signal(const void *event) {
    for (int i = 0; i < n_tasks; i++) {
        if (tasks[i].state == WAITING && tasks[i].event == event) {
            tasks[i].state = READY;
        }
    }
}

void *sched_join(struct task *task) {
    while (task->state != ENDED) {
        (void)sched_wait(task, (double)INFINITY);
    }
    void *result = task->result;
    task->state = FREE;
    return result;
}

static void wake_due(void) {
    for (int i = 0; i < n_tasks; i++) {
        if (tasks[i].state == WAITING && tasks[i].until_s <= now_s) {
            tasks[i].state = READY;
            tasks[i].timed_out = true;
        }
    }
}

static struct task *choose(void) {
    int n_ready = 0;
    for (int i = 0; i < n_tasks; i++) {
        n_ready += tasks[i].state == READY;
    }
    int place = n_ready > 1 ? stream_below(choices, n_ready) : 0;
    for (int i = 0; i < n_tasks && n_ready > 0; i++) {
        if (tasks[i].state == READY && place-- == 0) {
            return &tasks[i];
        }
    }
    return NULL;
}

bool sched_run_one(void) {
    if (crashed) {
        return false;
    }
    wake_due();
    current = choose();
    if (!current) {
        return false;
    }
    (void)swapcontext(&driver, &current->context);
    current = NULL;
    return true;
}

double sched_next_deadline(void) {
    double next = (double)INFINITY;
    for (int i = 0; i < n_tasks; i++) {
        next = tasks[i].state == WAITING ? fmin(next, tasks[i].until_s) : next;
    }
    return next;
}

void sched_crash(void) {
    crashed = true;
    if (current) {
        leave(); /* and never comes back: sched_reset forgets it */
    }
}

bool sched_has_crashed(void) {
    return crashed;
}

double sched_now_s(void) {
    return now_s;
}

void sched_set_now_s(double value) {
    now_s = fmax(now_s, value);
}

/* 2026-03-01T12:00:00Z at the beginning. */
int64_t sched_unix_ms(void) {
    return INT64_C(1772366400000) + (int64_t)(now_s * 1000.0) + unix_offset_ms;
}

void sched_jump_unix_ms(int64_t by_ms) {
    unix_offset_ms += by_ms;
}

/* ---- what a task keeps for itself: there is one key ---- */

static const void *own_of_driver;

const void **sched_own(void) {
    return current ? &current->own : &own_of_driver;
}

/* ---- faults: an operation is a point at which another task may go, or the process may end ---- */

struct faults faults;

static bool is_due(long n, long at) {
    return at > 0 && (faults.for_good ? n >= at : n == at);
}

int faults_meet(enum operation operation) {
    if (sched_calm || !sched_is_task()) {
        return 0;
    }
    sched_point();
    if (operation == OPERATION_READ) {
        faults.n_reads++;
        return is_due(faults.n_reads, faults.fail_read_at) ? faults.error : 0;
    }
    faults.n_operations++;
    if (faults.crash_at > 0 && faults.n_operations >= faults.crash_at) {
        faults.crash_at = 0;
        sched_crash();
    }
    return is_due(faults.n_operations, faults.fail_at) ? faults.error : 0;
}

void faults_heal(void) {
    faults.fail_at = 0;
    faults.fail_read_at = 0;
    faults.for_good = false;
}
