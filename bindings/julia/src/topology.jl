# topology.jl - topology files: the graph of an index without its vectors.

"""
    export_topology(index, path; all_levels = false, with_distances = true, threads = 0)

Writes the graph of an index into a new file, which `Topology(path)` opens.
"""
function export_topology(index::Index, path::AbstractString; threads::Integer = 0, options...)
    record = LibRhumb.rhumb_topology_options()
    LibRhumb.rhumb_topology_options_init(record, sizeof(LibRhumb.rhumb_topology_options))
    set_options!(record, options)
    record.thread_count = threads
    report = LibRhumb.rhumb_topology_stats()
    with_handle(index) do handle
        check(LibRhumb.rhumb_topology_export(handle, path, record, report, sizeof(LibRhumb.rhumb_topology_stats)))
    end
    return shown(report)
end

"""
    Topology(path)
    Topology(f, path)

A topology file, mapped: points sorted by key, and the neighbours of each. `close(topology)` unmaps it.
"""
mutable struct Topology
    handle::Ptr{Cvoid}
    function Topology(path::AbstractString)
        handle = Ref{Ptr{Cvoid}}(C_NULL)
        check(LibRhumb.rhumb_topology_open(path, handle))
        topology = new(handle[])
        finalizer(close, topology)
        return topology
    end
end

Topology(f::Function, path::AbstractString) = closing(f, Topology(path))

function Base.close(topology::Topology)
    handle = topology.handle
    topology.handle = C_NULL
    handle == C_NULL || LibRhumb.rhumb_topology_close(handle)
    return nothing
end

Base.isopen(topology::Topology) = topology.handle != C_NULL
Base.length(topology::Topology) = Int(with_handle(handle -> LibRhumb.rhumb_topology_count(handle), topology))

"What a topology file is, as a named tuple."
function stats(topology::Topology)
    record = LibRhumb.rhumb_topology_stats()
    with_handle(topology) do handle
        check(LibRhumb.rhumb_topology_stats_get(handle, record, sizeof(LibRhumb.rhumb_topology_stats)))
    end
    return shown(record)
end

"Checks every checksum and every rule of a topology file, and throws what is wrong."
function verify(topology::Topology)
    report = LibRhumb.rhumb_topology_report()
    with_handle(topology) do handle
        check(LibRhumb.rhumb_topology_verify(handle, report, sizeof(LibRhumb.rhumb_topology_report)))
    end
    return shown(report)
end

function arrays(topology::Topology)
    record = LibRhumb.rhumb_topology_arrays()
    with_handle(topology) do handle
        check(LibRhumb.rhumb_topology_arrays_get(handle, record, sizeof(LibRhumb.rhumb_topology_arrays)))
    end
    return record
end

"The keys of the points, ascending. Point i, which `graph` has in column i, has the i-th."
function Base.keys(topology::Topology)
    record = arrays(topology)
    return GC.@preserve topology copy(unsafe_wrap(Array, Ptr{UInt64}(record.keys), Int(record.point_count)))
end

"The highest level that the node of a key is on."
function level(topology::Topology, key::Integer)
    number = Ref{UInt32}(0)
    with_handle(handle -> check(LibRhumb.rhumb_topology_level(handle, key, number)), topology)
    return Int(number[])
end

"""
    neighbours(topology, key) -> (keys, distances)

The neighbours of a key, nearest first.
"""
function neighbours(topology::Topology, key::Integer)
    has_distances = arrays(topology).distances != C_NULL
    return with_handle(topology) do handle
        list_neighbours(has_distances) do keys, distances, found
            LibRhumb.rhumb_topology_neighbours(handle, key, keys, distances, length(keys), found)
        end
    end
end

"""
    graph(topology) -> SparseMatrixCSC

The whole graph: column j has the distances from point j to its neighbours (1 where the file has none), row by row of
their points. `verify` a file first that you do not trust.
"""
function graph(topology::Topology)
    record = arrays(topology)
    count, link_count = Int(record.point_count), Int(record.link_count)
    columns, rows, values = GC.@preserve topology begin
        lengths = Ptr{Float32}(record.distances)
        (Int.(unsafe_wrap(Array, Ptr{UInt64}(record.starts), count + 1)) .+ 1,
         Int.(unsafe_wrap(Array, Ptr{UInt32}(record.neighbours), link_count)) .+ 1,
         lengths == C_NULL ? ones(Float32, link_count) : copy(unsafe_wrap(Array, lengths, link_count)))
    end
    for point in 1:count
        range = columns[point]:(columns[point + 1] - 1)
        order = sortperm(rows[range]) # rows of a column ascend in a sparse matrix; in the file the nearest is first
        rows[range] = rows[range][order]
        values[range] = values[range][order]
    end
    return SparseMatrixCSC(count, count, columns, rows, values)
end
