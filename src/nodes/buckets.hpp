// The token buckets of all processes, in Redis: one hash per bucket, one script, Redis's clock.
#pragma once

#include "script.hpp"

#include <supd/http/rate_limit.hpp>

namespace supd::nodes {

class Buckets final : public http::SharedBuckets {
public:
    explicit Buckets(cache::Client& client);
    void take(const std::string& name, double tokens, double per_second, double burst,
              std::function<void(double)> left) override;

private:
    cache::Client& client_;
    std::shared_ptr<Script> script_;
};

}  // namespace supd::nodes
