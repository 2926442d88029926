inline constexpr auto present = 0x1;
inline auto shift(int w) { return w >> 12; }
