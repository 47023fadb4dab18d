# search.jl - the nearest vectors of one query or of many, within a radius, like a stored one, one after the other.

"""
    search(index, query, k = 10; ef_search = 0, filter = nothing, exact = false) -> (keys, distances)
    search(index, queries, k = 10; ef_search = 0, filter = nothing, exact = false, threads = 0)
        -> (keys, distances, counts)

The k nearest vectors, nearest first. Of one query they are two vectors, shorter if there are fewer than k. Of many
(columns of a matrix, or a vector of vectors) column j of the matrices `keys` and `distances` belongs to query j; it has
counts[j] answers, and behind them typemax(UInt64) and Inf32.

`ef_search` is the breadth of the search (0: the index's own), `filter` a `Filter` or what makes one, and `exact`
measures every vector.
"""
function search(index::Index, query::OneVector, k::Integer = 10; ef_search::Integer = 0, filter = nothing,
                exact::Bool = false)
    check_k(k)
    keys, distances, found = Vector{UInt64}(undef, k), Vector{Float32}(undef, k), Ref{Csize_t}(0)
    memory, searching = native(index, query), Searching(ef_search, filter)
    with_handle(index) do handle
        GC.@preserve memory searching if exact
            check(LibRhumb.rhumb_index_search_exact(handle, memory.pointer, 1, k, searching.options, keys, distances,
                                                    found))
        else
            check(LibRhumb.rhumb_index_search(handle, memory.pointer, k, searching.options, keys, distances, found))
        end
    end
    return first_of(keys, distances, found)
end

function search(index::Index, queries::ManyVectors, k::Integer = 10; ef_search::Integer = 0, filter = nothing,
                exact::Bool = false, threads::Integer = 0)
    check_k(k)
    memory, searching = native(index, queries), Searching(ef_search, filter, threads)
    count = memory.count
    keys, distances = Matrix{UInt64}(undef, k, count), Matrix{Float32}(undef, k, count)
    counts = Vector{Csize_t}(undef, count)
    with_handle(index) do handle
        GC.@preserve memory searching if exact
            check(LibRhumb.rhumb_index_search_exact(handle, memory.pointer, count, k, searching.options, keys,
                                                    distances, counts))
        else
            check(LibRhumb.rhumb_index_search_batch(handle, memory.pointer, count, k, searching.options, keys,
                                                    distances, counts))
        end
    end
    return keys, distances, Int.(counts)
end

check_k(k::Integer) = k >= 1 || throw(ArgumentError("k: at least 1 expected, found $k"))

first_of(keys, distances, found) = resize!(keys, found[]), resize!(distances, found[])

"""
    search_like(index, key, k = 10; ef_search = 0, filter = nothing) -> (keys, distances)

The k vectors nearest to that of a key, without that key.
"""
function search_like(index::Index, key::Integer, k::Integer = 10; ef_search::Integer = 0, filter = nothing)
    check_k(k)
    keys, distances, found = Vector{UInt64}(undef, k), Vector{Float32}(undef, k), Ref{Csize_t}(0)
    searching = Searching(ef_search, filter)
    with_handle(index) do handle
        GC.@preserve searching check(
            LibRhumb.rhumb_index_search_like(handle, key, k, searching.options, keys, distances, found))
    end
    return first_of(keys, distances, found)
end

"""
    search_radius(index, query, radius; limit = nothing, ef_search = 0, filter = nothing) -> (keys, distances)

All vectors within a radius, or the nearest `limit` of them.
"""
function search_radius(index::Index, query::OneVector, radius::Real; limit::Union{Nothing,Integer} = nothing,
                       ef_search::Integer = 0, filter = nothing)
    memory, searching = native(index, query), Searching(ef_search, filter)
    room = limit === nothing ? 1024 : Int(limit)
    while true
        keys, distances, found = Vector{UInt64}(undef, room), Vector{Float32}(undef, room), Ref{Csize_t}(0)
        with_handle(index) do handle
            GC.@preserve memory searching check(LibRhumb.rhumb_index_search_radius(
                handle, memory.pointer, radius, room, searching.options, keys, distances, found))
        end
        (found[] < room || limit !== nothing) && return first_of(keys, distances, found)
        room *= 8
    end
end

# What `nearest` returns.
mutable struct Nearest
    handle::Ptr{Cvoid}
    index::Index
    searching::Searching # whose filter must live as long
end

"""
    nearest(index, query; ef_search = 0, filter = nothing)

An iterator over all vectors by their distance to a query, as pairs `key => distance`: take as many as you want.
"""
function nearest(index::Index, query::OneVector; ef_search::Integer = 0, filter = nothing)
    memory, searching = native(index, query), Searching(ef_search, filter)
    handle = Ref{Ptr{Cvoid}}(C_NULL)
    with_handle(index) do owner
        GC.@preserve memory searching check(
            LibRhumb.rhumb_iterator_open(owner, memory.pointer, searching.options, handle))
    end
    list = Nearest(handle[], index, searching)
    finalizer(close, list)
    return list
end

# An iterator must not outlive its index: where that has been closed, it is left to the end of the process.
function Base.close(list::Nearest)
    handle = list.handle
    list.handle = C_NULL
    handle == C_NULL || !isopen(list.index) || LibRhumb.rhumb_iterator_close(handle)
    return nothing
end

const chunk_length = 100

function Base.iterate(list::Nearest, state = (UInt64[], Float32[], 1))
    keys, distances, position = state
    if position > length(keys)
        keys, distances = Vector{UInt64}(undef, chunk_length), Vector{Float32}(undef, chunk_length)
        found = Ref{Csize_t}(0)
        isopen(list.index) || throw(ArgumentError("the index is closed"))
        with_handle(list) do handle
            check(LibRhumb.rhumb_iterator_next(handle, chunk_length, keys, distances, found))
        end
        first_of(keys, distances, found)
        isempty(keys) && return nothing
        position = 1
    end
    return keys[position] => distances[position], (keys, distances, position + 1)
end

Base.IteratorSize(::Type{Nearest}) = Base.SizeUnknown()
Base.eltype(::Type{Nearest}) = Pair{UInt64,Float32}
