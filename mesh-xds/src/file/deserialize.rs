//! A serde deserializer over a [`Node`] that remembers where it is.
//!
//! prost-reflect reads messages through serde, whose errors have no place. The [`Trace`] is kept
//! up to date while values are read and left alone once one fails, so it points at the culprit.

use std::{cell::RefCell, fmt};

use serde::{
    de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use super::tree::{Entry, Node, Value};

/// The way from the root of a tree to the value being read.
#[derive(Debug, Default)]
pub(crate) struct Trace<'n>(RefCell<Vec<Step<'n>>>);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'n> {
    /// A key was read and its value was not looked at: nobody knows the key.
    Key(&'n Entry),
    /// The value of a key.
    Field(&'n Entry),
    /// A key and its value, which was read: they do not fit what surrounds them.
    Done(&'n Entry),
    /// An element of a list.
    Item(usize, &'n Node),
}

impl<'n> Trace<'n> {
    /// The steps, outermost first.
    pub(crate) fn into_steps(self) -> Vec<Step<'n>> {
        self.0.into_inner()
    }

    /// Makes `step` the one below `depth` others.
    fn set(&self, depth: usize, step: Step<'n>) {
        let mut steps = self.0.borrow_mut();
        steps.truncate(depth);
        steps.push(step);
    }

    fn leave(&self, depth: usize) {
        self.0.borrow_mut().truncate(depth);
    }
}

/// A node at a depth of the trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'n, 't> {
    node: &'n Node,
    depth: usize,
    trace: &'t Trace<'n>,
}

impl<'n, 't> At<'n, 't> {
    pub(crate) fn root(node: &'n Node, trace: &'t Trace<'n>) -> Self {
        Self { node, depth: 0, trace }
    }
}

impl<'de> de::Deserializer<'de> for At<'de, '_> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items { items, index: 0, at: self }),
            Value::Map(entries) => {
                // `@type` decides what the other keys mean; prost-reflect would buffer those
                // before it, and their places would be lost.
                let (first, others): (Vec<_>, Vec<_>) =
                    entries.iter().partition(|entry| entry.key == "@type");
                // At the root it was read already: the type of the resource is known.
                let first = if self.depth == 0 { Vec::new() } else { first };
                let entries = first.into_iter().chain(others).collect::<Vec<_>>().into_iter();
                visitor.visit_map(Entries { entries, value: None, at: self })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.node.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Items<'n, 't> {
    items: &'n [Node],
    index: usize,
    at: At<'n, 't>,
}

impl<'n> SeqAccess<'n> for Items<'n, '_> {
    type Error = Refusal;

    fn next_element_seed<T>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal>
    where
        T: DeserializeSeed<'n>,
    {
        let Some(node) = self.items.get(self.index) else {
            self.at.trace.leave(self.at.depth);
            return Ok(None);
        };
        self.at.trace.set(self.at.depth, Step::Item(self.index, node));
        self.index += 1;
        seed.deserialize(At { node, depth: self.at.depth + 1, ..self.at }).map(Some)
    }
}

struct Entries<'n, 't> {
    entries: std::vec::IntoIter<&'n Entry>,
    value: Option<&'n Entry>,
    at: At<'n, 't>,
}

impl<'n> MapAccess<'n> for Entries<'n, '_> {
    type Error = Refusal;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal>
    where
        K: DeserializeSeed<'n>,
    {
        self.value = self.entries.next();
        let Some(entry) = self.value else {
            self.at.trace.leave(self.at.depth);
            return Ok(None);
        };
        self.at.trace.set(self.at.depth, Step::Key(entry));
        let key: de::value::BorrowedStrDeserializer<'n, Refusal> =
            de::value::BorrowedStrDeserializer::new(&entry.key);
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V>(&mut self, seed: V) -> Result<V::Value, Refusal>
    where
        V: DeserializeSeed<'n>,
    {
        let entry = self.value.take().ok_or_else(|| de::Error::custom("a value without a key"))?;
        self.at.trace.set(self.at.depth, Step::Field(entry));
        let at = At { node: &entry.value, depth: self.at.depth + 1, ..self.at };
        let value = seed.deserialize(at)?;
        self.at.trace.set(self.at.depth, Step::Done(entry));
        Ok(value)
    }
}

/// What prost-reflect says of a value that it refuses.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}
