# SPDX-License-Identifier: BSL-1.0
# cmake -D WAY=... -P consume.cmake: copies project/ out of the tree, configures, builds and runs it.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " line)
    message(FATAL_ERROR "consumer (${WAY}): `${line}` ended with ${status}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(COPY "${CMAKE_CURRENT_LIST_DIR}/project" DESTINATION "${WORK}")

set(options -D "WAY=${WAY}" -D "RANGES=${RANGES}")
if(WAY STREQUAL "find_package")
  run("${CMAKE_COMMAND}" --install "${BUILT}" --prefix "${WORK}/prefix")
  list(APPEND options -D "CMAKE_PREFIX_PATH=${WORK}/prefix")
else()
  list(APPEND options -D "MMHOLD_SOURCE=${SOURCE}")
endif()

run("${CMAKE_COMMAND}" -S "${WORK}/project" -B "${WORK}/build" -G "${GENERATOR}"
  -D "CMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}" -D "CMAKE_CXX_COMPILER=${COMPILER}" ${options})
run("${CMAKE_COMMAND}" --build "${WORK}/build")
run("${CMAKE_CTEST_COMMAND}" --test-dir "${WORK}/build" --output-on-failure --no-tests=error)
