#include <range/v3/view.hpp>
