/* Which operation fails, and before which one the process ends.
 *
 * Thread rule: the simulator has one thread.
 */
#ifndef CUTOUTD_TESTS_SIM_FAULTS_H
#define CUTOUTD_TESTS_SIM_FAULTS_H

#include <stdbool.h>

enum operation { OPERATION_READ, OPERATION_CHANGE, OPERATION_SYNC };

struct faults {
    long n_operations; /* since the beginning, reads apart */
    long n_reads;
    long crash_at; /* before this one the process ends; 0: never */
    long fail_at;  /* this one fails; 0: none */
    long fail_read_at;
    int error;     /* with this errno */
    bool for_good; /* and all that follow */
};

extern struct faults faults;

/* At the beginning of every operation on files: another task may go, the process may end here. 0:
 * the operation is carried out; an errno: it fails. */
int faults_meet(enum operation operation);

/* Nothing fails from now on. */
void faults_heal(void);

#endif
