/* Table `setting`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/setting_table.h"

#include "daemon/store/db.h"

enum { GET, PUT, N_STATEMENTS };

const struct statement_set setting_statements = {
    N_STATEMENTS,
    {
        [GET] = "SELECT value FROM setting WHERE name = ?1",
        [PUT] = ("INSERT INTO setting (name, value) VALUES (?1, ?2)"
                 " ON CONFLICT (name) DO UPDATE SET value = excluded.value"),
    },
};

enum status setting_read(struct db *db, const char *name, char *ret_value, size_t size,
                         struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_SETTING, GET);
    db_bind_text(statement, 1, name);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return error_set(error, STATUS_NOT_FOUND, "there is no setting %s", name);
    }
    bool fits = (size_t)sqlite3_column_bytes(statement, 0) < size;
    if (fits) {
        db_column_text(statement, 0, ret_value, size);
    }
    (void)sqlite3_reset(statement);
    return fits ? STATUS_OK : error_set(error, STATUS_TOO_LARGE, "setting %s is too long", name);
}

enum status setting_table_get(struct store *store, const char *name, char *ret_value, size_t size,
                              struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = setting_read(db, name, ret_value, size, error);
    store_reader_release(store, db);
    return status;
}

enum status setting_table_instance(struct store *store, char ret_instance[SETTING_INSTANCE_SIZE],
                                   struct error *error) {
    enum status status =
        setting_table_get(store, "instance", ret_instance, SETTING_INSTANCE_SIZE, error);
    return status == STATUS_NOT_FOUND
               ? error_set(error, STATUS_CORRUPT,
                           "the database does not say any more which one it is: it is "
                           "damaged" DB_DAMAGE_REMEDY)
               : status;
}

struct put_arguments {
    const char *name;
    const char *value;
};

static enum status put(struct db *db, void *arguments, struct error *error) {
    const struct put_arguments *a = arguments;
    return setting_write(db, a->name, a->value, error);
}

enum status setting_table_put(struct store *store, const char *name, const char *value,
                              struct error *error) {
    struct put_arguments arguments = {name, value};
    return store_write(store, put, &arguments, error);
}

enum status setting_write(struct db *db, const char *name, const char *value, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_SETTING, PUT);
    db_bind_text(statement, 1, name);
    db_bind_text(statement, 2, value);
    return db_execute(db, statement, NULL, error);
}
