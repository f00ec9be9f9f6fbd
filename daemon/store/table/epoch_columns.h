/* The columns of `epoch`: what is written, what a SELECT names and what is read come from this
 * list.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: constants.
 *
 * To add a column: a migration, a member of struct epoch_report (or epoch_row), a line here.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_EPOCH_COLUMNS_H
#define CUTOUTD_DAEMON_STORE_TABLE_EPOCH_COLUMNS_H

/* X(column, sql, kind, member of struct epoch_row), in the order of all statements. sql: what a
 * SELECT over run and epoch reads. Kinds: INT INT64, NULL reads as 0; REAL, NULL reads as NaN.
 *
 * images and steps are NULL in rows older than migration 0009 that the run trained itself: they are
 * those of the run. In rows that it inherited 0 means that nobody knows them any more. */
#define EPOCH_COLUMN_LIST(X)                                                                       \
    X(epoch, "epoch.epoch", INT, report.epoch)                                                     \
    X(train_loss, "epoch.train_loss", REAL, report.train_loss)                                     \
    X(train_accuracy, "epoch.train_accuracy", REAL, report.train_accuracy)                         \
    X(val_loss, "epoch.val_loss", REAL, report.val_loss)                                           \
    X(val_accuracy, "epoch.val_accuracy", REAL, report.val_accuracy)                               \
    X(val_wrong, "epoch.val_wrong", INT, report.val_wrong)                                         \
    X(val_total, "epoch.val_total", INT, report.val_total)                                         \
    X(lr, "epoch.lr", REAL, report.lr)                                                             \
    X(seconds, "epoch.seconds", REAL, report.seconds)                                              \
    X(images_per_second, "epoch.images_per_second", REAL, report.images_per_second)                \
    X(images, "coalesce(epoch.images, run.images_per_epoch, 0)", INT64, report.images)             \
    X(steps, "coalesce(epoch.steps, run.steps_per_epoch, 0)", INT, report.steps)                   \
    X(at_ms, "epoch.at_ms", INT64, at_ms)

#define EPOCH_NAME(column, sql, kind, member) #column ", "
#define EPOCH_PLACE(column, sql, kind, member) "?, "
#define EPOCH_SQL(column, sql, kind, member) sql ", "

/* "epoch, train_loss, ...", and as many places; each ends with a comma. */
#define EPOCH_NAMES EPOCH_COLUMN_LIST(EPOCH_NAME)
#define EPOCH_PLACES EPOCH_COLUMN_LIST(EPOCH_PLACE)

/* What a SELECT over run and epoch reads; ends with a comma. */
#define EPOCH_COLUMNS EPOCH_COLUMN_LIST(EPOCH_SQL)

#endif
