//! A map whose keys are sequences of segments, asked for the longest keys that a sequence begins with.

use rustc_hash::FxHashMap;
use std::iter::successors;

/// The position of the node whose key is the empty sequence.
const ROOT: usize = 0;

/// Keys may be the segments of a path, or the labels of a host from the last to the first.
///
/// A look-up hashes each segment at most once and ends where no key goes on, so its cost is linear in the length of what
/// is asked and no greater than the longest key warrants, however hostile the segments are. The hash is quick and not keyed:
/// what is hashed into the table comes from the configuration alone, so a client that knows the function can at most ask for
/// what hashes as a key does, and is compared with that key once.
#[derive(Debug)]
pub(super) struct Trie<T> {
    /// Parents stand before their children; the first is the root.
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    parent: Option<usize>,
    value: Option<T>,
    children: FxHashMap<Box<[u8]>, usize>,
}

impl<T> Node<T> {
    fn below(parent: Option<usize>) -> Self {
        Self { parent, value: None, children: FxHashMap::default() }
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { nodes: vec![Node::below(None)] }
    }
}

impl<T: Default> Trie<T> {
    /// The value of the key `segments`, put there when there is none.
    pub(super) fn entry<'a>(&mut self, segments: impl Iterator<Item = &'a [u8]>) -> &mut T {
        let mut at = ROOT;
        for segment in segments {
            at = match self.nodes[at].children.get(segment) {
                Some(child) => *child,
                None => {
                    let child = self.nodes.len();
                    self.nodes.push(Node::below(Some(at)));
                    self.nodes[at].children.insert(segment.into(), child);
                    child
                }
            };
        }
        self.nodes[at].value.get_or_insert_default()
    }
}

impl<T> Trie<T> {
    /// The values of all keys that `segments` begins with, the longest first. Takes from `segments` only as many as there may
    /// be keys for.
    pub(super) fn longest_first<'a>(
        &self,
        segments: impl Iterator<Item = &'a [u8]>,
    ) -> impl Iterator<Item = &T> {
        let mut at = ROOT;
        for segment in segments {
            match self.nodes[at].children.get(segment) {
                Some(child) => at = *child,
                None => break,
            }
        }
        successors(Some(at), |at| self.nodes[*at].parent)
            .filter_map(|at| self.nodes[at].value.as_ref())
    }

    /// All values, to be changed in place.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.nodes.iter_mut().filter_map(|node| node.value.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn segments(text: &str) -> impl Iterator<Item = &[u8]> {
        text.as_bytes().split(|byte| *byte == b'/')
    }

    fn trie(keys: &[&'static str]) -> Trie<Vec<&'static str>> {
        let mut trie: Trie<Vec<_>> = Trie::default();
        for key in keys {
            trie.entry(segments(key)).push(*key);
        }
        trie
    }

    #[test]
    fn every_key_that_the_sequence_begins_with_is_found_the_longest_first() {
        let mut trie = trie(&["a", "a/b", "a/b/c/d", "x", "a/bb"]);
        trie.entry(std::iter::empty()).push("");
        let found =
            |text| trie.longest_first(segments(text)).flatten().copied().collect::<Vec<_>>();
        assert_eq!(found("a/b/c"), ["a/b", "a", ""]);
        assert_eq!(found("a/b/c/d/e"), ["a/b/c/d", "a/b", "a", ""]);
        assert_eq!(found("ab"), [""]);
    }

    /// A path of 60,000 slashes fits in a request's head.
    #[test]
    fn a_long_sequence_is_not_followed_further_than_a_key_goes() {
        let trie = trie(&["", "/", "//", "///", "a/b"]);
        let path = "/".repeat(60_000);
        let taken = Cell::new(0);
        let counted = segments(&path).inspect(|_| taken.set(taken.get() + 1));
        assert_eq!(trie.longest_first(counted).count(), 4);
        assert_eq!(taken.get(), 5);
    }

    #[test]
    fn no_segment_is_looked_at_twice_even_where_keys_are_as_long_as_the_sequence() {
        let path = "/".repeat(60_000);
        let mut trie: Trie<Vec<_>> = Trie::default();
        trie.entry(segments(&path)).push(());
        let taken = Cell::new(0);
        let asked = format!("{path}x");
        let counted = segments(&asked).inspect(|_| taken.set(taken.get() + 1));
        assert_eq!(trie.longest_first(counted).count(), 0);
        assert_eq!(taken.get(), 60_001);
    }
}
