// Values that must not be shown: they have no conversion to text, no stream output and no log value, so
// printing one does not compile.
#pragma once

#include <string.h>

#include <string>
#include <utility>

namespace supd::base {

/// A key, token or password. The bytes are wiped when it goes.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    ~Secret() { wipe(); }
    Secret(const Secret&) = default;
    Secret& operator=(const Secret& other) {
        if (this != &other) {
            wipe();
            value_ = other.value_;
        }
        return *this;
    }
    Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            wipe();
            value_ = std::move(other.value_);
            other.wipe();
        }
        return *this;
    }

    const std::string& reveal() const noexcept { return value_; }
    bool empty() const noexcept { return value_.empty(); }

    template <class Stream>
    friend Stream& operator<<(Stream&, const Secret&) = delete;

private:
    void wipe() noexcept {
        explicit_bzero(value_.data(), value_.size());
        value_.clear();
    }
    std::string value_;
};

/// What people write to each other: text, titles, metadata.
class Content {
public:
    Content() = default;
    explicit Content(std::string value) : value_(std::move(value)) {}
    const std::string& reveal() const noexcept { return value_; }
    std::string take() && noexcept { return std::move(value_); }

    template <class Stream>
    friend Stream& operator<<(Stream&, const Content&) = delete;

private:
    std::string value_;
};

}  // namespace supd::base
