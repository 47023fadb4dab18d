# elements.jl - element types of the library, and the types of Julia that stand for them. Bits are Bool.

"The upper half of a Float32: the element type bf16. `BFloat16(x)` rounds to the nearest, ties to even."
primitive type BFloat16 <: AbstractFloat 16 end

function BFloat16(x::Real)
    bits = reinterpret(UInt32, Float32(x))
    isnan(x) && return reinterpret(BFloat16, UInt16(bits >> 16) | 0x0040)
    return reinterpret(BFloat16, UInt16((bits + 0x00007fff + ((bits >> 16) & 0x00000001)) >> 16))
end

BFloat16(x::BFloat16) = x
Base.Float32(x::BFloat16) = reinterpret(Float32, UInt32(reinterpret(UInt16, x)) << 16)
Base.Float64(x::BFloat16) = Float64(Float32(x))
Base.:(==)(a::BFloat16, b::BFloat16) = Float32(a) == Float32(b)
Base.:(<)(a::BFloat16, b::BFloat16) = Float32(a) < Float32(b)
Base.promote_rule(::Type{BFloat16}, ::Type{Float32}) = Float32
Base.promote_rule(::Type{BFloat16}, ::Type{Float64}) = Float64
Base.show(io::IO, x::BFloat16) = print(io, "BFloat16(", Float32(x), ")")

const element_types = Dict{UInt32,DataType}(
    LibRhumb.RHUMB_ELEMENT_F32 => Float32, LibRhumb.RHUMB_ELEMENT_F64 => Float64, LibRhumb.RHUMB_ELEMENT_F16 => Float16,
    LibRhumb.RHUMB_ELEMENT_BF16 => BFloat16, LibRhumb.RHUMB_ELEMENT_I8 => Int8, LibRhumb.RHUMB_ELEMENT_U8 => UInt8,
    LibRhumb.RHUMB_ELEMENT_I16 => Int16, LibRhumb.RHUMB_ELEMENT_U16 => UInt16, LibRhumb.RHUMB_ELEMENT_I32 => Int32,
    LibRhumb.RHUMB_ELEMENT_U32 => UInt32, LibRhumb.RHUMB_ELEMENT_I64 => Int64, LibRhumb.RHUMB_ELEMENT_U64 => UInt64,
    LibRhumb.RHUMB_ELEMENT_B1 => Bool,
)

function element_number(::Type{T}) where {T}
    number = findfirst(==(T), element_types)
    number === nothing && throw(ArgumentError("there are no vectors of $T"))
    return number
end

function metric_number(metric::Union{Symbol,AbstractString})
    number = LibRhumb.rhumb_metric_from_name(String(metric))
    number == 0 && throw(ArgumentError("there is no metric $metric"))
    return number
end

"Whether vectors of T can be measured by a metric."
supports(metric::Union{Symbol,AbstractString}, ::Type{T}) where {T} =
    LibRhumb.rhumb_metric_supports(metric_number(metric), element_number(T))
