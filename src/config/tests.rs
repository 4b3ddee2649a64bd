//! Valid files give the model that they say; every class of error has a test on its text.

use super::load;
use crate::model::Model;

/// The model of a file, or the text of what is wrong with it.
fn read(text: &str) -> Result<Model, String> {
    let loaded = load(text.as_bytes(), "config.yaml", &variables);
    loaded.map(|loaded| loaded.model).map_err(|problems| problems.to_string())
}

/// Holds a file to be refused with exactly these lines.
#[track_caller]
fn refuses(text: &str, lines: &[&str]) {
    assert_eq!(read(text).unwrap_err(), lines.join("\n"), "{text:.300}");
}

/// A valid file of four lines.
const BASE: &str = "\
listeners: [{ name: http, address: 127.0.0.1:8080 }]
backends:
  - name: demo
    endpoints: [http://localhost:8081]
";

/// A file whose fifth line is `line`.
fn top(line: &str) -> String {
    format!("{BASE}{line}\n")
}

/// A file whose fifth line is `line`, in the backend.
fn backend(line: &str) -> String {
    format!("{BASE}    {line}\n")
}

/// A file with `line` in the limits of its listener.
fn limits(line: &str) -> String {
    let address = "address: 127.0.0.1:8080";
    BASE.replace(address, &format!("{address}, limits: {{ {line} }}"))
}

/// A file whose listener has this address.
fn address(value: &str) -> String {
    BASE.replace("127.0.0.1:8080", value)
}

/// A file whose endpoint has this URL.
fn url(value: &str) -> String {
    BASE.replace("[http://localhost:8081]", &format!("\n      - {value}"))
}

mod addresses;
mod combinations;
mod documents;
mod hostile;
mod keys;
mod routing;
mod types;
mod valid;
mod values;

/// The environment of the tests.
fn variables(name: &str) -> Option<String> {
    match name {
        "SET" => Some("2".into()),
        "EMPTY" => Some(String::new()),
        "SECRET" => Some("hunter2".into()),
        _ => None,
    }
}
