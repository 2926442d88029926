#pragma once
#include <mmhold/gup/fine.hpp>
