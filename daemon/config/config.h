/* Every setting of the daemon, its value and where that value came from.
 *
 * Layer: daemon. Thread rule: filled by one thread at start, only read afterwards.
 *
 * Order, later wins: built-in default, file (INI), conf.d/NAME.conf beside it in order of name,
 * CUTOUTD_* environment, command-line flag. A key nobody knows is an error that names file and
 * line; nothing is ever ignored.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_CONFIG_H
#define CUTOUTD_DAEMON_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/run_config.h"
#include "daemon/config/memory_bound.h"
#include "daemon/config/quiet_hours.h"

#define CONFIG_DEFAULT_FILE "/etc/cutoutd/cutoutd.conf"

enum {
    CONFIG_MAX_DATASETS = 32,
    CONFIG_TEXT_SIZE = 512,
    CONFIG_ORIGIN_SIZE = 640,
    CONFIG_MAX_PROBLEMS = 32,
};

/* One key each; the order is the one `check-config` prints. */
enum config_key {
    CONFIG_LISTEN,
    CONFIG_UNIX_SOCKET,
    CONFIG_TLS_CERT,
    CONFIG_TLS_KEY,
    CONFIG_TOKENS_FILE,
    CONFIG_ALLOWED_HOSTS,
    CONFIG_TRUSTED_PROXIES,
    CONFIG_STATE_DIR,
    CONFIG_WORKERS,
    CONFIG_THREADS_PER_RUN,
    CONFIG_PIN_THREADS,
    CONFIG_CHECKPOINT_INTERVAL_S,
    CONFIG_KEEP_CHECKPOINTS_DAYS,
    CONFIG_KEEP_EVENTS_DAYS,
    CONFIG_KEEP_AUDIT_DAYS,
    CONFIG_MEMORY_LIMIT,
    CONFIG_LOG_LEVEL,
    CONFIG_LOG_FORMAT,
    CONFIG_ISA,
    CONFIG_CONV_ALGORITHM,
    CONFIG_ON_ARITHMETIC_CHANGE,
    CONFIG_SHAPES_TRAIN,
    CONFIG_SHAPES_TEST,
    CONFIG_QUIET,
    CONFIG_WEBHOOK_ADDRESSES,
    CONFIG_DISK_LOW,
    CONFIG_STALLED_AFTER_S,
    CONFIG_EXECUTORS,
    CONFIG_SLURM_SHARED_DIR, /* of section [slurm], as the following */
    CONFIG_SLURM_PARTITION,
    CONFIG_SLURM_ACCOUNT,
    CONFIG_SLURM_QOS,
    CONFIG_SLURM_TIME,
    CONFIG_SLURM_CPUS,
    CONFIG_SLURM_MEM,
    CONFIG_SLURM_CONSTRAINT_AVX512,
    CONFIG_SLURM_CONSTRAINT_AVX2,
    CONFIG_SLURM_CONSTRAINT_BLAS,
    CONFIG_SLURM_EXTRA,
    CONFIG_SLURM_MAX_JOBS,
    CONFIG_SLURM_POLL_S,
    CONFIG_SLURM_TIMEOUT_S,
    CONFIG_SLURM_ABSENT_S,
    CONFIG_SLURM_SHARED_LAG_S,
    CONFIG_SLURM_GRACE_S,
    CONFIG_SLURM_RETRY,
    CONFIG_SLURM_QUIET,
    CONFIG_SLURM_PROGRAM,
    CONFIG_SLURM_BIN_DIR,
    CONFIG_SLURM_CONF,
    CONFIG_HALF_LIFE, /* of [owners], as the next */
    CONFIG_MAX_RUNNING,
    CONFIG_MAX_QUEUED,
    CONFIG_MAX_PRIORITY,
    CONFIG_MAX_DISK,
    CONFIG_KEY_COUNT,
};

/* `[datasets] NAME = DIRECTORY` or `--dataset NAME=DIRECTORY`. */
struct config_dataset {
    char name[64];
    char directory[CONFIG_TEXT_SIZE];
    char origin[CONFIG_ORIGIN_SIZE];
};

/* A run has begun, and what it was trained with gives other bits here, or cannot be had. */
enum arithmetic_change {
    ARITHMETIC_RESTART,  /* it begins anew */
    ARITHMETIC_CONTINUE, /* it goes on from its last checkpoint with other bits */
    ARITHMETIC_FAIL,
};

enum log_format {
    LOG_FORMAT_AUTO, /* the journal's fields where it reads stderr, otherwise text */
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
};

/* Why an attempt in Slurm ended without an outcome of its own. */
enum slurm_cause {
    SLURM_TIME_LIMIT,
    SLURM_PREEMPTED,
    SLURM_NODE_FAILURE,
    SLURM_OUT_OF_MEMORY,
    SLURM_CANCELED,       /* by somebody else */
    SLURM_LAUNCH_FAILURE, /* it never began */
    SLURM_LOST,           /* ended without a word, or is not there any more */
    SLURM_CAUSES,
};

enum { SLURM_ALWAYS = -1 };

struct slurm_retry {
    int n; /* ends in a row without progress that are followed by another attempt, or SLURM_ALWAYS
            */
    int after_s;
};

/* Section [slurm]. */
struct config_slurm {
    char shared_dir[CONFIG_TEXT_SIZE]; /* what daemon and nodes both see */
    int cpus;
    int64_t mem_bytes; /* of a job; 0: not asked for */
    int max_jobs;
    int poll_s;
    int timeout_s;    /* of each command */
    int absent_s;     /* a job that is not seen for so long is gone */
    int shared_lag_s; /* a file may be seen so late */
    int grace_s;      /* before the time limit: checkpoint, and end */
    struct slurm_retry retry[SLURM_CAUSES];
    bool heeds_quiet;               /* quiet hours stop its jobs as well */
    char program[CONFIG_TEXT_SIZE]; /* cutoutd on the nodes; "": as here */
    char bin_dir[CONFIG_TEXT_SIZE]; /* of sbatch and the others; "": /usr/bin and so on */
    char conf[CONFIG_TEXT_SIZE];    /* SLURM_CONF of the commands; "": their own */
};

struct config {
    char listen_address[64]; /* numeric IPv4 or IPv6, without brackets; "": not on the network */
    int listen_port;         /* 0: any free one */
    char unix_socket[CONFIG_TEXT_SIZE]; /* "": none */
    char tls_cert[CONFIG_TEXT_SIZE];    /* "": no TLS, and no key */
    char tls_key[CONFIG_TEXT_SIZE];
    char tokens_file[CONFIG_TEXT_SIZE];     /* "": no tokens */
    char allowed_hosts[CONFIG_TEXT_SIZE];   /* as host_is_listed takes it (core/base/host.h) */
    char trusted_proxies[CONFIG_TEXT_SIZE]; /* as host_address_is_listed takes it; without "unix" */
    bool trust_unix_socket;                 /* trusted_proxies has "unix" */
    char state_dir[CONFIG_TEXT_SIZE];
    int workers;         /* runs trained at the same time, 1 .. 64 */
    int threads_per_run; /* 1 .. 64; "auto" is resolved to all cores / workers */
    bool pin_threads;
    int checkpoint_interval_s;
    int keep_checkpoints_days;  /* 0: for ever */
    int keep_events_days;       /* likewise */
    int keep_audit_days;        /* likewise */
    struct memory_bound memory; /* what a percentage of memory_limit is of */
    int64_t memory_limit_bytes; /* what one run may need at most; a percentage is resolved */
    enum log_level log_level;
    enum log_format log_format;
    char isa[16];                       /* "auto", "ref", "blas", "avx2", "avx512" */
    enum conv_algorithm conv_algorithm; /* what a run's "auto" means; never CONV_AUTO */
    enum arithmetic_change on_arithmetic_change;
    int shapes_train;
    int shapes_test;
    bool has_local; /* executors, in their order: the first is the default */
    bool has_slurm;
    bool slurm_first;
    struct config_slurm slurm; /* valid with has_slurm */
    struct quiet_hours quiet;
    char webhook_addresses[CONFIG_TEXT_SIZE]; /* as host_address_is_listed takes it */
    int64_t disk_low_bytes;                   /* webhooks are told below it; 0: never */
    int stalled_after_s;                      /* likewise of a run that does not move; 0: never */
    int half_life_s;                          /* of what owners used; 0: off */
    int max_running;                          /* of an owner at the same time; 0: any number */
    int max_queued;                           /* of an owner in the queue; 0: any number */
    int max_priority;                         /* that an owner may give */
    int64_t max_disk_bytes;                   /* of an owner's checkpoints; 0: any number */
    int n_datasets;
    struct config_dataset datasets[CONFIG_MAX_DATASETS];

    char file[CONFIG_TEXT_SIZE];                   /* which was read, if it was there; "": none */
    char text[CONFIG_KEY_COUNT][CONFIG_TEXT_SIZE]; /* each value as it was written */
    char origin[CONFIG_KEY_COUNT][CONFIG_ORIGIN_SIZE]; /* "default", "FILE:12", "CUTOUTD_LISTEN",
                                                          "--listen" */
};

/* argv[0 .. argc) are flags only (`--workers 2` or `--workers=2`); `--config FILE` names a file
 * that must exist. Without it `default_file` is read if it exists (NULL: none). environment is in
 * the form of environ. *ret_config is written on success only. STATUS_INVALID with a message that
 * names the place of the first problem and how many more there are; STATUS_NOT_FOUND or STATUS_IO
 * for the file. */
enum status config_load(int argc, char *const *argv, char *const *environment,
                        const char *default_file, struct config *ret_config, struct error *error);

/* All that is wrong: each message names the place. */
struct config_problems {
    int n; /* may be more than there is room for */
    struct error items[CONFIG_MAX_PROBLEMS];
};

void config_problems_add(struct config_problems *problems, const struct error *error);

/* The same with everything that is wrong at once. *ret_config is written in any case; of a setting
 * that is wrong the value may be any. */
void config_load_all(int argc, char *const *argv, char *const *environment,
                     const char *default_file, struct config *ret_config,
                     struct config_problems *ret_problems);

enum {
    CONFIG_CHECK_TOKENS = 1,
    CONFIG_CHECK_TLS_CERT = 2,
    CONFIG_CHECK_TLS_KEY = 4,
    CONFIG_CHECK_SOCKET = 8,
    CONFIG_CHECK_STATE_DIR = 16,
    CONFIG_CHECK_DATASETS = 32,
    CONFIG_CHECK_ALL = 63,
};

/* Whether this process could use the files and directories that the settings name: adds what it
 * could not. parts: which of them, CONFIG_CHECK_* in one. Nothing is changed or created. */
void config_check_files(const struct config *config, unsigned parts,
                        struct config_problems *problems);

/* One line a value: key = value  # where from. */
void config_print(const struct config *config, FILE *out);

/* "time_limit", as `retry` of [slurm] has it. */
const char *config_cause_name(enum slurm_cause cause);

/* Whether the listen address can be reached from other machines. */
bool config_is_public(const struct config *config);

/* The key's name in the file. */
const char *config_key_name(enum config_key key);

/* The keys, flags and variables as text for --help. */
void config_print_help(FILE *out);

#endif
