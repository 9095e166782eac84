//! What the policies do to calls and servers, simulated: writes `benches/sim`, or with `--check`
//! compares what is there.

use std::path::Path;

use mesh_benches::shared::Error;
use mesh_benches::sim::{Report, figures};

fn main() -> Result<(), Error> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sim");
    let figures = figures();
    let report = Report::new(&figures)?;
    match *arguments {
        [] => report.write(&folder)?,
        ["--check"] => {
            let differences = report.differences(&folder);
            if !differences.is_empty() {
                differences.iter().for_each(|line| println!("{line}"));
                return Err("benches/sim is not what benches/run sim would write".into());
            }
        }
        _ => return Err("usage: sim [--check]".into()),
    }
    let promises = || figures.iter().flat_map(|figure| figure.promises());
    promises().for_each(|promise| println!("{promise}"));
    match promises().filter(|promise| !promise.is_kept()).count() {
        0 => Ok(()),
        broken => Err(format!("promises that are broken: {broken}").into()),
    }
}
