# filter.jl - which keys a search may return.

"""
    Filter(keys)
    Filter(bits; first_key = 0)
    !filter

Lets keys of a list through, in any order, or those whose bit is set; key `first_key + i - 1` belongs to `bits[i]`. Its
negation lets through the others. A filter may be used by any number of searches.
"""
struct Filter
    record::LibRhumb.rhumb_filter
    memory::Array # that the record points to
end

function empty_filter()
    record = LibRhumb.rhumb_filter()
    LibRhumb.rhumb_filter_init(record, sizeof(LibRhumb.rhumb_filter))
    return record
end

function Filter(keys::AbstractVector{<:Integer})
    memory = sort!(unique(convert(Vector{UInt64}, keys)))
    record = empty_filter()
    record.kind = LibRhumb.RHUMB_FILTER_KEYS
    record.keys = pointer(memory)
    record.key_count = length(memory)
    return Filter(record, memory)
end

function Filter(bits::AbstractVector{Bool}; first_key::Integer = 0)
    memory = packed(bits)
    record = empty_filter()
    record.kind = LibRhumb.RHUMB_FILTER_BITMAP
    record.bitmap = pointer(memory)
    record.bitmap_bit_count = length(bits)
    record.bitmap_key_base = first_key
    return Filter(record, memory)
end

function Base.:!(filter::Filter)
    record = empty_filter()
    for name in fieldnames(LibRhumb.rhumb_filter)
        setfield!(record, name, getfield(filter.record, name))
    end
    record.negate = !record.negate
    return Filter(record, filter.memory)
end

as_filter(::Nothing) = nothing
as_filter(filter::Filter) = filter
as_filter(keys) = Filter(keys)

# Options of a search, and the filter that they point to.
struct Searching
    options::LibRhumb.rhumb_search_options
    filter::Union{Nothing,Filter}
    record::Union{Nothing,LibRhumb.rhumb_filter}
end

function Searching(ef_search::Integer, filter, threads::Integer = 0)
    options = LibRhumb.rhumb_search_options()
    LibRhumb.rhumb_search_options_init(options, sizeof(LibRhumb.rhumb_search_options))
    options.ef_search = ef_search
    options.thread_count = threads
    prepared = as_filter(filter)
    prepared === nothing && return Searching(options, nothing, nothing)
    options.filter = pointer_from_objref(prepared.record)
    return Searching(options, prepared, prepared.record)
end
