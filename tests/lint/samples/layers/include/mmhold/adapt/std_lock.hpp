#include <mmhold/gup/fine.hpp>
