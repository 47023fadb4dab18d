// Makes the dumps of hnsw_rs in samples/, like make_samples.py, by the crate's versions 0.1.19 (dumps of version 2), 0.3.0
// (version 3) and 0.3.5 (version 4; with --cfg slices). In a package whose only dependency is hnsw_rs = "=VERSION":
//
//     cargo run --release -- v2 | v3          RUSTFLAGS='--cfg slices' cargo run --release -- v4
//
// Writes NAME.hnsw.graph, NAME.hnsw.data, NAME.vectors and NAME.queries into the working folder, and prints the lines of
// the manifest.
use hnsw_rs::prelude::*;
use std::io::Write;
#[cfg(slices)]
use hnsw_rs::api::AnnT;

const DIM: usize = 5;
const COUNT: usize = 70;
const K: usize = 10;

#[cfg(slices)]
macro_rules! item { ($row:expr, $id:expr) => { ($row.as_slice(), $id) }; }
#[cfg(not(slices))]
macro_rules! item { ($row:expr, $id:expr) => { ($row, $id) }; }
#[cfg(slices)]
macro_rules! dump { ($hnsw:expr, $name:expr) => { $hnsw.file_dump(std::path::Path::new("."), &$name).unwrap() }; }
#[cfg(not(slices))]
macro_rules! dump { ($hnsw:expr, $name:expr) => { $hnsw.file_dump(&$name).unwrap() }; }

fn numbers(seed: u64, count: usize) -> Vec<Vec<f32>> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| (0..DIM).map(|_| next()).collect()).collect()
}

macro_rules! make {
    ($name:expr, $type:ty, $distance:expr, $rows:expr, $queries:expr, $line:expr) => {{
        let (rows, queries): (Vec<Vec<$type>>, Vec<Vec<$type>>) = ($rows, $queries);
        let hnsw = Hnsw::new(6, rows.len(), 16, 30, $distance);
        let mut vectors = std::fs::File::create(format!("{}.vectors", $name)).unwrap();
        for (i, row) in rows.iter().enumerate() {
            let id = 1000 + 3 * i;
            hnsw.insert(item!(row, id));
            vectors.write_all(&(id as u64).to_le_bytes()).unwrap();
            for x in row { vectors.write_all(&x.to_le_bytes()).unwrap(); }
        }
        dump!(hnsw, $name);
        let mut found = std::fs::File::create(format!("{}.queries", $name)).unwrap();
        for query in &queries {
            let answer = hnsw.search(query.as_slice(), K, 20);
            if answer.len() != K { continue; }
            for x in query { found.write_all(&x.to_le_bytes()).unwrap(); }
            for neighbour in &answer { found.write_all(&(neighbour.d_id as u64).to_le_bytes()).unwrap(); }
        }
        println!("{} hnsw_rs - - 0 {} {} {} 0 {} 6 30 20 -", $name, $line, DIM, COUNT, COUNT);
    }};
}

fn main() {
    let version = std::env::args().nth(1).unwrap();
    let small = |seed, count| -> Vec<Vec<u16>> {
        numbers(seed, count).iter().map(|row| row.iter().map(|x| ((x + 0.5) * 9.0) as u16).collect()).collect()
    };
    make!(format!("hnsw_rs_{}", version), f32, DistL2 {}, numbers(397, COUNT), numbers(398, 20), "l2 f32");
    make!(format!("hnsw_rs_{}_u16", version), u16, DistHamming {}, small(399, COUNT), small(400, 20), "hamming u16");
}
