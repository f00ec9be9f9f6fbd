/* Layer: tools. */
#include "tools/cutoutctl/commands/event_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 16, MAX_TAG = 64, MAX_VALUE_BYTES = MAX_TAG + 16, MAX_EVENT_BYTES = 2048 };

/* Of a message that is being written. */
struct message {
    unsigned char bytes[MAX_EVENT_BYTES];
    size_t n;
};

static uint32_t crc32c(const unsigned char *bytes, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

static uint32_t masked(uint32_t crc) {
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static void put_fixed(struct message *m, uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; i++) {
        m->bytes[m->n++] = (unsigned char)(value >> 8 * i);
    }
}

static void put_varint(struct message *m, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        m->bytes[m->n++] = (unsigned char)(value | 0x80);
    }
    m->bytes[m->n++] = (unsigned char)value;
}

/* The types that these messages take (protocol buffers' wire format). */
enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_key(struct message *m, int field, enum wire wire) {
    put_varint(m, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_bytes(struct message *m, int field, const void *bytes, size_t n) {
    put_key(m, field, WIRE_BYTES);
    put_varint(m, n);
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static void put_wall_time(struct message *m, double wall_time) {
    uint64_t bits = 0;
    memcpy(&bits, &wall_time, sizeof(bits));
    put_key(m, 1, WIRE_64);
    put_fixed(m, bits, 8);
}

static void put_value(struct message *summary, const struct event_value *value) {
    struct message m = {.n = 0};
    float number = (float)value->value;
    uint32_t bits = 0;
    size_t n = strlen(value->tag);
    assert(n <= MAX_TAG);
    memcpy(&bits, &number, sizeof(bits));
    put_bytes(&m, 1, value->tag, n);
    put_key(&m, 2, WIRE_32);
    put_fixed(&m, bits, 4);
    put_bytes(summary, 1, m.bytes, m.n);
}

static void append(struct event_file *file, const unsigned char *bytes, size_t n) {
    if (!file->failed && file->n + n > file->room) {
        size_t room = 2 * file->room + n + 4096;
        unsigned char *grown = realloc(file->bytes, room);
        file->failed = !grown;
        file->bytes = grown ? grown : file->bytes;
        file->room = grown ? room : file->room;
    }
    if (!file->failed) {
        memcpy(file->bytes + file->n, bytes, n);
        file->n += n;
    }
}

static void append_record(struct event_file *file, const struct message *event) {
    struct message head = {.n = 0};
    struct message tail = {.n = 0};
    put_fixed(&head, event->n, 8);
    put_fixed(&head, masked(crc32c(head.bytes, 8)), 4);
    put_fixed(&tail, masked(crc32c(event->bytes, event->n)), 4);
    append(file, head.bytes, head.n);
    append(file, event->bytes, event->n);
    append(file, tail.bytes, tail.n);
}

void event_file_begin(struct event_file *file, double wall_time) {
    static const char version[] = "brain.Event:2";
    struct message event = {.n = 0};
    put_wall_time(&event, wall_time);
    put_bytes(&event, 3, version, sizeof(version) - 1);
    append_record(file, &event);
}

void event_file_add(struct event_file *file, double wall_time, int64_t step,
                    const struct event_value *values, size_t n_values) {
    struct message summary = {.n = 0};
    struct message event = {.n = 0};
    assert(n_values <= MAX_VALUES);
    _Static_assert(MAX_VALUES * MAX_VALUE_BYTES + 64 <= MAX_EVENT_BYTES, "room for an event");
    for (size_t i = 0; i < n_values; i++) {
        put_value(&summary, &values[i]);
    }
    put_wall_time(&event, wall_time);
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, (uint64_t)step);
    put_bytes(&event, 5, summary.bytes, summary.n);
    append_record(file, &event);
}
