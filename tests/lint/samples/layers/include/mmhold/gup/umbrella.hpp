#pragma once
#include <mmhold/concepts.hpp>
#include <mmhold/explore/model.hpp>
