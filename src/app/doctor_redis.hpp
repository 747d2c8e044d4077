// What the doctor reads of a Redis, and how it judges it.
#pragma once

#include "doctor.hpp"

#include <string>

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

}  // namespace supd::app
