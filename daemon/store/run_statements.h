/* The statements of table `run`, by index into run_statements.
 *
 * Layer: daemon/store (run_statements.c, run_table.c, run_change.c only). Thread rule: constants.
 */
#ifndef CUTOUTD_DAEMON_STORE_RUN_STATEMENTS_H
#define CUTOUTD_DAEMON_STORE_RUN_STATEMENTS_H

enum run_statement {
    RUN_INSERT,
    RUN_INSERT_LABELS,
    RUN_GET,
    RUN_LIST,
    RUN_COUNT,
    RUN_MOVE,
    RUN_CLAIM,
    RUN_REQUEST,
    RUN_SET_ORIGIN,
    RUN_SET_REASON,
    RUN_RESET,
    RUN_NOTE_EPOCH,
    RUN_TOUCH,
    RUN_EDIT,
    RUN_FORGET_LABELS,
    RUN_DELETE,
    RUN_QUEUE,
    RUN_QUEUE_PLACE,
    RUN_COUNT_INTERRUPTION,
    RUN_N_STATEMENTS,
};

#endif
