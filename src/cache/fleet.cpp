#include "fleet.hpp"

#include <algorithm>

namespace supd::cache {
namespace {

asio::awaitable<Located> always(Endpoint endpoint) {
    Located out;
    out.endpoint = std::move(endpoint);
    co_return out;
}

}  // namespace

Link& Fleet::to(const Endpoint& endpoint) {
    auto& link = links_[endpoint];
    if (link) return *link;
    Link::Hooks hooks;
    hooks.up = [this, endpoint] { hooks_.up(endpoint); };
    hooks.down = [this, endpoint] { hooks_.down(endpoint); };
    if (hooks_.push) hooks.push = [this, endpoint](Reply reply) { hooks_.push(endpoint, std::move(reply)); };
    if (endpoint == Endpoint())
        hooks.locate = hooks_.locate;
    else
        hooks.locate = [endpoint] { return always(endpoint); };
    link = std::make_shared<Link>(access_, std::move(hooks));
    link->start(tasks_);
    return *link;
}

void Fleet::keep_only(const std::vector<Endpoint>& endpoints) {
    for (auto at = links_.begin(); at != links_.end();) {
        if (std::ranges::find(endpoints, at->first) != endpoints.end()) {
            ++at;
            continue;
        }
        const auto link = at->second;
        at = links_.erase(at);
        link->retire();
    }
}

}  // namespace supd::cache
