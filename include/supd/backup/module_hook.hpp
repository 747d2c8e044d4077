// What a module has to say about a restored database. The composition root lists one of these per module that
// does.
#pragma once

#include <supd/db/transaction.hpp>

#include <functional>
#include <string>

namespace supd::backup {

struct ModuleHook {
    std::string module;
    /// Runs in the restored database before anybody is served from it, in one transaction with those of the
    /// other modules: makes sure that what must not come back does not. May be empty.
    std::function<void(db::Transaction&)> after_restore;
    /// What is wrong with the restored rows of the module, for the operator; empty text when nothing is. May
    /// be empty.
    std::function<std::string(db::Transaction&)> fault;
};

}  // namespace supd::backup
