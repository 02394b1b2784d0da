//! `~p` and `~P`: where lines are broken, as `io_lib_pretty` has it.
//!
//! A part that fits on its line stands there. One that does not is broken: its children, each on a line of its own unless they are
//! small, are indented to where the first one stands. If that leads too far to the right, the children of tagged tuples, records and
//! maps are indented by 4 to their parent instead, or at last by 1. Whether it does is found by going through everything once
//! without printing.
//!
//! The probe and the print go the same way, but for what an improper list ends in, where OTP's differ. (They do so in three more
//! steps, in how they count, which never shows.)

use super::shape::{Kind, Node, Shape, Tail};
use super::{FormatError, Out, Style};
use crate::term::Term;

/// Appends a term as `~p` prints it, from that column on, counted from 1, on lines of that length.
///
/// A line length of 0 means that lines are never broken, a negative depth that there is no limit.
pub(super) fn print(
    out: &mut Out,
    term: &Term,
    column: i64,
    line: i64,
    depth: i64,
    style: Style<'_>,
    strings: bool,
) -> Result<(), FormatError> {
    if depth == 0 {
        return out.push("...");
    }
    let column = column.max(1);
    let shape = Shape::of(term, depth, style, strings)?;
    let len = shape.node(0).len();
    let mut walk = Walk {
        shape: &shape,
        line,
        len,
        indent: -1,
        out: None,
        jobs: Vec::new(),
    };
    if line != 0 && len >= line - column {
        while walk.run(column) == Err(Stop::TooFarRight) {
            walk.indent = if walk.indent < 0 { 4 } else { 1 };
            if walk.indent == 1 {
                break;
            }
        }
        walk.out = Some(out);
        walk.jobs.clear();
        return walk.run(column).map_err(|stop| match stop {
            Stop::Error(error) => error,
            Stop::TooFarRight => FormatError::Format,
        });
    }
    walk.out = Some(out);
    walk.flat(0)
}

/// Why the walk ends early.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The probe found that this indentation will not do.
    TooFarRight,
    Error(FormatError),
}

impl From<FormatError> for Stop {
    fn from(error: FormatError) -> Self {
        Self::Error(error)
    }
}

/// Where on the page something begins.
#[derive(Clone, Copy)]
struct Place {
    column: i64,
    /// The spaces before whatever is put on a new line.
    spaces: i64,
    /// How many closing brackets will follow it at least.
    closing: i64,
    /// The characters that stand before it on its line, without the spaces.
    before: i64,
}

impl Place {
    /// Further right by so many columns, all of them characters.
    const fn right(self, by: i64) -> Self {
        Self {
            column: self.column + by,
            spaces: self.spaces + by,
            before: self.before + by,
            ..self
        }
    }

    /// On a new line, further right by so many columns.
    const fn below(self, by: i64) -> Self {
        Self {
            column: self.column + by,
            spaces: self.spaces + by,
            before: 0,
            ..self
        }
    }
}

/// What is still to be gone through.
#[derive(Clone, Copy)]
enum Job {
    /// A node that may have to be broken.
    Node(usize, Place),
    /// The children from this one on. The place is that of children on a line of their own, but for `before`, which with `column` says
    /// where the line has got to.
    Rest {
        parent: usize,
        child: usize,
        place: Place,
        column: i64,
    },
    /// The value of a pair whose key has been printed.
    Value(usize, Place),
    Close(&'static str),
}

struct Walk<'a, 'o> {
    shape: &'a Shape,
    line: i64,
    /// The length of the whole, which is also the most characters that a line may have.
    len: i64,
    /// By how much the children of tagged tuples, records and maps are indented; negative for up to their parent's text.
    indent: i64,
    /// Where to print; nothing for a probe.
    out: Option<&'o mut Out>,
    jobs: Vec<Job>,
}

impl Walk<'_, '_> {
    const fn is_probe(&self) -> bool {
        self.out.is_none()
    }

    fn run(&mut self, column: i64) -> Result<(), Stop> {
        let place = Place {
            column,
            spaces: column - 1,
            closing: 0,
            before: 0,
        };
        self.jobs.clear();
        self.jobs.push(Job::Node(0, place));
        while let Some(job) = self.jobs.pop() {
            match job {
                Job::Node(index, place) => self.node(index, place)?,
                Job::Rest {
                    parent,
                    child,
                    place,
                    column,
                } => self.rest(parent, child, place, column)?,
                Job::Value(index, place) => {
                    self.emit(" =>")?;
                    self.new_line(place.spaces)?;
                    self.jobs.push(Job::Node(index, place));
                }
                Job::Close(bracket) => self.emit(bracket)?,
            }
        }
        Ok(())
    }

    fn emit(&mut self, text: &str) -> Result<(), FormatError> {
        self.out.as_mut().map_or(Ok(()), |out| out.push(text))
    }

    fn new_line(&mut self, spaces: i64) -> Result<(), FormatError> {
        self.emit("\n")?;
        self.out.as_mut().map_or(Ok(()), |out| out.repeat(' ', spaces))
    }

    /// Whether a node fits on its line, with what has to follow it.
    const fn fits(&self, len: i64, place: Place) -> bool {
        len < self.line - place.column - place.closing && len + place.before + place.closing <= self.len
    }

    /// The brackets that follow a child: those of its parents if it is the last one.
    fn closing_after(&self, parent: Node, next: usize, closing: i64) -> i64 {
        if self.shape.has_element(parent, next) {
            0
        } else {
            closing + 1
        }
    }

    fn node(&mut self, index: usize, place: Place) -> Result<(), Stop> {
        let shape = self.shape;
        let node = shape.node(index);
        if self.fits(node.len(), place) {
            return Ok(self.flat(index)?);
        }
        match node.kind {
            Kind::Text => self.emit(shape.text(node))?,
            Kind::Bytes => self.bytes(shape.text(node), place)?,
            Kind::List => {
                self.emit("[")?;
                self.jobs.push(Job::Close("]"));
                self.children(index, index + 1, place.right(1))?;
            }
            Kind::Tuple => {
                self.emit("{")?;
                self.jobs.push(Job::Close("}"));
                self.children(index, index + 1, place.right(1))?;
            }
            Kind::Tagged => {
                self.emit("{")?;
                self.jobs.push(Job::Close("}"));
                self.tagged(index, place)?;
            }
            Kind::Map => {
                self.emit("#{")?;
                self.jobs.push(Job::Close("}"));
                // The print counts one of the two characters, the probe both.
                let before = place.before + if self.is_probe() { 2 } else { 1 };
                self.children(
                    index,
                    index + 1,
                    Place {
                        before,
                        ..place.right(2)
                    },
                )?;
            }
            Kind::Record => {
                self.emit(shape.text(node))?;
                self.emit("{")?;
                self.jobs.push(Job::Close("}"));
                self.record(index, place)?;
            }
            // They are printed with their parents.
            Kind::Pair | Kind::Field => {}
        }
        Ok(())
    }

    /// The children from one on, of which the first stands right here.
    fn children(&mut self, parent: usize, first: usize, place: Place) -> Result<(), Stop> {
        let node = self.shape.node(parent);
        if first >= self.shape.after(parent) {
            if node.tail == Tail::Dots {
                self.emit("...")?;
            }
            return Ok(());
        }
        let next = self.shape.after(first);
        let closing = self.closing_after(node, next, place.closing);
        let mark = self.jobs.len();
        let width = self.child(first, Place { closing, ..place })?;
        let before = place.before + width;
        let rest = Job::Rest {
            parent,
            child: next,
            place: Place { before, ..place },
            column: place.column + width,
        };
        self.jobs.insert(mark, rest);
        Ok(())
    }

    /// The children after one that has been printed.
    fn rest(
        &mut self,
        parent: usize,
        mut child: usize,
        mut place: Place,
        mut column: i64,
    ) -> Result<(), Stop> {
        let shape = self.shape;
        let node = shape.node(parent);
        while shape.has_element(node, child) {
            let next = shape.after(child);
            let closing = self.closing_after(node, next, place.closing);
            let len = 1 + shape.node(child).len();
            // Something follows in any case: a bracket or a comma.
            let after = closing.max(1);
            let fits = len < self.line - column - after && place.before + len + after <= self.len;
            self.emit(",")?;
            if fits && shape.is_small(child) {
                self.flat(child)?;
                column += len;
                place.before += len;
                child = next;
                continue;
            }
            self.new_line(place.spaces)?;
            let mark = self.jobs.len();
            let line = Place {
                closing,
                before: 0,
                ..place
            };
            let width = self.child(child, line)?;
            column = place.column + width;
            place.before = width;
            child = next;
            if self.jobs.len() > mark {
                let rest = Job::Rest {
                    parent,
                    child,
                    place,
                    column,
                };
                self.jobs.insert(mark, rest);
                return Ok(());
            }
        }
        match node.tail {
            Tail::Nil => Ok(()),
            Tail::Dots => Ok(self.emit(if node.kind == Kind::List { "|..." } else { ",..." })?),
            Tail::Improper => self.improper(child, place, column),
        }
    }

    /// What an improper list ends in.
    fn improper(&mut self, child: usize, place: Place, column: i64) -> Result<(), Stop> {
        let closing = place.closing + 1;
        let here = Place {
            column,
            closing,
            ..place
        };
        self.emit("|")?;
        if self.fits(self.shape.node(child).len() + 1, here) && self.shape.is_small(child) {
            return Ok(self.flat(child)?);
        }
        self.new_line(place.spaces)?;
        // The print goes on from the beginning of the line, the probe from where the line before it ended.
        let column = if self.is_probe() { column } else { place.column };
        let place = Place {
            column,
            closing,
            before: 0,
            ..place
        };
        self.jobs.push(Job::Node(child, place));
        Ok(())
    }

    /// A child of whatever kind. Gives the columns it takes, or the whole line, if nothing is to stand beside it.
    ///
    /// What does not fit becomes jobs.
    fn child(&mut self, index: usize, place: Place) -> Result<i64, Stop> {
        let shape = self.shape;
        let node = shape.node(index);
        let (fits, is_small) = (self.fits(node.len(), place), shape.is_small(index));
        match node.kind {
            Kind::Pair | Kind::Field if fits => self.flat(index)?,
            Kind::Pair => {
                let by = if self.indent > 0 { self.indent } else { 4 };
                let value = shape.after(index + 1);
                self.jobs.push(Job::Value(value, place.below(by)));
                self.jobs.push(Job::Node(index + 1, place));
            }
            Kind::Field => {
                let name = node.len() - shape.node(index + 1).len();
                let before = place.before + name;
                let (inner, is_below) = self.indented(name, Place { before, ..place })?;
                self.emit(shape.text(node))?;
                self.emit(" =")?;
                if is_below {
                    self.new_line(inner.spaces)?;
                } else {
                    self.emit(" ")?;
                }
                self.jobs.push(Job::Node(index + 1, inner));
            }
            _ if fits && is_small => self.flat(index)?,
            _ => self.jobs.push(Job::Node(index, place)),
        }
        Ok(if fits && is_small { node.len() } else { self.line })
    }

    /// A tuple after its bracket: the tag, and the rest indented to it, or to the bracket.
    fn tagged(&mut self, index: usize, place: Place) -> Result<(), Stop> {
        let shape = self.shape;
        let tag = shape.node(index + 1);
        let to_tag = tag.len() + 2;
        let second = shape.after(index + 1);
        let before = place.before + 1 + tag.len();
        let beside = place.column + to_tag;
        self.emit(shape.text(tag))?;
        if self.indent > 0 && to_tag > self.indent {
            let below = place.below(self.indent);
            self.check(below.column, false)?;
            let place = Place { before, ..below };
            return self.rest(index, second, place, beside);
        }
        self.check(beside, true)?;
        self.emit(",")?;
        let place = Place {
            before: before + 1,
            ..place.right(to_tag)
        };
        self.children(index, second, place)
    }

    /// A native record after its bracket.
    fn record(&mut self, index: usize, place: Place) -> Result<(), Stop> {
        let shape = self.shape;
        let node = shape.node(index);
        if index + 1 >= shape.after(index) {
            return self.children(index, index + 1, place);
        }
        let name = i64::try_from(super::chars::length(shape.text(node))).unwrap_or(0) + 1;
        let before = place.before + name;
        let (inner, is_below) = self.indented(name, Place { before, ..place })?;
        if is_below {
            self.new_line(inner.spaces)?;
        }
        self.children(index, index + 1, inner)
    }

    /// The place for what follows a name of that length, and whether that is on the next line.
    fn indented(&self, name: i64, place: Place) -> Result<(Place, bool), Stop> {
        let is_below = self.indent > 0 && name > self.indent;
        let by = if is_below { self.indent } else { name };
        let before = if is_below { 0 } else { place.before };
        let inner = Place {
            before,
            ..place.right(by)
        };
        self.check(inner.column, false)?;
        Ok((inner, is_below))
    }

    /// Whether the children may begin in that column: in the left half of the line, or where the whole term has room.
    const fn check(&self, column: i64, is_beside: bool) -> Result<(), Stop> {
        let (longest, half) = (self.len + column, self.line / 2);
        let is_good = if is_beside {
            longest < self.line || column < half
        } else {
            longest <= self.line || column <= half
        };
        if is_good || !self.is_probe() {
            return Ok(());
        }
        Err(Stop::TooFarRight)
    }

    /// The bytes of a bit string, in as many lines as it takes.
    fn bytes(&mut self, text: &str, place: Place) -> Result<(), FormatError> {
        let column = place.column + 2;
        let most = 8.max((self.line - column).min(self.len - 4 - place.before) - place.closing);
        let mut left = most;
        for number in text.split_inclusive(',') {
            // The brackets do not count. Each line has room for one number at least.
            let len = number.trim_start_matches('<').trim_end_matches('>').len();
            let len = i64::try_from(len).unwrap_or(0);
            if len > left {
                self.new_line(place.spaces + 2)?;
                left = most;
            }
            left -= len;
            self.emit(number)?;
        }
        Ok(())
    }

    /// A node and all its descendants on one line.
    fn flat(&mut self, index: usize) -> Result<(), FormatError> {
        if self.is_probe() {
            return Ok(());
        }
        let shape = self.shape;
        let mut open: Vec<usize> = Vec::new();
        let mut at = index;
        loop {
            let node = shape.node(at);
            self.emit(shape.text(node))?;
            self.emit(match node.kind {
                Kind::Text | Kind::Bytes | Kind::Pair => "",
                Kind::List => "[",
                Kind::Tuple | Kind::Tagged | Kind::Record => "{",
                Kind::Map => "#{",
                Kind::Field => " = ",
            })?;
            open.push(at);
            at += 1;
            // What ends here ends.
            while let Some(&parent) = open.last() {
                let node = shape.node(parent);
                if at < shape.after(parent) {
                    if at > parent + 1 {
                        self.emit(match node.kind {
                            Kind::Pair => " => ",
                            _ if shape.has_element(node, at) => ",",
                            _ => "|",
                        })?;
                    }
                    break;
                }
                if node.tail == Tail::Dots {
                    let has_children = shape.after(parent) > parent + 1;
                    self.emit(match node.kind {
                        _ if !has_children => "...",
                        Kind::List => "|...",
                        _ => ",...",
                    })?;
                }
                self.emit(match node.kind {
                    Kind::Text | Kind::Bytes | Kind::Pair | Kind::Field => "",
                    Kind::List => "]",
                    Kind::Tuple | Kind::Tagged | Kind::Map | Kind::Record => "}",
                })?;
                open.pop();
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }
}
