/* Layer: daemon/notify. */
#include "daemon/notify/message.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/spec/json_write.h"

static void delete_tree(cJSON **tree) {
    cJSON_Delete(*tree);
}

void message_clear(struct message *message) {
    free(message->body);
    memset(message, 0, sizeof(*message));
}

/* ---- words ---- */

static const char *text_of(const cJSON *facts, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(facts, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number_of(const cJSON *facts, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(facts, name);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

/* " 'm = 8' of anna" */
static void describe(const cJSON *facts, char text[MESSAGE_SIZE]) {
    const char *name = text_of(facts, "name");
    const char *owner = text_of(facts, "owner");
    (void)snprintf(text, MESSAGE_SIZE, "%s%.150s%s%s%.64s", name[0] ? " '" : "", name,
                   name[0] ? "'" : "", owner[0] ? " of " : "", owner);
}

static void describe_best(const cJSON *facts, char text[MESSAGE_SIZE]) {
    double error = number_of(facts, "best_error");
    double epoch = number_of(facts, "best_epoch");
    text[0] = '\0';
    if (!isnan(error) && !isnan(epoch)) {
        (void)snprintf(text, MESSAGE_SIZE, "; best validation error %.2f %% (epoch %.0f)",
                       100.0 * error, epoch);
    } else if (!isnan(error)) {
        (void)snprintf(text, MESSAGE_SIZE, "; best validation error %.2f %%", 100.0 * error);
    }
}

static void write_words(const char *event, const cJSON *facts, struct message *m) {
    char who[MESSAGE_SIZE];
    char best[MESSAGE_SIZE];
    describe(facts, who);
    describe_best(facts, best);
    if (strcmp(event, "run_ended") == 0) {
        const char *reason = text_of(facts, "reason");
        (void)snprintf(m->title, sizeof(m->title), "run %s %s", text_of(facts, "run"),
                       text_of(facts, "state"));
        (void)snprintf(
            m->text, sizeof(m->text), "Run %s%.230s %s after %.0f of %.0f epochs%.60s%s%.100s.",
            text_of(facts, "run"), who, text_of(facts, "state"), number_of(facts, "epochs_done"),
            number_of(facts, "epochs"), best, reason[0] ? ": " : "", reason);
    } else if (strcmp(event, "sweep_ended") == 0) {
        char ranked_out[64] = "";
        if (number_of(facts, "ranked_out") > 0) {
            (void)snprintf(ranked_out, sizeof(ranked_out), ", %.0f stay paused, ranked out",
                           number_of(facts, "ranked_out"));
        }
        (void)snprintf(m->title, sizeof(m->title), "sweep %s ended", text_of(facts, "sweep"));
        (void)snprintf(m->text, sizeof(m->text),
                       "Sweep %s%.230s ended: of %.0f runs %.0f succeeded, %.0f failed, %.0f were "
                       "canceled%s%.60s.",
                       text_of(facts, "sweep"), who, number_of(facts, "runs"),
                       number_of(facts, "succeeded"), number_of(facts, "failed"),
                       number_of(facts, "canceled"), ranked_out, best);
    } else if (strcmp(event, "target_reached") == 0) {
        (void)snprintf(m->title, sizeof(m->title), "run %s reached the target",
                       text_of(facts, "run"));
        (void)snprintf(m->text, sizeof(m->text), "Run %s%.230s reached %.2f %%%.60s.",
                       text_of(facts, "run"), who, 100.0 * number_of(facts, "target"), best);
    } else if (strcmp(event, "stalled") == 0) {
        (void)snprintf(m->title, sizeof(m->title), "run %s stands still", text_of(facts, "run"));
        (void)snprintf(m->text, sizeof(m->text),
                       "Run %s%.230s says that it is running, and has not moved for %.0f minutes.",
                       text_of(facts, "run"), who, number_of(facts, "minutes"));
    } else if (strcmp(event, "disk_low") == 0) {
        (void)snprintf(m->title, sizeof(m->title), "the disk is nearly full");
        (void)snprintf(m->text, sizeof(m->text), "The disk of cutoutd has %.2f GiB left.",
                       number_of(facts, "free_bytes") * 0x1p-30);
    } else {
        (void)snprintf(m->title, sizeof(m->title), "test");
        (void)snprintf(m->text, sizeof(m->text), "This is a test of the webhook.");
    }
}

/* ---- bodies ---- */

static char *json_body(const struct delivery_row *delivery, const struct message *m) {
    struct json_writer writer = {0};
    char time[TIME_TEXT_SIZE];
    json_write_object(&writer, NULL);
    json_write_string(&writer, "event", delivery->event);
    json_write_id(&writer, "delivery", delivery->id);
    json_write_string(&writer, "at", time_format(delivery->created_ms, time));
    json_write_string(&writer, "text", m->text);
    json_write_raw(&writer, "facts", delivery->facts);
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

/* Slack and Mattermost: {"text":...}. In Slack's text < > & are marks. */
static char *chat_body(const struct message *m, bool slack) {
    struct json_writer writer = {0};
    char text[6 * MESSAGE_SIZE];
    size_t n = 0;
    for (const char *c = m->text; *c; c++) {
        const char *word = !slack      ? NULL
                           : *c == '<' ? "&lt;"
                           : *c == '>' ? "&gt;"
                           : *c == '&' ? "&amp;"
                                       : NULL;
        n += word ? (size_t)snprintf(text + n, sizeof(text) - n, "%s", word) : 1;
        if (!word) {
            text[n - 1] = *c;
        }
    }
    text[n] = '\0';
    json_write_object(&writer, NULL);
    json_write_string(&writer, "text", text);
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

enum status message_make(const struct webhook_row *webhook, const struct delivery_row *delivery,
                         struct message *ret_message, struct error *error) {
    __attribute__((cleanup(delete_tree))) cJSON *facts = cJSON_Parse(delivery->facts);
    *ret_message = (struct message){.content_type = "application/json"};
    if (!cJSON_IsObject(facts)) {
        return error_set(error, STATUS_CORRUPT, "delivery %" PRId64 " has no facts", delivery->id);
    }
    write_words(delivery->event, facts, ret_message);
    switch (webhook->template) {
    case WEBHOOK_SLACK:
    case WEBHOOK_MATTERMOST:
        ret_message->body = chat_body(ret_message, webhook->template == WEBHOOK_SLACK);
        break;
    case WEBHOOK_NTFY:
        ret_message->body = strdup(ret_message->text);
        ret_message->content_type = "text/plain; charset=utf-8";
        break;
    case WEBHOOK_JSON:
    case WEBHOOK_TEMPLATES:
        ret_message->body = json_body(delivery, ret_message);
        break;
    }
    return ret_message->body ? STATUS_OK
                             : error_set(error, STATUS_NO_MEMORY, "no memory for a message");
}

void message_sign(const char *secret, int64_t unix_s, const char *body,
                  char ret_signature[SIGNATURE_SIZE]) {
    crypto_auth_hmacsha256_state state;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[2 * sizeof(mac) + 1];
    char time[32];
    int n = snprintf(time, sizeof(time), "%" PRId64 ".", unix_s);
    (void)crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)time, (unsigned long long)n);
    (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, strlen(body));
    (void)crypto_auth_hmacsha256_final(&state, mac);
    (void)sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    (void)snprintf(ret_signature, SIGNATURE_SIZE, "t=%" PRId64 ",v1=%s", unix_s, hex);
}
