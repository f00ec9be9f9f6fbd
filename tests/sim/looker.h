/* The model's own eyes: SQL on a connection of its own, and files by their path.
 *
 * Thread rule: one thread; nothing here is a point of the scheduler, and nothing fails by a fault.
 */
#ifndef CUTOUTD_TESTS_SIM_LOOKER_H
#define CUTOUTD_TESTS_SIM_LOOKER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* One state of the database from here to the end. False: it cannot be read at this moment. */
bool looker_begin(void);
void looker_end(void);

/* A prepared statement with its first parameter bound; valid until the next of the same text. */
sqlite3_stmt *looker_query(const char *sql, int64_t first);

/* True: there is a row. */
bool looker_step(sqlite3_stmt *statement);

/* Closes the connection in order. */
void looker_let_go(void);

/* The process was crashed: the connection is gone with it. */
void looker_forget(void);

/* Whether the file is there and has this digest. */
bool looker_file_is(const char *path, const char *sha256);

#endif
