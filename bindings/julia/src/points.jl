# points.jl - the points of an index one by one: keys, vectors, levels, neighbours.

Base.length(index::Index) = Int(with_handle(handle -> LibRhumb.rhumb_index_count(handle), index))
Base.isempty(index::Index) = length(index) == 0

"Whether a key is in the index."
function Base.haskey(index::Index, key::Integer)
    found = Ref(false)
    with_handle(handle -> check(LibRhumb.rhumb_index_contains(handle, key, found)), index)
    return found[]
end

"""
    index[key]
    get(index, key, default)

A copy of the vector of a key: a vector of the index's type, of bits a BitVector. Without one it is a KeyError, or the
default.
"""
function Base.getindex(index::Index, key::Integer)
    vector = get(index, key, nothing)
    vector === nothing && throw(KeyError(key))
    return vector
end

function Base.get(index::Index, key::Integer, default)
    index.sequences && return get_sequence(index, key, default)
    vector = Vector{stored_type(index)}(undef, height(index))
    there = with_handle(handle -> is_found(LibRhumb.rhumb_index_get_vector(handle, key, vector)), index)
    return there ? as_shown(index, vector) : default
end

as_shown(::Index, vector) = vector
as_shown(index::Index{Bool}, bytes) = unpacked(bytes, index.dim)

function get_sequence(index::Index{T}, key::Integer, default) where {T}
    elements = Vector{T}(undef, index.dim)
    record = Ref(LibRhumb.rhumb_sequence(pointer(elements), index.dim))
    there = with_handle(index) do handle
        GC.@preserve elements is_found(LibRhumb.rhumb_index_get_vector(handle, key, record))
    end
    return there ? resize!(elements, record[].length) : default
end

function is_found(status::Int32)
    status == LibRhumb.RHUMB_E_NOTFOUND && return false
    check(status)
    return true
end

"""
    keys(index; level = 0)

The keys of all points that are on a level, in the order in which they lie in the file.
"""
function Base.keys(index::Index; level::Integer = 0)
    all, some, count = UInt64[], Vector{UInt64}(undef, 4096), Ref{Csize_t}(0)
    cursor = Ref{Ptr{Cvoid}}(C_NULL)
    with_handle(index) do handle
        check(LibRhumb.rhumb_point_cursor_open(handle, level, cursor))
        try
            while true
                check(LibRhumb.rhumb_point_cursor_next(cursor[], length(some), some, C_NULL, C_NULL, count))
                count[] == 0 && break
                append!(all, some[1:Int(count[])])
            end
        finally
            LibRhumb.rhumb_point_cursor_close(cursor[])
        end
    end
    return all
end

"The highest level that the node of a key is on."
function level(index::Index, key::Integer)
    number = Ref{UInt32}(0)
    with_handle(handle -> check(LibRhumb.rhumb_index_level(handle, key, number)), index)
    return Int(number[])
end

"""
    neighbours(index, key; level = 0) -> (keys, distances)

What the node of a key has links to on a level, or on all (`level = :all`), nearest first. An index that is open with
`graph_only` has no distances.
"""
function neighbours(index::Index, key::Integer; level::Union{Integer,Symbol} = 0)
    level isa Symbol && level !== :all && throw(ArgumentError("level: a number or :all expected, found $level"))
    number = level === :all ? LibRhumb.RHUMB_LEVELS_ALL : UInt32(level)
    return with_handle(index) do handle
        list_neighbours(!graph_only(index)) do keys, distances, found
            LibRhumb.rhumb_index_neighbours(handle, key, number, keys, distances, length(keys), found)
        end
    end
end

# Calls `call` with room for keys and distances, and once more if that was not enough.
function list_neighbours(call, with_distances::Bool)
    room, found = 64, Ref{Csize_t}(0)
    while true
        keys, distances = Vector{UInt64}(undef, room), Vector{Float32}(undef, with_distances ? room : 0)
        check(call(keys, with_distances ? distances : C_NULL, found))
        if found[] <= room
            return resize!(keys, found[]), resize!(distances, with_distances ? found[] : 0)
        end
        room = Int(found[])
    end
end
