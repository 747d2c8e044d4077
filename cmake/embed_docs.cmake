# Puts docs/openapi.yaml and docs/asyncapi.yaml into the binary as JSON (include/supd/http/api_documents.hpp).
find_package(Python3 REQUIRED COMPONENTS Interpreter)
# An interpreter that came first in PATH may lack the distribution's python3-yaml.
set(SUPD_PYTHON "")
foreach(candidate ${Python3_EXECUTABLE} /usr/bin/python3)
  execute_process(COMMAND ${candidate} -c "import yaml" RESULT_VARIABLE missing OUTPUT_QUIET ERROR_QUIET)
  if(missing EQUAL 0 AND NOT SUPD_PYTHON)
    set(SUPD_PYTHON ${candidate})
  endif()
endforeach()
if(NOT SUPD_PYTHON)
  message(FATAL_ERROR "python3-yaml is missing: scripts/install-deps")
endif()

function(supd_embed_docs target)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/api_documents.cpp)
  set(documents ${CMAKE_SOURCE_DIR}/docs/openapi.yaml ${CMAKE_SOURCE_DIR}/docs/asyncapi.yaml)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${SUPD_PYTHON} ${CMAKE_SOURCE_DIR}/cmake/embed_docs.py ${PROJECT_VERSION} ${out} ${documents}
    DEPENDS ${documents} ${CMAKE_SOURCE_DIR}/cmake/embed_docs.py
    COMMENT "Embedding the API documents")
  target_sources(${target} PRIVATE ${out})
  # One literal holds a document; the standard promises 64 KiB only, clang takes gigabytes.
  set_source_files_properties(${out} PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS -Wno-overlength-strings)
endfunction()
