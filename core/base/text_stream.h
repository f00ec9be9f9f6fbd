/* A text that is written into memory by stdio.
 *
 * Layer: core/base. Thread rule: a stream and what it writes to belong to one thread at a time.
 *
 *     char *text = NULL;
 *     size_t n_bytes = 0;
 *     FILE *out = text_stream_open(&text, &n_bytes);
 *     ...
 *     return out ? text_stream_close(out, &text) : NULL;
 */
#ifndef CUTOUTD_CORE_BASE_TEXT_STREAM_H
#define CUTOUTD_CORE_BASE_TEXT_STREAM_H

#include <stddef.h>
#include <stdio.h>

/* As open_memstream, whose streams however do not tell when their memory cannot grow (ferror is 0
 * and fclose succeeds, with glibc): here the error stays, and what comes behind it is not taken.
 * ftell works, fseek does not. *ret_text and *ret_n_bytes, which must outlive the stream, are what
 * was written up to the last fflush; *ret_text ends with a NUL. NULL: no memory, nothing is
 * written. */
FILE *text_stream_open(char **ret_text, size_t *ret_n_bytes);

/* Closes the stream and returns *text, which is the caller's. When memory ran out at any time, what
 * is there lacks something: then *text is freed and NULL, and so is the result. */
char *text_stream_close(FILE *stream, char **text);

#endif
