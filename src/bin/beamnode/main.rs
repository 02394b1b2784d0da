//! The `beamnode` command.

fn main() {}
