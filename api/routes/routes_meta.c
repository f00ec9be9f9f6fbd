/* What there is to know before and beside the runs: the welcome page, health, presets, data sets,
 * the system. Layer: api. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/http/compress.h"
#include "api/openapi/openapi.h"
#include "api/routes/routes.h"
#include "api/web/web.h"
#include "core/base/time_text.h"
#include "core/kernels/kernels.h"
#include "daemon/spec/run_spec_json.h"
#include "daemon/work/health.h"

/* Nothing on the page comes from elsewhere, and nothing is written into its document: no script and
 * no style but its own files can run, whatever a run is called. */
static const char PAGE_POLICY[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                                  "img-src 'self' blob: data:; connect-src 'self'; "
                                  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* A browser names text/html among what it takes; curl and programs do not. */
static bool wants_page(const struct request *request) {
    return request_prefers(request, "text/html", "text/plain");
}

void route_page(struct api_context *context, const struct request *request, struct reply *reply) {
    (void)context;
    reply_text(reply, request, 200, CONTENT_HTML, web_page_make(request->prefix));
    reply->security_policy = PAGE_POLICY;
    reply_tag(reply, request);
}

void route_asset(struct api_context *context, const struct request *request, struct reply *reply) {
    (void)context;
    const struct web_asset *asset = web_asset_find(request->parameters[1]);
    if (!asset || strcmp(request->parameters[0], web_digest) != 0) {
        reply_problem(
            reply, request, STATUS_NOT_FOUND,
            "There is no such file; another version of the page may be open. Load it again.");
        return;
    }
    bool brotli = asset->brotli && brotli_is_accepted(request->accept_encoding);
    bool gzip = !brotli && gzip_is_accepted(request->accept_encoding);
    size_t n = brotli ? asset->n_brotli : gzip ? asset->n_gzip : asset->n_bytes;
    char *bytes = malloc(n);
    if (bytes) {
        memcpy(bytes, brotli ? asset->brotli : gzip ? asset->gzip : asset->bytes, n);
    }
    reply_bytes(reply, request, asset->content_type, bytes, n);
    reply->encoding = !bytes ? NULL : brotli ? "br" : gzip ? "gzip" : NULL;
    reply->for_ever = true;
}

void route_welcome(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    if (wants_page(request)) {
        route_page(context, request, reply);
        return;
    }
    char *text = NULL;
    const char *at = request->base[0] ? request->base : context->url;
    int n =
        asprintf(&text,
                 "cutoutd %s: ResNet runs with cutout and batch augmentation, queued and kept.\n"
                 "\n"
                 "Submit a run, look at it, follow it, read its history:\n"
                 "\n"
                 "  curl -d '{\"m\":8,\"cutout_size\":12}' %s/api/v1/runs\n"
                 "  curl %s/api/v1/runs/1\n"
                 "  curl -N %s/api/v1/runs/1/events\n"
                 "  curl '%s/api/v1/runs/1/epochs?format=csv'\n"
                 "  curl '%s/api/v1/runs/1/validation-error?format=csv'\n"
                 "  curl '%s/api/v1/runs/1/summary?format=text'\n"
                 "  curl -X POST %s/api/v1/runs/1/cancel\n"
                 "\n"
                 "Many runs at once, and which setting is best:\n"
                 "\n"
                 "  curl -d '{\"grid\":{\"m\":[2,4,8],\"seed\":[1,2]}}' %s/api/v1/sweeps\n"
                 "  curl '%s/api/v1/compare?sweep=1&target=0.06&format=csv'\n"
                 "\n"
                 "All runs, and what they can be made of:\n"
                 "\n"
                 "  curl '%s/api/v1/runs?state=queued,running'\n"
                 "  curl %s/api/v1/presets\n"
                 "  curl %s/api/v1/datasets\n"
                 "  curl %s/api/v1/system\n"
                 "\n"
                 "All of it for programs, as OpenAPI 3.1:\n"
                 "\n"
                 "  curl %s/openapi.json\n",
                 CUTOUTD_VERSION, at, at, at, at, at, at, at, at, at, at, at, at, at, at);
    reply_text(reply, request, 200, CONTENT_TEXT, n < 0 ? NULL : text);
}

void route_health(struct api_context *context, const struct request *request, struct reply *reply) {
    (void)context;
    reply_plain(reply, request, 200, "ok\n");
}

void route_ready(struct api_context *context, const struct request *request, struct reply *reply) {
    if (atomic_load(&context->stopping)) {
        reply_problem(reply, request, STATUS_BUSY, "The daemon is stopping.");
        return;
    }
    struct health_report health;
    health_read(context->options.health, &health);
    if (!health.is_ready) {
        reply_problem(reply, request, STATUS_BUSY, "%s", health.reason);
        return;
    }
    reply_plain(reply, request, 200, "ready\n");
}

void route_openapi(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    (void)context;
    reply_text(reply, request, 200, CONTENT_JSON, strdup(openapi_json));
    reply_tag(reply, request);
}

static void write_preset(struct json_writer *writer, struct api_context *context,
                         const struct run_preset *preset, bool is_default) {
    struct run_config config = preset->config;
    (void)snprintf(config.dataset, sizeof(config.dataset), "%s",
                   dataset_registry_default(context->options.datasets));
    json_write_object(writer, NULL);
    json_write_string(writer, "name", preset->name);
    json_write_string(writer, "description", preset->description);
    json_write_bool(writer, "default", is_default);
    json_write_object(writer, "config");
    run_config_write(writer, &config);
    json_write_end(writer, '}');
    json_write_end(writer, '}');
}

void route_preset_list(struct api_context *context, const struct request *request,
                       struct reply *reply) {
    size_t n_presets = 0;
    const struct run_preset *presets = run_presets(&n_presets);
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < n_presets; i++) {
        write_preset(&writer, context, &presets[i], i == 0);
    }
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

void route_preset_get(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    const struct run_preset *preset = run_preset_find(request->parameters[0]);
    if (!preset) {
        reply_problem(reply, request, STATUS_NOT_FOUND, "There is no preset %s.",
                      request->parameters[0]);
        return;
    }
    size_t n_presets = 0;
    struct json_writer writer = {0};
    write_preset(&writer, context, preset, preset == run_presets(&n_presets));
    reply_json(reply, request, 200, &writer);
}

void route_dataset_list(struct api_context *context, const struct request *request,
                        struct reply *reply) {
    struct dataset_registry *registry = context->options.datasets;
    const char *default_name = dataset_registry_default(registry);
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < dataset_registry_count(registry); i++) {
        struct dataset_description description;
        dataset_registry_describe(registry, i, &description);
        json_write_object(&writer, NULL);
        json_write_string(&writer, "name", description.name);
        json_write_bool(&writer, "default", strcmp(description.name, default_name) == 0);
        json_write_bool(&writer, "generated", description.directory == NULL);
        json_write_bool(&writer, "available", description.available);
        json_write_string(&writer, "problem", description.problem[0] ? description.problem : NULL);
        json_write_string(&writer, "warning", description.warning[0] ? description.warning : NULL);
        json_write_int(&writer, "train_images", description.n_train);
        json_write_int(&writer, "test_images", description.n_test);
        json_write_int(&writer, "classes", description.n_classes);
        json_write_end(&writer, '}');
    }
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

static void write_machine(struct json_writer *writer, const struct config *config) {
    json_write_int(writer, "cores", sysconf(_SC_NPROCESSORS_ONLN));
    json_write_int(writer, "workers", config->workers);
    json_write_int(writer, "threads_per_run", config->threads_per_run);
    json_write_object(writer, "memory");
    json_write_int(writer, "total_bytes",
                   (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE));
    json_write_int(writer, "daemon_limit_bytes", config->memory.n_bytes);
    json_write_int(writer, "run_limit_bytes", config->memory_limit_bytes);
    json_write_end(writer, '}');
}

/* What trains runs, the default first. */
static void write_executors(struct json_writer *writer, const struct api_context *context) {
    struct pool *pool = context->options.pool;
    size_t n = 0;
    const char *const *names = pool_executor_names(pool, &n);
    json_write_array(writer, "executors");
    for (size_t i = 0; i < n; i++) {
        const struct executor *executor = pool_executor(pool, names[i]);
        struct executor_condition condition = {.problem = ""};
        if (executor->describe) {
            executor->describe(executor->user, &condition);
        }
        json_write_object(writer, NULL);
        json_write_string(writer, "name", names[i]);
        json_write_string(writer, "problem", condition.problem[0] ? condition.problem : NULL);
        if (executor->describe) {
            json_write_object(writer, "jobs");
            json_write_int(writer, "pending", condition.n_pending);
            json_write_int(writer, "running", condition.n_running);
            json_write_end(writer, '}');
            json_write_string(writer, "excluded_nodes", condition.excluded);
        }
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
}

void route_system(struct api_context *context, const struct request *request, struct reply *reply) {
    const struct api_options *options = &context->options;
    int64_t counts[RUN_STATE_COUNT];
    struct error error;
    if (run_table_count(options->store, counts, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    char started[TIME_TEXT_SIZE];
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_string(&writer, "version", CUTOUTD_VERSION);
    json_write_string(&writer, "started_at", time_format(context->started_ms, started));
    json_write_int(&writer, "uptime_seconds",
                   (int64_t)(clock_monotonic_s(options->clock) - context->started_s));
    json_write_string(&writer, "kernel_variant", options->kernels->name);
    write_machine(&writer, api_config(context));
    write_executors(&writer, context);
    json_write_int(&writer, "schema_version", store_schema_version(options->store));
    json_write_object(&writer, "runs");
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        json_write_int(&writer, run_state_name((enum run_state)state), counts[state]);
    }
    json_write_end(&writer, '}');
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}
