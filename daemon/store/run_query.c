/* Lists of runs. Layer: daemon/store. Thread rule: store/store.h.
 *
 * The statement is put together from the constant pieces of this file; whatever a client chose is
 * bound. Its inner part finds the ids of one page in the index run_facts, which has every column
 * that can be asked for or sorted by, beginning with the id:
 *
 *     in order of id      the walk begins at the cursor and ends with the page;
 *     in another order    the whole index is walked once, the best of it kept;
 *     states not final    the same in the small index of unfinished runs;
 *     labels              only the entries of the runs that have them.
 *
 * So a list of 100,000 runs costs at most one walk over some MiB, whatever the combination, and the
 * long rows of the table are read for the page alone. The planner is told so (INDEXED BY): without
 * statistics it would begin with the index of the queue.
 */
#include "daemon/store/run_query.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/run_statements.h"
#include "daemon/store/tables.h"

static const struct {
    const char *name;
    const char *column;
    bool text;
} fields[RUN_FIELD_COUNT] = {
    [RUN_FIELD_STATE] = {"state", "state", true},
    [RUN_FIELD_M] = {"m", "m", false},
    [RUN_FIELD_CUTOUT_SIZE] = {"cutout_size", "cutout_size", false},
    [RUN_FIELD_SEED] = {"seed", "seed", false},
    [RUN_FIELD_DEPTH] = {"depth", "depth", false},
    [RUN_FIELD_SWEEP] = {"sweep", "sweep_id", false},
    [RUN_FIELD_DATASET] = {"dataset", "dataset", true},
    [RUN_FIELD_PRESET] = {"preset", "preset", true},
    [RUN_FIELD_OPTIMIZER] = {"optimizer", "optimizer", true},
    [RUN_FIELD_COPIES] = {"copies", "copies", true},
    [RUN_FIELD_OWNER] = {"owner", "owner", true},
    [RUN_FIELD_NAME] = {"name", "name", true},
    [RUN_FIELD_LABEL] = {"label", NULL, true},
};

static const struct {
    const char *name;
    const char *column;
    bool nullable;
} sorts[RUN_SORT_COUNT] = {
    [RUN_SORT_ID] = {"id", "id", false},
    [RUN_SORT_CREATED] = {"created", "created_ms", false},
    [RUN_SORT_UPDATED] = {"updated", "updated_ms", false},
    [RUN_SORT_FINISHED] = {"finished", "finished_ms", true},
    [RUN_SORT_PRIORITY] = {"priority", "priority", false},
    [RUN_SORT_NAME] = {"name", "name", false},
    [RUN_SORT_STATE] = {"state", "state", false},
    [RUN_SORT_M] = {"m", "m", false},
    [RUN_SORT_CUTOUT_SIZE] = {"cutout_size", "cutout_size", false},
    [RUN_SORT_SEED] = {"seed", "seed", false},
    [RUN_SORT_BEST] = {"best", "best_error", true},
    [RUN_SORT_BEST_EPOCH] = {"best_epoch", "best_epoch", true},
    [RUN_SORT_LAST] = {"last", "last_error", true},
    [RUN_SORT_MEAN_LAST_5] = {"mean_last_5", "mean_last_5", true},
    [RUN_SORT_TRAIN_SECONDS] = {"train_seconds", "train_seconds", false},
};

static const unsigned unfinished_states =
    1u << RUN_QUEUED | 1u << RUN_HELD | 1u << RUN_RUNNING | 1u << RUN_PAUSED;

const char *run_field_name(enum run_field field) {
    return fields[field].name;
}

const char *run_sort_name(enum run_sort sort) {
    return sorts[sort].name;
}

bool run_field_is_text(enum run_field field) {
    return fields[field].text;
}

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

void run_query_add_states(struct run_query *query, unsigned states) {
    (void)run_query_begin_condition(query, RUN_FIELD_STATE);
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        if (states & (1u << state)) {
            const char *name = run_state_name((enum run_state)state);
            (void)run_query_add_value(query,
                                      &(struct run_value){.text = name, .n_text = strlen(name)});
        }
    }
}

/* The statement */

struct sql {
    char *text; /* [RUN_QUERY_SQL_SIZE] */
    size_t used;
};

static void add(struct sql *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct sql *sql, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = RUN_QUERY_SQL_SIZE - sql->used;
    int n = vsnprintf(sql->text + sql->used, room, format, arguments);
    va_end(arguments);
    /* What does not fit leaves no room, which run_query_sql sees. */
    sql->used += n >= 0 && (size_t)n < room ? (size_t)n : room - 1;
}

static void add_condition(struct sql *sql, const struct run_condition *condition) {
    if (condition->field == RUN_FIELD_LABEL) {
        add(sql, " AND id IN (SELECT run_id FROM run_label WHERE (key = ? AND value = ?)");
        for (int i = 1; i < condition->n; i++) {
            add(sql, " OR (key = ? AND value = ?)");
        }
    } else {
        add(sql, " AND %s IN (?", fields[condition->field].column);
        for (int i = 1; i < condition->n; i++) {
            add(sql, ", ?");
        }
    }
    add(sql, ")");
}

/* What lies behind the cursor. */
static void add_cursor(struct sql *sql, const struct run_query *query) {
    const char *column = sorts[query->sort].column;
    char than = query->ascending ? '>' : '<';
    if (query->sort == RUN_SORT_ID) {
        add(sql, " AND id %c ?", than);
    } else if (query->after.type == RUN_KEY_NULL) {
        add(sql, " AND %s IS NULL AND id %c ?", column, than);
    } else if (sorts[query->sort].nullable) {
        add(sql, " AND (%s IS NULL OR (%s, id) %c (?, ?))", column, column, than);
    } else {
        add(sql, " AND (%s, id) %c (?, ?)", column, than);
    }
}

static void add_order(struct sql *sql, const struct run_query *query) {
    const char *column = sorts[query->sort].column;
    const char *direction = query->ascending ? "" : " DESC";
    add(sql, " ORDER BY ");
    if (sorts[query->sort].nullable) {
        add(sql, "%s IS NULL, ", column);
    }
    if (query->sort != RUN_SORT_ID) {
        add(sql, "%s%s, ", column, direction);
    }
    add(sql, "id%s", direction);
}

/* Whether some condition allows only states that are not final. */
static bool is_about_unfinished(const struct run_query *query) {
    for (int i = 0; i < query->n_conditions; i++) {
        const struct run_condition *condition = &query->conditions[i];
        bool all = condition->field == RUN_FIELD_STATE;
        for (int j = 0; all && j < condition->n; j++) {
            const struct run_value *value = &query->values[condition->first + j];
            char name[16];
            enum run_state state;
            (void)snprintf(name, sizeof(name), "%.*s", (int)value->n_text, value->text);
            all = run_state_from_name(name, &state) && (unfinished_states & (1u << state));
        }
        if (all) {
            return true;
        }
    }
    return false;
}

enum status run_query_sql(const struct run_query *query, char ret_sql[RUN_QUERY_SQL_SIZE],
                          struct error *error) {
    struct sql sql = {.text = ret_sql};
    add(&sql, "SELECT " RUN_COLUMNS " FROM (SELECT id AS found FROM run INDEXED BY ");
    if (is_about_unfinished(query)) {
        add(&sql, "run_facts_unfinished"
                  " WHERE state IN ('queued', 'held', 'running', 'paused')");
    } else {
        add(&sql, "run_facts WHERE 1");
    }
    for (int i = 0; i < query->n_conditions; i++) {
        add_condition(&sql, &query->conditions[i]);
    }
    if (query->after.set) {
        add_cursor(&sql, query);
    }
    add_order(&sql, query);
    add(&sql, " LIMIT ?) CROSS JOIN run ON run.id = found");
    add_order(&sql, query);
    return sql.used + 1 < RUN_QUERY_SQL_SIZE
               ? STATUS_OK
               : error_set(error, STATUS_TOO_LARGE, "a query for runs has too many conditions");
}

/* The values, in the order of the question marks */

static void bind_text(sqlite3_stmt *statement, int *index, const char *text, size_t n) {
    (void)sqlite3_bind_text(statement, (*index)++, text, (int)n, SQLITE_STATIC);
}

static void bind_cursor(sqlite3_stmt *statement, int *index, const struct run_query *query) {
    const struct run_cursor *after = &query->after;
    if (query->sort != RUN_SORT_ID) {
        switch (after->type) {
        case RUN_KEY_INTEGER:
            (void)sqlite3_bind_int64(statement, (*index)++, after->integer);
            break;
        case RUN_KEY_REAL:
            (void)sqlite3_bind_double(statement, (*index)++, after->real);
            break;
        case RUN_KEY_TEXT:
            bind_text(statement, index, after->text, strlen(after->text));
            break;
        case RUN_KEY_NULL:
            break;
        }
    }
    (void)sqlite3_bind_int64(statement, (*index)++, after->id);
}

static void bind_query(sqlite3_stmt *statement, const struct run_query *query) {
    int index = 1;
    for (int i = 0; i < query->n_conditions; i++) {
        const struct run_condition *condition = &query->conditions[i];
        for (int j = 0; j < condition->n; j++) {
            const struct run_value *value = &query->values[condition->first + j];
            if (condition->field == RUN_FIELD_LABEL) {
                bind_text(statement, &index, value->key, value->n_key);
            }
            if (fields[condition->field].text) {
                bind_text(statement, &index, value->text, value->n_text);
            } else {
                (void)sqlite3_bind_int64(statement, index++, value->number);
            }
        }
    }
    if (query->after.set) {
        bind_cursor(statement, &index, query);
    }
    /* One more than asked for tells whether there are more. */
    (void)sqlite3_bind_int64(statement, index, (int64_t)query->limit + 1);
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

static enum status read_list(struct db *db, const struct run_query *query, struct run_list *list,
                             struct error *error) {
    char sql[RUN_QUERY_SQL_SIZE];
    TRY(run_query_sql(query, sql, error));
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) {
        return db_status(db->handle, code, "cannot list runs", error);
    }
    bind_query(statement, query);
    enum status status = read_rows(db, statement, query, list, error);
    (void)sqlite3_finalize(statement);
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
