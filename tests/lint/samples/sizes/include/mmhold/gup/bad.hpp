#pragma once
inline int long_one() {
    step(1);
    step(2);
    step(3);
    step(4);
    step(5);
    step(6);
    step(7);
    step(8);
    step(9);
    step(10);
    step(11);
    step(12);
    step(13);
    step(14);
    step(15);
    step(16);
    step(17);
    step(18);
    step(19);
    step(20);
    step(21);
    step(22);
    step(23);
    step(24);
    step(25);
    step(26);
    step(27);
    step(28);
    step(29);
    step(30);
    step(31);
    step(32);
    step(33);
    step(34);
    step(35);
    step(36);
    step(37);
    step(38);
    step(39);
    step(40);
    return 0;
}
inline void wide() { call(aaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, ccccccccccccccccccccccccccc); }
inline auto bits(int word) { return word & 0xfff; }
inline auto frame(int word) { return word >> 12; }
inline auto hash(int word) { return word * 0x9e37; }  // bits: a hash, no entry
inline void modes(int pages, bool write);
class box {
public:
    explicit operator bool() const;
    void good(bool condition, int (*callback)(bool));
    void bad(const bool on = true);
private:
    void fine(bool on);
};
namespace detail {
inline void free_here(bool on) {}
}
