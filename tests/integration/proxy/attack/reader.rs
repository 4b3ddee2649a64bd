//! A reader of HTTP/1.1 that forgives nothing.

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its first line, without its end.
    pub line: String,
    /// Its fields, and those behind its body.
    pub fields: Vec<(String, String)>,
    /// Its body, without chunks.
    pub body: Vec<u8>,
}

/// How a message's body is delimited where its fields do not say it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Otherwise {
    /// There is none.
    Empty,
    /// By the end of the connection.
    Close,
}

impl Message {
    /// The values of all fields of this name.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| &**value).collect()
    }

    /// The second word of its line.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }
}

/// Reads requests after one another, and says whether the last is cut short.
pub fn requests(bytes: &[u8]) -> (Vec<Message>, bool) {
    let mut reader = Reader { bytes, at: 0 };
    let mut messages = Vec::new();
    while reader.at < bytes.len() {
        let Some(message) = reader.message(|_| Otherwise::Empty) else { return (messages, true) };
        let words: Vec<_> = message.line.split(' ').collect();
        assert!(matches!(words[..], [_, _, "HTTP/1.1"]), "{}", reader.context());
        assert!(words[0].bytes().all(is_token) && !words[0].is_empty(), "{}", reader.context());
        let target = words[1];
        assert!(target.starts_with('/') || target == "*", "{}", reader.context());
        assert_eq!(message.values("host").len(), 1, "{}", reader.context());
        messages.push(message);
    }
    (messages, false)
}

/// Reads the responses to requests of these methods, and says whether the last is cut short.
pub fn responses(bytes: &[u8], methods: &[&str]) -> (Vec<Message>, bool) {
    let mut reader = Reader { bytes, at: 0 };
    let mut messages = Vec::new();
    let mut methods = methods.iter();
    let mut method = methods.next();
    while reader.at < bytes.len() {
        let asked = *method.unwrap_or_else(|| panic!("an answer too many: {}", reader.context()));
        let message = reader.message(|line| {
            let status = status(line);
            if asked == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
                Otherwise::Empty
            } else {
                Otherwise::Close
            }
        });
        let Some(message) = message else { return (messages, true) };
        if status(&message.line) >= 200 {
            method = methods.next();
        }
        messages.push(message);
    }
    (messages, false)
}

/// The status of a status line.
pub fn status(line: &str) -> u16 {
    let rest = line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{line:?}"));
    assert!(rest.len() == 3 || rest.as_bytes()[3] == b' ', "{line:?}");
    rest[..3].parse().unwrap()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn context(&self) -> String {
        let (before, after) = self.bytes.split_at(self.at.min(self.bytes.len()));
        format!("{} <here> {}", before.escape_ascii(), after.escape_ascii())
    }

    /// A line up to CRLF; no other CR, LF, NUL or other control byte is in it but a tab.
    fn line(&mut self) -> Option<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
        let is_end = match &rest[end..] {
            [b'\r'] => return None,
            after => after.starts_with(b"\r\n"),
        };
        assert!(is_end, "a bare CR or LF: {}", self.context());
        let line = &rest[..end];
        let is_text = line.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7F);
        assert!(is_text, "a control byte: {}", self.context());
        self.at += end + 2;
        Some(line.iter().map(|byte| char::from(*byte)).collect())
    }

    fn fields(&mut self) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(fields);
            }
            let (name, value) =
                line.split_once(':').unwrap_or_else(|| panic!("{}", self.context()));
            assert!(!name.is_empty() && name.bytes().all(is_token), "{name:?}: {}", self.context());
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        let bytes = self.bytes.get(self.at..)?.get(..length)?.to_vec();
        self.at += length;
        Some(bytes)
    }

    /// A message; `None` if the bytes end before it does.
    fn message(&mut self, otherwise: impl Fn(&str) -> Otherwise) -> Option<Message> {
        let line = self.line()?;
        let mut message = Message { line, fields: self.fields()?, body: Vec::new() };
        let (lengths, codings) =
            (message.values("content-length"), message.values("transfer-encoding"));
        match (&lengths[..], &codings[..]) {
            ([], []) if otherwise(&message.line) == Otherwise::Empty => {}
            ([], []) => message.body = self.exactly(self.bytes.len() - self.at)?,
            // A response to HEAD and a 304 say what the body would have.
            ([_], []) | ([], ["chunked"])
                if message.line.starts_with("HTTP/")
                    && otherwise(&message.line) == Otherwise::Empty => {}
            ([length], []) => {
                let number: usize = length.parse().unwrap();
                assert_eq!(number.to_string(), *length, "{}", self.context());
                message.body = self.exactly(number)?;
            }
            ([], ["chunked"]) => loop {
                let line = self.line()?;
                let size = usize::from_str_radix(&line, 16)
                    .unwrap_or_else(|_| panic!("{}", self.context()));
                assert_eq!(format!("{size:x}"), line.to_lowercase(), "{}", self.context());
                if size == 0 {
                    let trailers = self.fields()?;
                    let is_framing = |(name, _): &(String, String)| {
                        ["content-length", "transfer-encoding", "host", "trailer"]
                            .contains(&&*name.to_lowercase())
                    };
                    assert!(!trailers.iter().any(is_framing), "{}", self.context());
                    message.fields.extend(trailers);
                    break;
                }
                message.body.extend(self.exactly(size)?);
                assert_eq!(self.exactly(2)?, b"\r\n", "{}", self.context());
            },
            _ => panic!("lengths {lengths:?} and codings {codings:?}: {}", self.context()),
        }
        Some(message)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
