/* The statements of table `run`, by index into run_statements.
 *
 * Layer: daemon/store (run_statements.c, run_table.c and run_update.c only). Thread rule:
 * constants.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_RUN_STATEMENTS_H
#define CUTOUTD_DAEMON_STORE_TABLE_RUN_STATEMENTS_H

enum run_statement {
    RUN_INSERT,
    RUN_INSERT_LABELS,
    RUN_GET,
    RUN_COUNT,
    RUN_MOVE,
    RUN_CLAIM,
    RUN_REQUEST,
    RUN_REPORT,
    RUN_SET_ORIGIN,
    RUN_SET_PLACEMENT,
    RUN_SET_REASON,
    RUN_RESET,
    RUN_TOUCH,
    RUN_EDIT,
    RUN_FORGET_LABELS,
    RUN_DELETE,
    RUN_NOTE_BEGIN,
    RUN_SPEED,
    RUN_HAS_DATASET,
    RUN_N_STATEMENTS,
};

#endif
