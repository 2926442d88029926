#pragma once
// #include <mmhold/gup/fine.hpp> in a comment does not count
#include <mmhold/machine/a.hpp>
#include "../gup/fine.hpp"
