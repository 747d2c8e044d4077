# supd_module(NAME name DEPENDS modules... LINK third-party...): one static library per module.
# Public headers live in include/supd/<name>, everything in src/<name> is private to it.
function(supd_module name)
  cmake_parse_arguments(M "" "" "DEPENDS;LINK;PRIVATE_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  add_library(supd_${name} STATIC ${sources})
  target_include_directories(supd_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${name})
  list(TRANSFORM M_DEPENDS PREPEND supd_)
  target_link_libraries(supd_${name} PUBLIC ${M_DEPENDS} ${M_LINK} PRIVATE ${M_PRIVATE_LINK})
  supd_use_pch(supd_${name})
endfunction()

# The precompiled header by a path relative to the build folder, where Ninja runs the compiler: CMake's own REUSE_FROM
# names it by its full path, and no two clones would share a ccache entry.
function(supd_use_pch target)
  set(pch src/CMakeFiles/supd_pch.dir/cmake_pch.hxx.pch)
  get_target_property(sources ${target} SOURCES)
  set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/${pch})
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -include-pch -Xclang ${pch}>")
endfunction()
