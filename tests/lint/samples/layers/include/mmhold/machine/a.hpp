#pragma once
#include <mmhold/machine/b.hpp>
