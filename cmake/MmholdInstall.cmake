# SPDX-License-Identifier: BSL-1.0
# cmake --install: headers, and a package that find_package(mmhold CONFIG) understands.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Nothing here depends on the processor, so the package lies in share/.
set(mmhold_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/mmhold")

install(TARGETS mmhold EXPORT mmhold-targets FILE_SET HEADERS)
install(EXPORT mmhold-targets NAMESPACE mmhold:: DESTINATION "${mmhold_package_dir}")

if(TARGET mmhold_ranges)
  install(TARGETS mmhold_ranges EXPORT mmhold-ranges-targets FILE_SET HEADERS)
  install(EXPORT mmhold-ranges-targets NAMESPACE mmhold:: DESTINATION "${mmhold_package_dir}")
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/mmhold-config.cmake.in"
  "${PROJECT_BINARY_DIR}/mmhold-config.cmake"
  INSTALL_DESTINATION "${mmhold_package_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/mmhold-config-version.cmake"
  COMPATIBILITY SameMinorVersion
  ARCH_INDEPENDENT)
install(
  FILES
    "${PROJECT_BINARY_DIR}/mmhold-config.cmake"
    "${PROJECT_BINARY_DIR}/mmhold-config-version.cmake"
  DESTINATION "${mmhold_package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/mmhold")
