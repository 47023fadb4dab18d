/* dataset_hdf5.c - the HDF5 files of ann-benchmarks: two-axis datasets train, test, neighbors, distances, attribute
 * distance.
 *
 * Owns libhdf5 handles. Rows are read by hyperslab, so only what is asked for comes into memory; libhdf5 converts the
 * element type.
 *
 * libhdf5 trusts files more than rhumb does. What it would follow out of the file (external links, virtual datasets,
 * external storage) is refused, and so is what it would allocate on the word of a header: contiguous data must lie
 * within the file, all chunks must be stored, and a chunk is at most CHUNK_BYTES_MAX or the file's length. libhdf5
 * prints its errors by default; here they are silenced for each call and the innermost one goes into the
 * message.
 */
#if __has_include(<hdf5/serial/hdf5.h>) /* Debian keeps several flavours of it apart */
#include <hdf5/serial/hdf5.h>
#else
#include <hdf5.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dataset_internal.h"

#define CHUNK_BYTES_MAX (UINT64_C(64) << 20)

struct hdf5_reader {
    hid_t file;
    hid_t matrix;
    hid_t file_space;
    bool is_signed;
    char name[128];
};

/* H5Ewalk2 callback: notes the innermost description. */
static herr_t note_error(unsigned n, const H5E_error2_t *record, void *context) {
    char *text = context;
    if (n == 0 && record->desc) {
        strncpy(text, record->desc, 127);
        text[127] = '\0';
    }
    return 0;
}

static enum dataset_status fail_hdf5(const struct dataset *dataset, enum dataset_status status, const char *what,
                                     const char *name, struct dataset_error *error) {
    char detail[128] = "no details";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_error, detail);
    return dataset__fail(error, status, dataset->info.path, DATASET_OFFSET_NONE, "HDF5: cannot %s '%s': %s", what, name,
                         detail);
}

static enum dataset_status refuse(const struct dataset *dataset, const char *name, const char *why,
                                  struct dataset_error *error) {
    return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, DATASET_OFFSET_NONE, "HDF5 dataset '%s' %s",
                         name, why);
}

/* Silences libhdf5's printing, and puts back what was there. */
struct error_printing {
    H5E_auto2_t function;
    void *context;
};

static struct error_printing printing_off(void) {
    struct error_printing before = {NULL, NULL};
    H5Eget_auto2(H5E_DEFAULT, &before.function, &before.context);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return before;
}

static void printing_restore(struct error_printing before) {
    H5Eset_auto2(H5E_DEFAULT, before.function, before.context);
}

static void close_hdf5(struct dataset *dataset) {
    struct hdf5_reader *reader = dataset->reader;
    if (!reader) return;
    const struct error_printing printing = printing_off();
    if (reader->file_space >= 0) H5Sclose(reader->file_space);
    if (reader->matrix >= 0) H5Dclose(reader->matrix);
    if (reader->file >= 0) H5Fclose(reader->file);
    printing_restore(printing);
    free(reader);
    dataset->reader = NULL;
}

/* IEEE 754 binary16, which libhdf5 knows no name for. */
static hid_t half_type(void) {
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    if (type >= 0 && H5Tset_fields(type, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(type, 2) >= 0 &&
        H5Tset_ebias(type, 15) >= 0)
        return type;
    if (type >= 0) H5Tclose(type);
    return H5I_INVALID_HID;
}

/* The type to read a matrix as if it is not to be converted. Not the file's own: that may be of the other byte order,
 * have unused bits, or be another float of the same size. */
static hid_t raw_type(rhumb_element element) {
    switch (element) {
    case RHUMB_ELEMENT_F16: return half_type();
    case RHUMB_ELEMENT_F32: return H5Tcopy(H5T_IEEE_F32LE);
    case RHUMB_ELEMENT_F64: return H5Tcopy(H5T_IEEE_F64LE);
    case RHUMB_ELEMENT_I8: return H5Tcopy(H5T_STD_I8LE);
    case RHUMB_ELEMENT_I16: return H5Tcopy(H5T_STD_I16LE);
    case RHUMB_ELEMENT_I32: return H5Tcopy(H5T_STD_I32LE);
    case RHUMB_ELEMENT_I64: return H5Tcopy(H5T_STD_I64LE);
    case RHUMB_ELEMENT_U8: return H5Tcopy(H5T_STD_U8LE);
    case RHUMB_ELEMENT_U16: return H5Tcopy(H5T_STD_U16LE);
    case RHUMB_ELEMENT_U32: return H5Tcopy(H5T_STD_U32LE);
    case RHUMB_ELEMENT_U64: return H5Tcopy(H5T_STD_U64LE);
    default: return H5I_INVALID_HID; /* take_type takes no others */
    }
}

/* A type of bools is read as it is in the file: its bytes have no order. */
static hid_t memory_type(const struct dataset *dataset) {
    const struct hdf5_reader *reader = dataset->reader;
    return dataset->info.is_bool ? H5Dget_type(reader->matrix) : raw_type(dataset->info.element);
}

static enum dataset_status read_hdf5(struct dataset *dataset, uint64_t row_first, size_t row_count,
                                     const struct dataset_target *target, struct dataset_error *error) {
    const struct hdf5_reader *reader = dataset->reader;
    const struct error_printing printing = printing_off();
    const hsize_t start[2] = {row_first, 0};
    const hsize_t count[2] = {row_count, dataset->info.dim};
    const int axis_count = H5Sget_simple_extent_ndims(reader->file_space);
    enum dataset_status status = DATASET_OK;
    const hid_t memory_space = H5Screate_simple(axis_count, count, NULL);
    if (memory_space < 0 || H5Sselect_hyperslab(reader->file_space, H5S_SELECT_SET, start, NULL, count, NULL) < 0) {
        status = fail_hdf5(dataset, DATASET_E_CONTENT, "select rows of", reader->name, error);
    } else {
        const hid_t integers = reader->is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
        const hid_t own = target->raw ? memory_type(dataset) : H5I_INVALID_HID;
        const hid_t type = target->raw ? own : target->f32 ? H5T_NATIVE_FLOAT : integers;
        void *rows = target->raw ? target->raw : target->f32 ? (void *)target->f32 : (void *)target->u64;
        if (H5Dread(reader->matrix, type, memory_space, reader->file_space, H5P_DEFAULT, rows) < 0)
            status = fail_hdf5(dataset, DATASET_E_CONTENT, "read", reader->name, error);
        if (own >= 0) H5Tclose(own);
    }
    if (memory_space >= 0) H5Sclose(memory_space);
    printing_restore(printing);
    return status;
}

/* libhdf5 converts no bools, so they are read as bytes first. */
static enum dataset_status read_bools(struct dataset *dataset, uint64_t row_first, size_t row_count,
                                      const struct dataset_target *target, struct dataset_error *error) {
    const size_t dim = dataset->info.dim;
    if (target->raw) return read_hdf5(dataset, row_first, row_count, target, error);
    enum dataset_status status = dataset__scratch_need(dataset, dim, error);
    const size_t step_max = dataset->scratch_bytes / dim;
    for (size_t done = 0; done < row_count && status == DATASET_OK; done += step_max) {
        const size_t step = row_count - done < step_max ? row_count - done : step_max;
        const struct dataset_target bytes = {.raw = dataset->scratch};
        status = read_hdf5(dataset, row_first + done, step, &bytes, error);
        if (status != DATASET_OK) break;
        if (target->f32) dataset__to_f32(RHUMB_ELEMENT_U8, dataset->scratch, step * dim, target->f32 + done * dim);
        if (target->u64) dataset__to_u64(RHUMB_ELEMENT_U8, dataset->scratch, step * dim, target->u64 + done * dim);
    }
    return status;
}

/* h5py writes bool as an enumeration of FALSE and TRUE in one byte, PyTables as a field of bits in one byte. */
static bool is_bool_type(hid_t type) {
    if (H5Tget_size(type) != 1) return false;
    const H5T_class_t class = H5Tget_class(type);
    if (class != H5T_ENUM) return class == H5T_BITFIELD;
    signed char no = -1, yes = -1;
    return H5Tget_nmembers(type) == 2 && H5Tenum_valueof(type, "FALSE", &no) >= 0 &&
           H5Tenum_valueof(type, "TRUE", &yes) >= 0 && no == 0 && yes == 1;
}

static bool holds_minus_one(rhumb_element element) {
    const int8_t minus_one = -1;
    uint64_t room;
    return rhumb_element_convert(RHUMB_ELEMENT_I8, &minus_one, element, &room, 1) == 1;
}

static enum dataset_status take_type(struct dataset *dataset, struct dataset_error *error) {
    struct hdf5_reader *reader = dataset->reader;
    const hid_t type = H5Dget_type(reader->matrix);
    if (type < 0) return fail_hdf5(dataset, DATASET_E_CONTENT, "see the type of", reader->name, error);
    const H5T_class_t class = H5Tget_class(type);
    const size_t bytes = H5Tget_size(type);
    reader->is_signed = class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
    dataset->info.is_bool = is_bool_type(type);
    H5Tclose(type);
    if (dataset->info.is_bool) {
        dataset->info.element = RHUMB_ELEMENT_U8;
        dataset->read = read_bools;
        return DATASET_OK;
    }

    rhumb_element element = 0;
    for (int number = 1; rhumb_element_name((rhumb_element)number) != NULL; number++) {
        const rhumb_element e = (rhumb_element)number;
        if (e == RHUMB_ELEMENT_BF16) continue; /* floats of 16 bits of any layout are read as f16 */
        const bool is_float = rhumb_element_is_float(e), is_signed = holds_minus_one(e);
        if (dataset_element_bytes(e) != bytes || class != (is_float ? H5T_FLOAT : H5T_INTEGER)) continue;
        if (is_float || is_signed == reader->is_signed) element = e;
    }
    if (!element)
        return refuse(dataset, reader->name, "holds neither integers nor floats of 1 to 8 bytes, nor bools", error);
    dataset->info.element = element;
    return DATASET_OK;
}

static enum dataset_status take_shape(struct dataset *dataset, struct dataset_error *error) {
    struct hdf5_reader *reader = dataset->reader;
    reader->file_space = H5Dget_space(reader->matrix);
    const int axis_count = reader->file_space < 0 ? -1 : H5Sget_simple_extent_ndims(reader->file_space);
    if (axis_count != 1 && axis_count != 2)
        return refuse(dataset, reader->name, "must have two axes (rows and columns), or one", error);
    hsize_t extent[2] = {0, 1};
    if (H5Sget_simple_extent_dims(reader->file_space, extent, NULL) != axis_count)
        return fail_hdf5(dataset, DATASET_E_CONTENT, "see the extent of", reader->name, error);
    return dataset__shape_set(dataset, DATASET_OFFSET_NONE, extent[0], extent[1], error);
}

/* Chunked storage: the chunks must be of a bearable size and all be there. */
static enum dataset_status check_chunks(struct dataset *dataset, hid_t properties, uint64_t matrix_bytes,
                                        struct dataset_error *error) {
    const struct hdf5_reader *reader = dataset->reader;
    hsize_t chunk[2] = {1, 1};
    if (H5Pget_chunk(properties, 2, chunk) < 1 || chunk[0] == 0 || chunk[1] == 0)
        return fail_hdf5(dataset, DATASET_E_CONTENT, "see the chunks of", reader->name, error);
    uint64_t chunk_bytes;
    const bool fits = dataset__size(chunk[0], chunk[1], 0, &chunk_bytes) &&
                      dataset__size(chunk_bytes, dataset_element_bytes(dataset->info.element), 0, &chunk_bytes);
    if (!fits || (chunk_bytes > CHUNK_BYTES_MAX && chunk_bytes > dataset->info.file_bytes))
        return refuse(dataset, reader->name, "has chunks that are larger than 64 MiB and larger than the file", error);
    if (matrix_bytes == 0) return DATASET_OK;
    const uint64_t rows = dataset->info.row_count / chunk[0] + (dataset->info.row_count % chunk[0] != 0);
    const uint64_t columns = dataset->info.dim / chunk[1] + (dataset->info.dim % chunk[1] != 0);
    uint64_t chunk_count;
    hsize_t stored_count = 0;
    if (!dataset__size(rows, columns, 0, &chunk_count) || chunk_count > dataset->info.file_bytes ||
        H5Dget_num_chunks(reader->matrix, reader->file_space, &stored_count) < 0 || stored_count < chunk_count)
        return refuse(dataset, reader->name, "has rows that are not stored in the file", error);
    return DATASET_OK;
}

static enum dataset_status check_storage(struct dataset *dataset, struct dataset_error *error) {
    const struct hdf5_reader *reader = dataset->reader;
    const hid_t properties = H5Dget_create_plist(reader->matrix);
    if (properties < 0) return fail_hdf5(dataset, DATASET_E_CONTENT, "see the layout of", reader->name, error);
    enum dataset_status status = DATASET_OK;
    uint64_t matrix_bytes = 0;
    const bool fits = dataset__size(dataset->info.row_count, dataset->info.dim, 0, &matrix_bytes) &&
                      dataset__size(matrix_bytes, dataset_element_bytes(dataset->info.element), 0, &matrix_bytes);
    const H5D_layout_t layout = H5Pget_layout(properties);
    /* What the layout says is stored; libhdf5 reads beyond its buffers when that is less than the extent. */
    const uint64_t stored_bytes = H5Dget_storage_size(reader->matrix);
    if (!fits) {
        status = refuse(dataset, reader->name, "has an extent of more than 64 bits", error);
    } else if (layout == H5D_CHUNKED) {
        status = check_chunks(dataset, properties, matrix_bytes, error);
    } else if (layout == H5D_CONTIGUOUS) {
        const haddr_t offset = H5Dget_offset(reader->matrix);
        if (H5Pget_external_count(properties) != 0)
            status = refuse(dataset, reader->name, "keeps its data in other files, which is not supported", error);
        else if (matrix_bytes && (offset == HADDR_UNDEF || offset > dataset->info.file_bytes ||
                                  matrix_bytes > dataset->info.file_bytes - offset || stored_bytes < matrix_bytes))
            status = refuse(dataset, reader->name, "has rows that are not stored in the file", error);
    } else if (layout == H5D_COMPACT) {
        if (stored_bytes < matrix_bytes)
            status = refuse(dataset, reader->name, "has rows that are not stored in the file", error);
    } else {
        status = refuse(dataset, reader->name, "keeps its data in other files, which is not supported", error);
    }
    H5Pclose(properties);
    return status;
}

/* Copies an attribute of the file that is a text. If it is absent, not a text or too long, `text_out` is "" or cut,
 * which is not an error. */
static void take_text_attribute(const struct dataset *dataset, const char *name, char text_out[32]) {
    const struct hdf5_reader *reader = dataset->reader;
    text_out[0] = '\0';
    if (H5Aexists(reader->file, name) <= 0) return;
    const hid_t attribute = H5Aopen(reader->file, name, H5P_DEFAULT);
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
    const hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    if (type >= 0 && H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
        char *text = NULL;
        char fixed[32] = "";
        if (H5Tis_variable_str(type) > 0) {
            /* A type of the file's word is not trusted with memory: one of another size would be read into `text`. */
            const hid_t memory_type = H5Tcopy(H5T_C_S1);
            H5Tset_size(memory_type, H5T_VARIABLE);
            H5Tset_cset(memory_type, H5Tget_cset(type));
            if (H5Tget_size(type) == sizeof text && H5Aread(attribute, memory_type, &text) >= 0 && text)
                strncpy(fixed, text, sizeof fixed - 1);
            if (text) H5free_memory(text);
            H5Tclose(memory_type);
        } else if (H5Tget_size(type) < sizeof fixed) {
            if (H5Aread(attribute, type, fixed) < 0) fixed[0] = '\0';
        }
        memcpy(text_out, fixed, sizeof fixed);
        text_out[sizeof fixed - 1] = '\0';
    }
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attribute >= 0) H5Aclose(attribute);
}

/* The attribute `dimension` of a file of sets; 0 if it is absent or not an integer. */
static uint64_t take_dimension_attribute(const struct dataset *dataset) {
    const struct hdf5_reader *reader = dataset->reader;
    uint64_t dimension = 0;
    if (H5Aexists(reader->file, "dimension") <= 0) return 0;
    const hid_t attribute = H5Aopen(reader->file, "dimension", H5P_DEFAULT);
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
    const hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    if (type >= 0 && H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 1 &&
        H5Aread(attribute, H5T_NATIVE_UINT64, &dimension) < 0)
        dimension = 0;
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attribute >= 0) H5Aclose(attribute);
    return dimension;
}

static void take_attributes(struct dataset *dataset) {
    char type[32];
    take_text_attribute(dataset, "distance", dataset->info.distance);
    take_text_attribute(dataset, "type", type);
    dataset->says_sparse = strcmp(type, "sparse") == 0;
    dataset->says_dimension = take_dimension_attribute(dataset);
}

/* Only a plain link: an external one would lead into another file, a soft one may lead to an external one. */
static enum dataset_status open_matrix(struct dataset *dataset, struct dataset_error *error) {
    struct hdf5_reader *reader = dataset->reader;
    H5L_info_t link;
    if (H5Lexists(reader->file, reader->name, H5P_DEFAULT) <= 0)
        return dataset__fail(error, DATASET_E_ABSENT, dataset->info.path, DATASET_OFFSET_NONE,
                             "the HDF5 file holds no dataset '%s'", reader->name);
    if (H5Lget_info(reader->file, reader->name, &link, H5P_DEFAULT) < 0)
        return fail_hdf5(dataset, DATASET_E_CONTENT, "see", reader->name, error);
    if (link.type != H5L_TYPE_HARD)
        return refuse(dataset, reader->name, "is a link to elsewhere, which is not supported", error);
    reader->matrix = H5Dopen2(reader->file, reader->name, H5P_DEFAULT);
    if (reader->matrix < 0) return fail_hdf5(dataset, DATASET_E_CONTENT, "open", reader->name, error);
    return DATASET_OK;
}

const char *dataset__hdf5_part_name(enum dataset_part part) {
    static const char *const part_names[] = {
        [DATASET_PART_TRAIN] = "train",
        [DATASET_PART_TEST] = "test",
        [DATASET_PART_NEIGHBORS] = "neighbors",
        [DATASET_PART_DISTANCES] = "distances",
    };
    return part_names[part];
}

/* libhdf5 resolves the names of files, and the copy of a pipe has none. So it is given the bytes, in memory. */
static hid_t open_image(const struct dataset *dataset) {
    const size_t bytes = (size_t)dataset->info.file_bytes;
    void *image = bytes > 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, dataset->fd, 0) : MAP_FAILED;
    if (image == MAP_FAILED) return H5I_INVALID_HID;
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = H5I_INVALID_HID;
    if (access >= 0 && H5Pset_fapl_core(access, 1u << 20, 0) >= 0 && H5Pset_file_image(access, image, bytes) >= 0)
        file = H5Fopen(dataset->info.path, H5F_ACC_RDONLY, access);
    if (access >= 0) H5Pclose(access);
    munmap(image, bytes);
    return file;
}

static hid_t open_hdf5(const struct dataset *dataset) {
    struct stat name;
    const bool has_name = stat(dataset->file_path, &name) == 0 && name.st_nlink > 0;
    return has_name ? H5Fopen(dataset->file_path, H5F_ACC_RDONLY, H5P_DEFAULT) : open_image(dataset);
}

enum dataset_status dataset__hdf5_open(struct dataset *dataset, enum dataset_part part, const char *name,
                                       struct dataset_error *error) {
    if (!name) name = dataset__hdf5_part_name(part);
    struct hdf5_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return dataset__fail(error, DATASET_E_NOMEM, dataset->info.path, DATASET_OFFSET_NONE, "out of memory");
    reader->file = reader->matrix = reader->file_space = H5I_INVALID_HID;
    dataset->reader = reader;
    dataset->read = read_hdf5;
    dataset->close = close_hdf5;
    /* A path through groups could lead through a link into another file. */
    if (strlen(name) >= sizeof reader->name || name[0] == '\0' || strchr(name, '/'))
        return dataset__fail(
            error, DATASET_E_INVALID, dataset->info.path, DATASET_OFFSET_NONE,
            "the name of an HDF5 dataset must have 1 to %zu bytes and no '/': it lies at the top level",
            sizeof reader->name - 1);
    memcpy(reader->name, name, strlen(name) + 1);

    const struct error_printing printing = printing_off();
    enum dataset_status status = DATASET_OK;
    reader->file = open_hdf5(dataset);
    if (reader->file < 0) status = fail_hdf5(dataset, DATASET_E_CONTENT, "open", dataset->info.path, error);
    if (status == DATASET_OK) status = open_matrix(dataset, error);
    if (status == DATASET_OK) status = take_type(dataset, error);
    if (status == DATASET_OK) status = take_shape(dataset, error);
    if (status == DATASET_OK) status = check_storage(dataset, error);
    if (status == DATASET_OK) take_attributes(dataset);
    printing_restore(printing);
    return status;
}
