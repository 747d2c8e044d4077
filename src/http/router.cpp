#include <supd/http/router.hpp>

#include <map>
#include <stdexcept>
#include <unordered_map>

namespace supd::http {
namespace {

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
        return std::hash<std::string_view>{}(text);
    }
};

std::vector<std::string_view> segments_of(std::string_view path) {
    std::vector<std::string_view> out;
    std::size_t at = 1;
    while (at <= path.size()) {
        const auto end = std::min(path.find('/', at), path.size());
        out.push_back(path.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

}  // namespace

std::string_view name_of(Policy policy) noexcept {
    switch (policy) {
        case Policy::open:
            return "open";
        case Policy::user:
            return "user";
        case Policy::admin:
            return "admin";
    }
    return "";
}

std::string_view name_of(Limit limit) noexcept {
    switch (limit) {
        case Limit::none:
            return "none";
        case Limit::api:
            return "api";
        case Limit::auth:
            return "auth";
        case Limit::message:
            return "message";
        case Limit::people:
            return "people";
    }
    return "";
}

// Segments as a trie; a fixed segment wins over ":name".
struct Router::Tree {
    struct Node {
        std::unordered_map<std::string, std::unique_ptr<Node>, TextHash, std::equal_to<>> fixed;
        std::unique_ptr<Node> value;
        std::map<std::string, std::size_t, std::less<>> methods;  // -> index into routes
    };

    const Node* find(const Node& node, const std::vector<std::string_view>& segments, std::size_t at) const {
        if (at == segments.size()) return node.methods.empty() ? nullptr : &node;
        if (const auto next = node.fixed.find(segments[at]); next != node.fixed.end())
            if (const auto* found = find(*next->second, segments, at + 1)) return found;
        if (node.value && !segments[at].empty()) return find(*node.value, segments, at + 1);
        return nullptr;
    }

    Node root;
    std::vector<Route> routes;
    std::vector<std::vector<std::pair<std::size_t, std::string>>>
        names;  // of route: segment index -> ":name"
};

Router::Router() : tree_(std::make_unique<Tree>()) {}
Router::~Router() = default;

const std::vector<Route>& Router::routes() const noexcept {
    return tree_->routes;
}

void Router::add(Route route) {
    if (!route.path.starts_with('/'))
        throw std::logic_error("a route's path starts with /: " + std::string(route.path));
    auto* node = &tree_->root;
    std::vector<std::pair<std::size_t, std::string>> names;
    const auto segments = segments_of(route.path);
    for (std::size_t i = 0; i < segments.size(); ++i) {
        auto& next = segments[i].starts_with(':') ? node->value : node->fixed[std::string(segments[i])];
        if (segments[i].starts_with(':')) names.emplace_back(i, segments[i].substr(1));
        if (!next) next = std::make_unique<Tree::Node>();
        node = next.get();
    }
    if (!node->methods.emplace(route.method, tree_->routes.size()).second)
        throw std::logic_error("two routes for " + std::string(route.method) + " " + std::string(route.path));
    tree_->routes.push_back(std::move(route));
    tree_->names.push_back(std::move(names));
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
    Match out;
    if (!path.starts_with('/')) return out;
    auto segments = segments_of(path);
    if (const auto n = segments.size(); n > 1 && segments[n - 1].empty() && !segments[n - 2].empty())
        segments.pop_back();  // one slash at the end
    const auto* node = tree_->find(tree_->root, segments, 0);
    if (!node) return out;
    auto found = node->methods.find(method);
    if (found == node->methods.end() && method == "HEAD") found = node->methods.find("GET");
    if (found == node->methods.end()) {
        for (const auto& [name, index] : node->methods)
            out.allowed.push_back(tree_->routes[index].method);
        return out;
    }
    out.route = &tree_->routes[found->second];
    for (const auto& [index, name] : tree_->names[found->second])
        out.path_values.emplace_back(name, std::string(segments[index]));
    return out;
}

}  // namespace supd::http
