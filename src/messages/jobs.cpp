// The background work of messages.
#include "context.hpp"

#include <supd/jobs/queue.hpp>
#include <supd/messages/limits.hpp>

namespace supd::messages {
namespace {

constexpr const char* kExpire = "messages.expire";

}  // namespace

void Module::add_jobs(jobs::Queue& queue) {
    queue.on_async(kExpire, [this](jobs::Job) { return expire_due(*context_); });
    queue.add_periodic(kExpire, kExpireInterval, [&queue](db::Transaction& tx) {
        jobs::EnqueueOptions once;
        once.unique_key = "sweep";
        queue.enqueue(tx, kExpire, "{}", once);
        return false;
    });
}

}  // namespace supd::messages
