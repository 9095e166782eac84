//! What a bench has found, by name, and the bars it must stay below.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::shared::Error;

/// A promise: the figure called `name` is at most `most`.
#[derive(Debug, Clone)]
pub struct Bar {
    /// The figure.
    pub name: String,
    /// Its upper bound, itself allowed.
    pub most: f64,
}

impl Bar {
    /// A bar of `most` on `name`.
    pub fn new(name: impl Into<String>, most: f64) -> Self {
        Self { name: name.into(), most }
    }
}

/// Figures by name.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Adds a figure.
    pub fn insert(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), value);
    }

    /// A figure that was added.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn find(&self, name: &str) -> Result<f64, Error> {
        self.0.get(name).copied().ok_or_else(|| format!("{name} was not measured").into())
    }

    /// Writes them as one flat JSON object, rounded to a thousandth, and says where.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Error> {
        let rounded: BTreeMap<_, _> =
            self.0.iter().map(|(name, value)| (name, (value * 1e3).round() / 1e3)).collect();
        std::fs::write(file, serde_json::to_string_pretty(&rounded)? + "\n")?;
        println!("\n{}", file.display());
        Ok(())
    }

    /// Holds them against `bars`.
    ///
    /// # Errors
    /// [`Missed`]. A figure that is not there has missed its bar.
    pub fn check(&self, bars: &[Bar]) -> Result<(), Missed> {
        let missed = bars.iter().filter_map(|Bar { name, most }| match self.0.get(name) {
            Some(value) if value <= most => None,
            Some(value) => Some(format!("{name} is {value:.3}, above {most}")),
            None => Some(format!("{name} was not measured")),
        });
        let missed: Vec<_> = missed.collect();
        if missed.is_empty() { Ok(()) } else { Err(Missed(missed)) }
    }
}

/// Which bars were missed, and by what.
#[derive(Debug)]
pub struct Missed(Vec<String>);

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "missed: {}", self.0.join("; "))
    }
}

impl std::error::Error for Missed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_misses_its_bar_above_it_and_when_it_is_not_there() {
        let mut figures = Figures::default();
        figures.insert("at", 1.0);
        figures.insert("above", 1.001);
        assert!(figures.check(&[Bar::new("at", 1.0)]).is_ok());
        let bars = ["at", "above", "absent"].map(|name| Bar::new(name, 1.0));
        let missed = figures.check(&bars).map_err(|missed| missed.to_string());
        let expected = "missed: above is 1.001, above 1; absent was not measured";
        assert_eq!(missed, Err(expected.to_owned()));
    }
}
