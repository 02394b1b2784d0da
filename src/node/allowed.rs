//! Which nodes may connect, and be connected to: `net_kernel:allow/1`.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use crate::dist::NodeName;

/// The list of nodes; everybody while it has never been set.
#[derive(Debug, Default)]
pub(crate) struct Allowed(RwLock<Option<HashSet<String>>>);

impl Allowed {
    /// Adds to the list.
    pub(crate) fn add(&self, nodes: impl IntoIterator<Item = String>) {
        let mut allowed = self.0.write().unwrap_or_else(PoisonError::into_inner);
        allowed.get_or_insert_default().extend(nodes);
    }

    /// What is on the list.
    pub(crate) fn names(&self) -> Vec<String> {
        let allowed = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = allowed.iter().flatten().cloned().collect();
        names.sort();
        names
    }

    /// Whether the list has the node by its name, by its host, or by the part before its host, as `alive@`.
    pub(crate) fn includes(&self, node: &NodeName) -> bool {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            None => true,
            Some(list) => {
                list.contains(node.as_str())
                    || list.contains(node.host())
                    || list.contains(&format!("{}@", node.alive()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hosts_and_first_parts() {
        let allowed = Allowed::default();
        let node = |name: &str| name.parse::<NodeName>().unwrap();
        assert!(allowed.includes(&node("any@where")));
        allowed.add(["alice@build".to_owned(), "store".to_owned(), "bob@".to_owned()]);
        for name in ["alice@build", "x@store", "bob@x"] {
            assert!(allowed.includes(&node(name)), "{name}");
        }
        for name in ["alice@x", "x@build", "bobby@x"] {
            assert!(!allowed.includes(&node(name)), "{name}");
        }
    }
}
