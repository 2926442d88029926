#pragma once
struct helper {};
template<class T>
class [[nodiscard]] unlisted final {};
