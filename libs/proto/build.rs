//! Compiles every file under `proto/` with protox, so that no `protoc` is needed to build.
//!
//! Packages are found, not listed: a new folder under `proto/adplane/` is a new module of this crate.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

#[path = "build/redact.rs"]
mod redact;

fn main() {
    if let Err(error) = generate() {
        // protox's error names the file, the line and what it expected there.
        eprintln!("{error:?}");
        process::exit(1);
    }
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through its environment")]
fn generate() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto").canonicalize()?;
    println!("cargo::rerun-if-changed={}", root.display());
    println!("cargo::rerun-if-changed=build");

    let mut files = Vec::new();
    find(&root, &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Encoded by the compiler, not by prost: prost-types would drop the options that are extensions, the scope too.
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let secrets = redact::Secrets::find(&compiler.descriptor_pool());
    // Names, so that a message packs into an `Any` and knows itself again there.
    let mut names = prost_build::Config::new();
    names.enable_type_names().type_name_domain(["."], "type.googleapis.com");
    tonic_prost_build::configure()
        .btree_map(".")
        .skip_debug(secrets.paths())
        .include_file("modules.rs")
        .compile_fds_with_config(compiler.file_descriptor_set(), names)?;
    for (package, code) in secrets.debug_impls() {
        append(&out.join(format!("{package}.rs")), &code)?;
    }
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

fn append(file: &Path, code: &str) -> Result<(), Box<dyn Error>> {
    let mut text = fs::read_to_string(file)?;
    text.push_str(code);
    fs::write(file, text)?;
    Ok(())
}
