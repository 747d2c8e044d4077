// Where other threads leave what a lane is to take: many sends of one turn of theirs cross over in one post.
#pragma once

#include "draft.hpp"

#include <mutex>
#include <utility>
#include <vector>

namespace supd::chatlog {

class Mailbox {
public:
    /// True: it was empty, and whoever takes is to be called.
    bool put(Pending pending) {
        const std::lock_guard lock(mutex_);
        pending_.push_back(std::move(pending));
        return pending_.size() == 1;
    }
    std::vector<Pending> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(pending_, {});
    }

private:
    std::mutex mutex_;
    std::vector<Pending> pending_;
};

}  // namespace supd::chatlog
