//! Situations in which a case of `tests/interop` compares us with others.

use std::fs;

use serde_yaml_ng::Value;

use crate::table::root;

/// How many situations `FILE: SITUATION` stands for: requests whose path begins so, or rows that are
/// about this; or all of a `FILE`. None if the file is not there.
pub(crate) fn situations(entry: &str) -> usize {
    let (file, wanted) = entry.split_once(": ").unwrap_or((entry, ""));
    let Ok(text) = fs::read_to_string(root().join("tests/interop").join(file)) else { return 0 };
    match serde_yaml_ng::from_str(&text) {
        Ok(Value::Sequence(rows)) => rows.iter().map(|row| of_row(row, wanted)).sum(),
        Ok(case) => of_case(&case, wanted),
        Err(_) => 0,
    }
}

/// The requests of a row, or the row.
fn of_row(row: &Value, wanted: &str) -> usize {
    match row["about"].as_str() {
        Some(about) if about.contains(wanted) => row["asks"].as_sequence().map_or(1, Vec::len),
        Some(_) | None => 0,
    }
}

/// The checks of a case that others are asked, too.
fn of_case(case: &Value, wanted: &str) -> usize {
    let others: &[&str] = match case["kind"].as_str() {
        Some("http") => &["envoy"],
        Some(_) | None => &["envoy", "ccore"],
    };
    let is_compared = |check: &&Value| {
        let path = check["ask"]["path"].as_str().unwrap_or_default();
        let skipped = |who: &&str| [case, *check].iter().any(|it| !it["skip"][*who].is_null());
        path.starts_with(wanted) && !skipped(&"mesh") && !others.iter().all(skipped)
    };
    let steps = case["steps"].as_sequence().into_iter().flatten();
    let checks = steps.flat_map(|step| step["checks"].as_sequence().into_iter().flatten());
    checks.filter(is_compared).count()
}
