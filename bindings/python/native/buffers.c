/* buffers.c - arguments that are arrays. A buffer is taken whole, as bytes; its size is checked against what the library
 * will read or write.
 */
#include "native.h"

bool native_input_take(Py_buffer *buffer, PyObject *object, size_t item_bytes, const char *name) {
    if (PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE) != 0) return false;
    if ((size_t)buffer->len % item_bytes == 0) return true;
    PyErr_Format(PyExc_ValueError, "%s: %zd bytes are not a multiple of %zu", name, buffer->len, item_bytes);
    PyBuffer_Release(buffer);
    return false;
}

bool native_output_take(Py_buffer *buffer, PyObject *object, size_t count, size_t item_bytes, const char *name) {
    *buffer = (Py_buffer){0};
    if (object == Py_None) return true;
    if (PyObject_GetBuffer(object, buffer, PyBUF_WRITABLE) != 0) return false;
    if ((size_t)buffer->len / item_bytes >= count) return true;
    PyErr_Format(PyExc_ValueError, "%s: room for %zu numbers of %zu bytes expected, %zd bytes found", name, count,
                 item_bytes, buffer->len);
    PyBuffer_Release(buffer);
    return false;
}

int native_key_convert(PyObject *object, void *key) {
    PyObject *number = PyNumber_Index(object);
    if (number == NULL) return 0;
    *(uint64_t *)key = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    if (!PyErr_Occurred()) return 1;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "a key is an integer from 0 to 2**64 - 2, found %R", object);
    return 0;
}

/* Points `sequences` to the elements, as the lengths divide them. */
static bool divide_sequences(native_vectors *vectors, size_t element_bytes) {
    const uint32_t *lengths = vectors->lengths.buf;
    const size_t element_count = (size_t)vectors->elements.len / element_bytes;
    size_t used_count = 0;
    vectors->sequences = PyMem_Malloc((vectors->count + 1) * sizeof *vectors->sequences);
    if (vectors->sequences == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (size_t i = 0; i < vectors->count; i++) {
        vectors->sequences[i].elements = (const char *)vectors->elements.buf + used_count * element_bytes;
        vectors->sequences[i].length = lengths[i];
        used_count += lengths[i];
        if (used_count > element_count) break;
    }
    vectors->start = vectors->sequences;
    if (used_count == element_count) return true;
    PyErr_Format(PyExc_ValueError, "sequences: their lengths do not add up to %zu elements", element_count);
    return false;
}

bool native_vectors_take(native_vectors *vectors, const handle *handle, PyObject *object) {
    *vectors = (native_vectors){0};
    if (!handle->sequences) {
        if (!native_input_take(&vectors->elements, object, handle->vector_bytes, "vectors")) return false;
        vectors->start = vectors->elements.buf;
        vectors->count = (size_t)vectors->elements.len / handle->vector_bytes;
        return true;
    }
    PyObject *elements = NULL;
    PyObject *lengths = NULL;
    if (!PyArg_ParseTuple(object, "OO", &elements, &lengths)) return false;
    if (!native_input_take(&vectors->elements, elements, handle->element_bytes, "elements")) return false;
    if (native_input_take(&vectors->lengths, lengths, sizeof(uint32_t), "lengths")) {
        vectors->count = (size_t)vectors->lengths.len / sizeof(uint32_t);
        if (divide_sequences(vectors, handle->element_bytes)) return true;
    }
    native_vectors_release(vectors);
    return false;
}

void native_vectors_release(native_vectors *vectors) {
    if (vectors->elements.obj != NULL) PyBuffer_Release(&vectors->elements);
    if (vectors->lengths.obj != NULL) PyBuffer_Release(&vectors->lengths);
    PyMem_Free(vectors->sequences);
    *vectors = (native_vectors){0};
}
