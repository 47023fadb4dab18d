//! Compiles bridge.c and links it, librhumb and libhdf5. RHUMB_LIB names the folder of librhumb.so.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..").canonicalize().unwrap();
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let library = env::var("RHUMB_LIB").map_or(root.join(".out/bazel-bin"), PathBuf::from);
    let library = library.canonicalize().expect("RHUMB_LIB: no such folder; build //:librhumb.so first");
    let object = out.join("bridge.o");
    let archive = out.join("libbridge.a");
    let compiled = Command::new("gcc")
        .args(["-std=c17", "-O2", "-Wall", "-Werror", "-c", "bridge.c", "-I/usr/include/hdf5/serial"])
        .arg(format!("-I{}", root.join("include").display()))
        .arg("-o")
        .arg(&object)
        .status();
    assert!(compiled.unwrap().success(), "gcc cannot compile bridge.c");
    let archived = Command::new("ar").arg("crs").arg(&archive).arg(&object).status();
    assert!(archived.unwrap().success(), "ar failed");
    println!("cargo:rerun-if-changed=bridge.c");
    println!("cargo:rerun-if-env-changed=RHUMB_LIB");
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static=bridge");
    println!("cargo:rustc-link-search=native={}", library.display());
    println!("cargo:rustc-link-lib=dylib=rhumb");
    println!("cargo:rustc-link-search=native=/usr/lib/x86_64-linux-gnu/hdf5/serial");
    println!("cargo:rustc-link-lib=dylib=hdf5");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", library.display());
}
