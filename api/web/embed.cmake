# cmake -DSOURCE_DIR=api/web -DDYGRAPH=dygraph.min.js -DBROTLI=brotli -DOUTPUT=web_assets.c -P embed.cmake
# Writes the page's files, plain and packed (by brotli as well where that program is), as bytes into a C file (api/web/web.h declares it).
file(GLOB files ${SOURCE_DIR}/*.js ${SOURCE_DIR}/*.css ${SOURCE_DIR}/*.svg)
list(SORT files)
set(all "")
foreach(file ${files} ${DYGRAPH} ${SOURCE_DIR}/index.html)
  file(SHA256 ${file} digest)
  string(APPEND all ${digest})
endforeach()
string(SHA256 digest "${all}")
string(SUBSTRING ${digest} 0 12 digest)

set(type_js "text/javascript; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_svg "image/svg+xml")
set(type_html "text/html; charset=utf-8")
set(arrays "")
set(table "")

function(append_asset name file)
  string(REGEX MATCH "[a-z]+$" extension ${name})
  string(MAKE_C_IDENTIFIER ${name} id)
  # Comments that are lines, and indentation, are for who reads the sources: a tenth of what is sent.
  if(NOT file STREQUAL DYGRAPH AND extension MATCHES "^(js|css)$")
    file(READ ${file} text)
    string(REGEX REPLACE "\n[ \t]*//[^\n]*" "" text "\n${text}")
    string(REGEX REPLACE "\n[ \t\n]+" "\n" text "${text}")
    file(WRITE ${OUTPUT}.lean "${text}")
    set(file ${OUTPUT}.lean)
  endif()
  # -n: no name and no time in the packed form, so that the same files make the same bytes.
  execute_process(COMMAND gzip -9nc ${file} OUTPUT_FILE ${OUTPUT}.gz RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "gzip cannot pack ${file}")
  endif()
  set(source_gzip ${OUTPUT}.gz)
  set(kinds "_" _gzip)
  set(brotli "NULL, 0")
  if(BROTLI)
    execute_process(COMMAND ${BROTLI} --best --stdout ${file} OUTPUT_FILE ${OUTPUT}.br RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "brotli cannot pack ${file}")
    endif()
    set(source_brotli ${OUTPUT}.br)
    list(APPEND kinds _brotli)
    set(brotli "${id}_brotli, sizeof(${id}_brotli)")
  endif()
  set(source_ ${file})
  foreach(kind ${kinds})
    file(READ ${source${kind}} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const unsigned char ${id}${kind}[] = {${bytes}};\n")
  endforeach()
  string(APPEND table "    {\"${name}\", \"${type_${extension}}\", ${id}_, sizeof(${id}_), ${id}_gzip, sizeof(${id}_gzip), ${brotli}},\n")
  set(arrays "${arrays}" PARENT_SCOPE)
  set(table "${table}" PARENT_SCOPE)
endfunction()

foreach(file ${files})
  get_filename_component(name ${file} NAME)
  append_asset(${name} ${file})
endforeach()
append_asset(dygraph.js ${DYGRAPH})
file(READ ${SOURCE_DIR}/index.html document)
string(REPLACE "@DIGEST@" "${digest}" document "${document}")
file(WRITE ${OUTPUT}.html "${document}")
append_asset(index.html ${OUTPUT}.html)

file(WRITE ${OUTPUT} "/* Made from api/web by api/web/embed.cmake. */
#include \"api/web/web.h\"

${arrays}
const char web_digest[] = \"${digest}\";

const struct web_asset web_assets[] = {
${table}    {0},
};
")
