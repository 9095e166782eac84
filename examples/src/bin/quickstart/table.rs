//! The table at the end.

use crate::{
    counts::Counts,
    story::{Row, Story},
};

/// Prints the table.
pub(crate) fn print(rows: &[Row], story: &Story) {
    let names: Vec<&str> = story.backends().map(|it| it.name()).collect();
    let line = |title: &str, counts: &Counts| {
        let backends: String = names.iter().map(|name| format!("{:>8}", counts.of(name))).collect();
        println!("{title:<28}{:>8}{backends}{:>8}", counts.calls(), counts.failures());
    };
    let heads: String = names.iter().map(|name| format!("{name:>8}")).collect();
    println!("\n{:<28}{:>8}{heads}{:>8}", "", "calls", "failed");
    let mut meanwhile = Counts::default();
    for row in rows {
        line(row.title, &row.after);
        meanwhile.merge(&row.meanwhile);
    }
    line("while configuration changed", &meanwhile);
    line("all", &total(rows));
    let counted: Vec<u64> = story.backends().map(|it| it.calls()).collect();
    let cells: String = counted.iter().map(|count| format!("{count:>8}")).collect();
    println!("{:<28}{:>8}{cells}", "counted by the backends", counted.iter().sum::<u64>());
}

/// An error if the client and a backend do not agree how many calls it has answered.
pub(crate) fn check(rows: &[Row], story: &Story) -> Result<(), String> {
    let total = total(rows);
    for backend in story.backends() {
        let (name, seen) = (backend.name(), total.of(backend.name()));
        if seen != backend.calls() {
            return Err(format!("{name} counted {} calls, its clients {seen}", backend.calls()));
        }
    }
    let counted: u64 = story.backends().map(|it| it.calls()).sum();
    match total.calls() == counted {
        true => Ok(()),
        false => Err(format!("backends counted {counted} calls, clients {}", total.calls())),
    }
}

fn total(rows: &[Row]) -> Counts {
    let mut total = Counts::default();
    for row in rows {
        total.merge(&row.after);
        total.merge(&row.meanwhile);
    }
    total
}
