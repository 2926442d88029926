#include <thread>
#define MMHOLD_SWITCH
