// The links of a client: one to the only server, or one to each master of a cluster. Home thread only.
#pragma once

#include "link.hpp"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace supd::cache {

class Fleet {
public:
    struct Hooks {
        std::function<void(const Endpoint&)> up;
        std::function<void(const Endpoint&)> down;
        std::function<void(const Endpoint&, Reply)> push;  ///< set: they are subscriptions
        /// Where the only server is now; not of a cluster.
        std::function<asio::awaitable<Located>()> locate;
    };

    Fleet(Access& access, async::TaskGroup& tasks, Hooks hooks)
        : access_(access), tasks_(tasks), hooks_(std::move(hooks)) {}

    /// The link to that server, made when there is none. Layouts other than cluster have one, to Endpoint().
    Link& to(const Endpoint& endpoint);
    void keep_only(const std::vector<Endpoint>& endpoints);

private:
    Access& access_;
    async::TaskGroup& tasks_;
    Hooks hooks_;
    std::map<Endpoint, std::shared_ptr<Link>> links_;
};

}  // namespace supd::cache
