/* Whole numbers in settings and on command lines.
 *
 * Layer: daemon. Thread rule: pure function.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_TEXT_NUMBER_H
#define CUTOUTD_DAEMON_CONFIG_TEXT_NUMBER_H

#include <stdbool.h>

/* A decimal number from `low` to `high` and nothing behind it. false: it is not; *ret stays. */
bool text_to_int(const char *text, int low, int high, int *ret);

#endif
