//! How the instructions of one small operation grow with the size of what it works on.
//!
//! A bench is a program that runs itself under callgrind: `PROGRAM run SUBJECT SIZE TIMES` is the
//! operation, done `TIMES` times. What one costs is the difference of two runs that differ in
//! `TIMES` alone.

use std::path::Path;

use crate::shared::Error;
use crate::{Bar, Figures, callgrind};

/// How often the operation is done in the short and in the long run.
const TIMES: [u32; 2] = [1000, 3000];

/// An operation under measurement.
#[derive(Debug)]
pub struct Growth {
    /// The bench, and what it writes: `target/benches/NAME.json`.
    pub name: &'static str,
    /// What it works on, in the order of the table.
    pub subjects: &'static [&'static str],
    /// The sizes, rising.
    pub sizes: &'static [usize],
    /// How many times more instructions the largest size may take than the smallest.
    pub most: f64,
    /// Sets up a subject of a size, then does the operation so many times.
    pub run: fn(&str, usize, u32) -> Result<(), Error>,
}

impl Growth {
    /// What the command line asks for: `run ...`, or measuring it all, then `--check`ing it.
    ///
    /// # Errors
    /// An operation failed, or a bar was missed.
    pub fn main(&self) -> Result<(), Error> {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        match *arguments {
            [] => self.measure().map(drop),
            ["--check"] => {
                let bars = self.subjects.iter().map(|s| Bar::new(growth(s), self.most));
                Ok(self.measure()?.check(&bars.collect::<Vec<_>>())?)
            }
            ["run", subject, size, times] => (self.run)(subject, size.parse()?, times.parse()?),
            _ => Err(format!("usage: {} [--check]", self.name).into()),
        }
    }

    fn measure(&self) -> Result<Figures, Error> {
        let program = std::env::current_exe()?;
        let folder = crate::target_directory()?.join("benches");
        std::fs::create_dir_all(&folder)?;

        let mut figures = Figures::default();
        print!("{:<26}", format!("instructions per {}", self.name));
        self.sizes.iter().for_each(|size| print!("{size:>10}"));
        println!("{:>10}", "growth");
        for subject in self.subjects {
            print!("{subject:<26}");
            let mut counts = Vec::new();
            for size in self.sizes {
                let count = instructions(&program, &folder, self.name, subject, *size)?;
                print!("{count:>10.0}");
                figures.insert(format!("{subject}@{size}"), count);
                counts.push(count);
            }
            let ends = counts.first().zip(counts.last());
            let ratio = ends.map(|(first, last)| last / first).ok_or("no sizes")?;
            println!("{ratio:>10.2}");
            figures.insert(growth(subject), ratio);
        }
        figures.write(&folder.join(format!("{}.json", self.name)))?;
        Ok(figures)
    }
}

fn growth(subject: &str) -> String {
    format!("{subject}.growth")
}

fn instructions(
    program: &Path,
    folder: &Path,
    name: &str,
    subject: &str,
    size: usize,
) -> Result<f64, Error> {
    let profile = folder.join(format!("callgrind.{name}.{subject}@{size}"));
    let total = |times: u32| {
        let mut command = callgrind::command(program, &profile);
        command.args(["run", subject, &size.to_string(), &times.to_string()]);
        callgrind::run(&mut command)?;
        callgrind::total(&profile)
    };
    let [short, long] = TIMES;
    Ok((-total(short)? + total(long)?) / f64::from(long - short))
}
