/* UTF-8, and the one definition of a text that people may give.
 *
 * Layer: core/base. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_CORE_BASE_TEXT_H
#define CUTOUTD_CORE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the UTF-8 sequence that starts at `text`, of which n_bytes (> 0) are there: 1 to 4, or
 * 0 when it is not valid UTF-8 (overlong, surrogate, above U+10FFFF, cut off). */
size_t utf8_sequence_length(const char *text, size_t n_bytes);

/* Whether a name, label, title or path of these n bytes may be taken: it is shown in terminals,
 * logs, JSON and pictures, so it must be valid UTF-8 that says what it seems to say, with none of
 *   - the controls U+0000 to U+001F and U+007F to U+009F,
 *   - the embeddings, overrides and isolates of writing direction U+202A to U+202E and U+2066 to
 *     U+2069,
 *   - noncharacters (U+FDD0 to U+FDEF, and the last two of each plane).
 * The empty text is plain. */
bool text_is_plain(const char *text, size_t n_bytes);

/* What text_is_plain asks for, to end a sentence: "name must be " TEXT_PLAIN_RULE ".". */
#define TEXT_PLAIN_RULE "UTF-8 without control characters and marks that override the direction"

/* Makes a text that nobody has checked (a message with somebody's bytes in it) plain: each byte
 * that is not part of a plain character becomes '?'. A character that was cut off at the end goes.
 */
void text_make_plain(char *text);

/* The longest beginning of `text` (n_bytes) that is whole characters of valid UTF-8 and at most
 * `most` bytes: where to cut a text for a room of most + 1. */
size_t text_cut(const char *text, size_t n_bytes, size_t most);

#endif
