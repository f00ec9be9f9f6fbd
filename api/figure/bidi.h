/* Text from right to left, for a drawing that only goes from left to right.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 *
 * What labels need of the Unicode bidirectional algorithm (UAX #9), without its embeddings, which
 * no text has here (text_is_plain): the text as a whole goes from left to right, as SVG shows it.
 */
#ifndef CUTOUTD_API_FIGURE_BIDI_H
#define CUTOUTD_API_FIGURE_BIDI_H

#include <stdbool.h>

/* Whether the text (UTF-8) has Hebrew or Arabic letters. */
bool bidi_is_needed(const char *text);

/* The same letters in the order in which they are seen from left to right, those of Arabic in the
 * form that their neighbours give them (Presentation Forms-B). Owned by the caller (free); NULL: no
 * memory. */
char *bidi_visual(const char *text);

#endif
