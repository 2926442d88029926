#include <boost/atomic.hpp>
#include <thread>
inline void pause() { std::this_thread::yield(); }
thread_local int who;
