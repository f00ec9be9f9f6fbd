/* The statements of lists of runs. Layer: daemon/store. Thread rule: store/store.h.
 *
 * The statement is put together from the constant pieces of this file; whatever a client chose is
 * bound. Its inner part finds the ids of one page, and reads nothing but indexes for it, each of
 * which has all columns that can be asked for. There are five ways to find them:
 *
 *     a label, sweep, owner, name or       those runs, which the condition's own index names;
 *     origin of few runs
 *     a label, in order of id              its index, which has that order, until the page is full;
 *     states that are not final            the small index of unfinished runs;
 *     a common order                       its index, from the cursor on until the page is full,
 *                                          then those without a value from run_facts;
 *     otherwise                            run_facts: in order of id until the page is full, in
 *                                          another order once as a whole.
 *
 * So a list costs at most two walks over indexes, whatever the combination, and the long rows of
 * the table are read for the page alone. The planner is told (INDEXED BY): without statistics it
 * would begin with the index of the queue.
 */
#include "daemon/store/query/run_query_sql.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store/table/run_columns.h"

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
    [RUN_FIELD_FORKED_FROM] = {"forked_from", "forked_from", false},
    [RUN_FIELD_DATASET] = {"dataset", "dataset", true},
    [RUN_FIELD_PRESET] = {"preset", "preset", true},
    [RUN_FIELD_OPTIMIZER] = {"optimizer", "optimizer", true},
    [RUN_FIELD_COPIES] = {"copies", "copies", true},
    [RUN_FIELD_OWNER] = {"owner", "owner", true},
    [RUN_FIELD_NAME] = {"name", "name", true},
    [RUN_FIELD_LABEL] = {"label", NULL, true},
    [RUN_FIELD_TEXT] = {"text", NULL, true},
};

static const struct {
    const char *name;
    const char *column;
    bool nullable;
    const char *index; /* of this order; NULL: there is none */
} sorts[RUN_SORT_COUNT] = {
    [RUN_SORT_ID] = {"id", "id", false, "run_facts"},
    [RUN_SORT_CREATED] = {"created", "created_ms", false, NULL},
    [RUN_SORT_UPDATED] = {"updated", "updated_ms", false, "run_by_update"},
    [RUN_SORT_FINISHED] = {"finished", "finished_ms", true, "run_by_end"},
    [RUN_SORT_PRIORITY] = {"priority", "priority", false, NULL},
    [RUN_SORT_NAME] = {"name", "name", false, "run_by_name"},
    [RUN_SORT_STATE] = {"state", "state", false, NULL},
    [RUN_SORT_M] = {"m", "m", false, NULL},
    [RUN_SORT_CUTOUT_SIZE] = {"cutout_size", "cutout_size", false, NULL},
    [RUN_SORT_SEED] = {"seed", "seed", false, NULL},
    [RUN_SORT_BEST] = {"best", "best_error", true, "run_by_best"},
    [RUN_SORT_BEST_EPOCH] = {"best_epoch", "best_epoch", true, NULL},
    [RUN_SORT_LAST] = {"last", "last_error", true, "run_by_last"},
    [RUN_SORT_MEAN_LAST_5] = {"mean_last_5", "mean_last_5", true, "run_by_mean"},
    [RUN_SORT_TRAIN_SECONDS] = {"train_seconds", "train_seconds", false, NULL},
};

static const unsigned unfinished_states =
    1u << RUN_QUEUED | 1u << RUN_HELD | 1u << RUN_RUNNING | 1u << RUN_PAUSED;

const char *run_field_name(enum run_field field) {
    return fields[field].name;
}

const char *run_sort_name(enum run_sort sort) {
    return sorts[sort].name;
}

bool run_sort_is_indexed(enum run_sort sort) {
    return sorts[sort].index != NULL;
}

bool run_field_is_text(enum run_field field) {
    return fields[field].text;
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

/* Where a value of a query is bound, and behind those of all values the rest. */
static int key_place(int value) {
    return 2 * value + 1;
}

static int value_place(int value) {
    return 2 * value + 2;
}

enum {
    PLACE_AFTER_KEY = 2 * RUN_QUERY_MAX_VALUES + 1,
    PLACE_AFTER_ID,
    PLACE_LIMIT,
};

/* "?2, ?4" */
static void add_values(struct sql *sql, const struct run_condition *condition) {
    for (int i = 0; i < condition->n; i++) {
        add(sql, "%s?%d", i > 0 ? ", " : "", value_place(condition->first + i));
    }
}

static void add_labels(struct sql *sql, const struct run_condition *condition) {
    for (int i = 0; i < condition->n; i++) {
        add(sql, "%s(key = ?%d AND value = ?%d)", i > 0 ? " OR " : "",
            key_place(condition->first + i), value_place(condition->first + i));
    }
}

/* Whether the value is in this expression; SQLite's lower() knows A to Z. */
#define CONTAINED "instr(lower(%s), lower(?%d)) > 0"

static void add_contained(struct sql *sql, const char *before, const char *expression, int place,
                          const char *after) {
    add(sql, "%s" CONTAINED "%s", before, expression, place, after);
}

/* Of few runs: looks at each. */
static void add_text(struct sql *sql, int place) {
    add_contained(sql, " AND (", "name", place, "");
    add_contained(sql, " OR EXISTS (SELECT 1 FROM run_label WHERE run_id = run.id AND ",
                  "key || ':' || value", place, ")");
    add_contained(sql, " OR EXISTS (SELECT 1 FROM note WHERE note.run_id = run.id AND ", "text",
                  place, "))");
}

/* Of many: walks all names, labels and notes once. */
static void add_text_ids(struct sql *sql, int place) {
    add_contained(sql, " AND id IN (SELECT id FROM run INDEXED BY run_by_name WHERE ", "name",
                  place, "");
    add_contained(sql, " UNION ALL SELECT run_id FROM run_label WHERE ", "key || ':' || value",
                  place, "");
    add_contained(sql, " UNION ALL SELECT run_id FROM note WHERE run_id IS NOT NULL AND ", "text",
                  place, ")");
}

/* The ids of the runs that the condition allows. false: no index says them. */
static bool add_ids(struct sql *sql, const struct run_condition *condition) {
    switch ((int)condition->field) {
    case RUN_FIELD_LABEL:
        add(sql, "SELECT run_id FROM run_label WHERE ");
        add_labels(sql, condition);
        return true;
    case RUN_FIELD_SWEEP:
        add(sql, "SELECT id FROM run INDEXED BY run_of_sweep WHERE sweep_id IN (");
        break;
    case RUN_FIELD_FORKED_FROM:
        add(sql, "SELECT id FROM run INDEXED BY run_of_fork WHERE forked_from IN (");
        break;
    case RUN_FIELD_OWNER:
        add(sql, "SELECT id FROM run INDEXED BY run_of_owner WHERE owner IN (");
        break;
    case RUN_FIELD_NAME:
        add(sql, "SELECT id FROM run INDEXED BY run_by_name WHERE name IN (");
        break;
    default:
        return false;
    }
    add_values(sql, condition);
    add(sql, ")");
    return true;
}

static void add_condition(struct sql *sql, const struct run_condition *condition, bool listed) {
    if (condition->field == RUN_FIELD_TEXT) {
        (listed ? add_text_ids : add_text)(sql, value_place(condition->first));
    } else if (listed) {
        add(sql, " AND id IN (");
        (void)add_ids(sql, condition);
        add(sql, ")");
    } else if (condition->field == RUN_FIELD_LABEL) {
        add(sql, " AND EXISTS (SELECT 1 FROM run_label WHERE run_id = run.id AND (");
        add_labels(sql, condition);
        add(sql, "))");
    } else {
        add(sql, " AND %s IN (", fields[condition->field].column);
        add_values(sql, condition);
        add(sql, ")");
    }
}

/* What lies behind the cursor. known_null: whether the column is NULL has been said before. */
static void add_cursor(struct sql *sql, const struct run_query *query, bool known_null) {
    const char *column = sorts[query->sort].column;
    char than = query->ascending ? '>' : '<';
    bool or_null = sorts[query->sort].nullable && !known_null;
    if (query->sort == RUN_SORT_ID) {
        add(sql, " AND id %c ?%d", than, PLACE_AFTER_ID);
    } else if (query->after.type == RUN_KEY_NULL) {
        add(sql, "%s%s%s AND id %c ?%d", or_null ? " AND " : "", or_null ? column : "",
            or_null ? " IS NULL" : "", than, PLACE_AFTER_ID);
    } else {
        add(sql, " AND (%s%s(%s, id) %c (?%d, ?%d))", or_null ? column : "",
            or_null ? " IS NULL OR " : "", column, than, PLACE_AFTER_KEY, PLACE_AFTER_ID);
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

static void add_conditions(struct sql *sql, const struct run_query *query,
                           const struct run_query_plan *plan) {
    for (int i = 0; i < query->n_conditions; i++) {
        if (i != plan->driver) {
            add_condition(sql, &query->conditions[i], plan->listed & (1u << i));
        }
    }
}

/* One label in order of id, which is the order of its index. */
static void add_label_walk(struct sql *sql, const struct run_query *query,
                           const struct run_query_plan *plan) {
    add(sql, "SELECT run_id AS found FROM run_label CROSS JOIN run INDEXED BY run_facts"
             " ON id = run_id WHERE ");
    add_labels(sql, &query->conditions[plan->driver]);
    add_conditions(sql, query, plan);
    if (query->after.set) {
        add(sql, " AND run_id %c ?%d", query->ascending ? '>' : '<', PLACE_AFTER_ID);
    }
    add(sql, " ORDER BY run_id%s LIMIT ?%d", query->ascending ? "" : " DESC", PLACE_LIMIT);
}

bool run_query_is_label_in_order(const struct run_query *query, int condition) {
    const struct run_condition *c = &query->conditions[condition];
    return query->sort == RUN_SORT_ID && c->field == RUN_FIELD_LABEL && c->n == 1;
}

/* A walk that must sort what it finds, unless that is in order of id. */
static void add_sorted_walk(struct sql *sql, const struct run_query *query,
                            const struct run_query_plan *plan) {
    add(sql, "SELECT id AS found FROM run INDEXED BY ");
    if (plan->driver >= 0) {
        add(sql, "run_facts WHERE id IN (");
        (void)add_ids(sql, &query->conditions[plan->driver]);
        add(sql, ")");
    } else if (is_about_unfinished(query)) {
        add(sql, "run_facts_unfinished"
                 " WHERE state IN ('queued', 'held', 'running', 'paused')");
    } else {
        add(sql, "run_facts WHERE 1");
    }
    add_conditions(sql, query, plan);
    if (query->after.set) {
        add_cursor(sql, query, false);
    }
    add_order(sql, query);
    add(sql, " LIMIT ?%d", PLACE_LIMIT);
}

/* The part of an order that has values, along its index; or the part that has none, which comes
 * last in both directions and is in order of id. */
static void add_ordered_walk(struct sql *sql, const struct run_query *query,
                             const struct run_query_plan *plan, bool null) {
    const char *column = sorts[query->sort].column;
    const char *direction = query->ascending ? "" : " DESC";
    bool begins_behind = query->after.set && null == (query->after.type == RUN_KEY_NULL);
    add(sql, "SELECT id AS found FROM run INDEXED BY %s WHERE %s IS%s NULL",
        null ? "run_facts" : sorts[query->sort].index, column, null ? "" : " NOT");
    add_conditions(sql, query, plan);
    if (begins_behind) {
        add_cursor(sql, query, true);
    }
    add(sql, " ORDER BY ");
    if (!null) {
        add(sql, "%s%s, ", column, direction);
    }
    add(sql, "id%s LIMIT ?%d", direction, PLACE_LIMIT);
}

static void add_ordered_walks(struct sql *sql, const struct run_query *query,
                              const struct run_query_plan *plan) {
    bool value = !query->after.set || query->after.type != RUN_KEY_NULL;
    bool null = sorts[query->sort].nullable;
    if (value && null) {
        add(sql, "SELECT found FROM (");
        add_ordered_walk(sql, query, plan, false);
        add(sql, ") UNION ALL SELECT found FROM (");
        add_ordered_walk(sql, query, plan, true);
        add(sql, ") LIMIT ?%d", PLACE_LIMIT);
    } else {
        add_ordered_walk(sql, query, plan, !value);
    }
}

enum status run_query_sql(const struct run_query *query, const struct run_query_plan *plan,
                          char ret_sql[RUN_QUERY_SQL_SIZE], struct error *error) {
    struct sql sql = {.text = ret_sql};
    unsigned parts = query->parts;
    add(&sql, "SELECT " RUN_COLUMNS_WITH("%s", "%s", "%s") " FROM (",
        parts & RUN_PART_LABELS ? RUN_PART_SQL_LABELS : "''",
        parts & RUN_PART_CONFIG ? RUN_PART_SQL_CONFIG : "''",
        parts & RUN_PART_AFTER ? RUN_PART_SQL_AFTER : "''");
    bool few = plan->driver >= 0 || is_about_unfinished(query);
    if (plan->driver >= 0 && run_query_is_label_in_order(query, plan->driver)) {
        add_label_walk(&sql, query, plan);
    } else if (!few && query->sort != RUN_SORT_ID && sorts[query->sort].index) {
        add_ordered_walks(&sql, query, plan);
    } else {
        add_sorted_walk(&sql, query, plan);
    }
    add(&sql, ") CROSS JOIN run ON run.id = found");
    add_order(&sql, query);
    return sql.used + 1 < RUN_QUERY_SQL_SIZE
               ? STATUS_OK
               : error_set(error, STATUS_TOO_LARGE, "a query for runs has too many conditions");
}

bool run_query_count_sql(const struct run_query *query, int condition,
                         char ret_sql[RUN_QUERY_SQL_SIZE]) {
    struct sql sql = {.text = ret_sql};
    add(&sql, "SELECT count(*) FROM (");
    bool counted = add_ids(&sql, &query->conditions[condition]);
    add(&sql, " LIMIT ?%d)", PLACE_LIMIT);
    return counted;
}

static void bind_text(sqlite3_stmt *statement, int place, const char *text, size_t n) {
    (void)sqlite3_bind_text(statement, place, text, (int)n, SQLITE_STATIC);
}

static void bind_cursor(sqlite3_stmt *statement, const struct run_cursor *after) {
    switch (after->type) {
    case RUN_KEY_INTEGER:
        (void)sqlite3_bind_int64(statement, PLACE_AFTER_KEY, after->integer);
        break;
    case RUN_KEY_REAL:
        (void)sqlite3_bind_double(statement, PLACE_AFTER_KEY, after->real);
        break;
    case RUN_KEY_TEXT:
        bind_text(statement, PLACE_AFTER_KEY, after->text, strlen(after->text));
        break;
    case RUN_KEY_NULL:
        break;
    }
    (void)sqlite3_bind_int64(statement, PLACE_AFTER_ID, after->id);
}

/* Places that the statement does not have are passed over. */
void run_query_bind(const struct run_query *query, int64_t limit, sqlite3_stmt *statement) {
    for (int i = 0; i < query->n_conditions; i++) {
        const struct run_condition *condition = &query->conditions[i];
        for (int j = condition->first; j < condition->first + condition->n; j++) {
            const struct run_value *value = &query->values[j];
            if (condition->field == RUN_FIELD_LABEL) {
                bind_text(statement, key_place(j), value->key, value->n_key);
            }
            if (fields[condition->field].text) {
                bind_text(statement, value_place(j), value->text, value->n_text);
            } else {
                (void)sqlite3_bind_int64(statement, value_place(j), value->number);
            }
        }
    }
    bind_cursor(statement, &query->after);
    (void)sqlite3_bind_int64(statement, PLACE_LIMIT, limit);
}
