/* What the fake executor starts: it trains nothing and reports as if.
 *     executor_fake_child DIR RUN ATTEMPT EPOCHS waits|runs ASKS_FD REPORTS_FD LOCK_FD
 * The descriptors are inherited; the lock is held until the process ends. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct child {
    char **argv;
    int reports;
    long number;
};

static void report(struct child *child, const char *kind, int a, int b) {
    char line[128];
    int n = snprintf(line, sizeof(line), "%ld %s %s %s %d %d\n", ++child->number, child->argv[2],
                     child->argv[3], kind, a, b);
    if (write(child->reports, line, (size_t)n) != n) {
        _exit(3);
    }
}

static void train_epoch(struct child *child, int epoch) {
    report(child, "step", epoch, 1);
    report(child, "epoch", epoch, 0);
    report(child, "checkpoint", epoch, 0);
}

static void note_pid(const char *dir) {
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/pid", dir);
    FILE *file = fopen(path, "a");
    if (!file || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0) {
        _exit(2);
    }
}

int main(int argc, char **argv) {
    if (argc != 9) {
        return 1;
    }
    int epochs = atoi(argv[4]);
    struct child child = {.argv = argv, .reports = atoi(argv[7])};
    FILE *asks = fdopen(atoi(argv[6]), "r");
    note_pid(argv[1]);
    int epoch = 0;
    if (!strcmp(argv[5], "waits")) {
        report(&child, "step", 1, 0);
    }
    while (epoch < epochs) {
        char word[32] = "go\n";
        if (!strcmp(argv[5], "waits") && (!asks || !fgets(word, sizeof(word), asks))) {
            return 4;
        }
        if (!strcmp(word, "go\n")) {
            train_epoch(&child, ++epoch);
        } else {
            report(&child, "checkpoint", epoch, 5);
        }
        if (!strcmp(word, "stop\n")) {
            report(&child, "stopped", 0, 0);
            return 0;
        }
    }
    report(&child, "done", 0, 0);
    return 0;
}
