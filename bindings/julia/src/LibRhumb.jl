# LibRhumb.jl - the C interface as it is: constants, structs and functions, named as in the headers.
# Made by tools/c_api.py from include/; not to be edited.

module LibRhumb

const library = "librhumb.so.0"

const RHUMB_DIM_MAX = UInt32(65535)
const RHUMB_INFO_PID_COUNT_MAX = UInt32(8)
const RHUMB_INFO_PIN_COUNT_MAX = UInt32(16)
const RHUMB_KEY_NONE = UInt64(0xffffffffffffffff)
const RHUMB_LEVELS_ALL = UInt32(0xffffffff)
const RHUMB_LEVEL_MAX = UInt32(16)
const RHUMB_METADATA_BYTES_MAX = UInt32(3072)
const RHUMB_M_MAX = UInt32(256)
const RHUMB_RECALL_POINT_MAX = UInt32(64)
const RHUMB_RECALL_QUERY_COUNT_MAX = UInt32(65535)
const RHUMB_SECTION_COUNT_MAX = UInt32(64)

const RHUMB_CODES_DEFAULT = UInt32(0)
const RHUMB_CODES_NONE = UInt32(1)
const RHUMB_CODES_4BIT = UInt32(4)
const RHUMB_CODES_8BIT = UInt32(8)
const rhumb_codes_texts = Dict{Symbol,UInt32}(
    :default => RHUMB_CODES_DEFAULT, :none => RHUMB_CODES_NONE, Symbol("4bit") => RHUMB_CODES_4BIT,
    Symbol("8bit") => RHUMB_CODES_8BIT,
)

const RHUMB_DUPLICATES_DEFAULT = UInt32(0)
const RHUMB_DUPLICATES_ERROR = UInt32(1)
const RHUMB_DUPLICATES_FIRST = UInt32(2)
const RHUMB_DUPLICATES_LAST = UInt32(3)
const rhumb_duplicates_texts = Dict{Symbol,UInt32}(
    :default => RHUMB_DUPLICATES_DEFAULT, :error => RHUMB_DUPLICATES_ERROR, :first => RHUMB_DUPLICATES_FIRST,
    :last => RHUMB_DUPLICATES_LAST,
)

const RHUMB_DURABILITY_FULL = UInt32(0)
const RHUMB_DURABILITY_INTERVAL = UInt32(1)
const RHUMB_DURABILITY_NONE = UInt32(2)
const rhumb_durability_texts = Dict{Symbol,UInt32}(
    :full => RHUMB_DURABILITY_FULL, :interval => RHUMB_DURABILITY_INTERVAL, :none => RHUMB_DURABILITY_NONE,
)

const RHUMB_ELEMENT_F32 = UInt32(1)
const RHUMB_ELEMENT_F64 = UInt32(2)
const RHUMB_ELEMENT_F16 = UInt32(3)
const RHUMB_ELEMENT_BF16 = UInt32(4)
const RHUMB_ELEMENT_I8 = UInt32(5)
const RHUMB_ELEMENT_U8 = UInt32(6)
const RHUMB_ELEMENT_I16 = UInt32(7)
const RHUMB_ELEMENT_U16 = UInt32(8)
const RHUMB_ELEMENT_I32 = UInt32(9)
const RHUMB_ELEMENT_U32 = UInt32(10)
const RHUMB_ELEMENT_I64 = UInt32(11)
const RHUMB_ELEMENT_U64 = UInt32(12)
const RHUMB_ELEMENT_B1 = UInt32(13)
const rhumb_element_texts = Dict{Symbol,UInt32}(
    :f32 => RHUMB_ELEMENT_F32, :f64 => RHUMB_ELEMENT_F64, :f16 => RHUMB_ELEMENT_F16, :bf16 => RHUMB_ELEMENT_BF16,
    :i8 => RHUMB_ELEMENT_I8, :u8 => RHUMB_ELEMENT_U8, :i16 => RHUMB_ELEMENT_I16, :u16 => RHUMB_ELEMENT_U16,
    :i32 => RHUMB_ELEMENT_I32, :u32 => RHUMB_ELEMENT_U32, :i64 => RHUMB_ELEMENT_I64, :u64 => RHUMB_ELEMENT_U64,
    :b1 => RHUMB_ELEMENT_B1,
)

const RHUMB_EXPORT_DEFAULT = UInt32(0)
const RHUMB_EXPORT_HNSWLIB = UInt32(1)
const rhumb_export_format_texts = Dict{Symbol,UInt32}(
    :default => RHUMB_EXPORT_DEFAULT, :hnswlib => RHUMB_EXPORT_HNSWLIB,
)

const RHUMB_FILTER_KEYS = UInt32(1)
const RHUMB_FILTER_BITMAP = UInt32(2)
const RHUMB_FILTER_CALLBACK = UInt32(3)
const rhumb_filter_kind_texts = Dict{Symbol,UInt32}(
    :keys => RHUMB_FILTER_KEYS, :bitmap => RHUMB_FILTER_BITMAP, :callback => RHUMB_FILTER_CALLBACK,
)

const RHUMB_FILTER_PLAN_AUTO = UInt32(0)
const RHUMB_FILTER_PLAN_EXACT = UInt32(1)
const RHUMB_FILTER_PLAN_BRIDGE = UInt32(2)
const RHUMB_FILTER_PLAN_WALK = UInt32(3)
const rhumb_filter_plan_texts = Dict{Symbol,UInt32}(
    :auto => RHUMB_FILTER_PLAN_AUTO, :exact => RHUMB_FILTER_PLAN_EXACT, :bridge => RHUMB_FILTER_PLAN_BRIDGE,
    :walk => RHUMB_FILTER_PLAN_WALK,
)

const RHUMB_FUSED_DEFAULT = UInt32(0)
const RHUMB_FUSED_1BIT = UInt32(1)
const RHUMB_FUSED_2BIT = UInt32(2)
const RHUMB_FUSED_NONE = UInt32(3)
const rhumb_fused_texts = Dict{Symbol,UInt32}(
    :default => RHUMB_FUSED_DEFAULT, Symbol("1bit") => RHUMB_FUSED_1BIT, Symbol("2bit") => RHUMB_FUSED_2BIT,
    :none => RHUMB_FUSED_NONE,
)

const RHUMB_IMPORT_AUTO = UInt32(0)
const RHUMB_IMPORT_HNSWLIB = UInt32(1)
const RHUMB_IMPORT_CHROMA = UInt32(2)
const RHUMB_IMPORT_VOYAGER = UInt32(3)
const RHUMB_IMPORT_FAISS = UInt32(4)
const RHUMB_IMPORT_USEARCH = UInt32(5)
const RHUMB_IMPORT_HNSW_RS = UInt32(6)
const RHUMB_IMPORT_ANNOY = UInt32(7)
const rhumb_import_format_texts = Dict{Symbol,UInt32}(
    :auto => RHUMB_IMPORT_AUTO, :hnswlib => RHUMB_IMPORT_HNSWLIB, :chroma => RHUMB_IMPORT_CHROMA,
    :voyager => RHUMB_IMPORT_VOYAGER, :faiss => RHUMB_IMPORT_FAISS, :usearch => RHUMB_IMPORT_USEARCH,
    :hnsw_rs => RHUMB_IMPORT_HNSW_RS, :annoy => RHUMB_IMPORT_ANNOY,
)

const RHUMB_INFO_VERSION = UInt32(1)
const RHUMB_INFO_CONTENT = UInt32(2)
const RHUMB_INFO_SPACE = UInt32(4)
const RHUMB_INFO_LOG = UInt32(8)
const RHUMB_INFO_WRITER = UInt32(16)
const RHUMB_INFO_PINS = UInt32(32)
const rhumb_info_known_texts = Dict{Symbol,UInt32}(
    :version => RHUMB_INFO_VERSION, :content => RHUMB_INFO_CONTENT, :space => RHUMB_INFO_SPACE,
    :log => RHUMB_INFO_LOG, :writer => RHUMB_INFO_WRITER, :pins => RHUMB_INFO_PINS,
)

const RHUMB_LOG_ERROR = UInt32(1)
const RHUMB_LOG_WARNING = UInt32(2)
const RHUMB_LOG_INFO = UInt32(3)
const RHUMB_LOG_DEBUG = UInt32(4)
const rhumb_log_level_texts = Dict{Symbol,UInt32}(
    :error => RHUMB_LOG_ERROR, :warning => RHUMB_LOG_WARNING, :info => RHUMB_LOG_INFO, :debug => RHUMB_LOG_DEBUG,
)

const RHUMB_METRIC_L2SQ = UInt32(1)
const RHUMB_METRIC_L2 = UInt32(2)
const RHUMB_METRIC_IP = UInt32(3)
const RHUMB_METRIC_COSINE = UInt32(4)
const RHUMB_METRIC_L1 = UInt32(5)
const RHUMB_METRIC_HAMMING = UInt32(6)
const RHUMB_METRIC_JACCARD = UInt32(7)
const RHUMB_METRIC_HELLINGER = UInt32(8)
const RHUMB_METRIC_JEFFREYS = UInt32(9)
const RHUMB_METRIC_JENSEN_SHANNON = UInt32(10)
const RHUMB_METRIC_LEVENSHTEIN = UInt32(11)
const RHUMB_METRIC_CUSTOM = UInt32(12)
const rhumb_metric_texts = Dict{Symbol,UInt32}(
    :l2sq => RHUMB_METRIC_L2SQ, :l2 => RHUMB_METRIC_L2, :ip => RHUMB_METRIC_IP, :cosine => RHUMB_METRIC_COSINE,
    :l1 => RHUMB_METRIC_L1, :hamming => RHUMB_METRIC_HAMMING, :jaccard => RHUMB_METRIC_JACCARD,
    :hellinger => RHUMB_METRIC_HELLINGER, :jeffreys => RHUMB_METRIC_JEFFREYS,
    :jensen_shannon => RHUMB_METRIC_JENSEN_SHANNON, :levenshtein => RHUMB_METRIC_LEVENSHTEIN,
    :custom => RHUMB_METRIC_CUSTOM,
)

const RHUMB_ORDER_DEFAULT = UInt32(0)
const RHUMB_ORDER_KEEP = UInt32(1)
const RHUMB_ORDER_BREADTH = UInt32(2)
const RHUMB_ORDER_RCM = UInt32(3)
const RHUMB_ORDER_WINDOW = UInt32(4)
const RHUMB_ORDER_BISECTION = UInt32(5)
const rhumb_order_texts = Dict{Symbol,UInt32}(
    :default => RHUMB_ORDER_DEFAULT, :keep => RHUMB_ORDER_KEEP, :breadth => RHUMB_ORDER_BREADTH,
    :rcm => RHUMB_ORDER_RCM, :window => RHUMB_ORDER_WINDOW, :bisection => RHUMB_ORDER_BISECTION,
)

const RHUMB_OK = Int32(0)
const RHUMB_E_INVALID = Int32(-1)
const RHUMB_E_NOMEM = Int32(-2)
const RHUMB_E_IO = Int32(-3)
const RHUMB_E_NOSPACE = Int32(-4)
const RHUMB_E_FULL = Int32(-5)
const RHUMB_E_CANCELLED = Int32(-6)
const RHUMB_E_UNSUPPORTED = Int32(-7)
const RHUMB_E_CORRUPT = Int32(-10)
const RHUMB_E_VERSION = Int32(-11)
const RHUMB_E_TRUNCATED = Int32(-12)
const RHUMB_E_NOT_AN_INDEX = Int32(-13)
const RHUMB_E_LOG = Int32(-14)
const RHUMB_E_LOCKED = Int32(-20)
const RHUMB_E_READONLY = Int32(-21)
const RHUMB_E_STALE = Int32(-22)
const RHUMB_E_FORKED = Int32(-23)
const RHUMB_E_FATAL = Int32(-30)
const RHUMB_E_NOTFOUND = Int32(-40)
const RHUMB_E_EXISTS = Int32(-41)
const RHUMB_E_NOT_FINITE = Int32(-50)
const RHUMB_E_DOMAIN = Int32(-51)
const RHUMB_E_METRIC = Int32(-52)
const rhumb_status_texts = Dict{Symbol,Int32}(
    :ok => RHUMB_OK, :e_invalid => RHUMB_E_INVALID, :e_nomem => RHUMB_E_NOMEM, :e_io => RHUMB_E_IO,
    :e_nospace => RHUMB_E_NOSPACE, :e_full => RHUMB_E_FULL, :e_cancelled => RHUMB_E_CANCELLED,
    :e_unsupported => RHUMB_E_UNSUPPORTED, :e_corrupt => RHUMB_E_CORRUPT, :e_version => RHUMB_E_VERSION,
    :e_truncated => RHUMB_E_TRUNCATED, :e_not_an_index => RHUMB_E_NOT_AN_INDEX, :e_log => RHUMB_E_LOG,
    :e_locked => RHUMB_E_LOCKED, :e_readonly => RHUMB_E_READONLY, :e_stale => RHUMB_E_STALE,
    :e_forked => RHUMB_E_FORKED, :e_fatal => RHUMB_E_FATAL, :e_notfound => RHUMB_E_NOTFOUND,
    :e_exists => RHUMB_E_EXISTS, :e_not_finite => RHUMB_E_NOT_FINITE, :e_domain => RHUMB_E_DOMAIN,
    :e_metric => RHUMB_E_METRIC,
)

const RHUMB_WARM_UP_DEFAULT = UInt32(0)
const RHUMB_WARM_UP_NOW = UInt32(1)
const RHUMB_WARM_UP_NONE = UInt32(2)
const rhumb_warm_up_texts = Dict{Symbol,UInt32}(
    :default => RHUMB_WARM_UP_DEFAULT, :now => RHUMB_WARM_UP_NOW, :none => RHUMB_WARM_UP_NONE,
)

const RHUMB_WRITE_INSERT = UInt32(1)
const RHUMB_WRITE_UPSERT = UInt32(2)
const RHUMB_WRITE_DELETE = UInt32(3)
const rhumb_write_kind_texts = Dict{Symbol,UInt32}(
    :insert => RHUMB_WRITE_INSERT, :upsert => RHUMB_WRITE_UPSERT, :delete => RHUMB_WRITE_DELETE,
)

mutable struct rhumb_batch_options
    size::Csize_t
    thread_count::UInt32
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    partial::Bool
    rhumb_batch_options() = new()
end

mutable struct rhumb_compact_options
    size::Csize_t
    thread_count::UInt32
    order::UInt32
    second_pass::Bool
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    custom_name::Ptr{UInt8}
    custom_distance::Ptr{Cvoid}
    custom_context::Ptr{Cvoid}
    bytes_per_second::UInt64
    background::Bool
    shrink::Bool
    filter::Ptr{Cvoid}
    codes::UInt32
    fused::UInt32
    rhumb_compact_options() = new()
end

mutable struct rhumb_compact_report
    size::Csize_t
    epoch::UInt64
    count::UInt64
    dropped_count::UInt64
    repaired_count::UInt64
    reconnected_count::UInt64
    unreachable_count::UInt64
    carried_count::UInt64
    pause_ns::UInt64
    left_out_count::UInt64
    rhumb_compact_report() = new()
end

struct rhumb_error
    status::Int32
    os_errno::Int32
    file_offset::UInt64
    path::NTuple{256,UInt8}
    message::NTuple{512,UInt8}
end

mutable struct rhumb_export_options
    size::Csize_t
    format::UInt32
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    rhumb_export_options() = new()
end

mutable struct rhumb_filter
    size::Csize_t
    kind::UInt32
    negate::Bool
    keys::Ptr{Cvoid}
    key_count::Csize_t
    bitmap::Ptr{Cvoid}
    bitmap_bit_count::UInt64
    bitmap_key_base::UInt64
    matches::Ptr{Cvoid}
    context::Ptr{Cvoid}
    plan::UInt32
    rhumb_filter() = new()
end

mutable struct rhumb_import_options
    size::Csize_t
    format::UInt32
    metric::UInt32
    element::UInt32
    dim::UInt32
    M::UInt32
    ef_construction::UInt32
    codes::UInt32
    renumber::Bool
    first_key::UInt64
    ignore_links::Bool
    thread_count::UInt32
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    rhumb_import_options() = new()
end

mutable struct rhumb_import_report
    size::Csize_t
    format::UInt32
    metric::UInt32
    element::UInt32
    dim::UInt32
    M::UInt32
    M0::UInt32
    ef_construction::UInt32
    source_count::UInt64
    deleted_count::UInt64
    absent_count::UInt64
    count::UInt64
    has_links::Bool
    links_used::Bool
    levels_kept::Bool
    link_count::UInt64
    broken_link_count::UInt64
    source_unreachable_count::UInt64
    first_unreachable_key::UInt64
    relinked_count::UInt64
    unreachable_count::UInt64
    source::NTuple{96,UInt8}
    notes::NTuple{1024,UInt8}
    rhumb_import_report() = new()
end

mutable struct rhumb_index_info
    size::Csize_t
    known::UInt32
    format_version::UInt32
    creator_version::UInt32
    uuid::NTuple{16,UInt8}
    created_unix_ns::UInt64
    epoch::UInt64
    history::UInt64
    log_expected::Bool
    dim::UInt32
    metric::UInt32
    element::UInt32
    M::UInt32
    M0::UInt32
    ef_construction::UInt32
    ef_search::UInt32
    level_max::UInt32
    level_scale::Float64
    seed::UInt64
    extend_candidates::Bool
    keep_pruned::Bool
    normalise::Bool
    custom_name::NTuple{64,UInt8}
    count::UInt64
    deleted_count::UInt64
    level_top::UInt32
    lsn::UInt64
    key_next::UInt64
    file_bytes::UInt64
    file_free_bytes::UInt64
    log_present::Bool
    log_bytes::UInt64
    log_record_count::UInt64
    log_pending_count::UInt64
    writer_open::Bool
    pin_count::UInt32
    pin_epochs::NTuple{16,UInt64}
    pin_reader_counts::NTuple{16,UInt32}
    pin_pid_counts::NTuple{16,UInt32}
    pin_pids::NTuple{128,Int32}
    damaged_copy_count::UInt32
    problem_count::UInt32
    first_problem::NTuple{512,UInt8}
    codes::UInt32
    fused::UInt32
    rhumb_index_info() = new()
end

mutable struct rhumb_index_options
    size::Csize_t
    dim::UInt32
    metric::UInt32
    element::UInt32
    M::UInt32
    M0::UInt32
    ef_construction::UInt32
    ef_search::UInt32
    level_max::UInt32
    level_scale::Float64
    seed::UInt64
    extend_candidates::Bool
    keep_pruned::Bool
    normalise::Bool
    open::Ptr{Cvoid}
    codes::UInt32
    fused::UInt32
    rhumb_index_options() = new()
end

mutable struct rhumb_index_stats
    size::Csize_t
    format_version::UInt32
    creator_version::UInt32
    uuid::NTuple{16,UInt8}
    created_unix_ns::UInt64
    count::UInt64
    slot_count::UInt64
    level_top::UInt32
    level_counts::NTuple{17,UInt64}
    epoch::UInt64
    file_bytes::UInt64
    file_free_bytes::UInt64
    mapping_count::UInt64
    checkpoint_count::UInt64
    checkpoint_bytes::UInt64
    checkpoint_ns::UInt64
    read_only::Bool
    io_backend::NTuple{16,UInt8}
    simd::NTuple{16,UInt8}
    key_next::UInt64
    durability::UInt32
    checkpoint_pause_ns::UInt64
    checkpoint_pause_max_ns::UInt64
    checkpoint_failed_count::UInt64
    checkpoint_failure::NTuple{256,UInt8}
    lsn::UInt64
    durable_lsn::UInt64
    log_bytes::UInt64
    log_sync_count::UInt64
    log_synced_count::UInt64
    log_pending_count::UInt64
    unlinked_count::UInt64
    unreachable_count::UInt64
    unreachable_lsn::UInt64
    compacting::Bool
    compaction_count::UInt64
    compaction_dropped_count::UInt64
    compaction_carried_count::UInt64
    compaction_ns::UInt64
    compaction_pause_ns::UInt64
    compaction_pause_max_ns::UInt64
    compaction_delay_max_ns::UInt64
    compaction_failed_count::UInt64
    compaction_failure::NTuple{256,UInt8}
    custom_name::NTuple{64,UInt8}
    process_mapping_count::UInt64
    pin_count::UInt32
    pin_epoch_oldest::UInt64
    warm_up_total_bytes::UInt64
    warm_up_done_bytes::UInt64
    cold::Bool
    fused_row_count::UInt64
    fused_stale_count::UInt64
    fused_renewed_count::UInt64
    rhumb_index_stats() = new()
end

mutable struct rhumb_merge_options
    size::Csize_t
    thread_count::UInt32
    duplicates::UInt32
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    custom_name::Ptr{UInt8}
    custom_distance::Ptr{Cvoid}
    custom_context::Ptr{Cvoid}
    M::UInt32
    M0::UInt32
    ef_construction::UInt32
    codes::UInt32
    fused::UInt32
    rhumb_merge_options() = new()
end

mutable struct rhumb_merge_report
    size::Csize_t
    count::UInt64
    dropped_count::UInt64
    duplicate_count::UInt64
    reconnected_count::UInt64
    unreachable_count::UInt64
    rhumb_merge_report() = new()
end

mutable struct rhumb_open_options
    size::Csize_t
    read_only::Bool
    durability::UInt32
    sync_interval_ms::UInt32
    checkpoint_log_bytes::UInt64
    checkpoint_bytes_per_second::UInt64
    discard_log::Bool
    compact_dead_share::Float64
    compact_bytes_per_second::UInt64
    graph_only::Bool
    custom_name::Ptr{UInt8}
    custom_distance::Ptr{Cvoid}
    custom_context::Ptr{Cvoid}
    immutable::Bool
    warm_up::UInt32
    rhumb_open_options() = new()
end

mutable struct rhumb_recall_curve
    size::Csize_t
    query_count::UInt32
    queries_given::Bool
    outdated::Bool
    count::UInt64
    change_count::UInt64
    point_count::UInt32
    k::NTuple{64,UInt32}
    ef::NTuple{64,UInt32}
    recall::NTuple{64,Float64}
    rhumb_recall_curve() = new()
end

mutable struct rhumb_recall_options
    size::Csize_t
    queries::Ptr{Cvoid}
    query_count::Csize_t
    seed::UInt64
    thread_count::UInt32
    dry_run::Bool
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    rhumb_recall_options() = new()
end

mutable struct rhumb_repair_options
    size::Csize_t
    thread_count::UInt32
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    strict::Bool
    custom_name::Ptr{UInt8}
    custom_distance::Ptr{Cvoid}
    custom_context::Ptr{Cvoid}
    rhumb_repair_options() = new()
end

mutable struct rhumb_repair_report
    size::Csize_t
    epoch::UInt64
    older_version::Bool
    checksums_lost::Bool
    chunk_count::UInt64
    damaged_chunk_count::UInt64
    slot_count::UInt64
    dead_count::UInt64
    saved_count::UInt64
    lost_count::UInt64
    lost_vector_count::UInt64
    lost_key_count::UInt64
    duplicate_count::UInt64
    doubtful_count::UInt64
    unproved_count::UInt64
    lists_rebuilt_count::UInt64
    relinked_count::UInt64
    log_carried_count::UInt64
    log_left_out_count::UInt64
    count::UInt64
    unreachable_count::UInt64
    version_note::NTuple{512,UInt8}
    first_damage::NTuple{512,UInt8}
    log_note::NTuple{512,UInt8}
    rhumb_repair_report() = new()
end

mutable struct rhumb_search_options
    size::Csize_t
    ef_search::UInt32
    thread_count::UInt32
    filter::Ptr{Cvoid}
    filters::Ptr{Cvoid}
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    recall::Float64
    rhumb_search_options() = new()
end

mutable struct rhumb_section_info
    size::Csize_t
    id::UInt32
    name::NTuple{28,UInt8}
    row_count::UInt64
    row_bytes::UInt64
    file_bytes::UInt64
    resident_bytes::UInt64
    rhumb_section_info() = new()
end

struct rhumb_sequence
    elements::Ptr{Cvoid}
    length::UInt32
end

mutable struct rhumb_topology_arrays
    size::Csize_t
    point_count::UInt64
    link_count::UInt64
    keys::Ptr{Cvoid}
    starts::Ptr{Cvoid}
    levels::Ptr{Cvoid}
    neighbours::Ptr{Cvoid}
    distances::Ptr{Cvoid}
    rhumb_topology_arrays() = new()
end

mutable struct rhumb_topology_options
    size::Csize_t
    all_levels::Bool
    with_distances::Bool
    thread_count::UInt32
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    rhumb_topology_options() = new()
end

mutable struct rhumb_topology_report
    size::Csize_t
    chunk_count::UInt64
    checksum_error_count::UInt64
    structure_error_count::UInt64
    first_error::NTuple{512,UInt8}
    rhumb_topology_report() = new()
end

mutable struct rhumb_topology_stats
    size::Csize_t
    format_version::UInt32
    creator_version::UInt32
    uuid::NTuple{16,UInt8}
    created_unix_ns::UInt64
    epoch::UInt64
    lsn::UInt64
    metric::UInt32
    element::UInt32
    dim::UInt32
    M::UInt32
    M0::UInt32
    all_levels::Bool
    has_distances::Bool
    point_count::UInt64
    link_count::UInt64
    file_bytes::UInt64
    level_top::UInt32
    level_counts::NTuple{17,UInt64}
    rhumb_topology_stats() = new()
end

mutable struct rhumb_verify_options
    size::Csize_t
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    rhumb_verify_options() = new()
end

mutable struct rhumb_verify_report
    size::Csize_t
    chunk_count::UInt64
    checksum_error_count::UInt64
    node_count::UInt64
    link_count::UInt64
    structure_error_count::UInt64
    unreachable_count::UInt64
    first_error::NTuple{512,UInt8}
    log_record_count::UInt64
    log_error_count::UInt64
    warning_count::UInt64
    first_warning::NTuple{512,UInt8}
    rhumb_verify_report() = new()
end

struct rhumb_write
    kind::UInt32
    reserved::UInt32
    key::UInt64
    vector::Ptr{Cvoid}
end

mutable struct rhumb_write_report
    size::Csize_t
    inserted_count::UInt64
    replaced_count::UInt64
    deleted_count::UInt64
    missing_count::UInt64
    rhumb_write_report() = new()
end

const choices = Dict{Tuple{DataType,Symbol},Dict{Symbol,UInt32}}(
    (rhumb_index_options, :metric) => rhumb_metric_texts,
    (rhumb_index_options, :element) => rhumb_element_texts,
    (rhumb_index_options, :codes) => rhumb_codes_texts,
    (rhumb_index_options, :fused) => rhumb_fused_texts,
    (rhumb_open_options, :durability) => rhumb_durability_texts,
    (rhumb_open_options, :warm_up) => rhumb_warm_up_texts,
    (rhumb_import_options, :format) => rhumb_import_format_texts,
    (rhumb_import_options, :metric) => rhumb_metric_texts,
    (rhumb_import_options, :element) => rhumb_element_texts,
    (rhumb_import_options, :codes) => rhumb_codes_texts,
    (rhumb_import_report, :format) => rhumb_import_format_texts,
    (rhumb_import_report, :metric) => rhumb_metric_texts,
    (rhumb_import_report, :element) => rhumb_element_texts,
    (rhumb_export_options, :format) => rhumb_export_format_texts,
    (rhumb_filter, :kind) => rhumb_filter_kind_texts,
    (rhumb_filter, :plan) => rhumb_filter_plan_texts,
    (rhumb_index_stats, :durability) => rhumb_durability_texts,
    (rhumb_index_info, :metric) => rhumb_metric_texts,
    (rhumb_index_info, :element) => rhumb_element_texts,
    (rhumb_index_info, :codes) => rhumb_codes_texts,
    (rhumb_index_info, :fused) => rhumb_fused_texts,
    (rhumb_topology_stats, :metric) => rhumb_metric_texts,
    (rhumb_topology_stats, :element) => rhumb_element_texts,
    (rhumb_compact_options, :order) => rhumb_order_texts,
    (rhumb_compact_options, :codes) => rhumb_codes_texts,
    (rhumb_compact_options, :fused) => rhumb_fused_texts,
    (rhumb_merge_options, :duplicates) => rhumb_duplicates_texts,
    (rhumb_merge_options, :codes) => rhumb_codes_texts,
    (rhumb_merge_options, :fused) => rhumb_fused_texts,
)

rhumb_batch_options_init(options, size) =
    ccall((:rhumb_batch_options_init, library), Cvoid, (Ref{rhumb_batch_options}, Csize_t), options, size)

rhumb_compact_options_init(options, size) =
    ccall((:rhumb_compact_options_init, library), Cvoid, (Ref{rhumb_compact_options}, Csize_t), options, size)

rhumb_element_bits(element) =
    ccall((:rhumb_element_bits, library), UInt32, (UInt32,), element)

rhumb_element_convert(from, source, to, target, count) =
    ccall((:rhumb_element_convert, library), Csize_t, (UInt32, Ptr{Cvoid}, UInt32, Ptr{Cvoid}, Csize_t),
          from, source, to, target, count)

rhumb_element_from_name(name) =
    ccall((:rhumb_element_from_name, library), UInt32, (Cstring,), name)

rhumb_element_is_float(element) =
    ccall((:rhumb_element_is_float, library), Bool, (UInt32,), element)

rhumb_element_name(element) =
    ccall((:rhumb_element_name, library), Cstring, (UInt32,), element)

rhumb_error_last() =
    ccall((:rhumb_error_last, library), Ptr{rhumb_error}, ())

rhumb_export_options_init(options, size) =
    ccall((:rhumb_export_options_init, library), Cvoid, (Ref{rhumb_export_options}, Csize_t), options, size)

rhumb_filter_init(filter, size) =
    ccall((:rhumb_filter_init, library), Cvoid, (Ref{rhumb_filter}, Csize_t), filter, size)

rhumb_format_version() =
    ccall((:rhumb_format_version, library), UInt32, ())

rhumb_import_format_from_name(name) =
    ccall((:rhumb_import_format_from_name, library), UInt32, (Cstring,), name)

rhumb_import_format_name(format) =
    ccall((:rhumb_import_format_name, library), Cstring, (UInt32,), format)

rhumb_import_options_init(options, size) =
    ccall((:rhumb_import_options_init, library), Cvoid, (Ref{rhumb_import_options}, Csize_t), options, size)

rhumb_index_checkpoint(index) =
    ccall((:rhumb_index_checkpoint, library), Int32, (Ptr{Cvoid},), index)

rhumb_index_close(index) =
    ccall((:rhumb_index_close, library), Int32, (Ptr{Cvoid},), index)

rhumb_index_compact(index, options, report, report_size) =
    ccall((:rhumb_index_compact, library), Int32,
          (Ptr{Cvoid}, Ref{rhumb_compact_options}, Ref{rhumb_compact_report}, Csize_t),
          index, options, report, report_size)

rhumb_index_compact_cancel(index) =
    ccall((:rhumb_index_compact_cancel, library), Int32, (Ptr{Cvoid},), index)

rhumb_index_compact_into(path, new_path, options, report, report_size) =
    ccall((:rhumb_index_compact_into, library), Int32,
          (Cstring, Cstring, Ref{rhumb_compact_options}, Ref{rhumb_compact_report}, Csize_t),
          path, new_path, options, report, report_size)

rhumb_index_contains(index, key, found) =
    ccall((:rhumb_index_contains, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{Bool}), index, key, found)

rhumb_index_count(index) =
    ccall((:rhumb_index_count, library), UInt64, (Ptr{Cvoid},), index)

rhumb_index_create(path, options, index_out) =
    ccall((:rhumb_index_create, library), Int32, (Cstring, Ref{rhumb_index_options}, Ptr{Ptr{Cvoid}}),
          path, options, index_out)

rhumb_index_delete(index, key) =
    ccall((:rhumb_index_delete, library), Int32, (Ptr{Cvoid}, UInt64), index, key)

rhumb_index_delete_batch(index, keys, count, options, report, report_size) =
    ccall((:rhumb_index_delete_batch, library), Int32,
          (Ptr{Cvoid}, Ptr{UInt64}, Csize_t, Ref{rhumb_batch_options}, Ref{rhumb_write_report}, Csize_t),
          index, keys, count, options, report, report_size)

rhumb_index_durable_lsn(index) =
    ccall((:rhumb_index_durable_lsn, library), UInt64, (Ptr{Cvoid},), index)

rhumb_index_export(index, path, options) =
    ccall((:rhumb_index_export, library), Int32, (Ptr{Cvoid}, Cstring, Ref{rhumb_export_options}), index, path, options)

rhumb_index_get_vector(index, key, vector) =
    ccall((:rhumb_index_get_vector, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{Cvoid}), index, key, vector)

rhumb_index_hot_pages_save(index) =
    ccall((:rhumb_index_hot_pages_save, library), Int32, (Ptr{Cvoid},), index)

rhumb_index_import(path, new_path, options, report, report_size) =
    ccall((:rhumb_index_import, library), Int32,
          (Cstring, Cstring, Ref{rhumb_import_options}, Ref{rhumb_import_report}, Csize_t),
          path, new_path, options, report, report_size)

rhumb_index_info_get(path, info, size) =
    ccall((:rhumb_index_info_get, library), Int32, (Cstring, Ref{rhumb_index_info}, Csize_t), path, info, size)

rhumb_index_insert(index, key, vector) =
    ccall((:rhumb_index_insert, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{Cvoid}), index, key, vector)

rhumb_index_insert_batch(index, keys, vectors, count, options, inserted_count) =
    ccall((:rhumb_index_insert_batch, library), Int32,
          (Ptr{Cvoid}, Ptr{UInt64}, Ptr{Cvoid}, Csize_t, Ref{rhumb_batch_options}, Ptr{Csize_t}),
          index, keys, vectors, count, options, inserted_count)

rhumb_index_level(index, key, level) =
    ccall((:rhumb_index_level, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{UInt32}), index, key, level)

rhumb_index_lsn(index) =
    ccall((:rhumb_index_lsn, library), UInt64, (Ptr{Cvoid},), index)

rhumb_index_merge_into(paths, path_count, new_path, options, report, report_size) =
    ccall((:rhumb_index_merge_into, library), Int32,
          (Ptr{Cstring}, Csize_t, Cstring, Ref{rhumb_merge_options}, Ref{rhumb_merge_report}, Csize_t),
          paths, path_count, new_path, options, report, report_size)

rhumb_index_metadata_get(index, bytes, capacity, bytes_count) =
    ccall((:rhumb_index_metadata_get, library), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Csize_t, Ptr{Csize_t}),
          index, bytes, capacity, bytes_count)

rhumb_index_metadata_set(index, bytes, bytes_count) =
    ccall((:rhumb_index_metadata_set, library), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Csize_t), index, bytes, bytes_count)

rhumb_index_neighbours(index, key, level, keys, distances, capacity, found_count) =
    ccall((:rhumb_index_neighbours, library), Int32,
          (Ptr{Cvoid}, UInt64, UInt32, Ptr{UInt64}, Ptr{Float32}, Csize_t, Ptr{Csize_t}),
          index, key, level, keys, distances, capacity, found_count)

rhumb_index_open(path, options, index_out) =
    ccall((:rhumb_index_open, library), Int32, (Cstring, Ref{rhumb_open_options}, Ptr{Ptr{Cvoid}}),
          path, options, index_out)

rhumb_index_options_get(index, options, size) =
    ccall((:rhumb_index_options_get, library), Int32, (Ptr{Cvoid}, Ref{rhumb_index_options}, Csize_t),
          index, options, size)

rhumb_index_options_init(options, size) =
    ccall((:rhumb_index_options_init, library), Cvoid, (Ref{rhumb_index_options}, Csize_t), options, size)

rhumb_index_recall_ef(index, k, recall, ef, recall_out) =
    ccall((:rhumb_index_recall_ef, library), Int32, (Ptr{Cvoid}, Csize_t, Float64, Ptr{UInt32}, Ptr{Float64}),
          index, k, recall, ef, recall_out)

rhumb_index_recall_get(index, curve, size) =
    ccall((:rhumb_index_recall_get, library), Int32, (Ptr{Cvoid}, Ref{rhumb_recall_curve}, Csize_t), index, curve, size)

rhumb_index_recall_measure(index, options, curve, size) =
    ccall((:rhumb_index_recall_measure, library), Int32,
          (Ptr{Cvoid}, Ref{rhumb_recall_options}, Ref{rhumb_recall_curve}, Csize_t),
          index, options, curve, size)

rhumb_index_refresh(index, changed) =
    ccall((:rhumb_index_refresh, library), Int32, (Ptr{Cvoid}, Ptr{Bool}), index, changed)

rhumb_index_repair(path, new_path, options, report, report_size) =
    ccall((:rhumb_index_repair, library), Int32,
          (Cstring, Cstring, Ref{rhumb_repair_options}, Ref{rhumb_repair_report}, Csize_t),
          path, new_path, options, report, report_size)

rhumb_index_search(index, query, k, options, keys, distances, found_count) =
    ccall((:rhumb_index_search, library), Int32,
          (Ptr{Cvoid}, Ptr{Cvoid}, Csize_t, Ref{rhumb_search_options}, Ptr{UInt64}, Ptr{Float32}, Ptr{Csize_t}),
          index, query, k, options, keys, distances, found_count)

rhumb_index_search_batch(index, queries, query_count, k, options, keys, distances, found_counts) =
    ccall((:rhumb_index_search_batch, library), Int32,
          (Ptr{Cvoid}, Ptr{Cvoid}, Csize_t, Csize_t, Ref{rhumb_search_options}, Ptr{UInt64}, Ptr{Float32},
           Ptr{Csize_t}),
          index, queries, query_count, k, options, keys, distances, found_counts)

rhumb_index_search_exact(index, queries, query_count, k, options, keys, distances, found_counts) =
    ccall((:rhumb_index_search_exact, library), Int32,
          (Ptr{Cvoid}, Ptr{Cvoid}, Csize_t, Csize_t, Ref{rhumb_search_options}, Ptr{UInt64}, Ptr{Float32},
           Ptr{Csize_t}),
          index, queries, query_count, k, options, keys, distances, found_counts)

rhumb_index_search_like(index, key, k, options, keys, distances, found_count) =
    ccall((:rhumb_index_search_like, library), Int32,
          (Ptr{Cvoid}, UInt64, Csize_t, Ref{rhumb_search_options}, Ptr{UInt64}, Ptr{Float32}, Ptr{Csize_t}),
          index, key, k, options, keys, distances, found_count)

rhumb_index_search_radius(index, query, radius, max_count, options, keys, distances, found_count) =
    ccall((:rhumb_index_search_radius, library), Int32,
          (Ptr{Cvoid}, Ptr{Cvoid}, Float32, Csize_t, Ref{rhumb_search_options}, Ptr{UInt64}, Ptr{Float32},
           Ptr{Csize_t}),
          index, query, radius, max_count, options, keys, distances, found_count)

rhumb_index_sections_get(path, sections, size, capacity, section_count) =
    ccall((:rhumb_index_sections_get, library), Int32,
          (Cstring, Ref{rhumb_section_info}, Csize_t, Csize_t, Ptr{Csize_t}),
          path, sections, size, capacity, section_count)

rhumb_index_stats_get(index, stats, size) =
    ccall((:rhumb_index_stats_get, library), Int32, (Ptr{Cvoid}, Ref{rhumb_index_stats}, Csize_t), index, stats, size)

rhumb_index_sync(index) =
    ccall((:rhumb_index_sync, library), Int32, (Ptr{Cvoid},), index)

rhumb_index_upsert(index, key, vector) =
    ccall((:rhumb_index_upsert, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{Cvoid}), index, key, vector)

rhumb_index_upsert_batch(index, keys, vectors, count, options, report, report_size) =
    ccall((:rhumb_index_upsert_batch, library), Int32,
          (Ptr{Cvoid}, Ptr{UInt64}, Ptr{Cvoid}, Csize_t, Ref{rhumb_batch_options}, Ref{rhumb_write_report}, Csize_t),
          index, keys, vectors, count, options, report, report_size)

rhumb_index_vector_view(index, key, vector) =
    ccall((:rhumb_index_vector_view, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{Ptr{Cvoid}}), index, key, vector)

rhumb_index_verify(index, report, size) =
    ccall((:rhumb_index_verify, library), Int32, (Ptr{Cvoid}, Ref{rhumb_verify_report}, Csize_t), index, report, size)

rhumb_index_verify_with(index, options, report, size) =
    ccall((:rhumb_index_verify_with, library), Int32,
          (Ptr{Cvoid}, Ref{rhumb_verify_options}, Ref{rhumb_verify_report}, Csize_t),
          index, options, report, size)

rhumb_index_wait_epoch(index, epoch, timeout_ms, newest) =
    ccall((:rhumb_index_wait_epoch, library), Int32, (Ptr{Cvoid}, UInt64, UInt64, Ptr{UInt64}),
          index, epoch, timeout_ms, newest)

rhumb_index_wait_idle(index) =
    ccall((:rhumb_index_wait_idle, library), Int32, (Ptr{Cvoid},), index)

rhumb_index_write_batch(index, writes, count, options, report, report_size) =
    ccall((:rhumb_index_write_batch, library), Int32,
          (Ptr{Cvoid}, Ptr{rhumb_write}, Csize_t, Ref{rhumb_batch_options}, Ref{rhumb_write_report}, Csize_t),
          index, writes, count, options, report, report_size)

rhumb_iterator_close(iterator) =
    ccall((:rhumb_iterator_close, library), Cvoid, (Ptr{Cvoid},), iterator)

rhumb_iterator_next(iterator, max_count, keys, distances, found_count) =
    ccall((:rhumb_iterator_next, library), Int32, (Ptr{Cvoid}, Csize_t, Ptr{UInt64}, Ptr{Float32}, Ptr{Csize_t}),
          iterator, max_count, keys, distances, found_count)

rhumb_iterator_open(index, query, options, iterator_out) =
    ccall((:rhumb_iterator_open, library), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Ref{rhumb_search_options}, Ptr{Ptr{Cvoid}}),
          index, query, options, iterator_out)

rhumb_lease_release(lease) =
    ccall((:rhumb_lease_release, library), Cvoid, (Ptr{Cvoid},), lease)

rhumb_lease_take(index, lease_out) =
    ccall((:rhumb_lease_take, library), Int32, (Ptr{Cvoid}, Ptr{Ptr{Cvoid}}), index, lease_out)

rhumb_lease_vector(lease, key, vector) =
    ccall((:rhumb_lease_vector, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{Ptr{Cvoid}}), lease, key, vector)

rhumb_log_set(function_, context, level_max) =
    ccall((:rhumb_log_set, library), Cvoid, (Ptr{Cvoid}, Ptr{Cvoid}, UInt32), function_, context, level_max)

rhumb_merge_options_init(options, size) =
    ccall((:rhumb_merge_options_init, library), Cvoid, (Ref{rhumb_merge_options}, Csize_t), options, size)

rhumb_metric_from_name(name) =
    ccall((:rhumb_metric_from_name, library), UInt32, (Cstring,), name)

rhumb_metric_name(metric) =
    ccall((:rhumb_metric_name, library), Cstring, (UInt32,), metric)

rhumb_metric_supports(metric, element) =
    ccall((:rhumb_metric_supports, library), Bool, (UInt32, UInt32), metric, element)

rhumb_open_options_init(options, size) =
    ccall((:rhumb_open_options_init, library), Cvoid, (Ref{rhumb_open_options}, Csize_t), options, size)

rhumb_point_cursor_close(cursor) =
    ccall((:rhumb_point_cursor_close, library), Cvoid, (Ptr{Cvoid},), cursor)

rhumb_point_cursor_next(cursor, capacity, keys, vectors, levels, count) =
    ccall((:rhumb_point_cursor_next, library), Int32,
          (Ptr{Cvoid}, Csize_t, Ptr{UInt64}, Ptr{Ptr{Cvoid}}, Ptr{UInt32}, Ptr{Csize_t}),
          cursor, capacity, keys, vectors, levels, count)

rhumb_point_cursor_open(index, level, cursor_out) =
    ccall((:rhumb_point_cursor_open, library), Int32, (Ptr{Cvoid}, UInt32, Ptr{Ptr{Cvoid}}), index, level, cursor_out)

rhumb_recall_options_init(options, size) =
    ccall((:rhumb_recall_options_init, library), Cvoid, (Ref{rhumb_recall_options}, Csize_t), options, size)

rhumb_repair_options_init(options, size) =
    ccall((:rhumb_repair_options_init, library), Cvoid, (Ref{rhumb_repair_options}, Csize_t), options, size)

rhumb_search_options_init(options, size) =
    ccall((:rhumb_search_options_init, library), Cvoid, (Ref{rhumb_search_options}, Csize_t), options, size)

rhumb_sigbus_guard_install() =
    ccall((:rhumb_sigbus_guard_install, library), Int32, ())

rhumb_sigbus_guard_remove() =
    ccall((:rhumb_sigbus_guard_remove, library), Int32, ())

rhumb_status_name(status) =
    ccall((:rhumb_status_name, library), Cstring, (Int32,), status)

rhumb_topology_arrays_get(topology, arrays, size) =
    ccall((:rhumb_topology_arrays_get, library), Int32, (Ptr{Cvoid}, Ref{rhumb_topology_arrays}, Csize_t),
          topology, arrays, size)

rhumb_topology_close(topology) =
    ccall((:rhumb_topology_close, library), Cvoid, (Ptr{Cvoid},), topology)

rhumb_topology_count(topology) =
    ccall((:rhumb_topology_count, library), UInt64, (Ptr{Cvoid},), topology)

rhumb_topology_export(index, path, options, stats, stats_size) =
    ccall((:rhumb_topology_export, library), Int32,
          (Ptr{Cvoid}, Cstring, Ref{rhumb_topology_options}, Ref{rhumb_topology_stats}, Csize_t),
          index, path, options, stats, stats_size)

rhumb_topology_find(topology, key, position) =
    ccall((:rhumb_topology_find, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{UInt64}), topology, key, position)

rhumb_topology_level(topology, key, level) =
    ccall((:rhumb_topology_level, library), Int32, (Ptr{Cvoid}, UInt64, Ptr{UInt32}), topology, key, level)

rhumb_topology_neighbours(topology, key, keys, distances, capacity, found_count) =
    ccall((:rhumb_topology_neighbours, library), Int32,
          (Ptr{Cvoid}, UInt64, Ptr{UInt64}, Ptr{Float32}, Csize_t, Ptr{Csize_t}),
          topology, key, keys, distances, capacity, found_count)

rhumb_topology_open(path, topology_out) =
    ccall((:rhumb_topology_open, library), Int32, (Cstring, Ptr{Ptr{Cvoid}}), path, topology_out)

rhumb_topology_options_init(options, size) =
    ccall((:rhumb_topology_options_init, library), Cvoid, (Ref{rhumb_topology_options}, Csize_t), options, size)

rhumb_topology_points(topology, level, position, capacity, keys, levels, count) =
    ccall((:rhumb_topology_points, library), Int32,
          (Ptr{Cvoid}, UInt32, Ptr{UInt64}, Csize_t, Ptr{UInt64}, Ptr{UInt32}, Ptr{Csize_t}),
          topology, level, position, capacity, keys, levels, count)

rhumb_topology_stats_get(topology, stats, size) =
    ccall((:rhumb_topology_stats_get, library), Int32, (Ptr{Cvoid}, Ref{rhumb_topology_stats}, Csize_t),
          topology, stats, size)

rhumb_topology_verify(topology, report, size) =
    ccall((:rhumb_topology_verify, library), Int32, (Ptr{Cvoid}, Ref{rhumb_topology_report}, Csize_t),
          topology, report, size)

rhumb_topology_verify_with(topology, options, report, size) =
    ccall((:rhumb_topology_verify_with, library), Int32,
          (Ptr{Cvoid}, Ref{rhumb_verify_options}, Ref{rhumb_topology_report}, Csize_t),
          topology, options, report, size)

rhumb_topology_view(topology, position, neighbours, distances, count) =
    ccall((:rhumb_topology_view, library), Int32,
          (Ptr{Cvoid}, UInt64, Ptr{Ptr{UInt32}}, Ptr{Ptr{Float32}}, Ptr{Csize_t}),
          topology, position, neighbours, distances, count)

rhumb_vectors_measure(options, query, vectors, count, distances) =
    ccall((:rhumb_vectors_measure, library), Int32,
          (Ref{rhumb_index_options}, Ptr{Cvoid}, Ptr{Cvoid}, Csize_t, Ptr{Float32}),
          options, query, vectors, count, distances)

rhumb_verify_options_init(options, size) =
    ccall((:rhumb_verify_options_init, library), Cvoid, (Ref{rhumb_verify_options}, Csize_t), options, size)

rhumb_version() =
    ccall((:rhumb_version, library), UInt32, ())

end
