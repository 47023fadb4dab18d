/* points.c - methods of Handle about points: vectors by key, keys, levels, neighbours. */
#include <stdlib.h>

#include "native.h"

/* contains(keys, answers): an array of bytes that become 0 or 1. */
PyObject *handle_contains(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    PyObject *arrays[2];
    Py_buffer keys;
    Py_buffer answers;
    rhumb_status status = RHUMB_OK;
    if (!PyArg_ParseTuple(args, "OO", &arrays[0], &arrays[1])) return NULL;
    if (!native_input_take(&keys, arrays[0], sizeof(uint64_t), "keys")) return NULL;
    const size_t count = (size_t)keys.len / sizeof(uint64_t);
    if (!native_output_take(&answers, arrays[1], count, sizeof(bool), "answers")) {
        PyBuffer_Release(&keys);
        return NULL;
    }
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        for (size_t i = 0; i < count && status == RHUMB_OK; i++) {
            status = rhumb_index_contains(index, ((const uint64_t *)keys.buf)[i], (bool *)answers.buf + i);
        }
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    PyBuffer_Release(&answers);
    PyBuffer_Release(&keys);
    if (index == NULL) return NULL;
    if (status != RHUMB_OK) return native_raise(status, NATIVE_KEY);
    Py_RETURN_NONE;
}

/* Copies the vectors of keys that are there, and says which are, if `found` is not NULL. */
static rhumb_status copy_vectors(rhumb_index *index, const Py_buffer *keys, const Py_buffer *vectors,
                                 size_t vector_bytes, bool *found) {
    rhumb_status status = RHUMB_OK;
    for (size_t i = 0; i < (size_t)keys->len / sizeof(uint64_t) && status == RHUMB_OK; i++) {
        const uint64_t key = ((const uint64_t *)keys->buf)[i];
        status = rhumb_index_get_vector(index, key, (char *)vectors->buf + i * vector_bytes);
        if (found == NULL) continue;
        found[i] = status == RHUMB_OK;
        if (status == RHUMB_E_NOTFOUND) status = RHUMB_OK;
    }
    return status;
}

/* get(keys, vectors, found): copies vectors; `found` is None, or an array of bytes that become 0 or 1. */
PyObject *handle_get(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    PyObject *arrays[3];
    Py_buffer keys;
    Py_buffer vectors = {0};
    Py_buffer found = {0};
    rhumb_index *index = NULL;
    rhumb_status status = RHUMB_OK;
    if (!PyArg_ParseTuple(args, "OOO", &arrays[0], &arrays[1], &arrays[2])) return NULL;
    if (self->sequences) return native_raise_text("RHUMB_E_UNSUPPORTED", "get: the vectors are sequences");
    if (!native_input_take(&keys, arrays[0], sizeof(uint64_t), "keys")) return NULL;
    const size_t count = (size_t)keys.len / sizeof(uint64_t);
    if (native_output_take(&vectors, arrays[1], count, self->vector_bytes, "vectors") &&
        native_output_take(&found, arrays[2], count, sizeof(bool), "found")) {
        index = native_enter(self);
    }
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        status = copy_vectors(index, &keys, &vectors, self->vector_bytes, found.buf);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    if (found.obj != NULL) PyBuffer_Release(&found);
    if (vectors.obj != NULL) PyBuffer_Release(&vectors);
    PyBuffer_Release(&keys);
    if (index == NULL) return NULL;
    if (status != RHUMB_OK) return native_raise(status, NATIVE_KEY);
    Py_RETURN_NONE;
}

/* get_sequence(key) -> bytearray */
PyObject *handle_get_sequence(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    uint64_t key = 0;
    if (!PyArg_ParseTuple(args, "O&", native_key_convert, &key)) return NULL;
    PyObject *bytes = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)self->vector_bytes);
    rhumb_index *index = bytes == NULL ? NULL : native_enter(self);
    if (index == NULL) {
        Py_XDECREF(bytes);
        return NULL;
    }
    rhumb_sequence sequence = {PyByteArray_AsString(bytes), (uint32_t)(self->vector_bytes / self->element_bytes)};
    rhumb_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_get_vector(index, key, &sequence);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    if (status == RHUMB_OK && PyByteArray_Resize(bytes, (Py_ssize_t)(sequence.length * self->element_bytes)) == 0) {
        return bytes;
    }
    Py_DECREF(bytes);
    return status == RHUMB_OK ? NULL : native_raise(status, NATIVE_KEY);
}

/* view(key) -> Memory, which keeps the vector where it is as long as it lives. */
PyObject *handle_view(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    uint64_t key = 0;
    rhumb_lease *lease = NULL;
    const void *vector = NULL;
    rhumb_status status;
    if (!PyArg_ParseTuple(args, "O&", native_key_convert, &key)) return NULL;
    if (self->sequences) return native_raise_text("RHUMB_E_UNSUPPORTED", "view: the vectors are sequences");
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_lease_take(index, &lease);
    if (status == RHUMB_OK) status = rhumb_lease_vector(lease, key, &vector);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    if (status == RHUMB_OK) return native_memory_new(vector, self->vector_bytes, NULL, lease);
    native_raise(status, NATIVE_KEY);
    rhumb_lease_release(lease);
    return NULL;
}

/* level(key) -> the highest level of the key's node */
PyObject *handle_level(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    uint64_t key = 0;
    uint32_t level = 0;
    rhumb_status status;
    if (!PyArg_ParseTuple(args, "O&", native_key_convert, &key)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_level(index, key, &level);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    return status == RHUMB_OK ? PyLong_FromUnsignedLong(level) : native_raise(status, NATIVE_KEY);
}

/* neighbours(key, level or None for all, keys, distances or None) -> how many there are */
PyObject *handle_neighbours(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    uint64_t key = 0;
    PyObject *level = NULL;
    PyObject *arrays[2];
    Py_buffer keys;
    Py_buffer distances;
    size_t found_count = 0;
    rhumb_status status = RHUMB_OK;
    if (!PyArg_ParseTuple(args, "O&OOO", native_key_convert, &key, &level, &arrays[0], &arrays[1])) return NULL;
    const long number = level == Py_None ? 0 : PyLong_AsLong(level);
    if (PyErr_Occurred()) return NULL;
    if (!native_output_take(&keys, arrays[0], 0, sizeof(uint64_t), "keys")) return NULL;
    const size_t capacity = (size_t)keys.len / sizeof(uint64_t);
    if (!native_output_take(&distances, arrays[1], capacity, sizeof(float), "distances")) {
        PyBuffer_Release(&keys);
        return NULL;
    }
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        const uint32_t wanted = level == Py_None ? RHUMB_LEVELS_ALL
                                : number < 0     ? RHUMB_LEVEL_MAX + 1
                                                 : (uint32_t)number;
        Py_BEGIN_ALLOW_THREADS;
        status = rhumb_index_neighbours(index, key, wanted, keys.buf, distances.buf, capacity, &found_count);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    if (distances.obj != NULL) PyBuffer_Release(&distances);
    PyBuffer_Release(&keys);
    if (index == NULL) return NULL;
    return status == RHUMB_OK ? PyLong_FromSize_t(found_count) : native_raise(status, NATIVE_KEY);
}

/* ---- all keys -------------------------------------------------------------------------------------------------------------------- */

#define KEYS_PER_TURN 65536u

/* Collects the keys of all points on a level in memory that is to be freed, also after a failure. Without the GIL. */
static rhumb_status collect_keys(rhumb_index *index, uint32_t level, uint64_t **keys_out, size_t *count_out) {
    rhumb_point_cursor *cursor = NULL;
    uint64_t *keys = NULL;
    size_t count = 0;
    size_t turn_count = 1;
    size_t capacity = 0;
    rhumb_status status = rhumb_point_cursor_open(index, level, &cursor);
    while (status == RHUMB_OK && turn_count > 0) {
        if (capacity - count < KEYS_PER_TURN) {
            capacity = 2 * capacity + KEYS_PER_TURN;
            uint64_t *larger = realloc(keys, capacity * sizeof *keys);
            if (larger == NULL) {
                status = RHUMB_E_NOMEM;
                break;
            }
            keys = larger;
        }
        status = rhumb_point_cursor_next(cursor, KEYS_PER_TURN, keys + count, NULL, NULL, &turn_count);
        if (status == RHUMB_OK) count += turn_count;
    }
    rhumb_point_cursor_close(cursor);
    *keys_out = keys;
    *count_out = count;
    return status;
}

/* keys(level) -> bytearray of u64 */
PyObject *handle_keys(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    unsigned level = 0;
    uint64_t *keys = NULL;
    size_t count = 0;
    rhumb_status status;
    if (!PyArg_ParseTuple(args, "I", &level)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = collect_keys(index, level, &keys, &count);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    PyObject *bytes = NULL;
    if (status == RHUMB_OK) {
        bytes = PyByteArray_FromStringAndSize((const char *)keys, (Py_ssize_t)(count * sizeof *keys));
    } else if (status == RHUMB_E_NOMEM) {
        PyErr_NoMemory();
    } else {
        native_raise(status, NATIVE_KEY);
    }
    free(keys);
    return bytes;
}
