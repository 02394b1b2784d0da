//! The I/O protocol: text from and to the processes that share a terminal, across the cluster.
//!
//! | module | holds |
//! |---|---|
//! | [`Formatter`] | `io_lib:format/2`, evaluated |

mod format;

pub use format::{DEFAULT_LIMIT, FormatError, Formatter, PrintableRange};
