TEST_CASE("twice") {}
