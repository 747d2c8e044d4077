# Puts docs/openapi.yaml and docs/asyncapi.yaml into the binary as JSON (include/supd/http/api_documents.hpp).
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(supd_embed_docs target)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/api_documents.cpp)
  set(documents ${CMAKE_SOURCE_DIR}/docs/openapi.yaml ${CMAKE_SOURCE_DIR}/docs/asyncapi.yaml)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/cmake/embed_docs.py ${PROJECT_VERSION} ${out} ${documents}
    DEPENDS ${documents} ${CMAKE_SOURCE_DIR}/cmake/embed_docs.py
    COMMENT "Embedding the API documents")
  target_sources(${target} PRIVATE ${out})
  # One literal holds a document; the standard promises 64 KiB only, clang takes gigabytes.
  set_source_files_properties(${out} PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS -Wno-overlength-strings)
endfunction()
