# options.jl - structs of the C interface: options are set by name, and what the library fills is shown as named tuples.
# Enumerations are symbols, which are the constants of rhumb_types.h without their prefix.

# Sets one field of an options struct.
function set_option!(options::T, name::Symbol, value) where {T}
    (hasfield(T, name) && name !== :size) || throw(ArgumentError("there is no option $name"))
    texts = get(LibRhumb.choices, (T, name), nothing)
    if texts !== nothing && value isa Union{Symbol,AbstractString}
        haskey(texts, Symbol(value)) || throw(ArgumentError("$name: there is no $value"))
        value = texts[Symbol(value)]
    end
    setproperty!(options, name, value)
    return nothing
end

function set_options!(options, values)
    for (name, value) in pairs(values)
        set_option!(options, name, value)
    end
    return options
end

# What the library filled, as a named tuple.
function shown(record::T) where {T}
    names = filter(name -> name !== :size && !(fieldtype(T, name) <: Ptr), fieldnames(T))
    return NamedTuple{names}(map(name -> shown_field(T, name, getfield(record, name)), names))
end

function shown_field(::Type{T}, name::Symbol, value) where {T}
    texts = get(LibRhumb.choices, (T, name), nothing)
    texts === nothing && return shown_value(name, value)
    return findfirst(==(value), texts) # nothing: a number that this version does not know
end

shown_value(::Symbol, value) = value

function shown_value(name::Symbol, bytes::NTuple{N,UInt8}) where {N}
    name === :uuid && return join(string.(bytes; base = 16, pad = 2))
    return String(UInt8[byte for byte in Iterators.takewhile(!=(0x00), bytes)])
end

# Fields that hold the address of a text, a function or another struct. What is pointed to is kept by `kept`.
struct OpenOptions
    record::LibRhumb.rhumb_open_options
    kept::Vector{Any}
end

function OpenOptions(values)
    record = LibRhumb.rhumb_open_options()
    LibRhumb.rhumb_open_options_init(record, sizeof(LibRhumb.rhumb_open_options))
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
            set_option!(record, name, value)
        end
    end
    return OpenOptions(record, kept)
end

"""
    Distance(f, T)

A metric in Julia for `custom_distance`: `f(a, b)` of two vectors of T, which are memory of the index: they must not be
changed, nor kept. What `f` throws counts as farther than anything.

It is called on the threads of the library too where a call has several, which Julia's garbage collector does not go
together with: give every call `threads = 1`, and open with `compact_dead_share = 1`. A function of a C library
(`Libdl.dlsym`) has no such limits.
"""
struct Distance
    callable::Base.CFunction
end

function Distance(f, ::Type{T}) where {T}
    T === Bool && throw(ArgumentError("a metric of bits is a function of C"))
    function measure(a::Ptr{Cvoid}, b::Ptr{Cvoid}, dim::UInt32, context::Ptr{Cvoid})
        try
            return Float32(f(unsafe_wrap(Array, Ptr{T}(a), Int(dim)), unsafe_wrap(Array, Ptr{T}(b), Int(dim))))
        catch
            return NaN32
        end
    end
    return Distance(@cfunction($measure, Float32, (Ptr{Cvoid}, Ptr{Cvoid}, UInt32, Ptr{Cvoid})))
end

address(distance::Distance) = Base.unsafe_convert(Ptr{Cvoid}, distance.callable)
address(pointer::Ptr) = Ptr{Cvoid}(pointer)
