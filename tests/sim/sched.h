/* Tasks in place of threads, and time that passes when the simulator says so.
 *
 * A task is a coroutine: it runs until it waits, ends, or comes to a point at which another may go
 * (sched_point: every operation on files, every lock). Who goes next is chosen by the seed. The
 * code under test calls pthread functions, which the linker leads here (threads.c).
 *
 * Thread rule: one thread. "The driver" is what is not a task: main and the checks.
 */
#ifndef CUTOUTD_TESTS_SIM_SCHED_H
#define CUTOUTD_TESTS_SIM_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/stream.h"

struct task;

/* Forgets every task, wherever it stands: the process is gone. */
void sched_reset(void);

/* From now on choices are made by *choices; at a point another task goes with that chance. */
void sched_choose_by(struct stream *choices, int switch_percent);

struct task *sched_spawn(void *(*entry)(void *user), void *user);

/* In a task: waits for the end of another and returns its result. */
void *sched_join(struct task *task);

enum { SCHED_MOST_TASKS = 1024 };
bool sched_is_task(void);

/* Of the task that runs, below SCHED_MOST_TASKS; another may have it later. -1: the driver. */
int sched_task_number(void);

/* In a task: another may go now. In the driver: nothing. */
void sched_point(void);

/* In a task: waits until `event` is signalled or the monotonic time until_s has come (INFINITY:
 * never). False: the time has come. Who waits must look again at what it waits for. */
bool sched_wait(const void *event, double until_s);

/* Every task that waits for it may go on. */
void sched_signal(const void *event);

/* In the driver: one task runs to its next point. False: none can. */
bool sched_run_one(void);

/* When the first waiting task would go on by itself; INFINITY: none would. */
double sched_next_deadline(void);

/* In a task: ends the process at this place; sched_run_one returns in the driver. In the driver: as
 * if a task had. */
void sched_crash(void);
bool sched_has_crashed(void);

/* No points and no faults while this is not 0: the driver looks. */
extern int sched_calm;

/* The one thing that a task keeps for itself (pthread_setspecific). */
const void **sched_own(void);

/* ---- time ---- */

double sched_now_s(void);
void sched_set_now_s(double now_s); /* never back */
int64_t sched_unix_ms(void);
void sched_jump_unix_ms(int64_t by_ms);

#endif
