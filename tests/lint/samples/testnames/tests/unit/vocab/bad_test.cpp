TEST_CASE("fine: 1.2, pages > 0 (and so on)", "[tag]") {}
TEST_CASE("a half-open range [first, last)") {}
TEST_CASE(
    "one; two") {}
TEST_CASE("twice") {}
TEMPLATE_TEST_CASE("twice", "", int, long) {}
TEST_CASE("ends with a star*") {}
TEST_CASE(" begins with a space") {}
// TEST_CASE("[in a comment]") {}
