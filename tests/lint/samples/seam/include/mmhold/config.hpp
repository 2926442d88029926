#define MMHOLD_FINE
