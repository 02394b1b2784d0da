//! Random bytes as the answers of an EPMD: what can be read says what its bytes say when it is written again.

#![no_main]

use beamnode::epmd::message::{LookupAnswer, NamesAnswer, RegisterAnswer, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = RegisterAnswer::decode(bytes);
    if let Ok(LookupAnswer::Found(node)) = LookupAnswer::decode(bytes) {
        let mut again = Vec::new();
        LookupAnswer::encode_found(&node, &mut again);
        assert!(bytes.starts_with(&again));
    }
    if let Ok(answer) = NamesAnswer::decode(bytes) {
        // No more names than there are bytes for.
        assert!(answer.names.len() * "name  at port 1".len() <= bytes.len());
    }
    // A name of nothing can come in, and not by itself.
    if let Ok(request) = Request::decode(bytes)
        && !matches!(&request, Request::Stop(name) if name.as_str().is_empty())
        && !matches!(&request, Request::Register(node) if node.name.as_str().is_empty())
    {
        let packet = request.encode();
        assert_eq!(Request::decode(&packet[2..]), Ok(request));
    }
});
