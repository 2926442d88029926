inline void f() {}
