// Which modules have a say about a restored database.
#pragma once

#include <supd/backup/module_hook.hpp>

#include <vector>

namespace supd::app {

std::vector<backup::ModuleHook> restore_hooks(bool end_sessions);

}  // namespace supd::app
