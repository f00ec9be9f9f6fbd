/* Thread rule: see the header. */
#include "tests/sim/faults.h"

#include "tests/sim/sched.h"

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
