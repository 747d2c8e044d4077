// The periodic copy of the deletion ledger beside the archives, for a daemon whose folder of backups is set.
#pragma once

#include <supd/backup/backups.hpp>

namespace supd::backup {

/// Entries of revoked sessions are dropped after this: no backup that old holds a session that could still be
/// used.
inline constexpr int kSessionEntriesKeptDays = 90;

/// A periodic job (<supd/jobs/queue.hpp>): writes the copy that belongs to the newest archive. Always
/// false: there is no more of it.
bool export_ledger(db::Transaction& tx, const Settings& settings);

}  // namespace supd::backup
