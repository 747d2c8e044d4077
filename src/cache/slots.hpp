// Which of a cluster's 16,384 hash slots a key belongs to (Redis Cluster Specification), and who serves it.
#pragma once

#include <supd/cache/reply.hpp>
#include <supd/cache/url.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace supd::cache {

inline constexpr std::size_t kSlots = 16'384;

/// CRC16 of the key, or of what stands between its first { and the next } if that is not empty.
std::uint16_t slot_of(std::string_view key) noexcept;

class SlotMap {
public:
    /// Reads the reply of CLUSTER SLOTS; an empty host in it means `asked`. False, and nothing changes, when
    /// it is not one.
    bool read(const Reply& reply, const Endpoint& asked);
    std::optional<Endpoint> owner(std::uint16_t slot) const;
    void move(std::uint16_t slot, const Endpoint& to);
    /// Every master once.
    const std::vector<Endpoint>& masters() const noexcept { return masters_; }

private:
    std::uint16_t index_of(const Endpoint& endpoint);

    std::vector<Endpoint> masters_;
    std::array<std::uint16_t, kSlots> owners_{};  // index into masters_ + 1; 0 = nobody
};

struct Redirect {
    bool ask = false;  ///< ASK: this once; MOVED: from now on
    std::uint16_t slot = 0;
    Endpoint to;
};
/// Of an error "MOVED 3999 127.0.0.1:6381" or "ASK ...".
std::optional<Redirect> redirect_of(const Reply& reply, const Endpoint& asked);

}  // namespace supd::cache
