//! What holds for all bytes. Tests and `fuzz/` look for those for which it does not.

use super::{Surroundings, load, write};

/// A file is refused with places and words, or says the same when it is written out and read back; nothing ends the process.
pub fn holds(bytes: &[u8]) {
    let variables = |name: &str| match name {
        "SET" => Some("1".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let surroundings = Surroundings { variables: &variables, ..Surroundings::none() };
    let loaded = match load(bytes, "config.yaml", &surroundings) {
        Ok(loaded) => loaded,
        Err(problems) => {
            assert!(!problems.list().is_empty());
            assert!(problems.list().iter().all(|problem| problem.line > 0 && problem.column > 0));
            assert!(!problems.to_string().is_empty());
            return;
        }
    };
    let written = write::write(&loaded.model);
    match load(written.as_bytes(), "written.yaml", &Surroundings::none()) {
        Ok(read) => assert_eq!(read.model, loaded.model, "{written}"),
        Err(problems) => panic!("{problems}\n{written}"),
    }
}
