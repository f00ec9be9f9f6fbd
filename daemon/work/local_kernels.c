/* Layer: daemon/work. */
#include "daemon/work/local_kernels.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/log.h"
#include "core/train/trainer.h"
#include "daemon/work/executor.h"

_Static_assert((int)RUN_ARITHMETIC_SIZE == (int)ARITHMETIC_TEXT_SIZE, "one text");

const struct kernels *local_kernels_find(const struct kernels *preferred, const char *variant) {
    return strcmp(variant, preferred->name) == 0 ? preferred : kernels_find(variant);
}

/* Whether the run's bits are those of these kernels. */
static bool keeps_bits(const struct run_row *run, const struct run_config *config,
                       const struct kernels *kernels, char ret_arithmetic[RUN_ARITHMETIC_SIZE]) {
    trainer_arithmetic(config, kernels, ret_arithmetic);
    return executor_keeps_arithmetic(run, ret_arithmetic);
}

const struct kernels *local_kernels_choose(const struct kernels *preferred,
                                           const struct run_row *run,
                                           const struct run_config *config,
                                           char ret_arithmetic[RUN_ARITHMETIC_SIZE]) {
    const struct kernels *own = local_kernels_find(preferred, run->variant);
    const struct kernels *first = own ? own : preferred;
    if (run->arithmetic[0]) {
        if (keeps_bits(run, config, first, ret_arithmetic)) {
            return first;
        }
        if (keeps_bits(run, config, preferred, ret_arithmetic)) {
            return preferred;
        }
        for (const struct kernels *const *k = kernels_available(); *k; k++) {
            if (keeps_bits(run, config, *k, ret_arithmetic)) {
                return *k;
            }
        }
    }
    trainer_arithmetic(config, first, ret_arithmetic);
    return first;
}

bool local_pin(int place, int n_threads) {
    cpu_set_t all;
    cpu_set_t mine;
    CPU_ZERO(&mine);
    if (sched_getaffinity(0, sizeof(all), &all) != 0) {
        return false;
    }
    int n = CPU_COUNT(&all);
    int first = place * n_threads;
    for (int cpu = 0, i = 0; i < n; cpu++) {
        if (CPU_ISSET((size_t)cpu, &all)) {
            int behind = (i++ - first % n + n) % n;
            if (behind < n_threads) {
                CPU_SET((size_t)cpu, &mine);
            }
        }
    }
    return pthread_setaffinity_np(pthread_self(), sizeof(mine), &mine) == 0;
}

/* Training takes every core for days; an answer takes a millisecond. So the threads of the API come
 * first, whatever priority the process has: on Linux this is the calling thread's alone, and the
 * threads that it makes have it from it. */
void local_yield_to_others(void) {
    enum { BELOW_OTHERS = 10, LOWEST = 19 };
    errno = 0;
    int mine = getpriority(PRIO_PROCESS, 0);
    int wanted = mine + BELOW_OTHERS < LOWEST ? mine + BELOW_OTHERS : LOWEST;
    if (errno != 0 || setpriority(PRIO_PROCESS, 0, wanted) != 0) {
        log_warning("training threads keep their priority: answers may be slow while they run");
    }
}
