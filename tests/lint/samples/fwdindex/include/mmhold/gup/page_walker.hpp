template<class T>
concept PageWalker = requires(T t) { t.look(); };
