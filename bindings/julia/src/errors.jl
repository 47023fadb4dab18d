# errors.jl - statuses of the library as exceptions.

"""
What a call to the library failed with: its status as in rhumb_types.h (`:RHUMB_E_EXISTS`), what happened, the file that
it is about, and the errno of the operating system, or "" and 0.
"""
struct RhumbError <: Exception
    status::Symbol
    message::String
    path::String
    os_errno::Int
end

Base.showerror(io::IO, e::RhumbError) = print(io, "rhumb: ", e.message, " (", e.status, ")")

# The record of the last failure belongs to the operating system's thread: nothing that could move the task to another
# one (waiting, printing) may come between the call and this.
function check(status::Int32)
    status == LibRhumb.RHUMB_OK && return nothing
    record = Ptr{UInt8}(LibRhumb.rhumb_error_last())
    message = unsafe_string(record + error_offset(:message))
    path = unsafe_string(record + error_offset(:path))
    os_errno = unsafe_load(Ptr{Int32}(record + error_offset(:os_errno)))
    throw(RhumbError(Symbol(unsafe_string(LibRhumb.rhumb_status_name(status))), message, path, os_errno))
end

error_offset(name::Symbol) = fieldoffset(LibRhumb.rhumb_error, findfirst(==(name), fieldnames(LibRhumb.rhumb_error)))
