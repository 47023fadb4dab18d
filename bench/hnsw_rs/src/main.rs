//! Compares rhumb with hnsw_rs 0.3.5 and with the older crate hnsw_rs_thousand_birds 0.1.20. See README.md.

mod behaviour;
mod random;
mod rhumb;
mod speed;
mod values;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["values"] => values::run(),
        ["behaviour", data] => behaviour::run(data),
        ["speed", data, metric, m, ef_construction, passes, query_limit, efs @ ..] => {
            let efs: Vec<usize> = efs.iter().map(|ef| ef.parse().expect("an ef")).collect();
            let plan = speed::Plan {
                metric,
                m: m.parse().expect("M"),
                ef_construction: ef_construction.parse().expect("ef_construction"),
                passes: passes.parse().expect("passes"),
                query_limit: query_limit.parse().expect("how many queries"),
            };
            speed::run(data, &plan, &efs);
        }
        _ => {
            eprintln!(
                "usage: hnsw-rs-comparison values\n       hnsw-rs-comparison behaviour FILE.hdf5\n       \
                 hnsw-rs-comparison speed FILE.hdf5 euclidean|angular M EF_CONSTRUCTION PASSES QUERIES EF..."
            );
            std::process::exit(2);
        }
    }
}
