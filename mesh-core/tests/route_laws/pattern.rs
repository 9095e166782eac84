//! Regular expressions of which it is plain what they match.

use std::collections::BTreeSet;
use std::fmt;

use mesh_core::rng::{Rng, XorShift};

/// Alternatives, each of them pieces in a row.
#[derive(Debug)]
pub(crate) struct Pattern(pub(crate) Vec<Vec<Piece>>);

#[derive(Debug)]
pub(crate) enum Piece {
    Text(String),
    /// One byte.
    Any,
    /// One of these bytes.
    OneOf(&'static str),
    /// At least and, if bounded, at most so many times.
    Repeat(Pattern, u32, Option<u32>),
    /// In any case.
    AnyCase(Pattern),
}

/// Positions in a text.
type Places = BTreeSet<usize>;

impl Pattern {
    pub(crate) fn of(pieces: Vec<Piece>) -> Self {
        Self(vec![pieces])
    }

    /// Whether it matches all of `text`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.ends((text.as_bytes(), false), &[0].into()).contains(&text.len())
    }

    /// Something that it matches.
    pub(crate) fn example(&self, rng: &mut XorShift) -> String {
        let alternative = &self.0[below(rng, self.0.len())];
        alternative.iter().map(|piece| piece.example(rng)).collect()
    }

    /// Where matches in a text end that start at one of `starts`.
    fn ends(&self, text: (&[u8], bool), starts: &Places) -> Places {
        let pieces = |alternative: &Vec<Piece>| {
            let next = |from: Places, piece: &Piece| piece.ends(text, &from);
            alternative.iter().fold(starts.clone(), next)
        };
        self.0.iter().flat_map(pieces).collect()
    }
}

impl Piece {
    fn ends(&self, (text, any_case): (&[u8], bool), starts: &Places) -> Places {
        let one = |is_it: &dyn Fn(u8) -> bool| -> Places {
            starts
                .iter()
                .filter(|at| text.get(**at).is_some_and(|byte| is_it(*byte)))
                .map(|at| at + 1)
                .collect()
        };
        match self {
            Self::Text(expected) => {
                let is_there = |at: &&usize| {
                    text.get(**at..**at + expected.len()).is_some_and(|part| match any_case {
                        true => part.eq_ignore_ascii_case(expected.as_bytes()),
                        false => part == expected.as_bytes(),
                    })
                };
                starts.iter().filter(is_there).map(|at| at + expected.len()).collect()
            }
            Self::Any => one(&|_| true),
            Self::OneOf(choices) => one(&|byte| {
                choices.bytes().any(|choice| match any_case {
                    true => choice.eq_ignore_ascii_case(&byte),
                    false => choice == byte,
                })
            }),
            Self::AnyCase(pattern) => pattern.ends((text, true), starts),
            Self::Repeat(pattern, least, most) => {
                let mut reached = starts.clone();
                let mut ends = if *least == 0 { starts.clone() } else { Places::new() };
                for times in 1.. {
                    reached = pattern.ends((text, any_case), &reached);
                    let is_over = most.is_some_and(|most| times > most) || reached.is_empty();
                    if is_over || (times > *least && reached.is_subset(&ends)) {
                        break;
                    }
                    if times >= *least {
                        ends.extend(&reached);
                    }
                }
                ends
            }
        }
    }

    fn example(&self, rng: &mut XorShift) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Any => ["a", "b", "/"][below(rng, 3)].to_owned(),
            Self::OneOf(choices) => {
                let at = below(rng, choices.len());
                choices[at..=at].to_owned()
            }
            Self::AnyCase(pattern) => {
                let text = pattern.example(rng);
                let case = |char: char| match below(rng, 2) {
                    0 => char.to_ascii_uppercase(),
                    _ => char.to_ascii_lowercase(),
                };
                text.chars().map(case).collect()
            }
            Self::Repeat(pattern, least, most) => {
                let span = most.map_or(2, |most| most - least) + 1;
                let times = least + rng.below(span);
                (0..times).map(|_| pattern.example(rng)).collect()
            }
        }
    }
}

fn below(rng: &mut XorShift, bound: usize) -> usize {
    usize::try_from(rng.below(u32::try_from(bound).unwrap())).unwrap()
}

/// As it is written in configuration.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, alternative) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "|" })?;
            alternative.iter().try_for_each(|piece| write!(f, "{piece}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Any => f.write_str("."),
            Self::OneOf(choices) => write!(f, "[{choices}]"),
            Self::AnyCase(pattern) => write!(f, "(?i:{pattern})"),
            Self::Repeat(pattern, least, Some(most)) => {
                write!(f, "(?:{pattern}){{{least},{most}}}")
            }
            Self::Repeat(pattern, least, None) => write!(f, "({pattern}){{{least},}}"),
        }
    }
}
