template<class T>
concept MmLock = requires(T t) { t.lock(); };
