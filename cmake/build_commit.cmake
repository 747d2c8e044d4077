# Puts the commit into the binary: supd_embed_commit(<target>) defines supd::app::commit(). Looked up at each build, since a
# configured tree outlives many commits; a build without git says it by -DSUPD_COMMIT=... With -P: writes it (OUT, ROOT,
# COMMIT).
if(CMAKE_SCRIPT_MODE_FILE)
  if(NOT COMMIT)
    execute_process(COMMAND git -C ${ROOT} describe --always --dirty --abbrev=12 --exclude=*
                    OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    if(failed)
      set(COMMIT unknown)
    endif()
  endif()
  set(text "#include <string_view>\n\nnamespace supd::app {\nstd::string_view commit() noexcept {\n    return \"${COMMIT}\";\n}\n}  // namespace supd::app\n")
  set(before "")
  if(EXISTS ${OUT})
    file(READ ${OUT} before)
  endif()
  if(NOT before STREQUAL text)
    file(WRITE ${OUT} "${text}")
  endif()
  return()
endif()

set(SUPD_COMMIT "" CACHE STRING "commit that the build is of, where git cannot say")

function(supd_embed_commit target)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/build_commit.cpp)
  add_custom_target(supd_build_commit
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DROOT=${CMAKE_SOURCE_DIR} -DCOMMIT=${SUPD_COMMIT} -P ${CMAKE_SOURCE_DIR}/cmake/build_commit.cmake
    BYPRODUCTS ${out}
    COMMENT "Looking up the commit")
  add_dependencies(${target} supd_build_commit)
  target_sources(${target} PRIVATE ${out})
  set_source_files_properties(${out} PROPERTIES SKIP_PRECOMPILE_HEADERS ON
    OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/src/CMakeFiles/supd_pch.dir/cmake_pch.hxx.pch)
endfunction()
