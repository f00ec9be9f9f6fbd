/* A recursive descent over RFC 8259's grammar that builds nothing. Layer: daemon. */
#include "daemon/spec/json_check.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/text.h"

struct scanner {
    const char *text;
    size_t n_bytes;
    size_t at;
    int n_values; /* seen so far */
    struct error *error;
};

static enum status refuse(const struct scanner *scanner, const char *what) {
    int line = 1;
    int column = 1;
    for (size_t i = 0; i < scanner->at && i < scanner->n_bytes; i++) {
        if (scanner->text[i] == '\n') {
            line++;
            column = 1;
        } else {
            column++;
        }
    }
    return error_set(scanner->error, STATUS_MALFORMED, "line %d, column %d: %s", line, column,
                     what);
}

/* The byte at the current place, or -1 at the end. */
static int peek(const struct scanner *scanner) {
    return scanner->at < scanner->n_bytes ? (unsigned char)scanner->text[scanner->at] : -1;
}

static bool accept(struct scanner *scanner, char wanted) {
    if (peek(scanner) != (unsigned char)wanted) {
        return false;
    }
    scanner->at++;
    return true;
}

static void skip_space(struct scanner *scanner) {
    int c = peek(scanner);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        scanner->at++;
        c = peek(scanner);
    }
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

/* Four hexadecimal digits, or -1. */
static int scan_hex4(struct scanner *scanner) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(scanner);
        if (is_digit(c)) {
            value = value * 16 + (c - '0');
        } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
            value = value * 16 + ((c | 0x20) - 'a') + 10;
        } else {
            return -1;
        }
        scanner->at++;
    }
    return value;
}

/* After "\u". */
static enum status scan_unicode_escape(struct scanner *scanner) {
    int unit = scan_hex4(scanner);
    if (unit < 0) {
        return refuse(scanner, "\\u needs four hexadecimal digits");
    }
    if (unit == 0) {
        return refuse(scanner, "the character \\u0000 is not allowed in a string");
    }
    if (unit < 0xd800 || unit > 0xdfff) {
        return STATUS_OK;
    }
    bool low_follows = unit < 0xdc00 && accept(scanner, '\\') && accept(scanner, 'u');
    int low = low_follows ? scan_hex4(scanner) : -1;
    if (low < 0xdc00 || low > 0xdfff) {
        return refuse(scanner, "half of a surrogate pair is no character");
    }
    return STATUS_OK;
}

static enum status scan_escape(struct scanner *scanner) {
    int c = peek(scanner);
    if (c <= 0 || !strchr("\"\\/bfnrtu", c)) {
        return refuse(scanner, "a backslash must be followed by one of \" \\ / b f n r t u");
    }
    scanner->at++;
    return c == 'u' ? scan_unicode_escape(scanner) : STATUS_OK;
}

static enum status scan_string(struct scanner *scanner) {
    if (!accept(scanner, '"')) {
        return refuse(scanner, "expected a string in double quotes");
    }
    while (!accept(scanner, '"')) {
        int c = peek(scanner);
        if (c < 0) {
            return refuse(scanner, "the string is not closed");
        }
        if (c < 0x20) {
            return refuse(scanner, "a control character in a string must be escaped");
        }
        if (c == '\\') {
            scanner->at++;
            TRY(scan_escape(scanner));
            continue;
        }
        size_t length =
            utf8_sequence_length(scanner->text + scanner->at, scanner->n_bytes - scanner->at);
        if (length == 0) {
            return refuse(scanner, "this is not UTF-8");
        }
        scanner->at += length;
    }
    return STATUS_OK;
}

static enum status scan_digits(struct scanner *scanner) {
    if (!is_digit(peek(scanner))) {
        return refuse(scanner, "expected a digit");
    }
    while (is_digit(peek(scanner))) {
        scanner->at++;
    }
    return STATUS_OK;
}

static enum status scan_number(struct scanner *scanner) {
    (void)accept(scanner, '-');
    if (accept(scanner, '0')) {
        if (is_digit(peek(scanner))) {
            return refuse(scanner, "a number must not begin with a superfluous 0");
        }
    } else {
        TRY(scan_digits(scanner));
    }
    if (accept(scanner, '.')) {
        TRY(scan_digits(scanner));
    }
    if (accept(scanner, 'e') || accept(scanner, 'E')) {
        (void)(accept(scanner, '+') || accept(scanner, '-'));
        TRY(scan_digits(scanner));
    }
    return STATUS_OK;
}

static bool accept_word(struct scanner *scanner, const char *word) {
    size_t length = strlen(word);
    if (scanner->n_bytes - scanner->at < length ||
        memcmp(scanner->text + scanner->at, word, length) != 0) {
        return false;
    }
    scanner->at += length;
    return true;
}

static enum status scan_value(struct scanner *scanner, int depth);

/* After the opening bracket, up to and with the closing one. */
static enum status scan_members(struct scanner *scanner, char close, int depth) {
    skip_space(scanner);
    if (accept(scanner, close)) {
        return STATUS_OK;
    }
    do {
        skip_space(scanner);
        if (close == '}') {
            TRY(scan_string(scanner));
            skip_space(scanner);
            if (!accept(scanner, ':')) {
                return refuse(scanner, "expected ':' after the name");
            }
            skip_space(scanner);
        }
        TRY(scan_value(scanner, depth + 1));
        skip_space(scanner);
    } while (accept(scanner, ','));
    if (!accept(scanner, close)) {
        return refuse(scanner, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    return STATUS_OK;
}

static enum status scan_value(struct scanner *scanner, int depth) {
    if (depth > JSON_CHECK_MAX_DEPTH) {
        return refuse(scanner, "nested too deep");
    }
    if (++scanner->n_values > JSON_CHECK_MAX_VALUES) {
        return refuse(scanner, "the document has too many values");
    }
    int c = peek(scanner);
    if (accept(scanner, '{')) {
        return scan_members(scanner, '}', depth);
    }
    if (accept(scanner, '[')) {
        return scan_members(scanner, ']', depth);
    }
    if (c == '"') {
        return scan_string(scanner);
    }
    if (c == '-' || is_digit(c)) {
        return scan_number(scanner);
    }
    if (accept_word(scanner, "true") || accept_word(scanner, "false") ||
        accept_word(scanner, "null")) {
        return STATUS_OK;
    }
    return refuse(scanner, c < 0 ? "the document ends here, a value was expected"
                                 : "expected a value: an object, array, string, number, true, "
                                   "false or null");
}

enum status json_check(const char *text, size_t n_bytes, struct error *error) {
    struct scanner scanner = {.text = text, .n_bytes = n_bytes, .error = error};
    skip_space(&scanner);
    TRY(scan_value(&scanner, 0));
    skip_space(&scanner);
    if (scanner.at != n_bytes) {
        return refuse(&scanner, "nothing may follow the value");
    }
    return STATUS_OK;
}
