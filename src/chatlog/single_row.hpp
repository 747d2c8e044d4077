// A draft alone in its batch as the scalars that append_one takes, and its answer as a receipt. One lane's
// thread.
#pragma once

#include <supd/chatlog/writer.hpp>
#include <supd/db/async_connection.hpp>

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace supd::chatlog {

class SingleRow {
public:
    /// A plain draft, which must stay as long as the parameters are used.
    void fill(const Draft& draft);

    /// Parameters of append_one. Valid until the next fill().
    std::span<const db::Param> params() const noexcept { return params_; }

    /// The one receipt; nothing when append_one has left the draft to append_messages.
    static std::optional<std::vector<Receipt>> read(const db::AsyncResult& result);

private:
    std::uint64_t lock_ = 0;
    std::uint32_t expires_ = 0;
    std::array<db::Param, 10> params_;
};

}  // namespace supd::chatlog
