//! Speed and recall@10 of hnsw_rs 0.3.5 and rhumb: both indexes are built in this process from the same rows, then
//! searched in turns, at every ef, in a rotating order. Prints the median of the passes, by wall clock.
//!
//! For "angular", hnsw_rs gets normalised vectors and DistDot, as its own example does: its DistCosine has no SIMD
//! code; rhumb gets the vectors as they are, and measures cosine.

use std::time::Instant;

use anndists::dist::*;
use hnsw_rs::prelude::*;

use crate::rhumb;

const K: usize = 10;

pub struct Plan<'a> {
    pub metric: &'a str,
    pub m: usize,
    pub ef_construction: usize,
    pub passes: usize,
    pub query_limit: usize,
}

struct Queries<'a> {
    rows: &'a [f32], // as rhumb gets them
    theirs: Vec<Vec<f32>>,
    truth: &'a [i32],
    truth_columns: usize,
}

fn recall(queries: &Queries, answers: impl Fn(usize) -> Vec<u64>) -> f64 {
    let hits: usize = (0..queries.theirs.len())
        .map(|i| {
            let truth = &queries.truth[i * queries.truth_columns..][..K];
            answers(i).iter().filter(|key| truth.iter().any(|t| *t as u64 == **key)).count()
        })
        .sum();
    hits as f64 / (queries.theirs.len() * K) as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Queries per second and recall of one pass.
fn pass_theirs<D: Distance<f32> + Send + Sync>(
    hnsw: &Hnsw<f32, D>,
    queries: &Queries,
    ef: usize,
    threads: usize,
) -> (f64, f64) {
    let begin = Instant::now();
    let answers: Vec<Vec<Neighbour>> = if threads == 1 {
        queries.theirs.iter().map(|query| hnsw.search(query, K, ef)).collect()
    } else {
        hnsw.parallel_search(&queries.theirs, K, ef)
    };
    let seconds = begin.elapsed().as_secs_f64();
    let keys = |i: usize| answers[i].iter().map(|n| n.d_id as u64).collect();
    (answers.len() as f64 / seconds, recall(queries, keys))
}

fn pass_ours(index: &rhumb::Index, queries: &Queries, ef: usize, threads: usize) -> (f64, f64) {
    let count = queries.theirs.len();
    let begin = Instant::now();
    let (keys, _) = index.search(queries.rows, count, K, ef as u32, threads as u32, None);
    let seconds = begin.elapsed().as_secs_f64();
    (count as f64 / seconds, recall(queries, |i| keys[i * K..(i + 1) * K].to_vec()))
}

fn search<D: Distance<f32> + Send + Sync>(
    hnsw: &Hnsw<f32, D>,
    index: &rhumb::Index,
    queries: &Queries,
    passes: usize,
    efs: &[usize],
) {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    for threads in [1, processors] {
        println!("{threads} thread(s), medians of {passes} passes");
        for ef in efs {
            let (mut theirs, mut ours) = (Vec::new(), Vec::new());
            let mut recalls = (0.0, 0.0);
            for pass in 0..passes {
                for turn in 0..2 {
                    if (pass + turn) % 2 == 0 {
                        let (speed, recall) = pass_theirs(hnsw, queries, *ef, threads);
                        theirs.push(speed);
                        recalls.0 = recall;
                    } else {
                        let (speed, recall) = pass_ours(index, queries, *ef, threads);
                        ours.push(speed);
                        recalls.1 = recall;
                    }
                }
            }
            let (theirs, ours) = (median(theirs), median(ours));
            println!(
                "  ef {ef:4}  hnsw_rs recall {:.4} {theirs:8.0} queries/s   rhumb recall {:.4} {ours:8.0} queries/s   \
                 {:.2} x at equal ef",
                recalls.0,
                recalls.1,
                ours / theirs
            );
        }
    }
}

fn compare<D: Distance<f32> + Send + Sync>(
    distance: D,
    metric: &str,
    train: &[f32],
    theirs: &[Vec<f32>],
    queries: &Queries,
    plan: &Plan,
    efs: &[usize],
) {
    let dim = train.len() / theirs.len();
    let hnsw = Hnsw::<f32, D>::new(plan.m, theirs.len(), 16, plan.ef_construction, distance);
    let numbered: Vec<(&Vec<f32>, usize)> = theirs.iter().zip(0..).collect();
    let begin = Instant::now();
    hnsw.parallel_insert(&numbered);
    let built = begin.elapsed().as_secs_f64();
    let path = format!("{}/speed.{}.rhumb", std::env::temp_dir().display(), std::process::id());
    let index =
        rhumb::Index::create(&path, metric, "f32", dim, plan.m as u32, plan.ef_construction as u32).expect("created");
    let begin = Instant::now();
    assert!(index.insert(train, theirs.len(), 0));
    println!("build on all processors: hnsw_rs {built:.1} s, rhumb {:.1} s", begin.elapsed().as_secs_f64());
    search(&hnsw, &index, queries, plan.passes, efs);
}

pub fn run(data: &str, plan: &Plan, efs: &[usize]) {
    let (train, dim) = rhumb::read::<f32>(data, "train", 'f');
    let (test, _) = rhumb::read::<f32>(data, "test", 'f');
    let (truth, truth_columns) = rhumb::read::<i32>(data, "neighbors", 'i');
    let count = plan.query_limit.min(test.len() / dim);
    let angular = match plan.metric {
        "angular" => true,
        "euclidean" => false,
        other => panic!("{other}: euclidean or angular expected"),
    };
    let split = |matrix: &[f32]| -> Vec<Vec<f32>> {
        let mut rows: Vec<Vec<f32>> = matrix.chunks(dim).map(<[f32]>::to_vec).collect();
        if angular {
            rows.iter_mut().for_each(|row| l2_normalize(row));
        }
        rows
    };
    let theirs = split(&train);
    let queries =
        Queries { rows: &test[..count * dim], theirs: split(&test[..count * dim]), truth: &truth, truth_columns };
    if angular {
        compare(DistDot {}, "cosine", &train, &theirs, &queries, plan, efs);
    } else {
        compare(DistL2 {}, "l2", &train, &theirs, &queries, plan, efs);
    }
}
