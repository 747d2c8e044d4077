#include "restore_hooks.hpp"

#include <supd/accounts/restore.hpp>
#include <supd/chatlog/restore.hpp>
#include <supd/messages/restore.hpp>

namespace supd::app {

std::vector<backup::ModuleHook> restore_hooks(bool end_sessions) {
    std::vector<backup::ModuleHook> hooks;
    hooks.push_back({"chatlog", chatlog::begin_new_stream, chatlog::find_gap});
    hooks.push_back({"chatlog", chatlog::erase_again, {}});
    hooks.push_back({"messages", messages::erase_again, {}});
    hooks.push_back({"accounts", accounts::erase_again, {}});
    if (end_sessions) hooks.push_back({"accounts", accounts::end_all_sessions, {}});
    return hooks;
}

}  // namespace supd::app
