/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/owner/turn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/owner/usage.h"

enum { NEXT_PRIORITY, OWNERS, OLDEST, OWNER, UNCHARGED, UNCHARGED_OF, FIRST_RUN, N_STATEMENTS };

#define OWNER_COLUMNS "owner.name, owner.recent, owner.running, owner.disk"

const struct statement_set turn_statements = {
    N_STATEMENTS,
    {
        [NEXT_PRIORITY] = "SELECT max(priority) FROM waiting WHERE priority < ?1",
        /* In order of their names. */
        [OWNERS] = ("SELECT " OWNER_COLUMNS ", waiting.n FROM waiting"
                    " JOIN owner ON owner.name = waiting.owner WHERE waiting.priority = ?1"
                    " ORDER BY waiting.owner"),
        [OLDEST] = ("SELECT r.id FROM run AS r INDEXED BY run_waiting WHERE r.state = 'queued'"
                    " AND r.priority = ?1 AND r.owner = ?2 ORDER BY r.id LIMIT 1"),
        [OWNER] = ("SELECT " OWNER_COLUMNS ", 0 FROM owner WHERE name = ?1"),
        [UNCHARGED] = ("SELECT owner, total(max(?1 - charged_ms, 0) * cores) / 1000.0 FROM run "
                       "INDEXED BY run_next"
                       " WHERE state = 'running' GROUP BY owner"),
        [UNCHARGED_OF] =
            ("SELECT total(max(?1 - charged_ms, 0) * cores) / 1000.0 FROM run INDEXED BY run_next"
             " WHERE state = 'running' AND owner = ?2"),
        /* Those whose time has come, and that nothing else keeps from starting. */
        [FIRST_RUN] =
            ("SELECT r.id FROM run AS r INDEXED BY run_waiting WHERE r.state = 'queued'"
             " AND r.priority = ?1 AND r.owner = ?2"
             " AND (r.not_before_ms IS NULL OR r.not_before_ms <= ?5)"
             " AND (?3 IS NULL OR instr(?3, ',' || r.executor || ',') > 0)"
             " AND (?4 IS NULL OR instr(?4, ',' || r.executor || '/' || r.dataset || ',') = 0)"
             " AND NOT EXISTS (SELECT 1 FROM run_after AS a JOIN run AS d ON d.id = a.after_id"
             "  WHERE a.run_id = r.id AND d.state <> 'succeeded') ORDER BY r.id LIMIT 1"),
    },
};

void turns_clear(struct turns *turns) {
    free(turns->items);
    memset(turns, 0, sizeof(*turns));
}

/* ---- one owner ---- */

static void read_turn(sqlite3_stmt *statement, int half_life_s, int64_t now_ms, struct turn *turn) {
    db_column_text(statement, 0, turn->owner, sizeof(turn->owner));
    double recent = db_column_number(statement, 1);
    turn->n_running = sqlite3_column_int64(statement, 2);
    turn->n_disk_bytes = sqlite3_column_int64(statement, 3);
    turn->n_queued = sqlite3_column_int64(statement, 4);
    turn->first_id = 0;
    turn->recent = half_life_s > 0 && !isnan(recent)
                       ? exp2(recent - (double)now_ms / 1000.0 / half_life_s)
                       : 0.0;
}

static enum status add_uncharged_of(struct db *db, int64_t now_ms, struct turn *turn,
                                    struct error *error) {
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_TURN, UNCHARGED_OF);
    sqlite3_bind_int64(statement, 1, now_ms);
    db_bind_text(statement, 2, turn->owner);
    TRY(db_step(db, statement, &row, error));
    turn->recent += sqlite3_column_double(statement, 0);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

/* ---- all of a priority ---- */

static int by_arrival(const void *a, const void *b) {
    const struct turn *x = a;
    const struct turn *y = b;
    return (x->first_id > y->first_id) - (x->first_id < y->first_id);
}

static int by_use(const void *a, const void *b) {
    const struct turn *x = a;
    const struct turn *y = b;
    if (x->recent != y->recent) {
        return (x->recent > y->recent) - (x->recent < y->recent);
    }
    if (x->n_running != y->n_running) {
        return (x->n_running > y->n_running) - (x->n_running < y->n_running);
    }
    return by_arrival(a, b);
}

static int compare(const struct turns *turns, const struct turn *a, const struct turn *b) {
    return turns->fair ? by_use(a, b) : by_arrival(a, b);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct turn *)a)->owner, ((const struct turn *)b)->owner);
}

/* While they are in order of their names. */
static enum status add_uncharged(struct db *db, int64_t now_ms, struct turns *turns,
                                 struct error *error) {
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_TURN, UNCHARGED);
    sqlite3_bind_int64(statement, 1, now_ms);
    TRY(db_step(db, statement, &row, error));
    while (row) {
        struct turn key;
        db_column_text(statement, 0, key.owner, sizeof(key.owner));
        struct turn *turn = bsearch(&key, turns->items, turns->n, sizeof(*turns->items), by_name);
        if (turn) {
            turn->recent += sqlite3_column_double(statement, 1);
        }
        TRY(db_step(db, statement, &row, error));
    }
    return STATUS_OK;
}

static enum status read_oldest(struct db *db, int priority, struct turn *turn,
                               struct error *error) {
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_TURN, OLDEST);
    sqlite3_bind_int(statement, 1, priority);
    db_bind_text(statement, 2, turn->owner);
    TRY(db_step(db, statement, &row, error));
    turn->first_id = row ? sqlite3_column_int64(statement, 0) : INT64_MAX;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

/* Those that are equal otherwise go by their oldest run, which is looked up for them alone. */
enum status turns_settle(struct db *db, struct turns *turns, size_t index, struct error *error) {
    while (turns->n_settled < turns->n && turns->n_settled <= index) {
        struct turn *first = &turns->items[turns->n_settled];
        size_t most = turns->n - turns->n_settled;
        size_t n = 1;
        while (n < most && by_use(first, &first[n]) == 0) {
            n++;
        }
        for (size_t i = 0; n > 1 && i < n; i++) {
            TRY(read_oldest(db, turns->priority, &first[i], error));
        }
        if (n > 1) {
            qsort(first, n, sizeof(*first), by_arrival);
        }
        turns->n_settled += n;
    }
    return STATUS_OK;
}

static enum status sort_by_use(struct db *db, int64_t now_ms, struct turns *turns,
                               struct error *error) {
    TRY(add_uncharged(db, now_ms, turns, error));
    qsort(turns->items, turns->n, sizeof(*turns->items), by_use);
    turns->n_settled = 0;
    return STATUS_OK;
}

static enum status sort_by_arrival(struct db *db, struct turns *turns, struct error *error) {
    for (size_t i = 0; i < turns->n; i++) {
        TRY(read_oldest(db, turns->priority, &turns->items[i], error));
    }
    qsort(turns->items, turns->n, sizeof(*turns->items), by_arrival);
    turns->n_settled = turns->n;
    return STATUS_OK;
}

static enum status read_owners(struct db *db, int half_life_s, int64_t now_ms, struct turns *turns,
                               struct error *error) {
    size_t capacity = 0;
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_TURN, OWNERS);
    sqlite3_bind_int(statement, 1, turns->priority);
    TRY(db_step(db, statement, &row, error));
    while (row) {
        if (turns->n == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            struct turn *items = realloc(turns->items, capacity * sizeof(*items));
            if (!items) {
                (void)sqlite3_reset(statement);
                return error_set(error, STATUS_NO_MEMORY, "no memory for the owners of the queue");
            }
            turns->items = items;
        }
        read_turn(statement, half_life_s, now_ms, &turns->items[turns->n++]);
        TRY(db_step(db, statement, &row, error));
    }
    return STATUS_OK;
}

static enum status next_priority(struct db *db, int64_t below, bool *ret_found, int *ret_priority,
                                 struct error *error) {
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_TURN, NEXT_PRIORITY);
    sqlite3_bind_int64(statement, 1, below);
    TRY(db_step(db, statement, &row, error));
    *ret_found = row && sqlite3_column_type(statement, 0) != SQLITE_NULL;
    *ret_priority = sqlite3_column_int(statement, 0);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status turns_read(struct db *db, int64_t below, int64_t now_ms, struct turns *turns,
                       struct error *error) {
    int half_life_s = 0;
    bool found = false;
    turns_clear(turns);
    TRY(usage_half_life(db, &half_life_s, error));
    TRY(next_priority(db, below, &found, &turns->priority, error));
    turns->fair = half_life_s > 0;
    if (!found) {
        return STATUS_OK;
    }
    TRY(read_owners(db, half_life_s, now_ms, turns, error));
    if (turns->n == 0) {
        return STATUS_OK;
    }
    return turns->fair ? sort_by_use(db, now_ms, turns, error) : sort_by_arrival(db, turns, error);
}

/* turns->n: it is not among them. */
static size_t index_of(const struct turns *turns, const char *owner) {
    size_t i = 0;
    while (i < turns->n && strcmp(turns->items[i].owner, owner) != 0) {
        i++;
    }
    return i;
}

enum status turns_find(struct db *db, struct turns *turns, const char *owner, int64_t first_id,
                       int64_t now_ms, size_t *ret_index, struct error *error) {
    int half_life_s = 0;
    bool row = false;
    struct turn turn = {.first_id = first_id};
    size_t index = index_of(turns, owner);
    TRY(turns_settle(db, turns, index, error));
    if (index < turns->n) {
        *ret_index = index_of(turns, owner); /* among its equals */
        return STATUS_OK;
    }
    TRY(usage_half_life(db, &half_life_s, error));
    sqlite3_stmt *statement = db_statement(db, DB_TURN, OWNER);
    db_bind_text(statement, 1, owner);
    TRY(db_step(db, statement, &row, error));
    if (row) {
        read_turn(statement, half_life_s, now_ms, &turn);
        (void)sqlite3_reset(statement);
        turn.first_id = first_id;
        TRY(add_uncharged_of(db, now_ms, &turn, error));
    }
    size_t i = 0;
    while (i < turns->n && compare(turns, &turns->items[i], &turn) < 0) {
        i++;
    }
    *ret_index = i;
    return STATUS_OK;
}

/* ---- the next run ---- */

/* 0: none of this owner's. */
static enum status first_run(struct db *db, const struct run_claim *claim, int priority,
                             const char *owner, int64_t now_ms, int64_t *ret_id,
                             struct error *error) {
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_TURN, FIRST_RUN);
    sqlite3_bind_int(statement, 1, priority);
    db_bind_text(statement, 2, owner);
    if (claim->executors) {
        db_bind_text(statement, 3, claim->executors);
    }
    if (claim->datasets) {
        db_bind_text(statement, 4, claim->datasets);
    }
    sqlite3_bind_int64(statement, 5, now_ms);
    TRY(db_step(db, statement, &row, error));
    *ret_id = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

/* In order of arrival each owner may have the oldest; otherwise the first that has any. */
static enum status first_of(struct db *db, const struct run_claim *claim, struct turns *turns,
                            int64_t now_ms, int64_t *ret_id, struct error *error) {
    *ret_id = 0;
    for (size_t i = 0; i < turns->n; i++) {
        TRY(turns_settle(db, turns, i, error));
        const struct turn *turn = &turns->items[i];
        int64_t id = 0;
        if (*ret_id > 0 && (turns->fair || turn->first_id > *ret_id)) {
            break;
        }
        if ((claim->max_running > 0 && turn->n_running >= claim->max_running) ||
            (claim->max_disk > 0 && turn->n_disk_bytes > claim->max_disk)) {
            continue;
        }
        TRY(first_run(db, claim, turns->priority, turn->owner, now_ms, &id, error));
        if (id > 0 && (*ret_id == 0 || id < *ret_id)) {
            *ret_id = id;
        }
    }
    return STATUS_OK;
}

enum status turn_first_run(struct db *db, const struct run_claim *claim, int64_t now_ms,
                           int64_t *ret_id, struct error *error) {
    CLEANUP(turns_clear) struct turns turns = {.n = 0};
    int64_t below = INT64_MAX;
    do {
        TRY(turns_read(db, below, now_ms, &turns, error));
        TRY(first_of(db, claim, &turns, now_ms, ret_id, error));
        below = turns.priority;
    } while (turns.n > 0 && *ret_id == 0);
    return *ret_id > 0 ? STATUS_OK : error_set(error, STATUS_NOT_FOUND, "nothing is queued");
}
