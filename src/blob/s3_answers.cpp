#include "s3_answers.hpp"

#include <utility>

namespace supd::blob {
namespace {

std::string resolved(std::string_view text) {
    constexpr std::pair<std::string_view, char> kEntities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#34;", '"'}, {"&apos;", '\''}};
    std::string out;
    while (!text.empty()) {
        bool found = false;
        for (const auto& [entity, c] : kEntities) {
            if (!text.starts_with(entity)) continue;
            out += c;
            text.remove_prefix(entity.size());
            found = true;
            break;
        }
        if (found) continue;
        out += text.front();
        text.remove_prefix(1);
    }
    return out;
}

}  // namespace

std::vector<std::string> elements(std::string_view xml, std::string_view name) {
    const std::string open = "<" + std::string(name) + ">";
    const std::string close = "</" + std::string(name) + ">";
    std::vector<std::string> out;
    for (auto at = xml.find(open); at != std::string_view::npos; at = xml.find(open)) {
        xml.remove_prefix(at + open.size());
        const auto end = xml.find(close);
        if (end == std::string_view::npos) break;
        const auto text = xml.substr(0, end);
        out.push_back(text.find('<') == std::string_view::npos ? resolved(text) : std::string(text));
        xml.remove_prefix(end + close.size());
    }
    return out;
}

std::string element(std::string_view xml, std::string_view name) {
    auto all = elements(xml, name);
    return all.empty() ? "" : std::move(all.front());
}

}  // namespace supd::blob
