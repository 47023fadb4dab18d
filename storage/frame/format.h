/* format.h - the bytes of a rhumb file: the structures of FORMAT.md, their sizes and their offsets.
 *
 * The only file that knows the offset of a field. All numbers are little-endian; the structures are read and written as
 * they are, which the check below allows on little-endian machines only.
 */
#ifndef RHUMB_STORAGE_FRAME_FORMAT_H
#define RHUMB_STORAGE_FRAME_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "rhumb files are little-endian and mapped as they are; this machine would need a reader that converts"
#endif

#define RHUMB__FORMAT_VERSION 2u

/* The unit of file space and of mapping. 64 KiB is the largest page size in common use, so that a file written on one
 * machine can be mapped on every other. */
#define RHUMB__BLOCK_BYTES 65536u

/* The size of the large pages through which some systems map files. A writer places large extents so that their offsets
 * in the file and in the section agree modulo this size; readers do not depend on it. */
#define RHUMB__LARGE_PAGE_BYTES (UINT64_C(2) << 20)

/* The first two blocks hold two superblocks, used in turn, each in two copies. The index of a superblock is 0 or 1. The
 * copies of one superblock are so far apart that no 64 KiB of the file touch both. */
#define RHUMB__SUPERBLOCK_BYTES 4096u
#define RHUMB__SUPERBLOCK_COUNT 2u
#define RHUMB__SUPERBLOCK_COPY_COUNT 2u
#define RHUMB__SUPERBLOCK_STRIDE 16384u
#define RHUMB__SUPERBLOCK_COPY_STRIDE 81920u

/* Extents and directories begin here. */
#define RHUMB__CONTENT_OFFSET 131072u

static_assert(RHUMB__SUPERBLOCK_COPY_STRIDE >= 65536u + RHUMB__SUPERBLOCK_BYTES, "64 KiB touch one copy at most");
static_assert(RHUMB__SUPERBLOCK_COPY_STRIDE + RHUMB__SUPERBLOCK_STRIDE + RHUMB__SUPERBLOCK_BYTES <=
                      RHUMB__CONTENT_OFFSET &&
                  RHUMB__CONTENT_OFFSET % RHUMB__BLOCK_BYTES == 0,
              "the superblocks lie before everything else");

/* A byte that is not text, the name, and both kinds of line end: a transfer that converts text damages it visibly. */
#define RHUMB__MAGIC UINT64_C(0x0A0D626D75687289)   /* 0x89 "rhumb" CR LF */
#define RHUMB__DIRECTORY_MAGIC UINT32_C(0x52494452) /* "RDIR" */

#define RHUMB__CLIENT_BYTES 3584u
#define RHUMB__SECTION_COUNT_MAX 64u
#define RHUMB__EXTENT_COUNT_MAX (1u << 20)
#define RHUMB__KEPT_COUNT_MAX 1024u

/* A chunk of a mutable section has this many units, the smallest part of it that a patch replaces. */
#define RHUMB__PATCH_UNIT_COUNT 512u

/* The most bytes that the patches of a version take, with their headers. */
#define RHUMB__PATCH_AREA_BYTES_MAX (UINT64_C(16) << 20)

/* The positions of the locks: far beyond the end of any possible file. */
#define RHUMB__LOCK_WRITER_OFFSET (UINT64_C(1) << 62)
#define RHUMB__LOCK_EPOCH_OFFSET ((UINT64_C(1) << 62) + 16)

/* The last epoch: its lock must lie below byte 2^63. At a million checkpoints a second it is 70,000 years away. */
#define RHUMB__EPOCH_MAX (UINT64_C(1) << 61)

typedef struct rhumb__superblock {
    uint64_t magic;
    uint32_t format_version;
    uint32_t crc;                   /* CRC-32C of all 4,096 bytes with this field 0 */
    uint64_t epoch;                 /* 1 for a new file, one more with every checkpoint; superblock index = epoch mod 2.
                                     0: no version yet, in superblock 0 of a new file */
    uint64_t features_compatible;   /* unknown bits: ignore */
    uint64_t features_read;         /* unknown bits: open read-only at most */
    uint64_t features_incompatible; /* unknown bits: do not open */
    uint8_t uuid[16];
    uint64_t created_unix_ns;
    uint32_t creator_version;
    uint32_t block_bytes;
    uint64_t file_bytes; /* the file is at least this long */
    uint64_t directory_offset;
    uint32_t root_bytes;                 /* directory header, section records, extents, kept versions */
    uint32_t root_crc;                   /* CRC-32C of these */
    uint64_t directory_bytes;            /* root and chunk checksums */
    uint64_t stamp;                      /* one more whenever it is written again within its epoch */
    uint64_t history;                    /* of the opening that wrote last; 0: none has written operations yet */
    uint64_t log_lsn;                    /* if a log is expected: its records up to this one had been synced */
    uint32_t log_expected;               /* 1: there is a log of this history, without which operations are missing */
    uint8_t reserved[372];               /* zero */
    uint8_t client[RHUMB__CLIENT_BYTES]; /* bytes that the engine publishes along with the sections */
} rhumb__superblock;

static_assert(sizeof(rhumb__superblock) == RHUMB__SUPERBLOCK_BYTES, "superblock size");
static_assert(offsetof(rhumb__superblock, magic) == 0, "superblock layout");
static_assert(offsetof(rhumb__superblock, format_version) == 8, "superblock layout");
static_assert(offsetof(rhumb__superblock, crc) == 12, "superblock layout");
static_assert(offsetof(rhumb__superblock, epoch) == 16, "superblock layout");
static_assert(offsetof(rhumb__superblock, features_compatible) == 24, "superblock layout");
static_assert(offsetof(rhumb__superblock, features_read) == 32, "superblock layout");
static_assert(offsetof(rhumb__superblock, features_incompatible) == 40, "superblock layout");
static_assert(offsetof(rhumb__superblock, uuid) == 48, "superblock layout");
static_assert(offsetof(rhumb__superblock, created_unix_ns) == 64, "superblock layout");
static_assert(offsetof(rhumb__superblock, creator_version) == 72, "superblock layout");
static_assert(offsetof(rhumb__superblock, block_bytes) == 76, "superblock layout");
static_assert(offsetof(rhumb__superblock, file_bytes) == 80, "superblock layout");
static_assert(offsetof(rhumb__superblock, directory_offset) == 88, "superblock layout");
static_assert(offsetof(rhumb__superblock, root_bytes) == 96, "superblock layout");
static_assert(offsetof(rhumb__superblock, root_crc) == 100, "superblock layout");
static_assert(offsetof(rhumb__superblock, directory_bytes) == 104, "superblock layout");
static_assert(offsetof(rhumb__superblock, stamp) == 112, "superblock layout");
static_assert(offsetof(rhumb__superblock, history) == 120, "superblock layout");
static_assert(offsetof(rhumb__superblock, log_lsn) == 128, "superblock layout");
static_assert(offsetof(rhumb__superblock, log_expected) == 136, "superblock layout");
static_assert(offsetof(rhumb__superblock, reserved) == 140, "superblock layout");
static_assert(offsetof(rhumb__superblock, client) == 512, "superblock layout");

typedef struct rhumb__directory_header {
    uint32_t magic;
    uint32_t section_count;
    uint32_t extent_count;
    uint32_t checksum_crc; /* CRC-32C of the chunk checksums, which follow the root */
    uint64_t checksum_count;
    uint64_t epoch;        /* the superblock's */
    uint32_t kept_count;   /* records of kept versions, which follow the extents */
    uint32_t reserved;     /* zero */
    uint64_t patch_offset; /* the patches: where they begin, their bytes, the CRC-32C of these, their number */
    uint64_t patch_bytes;
    uint32_t patch_crc;
    uint32_t patch_count;
} rhumb__directory_header;

static_assert(sizeof(rhumb__directory_header) == 64, "directory header size");
static_assert(offsetof(rhumb__directory_header, magic) == 0, "directory header layout");
static_assert(offsetof(rhumb__directory_header, section_count) == 4, "directory header layout");
static_assert(offsetof(rhumb__directory_header, extent_count) == 8, "directory header layout");
static_assert(offsetof(rhumb__directory_header, checksum_crc) == 12, "directory header layout");
static_assert(offsetof(rhumb__directory_header, checksum_count) == 16, "directory header layout");
static_assert(offsetof(rhumb__directory_header, epoch) == 24, "directory header layout");
static_assert(offsetof(rhumb__directory_header, kept_count) == 32, "directory header layout");
static_assert(offsetof(rhumb__directory_header, reserved) == 36, "directory header layout");
static_assert(offsetof(rhumb__directory_header, patch_offset) == 40, "directory header layout");
static_assert(offsetof(rhumb__directory_header, patch_bytes) == 48, "directory header layout");
static_assert(offsetof(rhumb__directory_header, patch_crc) == 56, "directory header layout");
static_assert(offsetof(rhumb__directory_header, patch_count) == 60, "directory header layout");

#define RHUMB__SECTION_REQUIRED 1u /* flag: a reader that does not know this section must not open the file */

typedef struct rhumb__section_record {
    uint32_t id;
    uint32_t kind; /* rhumb__section_kind */
    uint32_t flags;
    uint32_t codec;       /* how to read the rows; the engine defines it */
    uint32_t version;     /* of that codec */
    uint32_t chunk_bytes; /* unit of checksums: a multiple of the block */
    uint64_t row_stride_bytes;
    uint64_t row_count;
    uint32_t extent_first; /* index of its first extent */
    uint32_t extent_count;
    uint64_t checksum_first; /* index of its first chunk checksum; there is one per chunk that holds published bytes */
    uint64_t reserved;       /* zero */
} rhumb__section_record;

static_assert(sizeof(rhumb__section_record) == 64, "section record size");
static_assert(offsetof(rhumb__section_record, id) == 0, "section record layout");
static_assert(offsetof(rhumb__section_record, kind) == 4, "section record layout");
static_assert(offsetof(rhumb__section_record, flags) == 8, "section record layout");
static_assert(offsetof(rhumb__section_record, codec) == 12, "section record layout");
static_assert(offsetof(rhumb__section_record, version) == 16, "section record layout");
static_assert(offsetof(rhumb__section_record, chunk_bytes) == 20, "section record layout");
static_assert(offsetof(rhumb__section_record, row_stride_bytes) == 24, "section record layout");
static_assert(offsetof(rhumb__section_record, row_count) == 32, "section record layout");
static_assert(offsetof(rhumb__section_record, extent_first) == 40, "section record layout");
static_assert(offsetof(rhumb__section_record, extent_count) == 44, "section record layout");
static_assert(offsetof(rhumb__section_record, checksum_first) == 48, "section record layout");
static_assert(offsetof(rhumb__section_record, reserved) == 56, "section record layout");

/* A contiguous range of the file that belongs to a section. The extents of a section follow each other without gaps in
 * the section. */
typedef struct rhumb__extent {
    uint64_t file_offset; /* a multiple of the block */
    uint64_t bytes;       /* a multiple of the block */
} rhumb__extent;

static_assert(sizeof(rhumb__extent) == 16, "extent size");
static_assert(offsetof(rhumb__extent, file_offset) == 0, "extent layout");
static_assert(offsetof(rhumb__extent, bytes) == 8, "extent layout");

/* A version older than the newest two that a reader held when this version was published: where its directory is, as
 * its superblock said. */
typedef struct rhumb__kept_version {
    uint64_t epoch;
    uint64_t directory_offset;
    uint64_t directory_bytes;
    uint32_t root_bytes;
    uint32_t root_crc;
} rhumb__kept_version;

static_assert(sizeof(rhumb__kept_version) == 32, "kept version size");
static_assert(offsetof(rhumb__kept_version, epoch) == 0, "kept version layout");
static_assert(offsetof(rhumb__kept_version, directory_offset) == 8, "kept version layout");
static_assert(offsetof(rhumb__kept_version, directory_bytes) == 16, "kept version layout");
static_assert(offsetof(rhumb__kept_version, root_bytes) == 24, "kept version layout");
static_assert(offsetof(rhumb__kept_version, root_crc) == 28, "kept version layout");

/* Comes before the bytes of a patch, which replace those of a mutable section from section_offset on. */
typedef struct rhumb__patch_header {
    uint32_t section_id;
    uint32_t bytes;          /* a multiple of the section's unit, not 0 */
    uint64_t section_offset; /* a multiple of the unit; the patch lies in one chunk */
} rhumb__patch_header;

static_assert(sizeof(rhumb__patch_header) == 16, "patch header size");
static_assert(offsetof(rhumb__patch_header, section_id) == 0, "patch header layout");
static_assert(offsetof(rhumb__patch_header, bytes) == 4, "patch header layout");
static_assert(offsetof(rhumb__patch_header, section_offset) == 8, "patch header layout");

/* ---- the log, NAME.rhumb-wal ---- */

#define RHUMB__LOG_MAGIC UINT64_C(0x0A0D676F6C687289) /* 0x89 "rhlog" CR LF */
#define RHUMB__LOG_FORMAT_VERSION 2u

/* The log begins with two headers, used in turn, each in two copies, which are as far apart as those of a superblock;
 * the records follow. */
#define RHUMB__LOG_HEADER_BYTES 4096u
#define RHUMB__LOG_HEADER_COUNT 2u
#define RHUMB__LOG_COPY_COUNT 2u
#define RHUMB__LOG_COPY_STRIDE 81920u
#define RHUMB__LOG_RECORDS_OFFSET 98304u
#define RHUMB__LOG_RECORD_ALIGNMENT 8u

/* The highest LSN. It cannot be reached; a file that has a higher one is damaged. */
#define RHUMB__LOG_LSN_MAX (UINT64_C(1) << 62)

typedef struct rhumb__log_header {
    uint64_t magic;
    uint32_t format_version;
    uint32_t crc;        /* CRC-32C of all 4,096 bytes with this field 0 */
    uint64_t generation; /* one more with every header; header index = generation mod 2 */
    uint8_t uuid[16];    /* the index's */
    uint64_t salt;       /* seeds the records' checksums */
    uint64_t first_offset;
    uint64_t first_lsn;          /* of the record at first_offset, whether it exists yet or not */
    uint32_t first_previous_crc; /* the previous_crc of that record */
    uint32_t reserved_word;      /* zero */
    uint64_t history;            /* of the records after history_lsn */
    uint64_t previous_history;   /* of those before, and of the superblock on which this history follows */
    uint64_t history_lsn;        /* the last operation before this history */
    uint8_t reserved[4000];      /* zero */
} rhumb__log_header;

static_assert(RHUMB__LOG_COPY_STRIDE >= 65536u + RHUMB__LOG_HEADER_BYTES, "64 KiB touch one copy at most");
static_assert(RHUMB__LOG_COPY_STRIDE + RHUMB__LOG_HEADER_COUNT * RHUMB__LOG_HEADER_BYTES <= RHUMB__LOG_RECORDS_OFFSET,
              "the headers lie before the records");

static_assert(sizeof(rhumb__log_header) == RHUMB__LOG_HEADER_BYTES, "log header size");
static_assert(offsetof(rhumb__log_header, magic) == 0, "log header layout");
static_assert(offsetof(rhumb__log_header, format_version) == 8, "log header layout");
static_assert(offsetof(rhumb__log_header, crc) == 12, "log header layout");
static_assert(offsetof(rhumb__log_header, generation) == 16, "log header layout");
static_assert(offsetof(rhumb__log_header, uuid) == 24, "log header layout");
static_assert(offsetof(rhumb__log_header, salt) == 40, "log header layout");
static_assert(offsetof(rhumb__log_header, first_offset) == 48, "log header layout");
static_assert(offsetof(rhumb__log_header, first_lsn) == 56, "log header layout");
static_assert(offsetof(rhumb__log_header, first_previous_crc) == 64, "log header layout");
static_assert(offsetof(rhumb__log_header, reserved_word) == 68, "log header layout");
static_assert(offsetof(rhumb__log_header, history) == 72, "log header layout");
static_assert(offsetof(rhumb__log_header, previous_history) == 80, "log header layout");
static_assert(offsetof(rhumb__log_header, history_lsn) == 88, "log header layout");
static_assert(offsetof(rhumb__log_header, reserved) == 96, "log header layout");

/* The payload follows, and zeros up to a multiple of the alignment. */
typedef struct rhumb__log_record_header {
    uint32_t crc;           /* of everything after this field, including payload and padding */
    uint32_t previous_crc;  /* the crc of the previous record */
    uint32_t payload_bytes; /* without the padding */
    uint32_t type;          /* rhumb__log_type */
    uint64_t lsn;
    uint64_t synced_lsn; /* every record up to this one had been synced when this one was appended */
    uint64_t batch;      /* LSN of the batch's begin record, or 0 */
} rhumb__log_record_header;

static_assert(sizeof(rhumb__log_record_header) == 40, "log record size");
static_assert(offsetof(rhumb__log_record_header, crc) == 0, "log record layout");
static_assert(offsetof(rhumb__log_record_header, previous_crc) == 4, "log record layout");
static_assert(offsetof(rhumb__log_record_header, payload_bytes) == 8, "log record layout");
static_assert(offsetof(rhumb__log_record_header, type) == 12, "log record layout");
static_assert(offsetof(rhumb__log_record_header, lsn) == 16, "log record layout");
static_assert(offsetof(rhumb__log_record_header, synced_lsn) == 24, "log record layout");
static_assert(offsetof(rhumb__log_record_header, batch) == 32, "log record layout");

#endif /* RHUMB_STORAGE_FRAME_FORMAT_H */
