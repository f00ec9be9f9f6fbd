/* The journal of an attempt: lines that its writer appended, and between them what a full disk, NFS
 * or somebody else may leave there. An input is lines: one that begins with '!' stands in the file
 * as it is, without its '!' and its end; the others are records' texts. What is a record comes back
 * as it was written, and a record that can be read can be written and read again.
 */
#include <unistd.h>

#include "daemon/slurm/journal.h"
#include "daemon/slurm/record.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_LINES = 64 };

struct input {
    char path[32];
    struct journal journal;
    const char *texts[MOST_LINES]; /* the records before the first damage */
    int n;
    bool damaged;
};

static char path[32]; /* of the one file that all inputs are written to */

static void remove_file(void) {
    (void)unlink(path);
}

static void open_file(struct input *input) {
    static int fd = -1;
    if (fd < 0) {
        (void)snprintf(path, sizeof(path), "/tmp/cutoutd-journal-XXXXXX");
        fd = mkstemp(path);
        REQUIRE(fd >= 0 && atexit(remove_file) == 0);
    }
    REQUIRE(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    (void)snprintf(input->path, sizeof(input->path), "%s", path);
    input->journal = (struct journal){.fd = fd};
}

static void write_line(struct input *input, const char *line) {
    struct error error;
    if (line[0] == '!') {
        size_t n = strlen(line + 1);
        REQUIRE(write(input->journal.fd, line + 1, n) == (ssize_t)n);
        input->damaged = input->damaged || n > 0;
        return;
    }
    REQUIRE(journal_append(&input->journal, line, false, &error) == STATUS_OK);
    if (!input->damaged && input->n < MOST_LINES) {
        input->texts[input->n++] = line;
    }
}

static void require_strings(const struct record *record) {
    require_text(record->node, sizeof(record->node));
    require_text(record->job, sizeof(record->job));
    require_text(record->variant, sizeof(record->variant));
    require_text(record->file, sizeof(record->file));
    require_text(record->sha256, sizeof(record->sha256));
    require_text(record->message, sizeof(record->message));
}

static void read_record(const char *text, size_t n_bytes) {
    struct record *record = calloc(1, sizeof(*record));
    struct error error = {.message = ""};
    REQUIRE(record);
    if (record_read(text, n_bytes, record, &error) == STATUS_OK) {
        REQUIRE(record->kind < RECORD_KINDS && record->report.number >= 1);
        require_strings(record);
        char *once = record_write(record);
        REQUIRE(once && record_read(once, strlen(once), record, &error) == STATUS_OK);
        char *twice = record_write(record);
        REQUIRE(twice && strcmp(once, twice) == 0);
        free(once);
        free(twice);
    } else {
        REQUIRE(error.message[0] != '\0');
    }
    free(record);
}

/* As the executor reads: until there is no more, or until a line is damaged. */
static void read_all(const struct input *input) {
    struct journal_reader reader = {0};
    struct error error;
    const char *text = NULL;
    size_t n_bytes = 0;
    int n = 0;
    enum status status = STATUS_OK;
    REQUIRE(journal_fetch(&reader, input->path, &error) == STATUS_OK);
    while ((status = journal_next(&reader, &text, &n_bytes, &error)) == STATUS_OK) {
        if (n < input->n) {
            REQUIRE(n_bytes == strlen(input->texts[n]));
            REQUIRE(memcmp(text, input->texts[n], n_bytes) == 0);
        }
        n++;
        read_record(text, n_bytes);
        journal_take(&reader);
    }
    REQUIRE(status == STATUS_NOT_FOUND || status == STATUS_CORRUPT);
    REQUIRE(n >= input->n && (input->damaged || status == STATUS_NOT_FOUND));
    /* A damaged line is the same one after it was read again. */
    if (status == STATUS_CORRUPT) {
        journal_refetch(&reader);
        REQUIRE(journal_fetch(&reader, input->path, &error) == STATUS_OK);
        REQUIRE(journal_next(&reader, &text, &n_bytes, &error) == STATUS_CORRUPT);
    }
    journal_reader_clear(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {.n = 0};
    char *text = malloc(size + 1);
    REQUIRE(text);
    memcpy(text, data, size);
    text[size] = '\0';
    open_file(&input);
    char *rest = NULL;
    int n_lines = 0;
    for (char *line = strtok_r(text, "\n", &rest); line && n_lines < MOST_LINES;
         line = strtok_r(NULL, "\n", &rest), n_lines++) {
        write_line(&input, line);
    }
    read_all(&input);
    free(text);
    return 0;
}
