#pragma once
#include <mmhold/gup/fine.hpp>
#include <mmhold/adapt/std_lock.hpp>
