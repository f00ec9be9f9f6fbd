/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/setting_change.h"

#include <string.h>

#include "daemon/store/db.h"
#include "daemon/store/table/audit_table.h"
#include "daemon/store/table/idempotency_table.h"

static enum status change(struct db *db, void *arguments, struct error *error) {
    const struct setting_change *c = arguments;
    TRY(setting_write(db, c->name, c->value, error));
    if (strcmp(c->before, c->after) != 0) {
        TRY(audit_add(db, "setting", c->name, c->before, c->after, error));
    }
    return c->answer ? idempotency_add(db, c->answer, error) : STATUS_OK;
}

enum status setting_change(struct store *store, const struct setting_change *wanted,
                           struct error *error) {
    struct setting_change copy = *wanted;
    return store_write(store, change, &copy, error);
}
