#include <supd/base/error.hpp>
#include <supd/chats/membership.hpp>

namespace supd::chats {

std::string_view name_of(Type type) noexcept {
    switch (type) {
        case Type::direct:
            return "direct";
        case Type::group:
            return "group";
        case Type::channel:
            return "channel";
    }
    return "direct";
}

std::string_view name_of(Status status) noexcept {
    switch (status) {
        case Status::active:
            return "active";
        case Status::archived:
            return "archived";
        case Status::closed:
            return "closed";
    }
    return "closed";
}

std::optional<Type> type_named(std::string_view name) noexcept {
    if (name == "direct") return Type::direct;
    if (name == "group") return Type::group;
    if (name == "channel") return Type::channel;
    return std::nullopt;
}

Status status_named(std::string_view name) noexcept {
    if (name == "active") return Status::active;
    return name == "archived" ? Status::archived : Status::closed;
}

std::string_view role_name(int power) noexcept {
    if (power >= kOwnerPower) return "owner";
    return power >= kAdminPower ? "admin" : "member";
}

void require_active(const Membership& membership) {
    if (membership.status != Status::active) throw base::forbidden("The chat is archived or closed.");
}

}  // namespace supd::chats
