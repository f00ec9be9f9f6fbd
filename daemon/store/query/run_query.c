/* Lists of runs. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/query/run_query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/store/query/run_query_sql.h"
#include "daemon/store/table/run_rows.h"

/* Up to FEW_RUNS it is better to look at all of them than to walk until a page is full; up to
 * SOME_RUNS a walk had better have a list of them than ask for each run that it meets. */
enum { FEW_RUNS = 4000, SOME_RUNS = 25000 };

bool run_query_begin_condition(struct run_query *query, enum run_field field) {
    if (query->n_conditions == RUN_QUERY_MAX_CONDITIONS) {
        return false;
    }
    query->conditions[query->n_conditions++] =
        (struct run_condition){.field = field, .first = query->n_values};
    return true;
}

bool run_query_add_value(struct run_query *query, const struct run_value *value) {
    if (query->n_values == RUN_QUERY_MAX_VALUES) {
        return false;
    }
    query->values[query->n_values++] = *value;
    query->conditions[query->n_conditions - 1].n++;
    return true;
}

/* The list */

static enum status read_rows(struct db *db, sqlite3_stmt *statement, const struct run_query *query,
                             struct run_list *list, struct error *error) {
    list->rows = calloc((size_t)query->limit, sizeof(*list->rows));
    if (!list->rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a list of %d runs", query->limit);
    }
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    while (row && list->n < (size_t)query->limit) {
        TRY(run_read_row(statement, &list->rows[list->n], error));
        list->n++;
        TRY(db_step(db, statement, &row, error));
    }
    list->more = row;
    return STATUS_OK;
}

static enum status prepare(struct db *db, const struct run_query *query, int64_t limit,
                           const char *text, sqlite3_stmt **ret_statement, struct error *error) {
    TRY(db_statement_of(db, text, ret_statement, error));
    run_query_bind(query, limit, *ret_statement);
    return STATUS_OK;
}

/* How many runs the condition allows, counted up to SOME_RUNS + 1; -1: no index says it. */
static enum status count_runs(struct db *db, const struct run_query *query, int condition,
                              int *ret_count, struct error *error) {
    char text[RUN_QUERY_SQL_SIZE];
    *ret_count = -1;
    if (!run_query_count_sql(query, condition, text)) {
        return STATUS_OK;
    }
    sqlite3_stmt *statement = NULL;
    bool row = false;
    TRY(prepare(db, query, SOME_RUNS + 1, text, &statement, error));
    enum status status = db_step(db, statement, &row, error);
    *ret_count = row ? sqlite3_column_int(statement, 0) : -1;
    (void)sqlite3_reset(statement);
    return status;
}

static enum status make_plan(struct db *db, const struct run_query *query,
                             struct run_query_plan *plan, struct error *error) {
    int fewest = FEW_RUNS + 1;
    for (int i = 0; i < query->n_conditions; i++) {
        int n = 0;
        TRY(count_runs(db, query, i, &n, error));
        if (n >= 0 && n < fewest) {
            fewest = n;
            plan->driver = i;
        }
        bool label = query->conditions[i].field == RUN_FIELD_LABEL;
        bool text = query->conditions[i].field == RUN_FIELD_TEXT;
        /* No index of an order has the origin of forks. */
        bool origin = query->conditions[i].field == RUN_FIELD_FORKED_FROM;
        plan->listed |= text || origin || (label && n <= SOME_RUNS) ? 1u << i : 0;
    }
    if (plan->driver >= 0) {
        plan->listed = 0;
        return STATUS_OK;
    }
    for (int i = 0; i < query->n_conditions && plan->driver < 0; i++) {
        plan->driver = run_query_is_label_in_order(query, i) ? i : -1;
    }
    return STATUS_OK;
}

static enum status read_list(struct db *db, const struct run_query *query, struct run_list *list,
                             struct error *error) {
    char sql[RUN_QUERY_SQL_SIZE];
    struct run_query_plan plan = {.driver = -1};
    TRY(make_plan(db, query, &plan, error));
    TRY(run_query_sql(query, &plan, sql, error));
    sqlite3_stmt *statement = NULL;
    /* One more than asked for tells whether there are more. */
    TRY(prepare(db, query, (int64_t)query->limit + 1, sql, &statement, error));
    enum status status = read_rows(db, statement, query, list, error);
    (void)sqlite3_reset(statement);
    return status;
}

enum status run_table_list(struct store *store, const struct run_query *query,
                           struct run_list *ret_list, struct error *error) {
    struct run_list list = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_list(db, query, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        run_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

/* Cursors */

static void set_integer(struct run_cursor *cursor, int64_t value) {
    cursor->type = RUN_KEY_INTEGER;
    cursor->integer = value;
}

/* NaN stands for NULL. */
static void set_real(struct run_cursor *cursor, double value) {
    cursor->type = isnan(value) ? RUN_KEY_NULL : RUN_KEY_REAL;
    cursor->real = isnan(value) ? 0 : value;
}

static void set_text(struct run_cursor *cursor, const char *value) {
    cursor->type = RUN_KEY_TEXT;
    (void)snprintf(cursor->text, sizeof(cursor->text), "%s", value);
}

/* 0 stands for NULL. */
static void set_optional(struct run_cursor *cursor, int64_t value) {
    cursor->type = value > 0 ? RUN_KEY_INTEGER : RUN_KEY_NULL;
    cursor->integer = value;
}

void run_cursor_at(enum run_sort sort, const struct run_row *row, struct run_cursor *ret_cursor) {
    *ret_cursor = (struct run_cursor){.set = true, .id = row->id};
    switch (sort) {
    case RUN_SORT_ID:
        set_integer(ret_cursor, row->id);
        break;
    case RUN_SORT_CREATED:
        set_integer(ret_cursor, row->created_ms);
        break;
    case RUN_SORT_UPDATED:
        set_integer(ret_cursor, row->updated_ms);
        break;
    case RUN_SORT_FINISHED:
        set_optional(ret_cursor, row->finished_ms);
        break;
    case RUN_SORT_PRIORITY:
        set_integer(ret_cursor, row->priority);
        break;
    case RUN_SORT_NAME:
        set_text(ret_cursor, row->name);
        break;
    case RUN_SORT_STATE:
        set_text(ret_cursor, run_state_name(row->state));
        break;
    case RUN_SORT_M:
        set_integer(ret_cursor, row->m);
        break;
    case RUN_SORT_CUTOUT_SIZE:
        set_integer(ret_cursor, row->cutout_size);
        break;
    case RUN_SORT_SEED:
        set_integer(ret_cursor, (int64_t)row->seed);
        break;
    case RUN_SORT_BEST:
        set_real(ret_cursor, row->best_error);
        break;
    case RUN_SORT_BEST_EPOCH:
        set_optional(ret_cursor, row->best_epoch);
        break;
    case RUN_SORT_LAST:
        set_real(ret_cursor, row->last_error);
        break;
    case RUN_SORT_MEAN_LAST_5:
        set_real(ret_cursor, row->mean_last_5);
        break;
    case RUN_SORT_TRAIN_SECONDS:
        set_real(ret_cursor, row->train_seconds);
        break;
    case RUN_SORT_COUNT:
        break;
    }
}
