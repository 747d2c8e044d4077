# The Debian package, from a finished build: cpack -G DEB --config build/release/CPackConfig.cmake -B <folder>
# What is installed where is also what `cmake --install` does with --prefix /usr and DESTDIR.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # the package needs the daemon, not the tests

install(TARGETS supd RUNTIME DESTINATION bin)
install(FILES ${CMAKE_SOURCE_DIR}/config/systemd/supd.service DESTINATION lib/systemd/system)
install(FILES ${CMAKE_SOURCE_DIR}/config/supd.example.toml DESTINATION /etc/supd RENAME supd.toml)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md DESTINATION share/doc/supd)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION share/doc/supd RENAME copyright)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION share/doc/supd FILES_MATCHING PATTERN "*.md" PATTERN "*.yaml")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME supd)
set(CPACK_PACKAGE_CONTACT "supd maintainers <maintainers@supd.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "messenger daemon")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "supd is a messenger server: a REST API, a WebSocket hub and background\nworkers in one process, on PostgreSQL.")
set(CPACK_SET_DESTDIR ON)  # /etc is outside of the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS passwd)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS postgresql)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "nginx, redis-server")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/cmake/debian/conffiles ${CMAKE_SOURCE_DIR}/cmake/debian/postinst
  ${CMAKE_SOURCE_DIR}/cmake/debian/prerm ${CMAKE_SOURCE_DIR}/cmake/debian/postrm)
include(CPack)
