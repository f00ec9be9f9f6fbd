/* Checkpoint files: there and back, read by another program, damaged in every way, disk full. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/train/safetensors.h"

static char directory[64];
static char path[128];
static char temporary[136];

static int directory_make(void **state) {
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/safetensors_test.XXXXXX");
    if (!mkdtemp(directory)) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/file.safetensors", directory);
    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    return 0;
}

static int directory_remove(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(directory); /* fails when a temporary file was left behind */
}

static const float weights[6] = {1.5F, -2.25F, 3e-40F, 0.0F, 1e30F, -0.1F};
static const double moments[2] = {0.1, -1e300};
static const int64_t counts[3] = {INT64_MIN, -1, INT64_MAX};
static const float one = 7.0F;

static const struct safetensors_tensor sample_tensors[] = {
    {"conv2d_1/kernel", SAFETENSORS_F32, 2, {2, 3}, weights},
    {"a \"quoted\\name", SAFETENSORS_F64, 1, {2}, moments},
    {"counts", SAFETENSORS_I64, 3, {3, 1, 1}, counts},
    {"one", SAFETENSORS_F32, 0, {0}, &one},
    {"none", SAFETENSORS_F32, 1, {0}, &one},
};
static const struct safetensors_metadata sample_metadata[] = {
    {"epoch", "12"},
    {"config", "{\"m\":8,\"name\":\"a\\\\b\"}"},
    {"note", "two\nlines, \xC3\xA9"},
    {"empty", ""},
};
enum { N_TENSORS = 5, N_METADATA = 4 };

/* The sample at `path`; returns its bytes (free) and digest. */
static uint8_t *sample_write(size_t *ret_size, char digest[SHA256_HEX_SIZE]) {
    struct error error = {0};
    int64_t n_bytes = 0;
    if (safetensors_write(path, sample_tensors, N_TENSORS, sample_metadata, N_METADATA, digest,
                          &n_bytes, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t *bytes = malloc((size_t)n_bytes + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)n_bytes + 1, file), n_bytes);
    assert_int_equal(fclose(file), 0);
    *ret_size = (size_t)n_bytes;
    return bytes;
}

static void file_write(const void *bytes, size_t n_bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n_bytes, file), n_bytes);
    assert_int_equal(fclose(file), 0);
}

/* Changes one byte of the file at `path` in place. */
static void byte_write(size_t offset, uint8_t value) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
    assert_int_equal(fputc(value, file), value);
    assert_int_equal(fclose(file), 0);
}

static enum status try_read(const char *digest, struct error *error) {
    struct safetensors *file = NULL;
    enum status status = safetensors_read(path, digest, &file, error);
    assert_true((status == STATUS_OK) == (file != NULL));
    safetensors_free(file);
    return status;
}

static void assert_corrupt(const char *digest, const char *what) {
    struct error error = {0};
    enum status status = try_read(digest, &error);
    if (status != STATUS_CORRUPT || !strstr(error.message, path)) {
        fail_msg("%s: %s '%s'", what, status_name(status), error.message);
    }
}

static size_t header_length(const uint8_t *bytes) {
    return (size_t)bytes[0] | (size_t)bytes[1] << 8; /* the sample's is below 64 KiB */
}

static void what_was_written_is_read(void **state) {
    (void)state;
    char digest[SHA256_HEX_SIZE], of_file[SHA256_HEX_SIZE];
    size_t size = 0;
    free(sample_write(&size, digest));
    assert_int_equal(sha256_file(path, of_file, NULL), STATUS_OK);
    assert_string_equal(digest, of_file);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, size);

    struct safetensors *file = NULL;
    assert_int_equal(safetensors_read(path, digest, &file, NULL), STATUS_OK);
    assert_int_equal(safetensors_count(file), N_TENSORS);
    for (size_t i = 0; i < N_TENSORS; i++) {
        const struct safetensors_tensor *expected = &sample_tensors[i];
        const struct safetensors_tensor *found = safetensors_find(file, expected->name);
        assert_ptr_equal(found, safetensors_at(file, i));
        assert_string_equal(found->name, expected->name);
        assert_int_equal(found->dtype, expected->dtype);
        assert_int_equal(found->n_dims, expected->n_dims);
        assert_memory_equal(found->shape, expected->shape,
                            (size_t)expected->n_dims * sizeof(int64_t));
        size_t number = expected->dtype == SAFETENSORS_F32 ? 4 : 8;
        assert_memory_equal(found->data, expected->data,
                            (size_t)safetensors_numbers(expected) * number);
    }
    for (size_t i = 0; i < N_METADATA; i++) {
        assert_string_equal(safetensors_metadata_value(file, sample_metadata[i].key),
                            sample_metadata[i].value);
    }
    assert_null(safetensors_find(file, "conv2d_1"));
    assert_null(safetensors_metadata_value(file, "epochs"));
    safetensors_free(file);
    safetensors_free(NULL);
}

static void another_program_reads_it(void **state) {
    (void)state;
    char digest[SHA256_HEX_SIZE];
    size_t size = 0;
    free(sample_write(&size, digest));
    static const char script[] =
        "import json, struct, sys\n"
        "b = open(sys.argv[1], 'rb').read()\n"
        "n, = struct.unpack('<Q', b[:8])\n"
        "assert (8 + n) % 8 == 0\n"
        "h = json.loads(b[8:8 + n].decode('utf-8'))\n"
        "m = h.pop('__metadata__')\n"
        "assert m == {'epoch': '12', 'config': '{\"m\":8,\"name\":\"a\\\\\\\\b\"}',\n"
        "             'note': 'two\\nlines, \\u00e9', 'empty': ''}, m\n"
        "code = {'F32': 'f', 'F64': 'd', 'I64': 'q'}\n"
        "def numbers(name):\n"
        "    a, e = h[name]['data_offsets']\n"
        "    d = b[8 + n + a:8 + n + e]\n"
        "    c = code[h[name]['dtype']]\n"
        "    return list(struct.unpack('<%d%s' % (len(d) // struct.calcsize(c), c), d))\n"
        "assert list(h) == ['conv2d_1/kernel', 'a \"quoted\\\\name', 'counts', 'one', 'none']\n"
        "assert h['conv2d_1/kernel']['shape'] == [2, 3]\n"
        "assert numbers('conv2d_1/kernel')[:2] == [1.5, -2.25]\n"
        "assert numbers('a \"quoted\\\\name') == [0.1, -1e300]\n"
        "assert numbers('counts') == [-2**63, -1, 2**63 - 1]\n"
        "assert h['one']['shape'] == [] and numbers('one') == [7.0]\n"
        "assert numbers('none') == []\n"
        "assert max(t['data_offsets'][1] for t in h.values()) == len(b) - 8 - n\n";
    if (access("/usr/bin/python3", X_OK) != 0) {
        print_message("skipped: no /usr/bin/python3\n");
        skip();
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)unsetenv("LD_PRELOAD");
        (void)execl("/usr/bin/python3", "python3", "-I", "-c", script, path, (char *)NULL);
        _exit(127);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

static void a_cut_or_longer_file_is_refused(void **state) {
    (void)state;
    char digest[SHA256_HEX_SIZE];
    size_t size = 0;
    free(sample_write(&size, digest));
    assert_int_equal(truncate(path, (off_t)size + 1), 0);
    assert_corrupt(NULL, "longer");
    for (size_t n = size; n-- > 0;) { /* header and data: the sample is small */
        assert_int_equal(truncate(path, (off_t)n), 0);
        assert_corrupt(NULL, "cut");
    }
}

static void every_flipped_bit_is_found_by_the_digest(void **state) {
    (void)state;
    char digest[SHA256_HEX_SIZE];
    size_t size = 0;
    uint8_t *bytes = sample_write(&size, digest);
    for (size_t i = 0; i < size; i++) {
        uint8_t bit = (uint8_t)(1U << (i % 8));
        byte_write(i, bytes[i] ^ bit);
        assert_corrupt(digest, "flipped");
        byte_write(i, bytes[i]);
    }
    assert_int_equal(try_read(digest, NULL), STATUS_OK);
    digest[0] = digest[0] == '0' ? '1' : '0';
    assert_corrupt(digest, "another digest");
    free(bytes);
}

/* Without a digest damage may go unseen in names and numbers, but never leads outside the file:
 * whatever is accepted must be readable (the sanitizers watch). */
static void damaged_headers_never_lead_outside_the_file(void **state) {
    (void)state;
    char digest[SHA256_HEX_SIZE];
    size_t size = 0;
    uint8_t *bytes = sample_write(&size, digest);
    size_t length = 8 + header_length(bytes);
    int n_refused = 0;
    static const uint8_t replacements[] = {0x00, '"', '\\', '{', '}', '[', ']', ',', '9', 0xFF};
    for (size_t i = 0; i < length; i++) {
        for (size_t k = 0; k < sizeof(replacements); k++) {
            byte_write(i, replacements[k]);
            struct safetensors *file = NULL;
            enum status status = safetensors_read(path, NULL, &file, NULL);
            assert_true(status == STATUS_OK || status == STATUS_CORRUPT);
            n_refused += status == STATUS_CORRUPT;
            for (size_t t = 0; file && t < safetensors_count(file); t++) {
                const struct safetensors_tensor *tensor = safetensors_at(file, t);
                size_t n = (size_t)safetensors_numbers(tensor);
                n *= tensor->dtype == SAFETENSORS_F32 ? 4 : 8;
                uint8_t copy[64];
                assert_true(n <= sizeof(copy));
                memcpy(copy, tensor->data, n);
            }
            safetensors_free(file);
        }
        byte_write(i, bytes[i]);
    }
    assert_true(n_refused > (int)length * 3);
    free(bytes);
}

/* A file of this header and n_data zero bytes. */
static void header_write(const char *header, size_t n_data) {
    static uint8_t bytes[4096];
    size_t length = strlen(header);
    assert_true(8 + length + n_data <= sizeof(bytes));
    memset(bytes, 0, sizeof(bytes));
    bytes[0] = (uint8_t)length;
    bytes[1] = (uint8_t)(length >> 8);
    memcpy(bytes + 8, header, length);
    file_write(bytes, 8 + length + n_data);
}

#define TENSOR(name, dtype, shape, offsets)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void headers_that_lie_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
    } good[] = {
        {"{}", 0},
        {"{" TENSOR("a", "F32", "[2]", "[0,8]") "}  ", 8},
        {" { \"__metadata__\" : { } , " TENSOR("a", "I64", " [ 1 ] ", " [ 0 , 8 ] ") " } ", 8},
        {"{" TENSOR("\\u0061", "F32", "[]", "[0,4]") "}", 4},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct error error = {0};
        header_write(good[i].header, good[i].n_data);
        if (try_read(NULL, &error) != STATUS_OK) {
            fail_msg("%s: %s", good[i].header, error.message);
        }
    }
    static const struct {
        const char *header;
        size_t n_data;
    } bad[] = {
        {"", 0},
        {"[]", 0},
        {"{", 0},
        {"{}{}", 0},
        {"{" TENSOR("a", "F32", "[2]", "[0,8]") ",}", 8},
        {"{" TENSOR("a", "F32", "[2]", "[0,8]") "}", 9},  /* a byte nobody owns */
        {"{" TENSOR("a", "F32", "[2]", "[0,8]") "}", 7},  /* past the end */
        {"{" TENSOR("a", "F32", "[3]", "[0,8]") "}", 8},  /* shape and extent differ */
        {"{" TENSOR("a", "F64", "[2]", "[0,8]") "}", 8},  /* type and extent differ */
        {"{" TENSOR("a", "F32", "[1]", "[4,8]") "}", 8},  /* a hole at the beginning */
        {"{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 4},  /* ends before it begins */
        {"{" TENSOR("a", "F16", "[2]", "[0,4]") "}", 4},  /* a type that is not read */
        {"{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4}, /* negative */
        {"{" TENSOR("a", "F32", "[1.0]", "[0,4]") "}", 4},
        {"{" TENSOR("a", "F32", "[1,1,1,1,1]", "[0,4]") "}", 4}, /* five dimensions */
        {"{" TENSOR("a", "F32", "[1]", "[0]") "}", 4},
        {"{" TENSOR("a", "F32", "[1]", "[0,4,8]") "}", 4},
        {"{" TENSOR("a", "F32", "[4611686018427387904,4]", "[0,0]") "}", 0}, /* overflows */
        {"{" TENSOR("a", "F32", "[99999999999999999999]", "[0,4]") "}", 4},
        {"{" TENSOR("a", "F32", "[1]", "[18446744073709551612,0]") "}", 4},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("a", "F32", "[1]", "[4,8]") "}", 8},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[0,4]") "}", 4},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[8,12]") "}", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{}}", 0},
        {"{\"a\":1}", 0},
        {"{\"__metadata__\":{\"a\":1}}", 0}, /* values are strings */
        {"{\"__metadata__\":{\"a\":\"b\"", 0},
        {"{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0}, /* a string cannot hold NUL */
        {"{\"__metadata__\":{\"a\":\"\\ud800\"}}", 0}, /* half a character */
        {"{\"__metadata__\":{\"a\":\"\\x\"}}", 0},
        {"{\"__metadata__\":{\"a\":\"\\u12", 0},
        {"{\"__metadata__\":{\"a\":\"\\", 0},
        {"{\"__metadata__\":{\"a\":\"tab\there\"}}", 0},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        header_write(bad[i].header, bad[i].n_data);
        assert_corrupt(NULL, bad[i].header);
    }
}

static void absurd_header_lengths_are_refused(void **state) {
    (void)state;
    static const uint64_t lengths[] = {1, 9, 1U << 24, (1U << 24) + 1, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t bytes[16] = {[8] = '{', [9] = '}'};
        for (int b = 0; b < 8; b++) {
            bytes[b] = (uint8_t)(lengths[i] >> (8 * b));
        }
        file_write(bytes, sizeof(bytes));
        assert_corrupt(NULL, "header length");
    }
}

static void missing_things_are_named(void **state) {
    (void)state;
    struct error error = {0};
    assert_int_equal(try_read(NULL, &error), STATUS_NOT_FOUND);
    assert_non_null(strstr(error.message, path));
    char digest[SHA256_HEX_SIZE];
    int64_t n_bytes = 0;
    char nowhere[160];
    (void)snprintf(nowhere, sizeof(nowhere), "%s/none/file", directory);
    assert_int_equal(safetensors_write(nowhere, sample_tensors, 1, NULL, 0, digest, &n_bytes, NULL),
                     STATUS_NOT_FOUND);
}

/* Rewrites the sample with a tensor too large for what the file system or limit allows. Runs in a
 * child; returns the status, or 100 and more when a promise of the header is broken. */
static int overfill(size_t n_bytes) {
    char digest[SHA256_HEX_SIZE], before[SHA256_HEX_SIZE], after[SHA256_HEX_SIZE];
    int64_t written = -1;
    if (safetensors_write(path, sample_tensors, N_TENSORS, sample_metadata, N_METADATA, before,
                          &written, NULL) != STATUS_OK) {
        return 100;
    }
    float *large = calloc(n_bytes, 1);
    const struct safetensors_tensor tensor = {
        "large", SAFETENSORS_F32, 1, {(int64_t)(n_bytes / sizeof(float))}, large};
    written = -1;
    enum status status = safetensors_write(path, &tensor, 1, NULL, 0, digest, &written, NULL);
    free(large);
    if (sha256_file(path, after, NULL) != STATUS_OK || strcmp(before, after) != 0) {
        return 101; /* the old file was touched */
    }
    if (access(temporary, F_OK) == 0) {
        return 102; /* the temporary one was left */
    }
    return written == -1 ? (int)status : 103;
}

static int child_result(pid_t child) {
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void a_write_that_fails_leaves_the_old_file(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {65536, 65536};
        (void)signal(SIGXFSZ, SIG_IGN);
        _exit(setrlimit(RLIMIT_FSIZE, &limit) == 0 ? overfill(1 << 20) : 99);
    }
    assert_int_equal(child_result(child), STATUS_NO_SPACE);
}

/* On a file system of 64 KiB, in a mount namespace of its own; only root may make one. */
static void a_full_disk_is_said_to_be_full(void **state) {
    (void)state;
    enum { NOT_ALLOWED = 98 };
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 ||
            mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", directory, "tmpfs", 0, "size=64k") != 0) {
            _exit(NOT_ALLOWED);
        }
        _exit(overfill(1 << 20));
    }
    int result = child_result(child);
    if (result == NOT_ALLOWED) {
        print_message("skipped: a small file system cannot be mounted here\n");
        skip();
    }
    assert_int_equal(result, STATUS_NO_SPACE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, directory_make, directory_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read),
        TEST(another_program_reads_it),
        TEST(a_cut_or_longer_file_is_refused),
        TEST(every_flipped_bit_is_found_by_the_digest),
        TEST(damaged_headers_never_lead_outside_the_file),
        TEST(headers_that_lie_are_refused),
        TEST(absurd_header_lengths_are_refused),
        TEST(missing_things_are_named),
        TEST(a_write_that_fails_leaves_the_old_file),
        TEST(a_full_disk_is_said_to_be_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
