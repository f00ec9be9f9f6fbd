/* TensorBoard's event files: records of protocol buffers, each with its checksums.
 *
 *     record  u64 length, u32 masked CRC-32C of it, data, u32 masked CRC-32C of the data
 *     data    message Event: double wall_time = 1, int64 step = 2, string file_version = 3, or
 *             Summary summary = 5 with values of a string tag = 1 and a float simple_value = 2
 *
 * All numbers little-endian. Layer: tools. Thread rule: a file belongs to one thread.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_COMMANDS_EVENT_FILE_H
#define CUTOUTD_TOOLS_CUTOUTCTL_COMMANDS_EVENT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed one is empty. After a failure for lack of memory it stays `failed`. */
struct event_file {
    unsigned char *bytes; /* owned: free */
    size_t n;
    size_t room;
    bool failed;
};

struct event_value {
    const char *tag;
    double value;
};

/* The record that every file begins with. */
void event_file_begin(struct event_file *file, double wall_time);

/* One step with its values, at most 16 with tags of at most 64 bytes. */
void event_file_add(struct event_file *file, double wall_time, int64_t step,
                    const struct event_value *values, size_t n_values);

#endif
