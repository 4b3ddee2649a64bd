//! Phrases as they are found, and lists compared.

use crate::model::words::duration;
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::time::Duration;

/// What has been said.
#[derive(Debug, Default)]
pub(super) struct Phrases {
    said: Vec<String>,
    /// What every phrase begins with now.
    subject: String,
}

/// A list of things that have names.
pub(super) struct Names<'w> {
    /// One of them.
    pub(super) one: &'w str,
    /// Several.
    pub(super) many: &'w str,
    /// What their order means.
    pub(super) order: &'w str,
}

/// What becomes of an item of a list.
pub(super) enum Fate<'a, T> {
    Added(&'a T),
    Removed(&'a T),
    /// It stays and differs.
    Changed(&'a T, &'a T),
}

impl Phrases {
    /// Says `phrase` of the present subject.
    pub(super) fn say(&mut self, phrase: impl Display) {
        self.said.push(format!("{}{phrase}", self.subject));
    }

    /// Has `f` say things whose subject is `subject`, within the present one.
    pub(super) fn of(&mut self, subject: impl Display, f: impl FnOnce(&mut Self)) {
        let outer = self.subject.clone();
        self.subject = format!("{outer}{subject}: ");
        f(self);
        self.subject = outer;
    }

    /// Says from what to what `key` changes, if it does.
    pub(super) fn change<T: PartialEq>(
        &mut self,
        key: &str,
        before: &T,
        after: &T,
        words: impl Fn(&T) -> String,
    ) {
        self.change_and(key, before, after, words, "");
    }

    /// The same with what comes of it.
    pub(super) fn change_and<T: PartialEq>(
        &mut self,
        key: &str,
        before: &T,
        after: &T,
        words: impl Fn(&T) -> String,
        effect: &str,
    ) {
        if before == after {
            return;
        }
        let (from, to) = (words(before), words(after));
        match from == to {
            // What differs is not in the words: the value of a header field, or a long text.
            true => self.say(format_args!("{key} changed{effect}")),
            false => self.say(format_args!("{key} {from} → {to}{effect}")),
        }
    }

    /// Says what differs between two lists whose items are told apart by `key`: what goes, then what stays and what
    /// comes, in the order of `after`. `item` says what it likes of each.
    pub(super) fn list<'a, T: PartialEq, K: Eq + Hash>(
        &mut self,
        names: &Names<'_>,
        (before, after): (&'a [T], &'a [T]),
        key: impl Fn(&'a T) -> K,
        mut item: impl FnMut(&mut Self, Fate<'a, T>),
    ) {
        if before == after {
            return;
        }
        let said = self.said.len();
        let mut old: HashMap<K, (usize, &'a T)> = HashMap::with_capacity(before.len());
        for (at, one) in before.iter().enumerate() {
            old.entry(key(one)).or_insert((at, one));
        }
        let new: std::collections::HashSet<K> = after.iter().map(&key).collect();
        for one in before.iter().filter(|one| !new.contains(&key(one))) {
            item(self, Fate::Removed(one));
        }
        let (mut last, mut reordered) = (None, false);
        for one in after {
            match old.get(&key(one)) {
                None => item(self, Fate::Added(one)),
                Some((at, earlier)) => {
                    reordered |= last >= Some(*at);
                    last = Some(*at);
                    if *earlier != one {
                        item(self, Fate::Changed(earlier, one));
                    }
                }
            }
        }
        // The second: one that was there twice is there once.
        if reordered || self.said.len() == said {
            self.say(format_args!("order of {} changed{}", names.many, names.order));
        }
    }

    /// The same for items that are only there or not, told apart by their words. `empty` is what a list without items
    /// means.
    pub(super) fn set<T: PartialEq>(
        &mut self,
        names: &Names<'_>,
        before: &[T],
        after: &[T],
        words: impl Fn(&T) -> String,
        empty: &str,
    ) {
        if before.is_empty() != after.is_empty() {
            let list = |list: &[T]| match list {
                [] => empty.to_owned(),
                list => list.iter().map(&words).collect::<Vec<_>>().join(", "),
            };
            self.say(format_args!("{} {} → {}", names.many, list(before), list(after)));
            return;
        }
        self.list(names, (before, after), &words, |said, fate| match fate {
            Fate::Added(item) => said.say(format_args!("{} {} added", names.one, words(item))),
            Fate::Removed(item) => said.say(format_args!("{} {} removed", names.one, words(item))),
            Fate::Changed(_, item) => {
                said.say(format_args!("{} {} changed", names.one, words(item)))
            }
        });
    }

    pub(super) fn finish(self) -> Vec<String> {
        self.said
    }
}

/// What becomes of requests and connections whose endpoint or listener is removed.
pub(super) fn drains(timeout: Duration) -> String {
    match timeout.is_zero() {
        true => "closes at once".to_owned(),
        false => format!("drains for up to {}", duration(timeout)),
    }
}
