// SPDX-License-Identifier: BSL-1.0
#include "page.hpp"

#include <ostream>
#include <string_view>

namespace parity {

namespace {

constexpr std::string_view head = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>linux_parity</title><style>
:root{color-scheme:light dark;--ink:#1c1c1c;--paper:#fdfdfb;--rule:#d8d8d0;--same:#e3f2e3;--other:#ffd5cf;--none:#f0f0ec}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e0;--paper:#16181a;--rule:#3a3d40;--same:#1d3523;--other:#5c2620;--none:#222528}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem}
div{overflow-x:auto}table{border-collapse:collapse}
th,td{border:1px solid var(--rule);padding:.2rem .45rem;text-align:center;white-space:nowrap}
th[scope=row]{text-align:left;position:sticky;left:0;background:var(--paper)}
.same{background:var(--same)}.other{background:var(--other);font-weight:600}.none{background:var(--none)}
</style></head><body>
)";

std::string escaped(std::string_view text) {
    std::string out;
    for (char const letter : text) {
        switch (letter) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += letter;
        }
    }
    return out;
}

void write_cell(std::ostream& out, cell const& one) {
    switch (one.is) {
        case cell::state::equal: out << "<td class=same>" << escaped(one.linux_says); break;
        case cell::state::different:
            out << "<td class=other title=\"" << escaped(one.detail) << "\">"
                << escaped(one.linux_says) << " ≠ " << escaped(one.model_says);
            break;
        case cell::state::not_measured:
            out << "<td class=none title=\"" << escaped(one.detail) << "\">";
            out << (one.detail.starts_with("not modelled") ? "not modelled" : "absent");
            break;
    }
    out << "</td>";
}

}  // namespace

void write_page(std::ostream& out, grid const& of) {
    out << head << "<h1>" << escaped(of.machine.release) << " and the model</h1>\n<p>"
        << of.count(cell::state::equal) << " cells equal, " << of.count(cell::state::different)
        << " different, " << of.count(cell::state::not_measured)
        << " not measured. Two pages: the odd one first, then, where it differs, second. "
           "· success, p a part, F EFAULT, I EIO, N ENOMEM, V EINVAL, O EOVERFLOW, H EHWPOISON, S SIGSEGV and B "
           "SIGBUS with the si_code, w waited for a userfault.</p>\n<div><table><tr><th></th>";
    for (std::size_t i = 0; i < callers; ++i) {
        out << "<th title=\"" << escaped(meaning_of(static_cast<op>(i))) << "\">"
            << name_of(static_cast<op>(i)) << "</th>";
    }
    out << "</tr>\n";
    for (std::size_t k = 0; k < of.kinds.size(); ++k) {
        out << "<tr><th scope=row>" << escaped(of.kinds[k].name) << "</th>";
        for (auto const& one : of.cells[k]) write_cell(out, one);
        out << "</tr>\n";
    }
    out << "</table></div></body></html>\n";
}

}  // namespace parity
