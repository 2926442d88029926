# The two sides that linux_parity and mmhold_kernel_oracle compare, compiled once.
include_guard(GLOBAL)
file(GLOB parity_sides CONFIGURE_DEPENDS
  "${CMAKE_CURRENT_LIST_DIR}/step.cpp" "${CMAKE_CURRENT_LIST_DIR}/linux_*.cpp" "${CMAKE_CURRENT_LIST_DIR}/model_*.cpp")
add_library(mmhold_parity_sides OBJECT EXCLUDE_FROM_ALL ${parity_sides})
target_link_libraries(mmhold_parity_sides PUBLIC mmhold::mmhold Threads::Threads)
