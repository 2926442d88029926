// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/machine.hpp>

#include <cstdint>

namespace mmhold {

/// Nodes in the order they joined, linked through themselves: waiting allocates nothing. `Node`
/// derives from wait_line::link and stands in one line at a time.
///
/// Not synchronised: the owner's lock guards the line and the links of its nodes. It outlives its
/// nodes' stay in it.
template<Machine M, class Node>
class wait_line {
public:
    /// What a node carries.
    struct link {
        typename M::template plain<Node*> next{nullptr};
        typename M::template plain<Node*> previous{nullptr};
        /// Where it stands; nullptr: nowhere.
        typename M::template plain<wait_line*> line{nullptr};
    };

    constexpr wait_line() noexcept = default;
    wait_line(wait_line const&) = delete;
    wait_line& operator=(wait_line const&) = delete;
    constexpr ~wait_line() = default;

    /// The one that joined first; nullptr if there is none.
    [[nodiscard]] constexpr Node* first() const noexcept { return head_.get(); }
    [[nodiscard]] constexpr std::uint32_t size() const noexcept { return size_.get(); }

    /// Gets in line, last. Precondition: `node` stands in no line.
    constexpr void join(Node& node) noexcept {
        M::expect(node.line.get() == nullptr, "wait_line::join: the node stands in a line already");
        Node* const last = tail_.get();
        node.next.set(nullptr);
        node.previous.set(last);
        node.line.set(this);
        if (last == nullptr) {
            head_.set(&node);
        } else {
            last->next.set(&node);
        }
        tail_.set(&node);
        size_.set(size_.get() + 1);
    }

    /// Takes `node` out of the line it stands in, if any.
    static constexpr void leave(Node& node) noexcept {
        if (auto* const line = node.line.get()) line->take_out(node);
    }

private:
    constexpr void take_out(Node& node) noexcept {
        Node* const before = node.previous.get();
        Node* const after = node.next.get();
        if (before == nullptr) {
            head_.set(after);
        } else {
            before->next.set(after);
        }
        if (after == nullptr) {
            tail_.set(before);
        } else {
            after->previous.set(before);
        }
        node.line.set(nullptr);
        size_.set(size_.get() - 1);
    }

    typename M::template plain<Node*> head_{nullptr};
    typename M::template plain<Node*> tail_{nullptr};
    typename M::template plain<std::uint32_t> size_{0};
};

}  // namespace mmhold
