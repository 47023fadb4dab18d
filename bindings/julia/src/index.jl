# index.jl - creating, opening and closing an index.

"""
An open index of vectors of T, from `Rhumb.create` or `Rhumb.open`. Any number of tasks and threads may use it, except
while it is closed. A forgotten one is closed when it is collected, or when Julia ends.
"""
mutable struct Index{T}
    handle::Ptr{Cvoid}
    dim::Int
    sequences::Bool # whether vectors are sequences of up to `dim` elements
    path::String
    opening::OpenOptions # whose custom distance must live as long
    function Index{T}(handle, dim, sequences, path, opening) where {T}
        index = new{T}(handle, dim, sequences, path, opening)
        finalizer(release, index)
        return index
    end
end

# Closes an index and returns what the library says of it. A finalizer: it must neither wait for other tasks nor throw.
function release(index::Index)
    handle = index.handle
    index.handle = C_NULL
    return handle == C_NULL ? Int32(LibRhumb.RHUMB_OK) : LibRhumb.rhumb_index_close(handle)
end

# Calls f with the handle, of which the index must not be collected in the meantime.
function with_handle(f, owner)
    handle = owner.handle
    handle == C_NULL && throw(ArgumentError("it is closed"))
    return GC.@preserve owner f(handle)
end

"""
    create(path, dim, T = Float32; metric = :l2, options...)
    create(f, path, dim, T = Float32; metric = :l2, options...)

Creates an index of vectors of T in a new file and opens it for writing. Options are those of `rhumb_index_options` and
`rhumb_open_options` by their names: `M = 32`, `ef_construction = 400`, `codes = :none`, `durability = :interval`... The
second form closes it when `f(index)` is done, and returns what that returns.

T is a float or an integer of Julia, `BFloat16`, or `Bool` for bits. Under `:levenshtein` vectors are sequences of at
most `dim` elements.
"""
function create(path::AbstractString, dim::Integer, ::Type{T} = Float32; metric = :l2, options...) where {T}
    is_opening(name) = hasfield(LibRhumb.rhumb_open_options, name)
    opening = OpenOptions((; (name => value for (name, value) in pairs(options) if is_opening(name))...))
    record = LibRhumb.rhumb_index_options()
    LibRhumb.rhumb_index_options_init(record, sizeof(LibRhumb.rhumb_index_options))
    set_options!(record, (; (name => value for (name, value) in pairs(options) if !is_opening(name))...))
    record.dim = dim
    record.metric = metric_number(metric)
    record.element = element_number(T)
    handle = Ref{Ptr{Cvoid}}(C_NULL)
    inner = opening.record
    GC.@preserve opening inner begin
        record.open = pointer_from_objref(inner)
        check(LibRhumb.rhumb_index_create(path, record, handle))
    end
    return Index{T}(handle[], dim, record.metric == LibRhumb.RHUMB_METRIC_LEVENSHTEIN, abspath(path), opening)
end

function create(f::Function, path::AbstractString, dim::Integer, ::Type{T} = Float32; options...) where {T}
    return closing(f, create(path, dim, T; options...))
end

"""
    open(path; options...)
    open(f, path; options...)

Opens an index, for writing unless `read_only = true`. Options are those of `rhumb_open_options`; `graph_only = true`
opens keys, levels and neighbours without the vectors. The second form closes it when `f(index)` is done.
"""
function open(path::AbstractString; options...)
    opening = OpenOptions(options)
    handle = Ref{Ptr{Cvoid}}(C_NULL)
    GC.@preserve opening check(LibRhumb.rhumb_index_open(path, opening.record, handle))
    record = LibRhumb.rhumb_index_options()
    try
        check(LibRhumb.rhumb_index_options_get(handle[], record, sizeof(LibRhumb.rhumb_index_options)))
        T, sequences = element_types[record.element], record.metric == LibRhumb.RHUMB_METRIC_LEVENSHTEIN
        return Index{T}(handle[], record.dim, sequences, abspath(path), opening)
    catch
        LibRhumb.rhumb_index_close(handle[])
        rethrow()
    end
end

open(f::Function, path::AbstractString; options...) = closing(f, open(path; options...))

function closing(f, index)
    try
        return f(index)
    finally
        close(index)
    end
end

"Makes a checkpoint if anything changed, and closes the index; the second time there is nothing to do. No other call on
it may be running."
function Base.close(index::Index)
    check(release(index))
    return nothing
end

Base.isopen(index::Index) = index.handle != C_NULL

graph_only(index::Index) = index.opening.record.graph_only

function Base.show(io::IO, index::Index{T}) where {T}
    state = isopen(index) ? "" : ", closed"
    return print(io, "Rhumb.Index{", T, "}(\"", index.path, "\", dim = ", index.dim, state, ")")
end
