//! Behaviour: filters, links, dumps, and what happens to unusual calls. On the first 10,000 vectors of a data set of
//! ann-benchmarks with euclidean distance, M 16, ef_construction 200.

use std::collections::HashSet;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::time::Instant;

use anndists::dist::*;
use hnsw_rs::prelude::*;

use crate::rhumb;

const COUNT: usize = 10_000;
const QUERIES: usize = 200;

/// The two crates have the same interface, under other names.
macro_rules! build {
    ($crate_name:ident, $distance:expr, $rows:expr, $dim:expr) => {{
        let hnsw = $crate_name::hnsw::Hnsw::<f32, _>::new(16, COUNT, 16, 200, $distance);
        let rows: Vec<Vec<f32>> = $rows.chunks($dim).map(<[f32]>::to_vec).collect();
        let numbered: Vec<(&Vec<f32>, usize)> = rows.iter().zip(0..).collect();
        hnsw.parallel_insert(&numbered);
        hnsw
    }};
}

macro_rules! filters {
    ($name:literal, $hnsw:expr, $queries:expr, $dim:expr) => {
        for step in [2, 10, 100, 1000, 2500] {
            let allowed: Vec<usize> = (0..COUNT).step_by(step).collect();
            for ef in [10, 64] {
                let begin = Instant::now();
                let (mut answers, mut wrong) = (0, 0);
                for query in $queries.chunks($dim).take(QUERIES) {
                    let found = $hnsw.search_filter(query, 10, ef, Some(&allowed));
                    answers += found.len();
                    wrong += found.iter().filter(|n| n.d_id % step != 0).count();
                }
                let per_second = QUERIES as f64 / begin.elapsed().as_secs_f64();
                println!(
                    "  {:<8} {:5} keys match, ef {ef}: {:.2} answers of {}, {wrong} wrong, {per_second:.0} queries/s",
                    $name,
                    allowed.len(),
                    answers as f64 / QUERIES as f64,
                    10.min(allowed.len())
                );
            }
        }
    };
}

macro_rules! links {
    ($name:literal, $hnsw:expr) => {{
        let (mut links, mut repeated, mut above, mut to_upper) = (0, 0, 0, 0);
        for point in $hnsw.get_point_indexation() {
            let lists = point.get_neighborhood_id();
            let all: Vec<usize> = lists.iter().flatten().map(|n| n.d_id).collect();
            links += all.len();
            repeated += all.len() - all.iter().collect::<HashSet<_>>().len();
            let level = usize::from(point.get_point_id().0);
            above += lists.iter().skip(level + 1).map(Vec::len).sum::<usize>();
            to_upper += lists[0].iter().filter(|n| n.p_id.0 > 0).count();
        }
        println!(
            "  {:<8} {links} links, {repeated} of them to a neighbour that another level's list has too; {above} in \
             lists above the point's own level; {to_upper} on layer 0 to points of higher layers",
            $name
        );
    }};
}

macro_rules! lost {
    ($name:literal, $hnsw:expr, $rows:expr, $dim:expr) => {{
        let found = |(i, row): (usize, &[f32])| $hnsw.search(row, 1, 64).first().is_some_and(|n| n.d_id == i);
        let lost = $rows.chunks($dim).enumerate().filter(|pair| !found(*pair)).count();
        println!("  {:<8} {lost} of {COUNT} stored vectors are not the answer to a search for themselves", $name);
    }};
}

fn dump_and_reload(rows: &[f32], dim: usize, folder: &Path) {
    let outcome = |result: std::thread::Result<String>| result.unwrap_or_else(|_| "panic".to_string());
    let few: Vec<(Vec<f32>, usize)> = rows.chunks(dim).take(500).map(<[f32]>::to_vec).zip(0..).collect();
    let small = |m: usize, layers: usize, count: usize| {
        let mut hnsw = Hnsw::<f32, DistL2>::new(m, 500, layers, 100, DistL2 {});
        hnsw.modify_level_scale(0.5);
        few.iter().take(count).for_each(|(row, id)| hnsw.insert((row, *id)));
        hnsw
    };
    for (what, m, layers, count) in [
        ("max_layer 16", 16, 16, 500),
        ("max_layer 11", 16, 11, 500),
        ("an empty index", 16, 16, 0),
        ("M 256", 256, 16, 500),
    ] {
        let hnsw = small(m, layers, count);
        let name = what.replace(' ', "-");
        let dumped = outcome(catch_unwind(AssertUnwindSafe(|| match hnsw.file_dump(folder, &name) {
            Ok(_) => "works".to_string(),
            Err(error) => format!("fails ({error})"),
        })));
        let reloaded = outcome(catch_unwind(AssertUnwindSafe(|| {
            let mut io = HnswIo::new(folder, &name);
            let result = match io.load_hnsw::<f32, DistL2>() {
                Ok(copy) => format!(
                    "works, M {} of {}, level scale {:.4} of {:.4}",
                    copy.get_max_nb_connection(),
                    hnsw.get_max_nb_connection(),
                    copy.get_point_indexation().get_level_scale(),
                    hnsw.get_point_indexation().get_level_scale()
                ),
                Err(error) => format!("fails ({error})"),
            };
            result
        })));
        println!("  {what}: the dump {dumped}, the reload {reloaded}");
    }
    let graph = outcome(catch_unwind(AssertUnwindSafe(|| {
        let mut io = HnswIo::new(folder, "max_layer-16");
        let graph = io.load_hnsw::<NoData, NoDist>().expect("a dump without its data");
        let lists: Vec<_> = graph.get_point_indexation().into_iter().map(|p| p.get_neighborhood_id()).collect();
        let sorted =
            lists.iter().flatten().all(|list| list.windows(2).all(|pair| pair[0].distance <= pair[1].distance));
        let positive = lists.iter().flatten().flatten().any(|n| n.distance > 0.0);
        format!("lists sorted by distance: {sorted}, with distances: {positive}")
    })));
    println!("  NoData reload: {graph}");
}

fn unusual_calls(rows: &[f32], dim: usize) {
    let hnsw = Hnsw::<f32, DistL2>::new(16, 100, 16, 100, DistL2 {});
    (0..5).for_each(|i| hnsw.insert((&rows[i * dim..(i + 1) * dim], 7)));
    let ids: Vec<usize> = hnsw.search(&rows[..dim], 10, 64).iter().map(|n| n.d_id).collect();
    println!("  five vectors under id 7: {} points, answers {ids:?}", hnsw.get_nb_point());
    let nan = vec![f32::NAN; dim];
    for (what, query) in [("a query of NaN", &nan[..]), ("a query of another dimension", &nan[..1])] {
        let result = catch_unwind(AssertUnwindSafe(|| hnsw.search(query, 10, 64).len()));
        println!("  {what}: {}", result.map_or("panic".to_string(), |count| format!("{count} answers")));
    }
}

pub fn run(data: &str) {
    std::panic::set_hook(Box::new(|_| {}));
    let (train, dim) = rhumb::read::<f32>(data, "train", 'f');
    let (test, _) = rhumb::read::<f32>(data, "test", 'f');
    let rows = &train[..COUNT * dim];
    let path = format!("{}/behaviour.{}.rhumb", std::env::temp_dir().display(), std::process::id());
    let ours = rhumb::Index::create(&path, "l2", "f32", dim, 16, 200).expect("created");
    assert!(ours.insert(rows, COUNT, 0));
    let theirs = build!(hnsw_rs, DistL2 {}, rows, dim);
    let older = build!(fork, fork::dist::DistL2 {}, rows, dim);

    println!("links, all levels");
    links!("hnsw_rs", theirs);
    links!("0.1.20", older);
    let links: usize = (0..COUNT as u64).map(|key| ours.neighbour_count(key)).sum();
    println!("  {:<8} {links} links, all different", "rhumb");

    println!("searches for what is stored, k 1, ef 64");
    lost!("hnsw_rs", theirs, rows, dim);
    lost!("0.1.20", older, rows, dim);
    let (keys, _) = ours.search(rows, COUNT, 1, 64, 0, None);
    let lost = keys.iter().enumerate().filter(|(i, key)| *i as u64 != **key).count();
    println!("  {:<8} {lost} of {COUNT} stored vectors are not the answer to a search for themselves", "rhumb");

    println!("filters by sorted ids, k 10, one thread");
    filters!("hnsw_rs", theirs, test, dim);
    filters!("0.1.20", older, test, dim);
    for step in [2, 10, 100, 1000, 2500] {
        let allowed: Vec<u64> = (0..COUNT as u64).step_by(step).collect();
        for ef in [10, 64] {
            let begin = Instant::now();
            let (keys, counts) = ours.search(&test, QUERIES, 10, ef, 1, Some(&allowed));
            let per_second = QUERIES as f64 / begin.elapsed().as_secs_f64();
            let wrong = keys.iter().filter(|key| **key != u64::MAX && **key % step as u64 != 0).count();
            let answers = counts.iter().sum::<usize>() as f64 / QUERIES as f64;
            println!(
                "  {:<8} {:5} keys match, ef {ef}: {answers:.2} answers of {}, {wrong} wrong, \
                 {per_second:.0} queries/s",
                "rhumb",
                allowed.len(),
                10.min(allowed.len())
            );
        }
    }

    println!("dump and reload, 500 vectors");
    let folder = std::env::temp_dir().join(format!("hnsw-rs-dumps-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for dumps");
    dump_and_reload(rows, dim, &folder);
    std::fs::remove_dir_all(&folder).expect("removed");
    println!("unusual calls");
    unusual_calls(rows, dim);
}
