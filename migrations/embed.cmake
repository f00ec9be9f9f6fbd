# cmake -DSOURCE_DIR=migrations -DOUTPUT=migrations.c -P embed.cmake
# Writes every NNNN_name.sql, in order, as bytes into one C file (daemon/store/migrate.h reads it).
file(GLOB files ${SOURCE_DIR}/[0-9][0-9][0-9][0-9]_*.sql)
list(SORT files)
set(texts "")
set(table "")
set(expected 0)
foreach(file ${files})
  get_filename_component(name ${file} NAME_WE)
  math(EXPR expected "${expected} + 1")
  string(REGEX REPLACE "^0*([0-9]+)_.*$" "\\1" version ${name})
  if(NOT version EQUAL expected)
    message(FATAL_ERROR "${file}: migration ${expected} is missing or there are two")
  endif()
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND texts "static const char sql_${version}[] = {${bytes}0};\n")
  string(APPEND table "    {${version}, \"${name}\", sql_${version}},\n")
endforeach()
file(WRITE ${OUTPUT} "/* Made from migrations/ by migrations/embed.cmake. */
#include \"daemon/store/migrate.h\"

${texts}
const struct migration migrations_embedded[] = {
${table}};
const int migrations_embedded_count = ${expected};
")
