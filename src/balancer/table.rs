//! From a hash to an endpoint: places, each owned by one.
//!
//! A table is made of *all* endpoints that have a weight, healthy or not, and only when they or their weights change. A key
//! starts at its own place and goes on until it meets an endpoint that may be picked. So an endpoint that becomes unhealthy
//! moves its own keys only, to those who own the next places, and gets exactly them back; and a change of health costs
//! no new table.

mod maglev;
mod ring;

use super::hash::identity;
use crate::model::{self, EndpointUrl};

/// Places, each owned by an endpoint.
///
/// It depends on the endpoints' URLs and weights alone: neither on their order, nor on the process that makes it. Making it
/// takes about 3 ms and 256 KiB, for more than 655 endpoints a tenth of a second and 2.5 MiB (Maglev; a ring is smaller), so that
/// it is no work for a worker.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    kind: Kind,
    /// Who owns each place, as an index in the list that the table was made of.
    owners: Box<[u32]>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Maglev,
    /// With the point on the ring at which each place ends, in ascending order.
    Ring(Box<[u64]>),
}

/// What the making of a table needs to know of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    identity: u64,
    weight: u32,
    index: u32,
}

impl Table {
    /// The table of `kind` for endpoints with these URLs and weights; those with weight 0 own nothing.
    pub fn new<'a>(
        kind: model::HashTable,
        endpoints: impl IntoIterator<Item = (&'a EndpointUrl, u32)>,
    ) -> Self {
        let owner = |(index, (url, weight)): (usize, (&EndpointUrl, u32))| Owner {
            identity: identity(url),
            weight,
            index: index as u32,
        };
        let mut owners: Vec<_> = endpoints.into_iter().enumerate().map(owner).collect();
        owners.retain(|owner| owner.weight > 0);
        // Whose turn is first must not depend on the order of the configuration.
        owners.sort_unstable();
        match kind {
            model::HashTable::Maglev => {
                Self { kind: Kind::Maglev, owners: maglev::places(&owners) }
            }
            model::HashTable::Ring => {
                let (points, owners) = ring::places(&owners);
                Self { kind: Kind::Ring(points), owners }
            }
        }
    }

    /// Who owns the place of `hash`, the next place, and so on, each place once.
    pub(super) fn owners_from(&self, hash: u64) -> impl Iterator<Item = usize> {
        let count = self.owners.len();
        let (mut place, step) = match &self.kind {
            Kind::Maglev => maglev::walk(hash, count),
            Kind::Ring(points) => (ring::place(points, hash), 1),
        };
        (0..count).map(move |_| {
            let owner = self.owners[place];
            place += step;
            if place >= count {
                place -= count;
            }
            owner as usize
        })
    }
}
