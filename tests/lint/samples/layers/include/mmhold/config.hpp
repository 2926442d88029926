#pragma once
#include <mmhold/vocab/good.hpp>
