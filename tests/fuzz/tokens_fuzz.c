/* Files of tokens. */
#include "daemon/config/tokens.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_file file = fuzz_file_make(data, size);
    struct tokens *tokens = NULL;
    struct error error = {.message = ""};
    struct token_grant grant;
    if (tokens_open(file.path, &tokens, &error) == STATUS_OK) {
        REQUIRE(!tokens_grant(tokens, "a token that nobody has", &grant));
        REQUIRE(grant.scope == SCOPE_NONE && !tokens_hold(tokens, &grant));
        size_t n = tokens_count(tokens);
        REQUIRE(tokens_reload(tokens, &error) == STATUS_OK && tokens_count(tokens) == n);
        tokens_close(tokens);
    } else {
        REQUIRE(error.message[0] != '\0');
        require_text(error.message, sizeof(error.message));
    }
    fuzz_file_close(&file);
    return 0;
}
