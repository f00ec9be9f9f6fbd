/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/setting_change.h"

#include "daemon/store/db.h"
#include "daemon/store/table/idempotency_table.h"

struct put_arguments {
    const char *name;
    const char *value;
    const struct idempotency_answer *answer;
};

static enum status put(struct db *db, void *arguments, struct error *error) {
    const struct put_arguments *a = arguments;
    TRY(setting_write(db, a->name, a->value, error));
    return a->answer ? idempotency_add(db, a->answer, error) : STATUS_OK;
}

enum status setting_table_put(struct store *store, const char *name, const char *value,
                              const struct idempotency_answer *answer, struct error *error) {
    struct put_arguments arguments = {name, value, answer};
    return store_write(store, put, &arguments, error);
}
