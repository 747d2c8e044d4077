# Puts migrations/*.sql into the binary, so that one file is all that has to be installed.
# Included: supd_embed_migrations(<target>) adds the generated source. With -P: writes it (OUT, FOLDER).
if(CMAKE_SCRIPT_MODE_FILE)
  file(GLOB files ${FOLDER}/*.sql)
  list(SORT files)
  set(text "#include \"migration_files.hpp\"\n\nnamespace supd::db {\n\nstd::vector<MigrationFile> embedded_migration_files() {\n    return {\n")
  foreach(path ${files})
    get_filename_component(name ${path} NAME)
    file(READ ${path} sql)
    string(APPEND text "        {\"${name}\", R\"supd_sql(${sql})supd_sql\"},\n")
  endforeach()
  string(APPEND text "    };\n}\n\n}  // namespace supd::db\n")
  file(WRITE ${OUT} "${text}")
  return()
endif()

function(supd_embed_migrations target)
  set(folder ${CMAKE_SOURCE_DIR}/migrations)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded_migrations.cpp)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.sql)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DFOLDER=${folder} -P ${CMAKE_SOURCE_DIR}/cmake/migrations.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/migrations.cmake
    COMMENT "Embedding the migrations")
  target_sources(${target} PRIVATE ${out})
  set_source_files_properties(${out} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endfunction()
