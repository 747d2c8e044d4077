# supd_module(NAME name DEPENDS modules... LINK third-party...): one static library per module.
# Public headers live in include/supd/<name>, everything in src/<name> is private to it.
function(supd_module name)
  cmake_parse_arguments(M "" "" "DEPENDS;LINK;PRIVATE_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  add_library(supd_${name} STATIC ${sources})
  target_include_directories(supd_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${name})
  list(TRANSFORM M_DEPENDS PREPEND supd_)
  target_link_libraries(supd_${name} PUBLIC ${M_DEPENDS} ${M_LINK} PRIVATE ${M_PRIVATE_LINK})
  if(TARGET supd_pch)
    target_precompile_headers(supd_${name} REUSE_FROM supd_pch)
  endif()
endfunction()
