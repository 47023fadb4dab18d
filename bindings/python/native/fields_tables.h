/* fields_tables.h - the fields of structs that Python shows or sets, and the texts of enumerations.
 * Made by tools/c_api.py from include/; not to be edited. Part of fields.c. */
/* clang-format off */
#include <stddef.h>

#include "native.h"

typedef enum field_kind {
    FIELD_U32,
    FIELD_U64,
    FIELD_F64,
    FIELD_BOOL,
    FIELD_TEXT,
    FIELD_ADDRESS,
    FIELD_UUID,
    FIELD_LEVELS,
    FIELD_PINS,
    FIELD_POINTS,
    FIELD_METRIC,
    FIELD_ELEMENT,
    FIELD_CODES,
    FIELD_DUPLICATES,
    FIELD_DURABILITY,
    FIELD_EXPORT_FORMAT,
    FIELD_FUSED,
    FIELD_IMPORT_FORMAT,
    FIELD_ORDER,
    FIELD_WARM_UP,
} field_kind;

typedef struct field {
    const char *name;
    field_kind kind;
    size_t offset;
} field;

typedef struct choice {
    const char *name;
    uint32_t number;
} choice;

static const choice codes_choices[] = {
    {"default", RHUMB_CODES_DEFAULT},
    {"none", RHUMB_CODES_NONE},
    {"4bit", RHUMB_CODES_4BIT},
    {"8bit", RHUMB_CODES_8BIT},
    {0}};

static const choice duplicates_choices[] = {
    {"default", RHUMB_DUPLICATES_DEFAULT},
    {"error", RHUMB_DUPLICATES_ERROR},
    {"first", RHUMB_DUPLICATES_FIRST},
    {"last", RHUMB_DUPLICATES_LAST},
    {0}};

static const choice durability_choices[] = {
    {"full", RHUMB_DURABILITY_FULL},
    {"interval", RHUMB_DURABILITY_INTERVAL},
    {"none", RHUMB_DURABILITY_NONE},
    {0}};

static const choice export_format_choices[] = {
    {"default", RHUMB_EXPORT_DEFAULT},
    {"hnswlib", RHUMB_EXPORT_HNSWLIB},
    {0}};

static const choice fused_choices[] = {
    {"default", RHUMB_FUSED_DEFAULT},
    {"1bit", RHUMB_FUSED_1BIT},
    {"2bit", RHUMB_FUSED_2BIT},
    {"none", RHUMB_FUSED_NONE},
    {0}};

static const choice import_format_choices[] = {
    {"auto", RHUMB_IMPORT_AUTO},
    {"hnswlib", RHUMB_IMPORT_HNSWLIB},
    {"chroma", RHUMB_IMPORT_CHROMA},
    {"voyager", RHUMB_IMPORT_VOYAGER},
    {"faiss", RHUMB_IMPORT_FAISS},
    {"usearch", RHUMB_IMPORT_USEARCH},
    {"hnsw_rs", RHUMB_IMPORT_HNSW_RS},
    {"annoy", RHUMB_IMPORT_ANNOY},
    {0}};

static const choice order_choices[] = {
    {"default", RHUMB_ORDER_DEFAULT},
    {"keep", RHUMB_ORDER_KEEP},
    {"breadth", RHUMB_ORDER_BREADTH},
    {"rcm", RHUMB_ORDER_RCM},
    {"window", RHUMB_ORDER_WINDOW},
    {"bisection", RHUMB_ORDER_BISECTION},
    {0}};

static const choice warm_up_choices[] = {
    {"default", RHUMB_WARM_UP_DEFAULT},
    {"now", RHUMB_WARM_UP_NOW},
    {"none", RHUMB_WARM_UP_NONE},
    {0}};

static const choice *const choices[] = {
    [FIELD_CODES] = codes_choices,
    [FIELD_DUPLICATES] = duplicates_choices,
    [FIELD_DURABILITY] = durability_choices,
    [FIELD_EXPORT_FORMAT] = export_format_choices,
    [FIELD_FUSED] = fused_choices,
    [FIELD_IMPORT_FORMAT] = import_format_choices,
    [FIELD_ORDER] = order_choices,
    [FIELD_WARM_UP] = warm_up_choices,
};

static const field stats_fields[] = {
    {"format_version", FIELD_U32, offsetof(rhumb_index_stats, format_version)},
    {"creator_version", FIELD_U32, offsetof(rhumb_index_stats, creator_version)},
    {"uuid", FIELD_UUID, offsetof(rhumb_index_stats, uuid)},
    {"created_unix_ns", FIELD_U64, offsetof(rhumb_index_stats, created_unix_ns)},
    {"count", FIELD_U64, offsetof(rhumb_index_stats, count)},
    {"slot_count", FIELD_U64, offsetof(rhumb_index_stats, slot_count)},
    {"level_top", FIELD_U32, offsetof(rhumb_index_stats, level_top)},
    {"level_counts", FIELD_LEVELS, offsetof(rhumb_index_stats, level_counts)},
    {"epoch", FIELD_U64, offsetof(rhumb_index_stats, epoch)},
    {"file_bytes", FIELD_U64, offsetof(rhumb_index_stats, file_bytes)},
    {"file_free_bytes", FIELD_U64, offsetof(rhumb_index_stats, file_free_bytes)},
    {"mapping_count", FIELD_U64, offsetof(rhumb_index_stats, mapping_count)},
    {"checkpoint_count", FIELD_U64, offsetof(rhumb_index_stats, checkpoint_count)},
    {"checkpoint_bytes", FIELD_U64, offsetof(rhumb_index_stats, checkpoint_bytes)},
    {"checkpoint_ns", FIELD_U64, offsetof(rhumb_index_stats, checkpoint_ns)},
    {"read_only", FIELD_BOOL, offsetof(rhumb_index_stats, read_only)},
    {"io_backend", FIELD_TEXT, offsetof(rhumb_index_stats, io_backend)},
    {"simd", FIELD_TEXT, offsetof(rhumb_index_stats, simd)},
    {"key_next", FIELD_U64, offsetof(rhumb_index_stats, key_next)},
    {"durability", FIELD_DURABILITY, offsetof(rhumb_index_stats, durability)},
    {"checkpoint_pause_ns", FIELD_U64, offsetof(rhumb_index_stats, checkpoint_pause_ns)},
    {"checkpoint_pause_max_ns", FIELD_U64, offsetof(rhumb_index_stats, checkpoint_pause_max_ns)},
    {"checkpoint_failed_count", FIELD_U64, offsetof(rhumb_index_stats, checkpoint_failed_count)},
    {"checkpoint_failure", FIELD_TEXT, offsetof(rhumb_index_stats, checkpoint_failure)},
    {"lsn", FIELD_U64, offsetof(rhumb_index_stats, lsn)},
    {"durable_lsn", FIELD_U64, offsetof(rhumb_index_stats, durable_lsn)},
    {"log_bytes", FIELD_U64, offsetof(rhumb_index_stats, log_bytes)},
    {"log_sync_count", FIELD_U64, offsetof(rhumb_index_stats, log_sync_count)},
    {"log_synced_count", FIELD_U64, offsetof(rhumb_index_stats, log_synced_count)},
    {"log_pending_count", FIELD_U64, offsetof(rhumb_index_stats, log_pending_count)},
    {"unlinked_count", FIELD_U64, offsetof(rhumb_index_stats, unlinked_count)},
    {"unreachable_count", FIELD_U64, offsetof(rhumb_index_stats, unreachable_count)},
    {"unreachable_lsn", FIELD_U64, offsetof(rhumb_index_stats, unreachable_lsn)},
    {"compacting", FIELD_BOOL, offsetof(rhumb_index_stats, compacting)},
    {"compaction_count", FIELD_U64, offsetof(rhumb_index_stats, compaction_count)},
    {"compaction_dropped_count", FIELD_U64, offsetof(rhumb_index_stats, compaction_dropped_count)},
    {"compaction_carried_count", FIELD_U64, offsetof(rhumb_index_stats, compaction_carried_count)},
    {"compaction_ns", FIELD_U64, offsetof(rhumb_index_stats, compaction_ns)},
    {"compaction_pause_ns", FIELD_U64, offsetof(rhumb_index_stats, compaction_pause_ns)},
    {"compaction_pause_max_ns", FIELD_U64, offsetof(rhumb_index_stats, compaction_pause_max_ns)},
    {"compaction_delay_max_ns", FIELD_U64, offsetof(rhumb_index_stats, compaction_delay_max_ns)},
    {"compaction_failed_count", FIELD_U64, offsetof(rhumb_index_stats, compaction_failed_count)},
    {"compaction_failure", FIELD_TEXT, offsetof(rhumb_index_stats, compaction_failure)},
    {"custom_name", FIELD_TEXT, offsetof(rhumb_index_stats, custom_name)},
    {"process_mapping_count", FIELD_U64, offsetof(rhumb_index_stats, process_mapping_count)},
    {"pin_count", FIELD_U32, offsetof(rhumb_index_stats, pin_count)},
    {"pin_epoch_oldest", FIELD_U64, offsetof(rhumb_index_stats, pin_epoch_oldest)},
    {"warm_up_total_bytes", FIELD_U64, offsetof(rhumb_index_stats, warm_up_total_bytes)},
    {"warm_up_done_bytes", FIELD_U64, offsetof(rhumb_index_stats, warm_up_done_bytes)},
    {"cold", FIELD_BOOL, offsetof(rhumb_index_stats, cold)},
    {"fused_row_count", FIELD_U64, offsetof(rhumb_index_stats, fused_row_count)},
    {"fused_stale_count", FIELD_U64, offsetof(rhumb_index_stats, fused_stale_count)},
    {"fused_renewed_count", FIELD_U64, offsetof(rhumb_index_stats, fused_renewed_count)},
    {0}};

static const field options_fields[] = {
    {"dim", FIELD_U32, offsetof(rhumb_index_options, dim)},
    {"metric", FIELD_METRIC, offsetof(rhumb_index_options, metric)},
    {"element", FIELD_ELEMENT, offsetof(rhumb_index_options, element)},
    {"M", FIELD_U32, offsetof(rhumb_index_options, M)},
    {"M0", FIELD_U32, offsetof(rhumb_index_options, M0)},
    {"ef_construction", FIELD_U32, offsetof(rhumb_index_options, ef_construction)},
    {"ef_search", FIELD_U32, offsetof(rhumb_index_options, ef_search)},
    {"level_max", FIELD_U32, offsetof(rhumb_index_options, level_max)},
    {"level_scale", FIELD_F64, offsetof(rhumb_index_options, level_scale)},
    {"seed", FIELD_U64, offsetof(rhumb_index_options, seed)},
    {"extend_candidates", FIELD_BOOL, offsetof(rhumb_index_options, extend_candidates)},
    {"keep_pruned", FIELD_BOOL, offsetof(rhumb_index_options, keep_pruned)},
    {"normalise", FIELD_BOOL, offsetof(rhumb_index_options, normalise)},
    {"codes", FIELD_CODES, offsetof(rhumb_index_options, codes)},
    {"fused", FIELD_FUSED, offsetof(rhumb_index_options, fused)},
    {0}};

static const field info_fields[] = {
    {"known", FIELD_U32, offsetof(rhumb_index_info, known)},
    {"format_version", FIELD_U32, offsetof(rhumb_index_info, format_version)},
    {"creator_version", FIELD_U32, offsetof(rhumb_index_info, creator_version)},
    {"uuid", FIELD_UUID, offsetof(rhumb_index_info, uuid)},
    {"created_unix_ns", FIELD_U64, offsetof(rhumb_index_info, created_unix_ns)},
    {"epoch", FIELD_U64, offsetof(rhumb_index_info, epoch)},
    {"history", FIELD_U64, offsetof(rhumb_index_info, history)},
    {"log_expected", FIELD_BOOL, offsetof(rhumb_index_info, log_expected)},
    {"dim", FIELD_U32, offsetof(rhumb_index_info, dim)},
    {"metric", FIELD_METRIC, offsetof(rhumb_index_info, metric)},
    {"element", FIELD_ELEMENT, offsetof(rhumb_index_info, element)},
    {"M", FIELD_U32, offsetof(rhumb_index_info, M)},
    {"M0", FIELD_U32, offsetof(rhumb_index_info, M0)},
    {"ef_construction", FIELD_U32, offsetof(rhumb_index_info, ef_construction)},
    {"ef_search", FIELD_U32, offsetof(rhumb_index_info, ef_search)},
    {"level_max", FIELD_U32, offsetof(rhumb_index_info, level_max)},
    {"level_scale", FIELD_F64, offsetof(rhumb_index_info, level_scale)},
    {"seed", FIELD_U64, offsetof(rhumb_index_info, seed)},
    {"extend_candidates", FIELD_BOOL, offsetof(rhumb_index_info, extend_candidates)},
    {"keep_pruned", FIELD_BOOL, offsetof(rhumb_index_info, keep_pruned)},
    {"normalise", FIELD_BOOL, offsetof(rhumb_index_info, normalise)},
    {"custom_name", FIELD_TEXT, offsetof(rhumb_index_info, custom_name)},
    {"count", FIELD_U64, offsetof(rhumb_index_info, count)},
    {"deleted_count", FIELD_U64, offsetof(rhumb_index_info, deleted_count)},
    {"level_top", FIELD_U32, offsetof(rhumb_index_info, level_top)},
    {"lsn", FIELD_U64, offsetof(rhumb_index_info, lsn)},
    {"key_next", FIELD_U64, offsetof(rhumb_index_info, key_next)},
    {"file_bytes", FIELD_U64, offsetof(rhumb_index_info, file_bytes)},
    {"file_free_bytes", FIELD_U64, offsetof(rhumb_index_info, file_free_bytes)},
    {"log_present", FIELD_BOOL, offsetof(rhumb_index_info, log_present)},
    {"log_bytes", FIELD_U64, offsetof(rhumb_index_info, log_bytes)},
    {"log_record_count", FIELD_U64, offsetof(rhumb_index_info, log_record_count)},
    {"log_pending_count", FIELD_U64, offsetof(rhumb_index_info, log_pending_count)},
    {"writer_open", FIELD_BOOL, offsetof(rhumb_index_info, writer_open)},
    {"pins", FIELD_PINS, 0},
    {"damaged_copy_count", FIELD_U32, offsetof(rhumb_index_info, damaged_copy_count)},
    {"problem_count", FIELD_U32, offsetof(rhumb_index_info, problem_count)},
    {"first_problem", FIELD_TEXT, offsetof(rhumb_index_info, first_problem)},
    {"codes", FIELD_CODES, offsetof(rhumb_index_info, codes)},
    {"fused", FIELD_FUSED, offsetof(rhumb_index_info, fused)},
    {0}};

static const field section_fields[] = {
    {"id", FIELD_U32, offsetof(rhumb_section_info, id)},
    {"name", FIELD_TEXT, offsetof(rhumb_section_info, name)},
    {"row_count", FIELD_U64, offsetof(rhumb_section_info, row_count)},
    {"row_bytes", FIELD_U64, offsetof(rhumb_section_info, row_bytes)},
    {"file_bytes", FIELD_U64, offsetof(rhumb_section_info, file_bytes)},
    {"resident_bytes", FIELD_U64, offsetof(rhumb_section_info, resident_bytes)},
    {0}};

static const field verify_fields[] = {
    {"chunk_count", FIELD_U64, offsetof(rhumb_verify_report, chunk_count)},
    {"checksum_error_count", FIELD_U64, offsetof(rhumb_verify_report, checksum_error_count)},
    {"node_count", FIELD_U64, offsetof(rhumb_verify_report, node_count)},
    {"link_count", FIELD_U64, offsetof(rhumb_verify_report, link_count)},
    {"structure_error_count", FIELD_U64, offsetof(rhumb_verify_report, structure_error_count)},
    {"unreachable_count", FIELD_U64, offsetof(rhumb_verify_report, unreachable_count)},
    {"first_error", FIELD_TEXT, offsetof(rhumb_verify_report, first_error)},
    {"log_record_count", FIELD_U64, offsetof(rhumb_verify_report, log_record_count)},
    {"log_error_count", FIELD_U64, offsetof(rhumb_verify_report, log_error_count)},
    {"warning_count", FIELD_U64, offsetof(rhumb_verify_report, warning_count)},
    {"first_warning", FIELD_TEXT, offsetof(rhumb_verify_report, first_warning)},
    {0}};

static const field write_fields[] = {
    {"inserted_count", FIELD_U64, offsetof(rhumb_write_report, inserted_count)},
    {"replaced_count", FIELD_U64, offsetof(rhumb_write_report, replaced_count)},
    {"deleted_count", FIELD_U64, offsetof(rhumb_write_report, deleted_count)},
    {"missing_count", FIELD_U64, offsetof(rhumb_write_report, missing_count)},
    {0}};

static const field compact_fields[] = {
    {"epoch", FIELD_U64, offsetof(rhumb_compact_report, epoch)},
    {"count", FIELD_U64, offsetof(rhumb_compact_report, count)},
    {"dropped_count", FIELD_U64, offsetof(rhumb_compact_report, dropped_count)},
    {"repaired_count", FIELD_U64, offsetof(rhumb_compact_report, repaired_count)},
    {"reconnected_count", FIELD_U64, offsetof(rhumb_compact_report, reconnected_count)},
    {"unreachable_count", FIELD_U64, offsetof(rhumb_compact_report, unreachable_count)},
    {"carried_count", FIELD_U64, offsetof(rhumb_compact_report, carried_count)},
    {"pause_ns", FIELD_U64, offsetof(rhumb_compact_report, pause_ns)},
    {"left_out_count", FIELD_U64, offsetof(rhumb_compact_report, left_out_count)},
    {0}};

static const field merge_fields[] = {
    {"count", FIELD_U64, offsetof(rhumb_merge_report, count)},
    {"dropped_count", FIELD_U64, offsetof(rhumb_merge_report, dropped_count)},
    {"duplicate_count", FIELD_U64, offsetof(rhumb_merge_report, duplicate_count)},
    {"reconnected_count", FIELD_U64, offsetof(rhumb_merge_report, reconnected_count)},
    {"unreachable_count", FIELD_U64, offsetof(rhumb_merge_report, unreachable_count)},
    {0}};

static const field repair_fields[] = {
    {"epoch", FIELD_U64, offsetof(rhumb_repair_report, epoch)},
    {"older_version", FIELD_BOOL, offsetof(rhumb_repair_report, older_version)},
    {"checksums_lost", FIELD_BOOL, offsetof(rhumb_repair_report, checksums_lost)},
    {"chunk_count", FIELD_U64, offsetof(rhumb_repair_report, chunk_count)},
    {"damaged_chunk_count", FIELD_U64, offsetof(rhumb_repair_report, damaged_chunk_count)},
    {"slot_count", FIELD_U64, offsetof(rhumb_repair_report, slot_count)},
    {"dead_count", FIELD_U64, offsetof(rhumb_repair_report, dead_count)},
    {"saved_count", FIELD_U64, offsetof(rhumb_repair_report, saved_count)},
    {"lost_count", FIELD_U64, offsetof(rhumb_repair_report, lost_count)},
    {"lost_vector_count", FIELD_U64, offsetof(rhumb_repair_report, lost_vector_count)},
    {"lost_key_count", FIELD_U64, offsetof(rhumb_repair_report, lost_key_count)},
    {"duplicate_count", FIELD_U64, offsetof(rhumb_repair_report, duplicate_count)},
    {"doubtful_count", FIELD_U64, offsetof(rhumb_repair_report, doubtful_count)},
    {"unproved_count", FIELD_U64, offsetof(rhumb_repair_report, unproved_count)},
    {"lists_rebuilt_count", FIELD_U64, offsetof(rhumb_repair_report, lists_rebuilt_count)},
    {"relinked_count", FIELD_U64, offsetof(rhumb_repair_report, relinked_count)},
    {"log_carried_count", FIELD_U64, offsetof(rhumb_repair_report, log_carried_count)},
    {"log_left_out_count", FIELD_U64, offsetof(rhumb_repair_report, log_left_out_count)},
    {"count", FIELD_U64, offsetof(rhumb_repair_report, count)},
    {"unreachable_count", FIELD_U64, offsetof(rhumb_repair_report, unreachable_count)},
    {"version_note", FIELD_TEXT, offsetof(rhumb_repair_report, version_note)},
    {"first_damage", FIELD_TEXT, offsetof(rhumb_repair_report, first_damage)},
    {"log_note", FIELD_TEXT, offsetof(rhumb_repair_report, log_note)},
    {0}};

static const field topology_fields[] = {
    {"format_version", FIELD_U32, offsetof(rhumb_topology_stats, format_version)},
    {"creator_version", FIELD_U32, offsetof(rhumb_topology_stats, creator_version)},
    {"uuid", FIELD_UUID, offsetof(rhumb_topology_stats, uuid)},
    {"created_unix_ns", FIELD_U64, offsetof(rhumb_topology_stats, created_unix_ns)},
    {"epoch", FIELD_U64, offsetof(rhumb_topology_stats, epoch)},
    {"lsn", FIELD_U64, offsetof(rhumb_topology_stats, lsn)},
    {"metric", FIELD_METRIC, offsetof(rhumb_topology_stats, metric)},
    {"element", FIELD_ELEMENT, offsetof(rhumb_topology_stats, element)},
    {"dim", FIELD_U32, offsetof(rhumb_topology_stats, dim)},
    {"M", FIELD_U32, offsetof(rhumb_topology_stats, M)},
    {"M0", FIELD_U32, offsetof(rhumb_topology_stats, M0)},
    {"all_levels", FIELD_BOOL, offsetof(rhumb_topology_stats, all_levels)},
    {"has_distances", FIELD_BOOL, offsetof(rhumb_topology_stats, has_distances)},
    {"point_count", FIELD_U64, offsetof(rhumb_topology_stats, point_count)},
    {"link_count", FIELD_U64, offsetof(rhumb_topology_stats, link_count)},
    {"file_bytes", FIELD_U64, offsetof(rhumb_topology_stats, file_bytes)},
    {"level_top", FIELD_U32, offsetof(rhumb_topology_stats, level_top)},
    {"level_counts", FIELD_LEVELS, offsetof(rhumb_topology_stats, level_counts)},
    {0}};

static const field import_report_fields[] = {
    {"format", FIELD_IMPORT_FORMAT, offsetof(rhumb_import_report, format)},
    {"metric", FIELD_METRIC, offsetof(rhumb_import_report, metric)},
    {"element", FIELD_ELEMENT, offsetof(rhumb_import_report, element)},
    {"dim", FIELD_U32, offsetof(rhumb_import_report, dim)},
    {"M", FIELD_U32, offsetof(rhumb_import_report, M)},
    {"M0", FIELD_U32, offsetof(rhumb_import_report, M0)},
    {"ef_construction", FIELD_U32, offsetof(rhumb_import_report, ef_construction)},
    {"source_count", FIELD_U64, offsetof(rhumb_import_report, source_count)},
    {"deleted_count", FIELD_U64, offsetof(rhumb_import_report, deleted_count)},
    {"absent_count", FIELD_U64, offsetof(rhumb_import_report, absent_count)},
    {"count", FIELD_U64, offsetof(rhumb_import_report, count)},
    {"has_links", FIELD_BOOL, offsetof(rhumb_import_report, has_links)},
    {"links_used", FIELD_BOOL, offsetof(rhumb_import_report, links_used)},
    {"levels_kept", FIELD_BOOL, offsetof(rhumb_import_report, levels_kept)},
    {"link_count", FIELD_U64, offsetof(rhumb_import_report, link_count)},
    {"broken_link_count", FIELD_U64, offsetof(rhumb_import_report, broken_link_count)},
    {"source_unreachable_count", FIELD_U64, offsetof(rhumb_import_report, source_unreachable_count)},
    {"first_unreachable_key", FIELD_U64, offsetof(rhumb_import_report, first_unreachable_key)},
    {"relinked_count", FIELD_U64, offsetof(rhumb_import_report, relinked_count)},
    {"unreachable_count", FIELD_U64, offsetof(rhumb_import_report, unreachable_count)},
    {"source", FIELD_TEXT, offsetof(rhumb_import_report, source)},
    {"notes", FIELD_TEXT, offsetof(rhumb_import_report, notes)},
    {0}};

static const field recall_curve_fields[] = {
    {"query_count", FIELD_U32, offsetof(rhumb_recall_curve, query_count)},
    {"queries_given", FIELD_BOOL, offsetof(rhumb_recall_curve, queries_given)},
    {"outdated", FIELD_BOOL, offsetof(rhumb_recall_curve, outdated)},
    {"count", FIELD_U64, offsetof(rhumb_recall_curve, count)},
    {"change_count", FIELD_U64, offsetof(rhumb_recall_curve, change_count)},
    {"points", FIELD_POINTS, 0},
    {0}};

static const field open_fields[] = {
    {"read_only", FIELD_BOOL, offsetof(rhumb_open_options, read_only)},
    {"durability", FIELD_DURABILITY, offsetof(rhumb_open_options, durability)},
    {"sync_interval_ms", FIELD_U32, offsetof(rhumb_open_options, sync_interval_ms)},
    {"checkpoint_log_bytes", FIELD_U64, offsetof(rhumb_open_options, checkpoint_log_bytes)},
    {"checkpoint_bytes_per_second", FIELD_U64, offsetof(rhumb_open_options, checkpoint_bytes_per_second)},
    {"discard_log", FIELD_BOOL, offsetof(rhumb_open_options, discard_log)},
    {"compact_dead_share", FIELD_F64, offsetof(rhumb_open_options, compact_dead_share)},
    {"compact_bytes_per_second", FIELD_U64, offsetof(rhumb_open_options, compact_bytes_per_second)},
    {"graph_only", FIELD_BOOL, offsetof(rhumb_open_options, graph_only)},
    {"custom_name", FIELD_TEXT, offsetof(rhumb_open_options, custom_name)},
    {"custom_distance", FIELD_ADDRESS, offsetof(rhumb_open_options, custom_distance)},
    {"immutable", FIELD_BOOL, offsetof(rhumb_open_options, immutable)},
    {"warm_up", FIELD_WARM_UP, offsetof(rhumb_open_options, warm_up)},
    {0}};

static const field compact_options_fields[] = {
    {"thread_count", FIELD_U32, offsetof(rhumb_compact_options, thread_count)},
    {"order", FIELD_ORDER, offsetof(rhumb_compact_options, order)},
    {"second_pass", FIELD_BOOL, offsetof(rhumb_compact_options, second_pass)},
    {"custom_name", FIELD_TEXT, offsetof(rhumb_compact_options, custom_name)},
    {"custom_distance", FIELD_ADDRESS, offsetof(rhumb_compact_options, custom_distance)},
    {"bytes_per_second", FIELD_U64, offsetof(rhumb_compact_options, bytes_per_second)},
    {"background", FIELD_BOOL, offsetof(rhumb_compact_options, background)},
    {"shrink", FIELD_BOOL, offsetof(rhumb_compact_options, shrink)},
    {"codes", FIELD_CODES, offsetof(rhumb_compact_options, codes)},
    {"fused", FIELD_FUSED, offsetof(rhumb_compact_options, fused)},
    {0}};

static const field merge_options_fields[] = {
    {"thread_count", FIELD_U32, offsetof(rhumb_merge_options, thread_count)},
    {"duplicates", FIELD_DUPLICATES, offsetof(rhumb_merge_options, duplicates)},
    {"custom_name", FIELD_TEXT, offsetof(rhumb_merge_options, custom_name)},
    {"custom_distance", FIELD_ADDRESS, offsetof(rhumb_merge_options, custom_distance)},
    {"M", FIELD_U32, offsetof(rhumb_merge_options, M)},
    {"M0", FIELD_U32, offsetof(rhumb_merge_options, M0)},
    {"ef_construction", FIELD_U32, offsetof(rhumb_merge_options, ef_construction)},
    {"codes", FIELD_CODES, offsetof(rhumb_merge_options, codes)},
    {"fused", FIELD_FUSED, offsetof(rhumb_merge_options, fused)},
    {0}};

static const field import_options_fields[] = {
    {"format", FIELD_IMPORT_FORMAT, offsetof(rhumb_import_options, format)},
    {"metric", FIELD_METRIC, offsetof(rhumb_import_options, metric)},
    {"element", FIELD_ELEMENT, offsetof(rhumb_import_options, element)},
    {"dim", FIELD_U32, offsetof(rhumb_import_options, dim)},
    {"M", FIELD_U32, offsetof(rhumb_import_options, M)},
    {"ef_construction", FIELD_U32, offsetof(rhumb_import_options, ef_construction)},
    {"codes", FIELD_CODES, offsetof(rhumb_import_options, codes)},
    {"renumber", FIELD_BOOL, offsetof(rhumb_import_options, renumber)},
    {"first_key", FIELD_U64, offsetof(rhumb_import_options, first_key)},
    {"ignore_links", FIELD_BOOL, offsetof(rhumb_import_options, ignore_links)},
    {"thread_count", FIELD_U32, offsetof(rhumb_import_options, thread_count)},
    {0}};

static const field export_options_fields[] = {
    {"format", FIELD_EXPORT_FORMAT, offsetof(rhumb_export_options, format)},
    {0}};
