# vectors.jl - arrays of Julia as the library reads them. One vector after the other is what a matrix has by columns.

const OneVector = Union{AbstractVector{<:Number},AbstractString}
const ManyVectors = Union{AbstractMatrix{<:Number},AbstractVector{<:AbstractVector},AbstractVector{<:AbstractString}}

# Memory that the library may read while `kept` is preserved.
struct Native
    pointer::Ptr{Cvoid}
    count::Int
    stride::Int # bytes from one vector to the next
    kept::Any
end

# How many numbers in memory make a vector.
height(index::Index) = index.dim
height(index::Index{Bool}) = cld(index.dim, 8)

stored_type(::Index{T}) where {T} = T
stored_type(::Index{Bool}) = UInt8

function native(index::Index, vector::OneVector)
    index.sequences && return native_sequences(index, [vector])
    vector isa AbstractString && throw(ArgumentError("a vector of numbers expected, found a text"))
    return native_array(index, stored(index, vector), 1)
end

function native(index::Index, vectors::AbstractMatrix{<:Number})
    index.sequences && throw(ArgumentError("sequences are vectors or strings, several of them a vector of these"))
    return native_array(index, stored(index, vectors), size(vectors, 2))
end

function native(index::Index, vectors::AbstractVector{<:Union{AbstractVector,AbstractString}})
    index.sequences && return native_sequences(index, vectors)
    isempty(vectors) && return Native(C_NULL, 0, 0, nothing)
    columns = [vec(stored(index, vector)) for vector in vectors]
    for column in columns
        length(column) == height(index) || throw(dimension_mismatch(index, length(column)))
    end
    return native_array(index, reduce(hcat, columns), length(columns))
end

function native_array(index::Index, memory::Array, count::Integer)
    size(memory, 1) == height(index) || throw(dimension_mismatch(index, size(memory, 1)))
    return Native(Ptr{Cvoid}(pointer(memory)), count, height(index) * sizeof(eltype(memory)), memory)
end

dimension_mismatch(index::Index, found) = DimensionMismatch("vectors of $(index.dim) expected, found $found")

# The array itself where it is one of the index's type, otherwise a copy. What the type cannot hold is an InexactError;
# floats are rounded to floats.
stored(::Index{T}, array::AbstractVecOrMat) where {T} = convert(Array{T}, array)

function stored(index::Index{Bool}, array::AbstractVecOrMat{Bool})
    size(array, 1) == index.dim || throw(dimension_mismatch(index, size(array, 1)))
    return packed(array)
end

stored(::Index{Bool}, array::AbstractVecOrMat{UInt8}) = convert(Array{UInt8}, array) # packed already

packed(bits::AbstractVector{Bool}) = vec(packed(reshape(bits, :, 1)))

function packed(bits::AbstractMatrix{Bool})
    bytes = zeros(UInt8, cld(size(bits, 1), 8), size(bits, 2))
    for column in axes(bits, 2), (i, bit) in enumerate(@view bits[:, column])
        bit && (bytes[((i - 1) >> 3) + 1, column] |= 0x01 << ((i - 1) & 7))
    end
    return bytes
end

unpacked(bytes::Vector{UInt8}, dim::Integer) =
    BitVector([(bytes[(i >> 3) + 1] >> (i & 7)) & 0x01 == 0x01 for i in 0:(dim - 1)])

function native_sequences(index::Index{T}, list) where {T}
    elements = Vector{T}[sequence_of(T, item) for item in list]
    records = [LibRhumb.rhumb_sequence(pointer(item), length(item)) for item in elements]
    return Native(Ptr{Cvoid}(pointer(records)), length(records), sizeof(LibRhumb.rhumb_sequence), (elements, records))
end

sequence_of(::Type{T}, vector::AbstractVector) where {T} = convert(Vector{T}, vector)
sequence_of(::Type{UInt8}, text::AbstractString) = Vector{UInt8}(codeunits(String(text)))
sequence_of(::Type{UInt16}, text::AbstractString) = transcode(UInt16, String(text))
