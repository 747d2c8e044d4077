// The little of S3's XML that we read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace supd::blob {

/// Texts of all elements of that name, entities resolved; elements that hold elements are given as they
/// stand.
std::vector<std::string> elements(std::string_view xml, std::string_view name);
/// The first one; empty when there is none.
std::string element(std::string_view xml, std::string_view name);

}  // namespace supd::blob
