//! What corresponds to what, and what errors say.

use super::*;
use crate::term;
use crate::term::{Atom, Pid, Record};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Both ways, through bytes and through terms; the term as `~0p` prints it.
#[track_caller]
fn both<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, text: &str) {
    let term = to_term(&value).unwrap();
    assert_eq!(format!("{term:#}"), text);
    assert_eq!(
        crate::etf::encode(&term),
        to_bytes(&value).unwrap(),
        "not as term_to_binary has it"
    );
    assert_eq!(from_term::<T>(&term).unwrap(), value);
    assert_eq!(from_bytes::<T>(&to_bytes(&value).unwrap()).unwrap(), value);
    assert_eq!(
        RawTerm::serialize(&value).unwrap().deserialize::<T>().unwrap(),
        value
    );
}

/// What an error says, through bytes and through terms.
#[track_caller]
fn error<T: DeserializeOwned + Debug>(term: &Term) -> String {
    let error = from_term::<T>(term).unwrap_err();
    let bytes = crate::etf::encode(term);
    assert_eq!(error, from_bytes::<T>(&bytes).unwrap_err());
    error.to_string()
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Options {
    name: String,
    timeout: Option<u32>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename = "#point")]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename = "%MyApp.User")]
struct User {
    id: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename = "[options]")]
struct Keyword {
    name: String,
    flag: bool,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
enum Shape {
    Empty,
    Circle(f64),
    Line(i32, i32),
    Rect { w: u8, h: u8 },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Pair(i32, i32);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename = "#pair")]
struct TaggedPair(i32, i32);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename = "infinity")]
struct Infinity;

#[test]
fn rust_values_have_their_terms() {
    both((true, 1, -1_i64, 2.5), "{true,1,-1,2.5}");
    both(
        (u64::MAX, i128::MIN, u128::MAX),
        &format!("{{{},{},{}}}", u64::MAX, i128::MIN, u128::MAX),
    );
    both((String::from("text"), 'c'), "{<<\"text\">>,<<\"c\">>}");
    both(((), None::<u8>, Some(1)), "{nil,nil,1}");
    both(vec![1, 2, 300], "[1,2,300]");
    both(vec![1_u8, 2, 3], "[1,2,3]");
    both(Vec::<u8>::new(), "[]");
    both(
        (Pair(1, 2), TaggedPair(3, 4), Infinity),
        "{{1,2},{pair,3,4},infinity}",
    );
    both(BTreeMap::from([(1, "one".to_owned())]), "#{1 => <<\"one\">>}");
    both(Ok::<(), String>(()), "ok");
    both(Ok::<u8, String>(1), "{ok,1}");
    both(Err::<u8, String>("no".into()), "{error,<<\"no\">>}");
}

#[test]
fn structs_and_enums_have_their_forms() {
    both(
        Options {
            name: "a".into(),
            timeout: Some(1),
        },
        "#{name => <<\"a\">>,timeout => 1}",
    );
    both(
        Options {
            name: "a".into(),
            timeout: None,
        },
        "#{name => <<\"a\">>,timeout => nil}",
    );
    both(Point { x: 1, y: -2 }, "{point,1,-2}");
    both(User { id: 7 }, "#{'__struct__' => 'Elixir.MyApp.User',id => 7}");
    both(
        Keyword {
            name: "a".into(),
            flag: true,
        },
        "[{name,<<\"a\">>},{flag,true}]",
    );
    both(Shape::Empty, "empty");
    both(Shape::Circle(1.0), "{circle,1.0}");
    both(Shape::Line(1, 2), "{line,1,2}");
    both(Shape::Rect { w: 1, h: 2 }, "{rect,#{w => 1,h => 2}}");
}

#[test]
fn terms_pass_through_exactly() {
    let pid = Pid::new(Atom::from_static("a@b"), 1, 2, 3);
    both(
        (pid, Atom::from_static("x"), term!({1, [2.0, "b"]})),
        "{<a@b.1.2>,x,{1,[2.0,<<\"b\">>]}}",
    );
    both(Some(term!([1, 2])), "[1,2]");
}

#[test]
fn many_forms_are_taken() {
    let expected = Options {
        name: "a".into(),
        timeout: Some(1),
    };
    for term in [
        term!(#{ name => "a", timeout => 1, more => {} }),
        term!([{name, "a"}, {timeout, 1}]),
        term!([{name, "a"}, {timeout, 1}, {more, 2}, alone]),
        term!({Options, "a", 1}),
        Term::Record(Record::new(
            Atom::from_static("m"),
            Atom::from_static("r"),
            true,
            [
                (Atom::from_static("timeout"), term!(1)),
                (Atom::from_static("name"), term!("a")),
            ],
        )),
    ] {
        assert_eq!(from_term::<Options>(&term).unwrap(), expected, "{term}");
        assert_eq!(
            from_bytes::<Options>(&crate::etf::encode(&term)).unwrap(),
            expected,
            "{term}"
        );
    }
    assert!(from_term::<Keyword>(&term!([{name, "a"}, flag])).unwrap().flag);
    assert_eq!(
        from_term::<Options>(&term!(#{ name => a, timeout => undefined }))
            .unwrap()
            .timeout,
        None
    );
    let charlist = Term::from(vec![104, 105]);
    assert_eq!(from_term::<String>(&charlist).unwrap(), "hi");
    assert_eq!(from_term::<Vec<u8>>(&term!("hi")).unwrap(), b"hi");
    assert_eq!(from_term::<f64>(&term!(3)).unwrap(), 3.0);
}

#[test]
fn errors_say_where() {
    #[derive(Deserialize, Debug)]
    struct Call {
        #[expect(dead_code, reason = "only read into")]
        args: Vec<Timed>,
    }
    #[derive(Deserialize, Debug)]
    struct Timed {
        #[expect(dead_code, reason = "only read into")]
        timeout: u32,
    }
    let call =
        |timeout: Term| term!(#{ args => [#{ timeout => 1 }, #{ timeout => 2 }, #{ timeout => (timeout) }] });
    assert_eq!(
        error::<Call>(&call(term!(infinity))),
        "args[2].timeout: expected integer, found atom infinity"
    );
    assert_eq!(
        error::<Call>(&call(term!("x"))),
        "args[2].timeout: expected integer, found binary \"x\""
    );
    assert_eq!(
        error::<Call>(&call(term!(-1))),
        "args[2].timeout: expected u32, found integer `-1`"
    );
    assert_eq!(
        error::<Options>(&term!(#{ name => "a" , timeout => {} })),
        "timeout: expected integer, found a tuple of 0"
    );
    assert_eq!(error::<Options>(&term!(#{ timeout => 1 })), "missing field name");
    assert_eq!(
        error::<User>(&term!(#{ id => 1 })),
        "expected a struct of MyApp.User, found another map"
    );
    assert_eq!(
        error::<User>(&term!(#{ __struct__ => other, id => 1 })),
        "expected a struct of MyApp.User, found atom other"
    );
    assert_eq!(
        error::<Point>(&term!({point, 1})),
        "expected a tuple of 3, found a tuple of 2"
    );
    assert_eq!(
        error::<Point>(&term!({point, 1, a})),
        "y: expected integer, found atom a"
    );
    assert_eq!(
        error::<Shape>(&term!(square)),
        "unknown variant square, expected empty, circle, line, rect"
    );
    assert_eq!(
        error::<Shape>(&term!({circle, a})),
        "circle: expected float, found atom a"
    );
    assert_eq!(
        error::<(u8, u8)>(&term!({1, 2, 3})),
        "expected a tuple of 2, found a tuple of 3"
    );
    assert_eq!(error::<Atom>(&term!("a")), "expected atom, found binary \"a\"");
    assert_eq!(error::<Pid>(&term!(a)), "expected pid, found atom a");
    assert_eq!(error::<u8>(&term!(300)), "expected u8, found integer `300`");
}

#[test]
fn what_cannot_be_written_is_refused() {
    assert_eq!(
        to_bytes(&[1.0, f64::NAN]).unwrap_err().to_string(),
        "[1]: NaN is no float in Erlang"
    );
    let bytes = crate::etf::Encoder::new()
        .compressed(6)
        .encode(&Term::from("a".repeat(1000)));
    assert_eq!(
        *from_bytes::<String>(&bytes).unwrap_err().kind(),
        SerdeErrorKind::Compressed
    );
    let mut trailing = to_bytes(&1).unwrap();
    trailing.push(0);
    assert!(
        from_bytes::<u8>(&trailing)
            .unwrap_err()
            .to_string()
            .contains("at byte 3")
    );
}

#[test]
fn input_does_not_decide_how_deep_serde_recurses() {
    #[derive(Deserialize, Debug)]
    #[serde(untagged)]
    enum Tree {
        #[expect(dead_code, reason = "only read into")]
        Node(Vec<Self>),
    }
    #[derive(Deserialize, Debug)]
    struct Nest(#[expect(dead_code, reason = "only read into")] Vec<Self>);
    let mut bytes = vec![131];
    bytes.extend(std::iter::repeat_n([108, 0, 0, 0, 1], 100_000).flatten());
    bytes.push(106);
    bytes.extend(std::iter::repeat_n(106, 100_000));
    assert_eq!(
        *from_bytes::<Nest>(&bytes).unwrap_err().kind(),
        SerdeErrorKind::TooDeep
    );
    assert!(from_bytes::<Tree>(&bytes).is_err());
    assert!(from_bytes::<serde::de::IgnoredAny>(&bytes).is_ok());
    // Heads of lists without elements, each the tail of the one before.
    let mut bytes = vec![131];
    bytes.extend(std::iter::repeat_n([108, 0, 0, 0, 0], 1_000_000).flatten());
    bytes.extend([97, 7]);
    assert_eq!(from_bytes::<u8>(&bytes), Ok(7));
    assert_eq!(from_bytes::<Option<u8>>(&bytes), Ok(Some(7)));
}

#[test]
fn integers_of_every_length_are_read_from_every_form() {
    for shift in 0..127 {
        for value in [(1_i128 << shift) - 1, 1 << shift, -(1 << shift), 1 - (1 << shift)] {
            let bytes = to_bytes(&value).unwrap();
            assert_eq!(bytes, crate::etf::encode(&Term::from(value)));
            assert_eq!(from_bytes::<i128>(&bytes), Ok(value));
            assert_eq!(from_bytes::<i64>(&bytes).ok(), i64::try_from(value).ok());
            assert_eq!(from_bytes::<u32>(&bytes).ok(), u32::try_from(value).ok());
            // Nor does what stands behind it.
            let pair = to_bytes(&(value, u64::MAX)).unwrap();
            assert_eq!(from_bytes::<(i128, u64)>(&pair), Ok((value, u64::MAX)));
        }
    }
    // Longer than need be.
    assert_eq!(
        from_bytes::<i64>(&[131, 110, 8, 1, 5, 0, 0, 0, 0, 0, 0, 0]),
        Ok(-5)
    );
    assert_eq!(from_bytes::<i64>(&[131, 110, 0, 1]), Ok(0));
    assert_eq!(
        from_bytes::<Vec<i64>>(&[131, 108, 0, 0, 0, 1, 110, 1, 0, 5, 106]),
        Ok(vec![5])
    );
}

#[test]
fn what_stands_in_a_string_is_read_as_any_integer() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(u32);
    #[derive(Debug, PartialEq, Deserialize)]
    enum Known {}

    let bytes = crate::etf::encode(&term!([1, 2]));
    assert_eq!(bytes, [131, 107, 0, 2, 1, 2]);
    let term = crate::etf::decode(bytes.clone()).unwrap();
    assert_eq!(from_bytes::<Vec<Id>>(&bytes), Ok(vec![Id(1), Id(2)]));
    assert_eq!(from_bytes::<Vec<Option<u8>>>(&bytes), Ok(vec![Some(1), Some(2)]));
    assert_eq!(from_bytes::<Vec<Box<i64>>>(&bytes), Ok(vec![1.into(), 2.into()]));
    assert_eq!(from_bytes::<Vec<f64>>(&bytes), Ok(vec![1.0, 2.0]));
    assert_eq!(from_bytes::<Vec<Term>>(&bytes), Ok(vec![1.into(), 2.into()]));
    assert_eq!(from_bytes::<(i8, Option<i8>)>(&bytes), Ok((1, Some(2))));
    assert_eq!(from_term::<Vec<Id>>(&term), Ok(vec![Id(1), Id(2)]));
    // As if each had its tag.
    let apart = [131, 108, 0, 0, 0, 2, 97, 1, 98, 0, 0, 0, 2, 106];
    assert_eq!(
        from_bytes::<Vec<Known>>(&bytes).unwrap_err().to_string(),
        from_bytes::<Vec<Known>>(&apart).unwrap_err().to_string()
    );
    assert_eq!(
        from_bytes::<Vec<bool>>(&bytes).unwrap_err().to_string(),
        "[0]: expected true or false, found integer 1"
    );
}
