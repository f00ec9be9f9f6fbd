# cmake -DSOURCE_DIR=api/openapi -DOUTPUT=openapi.c -P embed.cmake
# Joins the resources' files with the document's frame, and writes the result as bytes into a C file
# (api/openapi/openapi.h declares it). Each file has two members, "paths" and "schemas", indented by two.
file(GLOB resources ${SOURCE_DIR}/*.json)
list(FILTER resources EXCLUDE REGEX "/document\\.json$")
list(SORT resources)

set(between_members "\n  },\n  \"schemas\": {\n")
set(paths "")
set(schemas "")

# Appends the members of the object that follows `head` and ends before `tail` to the list `target`.
function(append_members file text head tail target)
  string(FIND "${text}" "${head}" at)
  string(LENGTH "${head}" n_head)
  math(EXPR begin "${at} + ${n_head}")
  string(SUBSTRING "${text}" ${begin} -1 rest)
  string(FIND "${rest}" "${tail}" n)
  if(at LESS 0 OR n LESS 0)
    message(FATAL_ERROR "${file}: not an object of paths and schemas, indented by two")
  endif()
  string(SUBSTRING "${rest}" 0 ${n} members)
  if(NOT "${${target}}" STREQUAL "")
    set(members "${${target}},\n${members}")
  endif()
  set(${target} "${members}" PARENT_SCOPE)
endfunction()

foreach(resource ${resources})
  file(READ ${resource} text)
  string(FIND "${text}" "  \"paths\": {}" no_paths)
  if(no_paths LESS 0)
    string(FIND "${text}" "\"schemas\": {}" no_schemas)
    if(no_schemas GREATER 0)
      append_members(${resource} "${text}" "  \"paths\": {\n" "\n  },\n  \"schemas\": {}" paths)
      continue()
    endif()
    append_members(${resource} "${text}" "  \"paths\": {\n" "${between_members}" paths)
    append_members(${resource} "${text}" "${between_members}" "\n  }\n}\n" schemas)
  else()
    append_members(${resource} "${text}" "  \"schemas\": {\n" "\n  }\n}\n" schemas)
  endif()
endforeach()

file(READ ${SOURCE_DIR}/document.json document)
string(REPLACE "\"paths\": {}" "\"paths\": {\n${paths}\n}" document "${document}")
string(REPLACE "\"schemas\": {}" "\"schemas\": {\n${schemas}\n}" document "${document}")
file(WRITE ${OUTPUT}.json "${document}")
file(READ ${OUTPUT}.json hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "/* Made from api/openapi by api/openapi/embed.cmake. */
#include \"api/openapi/openapi.h\"

const char openapi_json[] = {${bytes}0};
")
