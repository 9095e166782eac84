//! The counts, the ratios between them, and how both are shown.

use std::fmt;

use mesh_benches::Figures;

use crate::clients::{Case, Client};
use crate::count::Allocations;

/// What was measured, in the order it was.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) client: &'static Client,
    pub(crate) case: Case,
    pub(crate) instructions: f64,
    /// Counted one call at a time only: what a call allocates does not depend on the others.
    pub(crate) allocations: Option<Allocations>,
}

impl Report {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The counts by name:
    ///
    /// - `ir.CLIENT[.MODE]@CONCURRENCY`: instructions per call
    /// - `allocations.CLIENT[.MODE]`, `bytes.CLIENT[.MODE]`: allocations per call
    /// - `CLIENT/BASELINE[.MODE]@CONCURRENCY`: ratio of the instructions
    /// - `ir.CLIENT-BASELINE[.MODE]@CONCURRENCY`, `allocations.CLIENT-BASELINE[.MODE]`: what a call
    ///   of the client has more
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for row in &self.rows {
            let Row { client, case, .. } = row;
            figures.insert(case.label(&format!("ir.{}", client.name)), row.instructions);
            if let Some(Allocations { count, bytes }) = row.allocations {
                figures.insert(case.load(&format!("allocations.{}", client.name)), count);
                figures.insert(case.load(&format!("bytes.{}", client.name)), bytes);
            }
            for other in self.baselines(row) {
                let (name, baseline) = (client.name, other.client.name);
                let ratio = row.instructions / other.instructions;
                figures.insert(case.label(&format!("{name}/{baseline}")), ratio);
                let more = row.instructions - other.instructions;
                figures.insert(case.label(&format!("ir.{name}-{baseline}")), more);
                if let (Some(own), Some(others)) = (row.allocations, other.allocations) {
                    let name = case.load(&format!("allocations.{name}-{baseline}"));
                    figures.insert(name, own.count - others.count);
                }
            }
        }
        figures
    }

    /// The same load of those that a row is compared with, as far as these were measured.
    fn baselines<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Row> + 'a {
        row.client.against.iter().filter_map(|baseline| {
            let comparable =
                |other: &&Row| other.client.name == *baseline && other.case == row.case;
            self.rows.iter().find(comparable)
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "per call              instructions  allocations    bytes  instructions against"
        )?;
        for row in &self.rows {
            write!(f, "{:<22}{:>12.0}", row.case.label(row.client.name), row.instructions)?;
            match row.allocations {
                Some(Allocations { count, bytes }) => write!(f, "{count:>13.2}{bytes:>9.0}")?,
                None => write!(f, "{:>13}{:>9}", "", "")?,
            }
            for other in self.baselines(row) {
                let ratio = row.instructions / other.instructions;
                write!(f, "  {} {ratio:.3}", other.client.name)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
