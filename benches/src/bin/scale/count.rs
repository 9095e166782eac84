//! Exact counts.

use std::path::Path;
use std::process::Command;

use mesh_benches::shared::Error;
use mesh_benches::{Figures, callgrind};

pub(crate) fn count(target: &Path, figures: &mut Figures) -> Result<(), Error> {
    for what in ["cold", "change", "clusters"] {
        let instructions = instructions(target, what)?;
        println!("{:<44}{:>12.2} million", format!("instructions, {what}"), instructions / 1e6);
        figures.insert(format!("instructions.{what}"), instructions);
    }
    let ratio = figures.find("instructions.change")? / figures.find("instructions.cold")?;
    figures.insert("instructions.change/cold", ratio);
    println!("{:<44}{ratio:>12.3}", "instructions.change/cold");

    println!("{BASELINES}");
    let output = callgrind::run(&mut Command::new(target.join("release/apply_counted")))?;
    for line in String::from_utf8(output.stdout)?.lines() {
        let (name, value) = line.split_once(' ').ok_or("no figure")?;
        let value: f64 = value.parse()?;
        println!("{name:<44}{value:>12.4}");
        figures.insert(name, value);
    }
    Ok(())
}

/// What the program's figures about live bytes are relative to.
const BASELINES: &str = "\
live.small: bytes of session and graph for a target with 1 cluster x 1 endpoint
live.service: the same for 100 clusters x 10 endpoints
live.*.*: how far from that they are after more came and went, as a share";

/// Those of one more time.
fn instructions(target: &Path, what: &str) -> Result<f64, Error> {
    let profile = target.join(format!("benches/callgrind.apply.{what}"));
    let total = |times: &str| {
        let mut command = callgrind::command(&target.join("release/apply"), &profile);
        callgrind::run(command.args([what, times]))?;
        callgrind::total(&profile)
    };
    let short = total("1")?;
    Ok((total("3")? - short) / 2.0)
}
