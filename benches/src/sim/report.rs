use std::fmt::Write;
use std::path::Path;

use super::figure::Figure;
use crate::shared::Error;

/// Figures as files: one page, and a picture for each.
#[derive(Debug)]
pub struct Report {
    files: Vec<(String, String)>,
}

impl Report {
    /// The files of these figures.
    ///
    /// # Errors
    /// None in practice: text is written to memory.
    pub fn new(figures: &[Figure]) -> Result<Self, Error> {
        let mut page = HEAD.to_owned();
        let mut files = Vec::new();
        for figure in figures {
            let picture = format!("{}.svg", figure.name);
            writeln!(page, "\n## {}\n\n{}\n\n{}", figure.title, figure.text, figure.table)?;
            for promise in &figure.promises {
                writeln!(page, "- {promise}")?;
            }
            writeln!(page, "\n![{}]({picture})", figure.title)?;
            files.push((picture, figure.plot.svg()));
        }
        files.insert(0, (PAGE.to_owned(), page));
        Ok(Self { files })
    }

    /// Writes them into `folder`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder)?;
        for (name, text) in &self.files {
            std::fs::write(folder.join(name), text)?;
        }
        Ok(())
    }

    /// The lines of the files in `folder` that are others than they would be; none if all are
    /// equal. A file that cannot be read has no line.
    #[must_use]
    pub fn differences(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for (name, text) in &self.files {
            let there = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            if there == *text {
                continue;
            }
            let (mut old, mut new) = (there.split('\n'), text.split('\n'));
            for number in 1.. {
                let (old, new) = (old.next(), new.next());
                if old != new {
                    let line = |line: Option<&str>| line.unwrap_or("(no line)").to_owned();
                    found.push(format!("{name}:{number}\n- {}\n+ {}", line(old), line(new)));
                }
                if old.is_none() && new.is_none() {
                    break;
                }
            }
        }
        found
    }
}

const PAGE: &str = "results.md";

const HEAD: &str = "\
# What the policies do, simulated

Written by `benches/run sim`, from the code in `mesh-core` that serves requests and a simulation of
everything around it. Do not edit: `benches/run sim --check` fails unless it would write the same.
\"expected\" is what small models of the algorithms found before there was this code.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_named() {
        let report = Report { files: vec![("a.md".into(), "1\n2\n3\n".into())] };
        let folder = crate::target_directory().unwrap().join("sim-differences");
        report.write(&folder).unwrap();
        assert!(report.differences(&folder).is_empty());
        std::fs::write(folder.join("a.md"), "1\nb\n3").unwrap();
        assert_eq!(report.differences(&folder), ["a.md:2\n- b\n+ 2", "a.md:4\n- (no line)\n+ "]);
    }
}
