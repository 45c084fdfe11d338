//! Replication of tables: provider and subscriber commands, replay, copy.
