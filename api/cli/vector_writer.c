/* vector_writer.c - see vector_writer.h. Owns the output and the buffers of one row.
 */
#include "vector_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/dataset/npy_header.h"

/* NumPy's names of the types. */
static const char *descr_of(rhumb_element element, bool is_bool) {
    switch (element) {
    case RHUMB_ELEMENT_F16: return "<f2";
    case RHUMB_ELEMENT_F32: return "<f4";
    case RHUMB_ELEMENT_F64: return "<f8";
    case RHUMB_ELEMENT_I8: return "|i1";
    case RHUMB_ELEMENT_I16: return "<i2";
    case RHUMB_ELEMENT_I32: return "<i4";
    case RHUMB_ELEMENT_I64: return "<i8";
    case RHUMB_ELEMENT_U8: return is_bool ? "|b1" : "|u1";
    case RHUMB_ELEMENT_U16: return "<u2";
    case RHUMB_ELEMENT_U32: return "<u4";
    case RHUMB_ELEMENT_U64: return "<u8";
    default: return NULL; /* take_target lets no others through */
    }
}

enum dataset_format vector_writer_format(const struct vector_writer_options *options) {
    if (options->format_name) return dataset_format_from_name(options->format_name);
    return strcmp(options->path, "-") == 0 ? DATASET_FORMAT_JSONL : dataset_format_from_path(options->path);
}

/* The type of the components in the file. */
static int take_target(struct vector_writer *writer, const char *path) {
    const bool is_small = writer->element == RHUMB_ELEMENT_BF16 || writer->element == RHUMB_ELEMENT_F16;
    const rhumb_element own = writer->element == RHUMB_ELEMENT_B1     ? RHUMB_ELEMENT_U8
                              : writer->element == RHUMB_ELEMENT_BF16 ? RHUMB_ELEMENT_F32
                                                                      : writer->element;
    switch (writer->format) {
    case DATASET_FORMAT_NPY: writer->target = own; return CLI_OK;
    case DATASET_FORMAT_JSONL: writer->target = is_small ? RHUMB_ELEMENT_F32 : own; return CLI_OK;
    case DATASET_FORMAT_FVECS: writer->target = RHUMB_ELEMENT_F32; return CLI_OK;
    case DATASET_FORMAT_BVECS: writer->target = RHUMB_ELEMENT_U8; return CLI_OK;
    case DATASET_FORMAT_IVECS: writer->target = RHUMB_ELEMENT_I32; return CLI_OK;
    default:
        return cli_fail(writer->cli, CLI_USAGE,
                        "%s: vectors are written as npy, fvecs, bvecs, ivecs or jsonl; the name, or --out-format, must "
                        "say which",
                        path);
    }
}

static int fail_write(struct vector_writer *writer) {
    return cli_fail(writer->cli, CLI_IO, "%s: cannot write: %s", output_name(&writer->output), strerror(errno));
}

int vector_writer_open(struct vector_writer *writer, struct cli *cli, const struct vector_writer_options *options) {
    *writer = (struct vector_writer){
        .cli = cli, .format = vector_writer_format(options), .element = options->element, .dim = options->dim};
    const int exit_code = take_target(writer, options->path);
    if (exit_code != CLI_OK) return exit_code;
    if (cli->json && strcmp(options->path, "-") == 0)
        return cli_fail(cli, CLI_USAGE,
                        "the vectors and --json cannot both go to the standard output; give --out FILE");
    writer->bits = malloc(writer->dim);
    writer->components = malloc(writer->dim * sizeof(uint64_t));
    if (!writer->bits || !writer->components) return cli_fail_memory(cli, writer->dim * sizeof(uint64_t));
    if (!output_open(&writer->output, options->path))
        return cli_fail(cli, CLI_IO, "%s: cannot create: %s", options->path, strerror(errno));
    const char *descr = descr_of(writer->target, writer->element == RHUMB_ELEMENT_B1);
    if (writer->format == DATASET_FORMAT_NPY &&
        !npy_header_write(writer->output.stream, descr, options->row_count, writer->dim))
        return fail_write(writer);
    return CLI_OK;
}

/* The row as components of the file's type. */
static int convert(struct vector_writer *writer, uint64_t key, const unsigned char *vector) {
    rhumb_element element = writer->element;
    if (element == RHUMB_ELEMENT_B1) {
        for (uint32_t i = 0; i < writer->dim; i++) writer->bits[i] = vector[i / 8] >> i % 8 & 1;
        vector = writer->bits;
        element = RHUMB_ELEMENT_U8;
    }
    const size_t done = rhumb_element_convert(element, vector, writer->target, writer->components, writer->dim);
    if (done == writer->dim) return CLI_OK;
    return cli_fail(writer->cli, CLI_INPUT, "component %zu of key %" PRIu64 " does not fit %s, the type of %s", done,
                    key, rhumb_element_name(writer->target), dataset_format_name(writer->format));
}

/* A component, with as many digits as bring it back. */
static void print_component(FILE *stream, rhumb_element element, const unsigned char *component) {
    int64_t i64;
    uint64_t u64;
    double f64;
    if (rhumb_element_is_float(element)) {
        if (rhumb_element_convert(element, component, RHUMB_ELEMENT_F64, &f64, 1) == 1)
            fprintf(stream, "%.*g", element == RHUMB_ELEMENT_F64 ? 17 : 9, f64);
    } else if (rhumb_element_convert(element, component, RHUMB_ELEMENT_I64, &i64, 1) == 1) {
        fprintf(stream, "%" PRId64, i64);
    } else if (rhumb_element_convert(element, component, RHUMB_ELEMENT_U64, &u64, 1) == 1) {
        fprintf(stream, "%" PRIu64, u64);
    }
}

static void print_object(struct vector_writer *writer, uint64_t key) {
    FILE *stream = writer->output.stream;
    const size_t bytes = dataset_element_bytes(writer->target);
    fprintf(stream, "{\"key\": %" PRIu64 ", \"vector\": [", key);
    for (uint32_t i = 0; i < writer->dim; i++) {
        if (i > 0) fputs(", ", stream);
        print_component(stream, writer->target, writer->components + i * bytes);
    }
    fputs("]}\n", stream);
}

int vector_writer_add(struct vector_writer *writer, uint64_t key, const void *vector) {
    FILE *stream = writer->output.stream;
    const int exit_code = convert(writer, key, vector);
    if (exit_code != CLI_OK) return exit_code;
    if (writer->format == DATASET_FORMAT_JSONL) {
        print_object(writer, key);
    } else {
        if (writer->format != DATASET_FORMAT_NPY) fwrite(&writer->dim, sizeof writer->dim, 1, stream);
        fwrite(writer->components, dataset_element_bytes(writer->target), writer->dim, stream);
    }
    if (!ferror(stream)) return CLI_OK;
    return writer->output.is_stdout ? CLI_IO : fail_write(writer); /* cli_finish tells of the standard output */
}

int vector_writer_close(struct vector_writer *writer, bool complete) {
    int exit_code = CLI_OK;
    if (!output_close(&writer->output, complete) && complete)
        exit_code = writer->output.is_stdout ? CLI_IO : fail_write(writer);
    free(writer->bits);
    free(writer->components);
    writer->bits = writer->components = NULL;
    return exit_code;
}
