/* The end of a text that was written into memory.
 *
 * Layer: core/base. Thread rule: pure functions on their arguments.
 *
 *     FILE *out = open_memstream(&text, &n_bytes);
 *     ...
 *     return out ? text_stream_close(out, &text) : NULL;
 */
#ifndef CUTOUTD_CORE_BASE_TEXT_STREAM_H
#define CUTOUTD_CORE_BASE_TEXT_STREAM_H

#include <stdio.h>

/* Closes a stream of open_memstream and returns *text, which is the caller's. When memory ran out
 * at any time, what is there lacks something although fclose may succeed: then *text is freed and
 * NULL, and so is the result. */
char *text_stream_close(FILE *stream, char **text);

#endif
