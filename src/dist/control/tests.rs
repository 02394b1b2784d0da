//! Every form of every control message, against tuples as the documentation has them, made by the term codec.

use super::*;
use crate::dist::Flags;
use crate::etf::{Atoms, RawTerm};
use crate::term;
use crate::term::Term;

const US: Atom = Atom::from_static("rust@host");
const PEER: Atom = Atom::from_static("alice@host");
const CREATION: u32 = 1_700_000_000;

fn ours() -> Pid {
    Pid::new(US, 7, 1, CREATION)
}

fn theirs() -> Pid {
    Pid::new(PEER, 84, 0, 99)
}

fn our_reference() -> Reference {
    Reference::new(US, &[1, 2, 3], CREATION).unwrap()
}

fn their_reference() -> Reference {
    Reference::new(PEER, &[1, 2, 3, 4, 5], 99).unwrap()
}

fn ends() -> Ends {
    Ends {
        local: US,
        creation: CREATION,
        peer: PEER,
    }
}

/// As the peer sees it.
fn other_end() -> Ends {
    Ends {
        local: PEER,
        creation: 99,
        peer: US,
    }
}

fn raw(term: &Term) -> RawTerm {
    RawTerm::new(term).inline()
}

/// Reads the tuple, followed by `payload`, in full.
fn read_at(ends: &Ends, tuple: &Term, payload: Option<&Term>) -> Result<Control, ControlError> {
    let mut bytes = raw(tuple).bytes().to_vec();
    if let Some(payload) = payload {
        bytes.extend_from_slice(raw(payload).bytes());
    }
    let control = read_bytes(&bytes, ends)?;
    let came = control.payload().filter(|_| payload.is_some());
    assert_eq!(came.map(|came| came.decode().unwrap()).as_ref(), payload);
    Ok(control)
}

fn read_bytes(bytes: &[u8], ends: &Ends) -> Result<Control, ControlError> {
    Control::read(bytes, Source::copied(bytes), &Atoms::NONE, ends)
}

fn read(tuple: &Term, payload: Option<&Term>) -> Result<Control, ControlError> {
    read_at(&ends(), tuple, payload)
}

/// Writes the message, and gives tuple and payload.
fn written(control: &Control, flags: Flags) -> (Term, Option<Term>) {
    let mut bytes = Vec::new();
    let payload = control.write(
        flags,
        &mut Writer {
            out: &mut bytes,
            cache: None,
        },
    );
    let payload = payload.map(|payload| payload.decode().unwrap());
    (
        RawTerm::from_parts(bytes.into(), Atoms::NONE).decode().unwrap(),
        payload,
    )
}

/// What nodes of OTP 29 have between them, of 23, and one that has nothing beyond what must be.
const NEWEST: Flags = Flags::OFFERED;
const OTP_25: Flags = Flags::OFFERED
    .difference(Flags::ALTACT_SIG)
    .difference(Flags::NATIVE_RECORDS);
const OLDEST: Flags = Flags::REQUIRED
    .union(Flags::DIST_MONITOR)
    .union(Flags::DIST_MONITOR_NAME)
    .union(Flags::SPAWN);

/// A form: the tuple from the peer, its payload, and the flags with which we write it so, if we do.
type Form = (Term, Option<Term>, Option<Flags>);

/// From alice to us, every form that has an operation of its own, each with what the message is.
fn forms() -> Vec<Form> {
    let (a, b, r) = (theirs, ours, their_reference);
    let token = || term!({1, label, 3, (a()), 5});
    let unused = || Term::atom("");
    let message = || Some(term!({hello, [1, 2], "x"}));
    let reason = || term!({because, 7});
    let payload = || Some(reason());
    let function = || term!({lists, reverse, 1});
    let (all, old, newer) = (Some(NEWEST), Some(OLDEST), Some(OTP_25));
    vec![
        (term!({1, (a()), (b())}), None, all),
        (term!({2, (unused()), (b())}), message(), old),
        (term!({3, (a()), (b()), (reason())}), None, old),
        (term!({4, (a()), (b())}), None, old),
        (term!({6, (a()), (unused()), echo}), message(), all),
        (term!({7, (a()), (b())}), None, all),
        (term!({8, (a()), (b()), (reason())}), None, old),
        (term!({12, (unused()), (b()), (token())}), message(), old),
        (term!({13, (a()), (b()), (token()), (reason())}), None, old),
        (term!({16, (a()), (unused()), echo, (token())}), message(), all),
        (term!({18, (a()), (b()), (token()), (reason())}), None, old),
        (term!({19, (a()), (b()), (r())}), None, all),
        (term!({19, (a()), echo, (r())}), None, all),
        (term!({20, (a()), (b()), (r())}), None, all),
        (term!({20, (a()), echo, (r())}), None, all),
        (
            term!({21, (a()), (b()), (our_reference()), (reason())}),
            None,
            old,
        ),
        (term!({21, echo, (b()), (our_reference()), (reason())}), None, old),
        (term!({22, (a()), (b())}), message(), all),
        (term!({23, (a()), (b()), (token())}), message(), all),
        (term!({24, (a()), (b())}), payload(), all),
        (term!({25, (a()), (b()), (token())}), payload(), all),
        (term!({26, (a()), (b())}), payload(), all),
        (term!({27, (a()), (b()), (token())}), payload(), all),
        (term!({28, (a()), (b()), (our_reference())}), payload(), all),
        (term!({28, echo, (b()), (our_reference())}), payload(), all),
        (
            term!({29, (r()), (a()), (a()), (function()), [link, monitor]}),
            Some(term!([[1]])),
            all,
        ),
        (
            term!({30, (r()), (a()), (a()), (function()), [], (token())}),
            Some(term!([[1]])),
            all,
        ),
        (term!({31, (our_reference()), (b()), 3, (a())}), None, all),
        (term!({31, (our_reference()), (b()), 0, badopt}), None, all),
        (
            term!({32, (our_reference()), (b()), 1, (a()), (token())}),
            None,
            all,
        ),
        (term!({33, (a()), (our_reference())}), message(), newer),
        (term!({34, (a()), (our_reference()), (token())}), message(), newer),
        (term!({35, 1, (a()), (b())}), None, all),
        (term!({35, (u64::MAX), (a()), (b())}), None, all),
        (term!({35, 70000, (a()), (b())}), None, all),
        (term!({36, (1_u64 << 40), (a()), (b())}), None, all),
        (term!({37, 4, (a()), (our_reference())}), message(), all),
        (term!({37, 1, (a()), (b())}), message(), all),
        (term!({37, 9, (a()), echo}), message(), all),
        (
            term!({37, 7, (a()), (our_reference()), (token())}),
            message(),
            all,
        ),
        (term!({37, 16, (a()), (b())}), payload(), None),
        (term!({37, 17, (a()), (b())}), payload(), all),
        (term!({37, 20, (a()), (our_reference())}), payload(), all),
        (term!({37, 27, (a()), echo, (token())}), payload(), all),
        // Of what may come: flags that nobody knows, and more elements.
        (
            term!({37, ((1_i64 << 40) + 4), (a()), (our_reference()), later}),
            message(),
            None,
        ),
        (term!({37, 256, (a()), (b()), later}), message(), None),
    ]
}

#[test]
fn every_form_is_read_and_written() {
    for (tuple, payload, flags) in forms() {
        let control = read(&tuple, payload.as_ref()).unwrap_or_else(|error| panic!("{tuple}: {error}"));
        if let Some(flags) = flags {
            assert_eq!(control.check(flags), Ok(()), "{tuple}");
            let (ours, follows) = written(&control, flags);
            assert_eq!((ours.to_string(), follows), (tuple.to_string(), payload.clone()));
        }
        // A form for every peer says the same.
        for flags in [NEWEST, OTP_25, OLDEST] {
            if control.check(flags).is_err() {
                continue;
            }
            let (other, follows) = written(&control, flags);
            let again = read(&other, follows.as_ref()).unwrap();
            let (back, _) = written(&again, NEWEST);
            assert!(
                lossy(&control, flags) || back == written(&control, NEWEST).0,
                "{tuple} as {other}"
            );
        }
    }
}

/// What a peer with these flags cannot be told: who sends, and that it is urgent.
fn lossy(control: &Control, flags: Flags) -> bool {
    let urgent = matches!(
        control,
        Control::Send(Send { priority: true, .. }) | Control::Exit2(Exit2 { priority: true, .. })
    );
    let sent = matches!(
        control,
        Control::Send(Send {
            to: Target::Pid(_),
            from: Some(_),
            ..
        })
    );
    (urgent && !flags.contains(Flags::ALTACT_SIG))
        || (sent && !flags.contains(Flags::SEND_SENDER))
        || (matches!(control, Control::Unlink(_)) && !flags.contains(Flags::UNLINK_ID))
}

#[test]
fn what_a_message_says() {
    let message = term!({ hello });
    let Control::Send(send) = read(&term!({12, none, (ours()), t}), Some(&message)).unwrap() else {
        panic!()
    };
    assert_eq!(
        (send.from, send.to, send.priority),
        (None, Target::Pid(ours()), false)
    );
    assert_eq!(send.token.unwrap().as_term().decode(), Ok(term!(t)));
    assert_eq!(send.message.decode(), Ok(message));
    let tuple = term!({31, (our_reference()), (ours()), 2, (theirs())});
    let Control::SpawnReply(reply) = read(&tuple, None).unwrap() else {
        panic!()
    };
    assert_eq!(
        (reply.linked, reply.monitored, reply.result),
        (false, true, Ok(theirs()))
    );
    let tuple = term!({37, 29, (theirs()), (our_reference())});
    let Control::Exit2(exit) = read(&tuple, Some(&term!(stop))).unwrap() else {
        panic!()
    };
    assert_eq!((exit.to, exit.priority), (Target::Alias(our_reference()), true));
}

#[test]
fn what_a_peer_cannot_take_is_not_sent() {
    let alias = read(&term!({33, (theirs()), (our_reference())}), Some(&term!(x))).unwrap();
    assert_eq!(
        alias.check(Flags::REQUIRED),
        Err(Unsendable::Missing(Flags::ALIAS))
    );
    let monitor = read(&term!({19, (theirs()), (ours()), (their_reference())}), None).unwrap();
    let missing = Flags::DIST_MONITOR_NAME;
    assert_eq!(
        monitor.check(Flags::REQUIRED | Flags::DIST_MONITOR),
        Err(Unsendable::Missing(missing))
    );
    let tuple = term!({29, (their_reference()), (theirs()), (theirs()), {m, f, 0}, []});
    let spawn = read(&tuple, Some(&term!([]))).unwrap();
    assert_eq!(
        spawn.check(NEWEST - Flags::SPAWN),
        Err(Unsendable::Missing(Flags::SPAWN))
    );
    let unlink = read(&term!({4, (theirs()), (ours())}), None).unwrap();
    assert_eq!(unlink.check(NEWEST), Err(Unsendable::NoUnlinkId));
    let ack = read(&term!({36, 1, (theirs()), (ours())}), None).unwrap();
    assert_eq!(ack.check(OLDEST), Err(Unsendable::Missing(Flags::UNLINK_ID)));
    let exit = read(&term!({37, 24, (theirs()), echo}), Some(&term!(x))).unwrap();
    assert_eq!(exit.check(OTP_25), Err(Unsendable::Missing(Flags::ALTACT_SIG)));
    let nobody = read(&term!({37, 8, (Term::atom("")), echo}), Some(&term!(x))).unwrap();
    assert_eq!(nobody.check(NEWEST), Err(Unsendable::NoSender));
}

#[test]
fn invalid_messages() {
    let foreign = Pid::new(Atom::from_static("eve@host"), 1, 0, 5);
    let old = Pid::new(US, 7, 1, 4);
    let error = |tuple: Term| read(&tuple, None).unwrap_err();
    let field = |operation, field, expected| ControlError::Field {
        operation,
        field,
        expected,
    };
    assert_eq!(error(term!(hello)), ControlError::NotAnOperation);
    assert_eq!(error(term!({})), ControlError::NotAnOperation);
    assert_eq!(error(term!({send, 1})), ControlError::NotAnOperation);
    assert_eq!(error(term!({300, 1})), ControlError::NotAnOperation);
    assert_eq!(error(term!({5, 1})), ControlError::UnknownOperation(5));
    assert_eq!(error(term!({38, 1, 2, 3})), ControlError::UnknownOperation(38));
    for (tuple, _, _) in forms() {
        let elements: Vec<Term> = tuple.as_tuple().unwrap().iter().collect();
        let operation = u8::try_from(elements[0].as_integer().unwrap()).unwrap();
        let fewer: Term = Term::Tuple(elements[..elements.len() - 1].iter().cloned().collect());
        // With one element less it is another form of 37, or no message.
        if operation != 37 {
            let arity = elements.len() - 1;
            assert_eq!(error(fewer), ControlError::Arity { operation, arity });
        }
        // Cut off anywhere.
        let bytes = raw(&tuple);
        for end in 0..bytes.bytes().len() {
            assert!(
                read_bytes(&bytes.bytes()[..end], &ends()).is_err(),
                "{tuple} {end}"
            );
        }
    }
    assert_eq!(
        error(term!({1, 2, (ours())})),
        field(1, Field::From, Expected::Pid)
    );
    assert_eq!(
        error(term!({19, (theirs()), 3, (their_reference())})),
        field(19, Field::To, Expected::PidOrAtom)
    );
    assert_eq!(
        error(term!({19, (theirs()), echo, 3})),
        field(19, Field::Reference, Expected::Reference)
    );
    assert_eq!(
        error(term!({35, 0, (theirs()), (ours())})),
        field(35, Field::Id, Expected::Integer)
    );
    assert_eq!(
        error(term!({35, (-1), (theirs()), (ours())})),
        field(35, Field::Id, Expected::Integer)
    );
    let large = term!({35, (Term::from(1_i128 << 64)), (theirs()), (ours())});
    assert_eq!(error(large), field(35, Field::Id, Expected::Integer));
    let flags = term!({31, (our_reference()), (ours()), (1 << 27), (theirs())});
    assert_eq!(error(flags), field(31, Field::Flags, Expected::Integer));
    let function = term!({29, (their_reference()), (theirs()), (theirs()), {m, f, (1_i64 << 32)}, []});
    assert_eq!(error(function), field(29, Field::Function, Expected::Function));

    // Senders of another node. For those of 2, 6, 22 and the like nobody cares.
    for operation in [1, 24, 26] {
        let tuple = term!({(i64::from(operation)), (foreign.clone()), (ours())});
        assert_eq!(
            error(tuple),
            ControlError::ForeignSender {
                operation,
                from: foreign.clone()
            }
        );
    }
    let tuple = term!({37, 16, (foreign.clone()), (ours())});
    assert_eq!(
        error(tuple),
        ControlError::ForeignSender {
            operation: 37,
            from: foreign.clone()
        }
    );
    assert!(read(&term!({22, (foreign.clone()), (ours())}), Some(&term!(x))).is_ok());

    // Receivers that are not ours.
    let tuple = term!({28, echo, (theirs()), (our_reference())});
    assert_eq!(
        error(tuple),
        ControlError::ForeignReceiver {
            operation: 28,
            field: Field::To
        }
    );
    let tuple = term!({31, (their_reference()), (ours()), 0, (theirs())});
    assert_eq!(
        error(tuple),
        ControlError::ForeignReceiver {
            operation: 31,
            field: Field::Reference
        }
    );
    let tuple = term!({29, (our_reference()), (theirs()), (theirs()), {m, f, 0}, []});
    assert_eq!(
        error(tuple),
        ControlError::ForeignReceiver {
            operation: 29,
            field: Field::Reference
        }
    );
    // Nobody can be linked to an earlier incarnation of us; all else that comes for one is the node's to answer.
    let tuple = term!({24, (theirs()), (old.clone())});
    assert_eq!(
        error(tuple),
        ControlError::ForeignReceiver {
            operation: 24,
            field: Field::To
        }
    );
    assert!(read(&term!({1, (theirs()), (old)}), None).is_ok());

    assert_eq!(
        error(term!({22, (theirs()), (ours())})),
        ControlError::NoPayload { operation: 22 }
    );
}

#[test]
fn a_field_that_is_no_term() {
    // A token that is a bit string without bits.
    let mut bytes = raw(&term!({23, (theirs()), (ours()), 1})).bytes().to_vec();
    bytes.truncate(bytes.len() - 2);
    bytes.extend([77, 0, 0, 0, 0, 9]);
    let error = read_bytes(&bytes, &ends()).unwrap_err();
    assert!(
        matches!(
            error,
            ControlError::NotATerm {
                operation: 23,
                field: Field::Token,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn our_messages_are_understood_by_the_other_end() {
    let control = Control::UnlinkIdAck(UnlinkIdAck {
        from: ours(),
        to: theirs(),
        id: NonZeroU64::MIN,
    });
    let (tuple, _) = written(&control, NEWEST);
    assert_eq!(tuple, term!({36, 1, (ours()), (theirs())}));
    assert!(read_at(&other_end(), &tuple, None).is_ok());
}

#[test]
fn senders() {
    let sender =
        |tuple: Term, payload: Option<Term>| read(&tuple, payload.as_ref()).unwrap().sender().cloned();
    assert_eq!(
        sender(term!({22, (theirs()), (ours())}), Some(term!(x))),
        Some(theirs())
    );
    assert_eq!(sender(term!({2, c, (ours())}), Some(term!(x))), None);
    assert_eq!(
        sender(
            term!({28, (theirs()), (ours()), (our_reference())}),
            Some(term!(x))
        ),
        Some(theirs())
    );
    // The reply to a spawn request keeps its place before what the new process sends.
    assert_eq!(
        sender(term!({31, (our_reference()), (ours()), 0, (theirs())}), None),
        Some(theirs())
    );
}
