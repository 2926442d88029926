#pragma once
#include <mmhold/config.hpp>
#include <mmhold/fwd.hpp>
