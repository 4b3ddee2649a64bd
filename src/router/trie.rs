//! Maps whose keys are sequences of segments, asked for all keys that a sequence begins with.

use rustc_hash::FxHashMap;
use std::iter::successors;

/// A place in a [`Trie`].
pub(super) type Node = u32;

/// Many maps in one: each has a root, and segments lead from a node to those below it. They may be the segments of paths, or the
/// labels of hosts from the last to the first.
///
/// All maps share their segments and their edges, so that thousands of them with a few keys each stay small and near
/// together in memory: that is what a look-up's time depends on.
///
/// A walk hashes each segment at most once and ends where no key goes on, so its cost is linear in the length of what is asked
/// and no greater than the longest key warrants, however hostile the segments are. The hash is quick and not keyed. That is
/// safe because what is hashed into the tables comes from the configuration alone: a client that knows the function can at most
/// ask for what hashes as some key does, and is compared with that key.
#[derive(Debug, Default)]
pub(super) struct Trie<T> {
    /// The number of each segment that occurs in a key.
    segments: FxHashMap<Box<[u8]>, u32>,
    /// From a node and the number of a segment to the node below.
    edges: FxHashMap<(Node, u32), Node>,
    nodes: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    /// Itself for a root.
    parent: Node,
    value: T,
}

impl<T: Default> Trie<T> {
    /// Begins one more map.
    pub(super) fn root(&mut self) -> Node {
        self.push(position(self.nodes.len()))
    }

    /// The node of the key `segments` in the map of `root`, made when there is none.
    pub(super) fn insert<'a>(
        &mut self,
        root: Node,
        segments: impl Iterator<Item = &'a [u8]>,
    ) -> Node {
        let mut at = root;
        for segment in segments {
            let number = match self.segments.get(segment) {
                Some(number) => *number,
                None => {
                    let number = position(self.segments.len());
                    self.segments.insert(segment.into(), number);
                    number
                }
            };
            at = match self.edges.get(&(at, number)) {
                Some(below) => *below,
                None => {
                    let below = self.push(at);
                    self.edges.insert((at, number), below);
                    below
                }
            };
        }
        at
    }

    fn push(&mut self, parent: Node) -> Node {
        self.nodes.push(Entry { parent, value: T::default() });
        position(self.nodes.len() - 1)
    }
}

impl<T> Trie<T> {
    /// Follows `segments` from `root` as far as keys go: the node reached, and whether no segment is left. Takes from `segments`
    /// at most one more than there are keys for.
    pub(super) fn walk<'a>(
        &self,
        root: Node,
        segments: impl Iterator<Item = &'a [u8]>,
    ) -> (Node, bool) {
        let mut at = root;
        for segment in segments {
            let number = self.segments.get(segment);
            match number.and_then(|number| self.edges.get(&(at, *number))) {
                Some(below) => at = *below,
                None => return (at, false),
            }
        }
        (at, true)
    }

    /// The values of `node` and of all nodes above it: those of the longest key first.
    pub(super) fn upwards(&self, node: Node) -> impl Iterator<Item = &T> {
        let above = |node: &Node| Some(self.nodes[*node as usize].parent).filter(|up| up != node);
        successors(Some(node), above).map(|node| self.value(node))
    }

    /// The value of `node`.
    pub(super) fn value(&self, node: Node) -> &T {
        &self.nodes[node as usize].value
    }

    /// The value of `node`, to be changed.
    pub(super) fn value_mut(&mut self, node: Node) -> &mut T {
        &mut self.nodes[node as usize].value
    }
}

/// A position in a list. Half the size of a `usize`, so that twice as many fit in a cache; a configuration with 2³² of
/// anything would not fit in memory.
pub(super) fn position(index: usize) -> u32 {
    debug_assert!(u32::try_from(index).is_ok());
    index as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn segments(text: &str) -> impl Iterator<Item = &[u8]> {
        text.as_bytes().split(|byte| *byte == b'/')
    }

    fn insert(trie: &mut Trie<Vec<&'static str>>, root: Node, keys: &[&'static str]) {
        for key in keys {
            let node = trie.insert(root, segments(key));
            trie.value_mut(node).push(key);
        }
    }

    #[test]
    fn every_key_that_the_sequence_begins_with_is_found_the_longest_first() {
        let mut trie: Trie<Vec<_>> = Trie::default();
        let (one, other) = (trie.root(), trie.root());
        trie.value_mut(one).push("root");
        insert(&mut trie, one, &["a", "a/b", "a/b/c/d", "x", "a/bb"]);
        insert(&mut trie, other, &["a/b/c"]);
        let found = |root, text| {
            let (node, all) = trie.walk(root, segments(text));
            (trie.upwards(node).flatten().copied().collect::<Vec<_>>(), all)
        };
        assert_eq!(found(one, "a/b/c"), (vec!["a/b", "a", "root"], true));
        assert_eq!(found(one, "a/b/c/d/e"), (vec!["a/b/c/d", "a/b", "a", "root"], false));
        assert_eq!(found(one, "ab"), (vec!["root"], false));
        assert_eq!(found(other, "a/b/c"), (vec!["a/b/c"], true));
        assert_eq!(found(other, "x"), (vec![], false));
    }

    /// A path of 60,000 slashes fits in a request's head.
    #[test]
    fn a_long_sequence_is_not_followed_further_than_a_key_goes() {
        let mut trie: Trie<Vec<_>> = Trie::default();
        let root = trie.root();
        insert(&mut trie, root, &["", "/", "//", "///", "a/b"]);
        let path = "/".repeat(60_000);
        let taken = Cell::new(0);
        let counted = segments(&path).inspect(|_| taken.set(taken.get() + 1));
        let (node, all) = trie.walk(root, counted);
        assert_eq!((trie.upwards(node).flatten().count(), all), (4, false));
        assert_eq!(taken.get(), 5);
    }

    #[test]
    fn no_segment_is_looked_at_twice_even_where_a_key_is_as_long_as_the_sequence() {
        let path = "/".repeat(60_000);
        let mut trie: Trie<()> = Trie::default();
        let root = trie.root();
        trie.insert(root, segments(&path));
        let taken = Cell::new(0);
        let asked = format!("{path}x");
        let counted = segments(&asked).inspect(|_| taken.set(taken.get() + 1));
        let (node, all) = trie.walk(root, counted);
        assert_eq!((trie.upwards(node).count(), all), (60_001, false));
        assert_eq!(taken.get(), 60_001);
    }
}
