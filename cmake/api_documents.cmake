# Puts docs/openapi.yaml and docs/asyncapi.yaml into the binary, as JSON: supd_embed_api_documents(<target>).
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(supd_embed_api_documents target)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/api_documents_text.cpp)
  set(script ${CMAKE_SOURCE_DIR}/cmake/embed_api_documents.py)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/openapi.yaml ${CMAKE_SOURCE_DIR}/docs/asyncapi.yaml)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${Python3_EXECUTABLE} ${script} ${out} ${CMAKE_SOURCE_DIR}/docs
    DEPENDS ${files} ${script}
    COMMENT "Embedding the API documents")
  target_sources(${target} PRIVATE ${out})
  set_source_files_properties(${out} PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS -Wno-overlength-strings)
endfunction()
