/* Journals of what trains elsewhere: lines "NUMBER RUN ATTEMPT KIND A B X Y", as an executor reads
 * them from a file, told to the attempt that they are about. RUN and ATTEMPT are counted from those
 * that are running. Whatever stands in a journal, the run ends once, and its history can be shown.
 */
#include <math.h>

#include "daemon/work/attempt.h"
#include "tests/fuzz/api_fuzz.h"

struct journal {
    struct fixture *fixture;
    struct pool_options options;
    struct attempt_table table;
    struct attempt *attempt; /* NULL: it has ended */
    int64_t run_id;
    int n_ends;
    char text[4096];
};

static void on_outcome(void *user, struct attempt *attempt) {
    struct journal *journal = user;
    struct destination destination;
    struct error error;
    struct queue *queue = journal->fixture->context.options.queue;
    attempt_decide(attempt, false, &destination);
    enum run_state to = destination.to == RUN_QUEUED ? RUN_FAILED : destination.to;
    REQUIRE(queue_finish(queue, journal->run_id, to, destination.reason, &error) == STATUS_OK);
    attempt_table_remove(&journal->table, attempt);
    progress_board_clear(journal->options.progress, attempt->slot);
    attempt_free(attempt);
    journal->attempt = NULL;
    journal->n_ends++;
}

static void begin(struct journal *journal) {
    const struct api_options *options = &journal->fixture->context.options;
    struct error error;
    journal->options = (struct pool_options){.store = options->store,
                                             .queue = options->queue,
                                             .notifier = options->notifier,
                                             .progress = options->progress,
                                             .clock = options->clock,
                                             .state_dir = journal->fixture->dir};
    attempt_table_init(&journal->table, &journal->options, on_outcome, journal);
    struct reply reply =
        ask(journal->fixture, "POST", "/api/v1/runs",
            "{\"dataset\":\"shapes\",\"depth\":8,\"epochs\":3,\"m\":1,\"priority\":9}");
    REQUIRE(reply.http_status == 201);
    reply_clear(&reply);
    REQUIRE(attempt_new(&journal->attempt, &error) == STATUS_OK);
    REQUIRE(queue_claim(options->queue, &(struct run_claim){0}, &journal->attempt->run, &error) ==
            STATUS_OK);
    journal->run_id = journal->attempt->run.id;
    attempt_table_add(&journal->table, journal->attempt);
}

struct line {
    long long number, run, attempt;
    char kind[16];
    int a, b;
    double x, y;
};

static enum status tell_epoch(struct journal *journal, const struct run_report *report,
                              const struct line *line, struct error *error) {
    const struct epoch_report epoch = {.epoch = line->a,
                                       .train_loss = line->x,
                                       .train_accuracy = line->y,
                                       .val_loss = line->y,
                                       .val_accuracy = line->x,
                                       .val_wrong = line->b,
                                       .val_total = 100,
                                       .lr = line->x,
                                       .seconds = line->y,
                                       .images_per_second = line->x,
                                       .diverged = line->b % 7 == 0,
                                       .best = line->b % 2 == 0,
                                       .images = line->a,
                                       .steps = line->b};
    return journal->table.reports.epoch(&journal->table, report, &epoch, error);
}

static void tell(struct journal *journal, const struct line *line) {
    const struct executor_reports *reports = &journal->table.reports;
    int64_t attempt = journal->attempt ? journal->attempt->run.attempt : 1;
    const struct run_report report = {
        .number = line->number,
        .run_id = (int64_t)((uint64_t)journal->run_id + (uint64_t)line->run),
        .attempt = (int)(attempt + line->attempt % 1000)};
    struct error error;
    enum status status = STATUS_OK;
    if (!strcmp(line->kind, "step")) {
        const struct step_report step = {.epoch = line->a,
                                         .epochs = 3,
                                         .step = line->b,
                                         .steps_per_epoch = line->b,
                                         .loss = line->x,
                                         .accuracy = line->y,
                                         .images_per_second = line->y,
                                         .eta_seconds = line->x};
        status = reports->step(reports->user, &report, &step, &error);
    } else if (!strcmp(line->kind, "epoch")) {
        status = tell_epoch(journal, &report, line, &error);
    } else if (!strcmp(line->kind, "checkpoint")) {
        char path[64];
        char sha256[SHA256_HEX_SIZE] = "";
        memset(sha256, 'c', line->b % 5 ? SHA256_HEX_SIZE - 1 : 7);
        (void)snprintf(path, sizeof(path), "jobs/%06d-%06d.safetensors", line->a, line->b);
        const struct checkpoint_report checkpoint = {.path = path,
                                                     .sha256 = sha256,
                                                     .n_bytes = line->number,
                                                     .epochs_done = line->a,
                                                     .step = line->b,
                                                     .best = line->x > 0};
        status = reports->checkpoint(reports->user, &report, &checkpoint, &error);
    } else if (!strcmp(line->kind, "note")) {
        status = reports->note(reports->user, &report, journal->text, &error);
    } else {
        const struct executor_outcome outcome = {.status = (enum status)(abs(line->a) % 4),
                                                 .again = line->b % 2 == 0,
                                                 .bounded = line->b % 3 == 0,
                                                 .message = line->kind};
        reports->outcome(reports->user, &report, &outcome);
    }
    REQUIRE(status == STATUS_OK || error.message[0] != '\0');
}

/* The history of the run is whole, and every answer about it can be read. */
static void require_shown(struct journal *journal) {
    static const char *const targets[] = {"",        "/epochs",      "/epochs?format=csv",
                                          "/log",    "/checkpoints", "/validation-error",
                                          "/summary"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char target[96];
        (void)snprintf(target, sizeof(target), "/api/v1/runs/%lld%s", (long long)journal->run_id,
                       targets[i]);
        struct reply reply = ask(journal->fixture, "GET", target, NULL);
        api_fuzz_require(&reply);
        reply_clear(&reply);
    }
    struct epoch_list epochs = {0};
    struct error error;
    REQUIRE(epoch_table_list(journal->options.store, journal->run_id, 0, 1000, &epochs, &error) ==
            STATUS_OK);
    for (size_t i = 0; i < epochs.n; i++) {
        REQUIRE(epochs.rows[i].report.epoch == (int)i + 1);
    }
    epoch_list_clear(&epochs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct journal journal = {.fixture = api_fuzz_open()};
    if (size >= sizeof(journal.text)) {
        return 0;
    }
    memcpy(journal.text, data, size);
    begin(&journal);
    char *rest = NULL;
    int n_lines = 0;
    for (char *text = strtok_r(journal.text, "\n", &rest); text && n_lines < 32;
         text = strtok_r(NULL, "\n", &rest), n_lines++) {
        struct line line = {.x = 0.5, .y = 0.5};
        if (sscanf(text, "%lld %lld %lld %15s %d %d %lf %lf", &line.number, &line.run,
                   &line.attempt, line.kind, &line.a, &line.b, &line.x, &line.y) >= 4) {
            tell(&journal, &line);
        }
    }
    require_shown(&journal);
    if (journal.attempt) {
        tell(&journal, &(struct line){.kind = "done"});
    }
    REQUIRE(journal.n_ends == 1 && !journal.attempt);
    require_shown(&journal);
    attempt_table_destroy(&journal.table);
    return 0;
}
