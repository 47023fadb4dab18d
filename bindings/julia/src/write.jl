# write.jl - inserting, replacing and deleting, one vector or many.

function batch_options(threads::Integer)
    options = LibRhumb.rhumb_batch_options()
    LibRhumb.rhumb_batch_options_init(options, sizeof(LibRhumb.rhumb_batch_options))
    options.thread_count = threads
    return options
end

"""
    insert!(index, vector, key)
    insert!(index, vectors, keys = nothing; threads = 0, portion = 10_000)

Inserts one vector, or the columns of a matrix (or a vector of vectors); returns the key or keys. Without keys they get
consecutive numbers from one above the largest ever inserted, 0 in a new index. Each portion of them is inserted whole
or not at all; when one fails, or an interrupt comes, those before it stay.
"""
function Base.insert!(index::Index, vector::OneVector, key::Integer)
    memory = native(index, vector)
    with_handle(index) do handle
        GC.@preserve memory check(LibRhumb.rhumb_index_insert(handle, key, memory.pointer))
    end
    return UInt64(key)
end

function Base.insert!(index::Index, vectors::ManyVectors, keys::Union{Nothing,AbstractVector{<:Integer}} = nothing;
                      threads::Integer = 0, portion::Integer = 10_000)
    memory = native(index, vectors)
    portion >= 1 || throw(ArgumentError("a portion has one vector or more"))
    numbers = keys === nothing ? consecutive(index, memory.count) : convert(Vector{UInt64}, keys)
    check_count(numbers, memory)
    options = batch_options(threads)
    done = 0
    while done < memory.count
        count = min(portion, memory.count - done)
        with_handle(index) do handle
            GC.@preserve memory numbers check(LibRhumb.rhumb_index_insert_batch(
                handle, pointer(numbers, done + 1), memory.pointer + done * memory.stride, count, options, C_NULL))
        end
        done += count
    end
    return numbers
end

function consecutive(index::Index, count::Integer)
    first = stats(index).key_next
    return UInt64[first + i for i in 0:(count - 1)]
end

function check_count(keys, memory::Native)
    length(keys) == memory.count || throw(DimensionMismatch("$(memory.count) vectors, and $(length(keys)) keys"))
    return nothing
end

"""
    upsert!(index, vector, key)
    upsert!(index, vectors, keys; threads = 0)

Inserts vectors, or replaces those of keys that are in the index. Many are one operation, all or nothing; what has been
done is returned as a named tuple.
"""
function upsert!(index::Index, vector::OneVector, key::Integer)
    memory = native(index, vector)
    with_handle(index) do handle
        GC.@preserve memory check(LibRhumb.rhumb_index_upsert(handle, key, memory.pointer))
    end
    return UInt64(key)
end

function upsert!(index::Index, vectors::ManyVectors, keys::AbstractVector{<:Integer}; threads::Integer = 0)
    memory = native(index, vectors)
    numbers = convert(Vector{UInt64}, keys)
    check_count(numbers, memory)
    report = LibRhumb.rhumb_write_report()
    with_handle(index) do handle
        GC.@preserve memory check(LibRhumb.rhumb_index_upsert_batch(
            handle, numbers, memory.pointer, memory.count, batch_options(threads), report,
            sizeof(LibRhumb.rhumb_write_report)))
    end
    return shown(report)
end

"""
    delete!(index, key)
    delete!(index, keys; threads = 0)

Deletes the vector of a key, which must be there, or those of several at once, of which those that are not there are
counted as missing in what is returned.
"""
function Base.delete!(index::Index, key::Integer)
    with_handle(index) do handle
        check(LibRhumb.rhumb_index_delete(handle, key))
    end
    return index
end

function Base.delete!(index::Index, keys::AbstractVector{<:Integer}; threads::Integer = 0)
    numbers = convert(Vector{UInt64}, keys)
    report = LibRhumb.rhumb_write_report()
    with_handle(index) do handle
        check(LibRhumb.rhumb_index_delete_batch(handle, numbers, length(numbers), batch_options(threads), report,
                                                sizeof(LibRhumb.rhumb_write_report)))
    end
    return shown(report)
end

"Makes every operation that returned before durable, whatever the mode."
sync(index::Index) = with_handle(handle -> check(LibRhumb.rhumb_index_sync(handle)), index)

"Writes every operation to the index file, and publishes it for readers. Never needed for safety."
checkpoint(index::Index) = with_handle(handle -> check(LibRhumb.rhumb_index_checkpoint(handle)), index)

"Waits until nothing is to be done in the background."
wait_idle(index::Index) = with_handle(handle -> check(LibRhumb.rhumb_index_wait_idle(handle)), index)

"Lists the pages that are in memory, for openings of an index that memory cannot hold."
hot_pages_save(index::Index) = with_handle(handle -> check(LibRhumb.rhumb_index_hot_pages_save(handle)), index)

"The number of the last operation."
lsn(index::Index) = with_handle(handle -> LibRhumb.rhumb_index_lsn(handle), index)

"The number of the last operation that a power cut can no longer undo."
durable_lsn(index::Index) = with_handle(handle -> LibRhumb.rhumb_index_durable_lsn(handle), index)
