# upkeep.jl - what an index says of itself; verifying, compacting, repairing; files of other libraries; messages.

"What an index holds and what its handle has done, as a named tuple: the fields of `rhumb_index_stats`."
function stats(index::Index)
    record = LibRhumb.rhumb_index_stats()
    with_handle(index) do handle
        check(LibRhumb.rhumb_index_stats_get(handle, record, sizeof(LibRhumb.rhumb_index_stats)))
    end
    return shown(record)
end

"What an index was created with, as a named tuple: the fields of `rhumb_index_options`."
function options(index::Index)
    record = LibRhumb.rhumb_index_options()
    with_handle(index) do handle
        check(LibRhumb.rhumb_index_options_get(handle, record, sizeof(LibRhumb.rhumb_index_options)))
    end
    return shown(record)
end

"What an index file says of itself without being opened, as a named tuple: the fields of `rhumb_index_info`."
function info(path::AbstractString)
    record = LibRhumb.rhumb_index_info()
    check(LibRhumb.rhumb_index_info_get(path, record, sizeof(LibRhumb.rhumb_index_info)))
    return shown(record)
end

"Up to 3,072 bytes of the caller's that an index keeps."
function metadata(index::Index)
    bytes, count = Vector{UInt8}(undef, LibRhumb.RHUMB_METADATA_BYTES_MAX), Ref{Csize_t}(0)
    with_handle(handle -> check(LibRhumb.rhumb_index_metadata_get(handle, bytes, length(bytes), count)), index)
    return resize!(bytes, count[])
end

"Replaces the metadata, which makes a checkpoint."
function metadata!(index::Index, bytes::Union{AbstractVector{UInt8},AbstractString})
    memory = bytes isa AbstractString ? Vector{UInt8}(codeunits(String(bytes))) : convert(Vector{UInt8}, bytes)
    with_handle(handle -> check(LibRhumb.rhumb_index_metadata_set(handle, memory, length(memory))), index)
    return index
end

"Moves a read-only index to the newest checkpoint; returns whether there was one."
function refresh!(index::Index)
    changed = Ref(false)
    with_handle(handle -> check(LibRhumb.rhumb_index_refresh(handle, changed)), index)
    return changed[]
end

"""
    wait_epoch(index; epoch = 0, timeout_ms = typemax(UInt64))

Waits until there is a checkpoint of number `epoch`, or, if that is 0, one newer than the index shows; returns the
number of the newest, which is below `epoch` if the time ran out. The thread sleeps in the library: give it a timeout,
or a thread of its own, if Julia has other tasks.
"""
function wait_epoch(index::Index; epoch::Integer = 0, timeout_ms::Integer = typemax(UInt64))
    newest = Ref{UInt64}(0)
    with_handle(handle -> check(LibRhumb.rhumb_index_wait_epoch(handle, epoch, timeout_ms, newest)), index)
    return newest[]
end

"Checks every checksum and every rule of an index, and throws what is wrong."
function verify(index::Index)
    report = LibRhumb.rhumb_verify_report()
    with_handle(index) do handle
        check(LibRhumb.rhumb_index_verify(handle, report, sizeof(LibRhumb.rhumb_verify_report)))
    end
    return shown(report)
end

function compact_options(values, filter)
    record = LibRhumb.rhumb_compact_options()
    LibRhumb.rhumb_compact_options_init(record, sizeof(LibRhumb.rhumb_compact_options))
    kept = Any[]
    for (name, value) in pairs(values)
        if name === :custom_name
            text = String(value)
            push!(kept, text)
            record.custom_name = pointer(text)
        elseif name === :custom_distance
            push!(kept, value)
            record.custom_distance = address(value)
        else
            set_option!(record, name === :threads ? :thread_count : name, value)
        end
    end
    prepared = as_filter(filter)
    if prepared !== nothing
        push!(kept, prepared, prepared.record)
        record.filter = pointer_from_objref(prepared.record)
    end
    return record, kept
end

"""
    compact!(index; threads = 0, options...)

Drops deleted vectors and returns their space, while everything else goes on. Options are those of
`rhumb_compact_options`: `order`, `second_pass`, `codes`, `fused`...
"""
function compact!(index::Index; options...)
    record, kept = compact_options(options, nothing)
    report = LibRhumb.rhumb_compact_report()
    with_handle(index) do handle
        GC.@preserve kept check(
            LibRhumb.rhumb_index_compact(handle, record, report, sizeof(LibRhumb.rhumb_compact_report)))
    end
    return shown(report)
end

"Stops a compaction that is running."
compact_cancel(index::Index) = with_handle(handle -> check(LibRhumb.rhumb_index_compact_cancel(handle)), index)

"""
    compact_into(path, new_path; filter = nothing, threads = 0, options...)

Writes the live vectors of an index, those of a filter if there is one, into a new index: also a backup of an index that
is being written.
"""
function compact_into(path::AbstractString, new_path::AbstractString; filter = nothing, options...)
    record, kept = compact_options(options, filter)
    report = LibRhumb.rhumb_compact_report()
    GC.@preserve kept check(
        LibRhumb.rhumb_index_compact_into(path, new_path, record, report, sizeof(LibRhumb.rhumb_compact_report)))
    return shown(report)
end

"""
    merge_into(paths, new_path; duplicates = :error, threads = 0, options...)

Makes a new index of the vectors of several, by joining their graphs. `duplicates` says whose vector counts where
several have one key: `:error` (nothing is made), `:first` or `:last`. Further options are those of rhumb_merge_options.
"""
function merge_into(paths::AbstractVector{<:AbstractString}, new_path::AbstractString; threads::Integer = 0, options...)
    record = LibRhumb.rhumb_merge_options()
    LibRhumb.rhumb_merge_options_init(record, sizeof(LibRhumb.rhumb_merge_options))
    record.thread_count = threads
    for (name, value) in pairs(options)
        set_option!(record, name, value)
    end
    report = LibRhumb.rhumb_merge_report()
    texts = String[path for path in paths]
    pointers = [Base.unsafe_convert(Cstring, text) for text in texts]
    GC.@preserve texts check(
        LibRhumb.rhumb_index_merge_into(pointers, length(pointers), new_path, record, report,
                                        sizeof(LibRhumb.rhumb_merge_report)))
    return shown(report)
end

"""
    repair(path, new_path; strict = false, threads = 0)

Builds a new index from what can still be verified in a damaged one.
"""
function repair(path::AbstractString, new_path::AbstractString; strict::Bool = false, threads::Integer = 0)
    record = LibRhumb.rhumb_repair_options()
    LibRhumb.rhumb_repair_options_init(record, sizeof(LibRhumb.rhumb_repair_options))
    record.strict = strict
    record.thread_count = threads
    report = LibRhumb.rhumb_repair_report()
    check(LibRhumb.rhumb_index_repair(path, new_path, record, report, sizeof(LibRhumb.rhumb_repair_report)))
    return shown(report)
end

"""
    import_index(path, new_path; options...)

Makes an index of a file of another library: dumps of hnsw_rs and of HnswAnn.jl, and files of hnswlib, FAISS, USearch,
Annoy and others. Options are those of `rhumb_import_options`: `format = :hnsw_rs`, `metric`, `renumber`...
"""
function import_index(path::AbstractString, new_path::AbstractString; options...)
    record = LibRhumb.rhumb_import_options()
    LibRhumb.rhumb_import_options_init(record, sizeof(LibRhumb.rhumb_import_options))
    set_options!(record, options)
    report = LibRhumb.rhumb_import_report()
    check(LibRhumb.rhumb_index_import(path, new_path, record, report, sizeof(LibRhumb.rhumb_import_report)))
    return shown(report)
end

"Writes an index, with its graph, into a new file for another library: `format = :hnswlib`."
function export_index(index::Index, path::AbstractString; options...)
    record = LibRhumb.rhumb_export_options()
    LibRhumb.rhumb_export_options_init(record, sizeof(LibRhumb.rhumb_export_options))
    set_options!(record, options)
    with_handle(handle -> check(LibRhumb.rhumb_index_export(handle, path, record)), index)
    return nothing
end

"""
    log_to(callback, context = C_NULL; level = :info)
    log_to(nothing)

Has messages of the library sent to a function of C, `void (void *context, int level, const char *message)`, or ends it.
It is called on any thread while locks are held, so it must not be a function of Julia.
"""
function log_to(callback::Ptr, context::Ptr = C_NULL; level::Symbol = :info)
    LibRhumb.rhumb_log_set(callback, context, LibRhumb.rhumb_log_level_texts[level])
    return nothing
end

log_to(::Nothing) = LibRhumb.rhumb_log_set(C_NULL, C_NULL, LibRhumb.RHUMB_LOG_ERROR)

"Turns pages that cannot be read, which end the process otherwise, into errors; see `rhumb_sigbus_guard_install`."
sigbus_guard(wanted::Bool) =
    check(wanted ? LibRhumb.rhumb_sigbus_guard_install() : LibRhumb.rhumb_sigbus_guard_remove())
