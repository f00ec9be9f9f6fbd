# cmake -DSOURCE_DIR=. -DCOMMIT=57d8519 -DOUTPUT=version_commit.c -P version.cmake
# Writes the commit into a C file, which stays as it is while the commit does. COMMIT, where it is not empty, says which it
# is: for builds outside of a repository. No dates and no paths: the same sources give the same program.
set(commit "${COMMIT}")
if(NOT commit AND EXISTS "${SOURCE_DIR}/.git")
  execute_process(COMMAND git describe --always --abbrev=12 --exclude=* --dirty=+changed
                  WORKING_DIRECTORY "${SOURCE_DIR}" OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT commit MATCHES "^[0-9A-Za-z.+~-]+$")
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT "/* Made by daemon/main/version.cmake. */
#include \"daemon/main/version.h\"

const char version_commit[] = \"${commit}\";
")
