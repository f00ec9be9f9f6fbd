/* What Slurm's commands print: the same bytes as lines of squeue, as what scontrol says of a job
 * and as sbatch's answer. */
#include "daemon/slurm/slurm_text.h"
#include "tests/fuzz/fuzz.h"

static void require_digits(const char *text) {
    REQUIRE(text[strspn(text, "0123456789")] == '\0');
}

static void require_line(const struct slurm_line *line) {
    require_text(line->id, sizeof(line->id));
    require_text(line->state, sizeof(line->state));
    require_text(line->node, sizeof(line->node));
    require_text(line->reason, sizeof(line->reason));
    require_text(line->name, sizeof(line->name));
    require_text(line->comment, sizeof(line->comment));
    require_digits(line->id);
    REQUIRE(line->state[0] != '\0' && !strpbrk(line->reason, "\n\r\t"));
}

/* Each call takes one line, whatever stands in it. */
static void read_lines(char *text, size_t size) {
    struct slurm_line line;
    bool good = false;
    size_t n_lines = 0;
    size_t n_feeds = 0;
    for (size_t i = 0; i < size; i++) {
        n_feeds += text[i] == '\n';
    }
    char *at = text;
    char *before = text;
    while (slurm_read_line(&at, &line, &good)) {
        REQUIRE(at > before && at <= text + size);
        before = at;
        n_lines++;
        if (good) {
            require_line(&line);
        }
    }
    REQUIRE(n_lines <= n_feeds + 1);
}

static void read_job(const char *text) {
    struct slurm_job_record record;
    if (!slurm_read_job(text, &record)) {
        return;
    }
    require_text(record.name, sizeof(record.name));
    require_text(record.comment, sizeof(record.comment));
    require_text(record.state, sizeof(record.state));
    require_text(record.reason, sizeof(record.reason));
    require_text(record.node, sizeof(record.node));
    REQUIRE(record.exit_code >= 0 && record.exit_signal >= 0 && record.restarts >= 0);
    enum slurm_cause cause = slurm_cause_of(record.state, record.reason, record.exit_code);
    REQUIRE((int)cause >= 0 && cause < SLURM_CAUSES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char id[SLURM_ID_SIZE] = "";
    char *text = malloc(size + 1);
    REQUIRE(text);
    memcpy(text, data, size);
    text[size] = '\0';
    size = strlen(text); /* as command_run gives it */
    read_job(text);
    if (slurm_read_submitted(text, id)) {
        require_text(id, sizeof(id));
        require_digits(id);
        REQUIRE(id[0] != '\0');
    }
    read_lines(text, size);
    free(text);
    return 0;
}
