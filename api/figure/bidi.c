/* Layer: api. */
#include "api/figure/bidi.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/text.h"

enum kind { NEUTRAL, LEFT, RIGHT, ARABIC, DIGIT, ARABIC_DIGIT, MARK, SEPARATOR };

struct letter {
    uint32_t code;
    enum kind kind;
    int level; /* odd: from right to left */
};

/* ---- UTF-8 ---- */

static uint32_t decode(const char *text, size_t n) {
    static const unsigned char masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t code = (unsigned char)text[0] & masks[n];
    for (size_t i = 1; i < n; i++) {
        code = code << 6 | ((unsigned char)text[i] & 0x3F);
    }
    return code;
}

static size_t encode(uint32_t code, char *text) {
    static const unsigned char heads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6) {
        text[i] = (char)(0x80 | (code & 0x3F));
    }
    text[0] = (char)(heads[n] | code);
    return n;
}

/* ---- which letter is what ---- */

static bool is_within(uint32_t code, uint32_t from, uint32_t to) {
    return code >= from && code <= to;
}

static bool is_mark(uint32_t code) {
    return is_within(code, 0x0300, 0x036F) || is_within(code, 0x0591, 0x05BD) || code == 0x05BF ||
           is_within(code, 0x05C1, 0x05C2) || is_within(code, 0x05C4, 0x05C5) || code == 0x05C7 ||
           is_within(code, 0x0610, 0x061A) || is_within(code, 0x064B, 0x065F) || code == 0x0670 ||
           is_within(code, 0x06D6, 0x06DC) || is_within(code, 0x06DF, 0x06E4) ||
           is_within(code, 0x06E7, 0x06E8) || is_within(code, 0x06EA, 0x06ED) ||
           is_within(code, 0x200B, 0x200D);
}

static enum kind kind_of(uint32_t code) {
    if (is_mark(code)) {
        return MARK;
    }
    if (is_within(code, '0', '9') || is_within(code, 0x06F0, 0x06F9)) {
        return DIGIT;
    }
    if (is_within(code, 0x0660, 0x0669)) {
        return ARABIC_DIGIT;
    }
    if (code == 0x200F || is_within(code, 0x0590, 0x05FF) || is_within(code, 0x07C0, 0x085F) ||
        is_within(code, 0xFB1D, 0xFB4F) || is_within(code, 0x10800, 0x10FFF)) {
        return RIGHT;
    }
    if (is_within(code, 0x0600, 0x07BF) || is_within(code, 0x0860, 0x08FF) ||
        is_within(code, 0xFB50, 0xFDFF) || is_within(code, 0xFE70, 0xFEFE)) {
        return ARABIC;
    }
    if (code == '.' || code == ',' || code == ':' || code == '/') {
        return SEPARATOR; /* between two digits it belongs to the number */
    }
    bool is_left =
        is_within(code, 'A', 'Z') || is_within(code, 'a', 'z') || code == 0x200E || code == 0xAA ||
        code == 0xB5 || code == 0xBA ||
        (code >= 0xC0 && code != 0xD7 && code != 0xF7 && !is_within(code, 0x2000, 0x206F) &&
         !is_within(code, 0x20A0, 0x20CF) && !is_within(code, 0x2190, 0x2BFF) &&
         !is_within(code, 0x3000, 0x3004) && !is_within(code, 0x3008, 0x3020));
    return is_left ? LEFT : NEUTRAL;
}

bool bidi_is_needed(const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        size_t n = utf8_sequence_length(text, left);
        n = n > 0 ? n : 1;
        enum kind kind = n > 1 ? kind_of(decode(text, n)) : NEUTRAL;
        if (kind == RIGHT || kind == ARABIC || kind == ARABIC_DIGIT) {
            return true;
        }
        text += n;
        left -= n;
    }
    return false;
}

/* ---- forms of Arabic letters ---- */

/* From the letter to its isolated form; the final, initial and medial ones follow it. n: 2 joins to
 * the letter before it only, 4 to both, 1 to none. */
static const struct {
    uint16_t letter, isolated;
    int n;
} forms[] = {
    {0x0621, 0xFE80, 1}, {0x0622, 0xFE81, 2}, {0x0623, 0xFE83, 2}, {0x0624, 0xFE85, 2},
    {0x0625, 0xFE87, 2}, {0x0626, 0xFE89, 4}, {0x0627, 0xFE8D, 2}, {0x0628, 0xFE8F, 4},
    {0x0629, 0xFE93, 2}, {0x062A, 0xFE95, 4}, {0x062B, 0xFE99, 4}, {0x062C, 0xFE9D, 4},
    {0x062D, 0xFEA1, 4}, {0x062E, 0xFEA5, 4}, {0x062F, 0xFEA9, 2}, {0x0630, 0xFEAB, 2},
    {0x0631, 0xFEAD, 2}, {0x0632, 0xFEAF, 2}, {0x0633, 0xFEB1, 4}, {0x0634, 0xFEB5, 4},
    {0x0635, 0xFEB9, 4}, {0x0636, 0xFEBD, 4}, {0x0637, 0xFEC1, 4}, {0x0638, 0xFEC5, 4},
    {0x0639, 0xFEC9, 4}, {0x063A, 0xFECD, 4}, {0x0641, 0xFED1, 4}, {0x0642, 0xFED5, 4},
    {0x0643, 0xFED9, 4}, {0x0644, 0xFEDD, 4}, {0x0645, 0xFEE1, 4}, {0x0646, 0xFEE5, 4},
    {0x0647, 0xFEE9, 4}, {0x0648, 0xFEED, 2}, {0x0649, 0xFEEF, 2}, {0x064A, 0xFEF1, 4},
    {0x067E, 0xFB56, 4}, {0x0686, 0xFB7A, 4}, {0x0698, 0xFB8A, 2}, {0x06A9, 0xFB8E, 4},
    {0x06AF, 0xFB92, 4}, {0x06CC, 0xFBFC, 4},
};
enum { N_FORMS = sizeof(forms) / sizeof(forms[0]), TATWEEL = 0x0640, LAM = 0x0644 };

/* The place in forms; N_FORMS: it is none of them. */
static size_t find_form(uint32_t code) {
    size_t i = 0;
    while (i < N_FORMS && forms[i].letter != code) {
        i++;
    }
    return i;
}

static bool joins_before(uint32_t code) {
    size_t i = find_form(code);
    return code == TATWEEL || (i < N_FORMS && forms[i].n >= 2);
}

static bool joins_behind(uint32_t code) {
    size_t i = find_form(code);
    return code == TATWEEL || (i < N_FORMS && forms[i].n == 4);
}

/* The next letter that is no mark; 0: there is none. */
static uint32_t neighbour(const struct letter *letters, size_t n, size_t at, int step) {
    for (size_t i = at + (size_t)step; i < n; i += (size_t)step) { /* below 0 it is above n */
        if (letters[i].kind != MARK) {
            return letters[i].code;
        }
    }
    return 0;
}

/* Lam and the alef behind it are one sign; 0: that is no such alef. */
static uint32_t ligature_of(uint32_t alef) {
    switch (alef) {
    case 0x0622:
        return 0xFEF5;
    case 0x0623:
        return 0xFEF7;
    case 0x0625:
        return 0xFEF9;
    case 0x0627:
        return 0xFEFB;
    default:
        return 0;
    }
}

/* Writes the forms into shaped[n], which has the kinds of letters already; returns how many are
 * left. */
static size_t shape(const struct letter *letters, size_t n, struct letter *shaped) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t code = letters[i].code;
        size_t form = find_form(code);
        bool before = joins_before(code) && joins_behind(neighbour(letters, n, i, -1));
        bool behind = joins_behind(code) && joins_before(neighbour(letters, n, i, 1));
        uint32_t ligature = code == LAM && i + 1 < n ? ligature_of(letters[i + 1].code) : 0;
        shaped[used] = letters[i];
        if (ligature) {
            shaped[used].code = ligature + before;
            i++;
        } else if (form < N_FORMS) {
            shaped[used].code = forms[form].isolated + (behind ? 2U : 0U) + before;
        }
        used++;
    }
    return used;
}

/* ---- order ---- */

static bool is_number(enum kind kind) {
    return kind == DIGIT || kind == ARABIC_DIGIT;
}

/* Marks are as what they stand on, digits as the writing before them, separators in numbers as
 * numbers. (W1 to W7) */
static void settle_kinds(struct letter *letters, size_t n) {
    enum kind strong = LEFT;
    for (size_t i = 0; i < n; i++) {
        enum kind kind = letters[i].kind;
        strong = kind == LEFT || kind == RIGHT || kind == ARABIC ? kind : strong;
        if (kind == MARK) {
            letters[i].kind = i > 0 ? letters[i - 1].kind : NEUTRAL;
        } else if (kind == DIGIT && strong == ARABIC) {
            letters[i].kind = ARABIC_DIGIT;
        } else if (kind == SEPARATOR) {
            bool inside = i > 0 && i + 1 < n && is_number(letters[i - 1].kind) &&
                          is_number(letters[i + 1].kind);
            letters[i].kind = inside ? letters[i - 1].kind : NEUTRAL;
        } else if (kind == DIGIT && strong == LEFT) {
            letters[i].kind = LEFT;
        }
    }
}

/* Where the bracket at `from` is closed; n: nowhere. */
static size_t find_closing(const struct letter *letters, size_t n, size_t from) {
    static const char pairs[] = "()[]{}";
    const char *at = letters[from].code < 0x80 ? strchr(pairs, (int)letters[from].code) : NULL;
    int depth = 0;
    if (!at || !*at || (at - pairs) % 2 != 0) {
        return n;
    }
    for (size_t i = from; i < n; i++) {
        depth += letters[i].code == (uint32_t)at[0]   ? 1
                 : letters[i].code == (uint32_t)at[1] ? -1
                                                      : 0;
        if (depth == 0) {
            return i;
        }
    }
    return n;
}

/* Brackets around what goes from right to left, behind what does, go along with both. (N0) */
static void settle_brackets(struct letter *letters, size_t n) {
    enum kind before = LEFT;
    for (size_t i = 0; i < n; i++) {
        size_t close = find_closing(letters, n, i);
        bool left = before == LEFT;
        bool right = false;
        for (size_t k = i + 1; k < close && close < n; k++) {
            left |= letters[k].kind == LEFT;
            right |= letters[k].kind != LEFT && letters[k].kind != NEUTRAL;
        }
        if (close < n && (left || right)) {
            letters[i].kind = letters[close].kind = left ? LEFT : RIGHT;
        }
        before = letters[i].kind == NEUTRAL ? before : letters[i].kind;
    }
}

/* What is neither goes along where both its neighbours go from right to left. (N1, N2, I1) */
static void set_levels(struct letter *letters, size_t n) {
    bool from_right = false;
    for (size_t i = 0; i < n; i++) {
        size_t end = i;
        while (end < n && letters[end].kind == NEUTRAL) {
            end++;
        }
        bool between = from_right && end < n && letters[end].kind != LEFT;
        for (; i < end; i++) {
            letters[i].level = between ? 1 : 0;
        }
        if (i < n) {
            letters[i].level = letters[i].kind == LEFT ? 0 : is_number(letters[i].kind) ? 2 : 1;
            from_right = letters[i].level > 0;
        }
    }
}

static void turn_round(struct letter *letters, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        struct letter other = letters[i];
        letters[i] = letters[n - 1 - i];
        letters[n - 1 - i] = other;
    }
}

/* A mark is drawn onto what stands before it. (L3) */
static void put_marks_behind(struct letter *letters, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t end = i;
        while (end < n && is_mark(letters[end].code)) {
            end++;
        }
        if (end > i && end < n) {
            turn_round(letters + i, end - i + 1);
        }
        i = end;
    }
}

/* (L2) */
static void reorder(struct letter *letters, size_t n) {
    for (int level = 2; level >= 1; level--) {
        for (size_t i = 0; i < n; i++) {
            size_t end = i;
            while (end < n && letters[end].level >= level) {
                end++;
            }
            turn_round(letters + i, end - i);
            if (level == 1 && end > i) {
                put_marks_behind(letters + i, end - i);
            }
            i = end > i ? end - 1 : i;
        }
    }
}

/* (L4) */
static uint32_t mirror(uint32_t code) {
    static const char pairs[] = "()[]{}<>";
    const char *at = code > 0 && code < 0x80 ? strchr(pairs, (int)code) : NULL;
    return !at ? code : (uint32_t)pairs[(at - pairs) ^ 1];
}

static size_t read_letters(const char *text, struct letter *letters) {
    size_t left = strlen(text);
    size_t n = 0;
    while (left > 0) {
        size_t length = utf8_sequence_length(text, left);
        uint32_t code = length > 0 ? decode(text, length) : '?';
        length = length > 0 ? length : 1;
        letters[n++] = (struct letter){.code = code, .kind = kind_of(code)};
        text += length;
        left -= length;
    }
    return n;
}

char *bidi_visual(const char *text) {
    size_t most = strlen(text) + 1;
    CLEANUP(free_pointer) struct letter *letters = calloc(most, sizeof(*letters));
    CLEANUP(free_pointer) struct letter *shaped = calloc(most, sizeof(*shaped));
    char *visual = malloc(3 * most + 1); /* a form takes three bytes, its letter two */
    if (!letters || !shaped || !visual) {
        free(visual);
        return NULL;
    }
    size_t n = shape(letters, read_letters(text, letters), shaped);
    settle_kinds(shaped, n);
    settle_brackets(shaped, n);
    set_levels(shaped, n);
    reorder(shaped, n);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t code = shaped[i].code;
        used += encode(shaped[i].level == 1 ? mirror(code) : code, visual + used);
    }
    visual[used] = '\0';
    return visual;
}
