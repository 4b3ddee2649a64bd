//! The configuration file: from its bytes to a [`Model`], or to everything that is wrong with it at once.
//!
//! Bytes become a tree whose nodes know their places (`tree`), variables are expanded (`expand`), the tree becomes
//! [`file::File`], exactly what was typed (`decode`), and that becomes a [`Model`] with every default (`validate`).

mod decode;
#[cfg(test)]
mod docs;
mod expand;
pub mod file;
mod problem;
pub mod scalar;
pub mod schema;
mod tree;
mod url;
mod validate;
pub mod watch;
pub mod write;

pub use decode::Field;
pub use problem::{Problem, Problems};

use crate::model::Model;
use problem::Collector;
use sha2::{Digest, Sha256};

/// The configuration that the demo writes when there is none: the repository's `config.yaml`.
pub const BUILT_IN: &str = include_str!("../config.yaml");

/// Reads a configuration: `source` is the file's content, `name` the file as messages call it, `variables` looks up
/// what `${NAME}` stands for.
///
/// # Errors
/// Everything that is wrong with the file, in the order of the file.
pub fn load(
    source: &[u8],
    name: &str,
    variables: &dyn Fn(&str) -> Option<String>,
) -> Result<Model, Problems> {
    let problems = Collector::new(name);
    let model = tree::read(source, &problems).and_then(|mut tree| {
        expand::expand(&mut tree, variables, &problems);
        let file = decode::decode(&tree, &problems);
        let model = validate::validate(file.get()?, &tree::At::root(&tree), &problems);
        if problems.is_empty() {
            tree::confirm(source, &tree, &problems);
        }
        Some(model)
    });
    match model {
        Some(model) if problems.is_empty() => Ok(model),
        _ => Err(problems.finish()),
    }
}

/// The SHA-256 of a configuration's bytes, before expansion, in hexadecimal: equal wherever the same file runs.
pub fn hash(source: &[u8]) -> String {
    Sha256::digest(source).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
