#include <mutex>
#include <range/v3/view.hpp>
thread_local std::mutex mine;
