// What the doctor reads of a Redis, and how it judges it.
#pragma once

#include "doctor.hpp"

#include <supd/cache/url.hpp>

#include <string>
#include <vector>

namespace supd::app {

struct RedisFacts {
    std::string refusal;  ///< what it said instead of PONG
    std::string policy;   ///< empty: it does not say
    double maximum = 0;   ///< bytes; 0 = no bound
    double used = 0;
};
Judgement judge_redis_answer(const RedisFacts& facts);
Judgement judge_redis_eviction(const RedisFacts& facts);
Judgement judge_redis_memory(const RedisFacts& facts);

struct SentinelFacts {
    std::vector<cache::Endpoint> masters;  ///< one for each sentinel that names one
    std::vector<std::string> problems;     ///< of those that do not
};
Judgement judge_sentinels(const SentinelFacts& facts);

}  // namespace supd::app
