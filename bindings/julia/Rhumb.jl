# Rhumb.jl - rhumb's C interface (include/rhumb.h) from Julia, by ccall. docs/julia.md explains its use.
#
# Every ccall and every struct after a comment "C:" is compared with the C headers by tests/docs/julia_test.py.

module Rhumb

const library = get(ENV, "RHUMB_LIBRARY", "librhumb.so.0")

# C: rhumb_error
struct ErrorRecord
    status::Cint
    os_errno::Int32
    file_offset::UInt64
    path::NTuple{256,UInt8}
    message::NTuple{512,UInt8}
end

# C: rhumb_index_options
mutable struct IndexOptions
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
    IndexOptions() = new()
end

# C: rhumb_open_options
mutable struct OpenOptions
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
    OpenOptions() = new()
end

# C: rhumb_batch_options
mutable struct BatchOptions
    size::Csize_t
    thread_count::UInt32
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    partial::Bool
    BatchOptions() = new()
end

# C: rhumb_search_options
mutable struct SearchOptions
    size::Csize_t
    ef_search::UInt32
    thread_count::UInt32
    filter::Ptr{Cvoid}
    filters::Ptr{Ptr{Cvoid}}
    progress::Ptr{Cvoid}
    progress_context::Ptr{Cvoid}
    SearchOptions() = new()
end

const ELEMENT_F32 = UInt32(1)

"What a call to the library failed with; `status` is that of rhumb_types.h, as \"RHUMB_E_EXISTS\"."
struct RhumbError <: Exception
    status::String
    message::String
end

Base.showerror(io::IO, e::RhumbError) = print(io, "rhumb: ", e.message, " (", e.status, ")")

# Turns a status into an exception. The record is the calling thread's: nothing that could move the task to another
# thread (waiting, printing) may come between the call and this.
function check(status::Cint)
    status == 0 && return nothing
    record = ccall((:rhumb_error_last, library), Ptr{ErrorRecord}, ())
    message = unsafe_string(Ptr{UInt8}(record) + fieldoffset(ErrorRecord, 5))
    name = unsafe_string(ccall((:rhumb_status_name, library), Cstring, (Cint,), status))
    throw(RhumbError(name, message))
end

"An open index of Float32 vectors. To be closed with `close`."
mutable struct Index
    handle::Ptr{Cvoid}
    dim::Int
end

function handle_of(index::Index)
    index.handle == C_NULL && throw(ArgumentError("the index is closed"))
    return index.handle
end

"""
    create(path, dim; metric = "l2", M = 16, ef_construction = 200)

Creates an index in a new file and opens it for writing.
"""
function create(path::AbstractString, dim::Integer; metric::AbstractString = "l2", M::Integer = 16,
                ef_construction::Integer = 200)
    number = ccall((:rhumb_metric_from_name, library), UInt32, (Cstring,), metric)
    number == 0 && throw(ArgumentError("no such metric: $metric"))
    options = IndexOptions()
    ccall((:rhumb_index_options_init, library), Cvoid, (Ref{IndexOptions}, Csize_t), options, sizeof(IndexOptions))
    options.dim = dim
    options.metric = number
    options.element = ELEMENT_F32
    options.M = M
    options.ef_construction = ef_construction
    handle = Ref{Ptr{Cvoid}}(C_NULL)
    check(ccall((:rhumb_index_create, library), Cint, (Cstring, Ref{IndexOptions}, Ref{Ptr{Cvoid}}),
                path, options, handle))
    return Index(handle[], dim)
end

"""
    open(path; read_only = false)
    open(f, path; read_only = false)

Opens an index; the second form closes it when `f(index)` is done.
"""
function open(path::AbstractString; read_only::Bool = false)
    options = OpenOptions()
    ccall((:rhumb_open_options_init, library), Cvoid, (Ref{OpenOptions}, Csize_t), options, sizeof(OpenOptions))
    options.read_only = read_only
    handle = Ref{Ptr{Cvoid}}(C_NULL)
    check(ccall((:rhumb_index_open, library), Cint, (Cstring, Ref{OpenOptions}, Ref{Ptr{Cvoid}}),
                path, options, handle))
    index = Index(handle[], 0)
    try
        created = IndexOptions()
        check(ccall((:rhumb_index_options_get, library), Cint, (Ptr{Cvoid}, Ref{IndexOptions}, Csize_t),
                    index.handle, created, sizeof(IndexOptions)))
        created.element == ELEMENT_F32 || throw(ArgumentError("the index is not one of Float32 vectors"))
        index.dim = created.dim
    catch
        close(index)
        rethrow()
    end
    return index
end

function open(f::Function, path::AbstractString; read_only::Bool = false)
    index = open(path; read_only = read_only)
    try
        return f(index)
    finally
        close(index)
    end
end

"""
    insert!(index, vectors, keys = nothing; threads = 0, portion = 10_000)

Inserts the columns of a matrix, which is not copied. Without keys they get consecutive numbers, from 0 in a new index.
Each portion of columns is inserted whole or not at all; when one fails, or an interrupt comes, those before it stay.
Returns how many columns were inserted.
"""
function insert!(index::Index, vectors::Matrix{Float32}, keys::Union{Nothing,Vector{UInt64}} = nothing;
                 threads::Integer = 0, portion::Integer = 10_000)
    handle = handle_of(index)
    size(vectors, 1) == index.dim || throw(DimensionMismatch("columns of $(index.dim) expected"))
    total = size(vectors, 2)
    keys === nothing || length(keys) == total || throw(DimensionMismatch("one key for each column expected"))
    portion >= 1 || throw(ArgumentError("a portion has one column or more"))
    options = BatchOptions()
    ccall((:rhumb_batch_options_init, library), Cvoid, (Ref{BatchOptions}, Csize_t), options, sizeof(BatchOptions))
    options.thread_count = threads
    inserted = Ref{Csize_t}(0)
    done = 0
    while done < total
        count = min(portion, total - done)
        GC.@preserve vectors keys begin
            key_pointer = keys === nothing ? Ptr{UInt64}(C_NULL) : pointer(keys, done + 1)
            check(ccall((:rhumb_index_insert_batch, library), Cint,
                        (Ptr{Cvoid}, Ptr{UInt64}, Ptr{Float32}, Csize_t, Ref{BatchOptions}, Ref{Csize_t}),
                        handle, key_pointer, pointer(vectors, done * index.dim + 1), count, options, inserted))
        end
        done += count
    end
    return done
end

"""
    search(index, queries, k; ef_search = 0, threads = 0) -> (keys, distances, counts)

The k nearest of each column. Column j of `keys` and `distances` (k rows) belongs to query j, nearest first; it has
counts[j] answers, and behind them typemax(UInt64) and Inf32. An ef_search of 0 is the index's own.
"""
function search(index::Index, queries::Matrix{Float32}, k::Integer; ef_search::Integer = 0, threads::Integer = 0)
    handle = handle_of(index)
    size(queries, 1) == index.dim || throw(DimensionMismatch("columns of $(index.dim) expected"))
    query_count = size(queries, 2)
    keys = Matrix{UInt64}(undef, k, query_count)
    distances = Matrix{Float32}(undef, k, query_count)
    counts = Vector{Csize_t}(undef, query_count)
    options = SearchOptions()
    ccall((:rhumb_search_options_init, library), Cvoid, (Ref{SearchOptions}, Csize_t), options, sizeof(SearchOptions))
    options.ef_search = ef_search
    options.thread_count = threads
    check(ccall((:rhumb_index_search_batch, library), Cint,
                (Ptr{Cvoid}, Ptr{Float32}, Csize_t, Csize_t, Ref{SearchOptions}, Ptr{UInt64}, Ptr{Float32},
                 Ptr{Csize_t}),
                handle, queries, query_count, k, options, keys, distances, counts))
    return keys, distances, counts
end

"Deletes the vector of a key."
function delete!(index::Index, key::Integer)
    check(ccall((:rhumb_index_delete, library), Cint, (Ptr{Cvoid}, UInt64), handle_of(index), key))
end

"How many vectors can be found."
count(index::Index) = Int(ccall((:rhumb_index_count, library), UInt64, (Ptr{Cvoid},), handle_of(index)))

"Writes everything to the index file. Never needed for safety: see DURABILITY in rhumb.h."
checkpoint(index::Index) = check(ccall((:rhumb_index_checkpoint, library), Cint, (Ptr{Cvoid},), handle_of(index)))

"Closes the index; the second time there is nothing to do. No other call on it may be running."
function close(index::Index)
    handle = index.handle
    handle == C_NULL && return nothing
    index.handle = C_NULL
    check(ccall((:rhumb_index_close, library), Cint, (Ptr{Cvoid},), handle))
end

end
