//! Every node of a list of hosts: `net_adm:world/0` and its kin, and the file that lists the hosts.

use std::io;
use std::path::{Path, PathBuf};

use crate::dist::NameKind;
use crate::epmd;
use crate::node::{Exception, Node, Outcome, Process};
use crate::term::{Atom, Term};

/// The file of [`hosts_file`].
const FILE: &str = ".hosts.erlang";

/// Why there is no list of hosts.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// No such file, or one that cannot be read.
    #[error("no hosts from {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is in the file is not a host's name, an atom, and a full stop, for each host.
    #[error("{} lists no hosts from {text:?} on", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        text: String,
    },
}

/// The hosts that the file `.hosts.erlang` lists, `'host.example.org'.` each: the one in the current folder, or else the one in the
/// user's home, as `net_adm:host_file/0`.
///
/// # Errors
/// When there is none, or it holds something else.
pub fn hosts_file() -> Result<Vec<String>, HostsError> {
    let here = Path::new(FILE).to_owned();
    let home = std::env::home_dir().map(|home| home.join(FILE));
    let path = home
        .filter(|home| !here.exists() && home.exists())
        .unwrap_or(here);
    match std::fs::read_to_string(&path) {
        Ok(text) => hosts(&text).map_err(|text| HostsError::Malformed { path, text }),
        Err(source) => Err(HostsError::Unreadable { path, source }),
    }
}

/// The atoms in `text`, each with a full stop; or the rest that has none.
fn hosts(text: &str) -> Result<Vec<String>, String> {
    let mut hosts = Vec::new();
    let mut rest = text;
    'next: loop {
        for (stop, _) in rest.match_indices('.') {
            // A full stop is one where a term ends: one within a name has none before it.
            let after = &rest[stop + 1..];
            let ends =
                after.is_empty() || after.starts_with(|next: char| next.is_whitespace() || next == '%');
            if ends && let Ok(Term::Atom(host)) = rest[..=stop].parse() {
                hosts.push(host.as_str().to_owned());
                rest = after;
                continue 'next;
            }
        }
        break;
    }
    let is_empty = |line: &str| line.trim_start().is_empty() || line.trim_start().starts_with('%');
    if rest.lines().all(is_empty) {
        Ok(hosts)
    } else {
        Err(rest.trim().chars().take(80).collect())
    }
}

impl Node {
    /// Connects to every node that the EPMD of each of these hosts knows, and gives those that answer, this one among them if its host
    /// is listed: `net_adm:world_list/1`. Hosts without EPMD are passed over.
    ///
    /// ```no_run
    /// # async fn example(node: beamnode::node::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let nodes = node.world(["db1", "db2"]).await;
    /// // net_adm:world()
    /// let all = node.world(beamnode::otp::hosts_file()?).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn world(&self, hosts: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Atom> {
        let mut found = Vec::new();
        for host in hosts {
            let host = host.as_ref();
            let Ok(known) = epmd::Client::new(host).names().await else {
                continue;
            };
            let part = match self.node_name().kind() {
                NameKind::Short => host.split('.').next().unwrap_or(host),
                NameKind::Long => host,
            };
            for entry in &known.names {
                let Ok(peer) = Atom::new(&format!("{}@{part}", entry.name)) else {
                    continue;
                };
                if self.ping(&peer).await.is_ok() {
                    found.push(peer);
                }
            }
        }
        found
    }
}

pub(super) fn start(node: &Node) {
    let net_adm = node.module("net_adm");
    for arity in [0, 1] {
        net_adm.function("world", arity, async |me, _| match hosts_file() {
            Ok(hosts) => Ok(Term::from(me.node().world(hosts).await)),
            Err(error) => Err(Exception::Exit(failed(&error))),
        });
    }
    for arity in [1, 2] {
        net_adm.function("world_list", arity, async |me, arguments| {
            world_list(&me, &arguments).await
        });
    }
    net_adm.function("host_file", 0, async |_, _| {
        Ok(match hosts_file() {
            Ok(hosts) => {
                let hosts = hosts.iter().filter_map(|host| Atom::new(host).ok());
                Term::from(hosts.collect::<Vec<_>>())
            }
            Err(error) => failed(&error),
        })
    });
}

async fn world_list(me: &Process, arguments: &[Term]) -> Outcome {
    let hosts = arguments
        .first()
        .and_then(Term::as_list)
        .filter(|hosts| hosts.is_proper());
    let hosts: Option<Vec<Atom>> =
        hosts.and_then(|hosts| hosts.iter().map(|host| host.as_atom().cloned()).collect());
    match hosts {
        Some(hosts) => Ok(Term::from(me.node().world(hosts).await)),
        None => Err(Exception::error(
            Term::atom("function_clause"),
            &Atom::from_static("net_adm"),
            &Atom::from_static("world_list"),
            arguments,
        )),
    }
}

/// As `file:path_consult/2` fails.
fn failed(error: &HostsError) -> Term {
    let reason = match error {
        HostsError::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => "eacces",
        HostsError::Unreadable { .. } => "enoent",
        HostsError::Malformed { .. } => "badarg",
    };
    Term::from((Term::atom("error"), Term::atom(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_atoms_with_a_full_stop_each() {
        let text = "% the machines. all\n'db.example.org'.\nlocal. other.% a third\n\n'x'.";
        assert_eq!(hosts(text).unwrap(), ["db.example.org", "local", "other", "x"]);
        assert_eq!(hosts(" \n% none\n").unwrap(), [""; 0]);
        assert_eq!(hosts("a. {b, c}.").unwrap_err(), "{b, c}.");
        assert_eq!(hosts("a. b").unwrap_err(), "b");
    }
}
