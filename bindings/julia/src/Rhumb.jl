# Rhumb.jl - rhumb for Julia: approximate nearest neighbour search in a mapped, persistent index. docs/julia.md is its
# manual, include/rhumb.h that of the library.
#
# LibRhumb.jl declares the C interface and is made of the headers. Calls of it are compared with the headers by
# tests/docs/julia_test.py.

module Rhumb

using Libdl
using SparseArrays: SparseMatrixCSC

include("LibRhumb.jl")
include("errors.jl")
include("options.jl")
include("elements.jl")
include("index.jl")
include("vectors.jl")
include("write.jl")
include("filter.jl")
include("search.jl")
include("points.jl")
include("topology.jl")
include("upkeep.jl")

export BFloat16, Distance, Filter, Index, RhumbError, Topology

"""
    use_library(path)

Loads librhumb.so from a path, before anything else is called. The environment variable RHUMB_LIBRARY does the same when
the module is loaded. Otherwise the system looks for librhumb.so.0.
"""
function use_library(path::AbstractString)
    # Calls name the library by its SONAME, which the dynamic linker finds among what has been loaded.
    Libdl.dlopen(path, Libdl.RTLD_LAZY | Libdl.RTLD_GLOBAL)
    return nothing
end

function __init__()
    path = get(ENV, "RHUMB_LIBRARY", "")
    isempty(path) || use_library(path)
    return nothing
end

"The version of the library that is running."
function version()
    number = LibRhumb.rhumb_version()
    return VersionNumber(number ÷ 1_000_000, number ÷ 1_000 % 1_000, number % 1_000)
end

"The version of the file format that the library writes."
format_version() = Int(LibRhumb.rhumb_format_version())

end
