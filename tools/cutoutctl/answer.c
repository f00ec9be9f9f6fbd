/* What a daemon answered, made plain and printed. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/text.h"
#include "core/base/text_stream.h"
#include "daemon/spec/json_tree.h"
#include "tools/cutoutctl/client.h"

/* A member a line, as far to the right as it is deep. false: no memory. */
static bool put_indented(FILE *out, const cJSON *value, int depth) {
    bool object = cJSON_IsObject(value);
    const cJSON *item = NULL;
    if (!value->child) {
        CLEANUP(free_pointer) char *text = json_print(value);
        return text && fputs(text, out) >= 0;
    }
    (void)fputs(object ? "{\n" : "[", out);
    cJSON_ArrayForEach(item, value) {
        for (int i = 0; object && i <= depth; i++) {
            (void)fputc('\t', out);
        }
        if (object) {
            struct json_writer name = {0};
            json_write_string(&name, NULL, item->string);
            CLEANUP(free_pointer) char *text = json_write_take(&name);
            if (!text) {
                return false;
            }
            (void)fprintf(out, "%s:\t", text);
        }
        if (!put_indented(out, item, depth + 1)) {
            return false;
        }
        (void)fputs(!item->next ? "" : object ? "," : ", ", out);
        (void)fputs(object ? "\n" : "", out);
    }
    for (int i = 0; object && i < depth; i++) {
        (void)fputc('\t', out);
    }
    return fputc(object ? '}' : ']', out) != EOF;
}

/* NULL: no memory. */
static char *indent(const cJSON *json) {
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *out = text_stream_open(&text, &n_bytes);
    bool whole = out && put_indented(out, json, 0);
    text = out ? text_stream_close(out, &text) : NULL;
    if (!whole) {
        free(text);
    }
    return whole ? text : NULL;
}

void answer_print(const struct answer *answer) {
    CLEANUP(free_pointer)
    char *pretty = answer->json && isatty(STDOUT_FILENO) ? indent(answer->json) : NULL;
    (void)fputs(pretty ? pretty : answer->body, stdout);
    if (pretty) {
        (void)putchar('\n');
    }
}

/* In place: a character that is not plain becomes one '?'. */
static void make_plain(char *text) {
    size_t n_bytes = text ? strlen(text) : 0;
    size_t used = 0;
    for (size_t at = 0; at < n_bytes;) {
        size_t length = utf8_sequence_length(text + at, n_bytes - at);
        bool plain = length > 0 && text_is_plain(text + at, length);
        length = length > 0 ? length : 1;
        if (plain) {
            memmove(text + used, text + at, length);
            used += length;
        } else {
            text[used++] = '?';
        }
        at += length;
    }
    if (text) {
        text[used] = '\0';
    }
}

void answer_print_text(const struct answer *answer) {
    CLEANUP(free_pointer) char *copy = isatty(STDOUT_FILENO) ? strdup(answer->body) : NULL;
    char *rest = copy;
    if (!copy) {
        (void)fwrite(answer->body, 1, answer->n_body, stdout);
        return;
    }
    for (char *line = strsep(&rest, "\n"); line && (rest || line[0]); line = strsep(&rest, "\n")) {
        line[strcspn(line, "\r")] = '\0';
        make_plain(line);
        (void)puts(line);
    }
}

/* As deep as the parser goes. */
static void make_all_plain(cJSON *json) {
    for (cJSON *item = json; item; item = item->next) {
        make_plain(item->string);
        make_plain(item->valuestring);
        make_all_plain(item->child);
    }
}

cJSON *json_parse_foreign(const char *text, size_t n_bytes) {
    cJSON *json = cJSON_ParseWithLength(text, n_bytes);
    make_all_plain(json);
    return json;
}

void answer_clear(struct answer *answer) {
    free(answer->body);
    cJSON_Delete(answer->json);
    *answer = (struct answer){.http_status = 0};
}
