//! Lists of values, one of which must match, and of which none may.

use super::term::Term;
use crate::file::cursor::{Cursor, Fields};
use crate::file::error::FileError;

/// The keys of what must match and of what may not.
#[derive(Clone, Copy)]
pub(super) struct Pair(pub(super) &'static str, pub(super) &'static str);

/// Reads lists into the terms that must all hold.
pub(super) struct List<'f, 'n, T> {
    pub(super) fields: &'f Fields<'n>,
    pub(super) terms: &'f mut Vec<T>,
}

impl<'n, T: Term> List<'_, 'n, T> {
    /// What both lists of `pair` say, value by value.
    ///
    /// A list that is there and empty would ask for nothing: it is refused.
    pub(super) fn read(
        &mut self,
        pair: Pair,
        value: &dyn Fn(&Cursor<'n>) -> Result<T, FileError>,
    ) -> Result<(), FileError> {
        let Pair(values, not_values) = pair;
        if let Some(one) = self.one(values, value)? {
            self.terms.push(one);
        }
        if let Some(one) = self.one(not_values, value)? {
            self.terms.push(one.negated());
        }
        Ok(())
    }

    fn one(
        &self,
        key: &'static str,
        value: &dyn Fn(&Cursor<'n>) -> Result<T, FileError>,
    ) -> Result<Option<T>, FileError> {
        let Some(list) = self.fields.entry(key) else { return Ok(None) };
        let each = filled(&list)?.iter().map(value).collect::<Result<_, _>>()?;
        Ok(Some(T::any(each)))
    }
}

/// The items of a list that is not empty.
pub(in crate::file) fn filled<'n>(list: &Cursor<'n>) -> Result<Vec<Cursor<'n>>, FileError> {
    let items = list.items()?;
    if items.is_empty() {
        return Err(list.invalid("is empty, which asks for nothing: leave it out"));
    }
    Ok(items)
}
