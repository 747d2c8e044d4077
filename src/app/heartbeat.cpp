#include "heartbeat.hpp"

#include <boost/asio/post.hpp>

namespace supd::app {

bool Heartbeat::beat() {
    if (returned_->load() != sent_) return false;
    sent_ += io_.size();
    for (std::size_t i = 0; i < io_.size(); ++i)
        boost::asio::post(io_.context(i), [returned = returned_] { returned->fetch_add(1); });
    return true;
}

}  // namespace supd::app
