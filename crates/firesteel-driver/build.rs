//! Lists what runs inside Spark's JVM, Python and R, so that the program carries it as text.
//!
//! The lists go to `interpreters.rs` in the build's output folder, which `runtime/interpreters.rs` includes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("interpreters");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?).join("interpreters.rs");

    let mut text = String::new();
    table(&mut text, "SCALA", &root.join("scala"), "scala")?;
    table(&mut text, "PYTHON", &root.join("python/firesteel_python"), "py")?;
    table(&mut text, "R", &root.join("r/firesteel"), "R")?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", root.display());
    fs::write(out, text)
}

/// Writes one table: the path below `folder` and the text of each file that ends in `extension`, sorted.
fn table(text: &mut String, name: &str, folder: &Path, extension: &str) -> io::Result<()> {
    let mut files = Vec::new();
    walk(folder, extension, &mut files)?;
    files.sort();
    let _ = writeln!(text, "static {name}: &[Source] = &[");
    for file in files {
        let below = file.strip_prefix(folder).map_err(io::Error::other)?;
        let _ = writeln!(text, "    Source {{ name: {below:?}, text: include_str!({file:?}) }},");
    }
    let _ = writeln!(text, "];");
    Ok(())
}

/// Collects the files below `folder`; a folder of tests is no part of the program.
fn walk(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let named = |name: &str| path.file_name().is_some_and(|own| own == name);
        if path.is_dir() {
            if !named("tests") && !named("test") && !named("__pycache__") {
                walk(&path, extension, files)?;
            }
        } else if path.extension().is_some_and(|own| own == extension) {
            files.push(path);
        }
    }
    Ok(())
}
