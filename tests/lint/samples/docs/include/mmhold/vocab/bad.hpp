#pragma once
namespace mmhold {

class silent {
public:
    silent() = default;
    silent(silent const& other) {}
    silent& operator=(silent&& other) noexcept;
    ~silent() {}
    void mute() const;

    /// Says what it does.
    int spoken() const { return 1; }
    int spoken(int twice) const { return twice; }

    int apart(int gap) const;
    int trailing() const { return 2; }  ///< also counts

private:
    void hidden();
};

inline void silent::mute() const {}

template<class T>
concept Nameless = requires(T t) { t.x(); };

/// A concept with a comment.
template<class T>
concept Named = requires(T t) {
    { t.x() } -> Nameless;
};

enum class mode : bool { on, off };

/// A class with a comment.
struct told final : silent {
    int field MMHOLD_GUARDED_BY(lock_) = 0;
    std::array<int, 3> list{1, 2, 3};
    friend bool operator==(told, told) = default;
    /// Starts full.
    explicit told(int given) : list{given}, field(3) { call(); }
};
told(int) -> told;

/// A model. Members: see Named.
struct model {
    void x();

    void y();
};
template<class T>
json_writer(T) -> json_writer<T>;

template<class T>
    requires Named<T> && (sizeof(T) > 4)
[[nodiscard]] constexpr auto free_and_mute(T value, int = 3) noexcept(noexcept(value.x())) -> T {
    auto inner = [](int x) { return x; };
    return value;
}

namespace detail {
struct helper {};
void help();
}  // namespace detail
}  // namespace mmhold

template<>
struct std::hash<mmhold::told> {};
