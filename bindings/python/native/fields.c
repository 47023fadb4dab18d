/* fields.c - structs of the interface as Python objects: what the library fills becomes a named tuple, and a dict of
 * names and values becomes options.
 *
 * The tables name the fields as the headers do; tests/python compares them with the headers. Enumerations are texts.
 */
#include <stddef.h>

#include "native.h"

typedef enum field_kind {
    FIELD_U32,
    FIELD_U64,
    FIELD_F64,
    FIELD_BOOL,
    FIELD_TEXT,    /* a char array that ends in 0, or, in options, a pointer */
    FIELD_LEVELS,  /* an u64 for each level */
    FIELD_UUID,    /* 16 bytes */
    FIELD_PINS,    /* those of a rhumb_index_info, which several fields describe */
    FIELD_ADDRESS, /* of a function */
    FIELD_METRIC,
    FIELD_ELEMENT,
    FIELD_DURABILITY,
    FIELD_CODES,
    FIELD_FUSED,
    FIELD_WARM_UP,
    FIELD_ORDER,
    FIELD_IMPORT_FORMAT,
    FIELD_EXPORT_FORMAT
} field_kind;

typedef struct field {
    const char *name;
    field_kind kind;
    size_t offset;
} field;

#define F(structure, name, kind)                                                                                       \
    { #name, FIELD_##kind, offsetof(structure, name) }
#define END                                                                                                            \
    { NULL, FIELD_U32, 0 }

#define S rhumb_index_stats
static const field stats_fields[] = {
    F(S, format_version, U32),
    F(S, creator_version, U32),
    F(S, uuid, UUID),
    F(S, created_unix_ns, U64),
    F(S, count, U64),
    F(S, slot_count, U64),
    F(S, level_top, U32),
    F(S, level_counts, LEVELS),
    F(S, epoch, U64),
    F(S, file_bytes, U64),
    F(S, file_free_bytes, U64),
    F(S, mapping_count, U64),
    F(S, checkpoint_count, U64),
    F(S, checkpoint_bytes, U64),
    F(S, checkpoint_ns, U64),
    F(S, read_only, BOOL),
    F(S, io_backend, TEXT),
    F(S, simd, TEXT),
    F(S, key_next, U64),
    F(S, durability, DURABILITY),
    F(S, checkpoint_pause_ns, U64),
    F(S, checkpoint_pause_max_ns, U64),
    F(S, checkpoint_failed_count, U64),
    F(S, checkpoint_failure, TEXT),
    F(S, lsn, U64),
    F(S, durable_lsn, U64),
    F(S, log_bytes, U64),
    F(S, log_sync_count, U64),
    F(S, log_synced_count, U64),
    F(S, log_pending_count, U64),
    F(S, unlinked_count, U64),
    F(S, unreachable_count, U64),
    F(S, unreachable_lsn, U64),
    F(S, compacting, BOOL),
    F(S, compaction_count, U64),
    F(S, compaction_dropped_count, U64),
    F(S, compaction_carried_count, U64),
    F(S, compaction_ns, U64),
    F(S, compaction_pause_ns, U64),
    F(S, compaction_pause_max_ns, U64),
    F(S, compaction_delay_max_ns, U64),
    F(S, compaction_failed_count, U64),
    F(S, compaction_failure, TEXT),
    F(S, custom_name, TEXT),
    F(S, process_mapping_count, U64),
    F(S, pin_count, U32),
    F(S, pin_epoch_oldest, U64),
    F(S, warm_up_total_bytes, U64),
    F(S, warm_up_done_bytes, U64),
    F(S, cold, BOOL),
    END,
};
#undef S

#define S rhumb_index_options
static const field options_fields[] = {
    F(S, dim, U32),
    F(S, metric, METRIC),
    F(S, element, ELEMENT),
    F(S, M, U32),
    F(S, M0, U32),
    F(S, ef_construction, U32),
    F(S, ef_search, U32),
    F(S, level_max, U32),
    F(S, level_scale, F64),
    F(S, seed, U64),
    F(S, extend_candidates, BOOL),
    F(S, keep_pruned, BOOL),
    F(S, normalise, BOOL),
    F(S, codes, CODES),
    F(S, fused, FUSED),
    END,
};
#undef S

#define S rhumb_index_info
static const field info_fields[] = {
    F(S, known, U32),
    F(S, format_version, U32),
    F(S, creator_version, U32),
    F(S, uuid, UUID),
    F(S, created_unix_ns, U64),
    F(S, epoch, U64),
    F(S, history, U64),
    F(S, log_expected, BOOL),
    F(S, dim, U32),
    F(S, metric, METRIC),
    F(S, element, ELEMENT),
    F(S, M, U32),
    F(S, M0, U32),
    F(S, ef_construction, U32),
    F(S, ef_search, U32),
    F(S, level_max, U32),
    F(S, level_scale, F64),
    F(S, seed, U64),
    F(S, extend_candidates, BOOL),
    F(S, keep_pruned, BOOL),
    F(S, normalise, BOOL),
    F(S, custom_name, TEXT),
    F(S, count, U64),
    F(S, deleted_count, U64),
    F(S, level_top, U32),
    F(S, lsn, U64),
    F(S, key_next, U64),
    F(S, file_bytes, U64),
    F(S, file_free_bytes, U64),
    F(S, log_present, BOOL),
    F(S, log_bytes, U64),
    F(S, log_record_count, U64),
    F(S, log_pending_count, U64),
    F(S, writer_open, BOOL),
    {"pins", FIELD_PINS, 0},
    F(S, damaged_copy_count, U32),
    F(S, problem_count, U32),
    F(S, first_problem, TEXT),
    F(S, codes, CODES),
    F(S, fused, FUSED),
    END,
};
#undef S

#define S rhumb_section_info
static const field section_fields[] = {
    F(S, id, U32),
    F(S, name, TEXT),
    F(S, row_count, U64),
    F(S, row_bytes, U64),
    F(S, file_bytes, U64),
    F(S, resident_bytes, U64),
    END,
};
#undef S

#define S rhumb_verify_report
static const field verify_fields[] = {
    F(S, chunk_count, U64),   F(S, checksum_error_count, U64),  F(S, node_count, U64),
    F(S, link_count, U64),    F(S, structure_error_count, U64), F(S, unreachable_count, U64),
    F(S, first_error, TEXT),  F(S, log_record_count, U64),      F(S, log_error_count, U64),
    F(S, warning_count, U64), F(S, first_warning, TEXT),        END,
};
#undef S

#define S rhumb_write_report
static const field write_fields[] = {
    F(S, inserted_count, U64), F(S, replaced_count, U64), F(S, deleted_count, U64), F(S, missing_count, U64), END,
};
#undef S

#define S rhumb_compact_report
static const field compact_fields[] = {
    F(S, epoch, U64),
    F(S, count, U64),
    F(S, dropped_count, U64),
    F(S, repaired_count, U64),
    F(S, reconnected_count, U64),
    F(S, unreachable_count, U64),
    F(S, carried_count, U64),
    F(S, pause_ns, U64),
    F(S, left_out_count, U64),
    END,
};
#undef S

#define S rhumb_repair_report
static const field repair_fields[] = {
    F(S, epoch, U64),
    F(S, older_version, BOOL),
    F(S, checksums_lost, BOOL),
    F(S, chunk_count, U64),
    F(S, damaged_chunk_count, U64),
    F(S, slot_count, U64),
    F(S, dead_count, U64),
    F(S, saved_count, U64),
    F(S, lost_count, U64),
    F(S, lost_vector_count, U64),
    F(S, lost_key_count, U64),
    F(S, duplicate_count, U64),
    F(S, doubtful_count, U64),
    F(S, unproved_count, U64),
    F(S, lists_rebuilt_count, U64),
    F(S, relinked_count, U64),
    F(S, log_carried_count, U64),
    F(S, log_left_out_count, U64),
    F(S, count, U64),
    F(S, unreachable_count, U64),
    F(S, version_note, TEXT),
    F(S, first_damage, TEXT),
    F(S, log_note, TEXT),
    END,
};
#undef S

#define S rhumb_topology_stats
static const field topology_fields[] = {
    F(S, format_version, U32),
    F(S, creator_version, U32),
    F(S, uuid, UUID),
    F(S, created_unix_ns, U64),
    F(S, epoch, U64),
    F(S, lsn, U64),
    F(S, metric, METRIC),
    F(S, element, ELEMENT),
    F(S, dim, U32),
    F(S, M, U32),
    F(S, M0, U32),
    F(S, all_levels, BOOL),
    F(S, has_distances, BOOL),
    F(S, point_count, U64),
    F(S, link_count, U64),
    F(S, file_bytes, U64),
    F(S, level_top, U32),
    F(S, level_counts, LEVELS),
    END,
};
#undef S

#define S rhumb_import_report
static const field import_report_fields[] = {
    F(S, format, IMPORT_FORMAT),
    F(S, metric, METRIC),
    F(S, element, ELEMENT),
    F(S, dim, U32),
    F(S, M, U32),
    F(S, M0, U32),
    F(S, ef_construction, U32),
    F(S, source_count, U64),
    F(S, deleted_count, U64),
    F(S, absent_count, U64),
    F(S, count, U64),
    F(S, has_links, BOOL),
    F(S, links_used, BOOL),
    F(S, levels_kept, BOOL),
    F(S, link_count, U64),
    F(S, broken_link_count, U64),
    F(S, source_unreachable_count, U64),
    F(S, first_unreachable_key, U64),
    F(S, relinked_count, U64),
    F(S, unreachable_count, U64),
    F(S, source, TEXT),
    F(S, notes, TEXT),
    END,
};
#undef S

#define S rhumb_open_options
static const field open_fields[] = {
    F(S, read_only, BOOL),
    F(S, durability, DURABILITY),
    F(S, sync_interval_ms, U32),
    F(S, checkpoint_log_bytes, U64),
    F(S, checkpoint_bytes_per_second, U64),
    F(S, discard_log, BOOL),
    F(S, compact_dead_share, F64),
    F(S, compact_bytes_per_second, U64),
    F(S, graph_only, BOOL),
    F(S, custom_name, TEXT),
    F(S, custom_distance, ADDRESS),
    F(S, immutable, BOOL),
    F(S, warm_up, WARM_UP),
    END,
};
#undef S

#define S rhumb_compact_options
static const field compact_options_fields[] = {
    F(S, thread_count, U32),
    F(S, order, ORDER),
    F(S, second_pass, BOOL),
    F(S, custom_name, TEXT),
    F(S, custom_distance, ADDRESS),
    F(S, bytes_per_second, U64),
    F(S, background, BOOL),
    F(S, shrink, BOOL),
    F(S, codes, CODES),
    F(S, fused, FUSED),
    END,
};
#undef S

#define S rhumb_import_options
static const field import_options_fields[] = {
    F(S, format, IMPORT_FORMAT),
    F(S, metric, METRIC),
    F(S, element, ELEMENT),
    F(S, dim, U32),
    F(S, M, U32),
    F(S, ef_construction, U32),
    F(S, codes, CODES),
    F(S, renumber, BOOL),
    F(S, first_key, U64),
    F(S, ignore_links, BOOL),
    F(S, thread_count, U32),
    END,
};
#undef S

#define S rhumb_export_options
static const field export_options_fields[] = {
    F(S, format, EXPORT_FORMAT),
    END,
};
#undef S

static const struct {
    const char *name;
    const char *doc;
    const field *fields;
} structs[NATIVE_STRUCT_COUNT] = {
    [NATIVE_STATS] = {"rhumb.Stats", "What an index holds and what its handle has done.", stats_fields},
    [NATIVE_OPTIONS] = {"rhumb.Options", "What an index was created with.", options_fields},
    [NATIVE_INFO] = {"rhumb.Info", "What an index file says of itself.", info_fields},
    [NATIVE_SECTION] = {"rhumb.Section", "A section of an index file, and how much of it is in memory.",
                        section_fields},
    [NATIVE_VERIFY_REPORT] = {"rhumb.VerifyReport", "What verifying has found.", verify_fields},
    [NATIVE_WRITE_REPORT] = {"rhumb.WriteReport", "What a batch has done.", write_fields},
    [NATIVE_COMPACT_REPORT] = {"rhumb.CompactReport", "What a compaction has done.", compact_fields},
    [NATIVE_REPAIR_REPORT] = {"rhumb.RepairReport", "What a repair has found and done.", repair_fields},
    [NATIVE_TOPOLOGY_STATS] = {"rhumb.TopologyStats", "What a topology file is.", topology_fields},
    [NATIVE_IMPORT_REPORT] = {"rhumb.ImportReport", "What an import has found and done.", import_report_fields},
    [NATIVE_OPEN_OPTIONS] = {"options", NULL, open_fields},
    [NATIVE_COMPACT_OPTIONS] = {"options", NULL, compact_options_fields},
    [NATIVE_IMPORT_OPTIONS] = {"options", NULL, import_options_fields},
    [NATIVE_EXPORT_OPTIONS] = {"options", NULL, export_options_fields},
};

static PyTypeObject *types[NATIVE_RESULT_COUNT];

/* ---- enumerations ------------------------------------------------------------------------------------------------- */

typedef struct choice {
    const char *name;
    uint32_t number;
} choice;

static const choice durabilities[] = {
    {"full", RHUMB_DURABILITY_FULL}, {"interval", RHUMB_DURABILITY_INTERVAL}, {"none", RHUMB_DURABILITY_NONE}, {0}};
static const choice codes[] = {{"default", RHUMB_CODES_DEFAULT},
                               {"none", RHUMB_CODES_NONE},
                               {"4bit", RHUMB_CODES_4BIT},
                               {"8bit", RHUMB_CODES_8BIT},
                               {0}};
static const choice fused[] = {{"default", RHUMB_FUSED_DEFAULT},
                               {"1bit", RHUMB_FUSED_1BIT},
                               {"2bit", RHUMB_FUSED_2BIT},
                               {"none", RHUMB_FUSED_NONE},
                               {0}};
static const choice warm_ups[] = {
    {"default", RHUMB_WARM_UP_DEFAULT}, {"now", RHUMB_WARM_UP_NOW}, {"none", RHUMB_WARM_UP_NONE}, {0}};
static const choice orders[] = {{"default", RHUMB_ORDER_DEFAULT},
                                {"keep", RHUMB_ORDER_KEEP},
                                {"breadth", RHUMB_ORDER_BREADTH},
                                {"rcm", RHUMB_ORDER_RCM},
                                {"window", RHUMB_ORDER_WINDOW},
                                {"bisection", RHUMB_ORDER_BISECTION},
                                {0}};

static const choice import_formats[] = {{"hnswlib", RHUMB_IMPORT_HNSWLIB}, {"chroma", RHUMB_IMPORT_CHROMA},
                                        {"voyager", RHUMB_IMPORT_VOYAGER}, {"faiss", RHUMB_IMPORT_FAISS},
                                        {"usearch", RHUMB_IMPORT_USEARCH}, {"hnsw_rs", RHUMB_IMPORT_HNSW_RS},
                                        {"annoy", RHUMB_IMPORT_ANNOY},     {0}};
static const choice export_formats[] = {{"hnswlib", RHUMB_EXPORT_HNSWLIB}, {0}};

static const choice *choices_of(field_kind kind) {
    switch (kind) {
    case FIELD_DURABILITY: return durabilities;
    case FIELD_CODES: return codes;
    case FIELD_FUSED: return fused;
    case FIELD_WARM_UP: return warm_ups;
    case FIELD_IMPORT_FORMAT: return import_formats;
    case FIELD_EXPORT_FORMAT: return export_formats;
    default: return orders;
    }
}

static const char *name_of(field_kind kind, uint32_t number) {
    if (kind == FIELD_METRIC) return rhumb_metric_name(number);
    if (kind == FIELD_ELEMENT) return rhumb_element_name(number);
    for (const choice *c = choices_of(kind); c->name != NULL; c++) {
        if (c->number == number) return c->name;
    }
    return NULL;
}

/* Returns false with an exception for a text that names none of the choices. */
static bool number_of(const field *f, const char *name, uint32_t *number) {
    if (f->kind == FIELD_METRIC || f->kind == FIELD_ELEMENT) {
        *number =
            f->kind == FIELD_METRIC ? (uint32_t)rhumb_metric_from_name(name) : (uint32_t)rhumb_element_from_name(name);
        if (*number != 0) return true;
    } else {
        for (const choice *c = choices_of(f->kind); c->name != NULL; c++) {
            *number = c->number;
            if (strcmp(c->name, name) == 0) return true;
        }
    }
    PyErr_Format(PyExc_ValueError, "%s: there is no '%s'", f->name, name);
    return false;
}

/* ---- from C to Python ---------------------------------------------------------------------------------------------- */

static PyObject *levels_give(const uint64_t *counts) {
    PyObject *tuple = PyTuple_New(RHUMB_LEVEL_MAX + 1);
    for (Py_ssize_t i = 0; tuple != NULL && i <= (Py_ssize_t)RHUMB_LEVEL_MAX; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(counts[i]);
        if (number == NULL || PyTuple_SetItem(tuple, i, number) != 0) Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *uuid_give(const uint8_t *bytes) {
    PyObject *module = PyImport_ImportModule("uuid");
    PyObject *uuid = NULL;
    if (module != NULL) uuid = PyObject_CallMethod(module, "UUID", "Oy#", Py_None, bytes, (Py_ssize_t)16);
    Py_XDECREF(module);
    return uuid;
}

/* A tuple (epoch, reader_count, (pid, ...)) for each pin. */
static PyObject *pins_give(const rhumb_index_info *info) {
    PyObject *pins = PyTuple_New((Py_ssize_t)info->pin_count);
    for (uint32_t i = 0; pins != NULL && i < info->pin_count; i++) {
        PyObject *pids = PyTuple_New((Py_ssize_t)info->pin_pid_counts[i]);
        for (uint32_t j = 0; pids != NULL && j < info->pin_pid_counts[i]; j++) {
            PyObject *pid = PyLong_FromLong(info->pin_pids[RHUMB_INFO_PID_COUNT_MAX * i + j]);
            if (pid == NULL || PyTuple_SetItem(pids, (Py_ssize_t)j, pid) != 0) Py_CLEAR(pids);
        }
        PyObject *pin = NULL;
        if (pids != NULL) {
            pin = Py_BuildValue("KkN", (unsigned long long)info->pin_epochs[i],
                                (unsigned long)info->pin_reader_counts[i], pids);
        }
        if (pin == NULL || PyTuple_SetItem(pins, (Py_ssize_t)i, pin) != 0) Py_CLEAR(pins);
    }
    return pins;
}

static PyObject *field_give(const field *f, const char *source) {
    const void *at = source + f->offset;
    switch (f->kind) {
    case FIELD_U32: return PyLong_FromUnsignedLong(*(const uint32_t *)at);
    case FIELD_U64: return PyLong_FromUnsignedLongLong(*(const uint64_t *)at);
    case FIELD_F64: return PyFloat_FromDouble(*(const double *)at);
    case FIELD_BOOL: return PyBool_FromLong(*(const bool *)at);
    case FIELD_TEXT: return PyUnicode_DecodeUTF8(at, (Py_ssize_t)strlen(at), "replace");
    case FIELD_LEVELS: return levels_give(at);
    case FIELD_UUID: return uuid_give(at);
    case FIELD_PINS: return pins_give((const rhumb_index_info *)source);
    default: break;
    }
    const char *name = name_of(f->kind, *(const uint32_t *)at);
    return name == NULL ? Py_NewRef(Py_None) : PyUnicode_FromString(name); /* None: an info that does not know */
}

PyObject *native_fields_give(native_struct kind, const void *source) {
    PyObject *result = PyStructSequence_New(types[kind]);
    const field *fields = structs[kind].fields;
    for (Py_ssize_t i = 0; result != NULL && fields[i].name != NULL; i++) {
        PyObject *value = field_give(&fields[i], source);
        if (value != NULL) {
            PyStructSequence_SetItem(result, i, value);
        } else {
            Py_CLEAR(result);
        }
    }
    return result;
}

int native_fields_init(PyObject *module) {
    for (int kind = 0; kind < NATIVE_RESULT_COUNT; kind++) {
        PyStructSequence_Field fields[64] = {{0}};
        int count = 0;
        for (; structs[kind].fields[count].name != NULL; count++) fields[count].name = structs[kind].fields[count].name;
        PyStructSequence_Desc desc = {structs[kind].name, structs[kind].doc, fields, count};
        types[kind] = PyStructSequence_NewType(&desc);
        if (types[kind] == NULL) return -1;
        const char *name = strrchr(structs[kind].name, '.') + 1;
        if (PyModule_AddObjectRef(module, name, (PyObject *)types[kind]) != 0) return -1;
    }
    return 0;
}

/* ---- from Python to C ---------------------------------------------------------------------------------------------- */

static bool whole_number(const field *f, PyObject *value, uint64_t max, uint64_t *number) {
    PyObject *index = PyNumber_Index(value);
    if (index == NULL) {
        PyErr_Format(PyExc_TypeError, "%s: an integer expected, found %R", f->name, value);
        return false;
    }
    *number = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    if (!PyErr_Occurred() && *number <= max) return true;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "%s: 0 to %llu expected, found %R", f->name, (unsigned long long)max, value);
    return false;
}

/* A value of a kind that is stored as it is. */
static bool plain_take(const field *f, PyObject *value, void *at) {
    uint64_t number = 0;
    if (f->kind == FIELD_F64) {
        *(double *)at = PyFloat_AsDouble(value);
        return !PyErr_Occurred();
    }
    if (f->kind == FIELD_BOOL) {
        const int truth = PyObject_IsTrue(value);
        *(bool *)at = truth == 1;
        return truth >= 0;
    }
    if (!whole_number(f, value, f->kind == FIELD_U32 ? UINT32_MAX : UINT64_MAX, &number)) return false;
    if (f->kind == FIELD_U32) {
        *(uint32_t *)at = (uint32_t)number;
    } else if (f->kind == FIELD_U64) {
        *(uint64_t *)at = number;
    } else {
        *(void **)at = (void *)(uintptr_t)number;
    }
    return true;
}

static bool field_take(const field *f, PyObject *value, char *target) {
    void *at = target + f->offset;
    switch (f->kind) {
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_F64:
    case FIELD_BOOL:
    case FIELD_ADDRESS: return plain_take(f, value, at);
    default: break;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s: a str expected, found %R", f->name, value);
        return false;
    }
    const char *text = PyUnicode_AsUTF8AndSize(value, NULL); /* lives as long as the value, which the dict holds */
    if (text == NULL) return false;
    if (f->kind != FIELD_TEXT) return number_of(f, text, at);
    *(const char **)at = text;
    return true;
}

int native_fields_take(native_struct kind, PyObject *dict, void *target) {
    PyObject *name = NULL;
    PyObject *value = NULL;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &name, &value)) {
        const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
        if (text == NULL) return -1;
        const field *f = structs[kind].fields;
        while (f->name != NULL && strcmp(f->name, text) != 0) f++;
        if (f->name == NULL) {
            PyErr_Format(PyExc_TypeError, "there is no option '%s'", text);
            return -1;
        }
        if (!field_take(f, value, target)) return -1;
    }
    return 0;
}
