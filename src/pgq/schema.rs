//! The files of schema `pgq`, compiled in, in the order in which they are installed.
//!
//! Every file of `sql/pgq` stands here once. `upgrade.sql` comes first: it refuses a schema that rlondiste must not
//! change. `grants.sql` comes last: it needs every function to exist. All files run in one transaction.

macro_rules! sql {
    ($path:literal) => {
        ($path, include_str!(concat!("../../sql/pgq/", $path)))
    };
}

/// Name (path below `sql/pgq`) and text of each file, in install order.
#[rustfmt::skip]
pub const FILES: &[(&str, &str)] = &[
    // Group: Structure
    sql!("upgrade.sql"),
    sql!("roles.sql"),
    sql!("tables.sql"),

    // Group: Names, sequences, definitions
    sql!("functions/pgq.quote_fqname.sql"),
    sql!("functions/pgq.seq_getval.sql"),
    sql!("functions/pgq.seq_setval.sql"),
    sql!("functions/pgq._event_seq.sql"),
    sql!("functions/pgq._run_ddl.sql"),

    // Group: Rights: which role may do what
    sql!("functions/pgq._may_read.sql"),
    sql!("functions/pgq._may_write.sql"),
    sql!("functions/pgq._may_administer.sql"),
    sql!("functions/pgq._function_right.sql"),
    sql!("functions/pgq._right_marker.sql"),
    sql!("functions/pgq._right_holders.sql"),
    sql!("functions/pgq._check_right.sql"),
    sql!("functions/pgq._grant_functions.sql"),
    sql!("functions/pgq.grant_right.sql"),
    sql!("functions/pgq.revoke_right.sql"),

    // Group: Queues
    sql!("functions/pgq._check_name.sql"),
    sql!("functions/pgq._queue_triggers.sql"),
    sql!("functions/pgq.tune_storage.sql"),
    sql!("functions/pgq.grant_perms.sql"),
    sql!("functions/pgq._grant_perms_from.sql"),
    sql!("functions/pgq.create_queue.sql"),
    sql!("functions/pgq.drop_queue.sql"),
    sql!("functions/pgq.set_queue_config.sql"),

    // Group: Putting events in
    sql!("functions/pgq._count_tx_events.sql"),
    sql!("functions/pgq.insert_event_raw.sql"),
    sql!("functions/pgq.insert_event.sql"),
    sql!("functions/pgq.current_event_table.sql"),

    // Group: Ticks
    sql!("functions/pgq._need_read_committed.sql"),
    sql!("functions/pgq._lock_ticks.sql"),
    sql!("functions/pgq._has_unticked_events.sql"),
    sql!("functions/pgq._has_new_events.sql"),
    sql!("functions/pgq._tick_due.sql"),
    sql!("functions/pgq._snapshot_with_self.sql"),
    sql!("functions/pgq._insert_tick.sql"),
    sql!("functions/pgq.ticker.sql"),
    sql!("functions/pgq.tick_new_events.sql"),
    sql!("functions/pgq.force_tick.sql"),
    sql!("functions/pgq.tick_blockers.sql"),

    // Group: Consumers
    sql!("functions/pgq.register_consumer_at.sql"),
    sql!("functions/pgq.register_consumer.sql"),
    sql!("functions/pgq.unregister_consumer.sql"),

    // Group: Reading a batch: next_batch, then its events, then finish_batch
    sql!("functions/pgq.find_tick_helper.sql"),
    sql!("functions/pgq._find_next_tick.sql"),
    sql!("functions/pgq.next_batch_custom.sql"),
    sql!("functions/pgq.next_batch_info.sql"),
    sql!("functions/pgq.next_batch.sql"),
    sql!("functions/pgq.get_batch_info.sql"),
    sql!("functions/pgq._has_events_since.sql"),
    sql!("functions/pgq.batch_event_tables.sql"),
    sql!("functions/pgq.batch_event_sql.sql"),
    sql!("functions/pgq.get_batch_events.sql"),
    sql!("functions/pgq.get_batch_cursor.sql"),
    sql!("functions/pgq.finish_batch.sql"),
    sql!("functions/pgq.next_batch_events.sql"),

    // Group: Events that a consumer puts aside
    sql!("functions/pgq._find_batch_event.sql"),
    sql!("functions/pgq.event_retry.sql"),
    sql!("functions/pgq.event_retry_raw.sql"),
    sql!("functions/pgq.batch_retry.sql"),
    sql!("functions/pgq.event_failed.sql"),
    sql!("functions/pgq.failed_event_list.sql"),
    sql!("functions/pgq.failed_event_count.sql"),
    sql!("functions/pgq.failed_event_delete.sql"),
    sql!("functions/pgq.failed_event_retry.sql"),

    // Group: Maintenance
    sql!("functions/pgq._busy_tables.sql"),
    sql!("functions/pgq.maint_operations.sql"),
    sql!("functions/pgq.maint_rotate_tables_step1.sql"),
    sql!("functions/pgq.maint_rotate_tables_step2.sql"),
    sql!("functions/pgq.rotation_blockers.sql"),
    sql!("functions/pgq.maint_retry_events.sql"),
    sql!("functions/pgq.maint_tables_to_vacuum.sql"),
    sql!("functions/pgq.rebase_queue.sql"),

    // Group: Triggers: what their events are made of
    sql!("functions/pgq._row_values.sql"),
    sql!("functions/pgq._is_changed.sql"),
    sql!("functions/pgq._quote_classic.sql"),
    sql!("functions/pgq._urlencode.sql"),
    sql!("functions/pgq._event_sql.sql"),
    sql!("functions/pgq._whole_row_update.sql"),
    sql!("functions/pgq._event_urlenc.sql"),
    sql!("functions/pgq._event_json.sql"),
    sql!("functions/pgq._event_json_type.sql"),

    // Group: Triggers: arguments and columns
    sql!("functions/pgq._trigger_options.sql"),
    sql!("functions/pgq._trigger_columns.sql"),
    sql!("functions/pgq._trigger_check.sql"),
    sql!("functions/pgq._trigger_expressions.sql"),
    sql!("functions/pgq._is_trusted.sql"),
    sql!("functions/pgq._field_value.sql"),
    sql!("functions/pgq._is_wanted.sql"),
    sql!("functions/pgq._set_fields.sql"),
    sql!("functions/pgq._trigger_insert.sql"),

    // Group: Triggers
    sql!("triggers/pgq.sqltriga.sql"),
    sql!("triggers/pgq.logutriga.sql"),
    sql!("triggers/pgq.jsontriga.sql"),
    sql!("triggers/pgq.logtriga.sql"),

    // Group: State
    sql!("functions/pgq.get_queue_info.sql"),
    sql!("functions/pgq.get_consumer_info.sql"),
    sql!("functions/pgq.version.sql"),
    sql!("functions/pgq.rlondiste_version.sql"),
    sql!("functions/pgq.upgrade_schema.sql"),

    // Group: Who may do what
    sql!("grants.sql"),
];
