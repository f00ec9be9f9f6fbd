# cmake -DINPUT=openapi.json -DOUTPUT=openapi.c -P embed.cmake
# Writes the document as bytes into a C file (api/openapi/openapi.h declares it).
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "/* Made from api/openapi/openapi.json by api/openapi/embed.cmake. */
#include \"api/openapi/openapi.h\"

const char openapi_json[] = {${bytes}0};
")
