/* Layer: core/base. */
#include "core/base/text_stream.h"

#include <stdbool.h>
#include <stdlib.h>

char *text_stream_close(FILE *stream, char **text) {
    bool failed = ferror(stream) != 0;
    failed |= fclose(stream) != 0;
    if (failed) {
        free(*text);
        *text = NULL;
    }
    return *text;
}
