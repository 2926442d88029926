#pragma once
#include <mmhold/config.hpp>
