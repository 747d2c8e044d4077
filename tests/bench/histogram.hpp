// Latencies in nanoseconds, in buckets no wider than 1/64 of their value.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace bench {

class Histogram {
public:
    void add(std::int64_t ns) {
        const auto v = static_cast<std::uint64_t>(ns < 0 ? 0 : ns);
        ++buckets_[index(v)];
        ++count_;
    }
    void clear() {
        buckets_.assign(kBuckets, 0);
        count_ = 0;
    }
    std::uint64_t count() const { return count_; }
    // The upper edge, in milliseconds, of the bucket that holds quantile q of the values.
    double quantile_ms(double q) const {
        const auto want = static_cast<std::uint64_t>(q * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < kBuckets; ++i) {
            seen += buckets_[i];
            if (seen > want || seen == count_) return static_cast<double>(edge(i)) / 1e6;
        }
        return 0;
    }

private:
    static constexpr unsigned kSubBits = 6;
    static constexpr std::size_t kBuckets = std::size_t{64 - kSubBits + 1} << kSubBits;
    static std::size_t index(std::uint64_t v) {
        const auto width = static_cast<unsigned>(std::bit_width(v));
        if (width <= kSubBits + 1) return v;
        const unsigned shift = width - kSubBits - 1;
        return (std::size_t{shift} << kSubBits) + (v >> shift);
    }
    static std::uint64_t edge(std::size_t i) {
        if (i < (std::size_t{2} << kSubBits)) return i;
        const std::size_t shift = (i >> kSubBits) - 1;
        return ((i - (shift << kSubBits)) + 1) << shift;
    }
    std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(kBuckets, 0);
    std::uint64_t count_ = 0;
};

}  // namespace bench
