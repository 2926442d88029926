// SPDX-License-Identifier: BSL-1.0
#pragma once

// The index: every public class of the library in rank order, beside the header that defines it.
// Includes the concepts, which cost little, and no model.

#include <mmhold/concepts.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mmhold {

// vocab/
struct virt_addr;   // address.hpp
struct pfn;         // address.hpp
struct page_count;  // page_span.hpp
template<class Flag>
requires std::is_enum_v<Flag>
class flag_set;                    // flag_set.hpp
class page_span;                   // page_span.hpp
enum class access : std::uint8_t;  // access.hpp
struct protection_key_rights;      // access.hpp
enum class errc : std::uint8_t;    // errc.hpp
template<class T>
class result;       // result.hpp
struct gup_result;  // gup_result.hpp

// machine/
struct host_machine;          // host_machine.hpp
struct checked_host_machine;  // host_machine.hpp
struct constexpr_machine;     // constexpr_machine.hpp
template<Machine M>
class task;  // task.hpp

}  // namespace mmhold
