//! Names for nodes that have none: `erl -sname undefined`, "Dynamic Node Name" in the chapter *Distributed Erlang* of Erlang's
//! reference manual.
//!
//! A node without a name gets one from the node that it connects to first. The giver makes up the part before the `@`, and keeps
//! names that are given back to give them again, with another creation: peers remember names for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::dist::NodeName;

/// The names that were given and have come back, by host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<String, Vec<Back>>>>);

/// A name that has come back, and its next creation.
type Back = (NodeName, u32);

/// A name in use. Dropped, it comes back.
#[derive(Debug)]
pub(crate) struct GivenName {
    pub(crate) name: NodeName,
    pub(crate) creation: u32,
    names: Names,
}

impl Names {
    /// A name for a node on `host`; `None` if there can be none with it.
    pub(crate) fn give(&self, host: &str) -> Option<GivenName> {
        let back = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(host)
            .and_then(Vec::pop);
        let (name, creation) = match back {
            Some(back) => back,
            None => (
                NodeName::new(&base36(rand::random()), host).ok()?,
                rand::random_range(4..=u32::MAX),
            ),
        };
        Some(GivenName {
            name,
            creation,
            names: self.clone(),
        })
    }
}

impl Drop for GivenName {
    fn drop(&mut self) {
        // Up to 3 are creations of another age.
        let next = self.creation.checked_add(1).unwrap_or(4);
        let mut names = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .entry(self.name.host().to_owned())
            .or_default()
            .push((self.name.clone(), next));
    }
}

/// The number in digits and capital letters.
fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36)
            .ok()
            .and_then(|digit| char::from_digit(digit, 36));
        digits.extend(digit.map(|digit| digit.to_ascii_uppercase()));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_with_another_creation() {
        let names = Names::default();
        let first = names.give("host").unwrap();
        let second = names.give("host").unwrap();
        assert_ne!(first.name, second.name);
        let (name, creation) = (first.name.clone(), first.creation);
        drop(first);
        let again = names.give("host").unwrap();
        assert_eq!(again.name, name);
        assert_ne!(again.creation, creation);
        assert!(names.give("no host").is_none());
    }

    #[test]
    fn base36_has_no_leading_zeros() {
        assert_eq!([base36(0), base36(35), base36(36)], ["0", "Z", "10"]);
    }
}
