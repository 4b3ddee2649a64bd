//! What is wrong with a configuration, said to the operator: where, what was found, what would be right.

use super::tree::{At, Place};
use super::url::parse_authority;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::path::PathBuf;

/// More problems than this in one file are counted, not listed.
const LISTED: usize = 100;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as the operator named it.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The place in the document, such as `backends[2].endpoints[0].url`; empty for the document itself.
    pub path: String,
    /// What was found.
    pub message: String,
    /// What is allowed instead.
    pub allowed: Option<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

impl Problem {
    /// `class` comes behind the place.
    fn write(&self, f: &mut fmt::Formatter<'_>, class: &str) -> fmt::Result {
        write!(f, "{}:{}:{}: {class}", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(allowed) = &self.allowed {
            write!(f, "\n  allowed: {allowed}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "\n  did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

/// Something in a configuration that works, though hardly as it was meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, "warning: ")
    }
}

/// What was found in one configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed<T> {
    /// At most one hundred.
    list: Vec<T>,
    /// How many more there are.
    more: usize,
}

/// Everything that is wrong with one configuration: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    #[serde(flatten)]
    found: Listed<Problem>,
    #[serde(skip)]
    in_files: usize,
    #[serde(skip)]
    files: Vec<PathBuf>,
}

impl Problems {
    /// What is wrong, in the order of the file; at most one hundred.
    pub fn list(&self) -> &[Problem] {
        self.found.list()
    }

    /// How many problems there are besides those listed.
    pub fn more(&self) -> usize {
        self.found.more()
    }

    /// The files that the configuration names, absolute, each once, as far as it could be understood. Putting one of them
    /// right may put the configuration right.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether nothing is wrong but what is in those files, or that there are none: they may be in the middle of their
    /// renewal, one written after the other.
    pub fn only_in_files(&self) -> bool {
        self.in_files == self.list().len() + self.more()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.found.fmt(f)
    }
}

impl std::error::Error for Problems {}

/// Everything in one configuration that is hardly meant.
pub type Warnings = Listed<Warning>;

impl<T> Listed<T> {
    const NONE: Self = Self { list: Vec::new(), more: 0 };

    /// What was found, in the order of the file; at most one hundred.
    pub fn list(&self) -> &[T] {
        &self.list
    }

    /// How many there are besides those listed.
    pub fn more(&self) -> usize {
        self.more
    }

    fn add(&mut self, found: T) {
        match self.list.len() {
            LISTED => self.more += 1,
            _ => self.list.push(found),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Listed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, found) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{found}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// A problem that does not know its place yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) allowed: Option<String>,
    pub(super) suggestion: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), allowed: None, suggestion: None }
    }

    pub(super) fn allow(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    pub(super) fn suggest(mut self, suggestion: impl Into<Option<String>>) -> Self {
        self.suggestion = suggestion.into();
        self
    }
}

/// Where the steps of loading one file put what they find wrong.
#[derive(Debug)]
pub(super) struct Collector {
    file: String,
    found: RefCell<Listed<Problem>>,
    /// How many of them are about the content of files that the configuration names.
    in_files: Cell<usize>,
    warnings: RefCell<Warnings>,
}

impl Collector {
    pub(super) fn new(file: &str) -> Self {
        let (found, warnings) = (RefCell::new(Listed::NONE), RefCell::new(Listed::NONE));
        Self { file: file.to_owned(), found, in_files: Cell::new(0), warnings }
    }

    /// Adds a problem with the value at `at`.
    pub(super) fn value(&self, at: &At<'_>, fault: Fault) {
        self.add(at.place(), &at.path, fault);
    }

    /// Adds a problem with the content of the file that is named at `at`.
    pub(super) fn file(&self, at: &At<'_>, fault: Fault) {
        self.in_files.set(self.in_files.get() + 1);
        self.value(at, fault);
    }

    /// Adds a problem with the key at `at`.
    pub(super) fn key(&self, at: &At<'_>, fault: Fault) {
        self.add(at.key_place, &at.path, fault);
    }

    pub(super) fn add(&self, place: Place, path: &str, fault: Fault) {
        self.found.borrow_mut().add(self.problem(place, path, fault));
    }

    /// Adds a warning about the value at `at`.
    pub(super) fn warn(&self, at: &At<'_>, fault: Fault) {
        let warning = Warning(self.problem(at.place(), &at.path, fault));
        self.warnings.borrow_mut().add(warning);
    }

    fn problem(&self, place: Place, path: &str, fault: Fault) -> Problem {
        Problem {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            path: path.to_owned(),
            message: fault.message,
            allowed: fault.allowed,
            suggestion: fault.suggestion,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().list.is_empty()
    }

    /// What is wrong, in the order of the file, which names `files`.
    pub(super) fn finish(self, files: Vec<PathBuf>) -> Problems {
        let mut found = self.found.into_inner();
        found.list.sort_by_key(|problem| (problem.line, problem.column));
        Problems { found, in_files: self.in_files.get(), files }
    }

    /// What is hardly meant, in the order of the file.
    pub(super) fn finish_warnings(self) -> Warnings {
        let mut warnings = self.warnings.into_inner();
        warnings.list.sort_by_key(|Warning(problem)| (problem.line, problem.column));
        warnings
    }
}

/// `text` as it may stand in a message: on one line, of bounded length, nothing invisible, and no password or query of a URL in it.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut out = String::new();
    let mut text = text;
    // A private key where its path was wanted.
    if let Some((label, _)) =
        text.strip_prefix("-----BEGIN ").and_then(|rest| rest.split_once("-----"))
    {
        return format!("-----BEGIN {}-----…", shown(label));
    }
    let is_scheme = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let is_url = text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme));
    // An authority that is one as it stands hides no password; one with a `/` in its password is none.
    if let Some((scheme, rest)) = text.split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
        && parse_authority(rest.split(['/', '?', '#']).next().unwrap_or(rest)).is_err()
    {
        out = format!("{}://…@", shown(scheme));
        text = host;
    }
    // What is asked of a URL may be a key: what stands before it says which URL it is.
    let mut hidden = "";
    if is_url
        && let Some(at) = text.find(['?', '#'])
        && text.len() > at + 1
    {
        (text, hidden) = (&text[..=at], "…");
    }
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        match c {
            // Control characters, and those that reorder or hide the text around them.
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    if !out.ends_with('…') {
        out.push_str(hidden);
    }
    out
}

/// Words of other load balancers for what has another name here.
const SYNONYMS: &[(&str, &str)] = &[
    ("1.2", "TLSv1.2"),
    ("1.3", "TLSv1.3"),
    ("attributes", "resourceAttributes"),
    ("bind", "address"),
    ("ca", "caFile"),
    ("cert", "certFile"),
    ("clusters", "backends"),
    ("entrypoints", "listeners"),
    ("frontends", "listeners"),
    ("h2", "Http2"),
    ("headers", "requestHeaders"),
    ("healthcheck", "healthProbe"),
    ("hosts", "endpoints"),
    ("http", "HttpProtobuf"),
    ("http/1.1", "Http1"),
    ("http/2", "Http2"),
    ("http/json", "HttpProtobuf"),
    ("key", "keyFile"),
    ("listen", "address"),
    ("livenessprobe", "healthProbe"),
    ("match", "matches"),
    ("method", "algorithm"),
    ("nodes", "endpoints"),
    ("none", "Uncompressed"),
    ("path", "matches"),
    ("paths", "matches"),
    ("policy", "algorithm"),
    ("pools", "backends"),
    ("readinessprobe", "healthProbe"),
    ("retries", "retry"),
    ("routers", "routes"),
    ("rules", "matches"),
    ("rules", "routes"),
    ("sampler", "sample"),
    ("sampling", "sample"),
    ("servers", "endpoints"),
    ("service", "backends"),
    ("services", "backends"),
    ("sni", "serverName"),
    ("sticky", "sessionAffinity"),
    ("strategy", "algorithm"),
    ("targets", "endpoints"),
    ("threads", "workers"),
    ("timeout", "timeouts"),
    ("token", "debugToken"),
    ("upstream", "backends"),
    ("upstreams", "backends"),
    ("url", "endpoint"),
    ("w3c", "TraceContext"),
];

/// No more words than this are compared with one that is unknown.
const MOST_CANDIDATES: usize = 1000;

/// The one of `candidates` that was probably meant by `found`.
pub(super) fn nearest(found: &str, candidates: &[&str]) -> Option<String> {
    // The distance costs the product of the lengths; nobody mistypes a word of this length.
    if found.len() > 64 {
        return None;
    }
    let found = found.to_lowercase();
    let synonym = SYNONYMS.iter().find(|(word, ours)| *word == found && candidates.contains(ours));
    if let Some((_, ours)) = synonym {
        return Some((*ours).to_owned());
    }
    let mut longer = candidates.iter().filter(|known| known.to_lowercase().starts_with(&found));
    if let (4.., Some(one), None) = (found.len(), longer.next(), longer.next()) {
        return Some((*one).to_owned());
    }
    let furthest = (found.chars().count() / 3).max(1);
    let (distance, best) = candidates
        .iter()
        // The distance is at least the difference of the lengths, which is cheap to know.
        .filter(|candidate| candidate.len().abs_diff(found.len()) <= 4 * furthest)
        .take(MOST_CANDIDATES)
        .map(|candidate| (strsim::osa_distance(&found, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= furthest).then(|| (*best).to_owned())
}
