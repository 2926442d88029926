// Nobody looks here: this is where orders are defined.
inline int load() { return word.load(std::memory_order_relaxed); }
