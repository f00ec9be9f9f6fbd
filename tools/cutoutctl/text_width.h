/* How many columns of a terminal a text takes.
 *
 * Layer: tools. Thread rule: pure functions on their arguments; the widths are those of the
 * locale's LC_CTYPE.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_TEXT_WIDTH_H
#define CUTOUTD_TOOLS_CUTOUTCTL_TEXT_WIDTH_H

#include <stdio.h>

/* Of valid UTF-8; a byte that is none takes one column. */
int text_columns(const char *text);

/* The bytes of the longest beginning that takes at most so many columns and cuts no letter in two:
 * marks that stand on a letter stay with it. */
int text_bytes(const char *text, int columns);

/* Writes the text; one that takes more than so many columns is cut and ends with "…". Spaces fill
 * the columns up: pad -1 behind the text, 1 in front of it, 0 none. */
void text_fit(FILE *out, const char *text, int columns, int pad);

/* The columns of the terminal that the stream writes to; 0: it is none. */
int terminal_columns(FILE *out);

#endif
