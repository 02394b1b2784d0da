//! Both roles, against each other and against packets of real nodes.

use super::*;
use crate::dist::Cookie;

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn local(text: &str, flags: Flags) -> Local {
    Local {
        name: name(text),
        flags,
        creation: 4,
    }
}

fn dialed(from: &str, to: &str, cookie: &str) -> Dialed {
    Dialed {
        name: LocalName::Named(name(from)),
        flags: Flags::OFFERED,
        creation: 5,
        peer: name(to),
        cookie: Cookie::new(cookie).unwrap(),
    }
}

fn asked(acceptor: Local, packet: &[u8]) -> ConnectionAsked {
    match AwaitName::new(acceptor).handle(packet) {
        Ok(AskedName::Connection(asked)) => asked,
        other => panic!("{other:?}"),
    }
}

fn proceed(status: StatusReceived) -> AwaitChallenge {
    match status {
        StatusReceived::Proceed(next) => next,
        StatusReceived::Alive(_) => panic!("asked back"),
    }
}

fn verified(received: ReplyReceived) -> Verified {
    match received {
        ReplyReceived::Verified(verified) => verified,
        ReplyReceived::Complemented(_) => panic!("a complement"),
    }
}

#[test]
fn version_6() {
    let (packet, initiator) = start(dialed("a@h", "b@h", "secret")).unwrap();
    let asked = asked(local("b@h", Flags::OFFERED_HIDDEN), &packet);
    assert_eq!((asked.name().as_str(), asked.flags()), ("a@h", Flags::OFFERED));
    let ([status, challenge], acceptor) = asked.accept(false, Cookie::new("secret").unwrap(), 1);
    let (reply, initiator) = proceed(initiator.handle(&status).unwrap())
        .handle(&challenge, 2)
        .unwrap();
    let (ack, there) = verified(acceptor.handle(&reply).unwrap()).finish();
    let here = initiator.handle(&ack).unwrap();
    assert_eq!(
        (here.peer.name.as_str(), here.peer.creation, here.peer.hidden),
        ("b@h", 4, true)
    );
    assert_eq!(
        (there.peer.name.as_str(), there.peer.creation, there.peer.hidden),
        ("a@h", 5, true)
    );
    assert_eq!(here.peer.negotiated, Flags::OFFERED_HIDDEN);
    assert_eq!(there.peer.flags, Flags::OFFERED);
}

#[test]
fn wrong_cookie_on_either_side() {
    let (packet, initiator) = start(dialed("a@h", "b@h", "secret")).unwrap();
    let (packets, acceptor) =
        asked(local("b@h", Flags::OFFERED), &packet).accept(false, Cookie::new("other").unwrap(), 1);
    let (reply, initiator) = proceed(initiator.handle(&packets[0]).unwrap())
        .handle(&packets[1], 2)
        .unwrap();
    assert_eq!(
        acceptor.handle(&reply).unwrap_err(),
        HandshakeError::WrongCookie.into()
    );
    let ack = message::encode_ack(&Cookie::new("other").unwrap().digest(2));
    assert_eq!(initiator.handle(&ack).unwrap_err(), HandshakeError::WrongCookie);
}

#[test]
fn another_node_answers() {
    let (packet, initiator) = start(dialed("a@h", "b@h", "secret")).unwrap();
    let (packets, _) =
        asked(local("c@h", Flags::OFFERED), &packet).accept(true, Cookie::new("secret").unwrap(), 1);
    let error = proceed(initiator.handle(&packets[0]).unwrap())
        .handle(&packets[1], 2)
        .unwrap_err();
    assert_eq!(
        error,
        HandshakeError::WrongName {
            expected: name("b@h"),
            answered: "c@h".into()
        }
    );
}

#[test]
fn missing_flags_are_refused_by_name() {
    let mut lacking = dialed("a@h", "b@h", "secret");
    lacking.flags = lacking.flags - Flags::MANDATORY_25_DIGEST - Flags::BIG_CREATION;
    let (packet, initiator) = start(lacking).unwrap();
    let rejected = AwaitName::new(local("b@h", Flags::OFFERED))
        .handle(&packet)
        .unwrap_err();
    assert_eq!(
        rejected.error,
        HandshakeError::MissingFlags {
            missing: Flags::BIG_CREATION
        }
    );
    assert_eq!(
        rejected.to_string(),
        "the peer cannot do what we require: BIG_CREATION"
    );
    let told = initiator.handle(&rejected.farewell.unwrap()).unwrap_err();
    assert_eq!(told, HandshakeError::NotAllowed);
}

#[test]
fn missing_flags_of_the_node_connected_to() {
    let (packet, initiator) = start(dialed("a@h", "b@h", "secret")).unwrap();
    let poor = local("b@h", Flags::HANDSHAKE_23);
    let (packets, _) = asked(poor, &packet).accept(false, Cookie::new("secret").unwrap(), 1);
    let error = proceed(initiator.handle(&packets[0]).unwrap())
        .handle(&packets[1], 2)
        .unwrap_err();
    assert_eq!(
        error,
        HandshakeError::MissingFlags {
            missing: Flags::REQUIRED - Flags::HANDSHAKE_23
        }
    );
}

#[test]
fn illegal_names() {
    let told = |name: &str| {
        let packet = message::SendName::encode(Flags::OFFERED, 4, name);
        AwaitName::new(local("b@h", Flags::OFFERED))
            .handle(&packet)
            .unwrap_err()
            .farewell
    };
    assert_eq!(told("a.b@h"), Some(b"snok".to_vec()));
    assert_eq!(told("noat"), None);
    assert_eq!(told("a@b@c"), None);
}

#[test]
fn long_and_short_names_do_not_mix() {
    let error = start(dialed("a@h.example.org", "b@h", "secret")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "b@h is a short name, and this node uses long names"
    );
}

#[test]
fn alive_replaces_or_gives_up() {
    for replace in [true, false] {
        let (packet, initiator) = start(dialed("a@h", "b@h", "secret")).unwrap();
        let (question, acceptor) = asked(local("b@h", Flags::OFFERED), &packet).alive();
        let StatusReceived::Alive(initiator) = initiator.handle(&question).unwrap() else {
            panic!()
        };
        let cookie = Cookie::new("secret").unwrap();
        if replace {
            let (answer, initiator) = initiator.replace();
            let (challenge, acceptor) = acceptor.handle(&answer, cookie, 1).unwrap();
            let (reply, initiator) = initiator.handle(&challenge, 2).unwrap();
            let (ack, _) = verified(acceptor.handle(&reply).unwrap()).finish();
            assert!(initiator.handle(&ack).is_ok());
        } else {
            let (answer, error) = initiator.give_up();
            assert_eq!(error, HandshakeError::Superseded);
            assert_eq!(
                acceptor.handle(&answer, cookie, 1).unwrap_err(),
                HandshakeError::GivenUp.into()
            );
        }
    }
}

#[test]
fn refusals() {
    for (refusal, farewell) in [
        (Refusal::Nok, Some(b"snok".to_vec())),
        (Refusal::NotAllowed, Some(b"snot_allowed".to_vec())),
        (Refusal::Busy, None),
    ] {
        let (packet, _) = start(dialed("a@h", "b@h", "secret")).unwrap();
        let rejected = asked(local("b@h", Flags::OFFERED), &packet).refuse(refusal);
        assert_eq!(
            rejected,
            Rejected {
                farewell,
                name: None,
                error: HandshakeError::Refused(refusal)
            }
        );
    }
}

#[test]
fn version_5_with_its_complement() {
    // The name message of OTP 23.2.6 when it has asked no port mapper.
    let packet = b"n\0\x05\x01\xdf\x7f\xbda@h";
    let asked = asked(local("b@h", Flags::OFFERED), packet);
    assert_eq!(asked.flags(), Flags::from_bits_retain(0x01df_7fbd));
    let cookie = Cookie::new("secret").unwrap();
    let ([_, challenge], acceptor) = asked.accept(false, cookie.clone(), 1);
    assert_eq!(challenge[0], b'N');
    let ReplyReceived::Complemented(acceptor) = acceptor.handle(b"c\0\0\0\x01\0\0\0\x09").unwrap() else {
        panic!()
    };
    let reply = message::Reply {
        challenge: 2,
        digest: cookie.digest(1),
    }
    .encode();
    let (_, established) = verified(acceptor.handle(&reply).unwrap()).finish();
    assert_eq!(established.peer.creation, 9);
    assert!(
        established
            .peer
            .flags
            .contains(Flags::SPAWN | Flags::DIST_MONITOR)
    );
}

#[test]
fn a_name_for_who_has_none() {
    let ask = Dialed {
        name: LocalName::Undefined { host: "h".into() },
        ..dialed("x@h", "b@h", "secret")
    };
    let (packet, initiator) = start(ask).unwrap();
    let AskedName::Name(asked) = AwaitName::new(local("b@h", Flags::OFFERED))
        .handle(&packet)
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(asked.host(), "h");
    let cookie = Cookie::new("secret").unwrap();
    let ([status, challenge], acceptor) = asked.name(name("3CKF@h"), 77, cookie, 1);
    let (reply, initiator) = proceed(initiator.handle(&status).unwrap())
        .handle(&challenge, 2)
        .unwrap();
    let (ack, there) = verified(acceptor.handle(&reply).unwrap()).finish();
    let here = initiator.handle(&ack).unwrap();
    assert_eq!((here.local.name.as_str(), here.local.creation), ("3CKF@h", 77));
    assert_eq!((there.peer.name.as_str(), there.peer.creation), ("3CKF@h", 77));
    assert!(here.peer.hidden && there.peer.hidden);
}

#[test]
fn a_name_is_given_only_to_who_asks() {
    let (_, initiator) = start(dialed("a@h", "b@h", "secret")).unwrap();
    let named = message::Status::Named {
        name: "c@h".into(),
        creation: 4,
    }
    .encode();
    assert_eq!(
        initiator.handle(&named).unwrap_err(),
        HandshakeError::UnexpectedStatus
    );
    let ask = Dialed {
        name: LocalName::Undefined { host: "h".into() },
        ..dialed("x@h", "b@h", "secret")
    };
    let (_, initiator) = start(ask).unwrap();
    assert_eq!(
        initiator.handle(b"sok").unwrap_err(),
        HandshakeError::UnexpectedStatus
    );
}
