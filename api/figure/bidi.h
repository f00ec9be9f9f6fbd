/* Text from right to left, for a drawing that only goes from left to right.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 *
 * The Unicode bidirectional algorithm (UAX #9) and the joining of Arabic letters are FriBidi's; the
 * text as a whole goes from left to right, as SVG shows it.
 */
#ifndef CUTOUTD_API_FIGURE_BIDI_H
#define CUTOUTD_API_FIGURE_BIDI_H

/* The same letters in the order in which they are seen from left to right, those of Arabic in the
 * form that their neighbours give them (Presentation Forms-B). What is not plain UTF-8
 * (text_is_plain) becomes '?'. Owned by the caller (free); NULL: no memory. */
char *bidi_visual(const char *text);

#endif
