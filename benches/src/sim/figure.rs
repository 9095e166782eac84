use std::fmt;

use super::plot::Plot;

/// What was found about one question.
#[derive(Debug)]
pub struct Figure {
    /// The name of its picture.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// How it was found.
    pub(super) text: &'static str,
    pub(super) table: Table,
    pub(super) plot: Plot,
    pub(super) promises: Vec<Promise>,
}

/// Rows of cells.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A number that must be on one side of another.
#[derive(Debug)]
pub struct Promise {
    what: String,
    found: f64,
    bound: Bound,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    /// What it promises.
    #[must_use]
    pub fn promises(&self) -> &[Promise] {
        &self.promises
    }
}

impl Promise {
    /// `found` is at most `most`.
    pub(super) fn at_most(most: f64, what: impl Into<String>, found: f64) -> Self {
        Self { what: what.into(), found, bound: Bound::AtMost(most) }
    }

    /// `found` is at least `least`.
    pub(super) fn at_least(least: f64, what: impl Into<String>, found: f64) -> Self {
        Self { what: what.into(), found, bound: Bound::AtLeast(least) }
    }

    /// Whether it is kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.found <= most,
            Bound::AtLeast(least) => self.found >= least,
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_kept() { "kept" } else { "broken" };
        let (side, bound) = match self.bound {
            Bound::AtMost(most) => ("at most", most),
            Bound::AtLeast(least) => ("at least", least),
        };
        write!(f, "{}: {:.4}, {side} {bound}: {word}", self.what, self.found)
    }
}

impl Table {
    /// A table under these headings.
    pub(super) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// As Markdown.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_says_whether_it_is_kept() {
        let said = Promise::at_most(1.2, "attempts", 1.25).to_string();
        assert_eq!(said, "attempts: 1.2500, at most 1.2: broken");
        let said = Promise::at_least(0.95, "goodput", 0.95).to_string();
        assert_eq!(said, "goodput: 0.9500, at least 0.95: kept");
    }
}
