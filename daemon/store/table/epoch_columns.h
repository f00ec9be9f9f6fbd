/* The columns of `epoch`: what is written, what a SELECT names and what is read come from this
 * list.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: constants.
 *
 * To add a column: a migration, a member of struct epoch_report (or epoch_row), a line here.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_EPOCH_COLUMNS_H
#define CUTOUTD_DAEMON_STORE_TABLE_EPOCH_COLUMNS_H

/* X(column, kind, member of struct epoch_row), in the order of all statements. Kinds: INT INT64,
 * NULL reads as 0; REAL, NULL reads as NaN; OF_RUN OF_RUN64, NULL reads as EPOCH_AS_RUN.
 *
 * images and steps are NULL in rows older than migration 0009 that the run trained itself: they are
 * those of the run. In rows that it inherited 0 means that nobody knows them any more. */
#define EPOCH_COLUMN_LIST(X)                                                                       \
    X(epoch, INT, report.epoch)                                                                    \
    X(train_loss, REAL, report.train_loss)                                                         \
    X(train_accuracy, REAL, report.train_accuracy)                                                 \
    X(val_loss, REAL, report.val_loss)                                                             \
    X(val_accuracy, REAL, report.val_accuracy)                                                     \
    X(val_wrong, INT, report.val_wrong)                                                            \
    X(val_total, INT, report.val_total)                                                            \
    X(lr, REAL, report.lr)                                                                         \
    X(seconds, REAL, report.seconds)                                                               \
    X(images_per_second, REAL, report.images_per_second)                                           \
    X(images, OF_RUN64, report.images)                                                             \
    X(steps, OF_RUN, report.steps)                                                                 \
    X(tta_wrong, INT, report.tta_wrong)                                                            \
    X(tta_total, INT, report.tta_total)                                                            \
    X(ema_wrong, INT, report.ema_wrong)                                                            \
    X(ema_total, INT, report.ema_total)                                                            \
    X(at_ms, INT64, at_ms)

#define EPOCH_NAME(column, kind, member) #column ", "
#define EPOCH_PLACE(column, kind, member) "?, "
#define EPOCH_SQL(column, kind, member) "epoch." #column ", "

/* "epoch, train_loss, ...", and as many places; each ends with a comma. */
#define EPOCH_NAMES EPOCH_COLUMN_LIST(EPOCH_NAME)
#define EPOCH_PLACES EPOCH_COLUMN_LIST(EPOCH_PLACE)

/* What a SELECT reads, and behind it what EPOCH_AS_RUN stands for, which a SELECT over runs and
 * epochs reads with it; the first ends with a comma. */
#define EPOCH_COLUMNS EPOCH_COLUMN_LIST(EPOCH_SQL)
#define EPOCH_RUN_COLUMNS "run.images_per_epoch, run.steps_per_epoch"

/* The same for an INSERT that gives epochs to another run: nothing is that of the run any more. */
#define EPOCH_WHOLE_INT(column) "epoch." #column ", "
#define EPOCH_WHOLE_INT64 EPOCH_WHOLE_INT
#define EPOCH_WHOLE_REAL EPOCH_WHOLE_INT
#define EPOCH_WHOLE_OF_RUN(column) "coalesce(epoch." #column ", run." #column "_per_epoch, 0), "
#define EPOCH_WHOLE_OF_RUN64 EPOCH_WHOLE_OF_RUN
#define EPOCH_WHOLE(column, kind, member) EPOCH_WHOLE_##kind(column)
#define EPOCH_WHOLE_COLUMNS EPOCH_COLUMN_LIST(EPOCH_WHOLE)

/* One summand a column. NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define EPOCH_ONE(column, kind, member) +1
enum { EPOCH_COLUMN_COUNT = EPOCH_COLUMN_LIST(EPOCH_ONE), EPOCH_AS_RUN = -1 };

#endif
