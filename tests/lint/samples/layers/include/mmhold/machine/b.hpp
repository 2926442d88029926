#pragma once
#include <mmhold/vocab/good.hpp>
#include <mmhold/machine/missing.hpp>
