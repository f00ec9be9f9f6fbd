/* Tables `webhook` and `delivery`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/webhook_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/db.h"

enum {
    LIST,
    GET,
    COUNT,
    ADD,
    DELETE,
    DELIVERIES,
    NEXT,
    HASTEN,
    ADD_DELIVERY,
    SETTLE,
    EXPIRE,
    N_STATEMENTS
};

/* state <> 'delivered' is what the index has. */
#define OPEN(state)                                                                                \
    "(SELECT count(*) FROM delivery INDEXED BY delivery_open WHERE webhook_id = webhook.id"        \
    " AND state <> 'delivered' AND state = '" state "')"
#define COLUMNS                                                                                    \
    "id, name, url, events, target, template, secret, owner, created_ms, " OPEN(                   \
        "pending") ", " OPEN("dead")
#define DELIVERY_COLUMNS                                                                           \
    "id, webhook_id, event, facts, created_ms, state, attempts, next_ms, http_status, error"

const struct statement_set webhook_statements = {
    N_STATEMENTS,
    {
        [LIST] = ("SELECT " COLUMNS " FROM webhook ORDER BY id"),
        [GET] = ("SELECT " COLUMNS " FROM webhook WHERE id = ?1"),
        [COUNT] = "SELECT count(*), total(name = ?1) FROM webhook",
        [ADD] = ("INSERT INTO webhook (name, url, events, target, template, secret, owner,"
                 " created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
        [DELETE] = "DELETE FROM webhook WHERE id = ?1",
        [DELIVERIES] =
            ("SELECT " DELIVERY_COLUMNS " FROM delivery WHERE webhook_id = ?1 AND id < ?2"
             " ORDER BY id DESC LIMIT ?3"),
        [NEXT] = ("SELECT " DELIVERY_COLUMNS " FROM delivery WHERE state = 'pending'"
                  " ORDER BY next_ms LIMIT 1"),
        [HASTEN] = ("UPDATE delivery SET next_ms = ?1 WHERE state <> 'delivered' AND"
                    " state = 'pending' AND attempts = ?2 AND next_ms > ?1 + ?3"),
        [ADD_DELIVERY] = ("INSERT INTO delivery (webhook_id, event, facts, created_ms, next_ms)"
                          " SELECT id, ?2, ?4, ?5, ?5 FROM webhook WHERE id = ?1 OR (?1 = 0 AND"
                          " (instr(events, ',' || ?2 || ',') > 0"
                          "  OR instr(?3, ',' || name || ',') > 0))"),
        [SETTLE] = ("UPDATE delivery SET state = ?2, attempts = ?3, next_ms = ?4, http_status = ?5,"
                    " error = ?6 WHERE id = ?1"),
        [EXPIRE] = ("DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE"
                    " state <> 'pending' AND next_ms < ?1 LIMIT 1000)"),
    },
};

static const char *const template_names[WEBHOOK_TEMPLATES] = {
    [WEBHOOK_JSON] = "json",
    [WEBHOOK_SLACK] = "slack",
    [WEBHOOK_MATTERMOST] = "mattermost",
    [WEBHOOK_NTFY] = "ntfy",
};

const char *webhook_template_name(enum webhook_template template) {
    return template_names[template];
}

/* ---- webhooks ---- */

void webhook_list_clear(struct webhook_list *list) {
    free(list->rows);
    memset(list, 0, sizeof(*list));
}

static void read_row(sqlite3_stmt *statement, struct webhook_row *row) {
    char template[16];
    memset(row, 0, sizeof(*row));
    row->id = sqlite3_column_int64(statement, 0);
    db_column_text(statement, 1, row->name, sizeof(row->name));
    db_column_text(statement, 2, row->url, sizeof(row->url));
    db_column_text(statement, 3, row->events, sizeof(row->events));
    row->target = db_column_number(statement, 4);
    db_column_text(statement, 5, template, sizeof(template));
    for (int i = 0; i < WEBHOOK_TEMPLATES; i++) {
        row->template =
            strcmp(template, template_names[i]) == 0 ? (enum webhook_template)i : row->template;
    }
    db_column_text(statement, 6, row->secret, sizeof(row->secret));
    db_column_text(statement, 7, row->owner, sizeof(row->owner));
    row->created_ms = sqlite3_column_int64(statement, 8);
    row->n_pending = sqlite3_column_int64(statement, 9);
    row->n_dead = sqlite3_column_int64(statement, 10);
}

static enum status read_list(struct db *db, struct webhook_list *list, struct error *error) {
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, LIST);
    TRY(db_step(db, statement, &row, error));
    while (row && list->n < WEBHOOK_MOST) {
        read_row(statement, &list->rows[list->n++]);
        TRY(db_step(db, statement, &row, error));
    }
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status webhook_table_list(struct store *store, struct webhook_list *ret_list,
                               struct error *error) {
    struct webhook_list list = {.rows = calloc(WEBHOOK_MOST, sizeof(*list.rows))};
    if (!list.rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a list of webhooks");
    }
    struct db *db = store_reader_acquire(store);
    enum status status = read_list(db, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        webhook_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

static enum status no_webhook(int64_t id, struct error *error) {
    return error_set(error, STATUS_NOT_FOUND, "there is no webhook %" PRId64, id);
}

static enum status get(struct db *db, int64_t id, struct webhook_row *row, struct error *error) {
    bool found = false;
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, GET);
    sqlite3_bind_int64(statement, 1, id);
    TRY(db_step(db, statement, &found, error));
    if (!found) {
        return no_webhook(id, error);
    }
    read_row(statement, row);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status webhook_table_get(struct store *store, int64_t id, struct webhook_row *ret_row,
                              struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = get(db, id, ret_row, error);
    store_reader_release(store, db);
    return status;
}

struct add_arguments {
    const struct webhook_row *row;
    int64_t id;
};

static enum status check_room(struct db *db, const struct webhook_row *row, struct error *error) {
    bool found = false;
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, COUNT);
    db_bind_text(statement, 1, row->name);
    TRY(db_step(db, statement, &found, error));
    int n = sqlite3_column_int(statement, 0);
    bool taken = sqlite3_column_int(statement, 1) > 0;
    (void)sqlite3_reset(statement);
    if (taken) {
        return error_set(error, STATUS_CONFLICT, "there is a webhook %s already", row->name);
    }
    return n < WEBHOOK_MOST ? STATUS_OK
                            : error_set(error, STATUS_CONFLICT,
                                        "there are %d webhooks already: delete one of them", n);
}

static enum status add(struct db *db, void *arguments, struct error *error) {
    struct add_arguments *a = arguments;
    TRY(check_room(db, a->row, error));
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, ADD);
    db_bind_text(statement, 1, a->row->name);
    db_bind_text(statement, 2, a->row->url);
    db_bind_text(statement, 3, a->row->events);
    db_bind_number(statement, 4, a->row->target);
    db_bind_text(statement, 5, template_names[a->row->template]);
    db_bind_text(statement, 6, a->row->secret);
    db_bind_text(statement, 7, a->row->owner);
    sqlite3_bind_int64(statement, 8, a->row->created_ms);
    TRY(db_execute(db, statement, NULL, error));
    sqlite3_stmt *newest = db_statement(db, DB_WEBHOOK, LIST);
    bool row = false; /* the triggers of the audit have ids of their own */
    TRY(db_step(db, newest, &row, error));
    while (row) {
        a->id = sqlite3_column_int64(newest, 0);
        TRY(db_step(db, newest, &row, error));
    }
    return STATUS_OK;
}

enum status webhook_table_add(struct store *store, const struct webhook_row *row, int64_t *ret_id,
                              struct error *error) {
    struct add_arguments arguments = {row, 0};
    TRY(store_write(store, add, &arguments, error));
    *ret_id = arguments.id;
    return STATUS_OK;
}

static enum status delete_webhook(struct db *db, void *arguments, struct error *error) {
    int64_t id = *(int64_t *)arguments;
    int changes = 0;
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, DELETE);
    sqlite3_bind_int64(statement, 1, id);
    TRY(db_execute(db, statement, &changes, error));
    return changes > 0 ? STATUS_OK : no_webhook(id, error);
}

enum status webhook_table_delete(struct store *store, int64_t id, struct error *error) {
    return store_write(store, delete_webhook, &id, error);
}

/* ---- deliveries ---- */

void delivery_list_clear(struct delivery_list *list) {
    free(list->rows);
    memset(list, 0, sizeof(*list));
}

static void read_delivery(sqlite3_stmt *statement, struct delivery_row *row) {
    memset(row, 0, sizeof(*row));
    row->id = sqlite3_column_int64(statement, 0);
    row->webhook_id = sqlite3_column_int64(statement, 1);
    db_column_text(statement, 2, row->event, sizeof(row->event));
    db_column_text(statement, 3, row->facts, sizeof(row->facts));
    row->created_ms = sqlite3_column_int64(statement, 4);
    db_column_text(statement, 5, row->state, sizeof(row->state));
    row->attempts = sqlite3_column_int(statement, 6);
    row->next_ms = sqlite3_column_int64(statement, 7);
    row->http_status = sqlite3_column_int(statement, 8);
    db_column_text(statement, 9, row->error, sizeof(row->error));
}

enum status delivery_table_list(struct store *store, int64_t webhook_id, int64_t below, int limit,
                                struct delivery_list *ret_list, struct error *error) {
    struct delivery_list list = {.rows = calloc((size_t)limit, sizeof(*list.rows))};
    if (!list.rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %d deliveries", limit);
    }
    bool row = false;
    struct db *db = store_reader_acquire(store);
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, DELIVERIES);
    sqlite3_bind_int64(statement, 1, webhook_id);
    sqlite3_bind_int64(statement, 2, below);
    sqlite3_bind_int(statement, 3, limit + 1);
    enum status status = db_step(db, statement, &row, error);
    while (status == STATUS_OK && row && list.n < (size_t)limit) {
        read_delivery(statement, &list.rows[list.n++]);
        status = db_step(db, statement, &row, error);
    }
    list.more = row;
    (void)sqlite3_reset(statement);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        delivery_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

enum status delivery_table_next(struct store *store, struct delivery_row *ret_row,
                                struct error *error) {
    bool row = false;
    struct db *db = store_reader_acquire(store);
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, NEXT);
    enum status status = db_step(db, statement, &row, error);
    if (status == STATUS_OK && row) {
        read_delivery(statement, ret_row);
        (void)sqlite3_reset(statement);
    } else if (status == STATUS_OK) {
        status = error_set(error, STATUS_NOT_FOUND, "nothing is to be told");
    }
    store_reader_release(store, db);
    return status;
}

struct hasten_arguments {
    const int64_t *waits_ms;
    int n;
    int64_t now_ms;
};

static enum status hasten(struct db *db, void *arguments, struct error *error) {
    const struct hasten_arguments *a = arguments;
    for (int i = 0; i < a->n; i++) {
        sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, HASTEN);
        sqlite3_bind_int64(statement, 1, a->now_ms);
        sqlite3_bind_int(statement, 2, i);
        sqlite3_bind_int64(statement, 3, a->waits_ms[i]);
        TRY(db_execute(db, statement, NULL, error));
    }
    return STATUS_OK;
}

enum status delivery_table_hasten(struct store *store, const int64_t *waits_ms, int n,
                                  int64_t now_ms, struct error *error) {
    struct hasten_arguments arguments = {waits_ms, n, now_ms};
    return store_write(store, hasten, &arguments, error);
}

struct delivery_arguments {
    int64_t webhook_id;
    const char *event;
    const char *run_notify;
    const char *facts;
    int64_t now_ms;
};

static enum status add_delivery(struct db *db, void *arguments, struct error *error) {
    const struct delivery_arguments *a = arguments;
    int changes = 0;
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, ADD_DELIVERY);
    sqlite3_bind_int64(statement, 1, a->webhook_id);
    db_bind_text(statement, 2, a->event);
    db_bind_text(statement, 3, a->run_notify);
    db_bind_text(statement, 4, a->facts);
    sqlite3_bind_int64(statement, 5, a->now_ms);
    TRY(db_execute(db, statement, &changes, error));
    return a->webhook_id == 0 || changes > 0 ? STATUS_OK : no_webhook(a->webhook_id, error);
}

enum status delivery_table_add(struct store *store, int64_t webhook_id, const char *event,
                               const char *run_notify, const char *facts, int64_t now_ms,
                               struct error *error) {
    struct delivery_arguments arguments = {webhook_id, event, run_notify, facts, now_ms};
    return store_write(store, add_delivery, &arguments, error);
}

static enum status settle(struct db *db, void *arguments, struct error *error) {
    const struct delivery_row *row = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, SETTLE);
    sqlite3_bind_int64(statement, 1, row->id);
    db_bind_text(statement, 2, row->state);
    sqlite3_bind_int(statement, 3, row->attempts);
    sqlite3_bind_int64(statement, 4, row->next_ms);
    if (row->http_status > 0) {
        sqlite3_bind_int(statement, 5, row->http_status);
    }
    db_bind_text(statement, 6, row->error);
    return db_execute(db, statement, NULL, error);
}

enum status delivery_table_settle(struct store *store, const struct delivery_row *row,
                                  struct error *error) {
    struct delivery_row copy = *row;
    return store_write(store, settle, &copy, error);
}

struct expire_arguments {
    int64_t before_ms;
    int n;
};

static enum status expire(struct db *db, void *arguments, struct error *error) {
    struct expire_arguments *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_WEBHOOK, EXPIRE);
    sqlite3_bind_int64(statement, 1, a->before_ms);
    return db_execute(db, statement, &a->n, error);
}

enum status delivery_table_expire(struct store *store, int64_t before_ms, int *ret_n,
                                  struct error *error) {
    struct expire_arguments arguments = {before_ms, 0};
    TRY(store_write(store, expire, &arguments, error));
    *ret_n = arguments.n;
    return STATUS_OK;
}
