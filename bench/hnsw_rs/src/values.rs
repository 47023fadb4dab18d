//! Distances: each metric and element type that both measure, against a reference in f64 (integers are subtracted in
//! i128 first). Prints how many pairs of vectors are wrong in each library, and how many end in a panic.

use std::panic::{catch_unwind, AssertUnwindSafe};

use anndists::dist::*;

use crate::random::Random;
use crate::rhumb::Index;

const DIMS: [usize; 10] = [1, 2, 3, 8, 15, 16, 17, 33, 100, 784];
const LARGE: f64 = 1e9; // what "large, close" components are near
const COUNT: usize = 16; // vectors of each kind and dimension; all pairs of them are compared

trait Element: Copy + Default + Send + Sync + 'static {
    const NAME: &'static str;
    const INTEGER: bool;
    fn from_f64(x: f64) -> Self;
    fn from_bits(x: u64) -> Self;
    fn f64(self) -> f64;
    fn difference(self, other: Self) -> f64;
}

macro_rules! integer {
    ($($type:ident)*) => {$(
        impl Element for $type {
            const NAME: &'static str = stringify!($type);
            const INTEGER: bool = true;
            fn from_f64(x: f64) -> Self { x as $type }
            fn from_bits(x: u64) -> Self { x as $type }
            fn f64(self) -> f64 { self as f64 }
            fn difference(self, other: Self) -> f64 { (self as i128 - other as i128) as f64 }
        }
    )*};
}

macro_rules! float {
    ($($type:ident)*) => {$(
        impl Element for $type {
            const NAME: &'static str = stringify!($type);
            const INTEGER: bool = false;
            fn from_f64(x: f64) -> Self { x as $type }
            fn from_bits(_: u64) -> Self { 0.0 }
            fn f64(self) -> f64 { self as f64 }
            fn difference(self, other: Self) -> f64 { self as f64 - other as f64 }
        }
    )*};
}

integer! { u8 u16 u32 u64 i16 i32 i64 }
float! { f32 f64 }

fn sum<T: Element>(a: &[T], b: &[T], term: impl Fn(T, T) -> f64) -> f64 {
    a.iter().zip(b).map(|(x, y)| term(*x, *y)).sum()
}

fn reference<T: Element>(metric: &str, a: &[T], b: &[T]) -> f64 {
    let floor = |x: f64| x.max(1e-30);
    match metric {
        "l1" => sum(a, b, |x, y| x.difference(y).abs()),
        "l2" => sum(a, b, |x, y| x.difference(y).powi(2)).sqrt(),
        "ip" => 1.0 - sum(a, b, |x, y| x.f64() * y.f64()),
        "cosine" => {
            let norms = sum(a, a, |x, y| x.f64() * y.f64()).sqrt() * sum(b, b, |x, y| x.f64() * y.f64()).sqrt();
            if norms == 0.0 {
                1.0
            } else {
                1.0 - sum(a, b, |x, y| x.f64() * y.f64()) / norms
            }
        }
        "hamming" => sum(a, b, |x, y| f64::from(u8::from(x.difference(y) != 0.0))) / a.len() as f64,
        "jaccard" => {
            let larger = sum(a, b, |x, y| x.f64().max(y.f64()));
            if larger == 0.0 {
                0.0
            } else {
                1.0 - sum(a, b, |x, y| x.f64().min(y.f64())) / larger
            }
        }
        "hellinger" => (0.5 * sum(a, b, |x, y| (x.f64().sqrt() - y.f64().sqrt()).powi(2))).sqrt(),
        "jeffreys" => sum(a, b, |x, y| x.difference(y) * (floor(x.f64()) / floor(y.f64())).ln()),
        "jensen_shannon" => {
            let half = |x: f64, m: f64| if x > 0.0 { x * (x / m).ln() } else { 0.0 };
            let both = |x: f64, y: f64| half(x, (x + y) / 2.0) + half(y, (x + y) / 2.0);
            (0.5 * sum(a, b, |x, y| both(x.f64(), y.f64()))).max(0.0).sqrt()
        }
        _ => unreachable!("{metric}"),
    }
}

/// The kinds of vectors that a metric is tried with.
fn kinds<T: Element>(metric: &str) -> Vec<&'static str> {
    let mut kinds = match metric {
        "hellinger" | "jeffreys" | "jensen_shannon" => {
            return vec!["probabilities", "with zeros", "near", "sum 1.0005"]
        }
        "ip" => return vec!["unit length", "small"],
        _ => vec!["small", "with zeros"],
    };
    if T::INTEGER {
        kinds.push("full range");
    }
    if T::from_f64(LARGE).f64() == LARGE {
        kinds.push("large, close");
    }
    kinds
}

fn vectors<T: Element>(kind: &str, dim: usize, random: &mut Random) -> Vec<T> {
    let base: Vec<f64> = (0..dim).map(|_| random.unit() + 0.1).collect();
    let mut rows = Vec::new();
    for _ in 0..COUNT {
        let mut x: Vec<f64> = (0..dim).map(|_| random.unit()).collect();
        match kind {
            "full range" => {
                rows.extend((0..dim).map(|_| T::from_bits(random.bits())));
                continue;
            }
            "large, close" => {
                rows.extend(x.iter().map(|v| T::from_f64(LARGE + 20.0 * v)));
                continue;
            }
            "with zeros" => x.iter_mut().for_each(|v| *v = if random.unit() < 0.6 { 0.0 } else { *v }),
            "near" => x = base.iter().zip(&x).map(|(b, v)| b * (1.0 + 1e-5 * v)).collect(),
            _ => {}
        }
        let scale = match kind {
            "unit length" => 1.0 / x.iter().map(|v| v * v).sum::<f64>().sqrt(),
            _ if T::INTEGER => 100.0,
            _ => 1.0,
        };
        rows.extend(x.iter().map(|v| T::from_f64(v * scale)));
    }
    rows
}

/// Makes probabilities of the rows: each is divided by its sum, and multiplied by `total`.
fn normalise<T: Element>(rows: &mut [T], dim: usize, total: f64) {
    for row in rows.chunks_mut(dim) {
        let sum: f64 = row.iter().map(|x| x.f64()).sum();
        if sum == 0.0 {
            row[0] = T::from_f64(total);
        } else {
            row.iter_mut().for_each(|x| *x = T::from_f64(x.f64() / sum * total));
        }
    }
}

#[derive(Default)]
struct Tally {
    pairs: usize,
    panics: usize,
    not_numbers: usize,
    wrong: usize,
}

impl Tally {
    /// Wrong is an error of more than a thousandth of the distance, or of `floor` where the distance is smaller.
    fn enter(&mut self, seen: Option<f32>, truth: f64, floor: f64) {
        self.pairs += 1;
        let Some(seen) = seen else {
            self.panics += 1;
            return;
        };
        if seen.is_nan() {
            self.not_numbers += 1;
            return;
        }
        let error = (f64::from(seen) - truth).abs();
        let relative = error / truth.abs().max(floor);
        if relative > 1e-3 {
            self.wrong += 1;
        }
    }

    fn text(&self) -> String {
        let mut parts = Vec::new();
        for (count, what) in [(self.wrong, "wrong"), (self.not_numbers, "NaN"), (self.panics, "panics")] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if parts.is_empty() {
            "right".to_string()
        } else {
            parts.join(", ")
        }
    }
}

fn compare<T: Element, D: Distance<T>>(metric: &str, distance: &D) {
    let probabilities = ["hellinger", "jeffreys", "jensen_shannon"].contains(&metric);
    // 1 minus a number near 1 has an error of some 1e-7 in f32, however it is computed.
    let floor = if ["cosine", "ip"].contains(&metric) { 1e-3 } else { 1e-4 };
    for kind in kinds::<T>(metric) {
        let (mut theirs, mut ours) = (Tally::default(), Tally::default());
        let mut asymmetric = 0;
        for dim in DIMS {
            let mut random = Random(dim as u64 * 1000 + kind.len() as u64);
            let mut rows: Vec<T> = vectors(kind, dim, &mut random);
            if probabilities {
                normalise(&mut rows, dim, if kind == "sum 1.0005" { 1.0005 } else { 1.0 });
            }
            let path = format!("{}/values.{}.rhumb", std::env::temp_dir().display(), std::process::id());
            let index = Index::create(&path, metric, T::NAME, dim, 0, 0).expect("rhumb measures this pair");
            let matrix = if index.insert(&rows, COUNT, 1) { index.distances(&rows, COUNT) } else { None };
            let row = |i: usize| &rows[i * dim..(i + 1) * dim];
            let measure = |i, j| catch_unwind(AssertUnwindSafe(|| distance.eval(row(i), row(j)))).ok();
            for i in 0..COUNT {
                for j in 0..COUNT {
                    let truth = reference(metric, row(i), row(j));
                    let seen = measure(i, j);
                    theirs.enter(seen, truth, floor);
                    ours.enter(matrix.as_ref().map(|matrix| matrix[i * COUNT + j]), truth, floor);
                    if i < j && (seen.unwrap_or(0.0) - measure(j, i).unwrap_or(0.0)).abs() > 1e-3 {
                        asymmetric += 1;
                    }
                }
            }
        }
        let symmetry =
            if asymmetric > 0 { format!(", {asymmetric} differ the other way round") } else { String::new() };
        println!(
            "{metric:<15}{:<5}{kind:<14}{:5} pairs  rhumb: {}  hnsw_rs: {}{symmetry}",
            T::NAME,
            theirs.pairs,
            ours.text(),
            theirs.text()
        );
    }
}

/// Single values that the page quotes.
fn single_values() {
    println!("a zero vector and (1, 0): cosine {} in hnsw_rs", DistCosine.eval(&[0f32, 0.0], &[1f32, 0.0]));
    println!("two zero vectors: jaccard {} in hnsw_rs", DistJaccard.eval(&[0u8, 0], &[0u8, 0]));
    println!("1e9 + 0.05 and 1e9 in f64: l1 {} in hnsw_rs", DistL1.eval(&[1e9f64 + 0.05], &[1e9f64]));
    println!("2^31 and 2^31 + 2 in u32: l1 {} in hnsw_rs", DistL1.eval(&[1u32 << 31], &[(1u32 << 31) + 2]));
    println!("1e200 and 0 in f64: l2 {} in hnsw_rs", DistL2.eval(&[1e200f64], &[0f64]));
}

pub fn run() {
    std::panic::set_hook(Box::new(|_| {}));
    macro_rules! all {
        ($($metric:literal $distance:ident: $($type:ident)*;)*) => {$($(
            compare::<$type, _>($metric, &$distance);
        )*)*};
    }
    all! {
        "l1" DistL1: u8 u16 u32 i32 i64 f32 f64;
        "l2" DistL2: u8 u16 u32 i32 i64 f32 f64;
        "cosine" DistCosine: u16 i32 i64 f32 f64;
        "ip" DistDot: f32;
        "hamming" DistHamming: u8 u16 u32 u64 i16 i32 f32 f64;
        "jaccard" DistJaccard: u8 u16 u32;
        "hellinger" DistHellinger: f32 f64;
        "jeffreys" DistJeffreys: f32 f64;
        "jensen_shannon" DistJensenShannon: f32 f64;
    }
    single_values();
}
