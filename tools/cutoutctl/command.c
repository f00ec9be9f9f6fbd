/* Layer: tools. */
#include "tools/cutoutctl/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/base/cleanup.h"

void command_complain(const char *message) {
    (void)fflush(stdout);
    (void)fprintf(stderr, "cutoutctl: %s\n", message);
}

int command_refuse(const struct error *error) {
    command_complain(error->message);
    return error->code == STATUS_INVALID ? EXIT_USAGE : EXIT_TROUBLE;
}

const char *json_text(const cJSON *object, const char *name, const char *otherwise) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : otherwise;
}

double json_number(const cJSON *object, const char *name, double otherwise) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

const char *run_label(const cJSON *run, char ret_text[LABEL_SIZE]) {
    const char *id = json_text(run, "id", json_text(run, "run", "?"));
    const char *name = json_text(run, "name", "");
    if (name[0]) {
        (void)snprintf(ret_text, LABEL_SIZE, "%s  %s", id, name);
    } else {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(run, "config");
        (void)snprintf(ret_text, LABEL_SIZE, "%s  M=%.0f", id,
                       json_number(config ? config : run, "m", 0));
    }
    return ret_text;
}

/* "/base/depth" is said as "base.depth". */
static void print_pointer(const char *pointer) {
    for (const char *c = pointer + (*pointer == '/'); *c; c++) {
        (void)fputc(*c == '/' ? '.' : *c, stderr);
    }
}

void command_print_problem(const cJSON *problem, long http_status) {
    char message[64];
    (void)snprintf(message, sizeof(message), "The daemon answers with status %ld.", http_status);
    command_complain(json_text(problem, "detail", message));
    const cJSON *error = NULL;
    cJSON_ArrayForEach(error, cJSON_GetObjectItemCaseSensitive(problem, "errors")) {
        (void)fputs("  ", stderr);
        print_pointer(json_text(error, "pointer", json_text(error, "parameter", "")));
        (void)fprintf(stderr, ": %s\n", json_text(error, "detail", ""));
    }
    const cJSON *actions = cJSON_GetObjectItemCaseSensitive(problem, "allowed_actions");
    if (cJSON_GetArraySize(actions) > 0) {
        (void)fputs("  What can be done now:", stderr);
        const cJSON *action = NULL;
        cJSON_ArrayForEach(action, actions) {
            const char *name = cJSON_GetStringValue(action);
            (void)fprintf(stderr, " %s", name ? name : "");
        }
        (void)fputs(".\n", stderr);
    }
    if (http_status == 401) {
        (void)fputs("  The token is read from CUTOUTD_TOKEN or --token-file FILE.\n", stderr);
    }
}

enum { TRIES = 4, PAUSE_MOST_S = 30, KEY_SIZE = 33 };

static enum status make_key(char ret_key[KEY_SIZE], struct error *error) {
    unsigned char bytes[(KEY_SIZE - 1) / 2];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return error_set(error, STATUS_INTERNAL, "the system gives no random numbers");
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        (void)snprintf(ret_key + 2 * i, 3, "%02x", bytes[i]);
    }
    return STATUS_OK;
}

/* Says why there is no answer, or what it refuses. */
static void say_unanswered(enum status status, const struct answer *answer,
                           const struct error *error) {
    if (status != STATUS_OK) {
        command_complain(error->message);
    } else {
        command_print_problem(answer->json, answer->http_status);
    }
}

/* Whether it is worth asking for the same a moment later: the daemon is too busy or still makes
 * what the key is for, or a proxy has lost the answer. */
static bool is_for_later(const struct answer *answer) {
    return answer->lost || answer->http_status == 503 ||
           (answer->http_status == 409 && answer->retry_after_s > 0);
}

/* Sends a call that makes something until there is an answer to it. Each time it has the same key,
 * for which the daemon makes it once. answer->lost: it may be made without an answer. */
static enum status send_once(const struct client *client, struct call call, struct answer *answer,
                             struct error *error) {
    char key[KEY_SIZE];
    bool lost = false;
    TRY(make_key(key, error));
    call.key = key;
    for (int n = 1;; n++) {
        enum status status = client_send(client, &call, answer, error);
        lost = lost || answer->lost;
        bool again = status == STATUS_OK ? is_for_later(answer) : lost;
        if (!again || n == TRIES || answer->retry_after_s > PAUSE_MOST_S) {
            answer->lost = again && lost;
            return status;
        }
        if (n == 1) {
            say_unanswered(status, answer, error);
            (void)fputs("  Asking again, for the same.\n", stderr);
        }
        long pause_s = answer->retry_after_s > 0 ? answer->retry_after_s : 1;
        const struct timespec pause = {.tv_sec = pause_s};
        answer_clear(answer);
        (void)nanosleep(&pause, NULL);
    }
}

bool command_ask(const struct client *client, const struct call *call, struct answer *answer,
                 int *ret_exit) {
    *answer = (struct answer){.http_status = 0};
    if (client->print_curl) {
        client_print_curl(client, call);
        *ret_exit = EXIT_DONE;
        return false;
    }
    struct error error;
    enum status status = call->once ? send_once(client, *call, answer, &error)
                                    : client_send(client, call, answer, &error);
    if (status != STATUS_OK || answer->http_status < 200 || answer->http_status > 299) {
        bool perhaps = call->once && answer->lost;
        say_unanswered(status, answer, &error);
        if (perhaps) {
            (void)fputs("  It may have been accepted all the same: cutoutctl list shows it then.\n",
                        stderr);
        }
        *ret_exit = status != STATUS_OK || perhaps || answer->http_status >= 500 ? EXIT_TROUBLE
                                                                                 : EXIT_REFUSED;
        return false;
    }
    if (!answer->json && answer->http_status != 204 && !call->text) {
        command_complain("this is no cutoutd: the answer is no JSON");
        *ret_exit = EXIT_TROUBLE;
        return false;
    }
    return true;
}

static bool say_no_memory(int *ret_exit) {
    command_complain("no memory");
    *ret_exit = EXIT_TROUBLE;
    return false;
}

bool command_ask_to_print(const struct invocation *invocation, const struct call *call,
                          struct answer *answer, int *ret_exit) {
    if (!command_ask(invocation->client, call, answer, ret_exit)) {
        return false;
    }
    if (invocation->output == OUTPUT_JSON) {
        answer_print(answer);
        *ret_exit = EXIT_DONE;
        return false;
    }
    return true;
}

/* Adds the page at `cursor` (NULL: the first) to `all`; *ret_next: the next one, "" behind the
 * last.
 */
static bool add_page(const struct client *client, const char *path, const char *cursor, cJSON *all,
                     char **ret_next, int *ret_exit) {
    CLEANUP(free_pointer) char *page = NULL;
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    if (asprintf(&page, "%s%s%s", path, cursor ? "&cursor=" : "", cursor ? cursor : "") < 0) {
        page = NULL;
        return say_no_memory(ret_exit);
    }
    const struct call call = {.method = "GET", .path = page};
    if (!command_ask(client, &call, &answer, ret_exit)) {
        return false;
    }
    cJSON *items = cJSON_GetObjectItemCaseSensitive(answer.json, "items");
    while (items && items->child) {
        (void)cJSON_AddItemToArray(all, cJSON_DetachItemFromArray(items, 0));
    }
    *ret_next = strdup(json_text(answer.json, "next_cursor", ""));
    return *ret_next || say_no_memory(ret_exit);
}

cJSON *command_ask_pages(const struct client *client, const char *path, int *ret_exit) {
    cJSON *all = cJSON_CreateArray();
    CLEANUP(free_pointer) char *cursor = NULL;
    bool good = all || say_no_memory(ret_exit);
    do {
        char *next = NULL;
        good = good && add_page(client, path, cursor, all, &next, ret_exit);
        free(cursor);
        cursor = next;
    } while (good && cursor[0]);
    if (!good) {
        cJSON_Delete(all);
        return NULL;
    }
    return all;
}

bool command_confirm(const char *question, const char *nothing, const char *instead,
                     int *ret_exit) {
    char answer[16] = "";
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "%s: %s.\n", nothing, instead);
        *ret_exit = EXIT_USAGE;
        return false;
    }
    (void)fprintf(stderr, "%s [y/N] ", question);
    bool yes = fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
    if (!yes) {
        (void)fprintf(stderr, "%s.\n", nothing);
        *ret_exit = EXIT_REFUSED;
    }
    return yes;
}

int command_do(const struct invocation *invocation, const char *method, const char *path,
               const char *said) {
    const struct call call = {.method = method, .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask(invocation->client, &call, &answer, &exit_status)) {
        return exit_status;
    }
    if (invocation->output == OUTPUT_JSON && answer.json) {
        answer_print(&answer);
    } else {
        (void)puts(said);
    }
    return EXIT_DONE;
}
