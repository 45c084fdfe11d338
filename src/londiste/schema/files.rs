//! The SQL that makes up schema `londiste`, in the order in which it is installed.

/// Name and text of each file: first what an existing schema needs, then tables, functions and rights.
pub(super) const FILES: &[(&str, &str)] = &[
    // Group: Schema
    ("upgrade", include_str!("../../../sql/londiste/upgrade.sql")),
    ("tables", include_str!("../../../sql/londiste/tables.sql")),
    // Group: Names and lookup
    ("londiste.split_fqname", include_str!("../../../sql/londiste/functions/londiste.split_fqname.sql")),
    ("londiste.full_name", include_str!("../../../sql/londiste/functions/londiste.full_name.sql")),
    ("londiste.quote_fqname", include_str!("../../../sql/londiste/functions/londiste.quote_fqname.sql")),
    ("londiste.find_rel_oid", include_str!("../../../sql/londiste/functions/londiste.find_rel_oid.sql")),
    ("londiste.find_table_oid", include_str!("../../../sql/londiste/functions/londiste.find_table_oid.sql")),
    ("londiste.find_seq_oid", include_str!("../../../sql/londiste/functions/londiste.find_seq_oid.sql")),
    ("londiste.find_column_types", include_str!("../../../sql/londiste/functions/londiste.find_column_types.sql")),
    ("londiste.trigger_queue", include_str!("../../../sql/londiste/functions/londiste.trigger_queue.sql")),
    ("londiste.is_own_trigger", include_str!("../../../sql/londiste/functions/londiste.is_own_trigger.sql")),
    ("londiste.find_table_fkeys", include_str!("../../../sql/londiste/functions/londiste.find_table_fkeys.sql")),
    ("londiste.find_table_triggers", include_str!("../../../sql/londiste/functions/londiste.find_table_triggers.sql")),
    ("londiste.cmp_list", include_str!("../../../sql/londiste/functions/londiste.cmp_list.sql")),
    // Group: Versions
    ("londiste.version", include_str!("../../../sql/londiste/functions/londiste.version.sql")),
    ("londiste.rlondiste_version", include_str!("../../../sql/londiste/functions/londiste.rlondiste_version.sql")),
    // Group: Linked queues
    ("londiste.link_source", include_str!("../../../sql/londiste/functions/londiste.link_source.sql")),
    ("londiste.link_dest", include_str!("../../../sql/londiste/functions/londiste.link_dest.sql")),
    ("londiste.link", include_str!("../../../sql/londiste/functions/londiste.link.sql")),
    ("londiste.link_del", include_str!("../../../sql/londiste/functions/londiste.link_del.sql")),
    ("londiste.run_ddl", include_str!("../../../sql/londiste/functions/londiste.run_ddl.sql")),
    // Group: Capture: what a table looks like
    ("londiste.trigger_name", include_str!("../../../sql/londiste/functions/londiste.trigger_name.sql")),
    ("londiste.catalog_id", include_str!("../../../sql/londiste/functions/londiste.catalog_id.sql")),
    ("londiste.capture_tree", include_str!("../../../sql/londiste/functions/londiste.capture_tree.sql")),
    ("londiste.capture_triggers", include_str!("../../../sql/londiste/functions/londiste.capture_triggers.sql")),
    (
        "londiste.capture_trigger_name",
        include_str!("../../../sql/londiste/functions/londiste.capture_trigger_name.sql"),
    ),
    ("londiste.capture_letters", include_str!("../../../sql/londiste/functions/londiste.capture_letters.sql")),
    ("londiste.capture_relations", include_str!("../../../sql/londiste/functions/londiste.capture_relations.sql")),
    ("londiste.capture_declared", include_str!("../../../sql/londiste/functions/londiste.capture_declared.sql")),
    ("londiste.capture_functions", include_str!("../../../sql/londiste/functions/londiste.capture_functions.sql")),
    ("londiste.capture_field", include_str!("../../../sql/londiste/functions/londiste.capture_field.sql")),
    ("londiste.capture_columns", include_str!("../../../sql/londiste/functions/londiste.capture_columns.sql")),
    (
        "londiste.capture_unique_columns",
        include_str!("../../../sql/londiste/functions/londiste.capture_unique_columns.sql"),
    ),
    ("londiste.capture_key", include_str!("../../../sql/londiste/functions/londiste.capture_key.sql")),
    ("londiste.capture_key_fault", include_str!("../../../sql/londiste/functions/londiste.capture_key_fault.sql")),
    ("londiste.capture_usable_key", include_str!("../../../sql/londiste/functions/londiste.capture_usable_key.sql")),
    ("londiste.capture_shape", include_str!("../../../sql/londiste/functions/londiste.capture_shape.sql")),
    ("londiste.capture_check_key", include_str!("../../../sql/londiste/functions/londiste.capture_check_key.sql")),
    ("londiste.capture_plan", include_str!("../../../sql/londiste/functions/londiste.capture_plan.sql")),
    ("londiste.capture_root", include_str!("../../../sql/londiste/functions/londiste.capture_root.sql")),
    (
        "londiste.capture_check_snapshot",
        include_str!("../../../sql/londiste/functions/londiste.capture_check_snapshot.sql"),
    ),
    ("londiste.capture_enabled", include_str!("../../../sql/londiste/functions/londiste.capture_enabled.sql")),
    ("londiste.capture_bypass", include_str!("../../../sql/londiste/functions/londiste.capture_bypass.sql")),
    ("londiste.capture_is_small", include_str!("../../../sql/londiste/functions/londiste.capture_is_small.sql")),
    ("londiste.capture_levels", include_str!("../../../sql/londiste/functions/londiste.capture_levels.sql")),
    ("londiste.capture_made", include_str!("../../../sql/londiste/functions/londiste.capture_made.sql")),
    ("londiste.capture_check", include_str!("../../../sql/londiste/functions/londiste.capture_check.sql")),
    (
        "londiste.capture_check_classic",
        include_str!("../../../sql/londiste/functions/londiste.capture_check_classic.sql"),
    ),
    ("londiste.capture_problem", include_str!("../../../sql/londiste/functions/londiste.capture_problem.sql")),
    // Group: Capture: the queue
    ("londiste.capture_queue", include_str!("../../../sql/londiste/functions/londiste.capture_queue.sql")),
    ("londiste.queue_changed", include_str!("../../../sql/londiste/functions/londiste.queue_changed.sql")),
    ("londiste.capture_watch_queue", include_str!("../../../sql/londiste/functions/londiste.capture_watch_queue.sql")),
    ("londiste.capture_look", include_str!("../../../sql/londiste/functions/londiste.capture_look.sql")),
    ("londiste.capture_queue_look", include_str!("../../../sql/londiste/functions/londiste.capture_queue_look.sql")),
    ("londiste.capture_constants", include_str!("../../../sql/londiste/functions/londiste.capture_constants.sql")),
    ("londiste.capture_insert", include_str!("../../../sql/londiste/functions/londiste.capture_insert.sql")),
    // Group: Capture: event formats
    ("londiste.urlencode", include_str!("../../../sql/londiste/functions/londiste.urlencode.sql")),
    ("londiste.capture_format", include_str!("../../../sql/londiste/functions/londiste.capture_format.sql")),
    ("londiste.capture_is_null", include_str!("../../../sql/londiste/functions/londiste.capture_is_null.sql")),
    ("londiste.capture_same", include_str!("../../../sql/londiste/functions/londiste.capture_same.sql")),
    ("londiste.capture_same_key", include_str!("../../../sql/londiste/functions/londiste.capture_same_key.sql")),
    ("londiste.capture_sql_insert", include_str!("../../../sql/londiste/functions/londiste.capture_sql_insert.sql")),
    ("londiste.capture_sql_changes", include_str!("../../../sql/londiste/functions/londiste.capture_sql_changes.sql")),
    ("londiste.capture_sql_key", include_str!("../../../sql/londiste/functions/londiste.capture_sql_key.sql")),
    ("londiste.capture_sql_delete", include_str!("../../../sql/londiste/functions/londiste.capture_sql_delete.sql")),
    ("londiste.capture_sql_update", include_str!("../../../sql/londiste/functions/londiste.capture_sql_update.sql")),
    ("londiste.capture_urlenc_row", include_str!("../../../sql/londiste/functions/londiste.capture_urlenc_row.sql")),
    ("londiste.capture_json_row", include_str!("../../../sql/londiste/functions/londiste.capture_json_row.sql")),
    ("londiste.capture_event", include_str!("../../../sql/londiste/functions/londiste.capture_event.sql")),
    (
        "londiste.capture_event_source",
        include_str!("../../../sql/londiste/functions/londiste.capture_event_source.sql"),
    ),
    ("londiste.capture_truncate", include_str!("../../../sql/londiste/functions/londiste.capture_truncate.sql")),
    // Group: Capture: while a table is written to
    ("londiste.capture_ready", include_str!("../../../sql/londiste/functions/londiste.capture_ready.sql")),
    ("londiste.capture_current", include_str!("../../../sql/londiste/functions/londiste.capture_current.sql")),
    ("londiste.capture_pins", include_str!("../../../sql/londiste/functions/londiste.capture_pins.sql")),
    ("londiste.capture_pin", include_str!("../../../sql/londiste/functions/londiste.capture_pin.sql")),
    ("londiste.capture_statement", include_str!("../../../sql/londiste/functions/londiste.capture_statement.sql")),
    // Group: Capture: the generator
    ("londiste.capture_generator", include_str!("../../../sql/londiste/functions/londiste.capture_generator.sql")),
    ("londiste.capture_needs", include_str!("../../../sql/londiste/functions/londiste.capture_needs.sql")),
    ("londiste.capture_settings", include_str!("../../../sql/londiste/functions/londiste.capture_settings.sql")),
    ("londiste.capture_pinning", include_str!("../../../sql/londiste/functions/londiste.capture_pinning.sql")),
    ("londiste.capture_fast", include_str!("../../../sql/londiste/functions/londiste.capture_fast.sql")),
    ("londiste.capture_walk", include_str!("../../../sql/londiste/functions/londiste.capture_walk.sql")),
    ("londiste.capture_branch", include_str!("../../../sql/londiste/functions/londiste.capture_branch.sql")),
    ("londiste.capture_repeat", include_str!("../../../sql/londiste/functions/londiste.capture_repeat.sql")),
    ("londiste.capture_long_way", include_str!("../../../sql/londiste/functions/londiste.capture_long_way.sql")),
    ("londiste.capture_body", include_str!("../../../sql/londiste/functions/londiste.capture_body.sql")),
    (
        "londiste.capture_truncate_body",
        include_str!("../../../sql/londiste/functions/londiste.capture_truncate_body.sql"),
    ),
    ("londiste.capture_function", include_str!("../../../sql/londiste/functions/londiste.capture_function.sql")),
    ("londiste.capture_objects", include_str!("../../../sql/londiste/functions/londiste.capture_objects.sql")),
    ("londiste.capture_fits", include_str!("../../../sql/londiste/functions/londiste.capture_fits.sql")),
    ("londiste.lock_triggers", include_str!("../../../sql/londiste/functions/londiste.lock_triggers.sql")),
    ("londiste.drop_trigger", include_str!("../../../sql/londiste/functions/londiste.drop_trigger.sql")),
    (
        "londiste.capture_create_trigger",
        include_str!("../../../sql/londiste/functions/londiste.capture_create_trigger.sql"),
    ),
    ("londiste.capture_misfits", include_str!("../../../sql/londiste/functions/londiste.capture_misfits.sql")),
    ("londiste.capture_hold", include_str!("../../../sql/londiste/functions/londiste.capture_hold.sql")),
    ("londiste.capture_enable", include_str!("../../../sql/londiste/functions/londiste.capture_enable.sql")),
    (
        "londiste.capture_enable_subscribed",
        include_str!("../../../sql/londiste/functions/londiste.capture_enable_subscribed.sql"),
    ),
    ("londiste.capture_create", include_str!("../../../sql/londiste/functions/londiste.capture_create.sql")),
    ("londiste.capture_common_plan", include_str!("../../../sql/londiste/functions/londiste.capture_common_plan.sql")),
    (
        "londiste.capture_relation_plan",
        include_str!("../../../sql/londiste/functions/londiste.capture_relation_plan.sql"),
    ),
    (
        "londiste.capture_generate_relation",
        include_str!("../../../sql/londiste/functions/londiste.capture_generate_relation.sql"),
    ),
    (
        "londiste.capture_drop_classic",
        include_str!("../../../sql/londiste/functions/londiste.capture_drop_classic.sql"),
    ),
    (
        "londiste.capture_drop_relation",
        include_str!("../../../sql/londiste/functions/londiste.capture_drop_relation.sql"),
    ),
    (
        "londiste.provider_notify_again",
        include_str!("../../../sql/londiste/functions/londiste.provider_notify_again.sql"),
    ),
    ("londiste.capture_store_made", include_str!("../../../sql/londiste/functions/londiste.capture_store_made.sql")),
    ("londiste.capture_report_loss", include_str!("../../../sql/londiste/functions/londiste.capture_report_loss.sql")),
    ("londiste.capture_generate", include_str!("../../../sql/londiste/functions/londiste.capture_generate.sql")),
    ("londiste.capture_add", include_str!("../../../sql/londiste/functions/londiste.capture_add.sql")),
    ("londiste.capture_replace", include_str!("../../../sql/londiste/functions/londiste.capture_replace.sql")),
    (
        "londiste.capture_maintain_classic",
        include_str!("../../../sql/londiste/functions/londiste.capture_maintain_classic.sql"),
    ),
    // Group: Provider
    (
        "londiste.check_provider_queue",
        include_str!("../../../sql/londiste/functions/londiste.check_provider_queue.sql"),
    ),
    (
        "londiste.provider_add_table_as",
        include_str!("../../../sql/londiste/functions/londiste.provider_add_table_as.sql"),
    ),
    ("londiste.provider_add_table", include_str!("../../../sql/londiste/functions/londiste.provider_add_table.sql")),
    (
        "londiste.provider_refresh_table",
        include_str!("../../../sql/londiste/functions/londiste.provider_refresh_table.sql"),
    ),
    (
        "londiste.provider_refresh_trigger",
        include_str!("../../../sql/londiste/functions/londiste.provider_refresh_trigger.sql"),
    ),
    (
        "londiste.provider_create_trigger",
        include_str!("../../../sql/londiste/functions/londiste.provider_create_trigger.sql"),
    ),
    ("londiste.provider_adapt", include_str!("../../../sql/londiste/functions/londiste.provider_adapt.sql")),
    (
        "londiste.provider_get_capture_list",
        include_str!("../../../sql/londiste/functions/londiste.provider_get_capture_list.sql"),
    ),
    ("londiste.provider_maintain", include_str!("../../../sql/londiste/functions/londiste.provider_maintain.sql")),
    (
        "londiste.provider_get_problems",
        include_str!("../../../sql/londiste/functions/londiste.provider_get_problems.sql"),
    ),
    ("londiste.provider_get_keys", include_str!("../../../sql/londiste/functions/londiste.provider_get_keys.sql")),
    (
        "londiste.provider_get_outdated",
        include_str!("../../../sql/londiste/functions/londiste.provider_get_outdated.sql"),
    ),
    (
        "londiste.provider_get_sources",
        include_str!("../../../sql/londiste/functions/londiste.provider_get_sources.sql"),
    ),
    (
        "londiste.provider_remove_table",
        include_str!("../../../sql/londiste/functions/londiste.provider_remove_table.sql"),
    ),
    (
        "londiste.provider_get_table_list",
        include_str!("../../../sql/londiste/functions/londiste.provider_get_table_list.sql"),
    ),
    (
        "londiste.provider_notify_change",
        include_str!("../../../sql/londiste/functions/londiste.provider_notify_change.sql"),
    ),
    ("londiste.provider_add_seq", include_str!("../../../sql/londiste/functions/londiste.provider_add_seq.sql")),
    ("londiste.provider_remove_seq", include_str!("../../../sql/londiste/functions/londiste.provider_remove_seq.sql")),
    (
        "londiste.provider_get_seq_list",
        include_str!("../../../sql/londiste/functions/londiste.provider_get_seq_list.sql"),
    ),
    // Group: Subscriber: tables, sequences, states
    (
        "londiste.check_subscriber_queue",
        include_str!("../../../sql/londiste/functions/londiste.check_subscriber_queue.sql"),
    ),
    (
        "londiste.subscriber_add_table",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_add_table.sql"),
    ),
    (
        "londiste.subscriber_remove_table",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_remove_table.sql"),
    ),
    (
        "londiste.subscriber_get_table_list",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_get_table_list.sql"),
    ),
    (
        "londiste.subscriber_set_table_state",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_set_table_state.sql"),
    ),
    (
        "londiste.subscriber_set_skip_truncate",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_set_skip_truncate.sql"),
    ),
    ("londiste.set_table_state", include_str!("../../../sql/londiste/functions/londiste.set_table_state.sql")),
    ("londiste.get_table_state", include_str!("../../../sql/londiste/functions/londiste.get_table_state.sql")),
    ("londiste.subscriber_add_seq", include_str!("../../../sql/londiste/functions/londiste.subscriber_add_seq.sql")),
    (
        "londiste.subscriber_remove_seq",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_remove_seq.sql"),
    ),
    (
        "londiste.subscriber_get_seq_list",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_get_seq_list.sql"),
    ),
    (
        "londiste.subscriber_get_emptied_tables",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_get_emptied_tables.sql"),
    ),
    (
        "londiste.subscriber_set_crash_mark",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_set_crash_mark.sql"),
    ),
    ("londiste.get_last_tick", include_str!("../../../sql/londiste/functions/londiste.get_last_tick.sql")),
    ("londiste.applied", include_str!("../../../sql/londiste/functions/londiste.applied.sql")),
    ("londiste.wait_visible", include_str!("../../../sql/londiste/functions/londiste.wait_visible.sql")),
    ("londiste.set_last_tick", include_str!("../../../sql/londiste/functions/londiste.set_last_tick.sql")),
    // Group: Subscriber: foreign keys
    (
        "londiste.subscriber_get_table_pending_fkeys",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_get_table_pending_fkeys.sql"),
    ),
    (
        "londiste.subscriber_get_queue_valid_pending_fkeys",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_get_queue_valid_pending_fkeys.sql"),
    ),
    (
        "londiste.subscriber_drop_table_fkey",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_drop_table_fkey.sql"),
    ),
    (
        "londiste.subscriber_restore_table_fkey",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_restore_table_fkey.sql"),
    ),
    // Group: Subscriber: triggers
    (
        "londiste.subscriber_get_table_pending_triggers",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_get_table_pending_triggers.sql"),
    ),
    (
        "londiste.subscriber_drop_table_trigger",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_drop_table_trigger.sql"),
    ),
    (
        "londiste.subscriber_drop_all_table_triggers",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_drop_all_table_triggers.sql"),
    ),
    (
        "londiste.subscriber_restore_table_trigger",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_restore_table_trigger.sql"),
    ),
    (
        "londiste.subscriber_restore_all_table_triggers",
        include_str!("../../../sql/londiste/functions/londiste.subscriber_restore_all_table_triggers.sql"),
    ),
    // Group: The fence
    ("londiste.fence_trigger_name", include_str!("../../../sql/londiste/functions/londiste.fence_trigger_name.sql")),
    ("londiste.fence_clock", include_str!("../../../sql/londiste/functions/londiste.fence_clock.sql")),
    ("londiste.fence_pass", include_str!("../../../sql/londiste/functions/londiste.fence_pass.sql")),
    ("londiste.fence", include_str!("../../../sql/londiste/functions/londiste.fence.sql")),
    ("londiste.fence_is_armed", include_str!("../../../sql/londiste/functions/londiste.fence_is_armed.sql")),
    ("londiste.fence_armed", include_str!("../../../sql/londiste/functions/londiste.fence_armed.sql")),
    ("londiste.fence_relations", include_str!("../../../sql/londiste/functions/londiste.fence_relations.sql")),
    ("londiste.fence_disarm", include_str!("../../../sql/londiste/functions/londiste.fence_disarm.sql")),
    ("londiste.fence_arm", include_str!("../../../sql/londiste/functions/londiste.fence_arm.sql")),
    ("londiste.fence_close", include_str!("../../../sql/londiste/functions/londiste.fence_close.sql")),
    ("londiste.fence_open", include_str!("../../../sql/londiste/functions/londiste.fence_open.sql")),
    ("londiste.fence_holders", include_str!("../../../sql/londiste/functions/londiste.fence_holders.sql")),
    ("londiste.set_switchover", include_str!("../../../sql/londiste/functions/londiste.set_switchover.sql")),
    // Group: Rights
    ("londiste.admin_functions", include_str!("../../../sql/londiste/functions/londiste.admin_functions.sql")),
    ("londiste.grant_admin", include_str!("../../../sql/londiste/functions/londiste.grant_admin.sql")),
    ("londiste.revoke_admin", include_str!("../../../sql/londiste/functions/londiste.revoke_admin.sql")),
    ("grants", include_str!("../../../sql/londiste/grants.sql")),
];
