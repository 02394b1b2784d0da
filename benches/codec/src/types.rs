//! What some files are in Rust, for serde.

use serde::{Deserialize, Serialize};

/// A row of the file `rows`, for serde.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row<'a>(#[serde(borrow)] &'a str, i64, #[serde(borrow)] &'a str, f64);

/// An entry of the file `document`, for serde.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry<'a> {
    id: u64,
    #[serde(borrow)]
    name: &'a str,
    #[serde(borrow)]
    email: &'a str,
    active: bool,
    score: f64,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    address: Address<'a>,
}

/// A part of an entry.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address<'a> {
    #[serde(borrow)]
    street: &'a str,
    #[serde(borrow)]
    city: &'a str,
    zip: u32,
}
