-- compat: 6
-- Transaction ids mean nothing on another server, or on one that was taken back to an earlier state. Which server the
-- stream was last served by: its system identifier and timeline. Null until a daemon has started.
alter table stream_state add column origin text;
