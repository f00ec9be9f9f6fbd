/* Collects what is wrong with the fields of one document. The structs are in
 * daemon/spec/run_spec.h.
 *
 * Layer: daemon. Thread rule: the collection belongs to its caller.
 */
#ifndef CUTOUTD_DAEMON_SPEC_FIELD_ERRORS_H
#define CUTOUTD_DAEMON_SPEC_FIELD_ERRORS_H

#include "daemon/spec/run_spec.h"

/* Adds an error of the member `field` ("" for the whole document). From the
 * RUN_SPEC_MAX_ERRORS-th on, errors are dropped. Both texts are cut at whole characters when they
 * are too long. */
void field_errors_add(struct field_errors *errors, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Like field_errors_add for the member `inner` of the member `field`: "/labels/team". */
void field_errors_add_inner(struct field_errors *errors, const char *field, const char *inner,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Like field_errors_add for a place below the member `field`, already a pointer without its first
 * slash: "m/2". A place that has an error keeps it and gets no other. */
void field_errors_add_path(struct field_errors *errors, const char *field, const char *path,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The candidate that `text` was most likely meant to be, or NULL when none is near: the least
 * number of single-character insertions, deletions, substitutions and swaps of neighbours, at most
 * a third of the candidate's length; or the first that `text` is the beginning of. */
const char *near_miss(const char *text, const char *const *candidates, size_t n_candidates);

#endif
