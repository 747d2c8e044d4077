// A Post without a network: answers as it was told, and keeps what it was sent.
#pragma once

#include <supd/trace/tracer.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace supd::trace {

class ScriptedCollector {
public:
    /// 0: no answer. After the last one every answer is 200.
    explicit ScriptedCollector(std::vector<int> statuses = {})
        : statuses_(statuses.begin(), statuses.end()) {}

    Options options(double ratio = 1) {
        Options out;
        out.resource = {"supd", "1.2.3", "here"};
        out.ratio = ratio;
        out.interval = std::chrono::milliseconds(1);
        out.first_pause = std::chrono::milliseconds(1);
        out.post = [this](const std::string& body, std::chrono::milliseconds) { return take(body); };
        return out;
    }
    /// What is posted waits until release().
    void hold() {
        const std::lock_guard lock(mutex_);
        held_ = true;
    }
    void release() {
        {
            const std::lock_guard lock(mutex_);
            held_ = false;
        }
        changed_.notify_all();
    }
    void wait_for_posts(std::size_t count) {
        std::unique_lock lock(mutex_);
        const bool came =
            changed_.wait_for(lock, std::chrono::seconds(20), [&] { return bodies_.size() >= count; });
        if (!came) throw std::runtime_error("the posts did not come");
    }
    std::vector<std::string> bodies() {
        const std::lock_guard lock(mutex_);
        return bodies_;
    }
    nlohmann::json spans(std::size_t post = 0) {
        return nlohmann::json::parse(bodies().at(post))["resourceSpans"][0]["scopeSpans"][0]["spans"];
    }
    void answer_with(std::optional<std::chrono::seconds> retry_after, std::size_t rejected) {
        const std::lock_guard lock(mutex_);
        retry_after_ = retry_after;
        rejected_ = rejected;
    }

private:
    Answer take(const std::string& body) {
        std::unique_lock lock(mutex_);
        bodies_.push_back(body);
        changed_.notify_all();
        changed_.wait(lock, [this] { return !held_; });
        Answer out;
        out.status = statuses_.empty() ? 200 : statuses_.front();
        if (!statuses_.empty()) statuses_.pop_front();
        if (out.status == 0) throw std::runtime_error("nobody there");
        out.retry_after = retry_after_;
        out.rejected = rejected_;
        return out;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<int> statuses_;
    std::vector<std::string> bodies_;
    bool held_ = false;
    std::optional<std::chrono::seconds> retry_after_;
    std::size_t rejected_ = 0;
};

}  // namespace supd::trace
