/* Whether this daemon has what a run needs: its data set and the memory.
 *
 * Layer: api. Thread rule: any thread; reads the context only.
 */
#ifndef CUTOUTD_API_ROUTES_ADMISSION_H
#define CUTOUTD_API_ROUTES_ADMISSION_H

#include "api/context.h"
#include "api/http/reply.h"

/* What the parser of a run must know of this daemon; its pointers live as long as the daemon. */
struct run_spec_context run_surroundings(const struct api_context *context);

/* How many training images the data set has; 0: it cannot be read at the moment. */
int dataset_train_images(const struct api_context *context, const char *name);

struct run_means {
    int64_t needed_bytes;
    int64_t limit_bytes;
    int steps_per_epoch;      /* 0 when the data set cannot be read, as the next */
    int64_t images_per_epoch; /* all copies counted */
};

/* Adds an error for each thing that is in the way of training the run here. */
void run_means_check(const struct api_context *context, const struct run_config *config,
                     struct run_means *ret_means, struct field_errors *errors);

/* What a dry run shows: the members "config", "steps_per_epoch", "images_per_epoch" and "memory".
 */
void run_means_write_plan(struct json_writer *writer, const struct run_config *config,
                          const struct run_means *means);

/* The problem for errors->n > 0. */
void reply_run_means(struct reply *reply, const struct request *request,
                     const struct run_means *means, const struct field_errors *errors);

/* The member "estimate": how long `epochs` epochs take by what runs of the same depth, m and batch
 * took here; null where none was measured. Statuses of the store. */
enum status run_means_write_estimate(const struct api_context *context, struct json_writer *writer,
                                     const struct run_config *config, const struct run_means *means,
                                     struct error *error);

#endif
