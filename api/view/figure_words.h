/* What the figure of a comparison says in words: its axes, its groups.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_VIEW_FIGURE_WORDS_H
#define CUTOUTD_API_VIEW_FIGURE_WORDS_H

#include "daemon/compare/compare.h"

enum { FIGURE_LABEL_SIZE = 256, FIGURE_MARK_SIZE = 12 };

/* Whether it may be shown as percent. */
bool figure_is_ratio(enum compare_metric metric);

/* The name of the axis that goes to `most`, and what one step of its numbers stands for, so that
 * they stay short. */
const char *figure_axis_name(enum compare_x x, double most, double *ret_per);

/* Groups are told apart by one value each. */
bool figure_has_one_field(const struct compare_request *request);

/* "M 8", "lr 0.1"; of several fields the values, "M 8, aliased", as the heading names them; a run's
 * own name where each is a group. */
void figure_write_label(const struct compare_request *request, const struct compare_group *group,
                        char text[FIGURE_LABEL_SIZE]);

/* "validation error, %", and what several fields the labels are of. */
void figure_write_heading(const struct compare_request *request, bool percent,
                          char text[FIGURE_LABEL_SIZE]);

/* The value alone, where it is short enough to stand below a dot; else "". */
void figure_write_mark(const struct compare_request *request, const struct compare_group *group,
                       char text[FIGURE_MARK_SIZE]);

#endif
