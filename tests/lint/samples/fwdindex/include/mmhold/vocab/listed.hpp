class listed {};
