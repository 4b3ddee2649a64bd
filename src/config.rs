//! The configuration file: from its bytes to a [`Model`], or to everything that is wrong with it at once.
//!
//! Bytes become a tree whose nodes know their places (`tree`), variables are expanded (`expand`), what the environment says of traces
//! is put where the file is silent (`environment`), the tree becomes [`file::File`], exactly what was typed (`decode`), and that becomes a [`Model`] with every default (`validate`), into which the files that it names
//! are read (`files`). What is valid but hardly meant is told beside it (`warnings`).

mod decode;
#[cfg(test)]
mod docs;
mod environment;
mod expand;
pub mod file;
pub mod files;
mod problem;
#[cfg(any(test, fuzzing))]
pub mod property;
pub mod scalar;
pub mod schema;
mod surroundings;
mod tree;
mod url;
mod validate;
mod warnings;
pub mod watch;
pub mod write;

pub use decode::Field;
pub use problem::{Listed, Problem, Problems, Warning, Warnings};
pub use surroundings::{Expired, Surroundings};

use crate::model::Model;
use files::Files;
use problem::Collector;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// The configuration that the demo writes when there is none: the repository's `config.yaml` without its first line, which
/// leads editors to a schema that is not there in other folders.
pub const BUILT_IN: &str = after_first_line(include_str!("../config.yaml"));

const fn after_first_line(text: &str) -> &str {
    let mut end = 0;
    while text.as_bytes()[end] != b'\n' {
        end += 1;
    }
    text.split_at(end + 1).1
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub model: Model,
    /// What in it works, though hardly as it was meant.
    pub warnings: Warnings,
    /// The files that it names, absolute, each once.
    pub files: Vec<PathBuf>,
}

/// Reads a configuration: `source` is the file's content, `name` the file as messages call it. The files that it names are
/// read, too.
///
/// # Errors
/// Everything that is wrong with the file and with those that it names, in the order of the file.
pub fn load(
    source: &[u8],
    name: &str,
    surroundings: &Surroundings<'_>,
) -> Result<Loaded, Problems> {
    let problems = Collector::new(name);
    let files = Files::new(surroundings);
    let model = tree::read(source, &problems).and_then(|mut tree| {
        expand::expand(&mut tree, surroundings.variables, &problems);
        let whole = environment::complete(&tree, surroundings.variables, &problems);
        let file = decode::decode(&whole, &problems);
        let model = validate::validate(file.get()?, &tree::At::root(&whole), &files, &problems);
        if problems.is_empty() {
            tree::confirm(source, &tree, &problems);
            warnings::warn(&model, &tree::At::root(&whole), &problems);
        }
        Some(model)
    });
    match model {
        Some(model) if problems.is_empty() => {
            Ok(Loaded { model, warnings: problems.finish_warnings(), files: files.finish() })
        }
        _ => Err(problems.finish(files.finish())),
    }
}

/// The SHA-256 of a configuration's bytes, before expansion, in hexadecimal: equal wherever the same file runs.
pub fn hash(source: &[u8]) -> String {
    Sha256::digest(source).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
