/* The same name of an arithmetic means the same bits: digests of the parameters after three steps,
 * recorded for each arithmetic and optimizer.
 *
 * After a change that is meant to change bits: raise the version in core/nn/arithmetic.c and run
 * this test with CUTOUTD_RECORD=1 set; it prints the rows of `recorded`. */
#include "tests/core/golden_fixture.h"

#include "core/base/sha256.h"
#include "core/nn/arithmetic.h"
#include "core/train/optimizer.h"

enum { DEPTH = 8, LARGEST = 270, DIGEST_CHARS = 16, LARGE = 4 };

struct training {
    const char *name;
    enum optimizer_kind kind;
    double lr;
    bool nesterov;
    int batches[3];
};

/* Chunks of four images, the last partial, and in the last one chunks of eight. */
static const struct training trainings[] = {
    {"adam", OPTIMIZER_ADAM, 1e-3, false, {6, 13, 21}},
    {"rmsprop", OPTIMIZER_RMSPROP, 1e-3, false, {6, 13, 21}},
    {"sgd", OPTIMIZER_SGD, 1e-2, false, {6, 13, 21}},
    {"nesterov", OPTIMIZER_SGD, 1e-2, true, {6, 13, 21}},
    {"large", OPTIMIZER_SGD, 1e-2, false, {66, 5, LARGEST}},
};

static const struct {
    const char *arithmetic;
    const char *training;
    const char *digest;
} recorded[] = {
    {"ref-1", "adam", "e2bf35ec381a7d91"},
    {"ref-1", "rmsprop", "af9547dccadeb0cd"},
    {"ref-1", "sgd", "460c51a532d84775"},
    {"ref-1", "nesterov", "fe763d902876f9fc"},
    {"blas-1-zen-0.3.21", "adam", "40bd9ce8c0005000"},
    {"blas-1-zen-0.3.21", "rmsprop", "af3eacec90255273"},
    {"blas-1-zen-0.3.21", "sgd", "df327ba6096173c0"},
    {"blas-1-zen-0.3.21", "nesterov", "53708902eedb7850"},
    {"blas-1-zen-0.3.21", "large", "792d9a71530e1a69"},
    {"avx-2+direct", "adam", "85c0f2e59422ca83"},
    {"avx-2+direct", "rmsprop", "c68ca25039047d96"},
    {"avx-2+direct", "sgd", "16e6f6dc4ccdfc8f"},
    {"avx-2+direct", "nesterov", "38039bc01ab0b906"},
    {"avx-2+direct", "large", "0124222c369de11a"},
    {"avx-2", "adam", "75a0ab74564f256d"},
    {"avx-2", "rmsprop", "5774b52d8f563641"},
    {"avx-2", "sgd", "02a4135f4cf04f71"},
    {"avx-2", "nesterov", "8d0e4017bb2dfc91"},
    {"avx-2", "large", "cfe9581b643aecb9"},
    {"blas-1-haswell-0.3.21", "adam", "40bd9ce8c0005000"},
    {"blas-1-haswell-0.3.21", "rmsprop", "af3eacec90255273"},
    {"blas-1-haswell-0.3.21", "sgd", "df327ba6096173c0"},
    {"blas-1-haswell-0.3.21", "nesterov", "53708902eedb7850"},
    {"blas-1-haswell-0.3.21", "large", "792d9a71530e1a69"},
    {"blas-1-sandybridge-0.3.21", "adam", "aba2975f97a8709d"},
    {"blas-1-sandybridge-0.3.21", "rmsprop", "679110dec8d32c60"},
    {"blas-1-sandybridge-0.3.21", "sgd", "dc5c758c001895f1"},
    {"blas-1-sandybridge-0.3.21", "nesterov", "84b94e17bcc34d9c"},
    {"blas-1-sandybridge-0.3.21", "large", "4e214966533f1549"},
    {"blas-1-prescott-0.3.21", "adam", "493b8bec6c4b1bee"},
    {"blas-1-prescott-0.3.21", "rmsprop", "46b595798084b70a"},
    {"blas-1-prescott-0.3.21", "sgd", "a4d2ca06c74ebbd2"},
    {"blas-1-prescott-0.3.21", "nesterov", "a66ab64a09b490b5"},
    {"blas-1-prescott-0.3.21", "large", "2f110c99407cf565"},
    {"ref-1+bf16", "adam", "532d86f6f1fa2c5d"},
    {"avx-2+direct+bf16", "adam", "b510522cb596ada9"},
    {"avx-2+direct+bf16", "large", "cc96ba60c5ec1349"},
    {"avx-2+bf16", "adam", "05155a61e81a4696"},
    {"avx-2+bf16", "large", "491fed0d01729912"},
    {"blas-1-zen-0.3.21+bf16", "adam", "2e5f30f66f32130e"},
    {"blas-1-zen-0.3.21+bf16", "large", "836991c5769bf54e"},
    {"blas-1-haswell-0.3.21+bf16", "adam", "2e5f30f66f32130e"},
    {"blas-1-haswell-0.3.21+bf16", "large", "836991c5769bf54e"},
    {"blas-1-sandybridge-0.3.21+bf16", "adam", "ce4fe3d5f71defb0"},
    {"blas-1-sandybridge-0.3.21+bf16", "large", "5bef09e470c6bcf5"},
    {"blas-1-prescott-0.3.21+bf16", "adam", "b46e55bc6bdabc9b"},
    {"blas-1-prescott-0.3.21+bf16", "large", "6f701a691253435b"},
};

static void digest_of(const struct training *t, const struct kernels *kernels, bool winograd,
                      bool bf16, char ret_digest[SHA256_HEX_SIZE]) {
    struct network_fixture *f = fixture_make_kept(DEPTH, kernels, winograd, bf16, 2, LARGEST);
    const struct run_config config = {
        .optimizer = t->kind, .momentum = 0.9, .nesterov = t->nesterov, .l2 = 1e-4};
    struct optimizer *optimizer = NULL;
    struct sha256 sha;
    assert_int_equal(optimizer_create(&config, &f->net, &optimizer, NULL), STATUS_OK);
    fill_golden(f, LARGEST);
    for (int step = 0; step < 3; step++) {
        (void)fixture_train(f, t->batches[step]);
        (void)optimizer_step(optimizer, f->team, f->params, f->gradient, t->lr);
    }
    sha256_begin(&sha);
    for (int i = 0; i < f->net.n_tensors; i++) {
        const struct tensor *tensor = &f->net.tensors[i];
        sha256_update(&sha, place_of(f, tensor), tensor->n * sizeof(float));
    }
    sha256_end(&sha, ret_digest);
    ret_digest[DIGEST_CHARS] = '\0';
    optimizer_free(optimizer);
    fixture_free(f);
}

/* NULL: none is recorded. */
static const char *recorded_digest(const char *arithmetic, const char *training) {
    for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
        if (!strcmp(recorded[i].arithmetic, arithmetic) &&
            !strcmp(recorded[i].training, training)) {
            return recorded[i].digest;
        }
    }
    return NULL;
}

static void check(const struct training *t, const struct kernels *kernels, bool winograd,
                  bool bf16) {
    char arithmetic[ARITHMETIC_TEXT_SIZE];
    char digest[SHA256_HEX_SIZE];
    engine_arithmetic(kernels, winograd, bf16, arithmetic);
    const char *expected = recorded_digest(arithmetic, t->name);
    bool record = getenv("CUTOUTD_RECORD") != NULL;
    if (!expected && !record) {
        if (!strcmp(kernels->name, "blas")) {
            print_message("%s: this processor's digests are not recorded\n", arithmetic);
            return;
        }
        fail_msg("%s: no digest of %s is recorded", arithmetic, t->name);
    }
    digest_of(t, kernels, winograd, bf16, digest);
    if (record) {
        printf("    {\"%s\", \"%s\", \"%s\"},\n", arithmetic, t->name, digest);
    } else if (strcmp(digest, expected) != 0) {
        fail_msg("%s, %s: the bits have changed (%s, recorded %s): raise the arithmetic version",
                 arithmetic, t->name, digest, expected);
    }
}

static void the_same_arithmetic_has_the_same_bits(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        if (SLOW_BUILD && *k == &kernels_ref) {
            continue;
        }
        for (int winograd = 0; winograd <= ((*k)->has_winograd ? 1 : 0); winograd++) {
            for (size_t i = 0; i < sizeof(trainings) / sizeof(trainings[0]); i++) {
                bool large = trainings[i].batches[2] == LARGEST;
                if (!large || (!SLOW_BUILD && *k != &kernels_ref)) { /* ref: a minute */
                    check(&trainings[i], *k, winograd, false);
                }
            }
            check(&trainings[0], *k, winograd, true); /* what is kept is no optimizer's business */
            if (!SLOW_BUILD && *k != &kernels_ref) {
                check(&trainings[LARGE], *k, winograd, true);
            }
        }
    }
}

static void names_say_what_the_bits_depend_on(void **state) {
    (void)state;
    char text[ARITHMETIC_TEXT_SIZE];
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        engine_arithmetic(*k, true, false, text);
        assert_null(strchr(text, '+'));
        assert_int_equal(strncmp(text, "avx-", 4) == 0, strncmp((*k)->name, "avx", 3) == 0);
        assert_int_equal(strncmp(text, "blas-", 5) == 0, *k == &kernels_blas);
        engine_arithmetic(*k, false, false, text);
        assert_int_equal(strstr(text, "+direct") != NULL, (*k)->has_winograd);
        assert_null(strstr(text, "bf16"));
        engine_arithmetic(*k, true, true, text);
        assert_string_equal(strchr(text, '+'), "+bf16");
        engine_arithmetic(*k, false, true, text);
        assert_string_equal(strchr(text, '+'), (*k)->has_winograd ? "+direct+bf16" : "+bf16");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_what_the_bits_depend_on),
        cmocka_unit_test(the_same_arithmetic_has_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
