drop trigger sessions_note_revocation on sessions;
drop trigger users_note_deletion on users;
drop trigger messages_note_deletion on messages;
drop function note_deletion;
drop table deletion_ledger;
