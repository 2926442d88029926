// SPDX-License-Identifier: BSL-1.0
#pragma once

// protection_keys – which of the protection keys one address space has given out (pkeys(7)).
//
// A key is a number in a mapping and in its page table entries; what it permits stands in a
// register of each cpu (cpu::key_rights), and binds that cpu's own accesses only: callers that look
// from outside ignore it (gup-semantics §8.2, note 5). So to give out a key, or to take it back,
// changes nothing that is mapped.
//
// Lock      the mm lock of the space, held exclusively, guards it, as it guards the mappings.
// Free key  may still be in mappings; who gets it next gets their pages, too. Linux does not look
//           either.
// Only run  what may be executed and nothing else gets a key of its own, which nobody may read by
//           and which cannot be asked for: x86 has no such page table entry. It is given out at the
//           first such mapping, if there is one left; else loads work.
//
// A space without keys – a processor that has none – is used without this header: mprotect and mmap
// of address_space give key 0, or whatever they are told.

#include <mmhold/lock/held.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <optional>

namespace mmhold {

/// What a key is to forbid the cpu that asks for it (PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE).
enum class key_denial : std::uint8_t { nothing = 0, access = 1, write = 2 };

/// The keys of one space. Copy it where fork copies the space.
template<Machine M>
class protection_keys {
public:
    /// How many there are; 0 is every mapping's that has no other, and is given out already.
    static constexpr std::uint8_t count = 16;

    constexpr protection_keys() noexcept { M::name(this, "protection keys"); }
    constexpr protection_keys(protection_keys const& other) noexcept : protection_keys{} {
        *this = other;
    }
    constexpr protection_keys& operator=(protection_keys const& other) noexcept {
        given_.set(other.given_.get());
        execute_only_.set(other.execute_only_.get());
        return *this;
    }
    constexpr ~protection_keys() = default;

    /// May mappings be given `key`: given out, and not the one for what may only be executed?
    [[nodiscard]] constexpr bool is_allocated(std::uint8_t key) const noexcept {
        return key < count && key != execute_only_.get() && (given_.get() >> key & 1U) != 0;
    }
    /// The lowest key that is not given out. Error: no_memory – none is left (Linux: ENOSPC).
    [[nodiscard]] constexpr result<std::uint8_t> allocate() noexcept {
        for (std::uint8_t key = 0; key < count; ++key) {
            if ((given_.get() >> key & 1U) != 0) continue;
            given_.set(given_.get() | 1U << key);
            return key;
        }
        return errc::no_memory;
    }
    /// Takes `key` back. Error: invalid_argument – it is not given out.
    constexpr result<void> free(std::uint8_t key) noexcept {
        if (!is_allocated(key)) return errc::invalid_argument;
        given_.set(given_.get() & ~(1U << key));
        return {};
    }

    /// The key for what may only be executed, given out now if it must be; `rights` then forbid
    /// access by it. 0 if none is left.
    [[nodiscard]] constexpr std::uint8_t execute_only(protection_key_rights& rights) noexcept {
        if (execute_only_.get() == none) {
            auto const fresh = allocate();
            if (!fresh) return 0;
            execute_only_.set(*fresh);
        }
        auto const denial = static_cast<std::uint32_t>(key_denial::access);
        rights = rights.with(execute_only_.get(), denial);
        return execute_only_.get();
    }
    /// Is it that key?
    [[nodiscard]] constexpr bool is_execute_only(std::uint8_t key) const noexcept {
        return key == execute_only_.get();
    }

private:
    static constexpr std::uint8_t none = 255;

    typename M::template plain<std::uint32_t> given_{1U};  // bit n: key n is given out
    typename M::template plain<std::uint8_t> execute_only_{none};
};

/// pkey_alloc(2): a key that nobody has, whose rights on this cpu are everything but `denied`.
/// Takes the mm lock. Errors: no_memory – all are given out (Linux: ENOSPC); interrupted, again –
/// the lock.
template<class Space, Machine M>
constexpr result<std::uint8_t> pkey_alloc(typename Space::cpu_type& me, Space& space,
                                          protection_keys<M>& keys, key_denial denied) {
    return under_exclusive_lock<result<std::uint8_t>>(
        space.lock(), me.current(), [&](auto const&) -> result<std::uint8_t> {
            auto const key = keys.allocate();
            if (!key) return key;
            auto const bits = static_cast<std::uint32_t>(denied);
            me.set_key_rights(me.key_rights().with(*key, bits));
            return key;
        });
}

/// pkey_free(2): mappings that have the key keep it, and so do cpus their rights. Takes the mm
/// lock. Errors: invalid_argument – not given out; interrupted, again – the lock.
template<class Space, Machine M>
constexpr result<void> pkey_free(typename Space::cpu_type& me, Space& space,
                                 protection_keys<M>& keys, std::uint8_t key) {
    return under_exclusive_lock<result<void>>(space.lock(), me.current(),
                                              [&](auto const&) { return keys.free(key); });
}

namespace detail {

/// mprotect, vma by vma: each keeps its key, unless it is the one for what may only be executed and
/// the vma is not such a one any more.
template<class Space, Machine M>
constexpr result<void> keep_keys(held_exclusive<typename Space::lock_type> const& held,
                                 typename Space::cpu_type& me, Space& space,
                                 protection_keys<M> const& keys, page_span span,
                                 protection wanted) {
    constexpr protection data{protection_bit::read, protection_bit::write};
    for (auto left = span; !left.empty();) {
        auto const area = space.find(left.start(), held);
        if (!area) return errc::no_memory;
        auto const part = common_pages(left, area->view(held).span);
        std::optional<std::uint8_t> key;
        if (keys.is_execute_only(area->view(held).pkey) && wanted.has_any(data)) key = 0;
        auto const done = space.mprotect_locked(held, me, part, wanted, key);
        if (!done) return done;
        left = pages_between(part.end(), span.end());
    }
    return {};
}

}  // namespace detail

/// pkey_mprotect(2) with a `key`, mprotect(2) without one, of a space with keys. Without one a
/// mapping keeps its key, with two exceptions: what may only be executed from now on gets that key;
/// what has it, and may be read or written from now on, gets key 0. Takes the mm lock. Errors:
/// those of address_space::mprotect; invalid_argument – the key is not given out.
template<class Space, Machine M>
constexpr result<void> pkey_mprotect(typename Space::cpu_type& me, Space& space,
                                     protection_keys<M>& keys, page_span span, protection wanted,
                                     std::optional<std::uint8_t> key = {}) {
    using lock_type = typename Space::lock_type;
    return under_exclusive_lock<result<void>>(
        space.lock(), me.current(), [&](held_exclusive<lock_type> const& held) -> result<void> {
            if (key && !keys.is_allocated(*key)) return errc::invalid_argument;
            if (!key && wanted == prot::x) {
                auto rights = me.key_rights();
                key = keys.execute_only(rights);
                me.set_key_rights(rights);
                if (*key == 0) key.reset();
            }
            if (key) return space.mprotect_locked(held, me, span, wanted, key);
            return detail::keep_keys(held, me, space, keys, span, wanted);
        });
}

/// mmap(2) of a space with keys: what may only be executed gets that key. Takes the mm lock.
/// Errors: as address_space::mmap.
template<class Space, Machine M>
[[nodiscard]] constexpr result<virt_addr> keyed_mmap(typename Space::cpu_type& me, Space& space,
                                                     protection_keys<M>& keys,
                                                     mmap_request request) {
    using lock_type = typename Space::lock_type;
    return under_exclusive_lock<result<virt_addr>>(space.lock(), me.current(),
                                                   [&](held_exclusive<lock_type> const& held) {
                                                       if (request.prot == prot::x) {
                                                           auto rights = me.key_rights();
                                                           request.pkey = keys.execute_only(rights);
                                                           me.set_key_rights(rights);
                                                       }
                                                       return space.mmap_locked(held, me, request);
                                                   });
}

}  // namespace mmhold
