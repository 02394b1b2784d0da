//! What the fixtures of `tests/format` cannot show: depth, limits, and what the API adds.

use super::{FormatError, Formatter};
use crate::term::{Atom, List, Map, Pid, Term, Tuple};

const DEPTH: usize = 1_000_000;

fn nested(depth: usize, wrap: impl Fn(Term) -> Term) -> Term {
    (0..depth).fold(Term::NIL, |inner, _| wrap(inner))
}

#[test]
fn a_million_levels_of_lists_print() {
    let term = nested(DEPTH, |inner| Term::List(List::cons(inner, Term::NIL)));
    let brackets = format!("{}{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
    for format in ["~w", "~0p", "~p"] {
        let text = Formatter::new()
            .format(format, std::slice::from_ref(&term))
            .unwrap();
        assert!(text == brackets, "{format}");
    }
    let text = Formatter::new()
        .format("~P", &[term.clone(), Term::from(4)])
        .unwrap();
    assert_eq!(text, "[[[[...]]]]");
    assert_eq!(Formatter::new().format("~s", &[term]).unwrap(), "");
}

#[test]
fn levels_of_tuples_and_maps_print_on_one_line() {
    let depth = DEPTH / 10;
    let term = nested(depth, |inner| {
        let map: Map = [(Term::from(1), inner)].into_iter().collect();
        Term::Tuple([Term::Map(map)].into_iter().collect::<Tuple>())
    });
    let text = format!("{}[]{}", "{#{1 => ".repeat(depth), "}}".repeat(depth));
    for format in ["~w", "~0p"] {
        let printed = Formatter::new()
            .format(format, std::slice::from_ref(&term))
            .unwrap();
        assert!(printed == text, "{format}");
    }
}

#[test]
fn a_million_levels_that_break_lines_end_at_the_limit() {
    // Each level stands further to the right: the text would be as long as the square of the depth.
    let term = nested(DEPTH, |inner| Term::from((Atom::from_static("tag"), inner)));
    let limit = 1 << 20;
    let text = Formatter::new().limit(limit).format("~p", &[term]);
    assert_eq!(text, Err(FormatError::TooLong { limit }));
}

#[test]
fn fields_do_not_grow_beyond_the_limit() {
    let limit = 1000;
    let formatter = Formatter::new().limit(limit);
    let one = [Term::from(1)];
    for format in [
        "~9999999999999999999999b",
        "~5000..0b",
        "~1001w",
        "~.1001.xw",
        "~-1001w",
    ] {
        assert_eq!(
            formatter.format(format, &one),
            Err(FormatError::TooLong { limit }),
            "{format}"
        );
    }
    for format in ["~9999999999999999n", "~1001~", "~.1001~"] {
        assert_eq!(
            formatter.format(format, &[]),
            Err(FormatError::TooLong { limit }),
            "{format}"
        );
    }
    let float = [Term::from(1.5)];
    for format in ["~.99999999999f", "~.1001e", "~1001.3g"] {
        assert_eq!(
            formatter.format(format, &float),
            Err(FormatError::TooLong { limit }),
            "{format}"
        );
    }
    let text = [Term::from("x")];
    for format in ["~1001s", "~.1001ts", "~-2000.1500ts"] {
        assert_eq!(
            formatter.format(format, &text),
            Err(FormatError::TooLong { limit }),
            "{format}"
        );
    }
    assert_eq!(formatter.format("~1000b", &one).unwrap().len(), 1000);
}

#[test]
fn large_terms_end_at_the_limit() {
    let limit = 1000;
    let formatter = Formatter::new().limit(limit);
    let numbers = Term::from((0..1000).map(Term::from).collect::<Vec<_>>());
    let binary = Term::Binary(vec![0; 1_000_000].into());
    let text = Term::from("x".repeat(1001));
    let integer = Term::integer_from_magnitude(true, &vec![0xff; 1 << 20]);
    for term in [numbers, binary, text.clone(), integer] {
        for format in ["~w", "~p", "~2000w"] {
            let formatted = formatter.format(format, std::slice::from_ref(&term));
            assert_eq!(formatted, Err(FormatError::TooLong { limit }), "{format}");
        }
    }
    assert_eq!(
        formatter.format("~s", &[text]),
        Err(FormatError::TooLong { limit })
    );
}

#[test]
fn pids_of_the_node_that_is_stood_for_print_as_its_own() {
    let (own, other) = (Atom::from_static("rust@host"), Atom::from_static("alice@host"));
    let pids = [
        Term::Pid(Pid::new(own.clone(), 84, 1, 7)),
        Term::Pid(Pid::new(own.clone(), 84, 1, 8)),
        Term::Pid(Pid::new(other, 84, 1, 7)),
    ];
    let text = Formatter::new().node(own, 7).format("~w ~p ~w", &pids);
    assert_eq!(text.unwrap(), "<0.84.1> <rust@host.84.1> <alice@host.84.1>");
}

#[test]
fn what_is_wrong_is_told() {
    let format = |format, arguments: &[Term]| Formatter::new().format(format, arguments).unwrap_err();
    assert_eq!(format("~p", &[]), FormatError::Arguments);
    assert_eq!(format("~n", &[Term::NIL]), FormatError::Arguments);
    assert_eq!(format("~y", &[Term::NIL]), FormatError::Format);
    assert_eq!(format("100~", &[]), FormatError::Format);
    assert_eq!(
        format("~f", &[Term::from(1)]),
        FormatError::Argument { sequence: 'f' }
    );
    assert_eq!(format("~tc", &[Term::from(0xd800)]), FormatError::NotText);
}

#[test]
fn terms_print_at_a_column_and_on_a_line_of_a_length() {
    let term = Term::from(vec![Term::from((1..=9).map(Term::from).collect::<Vec<_>>())]);
    assert_eq!(Formatter::new().write(&term).unwrap(), "[[1,2,3,4,5,6,7,8,9]]");
    assert_eq!(Formatter::new().print(&term, 1, 80, 4).unwrap(), "[[1,2|...]]");
    assert_eq!(
        Formatter::new().print(&term, 3, 16, -1).unwrap(),
        "[[1,2,3,4,5,\n    6,7,8,9]]"
    );
}
