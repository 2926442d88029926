#pragma once
#include <mmhold/machine/a.hpp>
#include <mmhold/vocab/good.hpp>
